"""The figures of `embedding_scale`."""

import math
from typing import TYPE_CHECKING

from demos.kit import charts
from demos.kit.charts import BLUE, GREEN, ORANGE, Axis, Guide, Line
from demos.kit.contract import Picture
from language import Text

if TYPE_CHECKING:
    from demos.embedding_scale import Result


def pictures(result: "Result") -> list[Picture]:
    """The balance, the same for every width, what can be recovered, and the output head."""
    return [balance_picture(result), width_picture(result), recovery_picture(result), logit_picture(result)]


def balance_picture(result: "Result") -> Picture:
    """Energy of the token and of the position."""
    token, position = result.token_energy.mean().item(), result.position_energy.mean().item()
    share = token / (token + position)
    title = Text(
        f"The token holds {share:.2%} of the input's energy, the position the rest",
        f"输入的能量有 {share:.2%} 来自 token，其余来自位置",
    )
    alt = Text(
        f"Bars of squared norms: token {token:.3g}, position {position:.3g}.",
        f"范数平方的柱状图：token {token:.3g}，位置 {position:.3g}。",
    )
    names = (Text("token", "token"), Text("position", "位置"))
    figure = charts.named_bars(names, [token, position], Text("squared norm", "范数的平方"), (BLUE, ORANGE))
    return Picture("balance", title, alt, figure)


def width_picture(result: "Result") -> Picture:
    """The token's share for every width."""
    without, with_factor = result.shares
    ticks = result.widths[::2]
    x = Axis(Text("model width d", "模型宽度 d"), log=True, ticks=ticks)
    y = Axis(Text("token's share of energy", "token 所占的能量"), range=(0, 1))
    series = [
        Line(Text("× √d", "乘 √d"), result.widths, with_factor, BLUE, markers=True),
        Line(Text("no factor", "不乘"), result.widths, without, ORANGE, markers=True),
    ]
    title = Text(
        "From N(0, 1/d), the factor gives the token two thirds at every width; without it the share falls as 2/d",
        "按 N(0, 1/d) 初始化：乘系数，任何宽度下 token 都占三分之二；不乘，则按 2/d 下降",
    )
    alt = Text(
        f"Token's share against width, with the factor from {with_factor[0]:.2f} to {with_factor[-1]:.2f}, without "
        f"from {without[0]:.3f} to {without[-1]:.4f}.",
        f"token 的能量占比随宽度的变化：乘系数时从 {with_factor[0]:.2f} 到 {with_factor[-1]:.2f}，"
        f"不乘时从 {without[0]:.3f} 到 {without[-1]:.4f}。",
    )
    return Picture(
        "widths", title, alt, charts.lines(series, x, y, [Guide(result.params.model_width, "", vertical=True)])
    )


def recovery_picture(result: "Result") -> Picture:
    """What a nearest-neighbour search finds."""
    token, position = result.token_found, result.position_found
    title = Text(
        f"From the sum, a nearest-neighbour search finds {token:.0%} of the tokens and {position:.0%} of the positions",
        f"从两者之和用最近邻查找，能找回 {token:.0%} 的 token、{position:.0%} 的位置",
    )
    alt = Text(
        f"Bars of the share found: tokens {token:.3f}, positions {position:.3f}.",
        f"找回比例的柱状图：token {token:.3f}，位置 {position:.3f}。",
    )
    names = (Text("token found", "找回 token"), Text("position found", "找回位置"))
    figure = charts.named_bars(names, [token, position], Text("share", "比例"), (BLUE, ORANGE))
    figure["layout"]["xaxis"]["range"] = [0, 1.08]  # room for the number beside a short bar
    return Picture("recovery", title, alt, figure)


def logit_picture(result: "Result") -> Picture:
    """Logits of the tied head."""
    spread, uniform = result.logits.std().item(), math.log(result.vocabulary)
    title = Text(
        f"The tied head: logits with standard deviation {spread:.3g}, initial loss {result.loss:.1f} "
        f"(uniform: {uniform:.1f})",
        f"共享权重的输出端：logit 标准差 {spread:.3g}，初始损失 {result.loss:.1f}（均匀分布：{uniform:.1f}）",
    )
    alt = Text(f"Histogram of the logits, standard deviation {spread:.3g}.", f"logit 的直方图，标准差 {spread:.3g}。")
    figure = charts.histogram(result.logits[::8], Text("logits", "logit"), Axis(Text("logit", "logit 值")), GREEN)
    return Picture("logits", title, alt, figure)
