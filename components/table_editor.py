"""The control of a `Table`: a small matrix, edited cell by cell. What the browser sends is never trusted."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from components import session
from demos.kit.knobs import BadValue, Table
from language import Text

ROW = "row"  # the column of row numbers, which is not edited
REFUSED = Text(
    "Numbers from {low:g} to {high:g} in steps of {step:g} only: what did not fit was changed or left as it was.",
    "只能填 {low:g} 到 {high:g} 之间、间隔 {step:g} 的数：不合适的已改正，或保留原值。",
)
Matrix = tuple[tuple[float, ...], ...]


def table_editor(demo: str, name: str, knob: Table) -> None:
    """Draw the control of `knob`; an edit turns the knob, and one that does not fit is said under the table.

    The editor remembers its edits under its key. A new version of the demo's knobs (a preset, a link, an edit that was
    refused) gives it a new key, so that it shows what is kept.

    The browser is not told the range: it would cut 1.23 to 1.2, or drop a number below the range, without a word.
    """
    value, label = getattr(session.params(demo), name), session.say(knob.label)
    key = _key(demo, name)

    def turned() -> None:
        kept, fits = edited(knob, value, st.session_state[key]["edited_rows"])
        session.turn(demo, name, kept)
        session.raise_flag(f"refused {key}", value=False)
        if not fits:
            session.replace_params(demo, session.params(demo))
            session.raise_flag(f"refused {_key(demo, name)}")

    cell = st.column_config.NumberColumn(required=True)
    row = st.column_config.NumberColumn("", width=40, disabled=True)
    numbers = {str(column + 1): [line[column] for line in value] for column in range(knob.columns)}
    with st.container(gap="xsmall"):
        st.markdown(f":small[{label}]", help=session.say(knob.help) if knob.help else None)
        st.data_editor(
            {ROW: list(range(1, knob.rows + 1)), **numbers},
            key=key,
            column_config={ROW: row, **dict.fromkeys(numbers, cell)},
            hide_index=True,
            height="content",
            alt=label,
            on_change=turned,
        )
        if session.flag(f"refused {key}"):
            st.caption(f":orange[{session.say(REFUSED).format(low=knob.low, high=knob.high, step=knob.step)}]")


def _key(demo: str, name: str) -> str:
    return f"{demo}.{name} {session.version(demo)}"


def edited(knob: Table, value: Matrix, edits: Mapping[int, Mapping[str, Any]]) -> tuple[Matrix, bool]:
    """`value` with the browser's `edits` (row → column → cell) in it, and whether all of them could be used as given.

    A number out of range is moved into it. What is no number, or no cell of the table, leaves everything as it was.
    """
    cells, fits = [list(line) for line in value], True
    for row, columns in edits.items():
        for column, given in columns.items():
            try:
                number = knob.cell(str(given))
                if isinstance(given, bool) or row not in range(knob.rows):
                    raise BadValue(f"there is no cell {row}, {column} or {given!r} is no number")
                cells[row][range(1, knob.columns + 1).index(int(column))] = number
                fits &= number == given
            except (ValueError, TypeError):
                fits = False
    return tuple(map(tuple, cells)), fits
