"""One control per kind of knob. The widget's key is `demo.knob`; every turn is kept in the tab and the address."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st

from components import chart, memory, session
from components.chart import PLAIN
from components.live_range import live_range, reported
from components.table_editor import table_editor
from demos.kit.knobs import Choice, Knob, Range, Spaced, Switch, Table, Words, knobs_of

SEGMENTS = 4  # more options than this make a select box


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


def on_turn(demo: str, kind: type[Any]) -> dict[str, Callable[[], None]]:
    """What to do when a slider of `demo` reports to its figures, by knob: only they run again, not the controls."""
    return {
        name: partial(_turned, demo, name, knob, chart.key(demo), name)
        for name, knob in knobs_of(kind).items()
        if isinstance(knob, Range | Spaced) and not _opens_others(name, kind)
    }


def _live(demo: str, name: str, knob: Range | Spaced, label: str, help: str | None) -> None:
    """A number's control, reporting while it is dragged."""
    key, params = f"{demo}.{name}", session.params(demo)
    scale: dict[str, Any] = (
        {"steps": knob.values} if isinstance(knob, Spaced) else {"bounds": (knob.low, knob.high, knob.step)}
    )
    live_range(
        label,
        getattr(params, name),
        key,
        partial(_turned, demo, name, knob, key),
        help=help,
        unit=knob.unit,
        version=session.version(demo),
        charts=None if _opens_others(name, type(params)) else chart.key(demo),
        name=name,
        **scale,
    )


def _turned(demo: str, name: str, knob: Range | Spaced, component: str, field: str = "value") -> None:
    """Take what the browser sent, read like a stranger's link."""
    number = reported(component, field)
    if number is not None and math.isfinite(number):
        kind = type(getattr(session.params(demo), name))
        session.turn(demo, name, kind(knob.parse(repr(number))))


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
            element = partial(st.segmented_control, wrap=True) if len(options) <= SEGMENTS else st.selectbox
            return lambda **rest: element(options=options, format_func=session.naming(shown), **rest)
        case Switch():
            return lambda **rest: st.toggle(**rest)
        case Words():
            return lambda **rest: st.text_input(max_chars=knob.longest, live=True, **rest)
    raise TypeError(f"no control for {type(knob).__name__}")
