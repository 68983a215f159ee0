"""One control per kind of knob. The widget's key is `demo.knob`; every turn is kept in the tab and the address."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from unicodedata import east_asian_width

import streamlit as st

from components import chart, live_figures, memory, session
from components.chart import PLAIN
from components.live_figures import Follow
from components.live_range import live_range, reported
from components.table_editor import table_editor
from demos.kit.knobs import Choice, Knob, Range, Spaced, Switch, Table, Words, as_query, knobs_of
from language import LANGUAGES

SEGMENTS = 4  # more options than this make a select box
NARROW, WIDE = 200, 440  # pixels that a cell of the grid of controls has beside an answer, and two of them


def control(demo: str, name: str, knob: Knob) -> None:
    """Draw the control of `knob` with its value in this tab."""
    key, value = f"{demo}.{name}", getattr(session.params(demo), name)
    label, help = session.say(knob.label), session.say(knob.help) if knob.help else None
    if isinstance(knob, Range | Spaced) and not memory.preference(PLAIN, False):
        _live(demo, name, knob, label, help)
        return
    if isinstance(knob, Table):
        table_editor(demo, name, knob)
        return
    st.session_state[key] = value

    def turned() -> None:
        chosen = st.session_state[key]
        session.turn(demo, name, value if chosen is None else type(value)(chosen))

    _widget(knob, value)(label=label, key=key, help=help, on_change=turned)


def following(demo: str, device: str) -> Follow:
    """How the figures of `demo` follow its sliders, computed on `device`."""
    params = session.params(demo)
    written = {name: as_query(getattr(params, name)) for name in knobs_of(type(params))}
    address = live_figures.address(demo, session.language(), device)
    return Follow(address, written, partial(_turned, demo), session.version(demo))


def _live(demo: str, name: str, knob: Range | Spaced, label: str, help: str | None) -> None:
    """A number's control, reporting while it is dragged."""
    key, params = f"{demo}.{name}", session.params(demo)
    live_range(
        label,
        {value: knob.text(value) for value in knob.values},
        getattr(params, name),
        key,
        partial(_moved, demo, name, key),
        session.version(demo),
        help,
        turns=("", "") if _opens_others(name, type(params)) else (chart.key(demo), name),
    )


def _moved(demo: str, name: str, component: str) -> None:
    """Take what the slider of `name` sent."""
    number = reported(component)
    if number is not None and math.isfinite(number):
        _turned(demo, {name: number})


def _turned(demo: str, values: Mapping[str, float]) -> None:
    """Take what the browser sent for sliders, read like a stranger's link."""
    params = session.params(demo)
    for name, knob in knobs_of(type(params)).items():
        if name in values and isinstance(knob, Range | Spaced):
            session.turn(demo, name, type(getattr(params, name))(knob.parse(repr(values[name]))))


def _opens_others(name: str, kind: type[Any]) -> bool:
    """Whether other controls come and go with this knob."""
    return any(knob.when is not None and knob.when[0] == name for knob in knobs_of(kind).values())


def _widget(knob: Knob, value: Any) -> Callable[..., Any]:
    """The Streamlit element for this kind of knob, with everything but label, key, help and callback filled in."""
    match knob:
        case Range():
            kind = type(value)
            low, high, step = kind(knob.low), kind(knob.high), kind(knob.step)
            return lambda **rest: st.slider(min_value=low, max_value=high, step=step, **rest)
        case Spaced():
            steps = [type(value)(step) for step in knob.values]
            return lambda **rest: st.select_slider(options=steps, format_func=lambda step: f"{step:g}", **rest)
        case Choice():
            options = list(knob.options)
            shown = {option: session.say(text) for option, text in knob.options.items()}
            element = partial(st.segmented_control, wrap=True) if _is_row(knob) else st.selectbox
            return lambda **rest: element(options=options, format_func=session.naming(shown), **rest)
        case Switch():
            return lambda **rest: st.toggle(**rest)
        case Words():
            return lambda **rest: st.text_input(max_chars=knob.longest, live=True, **rest)
    raise TypeError(f"no control for {type(knob).__name__}")


def is_wide(knob: Knob) -> bool:
    """Whether `knob` needs two cells of the grid of controls."""
    return isinstance(knob, Choice) and _is_row(knob) and _width(knob) > NARROW


def _is_row(knob: Choice) -> bool:
    """Whether its options fit beside each other."""
    return len(knob.options) <= SEGMENTS and _width(knob) <= WIDE


def _width(knob: Choice) -> float:
    """About how many pixels its options need beside each other, in the language that needs more."""
    rows = ("".join(text.in_(language) for text in knob.options.values()) for language in LANGUAGES)
    letters = max(sum(1 + (east_asian_width(one) in "WF") for one in row) for row in rows)
    return 26 * len(knob.options) + 7.3 * letters
