"""A range control that reports while it is dragged; mouse, touch and keyboard are the browser's own."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import streamlit as st
from streamlit.components import v2

HTML = """<label><span></span><output></output><input type="range" min="0"></label>"""
CSS, JS = (Path(__file__).with_suffix(suffix).read_text("utf-8") for suffix in (".css", ".js"))
_mount = v2.component("live_range", html=HTML, css=CSS, js=JS)


def live_range(
    label: str,
    scale: Mapping[float, str],
    value: float,
    key: str,
    on_change: Callable[[], None],
    version: int = 0,
    help: str | None = None,
    turns: tuple[str, str] = ("", ""),
) -> None:
    """A slider over the numbers of `scale`, each with the text to show for it, standing near `value`.

    `on_change` runs while dragging; read the latest value with `reported(key)` and never trust it, since a browser can
    send anything. Raise `version` to show `value` again. When `turns` names the key of `live_charts` and a knob, the
    control turns that knob of theirs instead, as soon as they are drawn.
    """
    values = list(scale)
    place = min(range(len(values)), key=lambda place: abs(values[place] - value))
    data = {"label": label, "help": help or "", "values": values, "texts": list(scale.values()), "at": place}
    data |= {"version": version, "turns": turns}
    _mount(key=key, data=json.dumps(data).encode(), on_value_change=on_change)  # given a dict, Streamlit imports pandas


def reported(key: str) -> float | None:
    """What the browser reported last for the range `key`, or None when that is no number."""
    value = getattr(st.session_state.get(key), "value", None)
    return value if type(value) in (int, float) else None
