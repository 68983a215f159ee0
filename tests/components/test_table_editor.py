"""A matrix on the screen: an edit turns the knob, and what is no allowed number leaves it as it was and is said."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates
from streamlit.testing.v1 import AppTest

from components.table_editor import edited
from demos.kit.knobs import Table
from language import Text

KNOB = Table(2, 2, -3, 3, 0.5, label=Text("Matrix", "矩阵"))
VALUE = ((1.0, 0.0), (0.5, -1.0))
ANYTHING = st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=5), st.lists(st.floats()))


def screen() -> None:
    """A page with one matrix and nothing else."""
    from dataclasses import dataclass
    from typing import Annotated

    import streamlit as st

    from components import session
    from components.controls import control
    from demos.kit import knobs
    from language import Text

    @dataclass(frozen=True)
    class Params:
        """One knob."""

        matrix: Annotated[tuple, knobs.Table(2, 2, -3, 3, 0.5, label=Text("Matrix", "矩阵"))] = (
            (1.0, 0.0),
            (0.5, -1.0),
        )

    if not session.has_params("demo"):
        session.keep_params("demo", Params())
    control("demo", "matrix", knobs.knobs_of(Params)["matrix"])
    st.button("Preset", on_click=lambda: session.replace_params("demo", Params(((2.0, 2.0), (2.0, 2.0)))))


@pytest.fixture
def page() -> AppTest:
    return AppTest.from_function(screen).run()


@pytest.fixture
def edit(page: AppTest) -> Callable[..., AppTest]:
    """What the page does when the browser reports edits: row → column → what was typed."""

    def report(edits: dict[int, dict[str, Any]]) -> AppTest:
        state = WidgetState(id=page.data_editor[0].proto.id, string_value=json.dumps({"edited_rows": edits}))
        return page._run(WidgetStates(widgets=[state]))

    return report


def kept(page: AppTest) -> Any:
    assert not page.exception, page.exception[0].message
    return page.session_state["params demo"].matrix


def drawn(page: AppTest) -> list[list[float]]:
    return page.data_editor[0].value.drop(columns="row").to_numpy().tolist()


def test_the_matrix_is_drawn_under_its_name_with_numbered_rows(page: AppTest):
    assert "Matrix" in page.markdown[0].value
    assert page.data_editor[0].proto.alt == "Matrix"
    assert page.data_editor[0].value["row"].tolist() == [1, 2]
    assert drawn(page) == [[1.0, 0.0], [0.5, -1.0]]


def test_the_browser_passes_on_every_number_so_that_none_is_cut_or_dropped_without_a_word(page: AppTest):
    columns = json.loads(page.data_editor[0].proto.columns)
    for column in ("1", "2"):
        told = columns[column]["type_config"]
        assert {told.get(limit) for limit in ("step", "min_value", "max_value")} == {None}


def test_an_edited_cell_is_kept_and_drawn(page: AppTest, edit: Callable[..., AppTest]):
    edit({1: {"2": 2.5}})
    assert kept(page) == ((1.0, 0.0), (0.5, 2.5))
    edit({1: {"2": 2.5}, 0: {"1": -3}})
    assert kept(page) == ((-3.0, 0.0), (0.5, 2.5))
    assert drawn(page) == [[-3.0, 0.0], [0.5, 2.5]]
    assert not page.caption


@pytest.mark.parametrize(("typed", "used"), [(None, -1.0), ("two", -1.0), (99, 3.0), (0.7, 0.5)])
def test_what_is_no_allowed_number_is_said_and_the_editor_shows_what_is_kept(page, edit, typed, used):
    before = page.data_editor[0].proto.id
    edit({1: {"2": typed}})
    assert kept(page) == ((1.0, 0.0), (0.5, used))
    assert "−3" in page.caption[0].value.replace("-3", "−3")
    assert "steps of 0.5" in page.caption[0].value
    assert page.data_editor[0].proto.id != before, "the browser would go on showing what was typed"
    edit({0: {"1": 2}})
    assert kept(page)[0] == (2.0, 0.0)
    assert not page.caption, "an edit that fits takes the reproach away"


def test_a_preset_replaces_the_edits_and_takes_the_reproach_away(page: AppTest, edit: Callable[..., AppTest]):
    edit({0: {"1": 99}})
    assert page.caption
    page.button[0].click().run()
    assert kept(page) == ((2.0, 2.0), (2.0, 2.0))
    assert drawn(page) == [[2.0, 2.0], [2.0, 2.0]]
    assert not page.caption


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is slow to draw the first edits
@given(st.dictionaries(st.integers(-1, 3), st.dictionaries(st.sampled_from(["0", "1", "2", "3", "row"]), ANYTHING)))
def test_whatever_the_browser_sends_the_matrix_stays_one_that_the_knob_allows(edits: dict[int, dict[str, Any]]):
    matrix, fits = edited(KNOB, VALUE, edits)
    assert KNOB.allows(matrix)
    if fits:
        for row, columns in edits.items():
            assert {column: matrix[row][int(column) - 1] for column in columns} == columns
