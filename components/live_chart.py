"""Charts that follow the finger: Plotly graphs kept alive, given new data at every rerun, all in one message.

Needs `plotly_js.route()` in the server. After an upgrade of Streamlit or Plotly,
`pytest tests/browser/test_live_figures.py` says whether all of this still holds.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
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


def live_charts(
    drawings: Sequence[Drawing],
    key: str,
    regret: str,
    news: str = "",
    columns: int = 1,
    on_turn: Mapping[str, Callable[[], None]] | None = None,
) -> None:
    """Draw all of `drawings`, beside each other where `columns` fit. Zoom survives until axes change meaning.

    `regret` opens the message for a figure that cannot be drawn; `news` is announced politely. A `live_range` that
    reports to `key` runs only the fragment these charts are in, with the callback in `on_turn` under the range's key.
    Raises ValueError for NaN outside an array, which JSON cannot say.
    """
    figures = [{"id": one.id, "title": one.title, "alt": one.alt, **_whole(one.figure)} for one in drawings]
    message = {"figures": figures, "regret": regret, "news": news, "columns": columns, "script": plotly_js.address()}
    data = json.dumps({**message, "key": key}, default=_array, allow_nan=False).encode()
    callbacks: dict[str, Any] = {f"on_{name}_change": act for name, act in (on_turn or {}).items()}
    _mount(key=key, data=data, **callbacks)


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
