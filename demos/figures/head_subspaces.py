"""The figures of `head_subspaces`."""

from typing import TYPE_CHECKING

import torch

from demos.kit import charts
from demos.kit.charts import BLUE, GREEN, ORANGE, PURPLE, Axis, Guide, Line
from demos.kit.contract import Picture
from language import Text

if TYPE_CHECKING:
    from demos.head_subspaces import Result

LAYOUTS = {
    "fused": Text("view, then transpose", "view 再 transpose"),
    "loop": Text("loop over heads", "逐头循环"),
    "view": Text("view without transpose", "只 view 不 transpose"),
    "slices": Text("cut the input first", "先切输入特征"),
}


def pictures(result: "Result") -> list[Picture]:
    """What one head reads, how the heads came about, and a trained layer: where its heads look, what each is worth."""
    made = [reads_picture(result)]
    if result.params.layout == "view":  # without the transpose a head has no subspace of its own
        made.append(stands_picture(result))
    elif result.params.heads > 1:
        made.append(overlap_picture(result))
    return [*made, looks_picture(result), ablation_picture(result)]


def spaced(count: int) -> list[int]:
    """At most eight places of `count` for ticks."""
    return list(range(0, count, max(1, (count + 7) // 8)))


def counted(count: int, name: str) -> str:
    """1 token, 2 tokens."""
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


def percent(share: float) -> str:
    """100%, 99.5%, 12.5%."""
    return f"{100 * share:.3g}%"


def reads_picture(result: "Result") -> Picture:
    """How strongly one head depends on each number of X."""
    reads, head = result.reads, result.params.shown + 1
    tokens, features = int(reads.any(1).sum()), int(reads.any(0).sum())
    n, d = reads.shape
    x, y = numbered(Text("input feature", "输入特征"), d), numbered(Text("token", "token 序号"), n)
    figure = charts.heatmap(reads, x, y)
    figure["layout"]["height"] = 130 + 14 * max(n, 5)
    return Picture(
        "reads",
        Text(
            f"Head {head} reads {tokens} of {counted(n, 'token')} and {features} of {d} features",
            f"第 {head} 个头读到 {n} 个 token 中的 {tokens} 个、{d} 个特征中的 {features} 个",
        ),
        Text(
            f"Heat map of the derivative of head {head} with respect to X: {tokens} rows and {features} columns are "
            "not zero.",
            f"第 {head} 个头的输出对 X 的导数热力图：非零的有 {tokens} 行、{features} 列。",
        ),
        figure,
    )


def numbered(name: Text, count: int) -> Axis:
    """An axis of things counted from 1."""
    return Axis(name, ticks=spaced(count), tick_texts=[str(place + 1) for place in spaced(count)])


def stands_picture(result: "Result") -> Picture:
    """Which token stands in each row of each head."""
    token = result.stands + 1  # (head, row), counted from 1
    heads, rows = token.shape
    first = [int(number) for number in token[0].tolist()]
    texts = [[f"{number:.0f}" for number in row] for row in token.tolist()] if rows <= 8 else None
    x, y = numbered(Text("row inside the head", "头内的行号"), rows), numbered(Text("head", "头"), heads)
    figure = charts.heatmap(token, x, y, limits=(-1.5 * rows, rows), texts=texts)  # strong enough for white numbers
    figure["data"][0]["showscale"] = False
    figure["layout"]["height"] = 130 + 24 * max(heads, 3)
    if first == list(range(1, rows + 1)):
        title = Text("With one head or one token nothing is out of place", "只有一个头或一个 token 时，没有数放错位置")
    else:
        title = Text(
            f"The {rows} rows of head 1 are pieces of only {counted(len(set(first)), 'token')}",
            f"第 1 个头的 {rows} 行其实只是 {len(set(first))} 个 token 的碎片",
        )
    return Picture(
        "stands",
        title,
        Text(
            f"Token number in every row of {counted(heads, 'head')}; in head 1: {', '.join(map(str, first))}.",
            f"{heads} 个头各行对应的 token 编号；第 1 个头依次为 {'、'.join(map(str, first))}。",
        ),
        figure,
    )


def overlap_picture(result: "Result") -> Picture:
    """How much of one head's query subspace lies in another's."""
    overlap, heads = result.overlap, result.params.heads
    mean = (overlap.sum() - overlap.trace()).item() / (heads * (heads - 1))
    axis = numbered(Text("head", "头"), heads)
    figure = charts.heatmap(overlap, axis, axis, limits=(0.0, 1.0))
    figure["layout"]["height"] = 150 + 26 * max(heads, 4)
    if result.params.layout == "slices":
        title = Text(
            "Cut the input and no subspace overlaps another: no two heads read the same feature",
            "先切输入，各头的子空间就毫无重叠：没有两个头读同一个特征",
        )
    else:
        title = Text(
            f"Query subspaces overlap: on average {mean:.0%} of one lies in another",
            f"各头的 query 子空间互相重叠：平均有 {mean:.0%} 落在另一个头的子空间里",
        )
    return Picture(
        "overlap",
        title,
        Text(
            f"Heat map of the overlap of {heads} query subspaces; {mean:.2f} on average off the diagonal.",
            f"{heads} 个 query 子空间两两重叠的热力图，非对角线上平均为 {mean:.2f}。",
        ),
        figure,
    )


def looks_picture(result: "Result") -> Picture:
    """Mean weight of every trained head on the symbols 0 to 3 back."""
    looks, back = result.trained.looks, torch.arange(result.trained.looks.shape[-1])  # (head, offset), (offset,)
    heads, listed = len(looks), [f"{weight:.2f}" for weight in looks.flatten().tolist()]
    series = [
        Line(Text(f"head {head + 1}", f"第 {head + 1} 个头"), back, looks[head], color)
        for head, color in zip(range(heads), (BLUE, ORANGE, GREEN, PURPLE), strict=False)
    ]
    top, at = looks.max(-1)
    most = [(i + 1, int(offset), f"{share:.2f}") for i, (offset, share) in enumerate(zip(at, top, strict=True))]
    figure = charts.bars(
        series,
        Axis(Text("symbols back", "往前数第几个符号"), ticks=back.tolist()),
        Axis(Text("mean weight", "平均权重"), range=(0, 1.05)),
    )
    figure["layout"]["showlegend"] = True
    figure["layout"]["margin"]["t"] = 36
    return Picture(
        "looks",
        Text(
            "Where the trained heads look most: " + ", ".join(f"head {i} at {o} back ({w})" for i, o, w in most),
            "训练好的头主要看哪里：" + "，".join(f"第 {i} 个头看前 {o} 个（{w}）" for i, o, w in most),
        ),
        Text(
            f"Bars of {heads} by 4 weights, head by head: {', '.join(listed)}.",
            f"{heads} × 4 个权重的条形图，逐头为：{'、'.join(listed)}。",
        ),
        figure,
    )


def ablation_picture(result: "Result") -> Picture:
    """Accuracy on both targets, whole and with one head removed at a time."""
    trained = result.trained
    rows, heads = torch.cat([trained.intact.unsqueeze(0), trained.ablated]), len(trained.ablated)  # (state, target)
    names = [Text("all", "全部"), *[Text(f"no {i + 1}", f"去掉 {i + 1}") for i in range(heads)]]
    room = (-0.6, heads + 1.0)  # for the word beside the guide
    x = Axis(Text("heads that are left", "留下的头"), range=room, ticks=range(heads + 1), tick_texts=names)
    y = Axis(Text("accuracy", "正确率"), range=(0, 1.08))
    series = [
        Line(Text("1 back", "前 1 个"), torch.arange(heads + 1), rows[:, 0], BLUE),
        Line(Text("2 back", "前 2 个"), torch.arange(heads + 1), rows[:, 1], ORANGE),
    ]
    listed = [f"{share:.3f}" for share in rows.flatten().tolist()]
    one, two, left, right = map(percent, rows[:2].flatten().tolist())
    return Picture(
        "ablation",
        Text(
            f"All heads: {one} right on the symbol 1 back, {two} on 2 back. Without head 1: {left} and {right}",
            f"头都在：前 1 个符号正确率 {one}，前 2 个 {two}。去掉第 1 个头：{left} 和 {right}",
        ),
        Text(
            f"Bars of both accuracies, with all heads and then without each: {', '.join(listed)}.",
            f"两个正确率的条形图，先是头都在，再依次去掉每个头：{'、'.join(listed)}。",
        ),
        charts.bars(series, x, y, [Guide(1 / 8, Text("chance", "瞎猜"))]),
    )
