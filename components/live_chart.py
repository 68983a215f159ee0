"""Charts that follow the finger: Plotly graphs kept alive, given new data by every move of a range and every rerun.

Needs the routes of `plotly_js` and `live_figures` in the server. After an upgrade of Streamlit or Plotly,
`pytest tests/browser/test_live_figures.py` says whether all of this still holds.
"""

import base64
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from streamlit.components import v2

from components import plotly_js

HTML = """<div class="viva-board"></div><p class="viva-news" role="status" aria-live="polite"></p>"""
CSS = """
.viva-board { display: grid; gap: 1.25rem 2rem; grid-template-columns: repeat(auto-fit, minmax(min(100%,
  max(340px, (100% - (var(--columns) - 1) * 2rem) / var(--columns))), 1fr)); }
.viva-cell { min-width: 0; }
.viva-title { font-weight: 600; margin: 0 0 0.25rem; }
.viva-news { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); margin: 0; }"""
JS = Path(__file__).with_suffix(".js").read_text("utf-8")
# Styles are not isolated: plotly.js puts its own into document.head, which a shadow root would not see.
_mount = v2.component("live_chart", html=HTML, css=CSS, js=JS, isolate_styles=False)


@dataclass(frozen=True)
class Drawing:
    """A figure (Plotly data and layout, numpy arrays welcome) below its title, with `alt` as accessible name."""

    id: str
    title: str
    alt: str
    figure: dict[str, Any]


@dataclass(frozen=True)
class Follow:
    """How the figures follow a range before the page runs again, which it does when the finger rests.

    `address` answers with the figures, as `written`, for `knobs` in its query; `on_turn` then hears what was turned,
    unless something else raised `version` in between.
    """

    address: str
    knobs: Mapping[str, str]
    on_turn: Callable[[Mapping[str, float]], None]
    version: int = 0


def live_charts(
    drawings: Sequence[Drawing],
    key: str,
    regret: str,
    news: str = "",
    columns: int = 1,
    follow: Follow | None = None,
) -> None:
    """Draw all of `drawings`, beside each other where `columns` fit. Zoom survives until axes change meaning.

    `regret` opens the message for a figure that cannot be drawn; `news` is announced politely. A `live_range` with
    `charts=key` turns the knobs of `follow`. Raises ValueError for NaN outside an array, which JSON cannot say.
    """
    script, callbacks = plotly_js.address(), dict[str, Any]()
    message = {"key": key, "regret": regret, "news": news, "columns": columns, "script": script}
    if follow:
        knobs, version, (turn, _) = dict(follow.knobs), follow.version, _turns(key, follow.version)
        message |= {"follow": follow.address, "knobs": knobs, "version": version, "turn": turn}
        callbacks["on_turns_change"] = lambda: follow.on_turn(_turns(key, version)[1])
    _mount(key=key, data=json.dumps(message).encode()[:-1] + b', "figures": ' + written(drawings) + b"}", **callbacks)


def written(drawings: Sequence[Drawing]) -> bytes:
    """`drawings` as the browser reads them."""
    figures = [{"id": one.id, "title": one.title, "alt": one.alt, **_whole(one.figure)} for one in drawings]
    return json.dumps(figures, default=_array, allow_nan=False).encode()


def _turns(key: str, version: int) -> tuple[int, dict[str, float]]:
    """The number of the last turn that was reported, and the values turned to; a browser can send anything."""
    match getattr(st.session_state.get(key), "turns", None):
        case {"number": int(number), "version": made_at, "values": dict(values)}:
            given = values if made_at == version else {}
            numbers = {name: value for name, value in given.items() if type(value) in (int, float)}
            return number, {name: value for name, value in numbers.items() if math.isfinite(value)}
    return 0, {}


def _whole(figure: dict[str, Any]) -> dict[str, Any]:
    layout = figure["layout"]
    meaning = [[str(layout.get(axis, {}).get(part)) for part in ("title", "type")] for axis in ("xaxis", "yaxis")]
    return {"data": figure["data"], "layout": {"uirevision": json.dumps(meaning), "height": 320, **layout}}


def _array(value: Any) -> Any:
    """How plotly.js takes a numpy array: its bytes, four per float32."""
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{type(value).__name__} in a figure")
    data = base64.b64encode(value.tobytes()).decode()
    return {"dtype": value.dtype.str[1:], "bdata": data, "shape": ", ".join(map(str, value.shape))}
