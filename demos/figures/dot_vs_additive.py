"""The figures of `dot_vs_additive`."""

from typing import TYPE_CHECKING

import torch

from demos.kit import charts
from demos.kit.charts import BLUE, GREY, ORANGE, Axis, Guide, Line
from demos.kit.contract import Picture
from language import Text

if TYPE_CHECKING:
    from demos.dot_vs_additive import Result

SHOWN = 32  # tokens on show in the heat map
LEAST = 1e-9  # share below which the curve is drawn at the bottom
SHARE_TICKS = {LEAST: "≤ 10⁻⁹", 1e-7: "10⁻⁷", 1e-5: "10⁻⁵", 1e-3: "0.001", 0.1: "0.1", 1.0: "1"}
NAMES = {
    "tanh": Text("with tanh", "（tanh）"),
    "relu": Text("with ReLU", "（ReLU）"),
    "identity": Text("without nonlinearity", "（无非线性）"),
}


def pictures(result: "Result") -> list[Picture]:
    """Who depends on the query, what it costs, and how large the scores get."""
    return [weight_picture(result), share_picture(result), memory_picture(result), spread_picture(result)]


def weight_picture(result: "Result") -> Picture:
    """The additive weights of the first tokens."""
    weights = result.additive_weights
    gap = (weights - weights[0]).abs().max().item()
    grid = weights[:SHOWN, :SHOWN]
    if result.params.activation == "identity":
        title = Text(
            "Additive attention without nonlinearity: vertical stripes, every query has the same weights",
            "加性注意力去掉非线性：全是竖条纹，每个 query 的权重都一样",
        )
    else:
        title = Text(
            f"Additive attention: two queries differ by up to {gap:.2g}; uniform weights are {1 / len(weights):.2g}",
            f"加性注意力：不同 query 的权重最多相差 {gap:.2g}，均匀分布时每个是 {1 / len(weights):.2g}",
        )
    return Picture(
        "weights",
        title,
        Text(
            f"Additive weights, {len(grid)} × {len(grid)} of {len(weights)} tokens; rows differ by up to {gap:.2g}.",
            f"加性注意力权重热力图，{len(weights)} 个 token 中的 {len(grid)} × {len(grid)}；各行最多相差 {gap:.2g}。",
        ),
        charts.heatmap(grid, Axis("key"), Axis("query")),
    )


def share_picture(result: "Result") -> Picture:
    """The query's share of the variance against the size of the inputs."""
    additive, dot = result.shares
    here = result.scales.index(result.params.scale)
    name = NAMES[result.params.activation]
    series = [
        Line(Text("dot product", "点积"), result.scales, dot, BLUE, markers=True),
        Line(
            Text(f"additive {name.en}", f"加性{name.zh}"),
            result.scales,
            additive.clamp_min(LEAST),
            ORANGE,
            markers=True,
        ),
    ]
    x = Axis(Text("size of q and k", "q、k 的数值大小"), log=True)
    y = Axis(
        Text("share that depends on the query", "取决于 query 的占比"),
        log=True,
        range=(LEAST / 2, 3),
        ticks=tuple(SHARE_TICKS),
        tick_texts=tuple(SHARE_TICKS.values()),
    )
    measured = additive[here].item()
    shown = f"{measured:.2g}" if measured > 1e-12 else "0"
    return Picture(
        "shares",
        Text(
            f"At size {result.params.scale:g} the query decides {shown} of the additive scores' variance, "
            f"{dot[here]:.2f} of the dot product's",
            f"大小为 {result.params.scale:g} 时，加性分数的方差中 {shown} 取决于 query，点积是 {dot[here]:.2f}",
        ),
        Text(
            f"Two curves on log axes: dot product flat at {dot[here]:.3f}, additive {shown} here.",
            f"对数坐标上的两条曲线：点积恒为 {dot[here]:.3f}，加性在此处为 {shown}。",
        ),
        charts.lines(series, x, y, [Guide(result.params.scale, "", vertical=True)]),
    )


def memory_picture(result: "Result") -> Picture:
    """The largest temporary tensor of either form."""
    additive, dot = (work.temporary / 2**20 for work in (result.additive_work, result.dot_work))
    n, d = result.params.tokens, result.params.width
    names = [Text("additive: n × n × d", "加性：n × n × d"), Text("dot product: n × n", "点积：n × n")]
    return Picture(
        "memory",
        Text(
            f"For n = {n}, d = {d} the additive form writes {additive:.4g} MiB before it has a score; "
            f"the dot product {dot:.4g} MiB",
            f"n = {n}、d = {d} 时，加性要先写出 {additive:.4g} MiB 的中间结果，点积只要 {dot:.4g} MiB",
        ),
        Text(
            f"Bars of the largest temporary tensor: {additive:.4g} and {dot:.4g} MiB.",
            f"最大中间张量的条形图：{additive:.4g} MiB 与 {dot:.4g} MiB。",
        ),
        charts.named_bars(
            names, torch.tensor([additive, dot]), Text("largest tensor (MiB)", "最大张量（MiB）"), [ORANGE, BLUE]
        ),
    )


def spread_picture(result: "Result") -> Picture:
    """The spread of the scores against width."""
    additive, raw, scaled = result.spreads
    widths = result.widths
    series = [
        Line(Text("dot product", "点积"), widths, raw, GREY, markers=True),
        Line(Text("dot product ÷ √d", "点积 ÷ √d"), widths, scaled, BLUE, markers=True),
        Line(Text("additive, tanh", "加性（tanh）"), widths, additive, ORANGE, markers=True),
    ]
    x = Axis(Text("width d", "维度 d"), log=True, ticks=widths[::2], tick_texts=[str(width) for width in widths[::2]])
    y = Axis(Text("standard deviation of the scores", "分数的标准差"), log=True)
    return Picture(
        "spread",
        Text(
            f"At d = {widths[-1]} unscaled dot products have standard deviation {raw[-1]:.0f}, additive scores "
            f"{additive[-1]:.2f}",
            f"d = {widths[-1]} 时，不缩放的点积标准差为 {raw[-1]:.0f}，加性分数为 {additive[-1]:.2f}",
        ),
        Text(
            f"Three curves: unscaled dot product up to {raw[-1]:.1f}, scaled flat at {scaled[-1]:.2f}, additive at "
            f"{additive[-1]:.2f}.",
            f"三条曲线：不缩放的点积升到 {raw[-1]:.1f}，缩放后停在 {scaled[-1]:.2f}，加性停在 {additive[-1]:.2f}。",
        ),
        charts.lines(series, x, y),
    )
