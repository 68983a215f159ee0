"""A page with the two live components and nothing else, for tests of what a learner's figure must survive."""

import time
from collections.abc import Mapping

import numpy as np
import streamlit as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from components.drawing import Drawing, written
from components.live_figures import Follow

ADDRESS = "/curves"


def count(name: str) -> None:
    """Show how often this part of the page has run."""
    runs = st.session_state[name] = st.session_state.get(name, 0) + 1
    st.markdown(f"{name} {runs}")


@st.fragment
def main() -> None:
    """A range that moves a curve, an uneven range, and buttons that break or change the figure."""
    from components.live_range import live_range, reported

    state = st.session_state
    state.setdefault("value", 0)
    state.setdefault("version", 0)
    count("controls")

    def moved() -> None:
        state.value = int(reported("slow") or 0)

    def preset() -> None:
        state.value, state.version = 42, state.version + 1

    st.button("preset", on_click=preset)
    state.broken, state.renamed = st.toggle("break"), st.toggle("rename")
    offsets: dict[float, str] = {value: f"{value} tokens" for value in range(101)}
    live_range("Offset", offsets, state.value, "range", lambda: None, state.version, turns=("charts", "at"))
    live_range("Slow", offsets, state.value, "slow", moved, state.version)
    widths: dict[float, str] = {1: "1", 2: "2", 4: "4", 256: "256"}
    live_range("Width", widths, 4, "uneven", lambda: None)
    results()


@st.fragment
def results() -> None:
    """Two charts that follow the range; one lies in a tab that is hidden at first."""
    from components.live_chart import live_charts

    count("results")
    state = st.session_state

    def turned(values: Mapping[str, float]) -> None:
        state.value = int(values.get("at", state.value))

    drawn = curves(state.value, state.broken, state.renamed)
    knobs = {"at": str(state.value), "broken": str(state.broken or ""), "renamed": str(state.renamed or "")}
    follow = Follow(ADDRESS, knobs, turned, state.version)
    shown, hidden = st.tabs(["shown", "hidden"])
    with shown:
        live_charts(drawn, "charts", "No figure:", follow, f"news {state.value}", 2)
    with hidden:
        live_charts(drawn[-1:], "second", "No figure:", Follow(ADDRESS, {}, turned))


def curves(value: int, broken: bool, renamed: bool) -> list[Drawing]:
    """A curve that moves with `value`, and a fellow that does not; a figure may come and go."""
    x = np.linspace(0, 6, 50, dtype=np.float32)
    trace = {"type": "nonsense" if broken else "scatter", "x": x, "y": (value + 1) * np.sin(x + value / 10)}
    axes = {"xaxis": {"title": {"text": "steps" if renamed else "time"}}, "yaxis": {"title": {"text": "height"}}}
    axes |= {"margin": {"l": 30, "r": 10, "t": 10, "b": 40}}
    layout = (
        axes if not broken else {**axes, "xaxis": {"range": {"not": "a range"}, "domain": "x"}, "shapes": 7, "grid": 1}
    )
    good, bad = {"data": [trace], "layout": axes}, {"data": [None], "layout": layout}
    curve = Drawing("curve", f"Curve {value}", f"A curve at {value}", bad if broken else good)
    still = {"type": "scatter", "x": x, "y": np.sin(x, dtype=np.float32)}
    fellow = Drawing("fellow", "Fellow", "Another curve", {"data": [still], "layout": axes})
    return [curve] if value == 13 else [curve, fellow]


def answer(request: Request) -> Response:
    """The curves without a run of the page, except at 77, which only the page can do, and at 78, which takes long."""
    asked = request.query_params
    if asked["at"] == "77":
        return Response(status_code=204)
    if asked["at"] == "78":
        time.sleep(2)
    return Response(written(curves(int(asked["at"]), bool(asked["broken"]), bool(asked["renamed"]))))


if __name__ == "__main__":
    main()
else:
    from components import server

    routes = [*server.routes(), Route(ADDRESS, answer)]
    app = st.App(__file__, routes=routes, middleware=server.MIDDLEWARE)
