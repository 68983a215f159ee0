"""Charts that follow the finger: Plotly graphs kept alive, given new data by every move of a range and every rerun.

Needs the routes of `plotly_js` and `live_figures` in the server. After an upgrade of Streamlit or Plotly,
`pytest tests/browser -k live` says whether all of this still holds.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from streamlit.components import v2

from components import plotly_js
from components.drawing import Drawing, written
from components.live_figures import Follow

HTML = """<div class="viva-board"></div><p class="viva-news" role="status" aria-live="polite"></p>"""
PARTS = ("live_chart.css", "live_figures.js", "live_chart.js")
CSS, FOLLOWER, JS = (Path(__file__).with_name(name).read_text("utf-8") for name in PARTS)
# Styles are not isolated: plotly.js puts its own into document.head, which a shadow root would not see.
_mount = v2.component("live_chart", html=HTML, css=CSS, js=FOLLOWER + JS, isolate_styles=False)


def live_charts(
    drawings: Sequence[Drawing], key: str, regret: str, follow: Follow, news: str = "", columns: int = 1
) -> None:
    """Draw all of `drawings`, beside each other where `columns` fit. Zoom survives until axes change meaning.

    `regret` opens the message for a figure that cannot be drawn; `news` is announced politely. A `live_range` with
    `charts=key` turns the knobs of `follow`. Raises ValueError for NaN outside an array, which JSON cannot say.
    """
    message = {"key": key, "regret": regret, "news": news, "columns": columns, "script": plotly_js.address()}
    told = json.dumps({**message, "follow": follow.message(key)}).encode()
    data = told[:-1] + b', "figures": ' + written(drawings) + b"}"
    _mount(key=key, data=data, on_turns_change=lambda: follow.hear(key))
