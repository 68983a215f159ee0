"""The figures of `attention_masks`."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from demos.kit import charts
from demos.kit.cells import score_word, weight_word
from demos.kit.charts import BLUE, GREY, Axis, Label
from demos.kit.contract import Picture
from language import Text

if TYPE_CHECKING:
    from demos.attention_masks import Result

KEY, QUERY = "key", "query"


def pictures(result: "Result") -> list[Picture]:
    """Scores, weights, then either every method's error or where the NaN is."""
    drawn = [score_picture(result), weight_picture(result)]
    if result.nan_rows.any():
        drawn.append(nan_picture(result))
    if result.params.length:
        drawn.append(error_picture(result))
        if not result.nan_rows.any():
            drawn.append(leak_picture(result))
    return drawn


def names(result: "Result") -> list[str]:
    """t1, t2, … for the real tokens, pad for the rest."""
    order = result.real.cumsum(0).tolist()
    return [f"t{count}" if real else "pad" for real, count in zip(result.real.tolist(), order, strict=True)]


def positions(title: Label, labels: list[str]) -> Axis:
    """An axis over the eight positions."""
    return Axis(title, ticks=range(len(labels)), tick_texts=labels)


def cells(
    values: Tensor, words: list[list[str]], x: Axis, y: Axis, reach: float, written: Tensor | None = None
) -> dict[str, Any]:
    """A matrix whose cells carry their own numbers, so it needs no colour bar. NaN is drawn as −reach: orange.

    Only the cells `written` show their number; the others tell it to the pointer.
    """
    shown = values.float().nan_to_num(nan=-reach).clamp(-reach, reach)
    texts = words
    if written is not None:
        texts = np.where(written.cpu(), words, "").tolist()
    figure = charts.heatmap(shown, x, y, limits=(-reach, reach), diverging=True, texts=texts)
    figure["data"][0] |= {"showscale": False, "textfont": {"size": 10}, "customdata": words}
    figure["data"][0]["hovertemplate"] = "%{y} → %{x}: %{customdata}<extra></extra>"
    return figure


SCORE_TITLES = {
    "minus_infinity": Text(
        "Before the softmax, every score in a padded key's column is −∞",
        "进入 softmax 之前，padding key 所在的列全是 −∞",
    ),
    "finite": Text(
        "Before the softmax, padded columns hold a number so low that e to its power is 0",
        "进入 softmax 之前，padding 列被填成极小的数，取指数后就是 0",
    ),
    "minus_ten": Text(
        "Padded columns are 10 lower: far behind small scores, not behind large ones",
        "padding 列只低了 10：分数不大时够用，分数一大就不够了",
    ),
    "zero_score": Text(
        "Padded columns are 0, a middling score that the softmax takes seriously",
        "padding 列的分数是 0：对 softmax 来说，这是个不高不低的普通分数",
    ),
    "zero_after": Text(
        "The softmax still sees the padding: its columns look like any other",
        "softmax 仍然看得到 padding：这些列与别的列没有区别",
    ),
    "wrong_axis": Text(
        "The rows of padded queries are masked; the columns that real queries read are not",
        "被屏蔽的是 padding query 的行，真实 query 要读的列却原封不动",
    ),
    "none": Text("No column is marked as padding", "没有任何一列被标成 padding"),
}
NO_PADDING = Text("There is no padding: every column is a real key", "没有 padding：每一列都是真实 key")


def score_finding(result: "Result") -> Text:
    """The one sentence about the scores."""
    if result.refusal:
        return Text(
            f"PyTorch refuses −10⁹ in float16 (“{result.refusal}”), so its lowest number stands in: {result.fill:.0f}",
            f"PyTorch 不肯在 float16 里填 −10⁹（报错“{result.refusal}”），这里改填最小值 {result.fill:.0f}",
        )
    return SCORE_TITLES[result.params.method] if result.params.length < len(result.real) else NO_PADDING


def score_picture(result: "Result") -> Picture:
    """What the softmax is given, for one head."""
    scores, labels, padded = result.scores[0].float(), names(result), int((~result.real).sum())
    usual = result.raw_scores[0][result.real][:, result.real].float()
    reach = max(1.0, usual.abs().max().item()) if usual.numel() else 1.0
    words = [[score_word(score) for score in row] for row in scores.tolist()]
    blocked, real = int((scores < -1e4).sum()), result.real
    hidden = (~real)[None] | (scores != result.raw_scores[0].float())  # what the mask is about, or has changed
    return Picture(
        "scores",
        score_finding(result),
        Text(
            f"8 × 8 scores given to the softmax; {padded} positions are padding, {blocked} of 64 cells are blocked.",
            f"softmax 收到的 8 × 8 分数矩阵，{padded} 个位置是 padding，64 格中有 {blocked} 格被屏蔽。",
        ),
        cells(scores, words, positions(KEY, labels), positions(QUERY, labels), reach, hidden),
    )


def weight_picture(result: "Result") -> Picture:
    """The weights of one head, each row with its sum."""
    weights, labels = result.weights[0].float(), names(result)
    sums = weights.sum(-1).tolist()
    rows = [f"{label}  Σ {weight_word(total)}" for label, total in zip(labels, sums, strict=True)]
    texts = [[weight_word(weight) for weight in row] for row in weights.tolist()]
    finding = weight_finding(result)
    figure = cells(
        weights, texts, positions(KEY, labels), positions(Text("query and row sum", "query 与行和"), rows), 1.0
    )
    return Picture(
        "weights",
        finding,
        Text(f"8 × 8 attention weights with row sums. {finding.en}.", f"8 × 8 注意力权重与每行之和。{finding.zh}。"),
        figure,
    )


def weight_finding(result: "Result") -> Text:
    """The one sentence about the weights, over both heads."""
    lost = int(result.nan_rows[0].sum())
    if lost:
        return Text(
            f"{lost} of 8 rows are NaN: their queries have no allowed key, and 0/0 has no answer",
            f"8 行中有 {lost} 行是 NaN：这些 query 没有可用的 key，0/0 没有结果",
        )
    if not result.params.length:
        return Text(
            "No key is real, so none of these rows means anything",
            "没有一个真实 key，这里的每一行都没有意义",
        )
    rows = result.weights[:, result.real].double()  # (head, real query, key)
    share, total = rows[..., ~result.real].sum(-1).mean().item(), rows.sum(-1).mean().item()
    return Text(
        f"Rows of real queries sum to {total:.3f} on average; padding gets {100 * share:.2g} % of the weight",
        f"真实 query 的行和平均为 {total:.3f}，padding 占权重的 {100 * share:.2g} %",
    )


def nan_picture(result: "Result") -> Picture:
    """Which positions are NaN after one layer and after two."""
    first, second = (int(count) for count in result.nan_rows.sum(-1))
    texts = [["NaN" if broken else "ok" for broken in row] for row in result.nan_rows.tolist()]
    values = torch.where(result.nan_rows, torch.nan, 0.0)
    layers = Axis("", ticks=(0, 1), tick_texts=(Text("layer 1", "第 1 层"), Text("layer 2", "第 2 层")))
    figure = cells(values, texts, positions(Text("position", "位置"), names(result)), layers, 1.0)
    figure["layout"]["height"] = 180
    return Picture(
        "nan",
        Text(
            f"{first} positions are NaN after one layer, {second} after two: a weight of 0 does not stop 0 × NaN",
            f"一层之后 {first} 个位置是 NaN，两层之后 {second} 个：权重为 0 也挡不住 0 × NaN",
        ),
        Text(
            f"Two rows of eight positions: {first} NaN after layer 1, {second} after layer 2.",
            f"两行各 8 个位置：第 1 层后 {first} 个 NaN，第 2 层后 {second} 个。",
        ),
        figure,
    )


def method_bars(result: "Result", values: Tensor, axis: Text) -> dict[str, Any]:
    """One bar per method, the chosen one in colour."""
    colors = [BLUE if method == result.params.method else GREY for method, _ in result.methods]
    return charts.named_bars([name for _, name in result.methods], values, axis, colors)


def error_picture(result: "Result") -> Picture:
    """Every method against the same tokens without padding."""
    errors = {method: value for (method, _), value in zip(result.methods, result.errors.tolist(), strict=True)}
    mine, exact = errors[result.params.method], errors["minus_infinity"]
    listed = ", ".join(f"{value:.2g}" for value in errors.values())
    return Picture(
        "errors",
        Text(
            f"This method misses the run without padding by {mine:.2g} at real positions; −∞ misses it by {exact:.2g}",
            f"在真实位置上，这种做法与不加 padding 的结果相差 {mine:.2g}；用 −∞ 只差 {exact:.2g}",
        ),
        Text(f"Bars of the error of seven methods: {listed}.", f"七种做法的误差条形图，依次为 {listed}。"),
        method_bars(result, result.errors, Text("largest error at real positions", "真实位置上的最大误差")),
    )


def leak_picture(result: "Result") -> Picture:
    """How much real outputs move when the padding holds something else."""
    moves = {method: value for (method, _), value in zip(result.methods, result.leaks.tolist(), strict=True)}
    mine, listed = moves[result.params.method], ", ".join(f"{value:.2g}" for value in moves.values())
    return Picture(
        "leaks",
        Text(
            f"Put larger numbers into the padding and real outputs move by {mine:.2g}; a correct mask moves them by 0",
            f"把 padding 的内容换成更大的数，真实位置的输出变动 {mine:.2g}；掩码正确时应为 0",
        ),
        Text(f"Bars of the change under seven methods: {listed}.", f"七种做法的变动条形图，依次为 {listed}。"),
        method_bars(result, result.leaks, Text("largest change at real positions", "真实位置上的最大变动")),
    )
