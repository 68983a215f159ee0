"""The floor: one slider, one 64×64 heatmap, and nothing for the garbage collector to look at."""

import gc
from typing import Any

import numpy as np
import plotly.graph_objects
import plotly.tools  # noqa: F401  (st.plotly_chart would import both later, after the freeze)
import streamlit as st


@st.cache_resource(show_spinner=False)
def _freeze() -> None:
    gc.collect()
    gc.freeze()


x = np.linspace(-3, 3, 64, dtype=np.float32)
k = st.slider("k", 1, 100, 1, key="k")
z = np.sin(x[:, None] * k / 10) * np.cos(x[None, :] * k / 10)
figure: dict[str, Any] = {"data": [{"type": "heatmap", "z": z}], "layout": {"height": 400}}
st.plotly_chart(figure, key="chart")
_freeze()
