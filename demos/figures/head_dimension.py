"""The figures of `head_dimension`."""

from typing import TYPE_CHECKING

import torch

from demos.kit import charts
from demos.kit.charts import BLUE, GREY, ORANGE, Axis, Guide, Line
from demos.kit.contract import Picture
from language import Text

if TYPE_CHECKING:
    from demos.head_dimension import Result

SHOWN = 16  # queries and keys in the heatmap
FLOOR = 1e-6  # smallest relative singular value drawn
RANK_TICKS = {FLOOR: "≤ 10⁻⁶", 1e-4: "10⁻⁴", 1e-2: "0.01", 1.0: "1"}


def pictures(result: "Result") -> list[Picture]:
    """Cost, rank, reach, and the pattern itself."""
    return [cost_picture(result), rank_picture(result), reach_picture(result), pattern_picture(result)]


def cost_picture(result: "Result") -> Picture:
    """Weights against the number of heads for both policies, with the chosen layer marked."""
    params, bill, single = result.params, result.bill, result.single
    counts = list(result.bills["split"])
    split, full = ([cost.weights for cost in result.bills[policy].values()] for policy in ("split", "full"))
    series = [
        Line(Text("full width", "全宽"), counts, full, ORANGE, markers=True),
        Line("d_model ÷ h", counts, split, BLUE, markers=True),
        Line(Text("your layer", "当前"), [params.heads], [bill.weights], GREY, markers=True),
    ]
    shown = [count for count in result.head_counts if count in counts][::2]
    x = Axis(Text("number of heads h", "头数 h"), log=True, ticks=shown)
    width, ratio = params.head_width, bill.weights / single.weights
    if ratio == 1:
        compared = Text("exactly as many as one full-width head", "正好等于一个全宽的头")
    elif ratio > 1:
        compared = Text(f"{ratio:.3g} times one full-width head", f"是一个全宽的头的 {ratio:.3g} 倍")
    else:
        compared = Text(f"{ratio:.2%} of one full-width head", f"是一个全宽的头的 {ratio:.2%}")
    figure = charts.lines(series, x, Axis(Text("weights of the layer", "一层的权重数"), log=True))
    figure["data"][-1]["marker"] = {"size": 15, "symbol": "circle-open", "line": {"width": 3}}
    return Picture(
        "cost",
        Text(
            f"{params.heads} heads of width {width}: {bill.weights:,} weights, {compared.en}",
            f"{params.heads} 个 {width} 维的头：共 {bill.weights:,} 个权重，{compared.zh}",
        ),
        Text(
            f"Weights against the number of heads. Split heads always have {split[0]:,}; full-width heads rise to "
            f"{full[-1]:,} at {counts[-1]} heads.",
            f"权重数随头数的变化。平分时始终是 {split[0]:,}；全宽时升到 {full[-1]:,}（{counts[-1]} 个头）。",
        ),
        figure,
    )


def rank_picture(result: "Result") -> Picture:
    """Singular values of the scores of one head, and of their softmax."""
    width, n = result.params.head_width, result.params.tokens
    index = torch.arange(1, n + 1)
    scores, weights = (
        (spectrum / spectrum[0]).clamp_min(FLOOR) for spectrum in (result.score_spectrum, result.weight_spectrum)
    )
    series = [
        Line(Text("scores", "分数"), index, scores, ORANGE, markers=True),
        Line(Text("softmax of the scores", "分数的 softmax"), index, weights, BLUE),
    ]
    y = Axis(
        Text("singular value ÷ largest", "奇异值 ÷ 最大值"),
        log=True,
        range=(FLOOR / 2, 2),
        ticks=tuple(RANK_TICKS),
        tick_texts=tuple(RANK_TICKS.values()),
    )
    if width < n:
        title = Text(
            f"The scores stop after {width} singular value{'' if width == 1 else 's'}; their softmax does not",
            f"分数只有 {width} 个非零奇异值，做完 softmax 就不止了",
        )
    else:
        title = Text(
            f"A head of width {width} gives {n} tokens scores of full rank",
            f"{width} 维的头能让 {n} 个 token 的分数满秩",
        )
    alt = Text(
        f"Singular values of one head's {n} by {n} scores and of their softmax, relative to the largest; those of the "
        f"scores are zero after {min(width, n)}.",
        f"一个头的 {n}×{n} 分数矩阵及其 softmax 的奇异值（除以最大值）；分数的奇异值在第 {min(width, n)} 个之后为零。",
    )
    return Picture("rank", title, alt, charts.lines(series, Axis(Text("number", "序号")), y))


def reach_picture(result: "Result") -> Picture:
    """What a trained head of each width reaches."""
    fit, params = result.fit, result.params
    at = chosen(result)
    shown, width, named = fit.fitted[at].item(), fit.widths[at], width_name(result)
    x = Axis(Text("head width dₖ", "头宽 dₖ"), log=True, ticks=fit.widths)
    trained = Line(Text("trained", "训练得到"), fit.widths, fit.fitted, BLUE, markers=True)
    mark = Guide(width, "", vertical=True)
    if params.pattern == "permutation":
        title = Text(
            f"With scores up to {params.cap} and {named}, the wanted key gets {shown:.0%} of the weight",
            f"分数不超过 {params.cap}、{named} 时，目标 key 得到 {shown:.0%} 的权重",
        )
        alt = Text(
            f"Probability of the wanted key against head width, from {fit.fitted[0]:.3f} to {fit.fitted[-1]:.3f}.",
            f"目标 key 的概率随头宽的变化，从 {fit.fitted[0]:.3f} 到 {fit.fitted[-1]:.3f}。",
        )
        y = Axis(Text("probability of the wanted key", "目标 key 的概率"), range=(0, 1.05))
        return Picture("reach", title, alt, charts.lines([trained], x, y, [mark]))
    cut = Line(
        Text("largest singular values kept", "只留最大的奇异值"), fit.widths, fit.truncated, ORANGE, markers=True
    )
    title = Text(
        f"With {named}, training still misses random attention over {params.tokens} tokens by {shown:.2f} nats",
        f"{named} 时，训练之后离 {params.tokens} 个 token 上的随机注意力还差 {shown:.2f} nat",
    )
    if shown < 0.005:
        title = Text(
            f"With {named}, training reaches random attention over {params.tokens} tokens: error below 0.01 nats",
            f"{named} 时，训练能复现 {params.tokens} 个 token 上的随机注意力，误差不到 0.01 nat",
        )
    alt = Text(
        f"Error in nats against head width; training leaves {fit.fitted[0]:.2f} at width 1 and {shown:.3f} at {width}.",
        f"误差（nat）随头宽的变化；训练之后，1 维时剩 {fit.fitted[0]:.2f}，{width} 维时剩 {shown:.3f}。",
    )
    y = Axis(Text("KL from the target (nats)", "与目标的 KL（nat）"))
    return Picture("reach", title, alt, charts.lines([trained, cut], x, y, [mark]))


def pattern_picture(result: "Result") -> Picture:
    """The wanted weights beside the weights reached."""
    at = chosen(result)
    n, named = min(SHOWN, result.params.tokens), width_name(result)
    target, weights = result.fit.target[:n, :n], result.fit.weights[at, :n, :n]
    both = torch.cat([target, torch.full((n, 2), torch.nan), weights], dim=1)
    moved = (result.fit.target - result.fit.weights[at]).abs().sum(-1).mean().item() / 2
    title = Text(
        f"Wanted (left) and reached with {named} (right): {moved:.0%} of the weight is misplaced",
        f"目标（左）与 {named} 学到的（右）：{moved:.0%} 的权重放错了地方",
    )
    alt = Text(
        f"Two heatmaps of attention weights, {n} queries by {n} keys each; {moved:.1%} of the weight differs.",
        f"两张注意力权重热图，各 {n} 个 query、{n} 个 key；有 {moved:.1%} 的权重不同。",
    )
    ticks = Axis(
        Text("key", "key"),
        ticks=[(n - 1) / 2, 1.5 * n + 1.5],
        tick_texts=[Text("wanted", "目标"), Text("reached", "学到的")],
    )
    figure = charts.heatmap(both, ticks, Axis("query"), limits=(0, target.max().item()))
    border = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "line": {"color": GREY, "width": 1}}
    figure["layout"]["shapes"] = [border | {"x0": at, "x1": at} for at in (n - 0.5, n + 1.5)]
    return Picture("pattern", title, alt, figure)


def width_name(result: "Result") -> str:
    """The head width in a title; every width from n on is fitted as n."""
    width, tokens = result.params.head_width, result.params.tokens
    return f"dₖ = {width}" if width <= tokens else f"dₖ = {width} ≥ n"


def chosen(result: "Result") -> int:
    """Where the fit for the chosen head width stands; wider than n is as good as n."""
    return result.fit.widths.index(min(result.params.head_width, result.params.tokens))
