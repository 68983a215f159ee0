"""Figures: small functions that return a Plotly figure as a dict, in one style, for both themes and both languages.

Texts in a figure are `Text` and become strings when drawn. Colours keep a contrast of 3:1 or more on both
backgrounds and stay apart for colour-blind eyes; scales fade to transparent so they suit light and dark.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from language import Text

BLUE, ORANGE, GREEN, PURPLE, GREY = "#2f7fd1", "#d9660a", "#0d9276", "#b05fa6", "#84878f"
SEQUENTIAL = [[0, "rgba(47,127,209,0)"], [0.5, "rgba(47,127,209,0.55)"], [1, "rgb(30,95,175)"]]
DIVERGING = [[0, "rgb(200,86,0)"], [0.5, "rgba(132,135,143,0.04)"], [1, "rgb(30,105,195)"]]
# For cells with text in them, whose colour plotly.js chooses against the cell as if nothing shone through.
SEQUENTIAL_OPAQUE = [[0, "rgb(232,240,250)"], [0.5, "rgb(141,184,230)"], [1, "rgb(30,95,175)"]]
DIVERGING_OPAQUE = [[0, "rgb(200,86,0)"], [0.5, "rgb(240,240,242)"], [1, "rgb(30,105,195)"]]
HEIGHT = 320
DENSITY = Text("density", "密度")

Numbers = torch.Tensor | np.ndarray | Sequence[float]
Label = Text | str


@dataclass(frozen=True)
class Line:
    """One series. `dash` is a Plotly dash style; `markers` shows the points themselves."""

    name: Label
    x: Numbers
    y: Numbers
    color: str = BLUE
    dash: str = "solid"
    markers: bool = False


@dataclass(frozen=True)
class Axis:
    """How an axis reads: its title, and optionally a log scale, a range (in axis units) and ticks of its own."""

    title: Label = ""
    log: bool = False
    range: tuple[float, float] | None = None
    ticks: Sequence[float] | None = None
    tick_texts: Sequence[Label] | None = None


@dataclass(frozen=True)
class Guide:
    """A thin reference line across the figure, with its meaning written beside it."""

    at: float
    label: Label
    vertical: bool = False


def numbers(values: Numbers) -> np.ndarray:
    """Values as float32 on the CPU, which Plotly sends as four bytes each instead of text."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().float().numpy()
    return np.asarray(values, dtype=np.float32)


def lines(series: Sequence[Line], x: Axis, y: Axis, guides: Sequence[Guide] = ()) -> dict[str, Any]:
    """Line series over numeric axes."""
    data = [
        {
            "type": "scatter",
            "mode": "lines+markers" if line.markers else "lines",
            "name": line.name,
            "x": numbers(line.x),
            "y": numbers(line.y),
            "line": {"color": line.color, "dash": line.dash, "width": 2.5},
            "marker": {"size": 7},
        }
        for line in series
    ]
    return _figure(data, x, y, guides, legend=len(series) > 1)


def scatter(clouds: Sequence[Line], x: Axis, y: Axis, along: Sequence[Line] = ()) -> dict[str, Any]:
    """Separate points, one cloud per series, with reference curves `along` behind them."""
    points = [{**trace, "mode": "markers", "opacity": 0.6} for trace in lines(clouds, x, y)["data"]]
    figure = lines([*along, *clouds], x, y)
    figure["data"][len(along) :] = points
    return figure


def bars(
    series: Sequence[Line], x: Axis, y: Axis, guides: Sequence[Guide] = (), touching: bool = False
) -> dict[str, Any]:
    """Bars beside each other; `touching` draws them without gaps, as a histogram."""
    data = [
        {
            "type": "bar",
            "name": line.name,
            "x": numbers(line.x),
            "y": numbers(line.y),
            "marker": {"color": line.color, "line": {"width": 0}},
            "opacity": 0.85,
        }
        for line in series
    ]
    figure = _figure(data, x, y, guides, legend=len(series) > 1)
    figure["layout"] |= {"bargap": 0.02 if touching else 0.25, "barmode": "overlay" if touching else "group"}
    return figure


def histogram(values: Numbers, name: Label, x: Axis, color: str = BLUE, bins: int = 61) -> dict[str, Any]:
    """The density of `values` as one filled outline, quicker to draw than a bar each, and the standard normal curve."""
    sample = numbers(values).ravel()
    reach = max(4.0, 4 * float(sample.std()))
    density, edges = np.histogram(sample, bins=bins, range=(-reach, reach), density=True)
    fine = np.linspace(-reach, reach, 241)
    normal = Line("N(0, 1)", fine, np.exp(-(fine**2) / 2) / np.sqrt(2 * np.pi), GREY)
    figure = lines([Line(name, (edges[1:] + edges[:-1]) / 2, density, color), normal], x, Axis(DENSITY))
    outline = {"shape": "hvh", "width": 0}
    figure["data"][0] |= {"line": outline, "fill": "tozeroy", "fillcolor": color, "opacity": 0.85}
    return figure


def named_bars(
    names: Sequence[Label], values: Numbers, title: Label, colors: Sequence[str] | str = BLUE
) -> dict[str, Any]:
    """Horizontal bars, one per name, first name on top; each bar carries its value."""
    heights = numbers(values)
    bar = {
        "type": "bar",
        "orientation": "h",
        "y": list(names),
        "x": heights,
        "text": [_short(value) for value in heights],
        "textposition": ["auto" if abs(value) > 0.1 * np.abs(heights).max() else "outside" for value in heights],
        "cliponaxis": False,
        "marker": {"color": colors},
    }
    figure = _figure([bar], Axis(title), Axis(), (), legend=False)
    figure["layout"]["yaxis"] |= {"autorange": "reversed", "automargin": True}
    figure["layout"]["height"] = max(160, 70 + 36 * len(heights))
    return figure


def heatmap(
    values: Numbers,
    x: Axis,
    y: Axis,
    *,
    limits: tuple[float, float] | None = None,
    diverging: bool = False,
    texts: Sequence[Sequence[str]] | None = None,
) -> dict[str, Any]:
    """A matrix as colours, row 0 on top. `diverging` centres the colours on zero. `texts` writes into the cells."""
    grid = numbers(values)
    if limits is None:
        finite = grid[np.isfinite(grid)]
        reach = float(np.abs(finite).max()) if finite.size else 1.0
        limits = (-reach, reach) if diverging else (0.0, reach)
    cells: dict[str, Any] = {
        "type": "heatmap",
        "z": grid,
        "zmin": limits[0],
        "zmax": limits[1],
        "colorscale": DIVERGING if diverging else SEQUENTIAL,
        "colorbar": {"thickness": 10, "outlinewidth": 0, "nticks": 5},
        "hovertemplate": "%{y}, %{x}: %{z:.4g}<extra></extra>",
    }
    if texts is not None:
        scale = DIVERGING_OPAQUE if diverging else SEQUENTIAL_OPAQUE
        cells |= {"text": texts, "texttemplate": "%{text}", "xgap": 2, "ygap": 2, "colorscale": scale}
    figure = _figure([cells], x, y, (), legend=False)
    figure["layout"]["yaxis"] |= {"autorange": "reversed", "showgrid": False, "zeroline": False}
    figure["layout"]["xaxis"] |= {"showgrid": False, "zeroline": False}
    return figure


def _figure(data: list[dict[str, Any]], x: Axis, y: Axis, guides: Sequence[Guide], *, legend: bool) -> dict[str, Any]:
    layout: dict[str, Any] = {
        "height": HEIGHT,
        "margin": {"l": 56, "r": 16, "t": 36 if legend else 16, "b": 52},
        "showlegend": legend,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "title": {"text": ""}},
        "xaxis": _axis(x),
        "yaxis": _axis(y),
        "shapes": [_guide_line(guide) for guide in guides],
        "annotations": [_guide_label(guide, x if guide.vertical else y) for guide in guides],
        "hovermode": "closest",
        "dragmode": False,
    }
    return {"data": data, "layout": layout}


def _axis(axis: Axis) -> dict[str, Any]:
    drawn: dict[str, Any] = {"title": {"text": axis.title, "standoff": 8}, "automargin": True}
    if axis.log:
        drawn |= {"type": "log", "dtick": 1, "exponentformat": "power"}
    if axis.range:
        drawn["range"] = list(np.log10(axis.range)) if axis.log else list(axis.range)
    if axis.ticks is not None:
        drawn |= {"tickvals": list(axis.ticks), "ticktext": list(axis.tick_texts or map(_plain, axis.ticks))}
    return drawn


def _short(value: float) -> str:
    """A count in full, else three significant digits."""
    return f"{value:,.0f}" if value == int(value) and abs(value) < 1e7 else f"{value:.3g}"


def _plain(value: float) -> str:
    return f"{value:g}"


def _guide_line(guide: Guide) -> dict[str, Any]:
    line = {"color": GREY, "width": 1.5, "dash": "dot"}
    if guide.vertical:
        return {"type": "line", "x0": guide.at, "x1": guide.at, "y0": 0, "y1": 1, "yref": "paper", "line": line}
    return {"type": "line", "x0": 0, "x1": 1, "xref": "paper", "y0": guide.at, "y1": guide.at, "line": line}


def _guide_label(guide: Guide, axis: Axis) -> dict[str, Any]:
    at = float(np.log10(guide.at)) if axis.log else guide.at
    place = (
        {"x": at, "y": 1, "yref": "paper", "xanchor": "left", "yanchor": "top"}
        if guide.vertical
        else {"x": 1, "xref": "paper", "y": at, "xanchor": "right", "yanchor": "bottom"}
    )
    return {"text": guide.label, "showarrow": False, "font": {"size": 12, "color": GREY}, **place}
