"""The figures of `cross_attention`."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from demos.kit import charts
from demos.kit.charts import BLUE, GREY, ORANGE, Axis, Guide, Line
from demos.kit.contract import Picture
from language import Text

if TYPE_CHECKING:
    from demos.cross_attention import Result

TASKS = {"reverse": Text("reverse", "倒序"), "copy": Text("copy", "照抄"), "sort": Text("sort", "排序")}
MEMORIES = {"rows": Text("one row per token", "每个 token 一行"), "mean": Text("one mean vector", "一个平均向量")}
MASKS = {
    "none": Text("none", "不加"),
    "after": Text("added after training", "训练后才加"),
    "training": Text("from the start", "从头就加"),
    "both": Text("from the start, encoder too", "从头就加，编码器也加"),
}
READS = {
    "own": Text("its own memory", "自己的 memory"),
    "shuffled": Text("its rows, shuffled", "打乱行序的 memory"),
    "other": Text("another sentence's memory", "另一句的 memory"),
    "zeros": Text("zeros", "全零"),
}
BLANK = "·"  # a column with no digit behind it


def pictures(result: "Result") -> list[Picture]:
    """Who reads what, how often the answer is right, and what each row of the memory knows."""
    return [weight_picture(result), accuracy_picture(result), knowledge_picture(result)]


def columns(result: "Result") -> Tensor | None:
    """The column each shown step needs, where there is one."""
    params, steps = result.params, len(result.weights)
    if result.needed is None or params.memory == "mean" or params.reads == "zeros":
        return None
    return result.order.argsort()[result.needed[:steps]]


def weight_title(result: "Result") -> Text:
    """What the weights show in this state."""
    params, steps, width = result.params, *result.weights.shape
    wanted, answer = ("".join(map(str, row[:steps])) for row in (result.wanted, result.answer))
    same = Text("right", "正确") if wanted == answer else Text(f"should be {wanted}", f"应为 {wanted}")
    size = Text(
        f"{steps} × {width} weights, it writes {answer} ({same.en})",
        f"{steps} × {width} 个权重，写出 {answer}（{same.zh}）",
    )
    if params.memory == "mean":
        return Text(f"One row to read, so every weight is 1: {size.en}", f"只有一行可读，权重全是 1：{size.zh}")
    if params.reads == "zeros":
        return Text(f"Rows without content all weigh the same: {size.en}", f"没有内容的行，权重都一样：{size.zh}")
    needed = columns(result)
    if needed is None:
        return Text(
            f"Sorting looks digits up by value, not by place: {size.en}", f"排序按数值找，不按位置找：{size.zh}"
        )
    share = result.weights[torch.arange(steps), needed].mean().item()
    return Text(
        f"{share:.0%} of the weight is on the row of the digit each step needs: {size.en}",
        f"{share:.0%} 的权重落在每一步所需数字的那一行上：{size.zh}",
    )


def weight_picture(result: "Result") -> Picture:
    """Cross-attention of the learner's sentence."""
    steps, width = result.weights.shape
    read = [str(digit) for digit in result.read] if width == len(result.read) else [BLANK] * width
    peaks = result.weights.max(-1)
    looked = ", ".join(f"{row + 1}→{column + 1}" for row, column in enumerate(peaks.indices.tolist()))
    figure = charts.heatmap(
        result.weights,
        Axis(Text("row of the memory: its digit", "memory 的行：对应的数字"), ticks=range(width), tick_texts=read),
        Axis(
            Text("step: digit written", "第几步：写出的数字"),
            ticks=range(steps),
            tick_texts=list(map(str, result.answer)),
        ),
        limits=(0, 1),
    )
    figure["data"][0]["hovertemplate"] = "%{y} ← %{x}: %{z:.2f}<extra></extra>"
    return Picture(
        "weights",
        weight_title(result),
        Text(
            f"Heatmap {steps} × {width}. The largest weight of each step, as step→row: {looked}; the smallest of these "
            f"weights is {peaks.values.min():.2f}.",
            f"{steps} × {width} 热图。每一步权重最大的行（步→行）：{looked}；"
            f"这些最大权重中最小的是 {peaks.values.min():.2f}。",
        ),
        figure,
    )


def accuracy_picture(result: "Result") -> Picture:
    """Share of right digits at each step, with what a late mask does to reversal."""
    params, at = result.params, torch.arange(1, result.params.length + 1)
    changed = changes(result)
    late = params.task == "reverse" and params.mask == "after" and params.reads == "own"
    series = (
        [Line(Text("own rows, no mask", "自己的行，无掩码"), at, result.plain, GREY, dash="dot")] if changed else []
    )
    series.append(Line(Text("as set", "当前设置"), at, result.right, BLUE, markers=True))
    if params.memory == "rows" and not late:
        name = Text("reversal, mask added late", "倒序，训练后才加掩码")
        series.append(Line(name, at, result.asked, ORANGE, dash="dash", markers=True))
    right, asked, plain = (share.mean().item() for share in (result.right, result.asked, result.plain))
    if changed:
        title = Text(
            f"{right:.0%} of the digits come out right ({', '.join(part.en for part in changed)}); {plain:.0%} with "
            "all its own rows and no mask",
            f"正确率 {right:.0%}（{'，'.join(part.zh for part in changed)}）；读自己的各行、不加掩码时是 {plain:.0%}",
        )
    else:
        title = Text(
            f"{right:.0%} of the digits come out right, but {asked:.0%} if reversal gets a causal mask after training",
            f"数字的正确率是 {right:.0%}；倒序任务若在训练后给交叉注意力加因果掩码，就只有 {asked:.0%}",
        )
    return Picture(
        "accuracy",
        title,
        Text(
            f"Share of right digits in 256 new sentences by step: {listed(result.right)}. Reversal with a causal mask "
            f"added after training: {listed(result.asked)}.",
            f"256 个新句子里各步的正确率：{listed(result.right)}。倒序、训练后才加因果掩码：{listed(result.asked)}。",
        ),
        charts.lines(
            series,
            Axis(Text("target step", "目标的第几步"), ticks=at.tolist()),
            Axis(Text("share right", "正确率"), range=(-0.02, 1.08)),
            (Guide(0.1, Text("guessing", "瞎猜")),),
        ),
    )


def changes(result: "Result") -> list[Text]:
    """What differs from a decoder that reads all rows of its own memory without a mask."""
    params = result.params
    changed = [MEMORIES["mean"]] if params.memory == "mean" else []
    if params.memory == "rows" and params.mask != "none":
        mask = MASKS[params.mask]
        changed.append(Text(f"causal mask {mask.en}", f"因果掩码{mask.zh}"))
    return (
        changed
        if params.reads == "own"
        else [*changed, Text(f"reading {READS[params.reads].en}", f"读{READS[params.reads].zh}")]
    )


def knowledge_picture(result: "Result") -> Picture:
    """How much each row of the memory changes when one source digit is replaced."""
    knows, params = result.facts.knows, result.params
    rows, length = knows.shape
    own, later = (part.sum().item() / knows.sum().item() for part in (knows.diagonal(), knows.triu(1)))
    if rows == 1:
        title = Text(
            f"One vector has to hold all {length} digits: replacing any of them moves it",
            f"一个向量要装下全部 {length} 个数字：换掉哪一个，它都会变",
        )
    elif params.mask == "both":
        title = Text(
            "A causal encoder: no row of the memory knows a later digit",
            "因果编码器：memory 的任何一行都不知道后面的数字",
        )
    else:
        title = Text(
            f"What a row of the memory knows: {own:.0%} is about its own digit, {later:.0%} about later ones",
            f"memory 的一行知道什么：{own:.0%} 关于自己的数字，{later:.0%} 关于后面的数字",
        )
    ticks = list(range(length))
    figure = charts.heatmap(
        knows,
        Axis(Text("digit replaced", "换掉第几个数字"), ticks=ticks, tick_texts=[str(tick + 1) for tick in ticks]),
        Axis(
            Text("row of the memory", "memory 的行"),
            ticks=ticks[:rows],
            tick_texts=[str(tick + 1) for tick in ticks[:rows]],
        ),
    )
    return Picture(
        "knowledge",
        title,
        Text(
            f"Heatmap {rows} × {length}: relative change of a memory row when one digit is replaced, at most "
            f"{knows.max():.2f}; above the diagonal at most {knows.triu(1).max():.2f}.",
            f"{rows} × {length} 热图：换掉一个数字，memory 各行的相对变化，最大 {knows.max():.2f}，"
            f"对角线以上最大 {knows.triu(1).max():.2f}。",
        ),
        figure,
    )


def listed(shares: Tensor) -> str:
    """Shares as percentages."""
    return ", ".join(f"{share:.0%}" for share in shares.tolist())
