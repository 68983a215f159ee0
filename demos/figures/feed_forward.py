"""The figures of `feed_forward`."""

from typing import TYPE_CHECKING

import torch

from demos.kit import charts
from demos.kit.charts import BLUE, GREEN, GREY, ORANGE, Axis, Guide, Line
from demos.kit.contract import Picture
from language import Text

if TYPE_CHECKING:
    from demos.feed_forward import Result

NAMES = {"none": "f(z) = z", "relu": "ReLU", "leaky": "LeakyReLU", "gelu": "GELU", "silu": "SiLU"}


def pictures(result: "Result") -> list[Picture]:
    """Dead units, the activation itself, parameters, and compute by length."""
    return [dead_picture(result), curve_picture(result), parameter_picture(result), compute_picture(result)]


def normal_below(z: torch.Tensor) -> torch.Tensor:
    """Φ(z), in double precision for its powers."""
    return torch.special.ndtr(z.double())


def dead_picture(result: "Result") -> Picture:
    """Zero outputs and dead units against the bias: theory for ReLU, measured at the chosen bias."""
    params = result.params
    biases = torch.linspace(-5, 2, 141)
    zero = normal_below(-biases)
    bias = f"{params.bias:g}".replace("-", "−")
    series = [
        Line(Text("one token (theory)", "单个 token（理论）"), biases, zero, BLUE, dash="dot"),
        Line(Text("all tokens (theory)", "所有 token（理论）"), biases, zero**params.tokens, ORANGE, dash="dot"),
    ]
    clouds = [
        Line(Text("one, measured", "单个，实测"), [params.bias], [result.zeros], BLUE),
        Line(Text("all, measured", "所有，实测"), [params.bias], [result.dead], ORANGE),
    ]
    name = NAMES[params.activation]
    share = Text("share of zeros", "为零的占比")
    if params.activation != "relu":
        share = Text("zero (theory: ReLU)", "为零的占比（理论：ReLU）")
    axes = Axis(Text("bias b", "偏置 b")), Axis(share, range=(-0.05, 1.05))
    return Picture(
        "dead",
        Text(
            f"{name}, bias {bias}: {result.zeros:.1%} of all outputs are zero, but {result.dead:.1%} of the "
            f"units are zero on all {params.tokens} tokens",
            f"{name}，偏置 {bias}：输出有 {result.zeros:.1%} 为零，"
            f"而在全部 {params.tokens} 个 token 上都为零的神经元占 {result.dead:.1%}",
        )
        if params.activation == "relu"
        else Text(
            f"{name}, bias {bias}: {result.dead:.1%} of the units have zero gradient on all tokens",
            f"{name}，偏置 {bias}：在所有 token 上梯度都为零的神经元占 {result.dead:.1%}",
        ),
        Text(
            f"Share of zero outputs and of dead units against the bias; measured {result.zeros:.4f} and "
            f"{result.dead:.4f} at bias {bias}.",
            f"零输出和死神经元的占比随偏置的变化；偏置 {bias} 处实测 {result.zeros:.4f} 和 {result.dead:.4f}。",
        ),
        charts.scatter(clouds, *axes, along=series),
    )


def curve_picture(result: "Result") -> Picture:
    """The activation function and its derivative."""
    z, f, slope = result.curve
    name, low = NAMES[result.params.activation], int(f.argmin())
    left = slope[(z + 1).abs().argmin()].item()
    at, lowest, place = (text.replace("-", "−") for text in (f"{left:z.3f}", f"{f[low]:.3f}", f"{z[low]:.2f}"))
    title = Text(f"{name}: the gradient is {left:.2g} for every z < 0", f"{name}：所有 z < 0 处的梯度都是 {left:.2g}")
    if result.params.activation in ("gelu", "silu"):
        title = Text(
            f"{name} dips to {lowest} at z = {place}, and its gradient at z = −1 is {at}, not zero",
            f"{name} 在 z = {place} 处最低，为 {lowest}；z = −1 处的梯度是 {at}，不为零",
        )
    series = [
        Line(Text("f(z)", "f(z)"), z, f, BLUE),
        Line(Text("derivative f′(z)", "导数 f′(z)"), z, slope, ORANGE, dash="dash"),
    ]
    alt = Text(
        f"Curve of {name} and its derivative from −6 to 6; lowest value {lowest}.",
        f"{name} 及其导数在 −6 到 6 上的曲线；最小值 {lowest}。",
    )
    axes = Axis(Text("pre-activation z", "预激活 z")), Axis(Text("value", "数值"), range=(-1.5, 6.0))
    return Picture("curve", title, alt, charts.lines(series, *axes))


def parameter_picture(result: "Result") -> Picture:
    """Where the parameters of one layer are."""
    counts, params = result.parameters, result.params
    total = sum(counts.values())
    share = counts["ffn"] / total
    names = [
        Text("attention", "注意力") if params.attentions == 1 else Text("two attentions", "两个注意力"),
        Text("gated FFN", "门控 FFN") if params.gated else Text("FFN", "FFN"),
        Text("norms", "归一化"),
    ]
    millions = [count / 1e6 for count in counts.values()]
    return Picture(
        "parameters",
        Text(
            f"The FFN ({params.model} → {params.hidden} → {params.model}) holds {share:.1%} of the layer's {total:,} "
            "parameters",
            f"FFN（{params.model} → {params.hidden} → {params.model}）占这一层 {total:,} 个参数的 {share:.1%}",
        ),
        Text(
            f"Bars: attention {counts['attention']:,}, FFN {counts['ffn']:,}, norms {counts['norms']:,} parameters.",
            f"条形图：注意力 {counts['attention']:,}、FFN {counts['ffn']:,}、归一化 {counts['norms']:,} 个参数。",
        ),
        charts.named_bars(names, millions, Text("parameters (millions)", "参数（百万）"), [BLUE, ORANGE, GREY]),
    )


def compute_picture(result: "Result") -> Picture:
    """Who takes which share of the FLOPs as the sequence grows."""
    params = result.params
    lengths, costs = result.lengths, torch.tensor(result.costs, dtype=torch.float64)
    shares = costs / costs.sum(1, keepdim=True)  # (length, part)
    now = shares[lengths.index(params.length)]
    series = [
        Line(Text("FFN", "FFN"), lengths, shares[:, 2], ORANGE, markers=True),
        Line(Text("attention: projections", "注意力：投影"), lengths, shares[:, 0], BLUE, dash="dot"),
        Line(Text("attention: scores and sums", "注意力：分数与加权和"), lengths, shares[:, 1], GREEN),
    ]
    products, whole = result.crossovers
    guides = [Guide(params.length, "", vertical=True), Guide(products, f"{products:,}", vertical=True)]
    overtakes = Text(f"attention as a whole catches up at T = {whole:,}", f"注意力整体到 T = {whole:,} 追上它")
    if whole <= 1:
        overtakes = Text("attention as a whole takes more at every length", "注意力整体在任何长度上都比它多")
    return Picture(
        "compute",
        Text(
            f"At T = {params.length:,} the FFN takes {now[2]:.1%} of the compute; {overtakes.en}, its quadratic part "
            f"alone at {products:,}",
            f"T = {params.length:,} 时 FFN 占计算量的 {now[2]:.1%}；{overtakes.zh}，光是平方项要到 {products:,}",
        ),
        Text(
            f"Shares of the FLOPs against length; at {params.length}: FFN {now[2]:.3f}, projections {now[0]:.3f}, "
            f"scores and sums {now[1]:.3f}.",
            f"FLOPs 占比随长度的变化；长度 {params.length} 时：FFN {now[2]:.3f}，投影 {now[0]:.3f}，"
            f"分数与加权和 {now[1]:.3f}。",
        ),
        charts.lines(
            series,
            Axis(Text("sequence length T", "序列长度 T"), log=True, ticks=lengths[::3]),
            Axis(Text("share of FLOPs", "FLOPs 占比"), range=(0, 1)),
            guides,
        ),
    )
