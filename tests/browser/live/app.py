"""A page with the two live components and nothing else, for tests of what a learner's figure must survive."""

from pathlib import Path

import numpy as np
import streamlit as st

HERE = Path(__file__)


@st.fragment  # as in the demo panel: runs of a fragment finish, so that a fast drag shows its states
def main() -> None:
    """A range that moves a curve, an uneven range, and buttons that break or change the figure."""
    from components.live_chart import live_chart
    from components.live_range import live_range, reported

    state = st.session_state
    state.setdefault("value", 0)
    state.setdefault("version", 0)

    def moved() -> None:
        state.value = int(reported("range") or 0)

    def preset() -> None:
        state.value, state.version = 42, state.version + 1

    st.button("preset", on_click=preset)
    broken, renamed = st.toggle("broken"), st.toggle("renamed")
    live_range("Offset", state.value, "range", moved, bounds=(0, 100, 1), unit="tokens", version=state.version)
    live_range("Width", 4, "uneven", lambda: None, steps=(1, 2, 4, 256))
    x = np.linspace(0, 6, 50, dtype=np.float32)
    trace = {"type": "nonsense" if broken else "scatter", "x": x, "y": np.sin(x + state.value / 10, dtype=np.float32)}
    axes = {"xaxis": {"title": {"text": "steps" if renamed else "time"}}, "yaxis": {"title": {"text": "height"}}}
    layout = (
        axes if not broken else {**axes, "xaxis": {"range": {"not": "a range"}, "domain": "x"}, "shapes": 7, "grid": 1}
    )
    figure = {"data": [trace] if not broken else [None], "layout": layout}
    shown, hidden = st.tabs(["shown", "hidden"])
    with shown:
        live_chart(
            figure, "chart", f"Curve {state.value}", f"A curve at {state.value}", "No figure:", f"news {state.value}"
        )
    with hidden:
        live_chart(figure, "second", "Second", "Another curve", "No figure:")


if __name__ == "__main__":
    main()
else:
    from components import server

    app = st.App(__file__, routes=server.routes(), middleware=server.MIDDLEWARE)
