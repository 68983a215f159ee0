"""The figures of `subword_tokenizers`, its sample texts and the names of its rules."""

from html import escape
from typing import TYPE_CHECKING, Any

from demos.kit import charts
from demos.kit.charts import BLUE, GREEN, ORANGE, PURPLE, Axis, Guide, Line
from demos.kit.contract import Picture
from language import Text, same

if TYPE_CHECKING:
    from demos.subword_tokenizers import Result

HUG = "hug×10 pug×5 pun×12 bun×4 hugs×5"
LOWEST = "low×5 lower×2 newest×6 widest×3"
ENGLISH = (
    "the tokenizer splits text into tokens. a tokenizer learns its tokens from the text it reads. the newest words are "
    "the rarest words, and the rarest words are split. low, lower, lowest: the longest token wins, or the earliest "
    "merge wins. tokens are short, shorter or shortest; training finds them and tokenizing applies them."
)
CHINESE = (
    "注意力让模型关注重要的词。自注意力计算词与词的关系。多头注意力有多个注意力头。编码器读入源句，解码器写出译句。"
    "编码器和解码器都使用注意力。解码器使用掩码，编码器不使用掩码。训练模型，也就是训练注意力。"
)
STARTS = {
    "end": Text("+ </w>", "带 </w>"),
    "inside": Text("+ ##", "带 ##"),
    "bytes": Text("bytes", "字节"),
}
RULES = {
    "frequency": Text("count", "次数"),
    "ratio": Text("ratio", "比值"),
    "gain": Text("gain ΔL", "增量 ΔL"),
}
COLORS = {"frequency": BLUE, "ratio": ORANGE, "gain": GREEN}


def pictures(result: "Result") -> list[Picture]:
    """The split words, the first merge by three rules, the length of the text, and every merge."""
    drawn = [split_picture(result)] if result.longest else []
    if result.first:
        drawn += [first_picture(result), length_picture(result)]
    else:
        drawn.append(nothing_picture(result))
    return [*drawn, merge_picture(result)] if chosen(result) else drawn


def chosen(result: "Result") -> list[Any]:
    """The merges made."""
    return result.learned[result.params.rule][: result.params.merges]


def shown(token: str, start: str, longest: int = 12) -> str:
    """A token as people write it; bytes that are no whole character in hexadecimal."""
    if start == "bytes":
        given = token.encode("latin-1")
        try:
            token = given.decode()
        except UnicodeDecodeError:
            token = given.hex(" ").upper()
    token = token.replace("\ue000", "</w>").replace("\ue001", "##")
    return token if len(token) <= longest else f"{token[: longest - 1]}…"


def joined(pair: tuple[str, str], start: str) -> str:
    """Both tokens of a pair."""
    return " + ".join(shown(token, start) for token in pair)


def pieces(words: list[tuple[str, ...]], start: str) -> str:
    """Split words in one line."""
    line = "  ".join(" | ".join(shown(token, start) for token in word) for word in words)
    return line if len(line) <= 70 else f"{line[:69]}…"


def split_picture(result: "Result") -> Picture:
    """The words to split: before, after every merge that applies, and by longest match."""
    start, by_replay = result.params.start, result.replay[-1]
    rows = [*result.replay, result.longest]
    names = [Text("start", "起点"), *changes(result), Text("longest match", "最长匹配")]
    widths = [sum(width(symbol, start) for symbol in word) for word in result.replay[0]]
    bar: dict[str, Any] = {"type": "bar", "orientation": "h", "base": [], "x": [], "y": [], "text": []}
    colors = []
    for name, words in zip(names, rows, strict=True):
        edge = 0.0
        for word, whole in zip(words, widths, strict=True):
            for place, token in enumerate(word):
                known = token in result.vocabulary
                bar["base"].append(edge)
                bar["x"].append(float(width(token, start) if token != "[UNK]" else whole))
                bar["y"].append(name)
                bar["text"].append(escape(shown(token, start), quote=False))
                colors.append(ORANGE if not known else BLUE if place % 2 else GREEN)
                edge += bar["x"][-1]
            edge += 0.5
    bar |= {
        "textposition": "inside",
        "insidetextanchor": "middle",
        "textangle": 0,
        "textfont": {"color": "#ffffff", "size": 13},
        "marker": {"color": colors, "line": {"width": 1.5, "color": "rgba(255,255,255,0.9)"}},
        "hovertemplate": "%{text}<extra></extra>",
    }
    figure = charts.named_bars(names, [0.0] * len(names), "")
    figure["data"] = [bar]
    figure["layout"]["xaxis"] |= {"visible": False}
    figure["layout"]["margin"] |= {"b": 16}
    figure["layout"]["height"] = 60 + 34 * len(rows)
    ours, theirs = pieces(by_replay, start), pieces(result.longest, start)
    title = Text(f"Replaying the merges and longest match agree: {ours}", f"重放合并与最长匹配的结果相同：{ours}")
    if by_replay != result.longest:
        title = Text(
            f"Replaying the merges gives {ours}; longest match over the same vocabulary gives {theirs}",
            f"重放合并得到 {ours}；同一个词表用最长匹配得到 {theirs}",
        )
    return Picture(
        "split",
        title,
        Text(
            f"{len(rows)} rows: from single symbols through {len(rows) - 2} merges to {ours}; the last row, longest "
            f"match, is {theirs}.",
            f"共 {len(rows)} 行：从单个符号起，经 {len(rows) - 2} 次合并得到 {ours}；最后一行是最长匹配 {theirs}。",
        ),
        figure,
    )


def width(token: str, start: str) -> int:
    """How many starting symbols a token spans."""
    return len(token) if start != "inside" else len(token.replace("\ue001", ""))


def changes(result: "Result") -> list[Text]:
    """What each row of the replay merged: the merge's number and its token."""
    names, merges = [], iter(enumerate(chosen(result), start=1))
    for before, after in zip(result.replay, result.replay[1:], strict=False):
        new = {token for word in after for token in word} - {token for word in before for token in word}
        number, made = next(
            (number, learned)
            for number, learned in merges
            if learned.pair[0] + learned.pair[1].removeprefix("\ue001") in new
        )
        token = made.pair[0] + made.pair[1].removeprefix("\ue001")
        names.append(same(f"{number}: {escape(shown(token, result.params.start), quote=False)}"))
    return names


def first_picture(result: "Result") -> Picture:
    """What the three rules think of the first merge, each relative to its favourite."""
    start, favourite = result.params.start, result.favourites
    shortlist = list(dict.fromkeys(favourite.values()))
    shortlist += [pair for pair in sorted(result.first, key=lambda pair: -pair.frequency) if pair not in shortlist]
    shortlist = sorted(shortlist[:6], key=lambda pair: -pair.frequency)
    places = [float(place) for place in range(len(shortlist))]
    labels = [escape("".join(shown(token, start, 6) for token in pair.pair), quote=False) for pair in shortlist]
    top = {rule: abs(getattr(favourite[rule], rule)) or 1.0 for rule in RULES}
    series = [
        Line(name, places, [getattr(pair, rule) / top[rule] for pair in shortlist], COLORS[rule])
        for rule, name in RULES.items()
    ]
    told = {rule: (joined(pair.pair, start), pair.frequency) for rule, pair in favourite.items()}
    (often, n), (rare, few), (likely, m) = told["frequency"], told["ratio"], told["gain"]
    return Picture(
        "first",
        Text(
            f"First merge: the most frequent pair is {often} ({n} times), the ratio picks {rare} ({few}), "
            f"the likelihood gain {likely} ({m})",
            f"第一次合并：最频繁的是 {often}（{n} 次），比值选 {rare}（{few} 次），似然增量选 {likely}（{m} 次）",
        ),
        Text(
            f"Bars of three scores for {len(shortlist)} pairs, each relative to its best: the count prefers {often}, "
            f"the ratio {rare}, the gain {likely}.",
            f"{len(shortlist)} 对的三种得分（各以该规则的最高分为 1）：次数最多的是 {often}，比值最高的是 {rare}，"
            f"似然增量最高的是 {likely}。",
        ),
        charts.bars(
            series,
            Axis(ticks=places, tick_texts=labels),
            Axis(Text("score ÷ the rule's best", "得分 ÷ 该规则的最高分")),
        ),
    )


def length_picture(result: "Result") -> Picture:
    """Tokens of the training text against the number of merges, by each rule."""
    merges, lengths = result.params.merges, {}
    for rule, learned in result.learned.items():
        lengths[rule] = [float(result.tokens), *(float(merge.tokens) for merge in learned)]
    series = [
        Line(name, list(map(float, range(len(lengths[rule])))), lengths[rule], COLORS[rule])
        for rule, name in RULES.items()
    ]
    now = {rule: int(length[min(merges, len(length) - 1)]) for rule, length in lengths.items()}
    marks = [Line("", [float(min(merges, len(lengths[rule]) - 1))], [float(now[rule])], COLORS[rule]) for rule in RULES]
    figure = charts.lines(
        series,
        Axis(Text("merges", "合并次数"), range=(-0.5, 40.5)),
        Axis(Text("tokens in the text", "文本的 token 数"), range=(0, 1.05 * result.tokens)),
        [Guide(merges, "", vertical=True)],
    )
    figure["data"] += [{**mark, "showlegend": False} for mark in charts.scatter(marks, Axis(), Axis())["data"]]
    short = min(map(len, result.learned.values())) < merges  # some rule ran out of pairs that occur twice
    limit = Text("up to ", "至多") if short else same("")
    return Picture(
        "length",
        Text(
            f"After {limit.en}{merges} merges, {result.tokens} tokens have become {now['frequency']} by count, "
            f"{now['ratio']} by the ratio, {now['gain']} by likelihood",
            f"合并{limit.zh} {merges} 次，{result.tokens} 个 token 按次数变成 {now['frequency']} 个，"
            f"按比值 {now['ratio']} 个，按似然增量 {now['gain']} 个",
        ),
        Text(
            f"Three falling lines from {result.tokens} tokens; at {merges} merges {now['frequency']} by count, "
            f"{now['ratio']} by the ratio, {now['gain']} by the likelihood gain.",
            f"三条从 {result.tokens} 下降的线；合并 {merges} 次时，按次数 {now['frequency']}，按比值 {now['ratio']}，"
            f"按似然增量 {now['gain']}。",
        ),
        figure,
    )


def merge_picture(result: "Result") -> Picture:
    """Every merge made, in order, with how often its pair occurred."""
    start, merges = result.params.start, chosen(result)
    names = [f"{k}. {escape(joined(merge.pair, start), quote=False)}" for k, merge in enumerate(merges, start=1)]
    figure = charts.named_bars(
        names,
        [float(merge.count) for merge in merges],
        Text("occurrences when merged", "合并时出现的次数"),
        COLORS[result.params.rule],
    )
    figure["data"][0] |= {"textposition": "outside", "textangle": 0}
    figure["layout"]["height"] = 90 + 22 * len(merges)
    figure["layout"]["yaxis"] |= {"dtick": 1, "tickfont": {"size": 11}}
    once = len(merges) < result.params.merges
    more = Text("; then no pair occurs twice", "；之后再没有出现两次的对") if once else same("")
    first, last = merges[0], merges[-1]
    return Picture(
        "merges",
        Text(
            f"A single merge: {joined(first.pair, start)}, seen {first.count} times{more.en}"
            if len(merges) == 1
            else f"All {len(merges)} merges: from {joined(first.pair, start)}, seen {first.count} times, to "
            f"{joined(last.pair, start)}, seen {last.count} times{more.en}",
            f"只合并了一次：{joined(first.pair, start)}（{first.count} 次）{more.zh}"
            if len(merges) == 1
            else f"全部 {len(merges)} 次合并：从 {joined(first.pair, start)}（{first.count} 次）到 "
            f"{joined(last.pair, start)}（{last.count} 次）{more.zh}",
        ),
        Text(
            f"Bars of {len(merges)} merges in order; counts from {first.count} to {last.count}.",
            f"按次序排列的 {len(merges)} 次合并的条形图，次数从 {first.count} 到 {last.count}。",
        ),
        figure,
    )


def nothing_picture(result: "Result") -> Picture:
    """Nothing to merge: the tokens there are."""
    return Picture(
        "nothing",
        Text("No pair occurs twice: there is nothing to merge", "没有哪一对出现两次：没有可合并的"),
        Text(f"One bar: {result.tokens} tokens.", f"一根条：{result.tokens} 个 token。"),
        charts.named_bars([Text("tokens in the text", "文本的 token 数")], [float(result.tokens)], "", PURPLE),
    )
