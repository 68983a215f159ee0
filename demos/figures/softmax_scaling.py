"""The figures of `softmax_scaling`."""

import math
from typing import TYPE_CHECKING, Any

import torch

from demos.kit import charts
from demos.kit.charts import BLUE, ORANGE, Axis, Guide, Line
from demos.kit.contract import Picture
from language import Text

if TYPE_CHECKING:
    from demos.softmax_scaling import Result


def pictures(result: "Result") -> list[Picture]:
    """Scores, the weights they give, and what happens as the key width grows."""
    return [score_picture(result), weight_picture(result), entropy_picture(result), gradient_picture(result)]


def score_picture(result: "Result") -> Picture:
    """The scores against the standard normal density."""
    spread = result.scores.std().item()
    axis = Axis(Text("score given to the softmax", "送入 softmax 的分数"))
    return Picture(
        "scores",
        Text(
            f"The scores have standard deviation {spread:.3g}; the softmax is comfortable with 1",
            f"分数的标准差是 {spread:.3g}，softmax 适合的尺度是 1",
        ),
        Text(f"Histogram of scores, standard deviation {spread:.3g}.", f"分数的直方图，标准差 {spread:.3g}。"),
        charts.histogram(result.scores, Text("scores", "分数"), axis, ORANGE),
    )


def weight_picture(result: "Result") -> Picture:
    """The weights of the query whose top weight is the median one, largest first."""
    typical = result.weights.amax(-1).median(0).indices
    ranked = result.weights[typical].sort(descending=True).values  # (key,)
    top, n = ranked[0].item(), len(ranked)
    rank = Axis(Text("keys, largest weight first", "key（权重从大到小）"))
    weight = Axis(Text("attention weight", "注意力权重"), range=(0, 1))
    return Picture(
        "weights",
        Text(
            f"A typical query gives {top:.0%} of its weight to one of {n} keys",
            f"典型的 query 把 {top:.0%} 的权重给了 {n} 个 key 中的一个",
        ),
        Text(f"Sorted attention weights; the largest is {top:.3f}.", f"排序后的注意力权重，最大值 {top:.3f}。"),
        charts.bars([Line(weight.title, torch.arange(1, n + 1), ranked)], rank, weight, touching=True),
    )


def over_widths(result: "Result", series: list[Line], y: Axis, guides: tuple[Guide, ...] = ()) -> dict[str, Any]:
    """A figure against key width, with the chosen width marked."""
    width, shown = result.params.key_width, result.widths[::2]
    x = Axis(Text("key width dₖ", "key 维度 dₖ"), log=True, ticks=shown, tick_texts=[str(w) for w in shown])
    return charts.lines(series, x, y, [*guides, Guide(width, "", vertical=True)])


def entropy_picture(result: "Result") -> Picture:
    """Mean entropy against key width, with and without the scale."""
    raw, scaled, most = result.raw.entropy, result.scaled.entropy, math.log(result.params.keys)
    series = [
        Line(Text("not scaled", "不缩放"), result.widths, raw, ORANGE, markers=True),
        Line("÷ √dₖ", result.widths, scaled, BLUE, markers=True),
    ]
    axis = Axis(Text("entropy (nats)", "熵（nat）"), range=(0, most * 1.15))
    return Picture(
        "entropy",
        Text(
            "Not scaled, attention collapses onto one key as dₖ grows; scaled, its spread stays put",
            "不缩放时，dₖ 越大，注意力越塌缩到一个 key；缩放后几乎不变",
        ),
        Text(
            f"Entropy against key width; at 1024 it is {raw[-1]:.2f} unscaled and {scaled[-1]:.2f} scaled.",
            f"熵随 key 维度的变化；1024 维时不缩放为 {raw[-1]:.2f}，缩放后为 {scaled[-1]:.2f}。",
        ),
        over_widths(result, series, axis, (Guide(most, Text("uniform: ln n", "均匀分布：ln n")),)),
    )


def gradient_picture(result: "Result") -> Picture:
    """Mean and median gradient with respect to a query against key width."""
    mean, median = result.raw.mean_gradient, result.raw.median_gradient.clamp_min(1e-4)
    scaled = result.scaled.median_gradient
    series = [
        Line(Text("mean, not scaled", "均值，不缩放"), result.widths, mean, ORANGE, dash="dot"),
        Line(Text("median, not scaled", "中位数，不缩放"), result.widths, median, ORANGE, markers=True),
        Line(Text("median, ÷ √dₖ", "中位数，÷ √dₖ"), result.widths, scaled, BLUE, markers=True),
    ]
    return Picture(
        "gradient",
        Text(
            "Not scaled, the typical gradient dies while the mean hides it: a few lucky queries keep learning",
            "不缩放时典型的梯度趋于消失，均值却看不出来：只剩少数 query 还在学习",
        ),
        Text(
            f"Gradient size against key width; at 1024 the unscaled median is {median[-1]:.4f}, its mean "
            f"{mean[-1]:.2f}, the scaled median {scaled[-1]:.3f}.",
            f"梯度大小随 key 维度的变化；1024 维时，不缩放的中位数 {median[-1]:.4f}、均值 {mean[-1]:.2f}，"
            f"缩放后的中位数 {scaled[-1]:.3f}。",
        ),
        over_widths(result, series, Axis(Text("size of ∂L/∂q", "∂L/∂q 的大小"), log=True)),
    )
