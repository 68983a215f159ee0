"""The figures of `long_context`."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch

from demos.kit import charts
from demos.kit.charts import BLUE, GREEN, GREY, ORANGE, PURPLE, Axis, Guide, Line
from demos.kit.contract import Picture
from language import Text, same

if TYPE_CHECKING:
    from demos.long_context import Cost, Params, Positions, Reach, Recall, Result

BACK, TRAINED = 3, 32
VIEWS = {
    "positions": Text("Positions", "位置"),
    "cost": Text("Cost", "代价"),
    "reach": Text("Reach", "视野"),
    "recall": Text("Recall", "记忆"),
}
FIXES = {
    "as_is": Text("as trained", "原样"),
    "interpolated": Text("all ÷ s (PI)", "全部 ÷ s（PI）"),
    "by_parts": Text("slow pairs ÷ s", "慢的对 ÷ s"),
    "window": Text("last 32 only", "只看最近 32 个"),
}
METHODS = {
    "full": Text("full", "完整注意力"),
    "window": Text("window", "滑动窗口"),
    "linear": Text("linear", "线性注意力"),
}
COLORS = {"as_is": GREY, "interpolated": ORANGE, "by_parts": BLUE, "window": GREEN, "full": GREY, "linear": ORANGE}
DASHES = {"as_is": "dot", "window": "dash"}


def pictures(result: "Result") -> list[Picture]:
    """One or two figures for the limit that is looked at."""
    drawn: dict[str, tuple[Callable[..., Picture], ...]] = {
        "positions": (accuracy_picture, turns_picture),
        "cost": (flops_picture, kept_picture),
        "reach": (reach_picture,),
        "recall": (recall_picture, dilution_picture),
    }
    return [draw(result.params, result.shown) for draw in drawn[result.params.view]]


def far(accuracy: torch.Tensor) -> float:
    """Mean accuracy in the second half of the longer context."""
    return accuracy[(len(accuracy) + BACK) // 2 - BACK :].mean().item()


def accuracy_picture(params: "Params", shown: "Positions") -> Picture:
    """Accuracy at the positions of the longer context, in bands."""
    length = params.factor * TRAINED
    bands = list(pairwise(edge for edge in (3, 8, 16, 32, 48, 64, 96, 128, 192, 256) if edge <= length))
    middle = [math.sqrt(start * stop) for start, stop in bands]
    series = [
        Line(
            FIXES[fix],
            middle,
            [accuracy[start - BACK : stop - BACK].mean().item() for start, stop in bands],
            COLORS[fix],
            DASHES.get(fix, "solid"),
            markers=True,
        )
        for fix, accuracy in shown.accuracy.items()
    ]
    ends = {fix: far(accuracy) for fix, accuracy in shown.accuracy.items()}
    after = Text(
        f"After {params.tuning} steps at length {length}" if params.tuning else "Without further training",
        f"在长度 {length} 上微调 {params.tuning} 步后" if params.tuning else "不再训练",
    )
    span = Text(f"positions {length // 2} to {length - 1}", f"第 {length // 2} 到 {length - 1} 个位置")
    en = ", ".join(f"{FIXES[fix].en} {value:.3f}" for fix, value in ends.items())
    zh = "，".join(f"{FIXES[fix].zh} {value:.3f}" for fix, value in ends.items())
    return Picture(
        "accuracy",
        Text(
            f"{after.en}, dividing all angles leaves {ends['interpolated']:.0%} right at {span.en}, "
            f"dividing only the slow pairs {ends['by_parts']:.0%}",
            f"{after.zh}，{span.zh}：全部角度都除，正确率 {ends['interpolated']:.0%}；"
            f"只除慢的坐标对，正确率 {ends['by_parts']:.0%}",
        ),
        Text(
            f"Accuracy at {span.en} after training on 32 tokens: {en}.",
            f"在 32 个 token 上训练后，{span.zh}的正确率：{zh}。",
        ),
        charts.lines(
            series,
            Axis(Text("position", "位置"), log=True, ticks=(4, 8, 16, 32, 64, 128, 256)),
            Axis(Text("accuracy", "正确率"), range=(0, 1.2), ticks=(0, 0.25, 0.5, 0.75, 1)),
            (Guide(TRAINED, Text("trained to here", "训练到此"), vertical=True),),
        ),
    )


def turns_picture(params: "Params", shown: "Positions") -> Picture:
    """Turns of every pair in training and in the longer context."""
    pairs, slow = torch.arange(len(shown.trained)), int((shown.trained < 1).sum())
    series = [
        Line(FIXES[fix], pairs, shown.turns[fix], COLORS[fix], DASHES.get(fix, "solid"), markers=True)
        for fix in ("as_is", "interpolated", "by_parts")
    ]
    return Picture(
        "turns",
        Text(
            f"{slow} of {len(pairs)} pairs never completed a turn in training; only their new angles need to go",
            f"{len(pairs)} 对坐标里有 {slow} 对在训练中没转满一圈；要消除的只是它们的新角度",
        ),
        Text(
            f"Turns of each pair within {params.factor * TRAINED} tokens, log scale: as trained from "
            f"{shown.turns['as_is'][0]:.3g} to {shown.turns['as_is'][-1]:.3g}; divided by {params.factor} as many as "
            f"in training.",
            f"各对坐标在 {params.factor * TRAINED} 个 token 里转过的圈数（对数坐标）：原样时从 "
            f"{shown.turns['as_is'][0]:.3g} 到 {shown.turns['as_is'][-1]:.3g}；除以 {params.factor} 后与训练时一样多。",
        ),
        charts.lines(
            series,
            Axis(Text("pair i", "第 i 对")),
            Axis(Text("turns", "圈数"), log=True),
            (Guide(1, Text("one turn", "一圈")),),
        ),
    )


def by_length(params: "Params", shown: "Cost", column: int, unit: Text) -> tuple[dict[str, int], dict[str, Any]]:
    """One column of the bills: its numbers at n, and the three methods as lines."""
    found = {name: rows[shown.lengths.index(params.length)][column] for name, rows in shown.bills.items()}
    series = [
        Line(METHODS[name], shown.lengths, [row[column] for row in rows], COLORS[name], DASHES.get(name, "solid"))
        for name, rows in shown.bills.items()
    ]
    ticks, texts = (1024, 16_384, 262_144), ("1k", "16k", "256k")
    tokens = Axis(Text("tokens", "token 数"), log=True, ticks=ticks, tick_texts=texts)
    return found, charts.lines(series, tokens, Axis(unit, log=True), [Guide(params.length, "n", vertical=True)])


def flops_picture(params: "Params", shown: "Cost") -> Picture:
    """FLOPs of reading n tokens."""
    flops, figure = by_length(params, shown, 0, same("FLOPs"))
    n, w, saved = f"{params.length:,}", f"{params.window:,}", flops["full"] / flops["window"]
    less = Text(f"with a window of {w} it needs 1/{saved:.3g} of them", f"窗口 {w} 只要其中的 1/{saved:.3g}")
    if params.window >= params.length:
        less = Text(f"a window of {w} hides nothing and saves nothing", f"窗口 {w} 什么也没遮住，一点不省")
    elif saved <= 1:
        less = Text(f"a window of {w}, computed in blocks, needs as many", f"窗口 {w} 按块计算，也要这么多")
    return Picture(
        "flops",
        Text(
            f"To read {n} tokens a head of full attention needs {short(flops['full'])} FLOPs; {less.en}",
            f"读 {n} 个 token，完整注意力每个头要 {short(flops['full'])} FLOPs；{less.zh}",
        ),
        Text(
            f"FLOPs by length on log axes; at {n} tokens {listed(flops).en}.",
            f"FLOPs 随长度的变化（双对数坐标）；{n} 个 token 时：{listed(flops).zh}。",
        ),
        figure,
    )


def kept_picture(params: "Params", shown: "Cost") -> Picture:
    """Bytes kept for the next token."""
    kept, figure = by_length(params, shown, 1, Text("bytes, fp32", "字节，fp32"))
    full, window, linear = (size(kept[name]) for name in ("full", "window", "linear"))
    return Picture(
        "kept",
        Text(
            f"For the next token full attention keeps {full} a head, the window {window}, linear attention {linear}",
            f"为了下一个 token，每个头要留：完整注意力 {full}，窗口 {window}，线性注意力 {linear}",
        ),
        Text(
            f"Bytes kept by length on log axes; at {params.length:,} tokens {listed(kept).en}.",
            f"要留的字节数随长度的变化（双对数坐标）；{params.length:,} 个 token 时：{listed(kept).zh}。",
        ),
        figure,
    )


def listed(found: dict[str, int]) -> Text:
    """The numbers of the three methods in words."""
    return Text(
        ", ".join(f"{METHODS[name].en} {value:,}" for name, value in found.items()),
        "，".join(f"{METHODS[name].zh} {value:,}" for name, value in found.items()),
    )


def short(count: float) -> str:
    """Two digits and a power of ten."""
    power = math.floor(math.log10(count))
    return f"{count / 10**power:.2g} × 10{str(power).translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def percent(share: float) -> str:
    """A share as a reader would say it: 48%, 12.5% or over 99.9%."""
    return ">99.9%" if 0.999 < share < 1 else f"{100 * share:.3g}%"


def size(count: int) -> str:
    """Bytes in binary units."""
    power = min(3, int(math.log2(count)) // 10)
    return f"{count / 1024**power:.4g} {('B', 'KiB', 'MiB', 'GiB')[power]}"


def reach_picture(params: "Params", shown: "Reach") -> Picture:
    """Influence by distance, for one layer, half of them and all."""
    last, layers = shown.influence[-1], params.layers
    seen = int((last > 0).sum())
    fraction = f"{(last[0] / last[seen - 1]).item():,.0f}"
    colors = {1: GREY, (layers + 1) // 2: ORANGE} | {layers: BLUE}
    names = {depth: Text(f"{depth} layers" if depth > 1 else "1 layer", f"{depth} 层") for depth in sorted(colors)}
    series = []
    for depth, name in names.items():
        row = shown.influence[depth - 1]
        row = row[row > 0] / row[0]
        series.append(Line(name, torch.arange(len(row)), row, colors[depth], markers=True))
    title = Text(
        f"After {names[layers].en} the output depends on {seen} tokens; the farthest has 1/{fraction} of the gradient "
        "of the token itself",
        f"{layers} 层之后，输出依赖 {seen} 个 token；最远那个的梯度是对自身的 1/{fraction}",
    )
    if seen == 1:
        title = Text("A window of 1 sees only itself, however many layers", "窗口为 1 时只看得见自己，多少层都一样")
    return Picture(
        "reach",
        title,
        Text(
            f"Gradient by distance relative to the token itself, log scale; not zero for {seen} tokens, "
            f"1/{fraction} at the farthest.",
            f"各距离的梯度与自身之比（对数坐标）；{seen} 个 token 不为零，最远处为 1/{fraction}。",
        ),
        charts.lines(
            series,
            Axis(Text("tokens back", "往回多少个 token"), range=(-0.5, max(8.0, 1.25 * seen))),
            Axis(Text("gradient, relative", "相对梯度"), log=True),
            (Guide(layers * (params.sight - 1), same("L(w − 1)"), vertical=True),),
        ),
    )


def recall_picture(params: "Params", shown: "Recall") -> Picture:
    """How many pairs come back: from everything, from a state, from a cache as large as the state."""
    m, d = params.pairs, params.state
    full, window, linear = (shown.recalled[name][shown.stored.index(m)].item() for name in ("full", "window", "linear"))
    names = METHODS | {"window": Text(f"last {d // 2} pairs", f"最近 {d // 2} 对")}
    kept, cached, found = (percent(share) for share in (linear, window, full))
    return Picture(
        "recall",
        Text(
            f"Of {m} pairs, a state of {d} × {d} returns {kept}; a cache as large, the last {d // 2} pairs, {cached}; "
            f"softmax over all of them {found}",
            f"{m} 对里，{d} × {d} 的状态取回 {kept}；同样大小的缓存只存最近 {d // 2} 对，取回 {cached}；"
            f"对全部做 softmax 取回 {found}",
        ),
        Text(
            f"Share recalled by number of pairs; at {m}: full {full:.3f}, linear {linear:.3f}, cache {window:.3f}.",
            f"取回的比例随键值对数的变化；{m} 对时：完整 {full:.3f}，线性 {linear:.3f}，缓存 {window:.3f}。",
        ),
        charts.lines(
            [
                Line(names[name], shown.stored, shares, COLORS[name], markers=True)
                for name, shares in shown.recalled.items()
            ],
            Axis(Text("stored pairs m", "存入的键值对 m"), log=True, ticks=(4, 16, 64, 256)),
            Axis(Text("recalled", "取回的比例"), range=(0, 1.2), ticks=(0, 0.25, 0.5, 0.75, 1)),
            (Guide(d, same("m = d"), vertical=True),),
        ),
    )


def dilution_picture(params: "Params", shown: "Recall") -> Picture:
    """The weight of one match among more and more tokens."""
    first, thousand, million = (shown.weights[params.scale][at].item() for at in (0, 2, -1))
    shades = zip((gap for gap in shown.weights if gap != params.scale), (GREY, ORANGE, GREEN), strict=False)
    colors = dict(shades) | {params.scale: PURPLE}
    return Picture(
        "dilution",
        Text(
            f"A match whose logit leads by {params.scale} gets {percent(thousand)} of the weight among 1,000 tokens, "
            f"{percent(million)} among a million",
            f"logit 领先 {params.scale} 的匹配，在 1,000 个 token 里分到 {percent(thousand)} 的权重，"
            f"在 1,000,000 个里分到 {percent(million)}",
        ),
        Text(
            f"Weight of the match by number of tokens, from {first:.3g} at 10 to {million:.3g} at a million.",
            f"匹配的权重随 token 数的变化：10 个时 {first:.3g}，一百万个时 {million:.3g}。",
        ),
        charts.lines(
            [
                Line(Text(f"lead {gap}", f"领先 {gap}"), shown.crowds, weights, colors[gap], markers=True)
                for gap, weights in shown.weights.items()
            ],
            Axis(Text("tokens n", "token 数 n"), log=True),
            Axis(Text("weight of the match", "匹配的权重"), range=(0, 1.05)),
        ),
    )
