"""The figures of `norm_and_residual`."""

from typing import TYPE_CHECKING

import torch

from demos.kit import charts
from demos.kit.charts import BLUE, GREEN, GREY, ORANGE, PURPLE, Axis, Guide, Line
from demos.kit.contract import Picture
from language import Text, same

if TYPE_CHECKING:
    from demos.norm_and_residual import Result

NAMES = {
    "pre": (Text("both, Pre-LN", "都有，Pre-LN"), BLUE),
    "post": (Text("both, Post-LN", "都有，Post-LN"), PURPLE),
    "no_skip": (Text("no skip", "无残差"), GREY),
    "no_norm": (Text("no norm", "无归一化"), ORANGE),
    "zero": (Text("no norm, start at 0", "无归一化，从 0 开始"), GREEN),
}
LAST = 15  # steps whose accuracy is averaged
MERGED = 1e-3  # tokens closer than this are drawn at the floor


def pictures(result: "Result") -> list[Picture]:
    """The stack taken apart, training, its cause before the first step, and LayerNorm by itself."""
    return [parts_picture(result), training_picture(result), start_picture(result), norm_picture(result)]


def percent(share: float) -> str:
    """A share as a reader would say it: 25% or 0.12%."""
    return f"{share:.0%}" if share >= 0.1 else f"{100 * share:.2g}%"


def parts_picture(result: "Result") -> Picture:
    """How much of the final output came from the input and from each sub-layer."""
    pre, post = (stack.sizes.log().mean(-1).exp() for stack in (result.pre, result.post))  # (part,)
    places, sublayers = torch.arange(len(pre)), len(pre) - 1
    kept, left = percent(pre[0].item()), percent(post[0].item())
    halving = 2 ** ((places - sublayers) / 2)
    return Picture(
        "parts",
        Text(
            f"Followed along the skips, the input is {kept} of Pre-LN's output and {left} of Post-LN's after "
            f"{sublayers} sub-layers",
            f"沿残差跟踪 {sublayers} 个子层，输入在 Pre-LN 的输出中占 {kept}，在 Post-LN 中占 {left}",
        ),
        Text(
            f"Size of each part relative to the output, log scale. Pre-LN: input {pre[0]:.3f}, last branch "
            f"{pre[-1]:.3f}. Post-LN: input {post[0]:.2g}, last branch {post[-1]:.3f}.",
            f"各部分相对于输出的大小（对数坐标）。Pre-LN：输入 {pre[0]:.3f}，最后一个分支 {pre[-1]:.3f}。"
            f"Post-LN：输入 {post[0]:.2g}，最后一个分支 {post[-1]:.3f}。",
        ),
        charts.lines(
            [
                Line(same("Pre-LN"), places, pre, BLUE, markers=True),
                Line(same("Post-LN"), places, post, PURPLE, markers=True),
                Line(Text("× √2 per sub-layer", "每个子层 × √2"), places, halving, GREY, dash="dot"),
            ],
            Axis(Text("sub-layer that added the part (0: the input)", "加入该部分的子层（0 为输入）")),
            Axis(Text("size relative to the output", "相对于输出的大小"), log=True),
        ),
    )


def training_picture(result: "Result") -> Picture:
    """Accuracy by step for the five wirings."""
    accuracy = result.training.accuracy.unflatten(-1, (-1, 5)).mean(-1)  # (wiring, five steps)
    steps = 5 * torch.arange(1, accuracy.shape[-1] + 1)
    ends = dict(zip(result.wirings, result.training.accuracy[:, -LAST:].mean(-1).tolist(), strict=True))
    told = {name: f"{end:.0%}" for name, end in ends.items()}
    return Picture(
        "training",
        Text(
            f"{result.params.trained} layers, accuracy at the end: Pre-LN {told['pre']}, Post-LN {told['post']}, "
            f"without skips {told['no_skip']}, without norm {told['no_norm']}",
            f"{result.params.trained} 层，最后的正确率：Pre-LN {told['pre']}，Post-LN {told['post']}，"
            f"没有残差 {told['no_skip']}，没有归一化 {told['no_norm']}",
        ),
        Text(
            "Accuracy by training step; at the end: " + ", ".join(f"{NAMES[name][0].en} {told[name]}" for name in told),
            "正确率随训练步数的变化；最后：" + "，".join(f"{NAMES[name][0].zh} {told[name]}" for name in told),
        ),
        charts.lines(
            [
                Line(NAMES[name][0], steps, row, NAMES[name][1])
                for name, row in zip(result.wirings, accuracy, strict=True)
            ],
            Axis(Text("training step", "训练步数")),
            Axis(Text("accuracy", "正确率"), range=(0, 1.05)),
            (Guide(1 / 12, Text("chance", "瞎猜")),),
        ),
    )


def start_picture(result: "Result") -> Picture:
    """Scale and token differences of the same networks before the first step, layer by layer."""
    sizes, apart = result.training.sizes, result.training.apart.clamp(min=MERGED)  # (wiring, layer)
    by_name = dict(zip(result.wirings, zip(sizes[:, -1], result.training.apart[:, -1], strict=True), strict=True))
    merged, grown = by_name["no_skip"][1].item(), by_name["no_norm"][0].item()
    differ = "less than 0.001" if merged < MERGED else f"{merged:.2g}"
    differ_zh = "不到 0.001" if merged < MERGED else f" {merged:.2g}"
    told = [(NAMES[name][0], f"{size:.2g}", f"{gap:.2g}") for name, (size, gap) in by_name.items()]
    return Picture(
        "start",
        Text(
            f"Before the first step: without skips the tokens differ by {differ}; without norm the stream grows "
            f"to {grown:.0f}",
            f"第一步之前：没有残差，token 之间相差{differ_zh}；没有归一化，残差流涨到 {grown:.0f}",
        ),
        Text(
            "After the last layer, size of the stream and 1 − cosine between tokens: "
            + ", ".join(f"{name.en} {size} and {gap}" for name, size, gap in told),
            "最后一层之后，残差流的大小和 token 间的 1 − 余弦："
            + "，".join(f"{name.zh} {size} 和 {gap}" for name, size, gap in told),
        ),
        charts.lines(
            [
                Line(NAMES[name][0], size, gap, NAMES[name][1], markers=True)
                for name, size, gap in zip(result.wirings, sizes, apart, strict=True)
            ],
            Axis(Text("root mean square of the stream", "残差流的均方根"), log=True, ticks=(1, 3, 10, 30, 100)),
            Axis(
                Text("1 − cosine between tokens", "token 间的 1 − 余弦"),
                log=True,
                ticks=(1, 0.1, 0.01, MERGED),
                tick_texts=("1", "0.1", "0.01", "≤ 0.001"),
            ),
        ),
    )


def norm_picture(result: "Result") -> Picture:
    """Output and gradient of one LayerNorm against the scale of its input."""
    probe, scales = result.probe, result.scales
    relative = probe.gradients / probe.gradients[len(scales) // 2]
    floor = 1e-5**0.5
    return Picture(
        "norm",
        Text(
            f"One LayerNorm: at 100 times the input the output is {probe.outputs[24]:.2f} as before, the gradient "
            f"{relative[24]:.2g} of before",
            f"单个 LayerNorm：输入变成 100 倍，输出仍是 {probe.outputs[24]:.2f}，梯度变为原来的 {relative[24]:.2g}",
        ),
        Text(
            f"Output and gradient against input scale, log axes. At scale 0.0001 the output is {probe.outputs[0]:.2g} "
            f"and the gradient {relative[0]:.3g} times that at 1.",
            f"输出和梯度随输入尺度的变化（对数坐标）。尺度 0.0001 时，输出 {probe.outputs[0]:.2g}，"
            f"梯度是尺度为 1 时的 {relative[0]:.3g} 倍。",
        ),
        charts.lines(
            [
                Line(Text("output", "输出"), scales, probe.outputs, BLUE),
                Line(Text("gradient", "梯度"), scales, relative, ORANGE),
            ],
            Axis(
                Text("scale of the input", "输入的尺度"),
                log=True,
                ticks=(1e-4, 1e-2, 1, 100, 1e4),
                tick_texts=("10⁻⁴", "0.01", "1", "100", "10⁴"),
            ),
            Axis(
                Text("relative to scale 1", "相对于尺度 1"),
                log=True,
                ticks=(1e-4, 1e-2, 1, 100),
                tick_texts=("10⁻⁴", "0.01", "1", "100"),
            ),
            (Guide(floor, Text("√ε", "√ε"), vertical=True),),
        ),
    )
