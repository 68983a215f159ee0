"""The figures of `attention_steps`."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from demos.kit import charts
from demos.kit.cells import score_word, weight_word
from demos.kit.charts import BLUE, GREEN, GREY, ORANGE, Axis, Line
from demos.kit.contract import Picture
from language import Text, same

if TYPE_CHECKING:
    from demos.attention_steps import Result

LONGEST_LABEL = 7
STRONG = 0.7  # of the darkest colour; text on stronger cells is white
QUERY, KEY = Text("query", "query"), Text("key", "key")
STEP_TITLES = {
    "scores": Text("Step 1 of 5: QKᵀ, every query with every key", "第 1 步（共 5 步）：QKᵀ，每个 query 对每个 key"),
    "scaled": Text("Step 2 of 5: every score divided by {}", "第 2 步（共 5 步）：所有分数除以 {}"),
    "masked": Text("Step 3 of 5: −∞ where looking is forbidden", "第 3 步（共 5 步）：不许看的地方填 −∞"),
    "weights": Text("Step 4 of 5: the softmax makes each row sum to 1", "第 4 步（共 5 步）：softmax 让每行之和为 1"),
}
COST_NAMES = {
    "projections": Text("Q, K, V projections", "Q、K、V 投影"),
    "scores": same("QKᵀ"),
    "average": Text("weights × V", "权重 × V"),
    "output": Text("output projection", "输出投影"),
}


def pictures(result: "Result") -> list[Picture]:
    """One row through all steps, the whole tensor of one step, a matrix slid, and the bill."""
    whole = output_picture(result) if result.params.step == "output" else matrix_picture(result)
    return [trace_picture(result), whole, slide_picture(result), cost_picture(result)]


def number(value: float, digits: int = 2) -> str:
    """A number with a true minus sign and no −0."""
    return "−∞" if value == -math.inf else f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def names(result: "Result") -> list[str]:
    """The tokens with their places: 1 the, 2 cat and so on."""
    return [f"{place}<br>{token[:LONGEST_LABEL]}" for place, token in enumerate(result.tokens, 1)]


def axis(title: Text, labels: Sequence[str | Text]) -> Axis:
    """An axis over tokens."""
    return Axis(title, ticks=range(len(labels)), tick_texts=labels)


def grid(values: Tensor, texts: list[list[str]], x: Axis, y: Axis, reach: float) -> dict[str, Any]:
    """A matrix whose cells carry their own numbers: white on strong colours, else in the colour of the theme's text."""
    shown = values.nan_to_num(neginf=-reach).clamp(-reach, reach)
    figure = charts.heatmap(shown, x, y, limits=(-reach, reach), diverging=True)
    figure["data"][0] |= {"showscale": False, "xgap": 2, "ygap": 2, "hoverinfo": "skip"}
    figure["data"][0].pop("hovertemplate")
    strong = shown.abs() > STRONG * reach
    for chosen, font in ((~strong, {"size": 12}), (strong, {"size": 12, "color": "#ffffff"})):
        places = chosen.nonzero()  # (cell, row and column)
        words = [texts[row][column] for row, column in places.tolist()]
        text = {"type": "scatter", "mode": "text", "text": words, "textfont": font, "hoverinfo": "skip"}
        if words:
            figure["data"].append(text | {"x": charts.numbers(places[:, 1]), "y": charts.numbers(places[:, 0])})
    return figure


def frame(figure: dict[str, Any], left: float, top: float, right: float, bottom: float) -> None:
    """Put a frame around the cells from column `left` to `right` and row `top` to `bottom`."""
    line = {"color": ORANGE, "width": 2.5}
    figure["layout"]["shapes"].append(
        {"type": "rect", "x0": left - 0.5, "x1": right + 0.5, "y0": top - 0.5, "y1": bottom + 0.5, "line": line}
    )


def trace_picture(result: "Result") -> Picture:
    """The followed query's row after every step; the followed key is framed."""
    steps, i, j, c = result.steps, result.query, result.key, result.feature
    contributions = steps.weights[i] * steps.value[:, c]  # (key,)
    rows = torch.stack([steps.scores[i], steps.scaled[i], steps.masked[i], steps.weights[i], contributions])
    texts = [[number(value) for value in row] for row in rows.tolist()]
    score, scaled, masked, weight, share = rows[:, j].tolist()
    reach = rows.nan_to_num(neginf=0.0).abs().amax(-1, keepdim=True).clamp_min(1e-6)  # each row in its own colours
    width = steps.query.shape[-1]
    divided = f"÷ √{width}" if result.params.scale else "÷ 1"
    labels = ["q·k", divided, Text("+ mask", "+ 掩码"), "softmax", f"× v<sub>{c + 1}</sub>"]
    figure = grid(rows / reach, texts, axis(KEY, names(result)), axis(same(""), labels), 1.0)
    frame(figure, j, 0, j, len(rows) - 1)
    figure["layout"]["height"] = 300
    output, who = steps.output[i, c].item(), (result.tokens[i], result.tokens[j])
    return Picture(
        "trace",
        Text(
            f"“{who[0]}” looks at “{who[1]}”: score {number(score)} becomes weight {number(weight)}, "
            f"which puts {number(share)} into an output of {number(output)}",
            f"“{who[0]}”看“{who[1]}”：分数 {number(score)} 变成权重 {number(weight)}，"
            f"给输出 {number(output)} 贡献 {number(share)}",
        ),
        Text(
            f"Row of query {i + 1} after five steps. For key {j + 1}: score {number(score, 3)}, scaled "
            f"{number(scaled, 3)}, masked {number(masked, 3)}, weight {number(weight, 3)}, times the value "
            f"{number(share, 3)}; the last row sums to {number(output, 3)}.",
            f"第 {i + 1} 个 query 那一行的五步。对第 {j + 1} 个 key：分数 {number(score, 3)}，"
            f"缩放后 {number(scaled, 3)}，加掩码后 {number(masked, 3)}，权重 {number(weight, 3)}，"
            f"乘以 value 得 {number(share, 3)}；最后一行之和是 {number(output, 3)}。",
        ),
        figure,
    )


def matrix_picture(result: "Result") -> Picture:
    """The n × n matrix after the chosen step; the followed row is framed."""
    step, n = result.params.step, len(result.tokens)
    values: Tensor = getattr(result.steps, step)
    weights = step == "weights"
    texts = [[weight_word(cell) if weights else score_word(cell) for cell in row] for row in values.tolist()]
    finite = values[values.isfinite()].abs()
    reach = 1.0 if weights else max(1e-6, finite.max().item())
    figure = grid(values, texts, axis(KEY, names(result)), axis(QUERY, names(result)), reach)
    frame(figure, 0, result.query, n - 1, result.query)
    divisor = f"√{result.steps.query.shape[-1]}" if result.params.scale else "1"
    title, hidden = STEP_TITLES[step], int((~result.allowed).sum())
    note = Text(f"{n} × {n}", f"{n} × {n}")
    if step in ("masked", "weights"):
        exactly = Text("weight exactly 0", "权重恰好为 0") if weights else Text("at −∞", "是 −∞")
        note = Text(f"{n} × {n}, {hidden} cells {exactly.en}", f"{n} × {n}，其中 {hidden} 格{exactly.zh}")
    listed = "; ".join(" ".join(row) for row in texts)
    return Picture(
        "step",
        Text(f"{title.en.format(divisor)} ({note.en})", f"{title.zh.format(divisor)}（{note.zh}）"),
        Text(
            f"Matrix of {n} queries by {n} keys, row by row: {listed}.", f"{n} 行 query、{n} 列 key，逐行为：{listed}。"
        ),
        figure,
    )


def output_picture(result: "Result") -> Picture:
    """Values and outputs in the plane: an output is an average, so it lies inside the polygon of the values."""
    values, outputs, weights = result.steps.value, result.steps.output, result.steps.weights[result.query]
    pairs = torch.combinations(torch.arange(len(values)), 2) if len(values) > 1 else torch.zeros(1, 2).long()
    gap = torch.full((len(pairs), 1, 2), math.nan)
    edges = torch.cat([values[pairs], gap], dim=1).flatten(0, 1)  # (three per pair, coordinate)
    here = outputs[result.query]
    inside = Line(Text("between values", "value 之间的连线"), edges[:, 0], edges[:, 1], GREY)
    series = [
        Line("v", values[:, 0], values[:, 1], BLUE),
        Line(Text("outputs", "各个输出"), outputs[:, 0], outputs[:, 1], GREEN),
        Line(Text("this output", "这个输出"), here[:1], here[1:], ORANGE),
    ]
    figure = charts.scatter(
        series, Axis(Text("coordinate 1", "坐标 1")), Axis(Text("coordinate 2", "坐标 2")), [inside]
    )
    lines, dots, _, followed = figure["data"]
    lines["line"] = {"color": GREY, "width": 1}
    dots["marker"] = {"size": (10 + 34 * weights).tolist(), "opacity": 0.45}
    dots |= {"mode": "markers+text", "text": shared_labels(values), "textposition": "top center"}
    dots |= {"cliponaxis": False, "opacity": 1}
    followed["marker"] = {"size": 14, "symbol": "diamond"}
    for trace, line in zip(figure["data"][1:], series, strict=True):
        trace["marker"] = {"size": 9, **trace["marker"], "color": line.color}
    x, y = here.tolist()
    heaviest = int(weights.argmax())
    return Picture(
        "step",
        Text(
            f"Step 5 of 5: the output of “{result.tokens[result.query]}” lies among the values, drawn most to "
            f"value {heaviest + 1} ({weights[heaviest]:.0%})",
            f"第 5 步（共 5 步）：“{result.tokens[result.query]}”的输出落在各 value 之间，"
            f"受第 {heaviest + 1} 个 value 牵引最大（{weights[heaviest]:.0%}）",
        ),
        Text(
            f"Values as dots sized by weight, all outputs inside their polygon; the followed one is at "
            f"({number(x, 3)}, {number(y, 3)}).",
            f"各 value 画成点，大小表示权重，所有输出都在它们围成的多边形里；跟踪的输出在"
            f"（{number(x, 3)}，{number(y, 3)}）。",
        ),
        figure,
    )


def shared_labels(points: Tensor) -> list[str]:
    """The number of each point; points at the same place carry all their numbers once."""
    places: dict[tuple[float, ...], list[int]] = {}
    for place, point in enumerate(points.tolist(), 1):
        places.setdefault(tuple(point), []).append(place)
    first = {here[0]: " = ".join(map(str, here)) for here in places.values()}
    return [first.get(place, "") for place in range(1, len(points) + 1)]


def slide_picture(result: "Result") -> Picture:
    """Score, weight and output coordinate of the followed pair as one matrix is slid."""
    slid, i, j, c = result.slides[result.params.slide], result.query, result.key, result.feature
    lines = (slid.scores[:, i, j], slid.weights[:, i, j], slid.output[:, i, c])
    moved = [(line.amax() - line.amin()).item() for line in lines]
    labels = (Text("score", "分数"), Text("weight", "权重"), Text("output", "输出"))
    series = [
        Line(label, result.amounts, line, color, dash)
        for label, line, color, dash in zip(
            labels, lines, (ORANGE, BLUE, GREEN), ("solid", "solid", "dash"), strict=True
        )
    ]
    matrix = {"query": "Q", "key": "K", "value": "V"}[result.params.slide]
    spans = [number(span) for span in moved]
    return Picture(
        "slide",
        Text(
            f"Add b to every number of {matrix}: over this range the score moves by {spans[0]}, the weight by "
            f"{spans[1]}, the output by {spans[2]}",
            f"{matrix} 的每个数都加 b：在图中范围内，分数变化 {spans[0]}，权重变化 {spans[1]}，输出变化 {spans[2]}",
        ),
        Text(
            f"Three lines against b from −3 to 3. Score {number(lines[0][0].item())} to "
            f"{number(lines[0][-1].item())}, weight {number(lines[1][0].item())} to {number(lines[1][-1].item())}, "
            f"output {number(lines[2][0].item())} to {number(lines[2][-1].item())}.",
            f"b 从 −3 到 3 的三条线。分数从 {number(lines[0][0].item())} 到 {number(lines[0][-1].item())}，"
            f"权重从 {number(lines[1][0].item())} 到 {number(lines[1][-1].item())}，"
            f"输出从 {number(lines[2][0].item())} 到 {number(lines[2][-1].item())}。",
        ),
        charts.lines(series, Axis(Text(f"b, added to {matrix}", f"加到 {matrix} 上的 b")), Axis("")),
    )


def cost_picture(result: "Result") -> Picture:
    """FLOPs of each product of a base-model layer; those that grow with the square of the length in colour."""
    n, cost = result.params.length, result.cost
    share = (cost["scores"] + cost["average"]) / sum(cost.values())
    billions = [flops / 1e9 for flops in cost.values()]
    colors = [BLUE if name in ("scores", "average") else GREY for name in cost]
    figure = charts.named_bars(
        [COST_NAMES[name] for name in cost],
        billions,
        Text("billion FLOPs, forward", "前向计算量（10 亿 FLOPs）"),
        colors,
    )
    listed = ", ".join(f"{value:.3g}" for value in billions)
    mib = 8 * n * n * 2 / 2**20
    return Picture(
        "cost",
        Text(
            f"At {n:,} tokens and width 512, {share:.0%} of the multiply-adds are in the two n × n products; "
            f"stored in 16 bits, the weights of 8 heads take {mib:,.3g} MiB",
            f"{n:,} 个 token、宽度 512 时，两个 n × n 的乘法占乘加的 {share:.0%}；"
            f"用 16 位存下 8 个头的权重要 {mib:,.3g} MiB",
        ),
        Text(
            f"Bars in billions of FLOPs: projections, scores, average, output projection: {listed}.",
            f"条形图，单位 10 亿 FLOPs，依次为投影、分数、加权平均、输出投影：{listed}。",
        ),
        figure,
    )
