"""A figure with its words, and how it travels to the browser."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

CLEAR = "rgba(0,0,0,0)"


@dataclass(frozen=True)
class Drawing:
    """A figure (Plotly data and layout, numpy arrays welcome) below its title, with `alt` as accessible name."""

    id: str
    title: str
    alt: str
    figure: dict[str, Any]


def written(drawings: Sequence[Drawing]) -> bytes:
    """`drawings` as JSON. Raises ValueError for NaN outside an array, which JSON cannot say."""
    figures = [{"id": one.id, "title": one.title, "alt": one.alt, **_whole(one.figure)} for one in drawings]
    return json.dumps(figures, default=_array, allow_nan=False).encode()


def _whole(figure: dict[str, Any]) -> dict[str, Any]:
    """`figure` with a height, and a name for the meaning of its axes: while it stays the same, so does the zoom."""
    layout = figure["layout"]
    meaning = [[str(layout.get(axis, {}).get(part)) for part in ("title", "type")] for axis in ("xaxis", "yaxis")]
    ours = {"uirevision": json.dumps(meaning), "height": 320, "paper_bgcolor": CLEAR, "plot_bgcolor": CLEAR}
    return {"data": figure["data"], "layout": {**ours, **layout}}


def _array(value: Any) -> Any:
    """How plotly.js takes a numpy array: its bytes, four per float32."""
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{type(value).__name__} in a figure")
    data = base64.b64encode(value.tobytes()).decode()
    return {"dtype": value.dtype.str[1:], "bdata": data, "shape": ", ".join(map(str, value.shape))}
