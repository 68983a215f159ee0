"""The figures of `multi_head`."""

from typing import TYPE_CHECKING

import torch

from demos.kit import charts
from demos.kit.charts import BLUE, GREEN, GREY, ORANGE, Axis, Guide, Line
from demos.kit.contract import Picture
from language import Text

if TYPE_CHECKING:
    from demos.multi_head import Result


def pictures(result: "Result") -> list[Picture]:
    """Where heads look, what is missed, why, and what it costs."""
    why = training_picture(result) if len(result.losses) else mixture_picture(result)
    return [map_picture(result), error_picture(result), why, cost_picture(result)]


def signed(offset: int) -> str:
    """−1, 0, +1."""
    return f"{offset:+d}".replace("-", "−") if offset else "0"


def map_picture(result: "Result") -> Picture:
    """Mean weight of every head on every relative position."""
    heads, tokens, _ = result.maps.shape
    turned = torch.stack([result.maps[:, query].roll(-query, -1) for query in range(tokens)]).mean(0)
    seen = turned.roll(tokens // 2, -1)  # (head, relative position), the query itself in the middle
    top = seen.amax(-1)
    shift = range(-tokens // 2, tokens // 2)
    x = Axis(Text("key's position relative to the query", "key 相对 query 的位置"), ticks=range(0, tokens, 2))
    x = Axis(x.title, ticks=x.ticks, tick_texts=[signed(offset) for offset in list(shift)[::2]])
    y = Axis(Text("head", "头"), ticks=range(heads), tick_texts=[str(head + 1) for head in range(heads)])
    figure = charts.heatmap(seen, x, y, limits=(0.0, 1.0))
    figure["layout"]["height"] = 130 + 26 * heads
    which = Text("the largest weight", "最大的权重")
    if len(result.losses):
        which = Text("the largest weight, averaged over the queries,", "最大的权重（对各 query 取平均）")
    return Picture(
        "maps",
        Text(
            f"{heads} {'head gives' if heads == 1 else 'heads give'} every query {heads} weighted "
            f"{'average' if heads == 1 else 'averages'}; {which.en} is {top.max():.2f}",
            f"{heads} 个头，每个 query 得到 {heads} 个加权平均；{which.zh}是 {top.max():.2f}",
        ),
        Text(
            f"Heat map of {heads} heads by relative position; top weights {', '.join(f'{t:.2f}' for t in top)}.",
            f"{heads} 个头在各相对位置上的权重热力图，各头最大权重为 {'、'.join(f'{t:.2f}' for t in top)}。",
        ),
        figure,
    )


def error_picture(result: "Result") -> Picture:
    """The error of each target, with the floor."""
    heads, targets = result.params.heads, result.params.targets
    floor, mean = max(0.0, 1 - heads / targets), result.errors.mean().item()
    places = torch.arange(targets)
    names = [signed(offset) for offset in result.offsets[:targets]]
    listed = [f"{error:.2f}" for error in result.errors.tolist()]
    figure = charts.bars(
        [Line(Text("error", "误差"), places, result.errors, ORANGE)],
        Axis(
            Text("target's position relative to the query", "目标相对 query 的位置"),
            ticks=places.tolist(),
            tick_texts=names,
        ),
        Axis(Text("share of variance missed", "未能还原的方差占比"), range=(0, 1.1)),
        [Guide(floor, Text(f"floor 1 − h/k = {floor:.2f}", f"下界 1 − h/k = {floor:.2f}"))],
    )
    bound = Text(f"no choice of weights gets below {floor:.2f}", f"怎么取权重都不会低于 {floor:.2f}")
    if heads >= targets:
        bound = Text("there are heads enough to reach 0", "头数够用，误差可以降到 0")
    return Picture(
        "errors",
        Text(
            f"Mean error {mean:.2f} with h = {heads}, k = {targets}; {bound.en}",
            f"h = {heads}、k = {targets} 时平均误差 {mean:.2f}，{bound.zh}",
        ),
        Text(
            f"Bars of the error of {targets} targets: {', '.join(listed)}; floor {floor:.2f}.",
            f"{targets} 个目标的误差条形图：{'、'.join(listed)}；下界 {floor:.2f}。",
        ),
        figure,
    )


def mixture_picture(result: "Result") -> Picture:
    """One head, two targets: what one gains the other loses."""
    share = torch.linspace(0, 1, len(result.mixture))
    first, second = result.mixture.unbind(-1)
    means = result.mixture.mean(-1)
    series = [
        Line(Text("first target", "第一个目标"), share, first, ORANGE),
        Line(Text("second target", "第二个目标"), share, second, GREEN),
        Line(Text("mean of both", "两者平均"), share, means, BLUE),
    ]
    x = Axis(Text("share of one head's weight on the first target", "单头给第一个目标的权重"))
    low, high = means.min().item(), means.max().item()
    return Picture(
        "mixture",
        Text(
            f"One head, two targets: what one gains the other loses; the mean stays at {means.mean():.2f}",
            f"一个头、两个目标：此消彼长，平均误差停在 {means.mean():.2f}",
        ),
        Text(
            f"Two crossing error curves and their mean, which stays between {low:.3f} and {high:.3f}.",
            f"两条交叉的误差曲线，平均值始终在 {low:.3f} 与 {high:.3f} 之间。",
        ),
        charts.lines(series, x, Axis(Text("share of variance missed", "未能还原的方差占比"), range=(0, 1.05))),
    )


def training_picture(result: "Result") -> Picture:
    """Loss of the trained layer; gradient descent has the same floor."""
    losses, steps = result.losses, torch.arange(1, len(result.losses) + 1)
    floor = max(0.0, 1 - result.params.heads / result.params.targets)
    end = losses[-20:].mean().item()
    return Picture(
        "training",
        Text(
            f"Gradient descent meets the same floor: Adam ends at {end:.2f}, 1 − h/k is {floor:.2f}",
            f"梯度下降也绕不过这个下界：Adam 最后停在 {end:.2f}，1 − h/k 是 {floor:.2f}",
        ),
        Text(f"Loss over {len(steps)} steps, ending at {end:.3f}.", f"{len(steps)} 步的损失曲线，最后为 {end:.3f}。"),
        charts.lines(
            [Line(Text("training loss", "训练损失"), steps, losses, BLUE)],
            Axis(Text("step", "步数")),
            Axis(Text("mean squared error", "均方误差"), range=(0, max(1.1, losses.max().item()))),
            [Guide(floor, Text("floor 1 − h/k", "下界 1 − h/k"))],
        ),
    )


def cost_picture(result: "Result") -> Picture:
    """Cost relative to one head."""
    heads, cost = result.head_counts, result.cost
    parameters, flops, weights = (part / part[0] for part in (cost.parameters, cost.flops, cost.weights))
    series = [
        Line(Text("attention weights", "注意力权重个数"), heads, weights, ORANGE, markers=True),
        Line(Text("parameters", "参数量"), heads, parameters, GREY, markers=True),
        Line(Text("matrix-multiply FLOPs", "矩阵乘法 FLOPs"), heads, flops, BLUE, dash="dot"),
    ]
    x = Axis(Text("heads", "头数"), log=True, ticks=heads)
    y = Axis(Text("relative to one head", "与单头之比"), log=True, ticks=heads)
    tokens, width = result.cost_shape
    return Picture(
        "cost",
        Text(
            f"From 1 to {heads[-1]} heads: parameters × {parameters[-1]:g}, FLOPs × {flops[-1]:g}, "
            f"attention weights × {weights[-1]:g}",
            f"从 1 个头到 {heads[-1]} 个头：参数量 × {parameters[-1]:g}，FLOPs × {flops[-1]:g}，"
            f"注意力权重个数 × {weights[-1]:g}",
        ),
        Text(
            f"Cost against heads for {tokens} tokens of width {width}: two flat lines, one rising to {weights[-1]:g}.",
            f"{tokens} 个宽度为 {width} 的 token，成本随头数的变化：两条平线，一条升到 {weights[-1]:g}。",
        ),
        charts.lines(series, x, y, [Guide(result.params.heads, "", vertical=True)]),
    )
