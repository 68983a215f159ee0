"""Two pages without torch, as anyone would write them: a text to read first, and a slider with a heatmap."""

from typing import Any

import numpy as np
import streamlit as st


def home() -> None:
    """Ten short paragraphs."""
    st.title("Home")
    for power in range(10):
        st.markdown(f"Paragraph {power}: $x^{{{power}}}$")


def demo() -> None:
    """One slider, one 64×64 heatmap."""
    x = np.linspace(-3, 3, 64, dtype=np.float32)
    k = st.slider("k", 1, 100, 1, key="k")
    z = np.sin(x[:, None] * k / 10) * np.cos(x[None, :] * k / 10)
    figure: dict[str, Any] = {"data": [{"type": "heatmap", "z": z}], "layout": {"height": 400}}
    st.plotly_chart(figure, key="chart")


st.navigation([st.Page(home, title="Home", default=True), st.Page(demo, title="Demo", url_path="demo")]).run()
