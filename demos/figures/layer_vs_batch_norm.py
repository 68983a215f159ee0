"""The figures of `layer_vs_batch_norm`."""

from typing import TYPE_CHECKING

import torch

from demos.kit import charts
from demos.kit.charts import BLUE, GREY, ORANGE, Axis, Line
from demos.kit.contract import Picture
from language import Text

if TYPE_CHECKING:
    from demos.layer_vs_batch_norm import Result

NAMES = {"layer": "LayerNorm", "batch": "BatchNorm", "rms": "RMSNorm"}
POINTS = 150  # each costs the browser time while a slider moves


def pictures(result: "Result") -> list[Picture]:
    """Other samples, padding, the future; then depth."""
    return [mates_picture(result), padding_picture(result), influence_picture(result), depth_picture(result)]


def mates_picture(result: "Result") -> Picture:
    """Outputs of sample 0 before and after the other samples change."""
    real = result.params.real_length
    before, after = (x[0, :real].flatten()[:POINTS] for x in (result.outputs, result.outputs_after))
    moved = (after - before).abs().mean().item()
    name = NAMES[result.params.normaliser]
    if result.params.batch == 1 or not result.params.change_mates:
        title = Text(
            "No other sample changed, so sample 0 stays on the diagonal", "其他样本没有变化，样本 0 留在对角线上"
        )
    elif moved > 0:
        title = Text(
            f"Sample 0 did not change, yet {name} moved its outputs by {moved:.2f} on average",
            f"样本 0 没有改动，{name} 却让它的输出平均移动了 {moved:.2f}",
        )
    else:
        title = Text(
            f"The other samples changed; under {name} sample 0 stays on the diagonal exactly",
            f"其他样本变了；用 {name} 时样本 0 分毫不差地留在对角线上",
        )
    ends = torch.stack([torch.minimum(before, after).min(), torch.maximum(before, after).max()])
    cloud = Line(Text("outputs of sample 0", "样本 0 的输出"), before, after)
    diagonal = Line(Text("unchanged", "不变"), ends, ends, GREY, dash="dot")
    x, y = Axis(Text("output before", "改动前的输出")), Axis(Text("output after", "改动后的输出"))
    alt = Text(
        f"Scatter of sample 0's outputs before and after; mean absolute difference {moved:.3f}.",
        f"样本 0 改动前后输出的散点图；平均绝对差 {moved:.3f}。",
    )
    return Picture("mates", title, alt, charts.scatter([cloud], x, y, along=[diagonal]))


def padding_picture(result: "Result") -> Picture:
    """The normalised real tokens against the standard normal density."""
    params = result.params
    real = result.outputs[:, : params.real_length]  # (sample, position, feature)
    if params.outlier and params.real_length > 1:
        real = real[:, 1:]  # the outlier is at position 0
    mean, spread, name = real.mean().item(), real.std(correction=0).item(), NAMES[params.normaliser]
    numbers = f"{mean:z.2f}", f"{spread:.2f}"  # z: no "-0.00"
    return Picture(
        "padding",
        Text(
            f"After {name}, with {params.padding:.0%} padding, the real tokens have mean {numbers[0]} and standard "
            f"deviation {numbers[1]}",
            f"padding 占 {params.padding:.0%} 时，经过 {name} 的真实 token 均值为 {numbers[0]}，标准差为 {numbers[1]}",
        ),
        Text(
            f"Histogram of the real tokens beside the standard normal curve: mean {mean:z.3f}, deviation {spread:.3f}.",
            f"归一化后真实 token 的直方图与标准正态曲线：均值 {mean:z.3f}，标准差 {spread:.3f}。",
        ),
        charts.histogram(real, Text("real tokens", "真实 token"), Axis(Text("value after the norm", "归一化后的数值"))),
    )


def influence_picture(result: "Result") -> Picture:
    """Which input tokens one output token depends on."""
    params, influence = result.params, result.influence
    reached, cells = int((influence > 0).sum()), influence.numel()
    future = int((influence[0, params.probe + 1 :] > 0).sum())
    others = influence.clone()
    others[0, params.probe] = 0
    reach = (others if reached > 1 else influence).max().item()
    title = Text(
        f"One output token depends on {reached} of {cells} input tokens, {future} of them in its own future",
        f"一个输出 token 依赖 {cells} 个输入 token 中的 {reached} 个，其中 {future} 个在它自己的未来",
    )
    if reached == 1:
        title = Text(
            f"One output token depends on one of {cells} input tokens: itself",
            f"{cells} 个输入 token 中，一个输出 token 只依赖它自己",
        )
    x = Axis(Text("position of the input token", "输入 token 的位置"))
    y = Axis(Text("sample", "样本"))
    alt = Text(
        f"Map of gradient sizes over samples and positions for the output at sample 0, position {params.probe}: "
        f"{reached} cells are not zero.",
        f"样本 0、位置 {params.probe} 的输出对各样本、各位置的梯度大小：{reached} 格不为零。",
    )
    return Picture("influence", title, alt, charts.heatmap(influence, x, y, limits=(0.0, reach)))


def depth_picture(result: "Result") -> Picture:
    """The last FFN's gradient by depth for both places of LayerNorm; the chosen one is solid."""
    depth, wiring = result.params.layers, result.params.wiring
    layers = torch.arange(1, depth + 1)
    post, pre = result.gradients[:, :depth]
    growth = (result.variances[1, depth - 1] / result.variances[1, 0]).item()
    series = [
        Line("Post-LN", layers, post, ORANGE, dash="solid" if wiring == "post" else "dot", markers=wiring == "post"),
        Line("Pre-LN", layers, pre, BLUE, dash="solid" if wiring == "pre" else "dot", markers=wiring == "pre"),
        Line(Text("slope −½", "斜率 −½"), layers, pre[0] / layers.sqrt(), GREY, dash="dash"),
    ]
    titles = {
        "post": Text(
            f"Post-LN: the last FFN's gradient is {post[0]:.2f} with one layer and {post[-1]:.2f} with {depth}",
            f"Post-LN：最后一层 FFN 的梯度，1 层时为 {post[0]:.2f}，{depth} 层时为 {post[-1]:.2f}",
        ),
        "pre": Text(
            f"Pre-LN: over {depth} layers the stream's variance grows {growth:.0f}-fold and the last FFN's gradient "
            f"falls from {pre[0]:.2f} to {pre[-1]:.2f}",
            f"Pre-LN：叠到 {depth} 层，残差流的方差增至 {growth:.0f} 倍，"
            f"最后一层 FFN 的梯度从 {pre[0]:.2f} 降到 {pre[-1]:.2f}",
        ),
    }
    alt = Text(
        f"Gradient of the last FFN against depth, log axes: Post-LN {post[-1]:.3f}, Pre-LN {pre[-1]:.3f} at {depth}.",
        f"最后一层 FFN 的梯度随层数的变化（对数坐标）；{depth} 层时 Post-LN {post[-1]:.3f}，Pre-LN {pre[-1]:.3f}。",
    )
    x = Axis(Text("layers", "层数"), log=True, ticks=(1, 2, 4, 6, 12, 24))
    y = Axis(Text("size of the gradient", "梯度的大小"), log=True, ticks=(0.1, 0.2, 0.5, 1))
    return Picture("depth", titles[wiring], alt, charts.lines(series, x, y))
