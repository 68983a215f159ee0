"""The figures of `residual_stream`."""

from typing import TYPE_CHECKING, Any

import torch

from demos.kit import charts
from demos.kit.charts import BLUE, GREEN, GREY, ORANGE, PURPLE, Axis, Guide, Line
from demos.kit.contract import Picture
from language import Text, same

if TYPE_CHECKING:
    from demos.residual_stream import Result

NAMES = {
    "plain": (Text("no skip", "无残差"), GREY),
    "skip": (Text("skip only", "只有残差"), ORANGE),
    "pre": (same("Pre-LN"), BLUE),
    "post": (same("Post-LN"), PURPLE),
}
SMALLEST = 1e-30  # below this a log axis says no more
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def pictures(result: "Result") -> list[Picture]:
    """Gradient, stream, rank and training."""
    return [gradient_picture(result), stream_picture(result), collapse_picture(result), training_picture(result)]


def by_layer(result: "Result", values: torch.Tensor, title: Text) -> dict[str, Any]:
    """Four wirings over the layers; geometric mean over the networks, log scale."""
    layers = torch.arange(values.shape[-1])
    means = values.clamp(min=SMALLEST).log().mean(1).exp()  # (wiring, layer)
    series = [
        Line(NAMES[wiring][0], layers, means[index], NAMES[wiring][1]) for index, wiring in enumerate(result.wirings)
    ]
    figure = charts.lines(series, Axis(Text("block", "块")), Axis(title, log=True), (Guide(1, ""),))
    figure["layout"]["yaxis"] |= {"dtick": None, "exponentformat": "power", "nticks": 6}
    return figure


def times(value: float) -> str:
    """A factor as a reader would say it: 2,310 or 0.00041 or 4.4·10⁻²⁰."""
    if 100 <= value < 1e6:
        return f"{value:,.0f}"
    if 1e-4 <= value < 100:
        return f"{value:.2g}"
    digits, exponent = f"{value:.1e}".split("e")
    return f"{digits}·10{str(int(exponent)).translate(SUPERSCRIPTS)}"


def gradient_picture(result: "Result") -> Picture:
    """The gradient at every layer, relative to the output."""
    plain, skip, pre, post = (times(ratio) for ratio in result.gradients[:, :, 0].log().mean(1).exp().tolist())
    return Picture(
        "gradients",
        Text(
            f"At the input the gradient is × {plain} without skips, × {skip} with skips alone, × {pre} in Pre-LN",
            f"输入处的梯度：没有残差 × {plain}，只有残差 × {skip}，Pre-LN × {pre}",
        ),
        Text(
            f"Gradient by layer over that at the output; at the input {plain} without skips, {skip} with skips only, "
            f"{pre} in Pre-LN, {post} in Post-LN.",
            f"各层梯度与输出处之比；输入处：没有残差 {plain}，只有残差 {skip}，Pre-LN {pre}，Post-LN {post}。",
        ),
        by_layer(result, result.gradients, Text("gradient, relative to the output", "梯度（相对于输出处）")),
    )


def stream_picture(result: "Result") -> Picture:
    """The scale of the stream at every layer."""
    ends = result.streams[:, :, -1].log().mean(1).exp().tolist()
    plain, skip, pre, post = (times(end) for end in ends)
    title = Text(
        f"A skip alone does not control the scale: the stream reaches {skip}, in Pre-LN {pre}",
        f"光有残差管不住尺度：残差流达到 {skip}，Pre-LN 是 {pre}",
    )
    if result.params.branch != "one":
        title = Text(
            f"Scaled branches control the scale: the stream reaches {skip} with skips alone, {pre} in Pre-LN",
            f"缩放分支管住了尺度：只有残差时，残差流达到 {skip}，Pre-LN 是 {pre}",
        )
    return Picture(
        "stream",
        title,
        Text(
            f"Root mean square of the stream by layer; at the end {plain} without skips, {skip} with skips alone, "
            f"{pre} in Pre-LN, {post} in Post-LN.",
            f"各层残差流的均方根；最后：没有残差 {plain}，只有残差 {skip}，Pre-LN {pre}，Post-LN {post}。",
        ),
        by_layer(result, result.streams, Text("root mean square of x", "x 的均方根")),
    )


def collapse_picture(result: "Result") -> Picture:
    """How different the tokens are after each attention layer."""
    layers = torch.arange(result.collapse.shape[-1])
    alone, skip = result.collapse
    figure = charts.lines(
        [
            Line(Text("no skip", "无残差"), layers, alone, GREY, markers=True),
            Line(Text("skip", "有残差"), layers, skip, BLUE, markers=True),
        ],
        Axis(Text("attention layers", "注意力层数")),
        Axis(Text("share that differs", "各 token 不同的部分"), log=True),
    )
    figure["layout"]["yaxis"] |= {"dtick": 2, "exponentformat": "power"}
    return Picture(
        "collapse",
        Text(
            f"Attention alone makes all tokens the same: after 4 layers only a share of {times(alone[4].item())} "
            f"differs; with skips {skip[-1]:.0%} after 12",
            f"只有注意力，token 都变得一样：4 层之后不同的部分只剩 {times(alone[4].item())}；"
            f"有残差，12 层之后仍有 {skip[-1]:.0%} 不同",
        ),
        Text(
            f"Share of the tokens that differs from their mean: without skips {alone[6]:.1e} after 6 layers, with "
            f"skips {skip[-1]:.2f} after 12.",
            f"token 与均值不同的比例；没有残差，6 层后 {alone[6]:.1e}；有残差，12 层后 {skip[-1]:.2f}。",
        ),
        figure,
    )


def training_picture(result: "Result") -> Picture:
    """Training loss of shallow and deep networks under the four combinations."""
    names = [Text("neither", "都没有"), same("LN"), Text("skip", "残差"), Text("both", "两者都有")]
    shallow, deep = result.losses.flatten(0, 1).unbind(-1)  # (combination,) each
    places = torch.arange(4)
    return Picture(
        "training",
        Text(
            f"Deeper is worse without help ({shallow[0]:.2f} → {deep[0]:.2f}) and better with skip and LayerNorm "
            f"({shallow[3]:.2f} → {deep[3]:.2f})",
            f"什么都不加，越深越差（{shallow[0]:.2f} → {deep[0]:.2f}）；有残差和 LayerNorm，越深越好"
            f"（{shallow[3]:.2f} → {deep[3]:.2f}）",
        ),
        Text(
            "Training loss after 150 steps, depth 2 and 24: "
            + ", ".join(f"{name.en} {a:.3f} and {b:.3f}" for name, a, b in zip(names, shallow, deep, strict=True)),
            "150 步后的训练损失，深度 2 和 24："
            + "，".join(f"{name.zh} {a:.3f} 和 {b:.3f}" for name, a, b in zip(names, shallow, deep, strict=True)),
        ),
        charts.bars(
            [
                Line(Text("2 layers", "2 层"), places, shallow, GREEN),
                Line(Text("24 layers", "24 层"), places, deep, ORANGE),
            ],
            Axis(ticks=(0, 1, 2, 3), tick_texts=names),
            Axis(Text("training loss", "训练损失")),
        ),
    )
