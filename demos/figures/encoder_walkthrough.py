"""The figures of `encoder_walkthrough`."""

from typing import TYPE_CHECKING

import torch

from demos.kit import charts
from demos.kit.charts import BLUE, GREEN, ORANGE, Axis, Guide, Line
from demos.kit.contract import Picture
from language import Text

if TYPE_CHECKING:
    from demos.encoder_walkthrough import Result

KEY, FEATURE, TOKEN = Text("key", "key（第几个 token）"), Text("feature", "特征"), Text("token", "第几个 token")
STEPS = (
    (Text("embeddings from the table", "查表得到的词嵌入"), FEATURE),
    (Text("embeddings × √d_model", "词嵌入 × √d_model"), FEATURE),
    (Text("the layer's input", "层的输入"), FEATURE),
    (Text("queries of head 1", "第 1 个头的 query"), FEATURE),
    (Text("scores of head 1", "第 1 个头的分数"), KEY),
    (Text("attention weights of head 1", "第 1 个头的注意力权重"), KEY),
    (Text("attention output after W_O", "经过 W_O 的注意力输出"), FEATURE),
    (Text("after the attention sub-layer", "自注意力子层之后"), FEATURE),
    (Text("after the FFN sub-layer: the output", "FFN 子层之后，即输出"), FEATURE),
)
MOVED = 1e-6
WEIGHTS = 6  # the step that shows attention weights


def pictures(result: "Result") -> list[Picture]:
    """The tensor of the step, who moves, depth, and where the parameters are."""
    return [step_picture(result), moved_picture(result), depth_picture(result), parameter_picture(result)]


def step_picture(result: "Result") -> Picture:
    """The tensor at the chosen step."""
    number = result.params.step
    (name, columns), values = STEPS[number - 1], result.steps[number - 1]
    rows, width = values.shape
    rms = values.square().mean().sqrt().item()
    shape = f"{rows} × {width}"
    see = Text(f"root mean square {rms:.2f}", f"均方根 {rms:.2f}")
    if number == WEIGHTS:
        see = Text(f"every row sums to 1, largest {values.max():.2f}", f"每行之和为 1，最大 {values.max():.2f}")
    title = Text(
        f"Step {number} of 9, {name.en}: {shape}, {see.en}",
        f"第 {number} 步（共 9 步），{name.zh}：{shape}，{see.zh}",
    )
    alt = Text(
        f"Heatmap of {shape} numbers, root mean square {rms:.3f}, largest size {values.abs().max():.2f}.",
        f"{shape} 的热图，均方根 {rms:.3f}，绝对值最大 {values.abs().max():.2f}。",
    )
    x = counted(columns, width) if columns is KEY else Axis(columns)
    figure = charts.heatmap(values, x, counted(TOKEN, rows), diverging=number != WEIGHTS)
    return Picture("step", title, alt, figure)


def counted(title: Text, count: int) -> Axis:
    """An axis of tokens, counted from 1 like the knob."""
    step = 1 if count <= 6 else 2 if count <= 16 else 5
    places = range(step - 1, count, step)
    return Axis(title, ticks=places, tick_texts=[str(place + 1) for place in places])


def moved_picture(result: "Result") -> Picture:
    """How far each token's output moves when one token is changed."""
    counts = (result.moved > MOVED).sum(-1).tolist()
    n = result.params.tokens
    at = torch.arange(1, n + 1)
    names = (Text("attention", "自注意力"), Text("FFN", "FFN"), Text("LayerNorm", "LayerNorm"))
    series = [
        Line(name, at, moved, color)
        for name, moved, color in zip(names, result.moved, (BLUE, ORANGE, GREEN), strict=True)
    ]
    changed = min(result.params.changed, n)
    title = Text(
        f"Only token {changed} changed: attention moves {counts[0]} of {n} outputs, FFN {counts[1]}, "
        f"LayerNorm {counts[2]}",
        f"只改动第 {changed} 个 token：自注意力有 {counts[0]} 个输出变了（共 {n} 个），FFN {counts[1]} 个，"
        f"LayerNorm {counts[2]} 个",
    )
    others = result.moved[0][at != changed].mean().item()
    alt = Text(
        f"Bars of the largest change per token; attention moves the other tokens by {others:.2f} on average.",
        f"每个 token 最大变化的柱状图；自注意力让其他 token 平均变化 {others:.2f}。",
    )
    y = Axis(Text("largest change of a feature", "特征的最大变化"))
    return Picture("moved", title, alt, charts.bars(series, Axis(TOKEN), y))


def depth_picture(result: "Result") -> Picture:
    """Similarity of tokens by depth, with and without residuals."""
    depth = result.params.depth
    layers = torch.arange(1, result.similarity.shape[1] + 1)
    off, on = result.similarity
    series = [
        Line(Text("no residuals", "没有残差"), layers, off, ORANGE, markers=True),
        Line(Text("residuals", "有残差"), layers, on, BLUE, markers=True),
    ]
    here = off[depth - 1].item(), on[depth - 1].item()
    title = Text(
        f"After layer {depth}, two tokens have cosine {here[0]:.3f} without residuals and {here[1]:.3f} with them",
        f"第 {depth} 层之后，两个 token 的余弦：没有残差 {here[0]:.3f}，有残差 {here[1]:.3f}",
    )
    alt = Text(
        f"Mean cosine of two tokens against depth. Without residuals it is {off[0]:.2f} after one layer and "
        f"{off[-1]:.3f} after twelve; with them {on[0]:.2f} and {on[-1]:.2f}.",
        f"两个 token 的平均余弦随深度的变化。没有残差时一层后 {off[0]:.2f}、十二层后 {off[-1]:.3f}；"
        f"有残差时分别为 {on[0]:.2f} 和 {on[-1]:.2f}。",
    )
    y = Axis(Text("mean cosine of two tokens", "两个 token 的平均余弦"), range=(-0.05, 1.05))
    figure = charts.lines(series, Axis(Text("layers", "层数")), y, [Guide(depth, "", vertical=True)])
    return Picture("depth", title, alt, figure)


def parameter_picture(result: "Result") -> Picture:
    """Parameters by part."""
    parts = result.parameters
    total = sum(parts.values())
    names = (Text("attention", "自注意力"), Text("FFN", "FFN"), Text("LayerNorms", "LayerNorm"))
    title = Text(
        f"{parts['ffn'] / total:.1%} of this layer's {total:,} parameters are in the FFN",
        f"这一层共 {total:,} 个参数，{parts['ffn'] / total:.1%} 在 FFN 里",
    )
    alt = Text(
        f"Bars: attention {parts['attention']:,}, FFN {parts['ffn']:,}, LayerNorms {parts['norms']:,}.",
        f"柱状图：自注意力 {parts['attention']:,}，FFN {parts['ffn']:,}，LayerNorm {parts['norms']:,}。",
    )
    figure = charts.named_bars(names, list(parts.values()), Text("parameters", "参数量"), (BLUE, ORANGE, GREEN))
    figure["data"][0]["text"] = [f"{count:,}" for count in parts.values()]
    return Picture("parameters", title, alt, figure)
