"""A chart that follows the finger: one Plotly graph kept alive, given new data at every rerun.

Needs `plotly_js.route()` in the server. After an upgrade of Streamlit or Plotly,
`pytest tests/browser/test_live_figures.py` says whether all of this still holds.
"""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
from streamlit.components import v2

from components import plotly_js

HTML = """<p class="viva-title"></p><div class="viva-graph" role="img"></div>
<p class="viva-trouble" role="status" hidden></p><p class="viva-news" role="status" aria-live="polite"></p>"""
CSS = """
.viva-title { font-weight: 600; margin: 0 0 0.25rem; }
.viva-graph { width: 100%; }
.viva-news { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); margin: 0; }"""
JS = Path(__file__).with_suffix(".js").read_text("utf-8")
# Styles are not isolated: plotly.js puts its own into document.head, which a shadow root would not see.
_mount = v2.component("live_chart", html=HTML, css=CSS, js=JS, isolate_styles=False)


def live_chart(figure: dict[str, Any], key: str, title: str, alt: str, regret: str, news: str = "") -> None:
    """Draw `figure` (Plotly data and layout, numpy arrays welcome) below `title`, with `alt` as accessible name.

    Zoom survives until the axes change meaning. `regret` opens the message for a figure that cannot be drawn; `news` is
    announced politely. Raises ValueError for NaN outside an array, which JSON cannot say.
    """
    layout = figure["layout"]
    meaning = [[str(layout.get(axis, {}).get(part)) for part in ("title", "type")] for axis in ("xaxis", "yaxis")]
    whole = {"data": figure["data"], "layout": {"uirevision": json.dumps(meaning), "height": 320, **layout}}
    message = {
        "title": title,
        "alt": alt,
        "regret": regret,
        "news": news,
        "script": plotly_js.address(),
        "figure": whole,
    }
    _mount(key=key, data=json.dumps(message, default=_array, allow_nan=False).encode())


def _array(value: Any) -> Any:
    """How plotly.js takes a numpy array: its bytes, four per float32."""
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{type(value).__name__} in a figure")
    data = base64.b64encode(value.tobytes()).decode()
    return {"dtype": value.dtype.str[1:], "bdata": data, "shape": ", ".join(map(str, value.shape))}
