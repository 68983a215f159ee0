"""A page with the two live components and nothing else, for tests of what a learner's figure must survive."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import streamlit as st

HERE = Path(__file__)


def count(name: str) -> None:
    """Show how often this part of the page has run."""
    runs = st.session_state[name] = st.session_state.get(name, 0) + 1
    st.markdown(f"{name} {runs}")


@st.fragment  # as in the demo panel: runs of a fragment finish, so that a fast drag shows its states
def main() -> None:
    """A range that moves a curve, an uneven range, and buttons that break or change the figure."""
    from components.live_range import live_range, reported

    state = st.session_state
    state.setdefault("value", 0)
    state.setdefault("version", 0)
    count("controls")

    def moved(component: str, name: str = "value") -> None:
        state.value = int(reported(component, name) or 0)

    def preset() -> None:
        state.value, state.version = 42, state.version + 1

    st.button("preset", on_click=preset)
    state.broken, state.renamed = st.toggle("break"), st.toggle("rename")
    bounds, version = (0, 100, 1), state.version
    alone = partial(moved, "range")
    live_range(
        "Offset", state.value, "range", alone, bounds=bounds, unit="tokens", version=version, charts="charts", name="at"
    )
    live_range("Slow", state.value, "slow", partial(moved, "slow"), bounds=bounds, version=version)
    live_range("Width", 4, "uneven", lambda: None, steps=(1, 2, 4, 256))
    results(partial(moved, "charts", "at"))


@st.fragment
def results(turned: Callable[[], None]) -> None:
    """Two charts, told of moves of the range; one lies in a tab that is hidden at first."""
    from components.live_chart import Drawing, live_charts

    count("results")
    value, broken = st.session_state.value, st.session_state.broken
    x = np.linspace(0, 6, 50, dtype=np.float32)
    trace = {"type": "nonsense" if broken else "scatter", "x": x, "y": np.sin(x + value / 10, dtype=np.float32)}
    axes = {
        "xaxis": {"title": {"text": "steps" if st.session_state.renamed else "time"}},
        "yaxis": {"title": {"text": "height"}},
    }
    layout = (
        axes if not broken else {**axes, "xaxis": {"range": {"not": "a range"}, "domain": "x"}, "shapes": 7, "grid": 1}
    )
    good, bad = {"data": [trace], "layout": axes}, {"data": [None], "layout": layout}
    curve = Drawing("curve", f"Curve {value}", f"A curve at {value}", bad if broken else good)
    fellow = Drawing("fellow", "Fellow", "Another curve", {"data": [{**trace, "type": "scatter"}], "layout": axes})
    few = [curve] if value == 13 else [curve, fellow]  # a figure may come and go
    shown, hidden = st.tabs(["shown", "hidden"])
    with shown:
        live_charts(few, "charts", "No figure:", f"news {value}", 2, {"at": turned})
    with hidden:
        live_charts([fellow], "second", "No figure:")


if __name__ == "__main__":
    main()
else:
    from components import server

    app = st.App(__file__, routes=server.routes(), middleware=server.MIDDLEWARE)
