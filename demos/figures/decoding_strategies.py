"""The figures of `decoding_strategies`: each view has its own."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from demos.claims.decoding_strategies import normalised, winner
from demos.figures.beam_tree import VISIBLE, tree_picture
from demos.kit import charts
from demos.kit.charts import BLUE, GREEN, GREY, ORANGE, Axis, Guide, Line
from demos.kit.contract import Picture
from demos.kit.prefixes import Continuation
from language import Text, same

if TYPE_CHECKING:
    from demos.decoding_strategies import Result

VIEWS = {
    "search": Text("greedy, beam, exact", "贪心、束搜索、精确"),
    "next": Text("sampling", "采样"),
    "stop": Text("when to stop", "何时停止"),
    "cost": Text("KV cache", "KV 缓存"),
}
SHOWN = 12  # characters in the bar chart
# opaque, so that the letters find their contrast in both themes
SHADES = [[0, "rgb(226,236,248)"], [0.5, "rgb(136,178,226)"], [1, "rgb(30,95,175)"]]


def pictures(result: "Result") -> list[Picture]:
    """Search: sentences, tree, widths. Sampling: bars, sizes, samples. Stopping: lengths. Cache: work."""
    made = {
        "search": lambda: [sentences_picture(result), tree_picture(result), widths_picture(result)],
        "next": lambda: [next_picture(result), sizes_picture(result), samples_picture(result)],
        "stop": lambda: [lengths_picture(result)],
        "cost": lambda: [work_picture(result)],
    }
    return made[result.params.view]()


def shown(result: "Result", symbols: Sequence[int]) -> str:
    """Symbols as one can see them."""
    return "".join(VISIBLE.get(result.alphabet[symbol], result.alphabet[symbol]) for symbol in symbols)


def times_as_probable(result: "Result") -> float:
    """How many times as probable as greedy's the most probable continuation of this length is."""
    last = result.params.length - 1
    return (result.exact.scores[last][0] - result.beams[1].scores[last][0]).exp().item()


def written(result: "Result", rows: dict[str, Continuation], names: Sequence[Text | str]) -> dict[str, Any]:
    """Continuations letter by letter, each cell as dark as its probability."""
    paths = list(rows.values())
    steps = np.diff(np.array([[0.0, *path.scores] for path in paths]), axis=1)  # (row, step): log p
    figure = charts.heatmap(
        np.exp(steps),
        Axis(Text("character", "第几个字符")),
        Axis(ticks=range(len(paths)), tick_texts=names),
        limits=(0.0, 1.0),
        texts=[list(shown(result, path.symbols)) for path in paths],
    )
    figure["data"][0] |= {"x": list(range(1, len(paths[0].symbols) + 1)), "xgap": 1, "colorscale": SHADES}
    figure["layout"]["height"] = 110 + 44 * len(paths)
    return figure


def sentences_picture(result: "Result") -> Picture:
    """Greedy, beam and exact search, side by side."""
    length, width = result.params.length, result.params.beam
    rows = {
        "greedy": result.beams[1].winner(length),
        "beam": result.beams[width].winner(length),
        "exact": result.exact.winner(length),
    }
    names = [Text("greedy", "贪心"), same(f"B = {width}"), Text("exact", "精确")]
    ratio, sums = times_as_probable(result), {name: path.scores[-1] for name, path in rows.items()}
    found = sums["beam"] > sums["exact"] - 1e-3
    title = (
        Text("Greedy found the most probable continuation", "这一次，贪心找到了概率最大的续写")
        if ratio < 1.001
        else Text(
            f"The best continuation is {ratio:.3g} times as probable as greedy's; beam {width} "
            + ("finds it" if found else "misses it"),
            f"最优续写的概率是贪心的 {ratio:.3g} 倍；束宽 {width} " + ("找到了它" if found else "没有找到"),
        )
    )
    texts = {name: shown(result, path.symbols) for name, path in rows.items()}
    alt = Text(
        "Sums of log p: " + ", ".join(f"{name} {sums[name]:.2f} ({texts[name]})" for name in rows) + ".",
        "log p 之和：" + "，".join(f"{name.zh} {value:.2f}（{text}）" for name, value, text in zip(
            (names[0], names[1], names[2]), sums.values(), texts.values(), strict=True)) + "。",
    )  # fmt: skip
    return Picture("sentences", title, alt, written(result, rows, names))


def widths_picture(result: "Result") -> Picture:
    """The best sum for each beam width, under the exact one."""
    last, widths = result.params.length - 1, list(result.beams)
    best = [search.scores[last][0].item() for search in result.beams.values()]
    exact = result.exact.scores[last][0].item()
    first = next((width for width, score in zip(widths, best, strict=True) if score > exact - 1e-3), None)
    title = (
        Text("No beam width shown finds the best continuation", "图中的束宽都没有找到最优续写")
        if first is None
        else Text(f"Width {first} is the first to find the best continuation", f"束宽到 {first} 才找到最优续写")
        if first > 1
        else Text("Width 1, greedy, already finds the best continuation", "束宽为 1，即贪心，就已经找到最优续写")
    )
    listed = ", ".join(f"{width}: {score:.2f}" for width, score in zip(widths, best, strict=True))
    return Picture(
        "widths",
        title,
        Text(
            f"Best sum of log p by width: {listed}; exact: {exact:.2f}.",
            f"各束宽的最好 log p 之和：{listed}；精确 {exact:.2f}。",
        ),
        charts.lines(
            [
                Line(Text("beam search", "束搜索"), widths, best, BLUE, markers=True),
                Line(Text("exact", "精确"), widths, [exact] * len(widths), GREY, dash="dot"),
            ],
            Axis(Text("beam width B", "束宽 B"), ticks=(1, 4, 8, 16)),
            Axis(Text("sum of log p", "log p 之和")),
        ),
    )


def next_picture(result: "Result") -> Picture:
    """The first character: what is kept, renormalised, and what is removed."""
    order = result.distribution.argsort(descending=True, stable=True)[:SHOWN]
    before, after = result.distribution[order], result.kept[order]
    count, mass = int((result.kept > 0).sum()), result.distribution[result.kept > 0].sum().item()
    total = len(result.alphabet)
    names = [shown(result, [int(symbol)]) for symbol in order]
    return Picture(
        "next",
        Text(
            f"First character: {count} of {total} kept, with {mass:.1%} of the probability before",
            f"首字符：{total} 个里保留 {count} 个，原来共占 {mass:.1%} 的概率",
        ),
        Text(
            "Probabilities before and after: "
            + ", ".join(
                f"{n} {b:.3f} → {a:.3f}" for n, b, a in zip(names, before.tolist(), after.tolist(), strict=True)
            ),
            "截断前后的概率："
            + "，".join(
                f"{n} {b:.3f} → {a:.3f}" for n, b, a in zip(names, before.tolist(), after.tolist(), strict=True)
            ),
        ),
        charts.bars(
            [
                Line(same("softmax(z / τ)"), torch.arange(len(order)), before, GREY),
                Line(Text("kept, renormalised", "保留并重新归一化"), torch.arange(len(order)), after, BLUE),
            ],
            Axis(Text("character, most probable first", "字符，按概率排列"), ticks=range(len(order)), tick_texts=names),
            Axis(Text("probability", "概率")),
        ),
    )


def sizes_picture(result: "Result") -> Picture:
    """How many characters are kept at each position of a passage."""
    kept = (result.passage_kept > 0).sum(-1)  # (position,)
    low, high, mean = int(kept.min()), int(kept.max()), kept.float().mean().item()
    truncated = result.params.temperature == 0 or result.params.top_k or result.params.top_p < 1
    title = (
        Text("No truncation: the improbable characters stay in the draw", "不截断：低概率的字符也都可能被抽到")
        if not truncated
        else Text("One character is kept everywhere: nothing is left to chance", "处处只保留一个字符：没有随机性了")
        if high == 1
        else Text(f"Along the tale, {low} to {high} characters are kept, {mean:.2g} on average",
                  f"沿着故事看，每处保留 {low} 到 {high} 个字符，平均 {mean:.2g} 个")
        if low < high
        else Text(f"Along the tale, {low} characters are kept everywhere", f"沿着故事看，处处保留 {low} 个字符")
    )  # fmt: skip
    return Picture(
        "sizes",
        title,
        Text(
            f"Characters kept at {len(kept)} positions: from {low} to {high}, mean {mean:.2f}.",
            f"{len(kept)} 个位置上保留的字符数：{low} 到 {high}，平均 {mean:.2f}。",
        ),
        charts.bars(
            [Line(Text("kept", "保留"), torch.arange(1, len(kept) + 1), kept, GREEN)],
            Axis(Text("position in a passage of the tale", "故事片段中的位置")),
            Axis(Text("characters kept", "保留的字符数")),
            touching=True,
        ),
    )


def samples_picture(result: "Result") -> Picture:
    """A few sampled continuations."""
    distinct = len({tuple(path.symbols) for path in result.samples})
    rows = {str(row): path for row, path in enumerate(result.samples)}
    mean = sum(path.scores[-1] for path in result.samples) / len(rows)
    return Picture(
        "samples",
        Text(
            f"{len(rows)} samples, {distinct} different; on average the sum of log p is {mean:.1f}",
            f"{len(rows)} 次采样，{distinct} 种结果；log p 之和平均 {mean:.1f}",
        ),
        Text(
            "Samples: " + "; ".join(shown(result, path.symbols) for path in result.samples),
            "采样结果：" + "；".join(shown(result, path.symbols) for path in result.samples),
        ),
        written(result, rows, [f"{row + 1}" for row in range(len(rows))]),
    )


def lengths_picture(result: "Result") -> Picture:
    """Every finished sentence: its length and its score, plain and penalised."""
    alpha = result.params.alpha
    finished = sorted(result.finished, key=lambda sentence: -normalised(sentence[0], len(sentence[1]), alpha))[:150]
    score, words = winner(result, alpha)
    lengths = [len(sentence) for _, sentence in finished]
    scores = [normalised(total, length, alpha) for (total, _), length in zip(finished, lengths, strict=True)]
    best = normalised(score, len(words), alpha)
    return Picture(
        "lengths",
        Text(
            f"At α = {alpha:.1f} the winner has {len(words)} characters: “{words}”",
            f"α = {alpha:.1f} 时胜出的一句有 {len(words)} 个字符：“{words}”",
        ),
        Text(
            f"{len(finished)} finished sentences by length; the winner has log p {score:.2f}, penalised {best:.2f}.",
            f"{len(finished)} 个完成的句子，按长度排列；胜者的 log p 之和为 {score:.2f}，除以长度惩罚后为 {best:.2f}。",
        ),
        charts.scatter(
            [
                Line(Text("finished", "已完成"), lengths, scores, GREY),
                Line(Text("winner", "胜者"), [len(words)], [best], ORANGE),
            ],
            Axis(Text("length in characters", "长度（字符）")),
            Axis(Text("sum of log p ÷ penalty", "log p 之和 ÷ 长度惩罚"), range=(min(2.5 * best, best - 1), 0.0)),
        ),
    )


def work_picture(result: "Result") -> Picture:
    """Positions processed so far, with a cache and without."""
    length = result.params.length
    with_cache, without = (counts[:length] for counts in result.positions)
    return Picture(
        "work",
        Text(
            f"{length} characters: {with_cache[-1]} positions with a cache, {without[-1]} without",
            f"生成 {length} 个字符：有缓存处理 {with_cache[-1]} 个位置，无缓存 {without[-1]} 个",
        ),
        Text(
            f"Positions processed: with a cache {with_cache[-1]}, a line; without {without[-1]}, a parabola.",
            f"处理的位置数：有缓存 {with_cache[-1]}，是直线；无缓存 {without[-1]}，是抛物线。",
        ),
        charts.lines(
            [
                Line(Text("no cache", "无缓存"), range(1, length + 1), without, ORANGE),
                Line(Text("KV cache", "KV 缓存"), range(1, length + 1), with_cache, BLUE),
            ],
            Axis(Text("characters generated", "已生成的字符数")),
            Axis(Text("positions processed", "处理过的位置数")),
            (Guide(with_cache[0], Text("prompt", "提示词")),),
        ),
    )
