"""A range control that reports while it is dragged; mouse, touch and keyboard are the browser's own."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st
from streamlit.components import v2

HTML = """<label><span></span><output></output><input type="range"></label>"""
CSS = """
label { display: grid; grid-template-columns: 1fr auto; gap: 0.1rem 0.75rem; color: var(--st-text-color);
  font: 0.875rem var(--st-font); }
output { color: var(--st-primary-color); font-variant-numeric: tabular-nums; }
input { grid-column: 1 / 3; width: 100%; height: 28px; margin: 0; cursor: pointer;
  accent-color: var(--st-primary-color); }"""
_mount = v2.component("live_range", html=HTML, css=CSS, js=Path(__file__).with_suffix(".js").read_text("utf-8"))


def live_range(
    label: str,
    value: float,
    key: str,
    on_change: Callable[[], None],
    *,
    bounds: tuple[float, float, float] | None = None,
    steps: Sequence[float] | None = None,
    unit: str = "",
    help: str | None = None,
    version: int = 0,
    charts: str | None = None,
    name: str = "value",
) -> None:
    """A slider over `bounds` (low, high, step) or over the listed `steps`, showing the value with its `unit`.

    `on_change` runs while dragging, the latest value winning; read it with `reported(key)` and never trust it, since a
    browser can send anything. Raise `version` to make the control show `value` again. With the key of `live_charts` in
    `charts` it turns the knob `name` of those instead, as soon as they are drawn.
    """
    low, high, step = bounds or (0, 0, 1)
    scale = {"steps": list(steps) if steps else None, "min": low, "max": high, "step": step}
    data = {"label": label, "value": value, "unit": unit, "help": help, "version": version}
    data |= {**scale, "charts": charts, "name": name}
    _mount(key=key, data=json.dumps(data).encode(), on_value_change=on_change)  # given a dict, Streamlit imports pandas


def reported(key: str) -> float | None:
    """What the browser reported last for the range `key`, or None when that is no number."""
    value = getattr(st.session_state.get(key), "value", None)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
