"""The figures of `parallel_decoding`."""

from typing import TYPE_CHECKING

import torch

from demos.kit import charts
from demos.kit.charts import BLUE, GREEN, GREY, ORANGE, PURPLE, Axis, Guide, Line
from demos.kit.contract import Picture
from language import Text

if TYPE_CHECKING:
    from demos.parallel_decoding import Result

PARALLEL, CACHED, UNCACHED = Text("one pass", "一次前向"), Text("with cache", "带缓存"), Text("no cache", "不带缓存")
MODEL_LAYERS, HEAD_WIDTH, KV_HEADS = 32, 128, (32, 8, 1)  # a model of 7 billion parameters with MHA, GQA or MQA


def pictures(result: "Result") -> list[Picture]:
    """Who does what when, what it costs, how a guess becomes the greedy text, and how large a cache gets."""
    third = jacobi_picture(result) if result.wrong is None else error_picture(result)
    return [call_picture(result), cost_picture(result), third, cache_picture(result)]


def call_picture(result: "Result") -> Picture:
    """Positions that each model call runs."""
    length, total = result.params.length, result.runs.uncached.tally.positions
    steps = torch.arange(1, length + 1)
    series = [
        Line(UNCACHED, steps, steps, ORANGE, dash="dash"),
        Line(CACHED, steps, torch.ones(length), BLUE, markers=length <= 32),
        Line(PARALLEL, [1.0], [float(length)], GREEN, markers=True),
    ]
    return Picture(
        "calls",
        Text(
            "A single token: every schedule is one call"
            if length == 1
            else f"{length} tokens: one call on all of them, or {length} calls in a row; "
            f"without a cache these run {total:,} positions",
            "只有一个 token：三种算法都是一次调用"
            if length == 1
            else f"{length} 个 token：要么一次调用全部算完，要么先后调用 {length} 次；不带缓存时共算 {total:,} 个位置",
        ),
        Text(
            f"Positions per model call: one pass runs {length} in call 1; with the cache {length} calls run 1 each; "
            f"without it call t runs t, {total:,} in all.",
            f"每次调用处理的位置数：一次前向在第 1 次调用处理 {length} 个；带缓存时 {length} 次调用各处理 1 个；"
            f"不带缓存时第 t 次处理 t 个，共 {total:,} 个。",
        ),
        charts.lines(
            series,
            Axis(Text("model call", "第几次调用"), range=(0, length + 1)),
            Axis(Text("positions in this call", "本次处理的位置数"), range=(0, 1.1 * length + 0.5)),
        ),
    )


def relative_costs(result: "Result") -> tuple[list[Text], torch.Tensor]:
    """What each cost is called, and each schedule's share of it with one parallel pass as the unit."""
    runs, names = result.runs, [Text("calls in a row", "先后调用"), Text("multiply-adds", "乘加次数")]
    tallies = [run.tally for run in (runs.parallel, runs.cached, runs.uncached)]
    costs = [[float(tally.calls), float(tally.multiply_adds)] for tally in tallies]
    if result.times:
        costs = [[*row, seconds] for row, seconds in zip(costs, result.times, strict=False)]
        names.append(Text("time", "用时"))
    ratio = torch.tensor(costs, dtype=torch.float64)  # (schedule, cost)
    return names, ratio / ratio[0]


def cost_picture(result: "Result") -> Picture:
    """Everything relative to one parallel pass."""
    names, ratio = relative_costs(result)
    places = torch.arange(len(names))
    series = [
        Line(name, places, row, color)
        for name, row, color in zip((PARALLEL, CACHED, UNCACHED), ratio, (GREEN, BLUE, ORANGE), strict=True)
    ]
    figure = charts.bars(
        series,
        Axis(ticks=places.tolist(), tick_texts=names),
        Axis(
            Text("times one parallel pass", "相当于一次并行前向的倍数"), log=True, range=(0.5, 3 * ratio.max().item())
        ),
    )
    for trace, row in zip(figure["data"], ratio.tolist(), strict=True):
        trace |= {"text": [f"{value:.3g}" for value in row], "textposition": "outside", "cliponaxis": False}
    work, waste, calls = ratio[1, 1].item(), ratio[2, 1].item(), result.params.length
    title = Text(
        f"With a cache the work is {work:.2f} × one pass, but in {calls} dependent calls; without, {waste:.3g} ×",
        f"带缓存的运算量是一次前向的 {work:.2f} 倍，但要先后调用 {calls} 次；不带缓存则是 {waste:.3g} 倍",
    )
    if calls == 1:
        title = Text("A single token: the same work in every schedule", "只有一个 token：三种算法的运算量相同")
    if result.times:
        slow = ratio[1, 2].item()
        title = Text(
            f"With a cache: {work:.2f} × the work of one pass, and {slow:.2g} × its time on this machine",
            f"带缓存：运算量是一次前向的 {work:.2f} 倍，在这台机器上的用时却是 {slow:.2g} 倍",
        )
    columns = list(zip(names, ratio.T.tolist(), strict=True))
    english = "; ".join(f"{name.en} {', '.join(f'{value:.3g}' for value in column)}" for name, column in columns)
    chinese = "；".join(f"{name.zh} {'、'.join(f'{value:.3g}' for value in column)}" for name, column in columns)
    alt = Text(
        f"Bars relative to one parallel pass, for one pass, with cache, no cache: {english}.",
        f"以一次并行前向为 1，依次为一次前向、带缓存、不带缓存：{chinese}。",
    )
    return Picture("cost", title, alt, figure)


def jacobi_picture(result: "Result") -> Picture:
    """Which tokens are already the greedy ones after each parallel pass."""
    settled = result.runs.settled
    passes, tokens = settled.shape
    first = int(settled.all(-1).int().argmax()) + 1
    ticks = sorted({0, *range(7, tokens, 8), tokens - 1})
    rows = sorted({0, *range(7, passes, 8), passes - 1})
    figure = charts.heatmap(
        settled.float(),
        Axis(Text("position", "位置"), ticks=ticks, tick_texts=[str(t + 1) for t in ticks]),
        Axis(Text("parallel pass", "第几次并行前向"), ticks=rows, tick_texts=[str(r + 1) for r in rows]),
        limits=(0.0, 1.0),
    )
    figure["data"][0] |= {"showscale": False, "xgap": 1, "ygap": 1}
    return Picture(
        "jacobi",
        Text(
            "A single token: one pass gives it, and there is nothing to guess ahead"
            if tokens == 1
            else f"Guess all, correct all in each pass: {first} parallel passes give the greedy text of {tokens} steps",
            "只有一个 token：一次前向就有了，没有什么可提前猜的"
            if tokens == 1
            else f"先把 token 全猜一遍，每次前向同时改正：{first} 次就得到逐个生成要 {tokens} 步的贪心结果",
        ),
        Text(
            f"Grid of {passes} passes by {tokens} positions; filled cells equal the greedy text, all of them from pass "
            f"{first} on.",
            f"{passes} 次前向 × {tokens} 个位置的方格图；填色处已与贪心结果一致；从第 {first} 次起全部填满。",
        ),
        figure,
    )


def error_picture(result: "Result") -> Picture:
    """How far the broken cached step is from the parallel pass, by position."""
    assert result.wrong is not None
    wrong = (result.wrong - result.runs.parallel.logits).abs().amax(-1)  # (position,)
    fine = (result.runs.cached.logits - result.runs.parallel.logits).abs().amax(-1)  # (position,)
    places = torch.arange(1, len(wrong) + 1)
    what = {
        "lost_position": Text("A step that always uses position 0", "位置总是 0 的单步"),
        "is_causal": Text(
            "One query with is_causal=True sees key 0 only, so it", "单个 query 配 is_causal=True 只看得到第 0 个 key"
        ),
    }[result.params.step]
    worst = wrong.max().item()
    return Picture(
        "error",
        Text(
            f"{what.en} is right at position 1 and off by up to {worst:.2g} later"
            if len(wrong) > 1
            else f"With one token no mistake shows: the difference is {worst:.1g}",
            f"{what.zh}：第 1 个位置没错，之后最多差 {worst:.2g}"
            if len(wrong) > 1
            else f"只有一个 token 时看不出错误：差 {worst:.1g}",
        ),
        Text(
            f"Difference of the logits from the parallel pass; broken step at most {worst:.2g}, correct step at most "
            f"{fine.max():.1g}.",
            f"logits 与并行前向之差；写错的单步最多 {worst:.2g}，正确的单步最多 {fine.max():.1g}。",
        ),
        charts.lines(
            [
                Line(Text("broken step", "写错的单步"), places, wrong, ORANGE, markers=True),
                Line(Text("correct step", "正确的单步"), places, fine, BLUE, markers=True),
            ],
            Axis(Text("position", "位置")),
            Axis(Text("largest logit difference", "logit 的最大差")),
        ),
    )


def readable(gib: float) -> str:
    """A size with its unit."""
    size, unit = (gib / 1024, "TiB") if gib >= 1024 else (gib, "GiB") if gib >= 1 else (gib * 1024, "MiB")
    return f"{size:.3g} {unit}"


def cache_picture(result: "Result") -> Picture:
    """2·L·h·d·T·B numbers of two bytes, for three ways of sharing keys and values among heads."""
    context, requests = result.params.context, result.params.requests
    lengths = 2.0 ** torch.arange(10, 18)

    def gib(heads: int, tokens: float) -> float:
        return 2 * MODEL_LAYERS * heads * HEAD_WIDTH * tokens * requests * 2 / 2**30

    names = {32: Text("32 KV heads", "32 个 KV 头"), 8: Text("8", "8 个"), 1: Text("1", "1 个")}
    series = [
        Line(names[heads], lengths, [gib(heads, tokens) for tokens in lengths.tolist()], color, markers=True)
        for heads, color in zip(KV_HEADS, (ORANGE, BLUE, PURPLE), strict=True)
    ]
    sizes = [readable(gib(heads, context)) for heads in KV_HEADS]
    ticks = lengths[::2].tolist()
    x = Axis(
        Text("context length (tokens)", "上下文长度（token）"),
        log=True,
        ticks=ticks,
        tick_texts=[f"{t / 1024:g}k" for t in ticks],
    )
    many = "request" if requests == 1 else "requests"
    figure = charts.lines(
        series, x, Axis(Text("cache (GiB)", "缓存（GiB）"), log=True), [Guide(context, "", vertical=True)]
    )
    here = [Line("", [float(context)], [gib(heads, context)], GREY) for heads in KV_HEADS]
    figure["data"] += [{**mark, "showlegend": False} for mark in charts.scatter(here, Axis(), Axis())["data"]]
    return Picture(
        "cache",
        Text(
            f"32 layers, fp16, {context:,} tokens × {requests} {many}: the cache takes {sizes[0]} with 32 KV heads, "
            f"{sizes[1]} with 8, {sizes[2]} with 1",
            f"32 层、fp16、{context:,} 个 token × {requests} 个请求：32 个 KV 头的缓存占 {sizes[0]}，"
            f"8 个头 {sizes[1]}，1 个头 {sizes[2]}",
        ),
        Text(
            f"Cache size against context length, three straight lines; at {context:,} tokens {', '.join(sizes)}.",
            f"缓存大小随上下文长度的变化，三条直线；{context:,} 个 token 时依次为 {'、'.join(sizes)}。",
        ),
        figure,
    )
