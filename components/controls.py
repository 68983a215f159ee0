"""One control per kind of knob. The widget's key is `demo.knob`; every turn is kept in the tab and the address."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from components import session
from demos.kit.knobs import Choice, Knob, Range, Spaced, Switch, Words

SEGMENTS = 4  # more options than this make a select box


def control(demo: str, name: str, knob: Knob) -> None:
    """Draw the control of `knob` with its value in this tab."""
    key = f"{demo}.{name}"
    value = getattr(session.params(demo), name)
    st.session_state[key] = value
    label, help = session.say(knob.label), session.say(knob.help) if knob.help else None

    def turned() -> None:
        chosen = st.session_state[key]
        session.turn(demo, name, value if chosen is None else type(value)(chosen))

    _widget(knob, value)(label=label, key=key, help=help, on_change=turned)


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
            element = st.segmented_control if len(options) <= SEGMENTS else st.selectbox
            return lambda **rest: element(options=options, format_func=session.naming(shown), **rest)
        case Switch():
            return lambda **rest: st.toggle(**rest)
        case Words():
            return lambda **rest: st.text_input(max_chars=knob.longest, live="200ms", **rest)
    raise TypeError(f"no control for {type(knob).__name__}")
