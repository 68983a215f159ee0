"""The figures of `query_key_projection`."""

import math
from typing import TYPE_CHECKING

import torch

from demos.kit import charts
from demos.kit.charts import BLUE, GREEN, ORANGE, Axis, Guide, Line
from demos.kit.contract import Picture
from language import Text

if TYPE_CHECKING:
    from demos.query_key_projection import Result

KEY, QUERY = Axis("key"), Axis("query")


def pictures(result: "Result") -> list[Picture]:
    """Scores, weights, the training, and layers without training."""
    return [score_picture(result), weight_picture(result), loss_picture(result), untrained_picture(result)]


def score_picture(result: "Result") -> Picture:
    """The scores before any mask."""
    scores = result.scores
    gap, own = (scores - scores.mT).abs().max().item(), scores.diagonal().max().item()
    others = scores[~torch.eye(len(scores), dtype=torch.bool)].max().item()
    low = Text("but now the diagonal can stay low", "但对角线可以低")
    if own > others / 2:
        low = Text("and nothing forces the diagonal up", "而且对角线不必高")
    titles = {
        "tied": Text(
            f"Shared projection: a mirror image, and its largest score, {own:.1f}, is on the diagonal",
            f"共用投影：分数沿对角线对称，最大值 {own:.1f} 落在对角线上",
        ),
        "symmetric": Text(
            f"Symmetric scores: a mirror image, {low.en} ({own:.1f} against {others:.1f})",
            f"只要求对称：仍沿对角线对称，{low.zh}（{own:.1f}，别处最高 {others:.1f}）",
        ),
        "separate": Text(
            f"Separate projections: scores may point one way; s(i, j) and s(j, i) differ by up to {gap:.1f}",
            f"独立投影：分数可以有方向，s(i, j) 与 s(j, i) 最多相差 {gap:.1f}",
        ),
    }
    return Picture(
        "scores",
        titles[result.params.projection],
        Text(
            f"{len(scores)} × {len(scores)} scores: largest on the diagonal {own:.2f}, elsewhere {others:.2f}.",
            f"{len(scores)} × {len(scores)} 分数热力图：对角线最大 {own:.2f}，其余最大 {others:.2f}。",
        ),
        charts.heatmap(scores, KEY, QUERY, diverging=True),
    )


def weight_picture(result: "Result") -> Picture:
    """Where the weight goes: previous, self, next."""
    weights, count = result.weights, len(result.weights)
    rows = range(1, count) if result.params.layout == "line" else range(count)
    previous = sum(weights[i, (i - 1) % count].item() for i in rows) / len(rows)
    following = sum(weights[i - 1, i].item() for i in rows) / len(rows)
    own = weights.diagonal()[list(rows)].mean().item()
    return Picture(
        "weights",
        Text(
            f"Weight on the previous token {previous:.3f}, on the token itself {own:.3f}, on the next {following:.3f}",
            f"前一个 token 拿到权重 {previous:.3f}，自己 {own:.3f}，后一个 {following:.3f}",
        ),
        Text(
            f"Heat map of attention weights: mean {previous:.3f} just left of the diagonal, {own:.3f} on it.",
            f"注意力权重热力图：对角线左侧一格平均 {previous:.3f}，对角线上 {own:.3f}。",
        ),
        charts.heatmap(weights, KEY, QUERY, limits=(0.0, 1.0)),
    )


def loss_picture(result: "Result") -> Picture:
    """The loss of every step with the bounds."""
    steps, losses = torch.arange(len(result.losses)), result.losses
    guides = []
    if result.params.layout == "ring":
        guides = [
            Guide(math.log(2), Text("symmetric: ln 2", "对称：ln 2")),
            Guide(result.tied_optimum, Text(f"shared: {result.tied_optimum:.3f}", f"共用：{result.tied_optimum:.3f}")),
        ]
    top = 1.1 * max(losses.max().item(), result.tied_optimum)
    here = Line(Text("at the chosen step", "所选步数"), [result.params.steps], [result.loss], ORANGE, markers=True)
    return Picture(
        "loss",
        loss_title(result),
        Text(
            f"Loss over {len(steps) - 1} steps, from {losses[0]:.2f} to {losses[-1]:.3f}.",
            f"{len(steps) - 1} 步的损失曲线，从 {losses[0]:.2f} 到 {losses[-1]:.3f}。",
        ),
        charts.lines(
            [Line(Text("loss", "损失"), steps, losses), here],
            Axis(Text("step", "步数")),
            Axis(Text("−ln weight on the previous token", "前一个 token 上权重的 −ln"), range=(0, top)),
            guides,
        ),
    )


def loss_title(result: "Result") -> Text:
    """Which bound the loss respects, true at every step."""
    params, loss = result.params, result.loss
    if params.layout == "line":
        return Text(
            f"On a line there is no bound to stop at: the loss is {loss:.3f} nats",
            f"排成线就没有这道下界：损失为 {loss:.3f} nat",
        )
    if params.projection == "separate" and loss < math.log(2):
        return Text(
            f"Separate projections pass below both lines: the loss is {loss:.3f} nats",
            f"独立投影能降到两条线以下：损失为 {loss:.3f} nat",
        )
    if params.projection == "separate":
        return Text(
            f"Neither line binds separate projections, but here (dₖ = {params.key_width}, step {params.steps}) the "
            f"loss is {loss:.3f} nats",
            f"两条线都管不住独立投影，但在这里（dₖ = {params.key_width}，第 {params.steps} 步）损失为 {loss:.3f} nat",
        )
    if params.projection == "symmetric":
        return Text(
            f"Symmetric scores stay above ln 2 = 0.6931: the loss is {loss:.4f} nats",
            f"对称分数始终在 ln 2 = 0.6931 之上：损失为 {loss:.4f} nat",
        )
    if params.mask_self:
        return Text(
            f"With the diagonal hidden only symmetry is left: the loss is {loss:.4f} nats, above ln 2 = 0.6931",
            f"不许看自己，就只剩对称这一条限制：损失为 {loss:.4f} nat，高于 ln 2 = 0.6931",
        )
    return Text(
        f"A shared projection never gets below its line: the loss is {loss:.3f} nats",
        f"共用投影越不过自己那条线：损失为 {loss:.3f} nat",
    )


def untrained_picture(result: "Result") -> Picture:
    """Self-weight of random layers by width."""
    layers = result.untrained
    widths, even = layers.widths, 1 / layers.tokens
    series = [
        Line(Text("no projection", "不投影"), widths, layers.raw, ORANGE, markers=True),
        Line(Text("one random W", "一个随机 W"), widths, layers.tied, GREEN, dash="dash"),
        Line(Text("two random W", "两个随机 W"), widths, layers.separate, BLUE, markers=True),
    ]
    x = Axis(Text("model width d", "模型宽度 d"), log=True, ticks=widths, tick_texts=[str(width) for width in widths])
    y = Axis(Text("weight on the token itself", "给自己的权重"), range=(0, 1.1))
    return Picture(
        "untrained",
        Text(
            f"Without projections a random token gives itself {layers.raw[0]:.2f} of its weight at d = 16 and "
            f"{layers.raw[2]:.3f} at d = 64",
            f"不做投影时，随机 token 给自己的权重在 d = 16 时为 {layers.raw[0]:.2f}，d = 64 时为 {layers.raw[2]:.3f}",
        ),
        Text(
            f"Self-weight against width: none {layers.raw[-1]:.3f}, shared {layers.tied[-1]:.3f}, separate "
            f"{layers.separate[-1]:.3f} at 512.",
            f"自身权重随宽度的变化；512 维时不投影 {layers.raw[-1]:.3f}，共用 {layers.tied[-1]:.3f}，"
            f"独立 {layers.separate[-1]:.3f}。",
        ),
        charts.lines(series, x, y, [Guide(even, Text("uniform: 1/16", "均匀：1/16"))]),
    )
