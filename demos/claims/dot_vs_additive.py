"""The claims of `dot_vs_additive`."""

import math
from typing import TYPE_CHECKING

import torch

from demos.kit.contract import Claim
from language import Text, same

if TYPE_CHECKING:
    from demos.dot_vs_additive import Result

EPSILON = torch.finfo(torch.float32).eps


def claims(result: "Result") -> list[Claim]:
    """What the scores depend on, how large they get, and what they cost."""
    made = [*work_claims(result), dot_share_claim(result), *spread_claims(result)]
    if result.params.activation == "identity":
        made.append(same_rows_claim(result))
    if result.params.activation == "tanh":
        made += [bound_claim(result), *small_claims(result)]
    return made


def same_rows_claim(result: "Result") -> Claim:
    """Without a nonlinearity the query cancels."""
    gap = (result.additive_weights - result.additive_weights[0]).abs().max().item()
    sentence = Text("Without a nonlinearity all queries have the same weights", "没有非线性，所有 query 的权重都一样")
    why = Text(
        "$a_i$ cancels in $\\operatorname{softmax}_j(a_i+b_j)$; rounding of the scores",
        r"$\operatorname{softmax}_j(a_i+b_j)$ 里 $a_i$ 约掉；分数的舍入误差",
    )
    slack = 8 * EPSILON * math.sqrt(result.params.width) * max(1.0, result.additive_scores.abs().max().item())
    return Claim("query_cancels", sentence, gap, "=", 0.0, why, slack)


def bound_claim(result: "Result") -> Claim:
    """|tanh| ≤ 1 bounds the score."""
    largest = result.additive_scores.abs().max().item()
    sentence = Text("With tanh no additive score exceeds $\\|v\\|_1$", r"用 tanh 时，加性分数的绝对值不超过 $\|v\|_1$")
    return Claim(
        "additive_bounded", sentence, largest, "<=", result.bound, same("$|\\tanh|\\le1$"), 8 * EPSILON * result.bound
    )


def small_claims(result: "Result") -> list[Claim]:
    """For small inputs the query's share is 4 s⁴ on average: the lowest mixed terms are cubic."""
    share = dict(zip(result.scales, result.shares[0].tolist(), strict=True))
    law = Text(
        "At $s=0.01$ the query's share of the additive scores is what $a^2b+ab^2$ alone gives, about $4s^4$ (ratio)",
        "$s=0.01$ 时，加性分数中取决于 query 的占比就是 $a^2b+ab^2$ 单独给出的，约 $4s^4$（两者之比）",
    )
    why = Text(
        r"$\tanh z=z-z^3/3+\dots$, same $q$, $k$ and $v$; the next order takes about $14s^2$ away",
        r"$\tanh z=z-z^3/3+\dots$，$q$、$k$、$v$ 相同；下一阶约减去 $14s^2$",
    )
    growth = Text("Doubling small inputs multiplies that share by 16", "输入很小时加倍，这个占比变成 16 倍")
    order = Text("fourth power; the next order is a few $s^2$", "四次方；下一阶是 $s^2$ 的几倍")
    return [
        Claim("query_share_is_quartic", law, share[0.01] / result.cubic_share, "=", 1.0, why, 20 * 0.01**2),
        Claim("quartic_growth", growth, share[0.02] / share[0.01], "=", 16.0, order, 16 * 20 * 0.02**2),
    ]


def dot_share_claim(result: "Result") -> Claim:
    """The dot product depends on the query at every scale."""
    draws, keys, width = result.curve_shape
    expected = 1 - 1 / keys
    sentence = Text(
        "The dot product depends on the query at every scale: share $1-1/n$",
        "点积在任何尺度上都取决于 query：占比 $1-1/n$",
    )
    why = Text("the mean over n queries removes 1/n; ± 5 standard errors", "对 n 个 query 取平均去掉 1/n；± 5 个标准误")
    slack = 5 * math.sqrt(2 / width / draws) / keys
    return Claim("dot_depends_on_query", sentence, farthest(result.shares[1], expected), "=", expected, why, slack)


def spread_claims(result: "Result") -> list[Claim]:
    """How the size of scores depends on width."""
    additive, raw, scaled = result.spreads
    ratios = raw / torch.tensor(result.widths).sqrt()
    tokens, readouts = result.spread_shape
    # relative errors of a standard deviation: of products at the least width; of a sum of a query's and a key's term
    of_products = 5 * math.sqrt(0.5 / tokens**2 + 1 / (tokens * result.widths[0]))
    of_sums = 5 * math.sqrt(1 / (4 * tokens * readouts))
    grows = Text(
        r"Unscaled dot products spread as $\sqrt d$: the ratio is 1 at every width",
        r"不缩放的点积，标准差按 $\sqrt d$ 增长：任何维度下比值都是 1",
    )
    one = Text(r"Divided by $\sqrt d$, their spread is 1 at every width", r"除以 $\sqrt d$ 后，任何维度下标准差都是 1")
    flat = Text(
        r"With $\|v\|=1$ the spread of additive scores does not depend on the width",
        r"$\|v\|=1$ 时，加性分数的标准差与维度无关",
    )
    five = Text("unit-variance q and k; ± 5 standard errors", "q、k 方差为 1；± 5 个标准误")
    tanh = Text(
        r"$\sqrt{\mathbb E\tanh^2z}$ with $z\sim\mathcal N(0,2)$; ± 5 standard errors",
        r"$\sqrt{\mathbb E\tanh^2z}$，$z\sim\mathcal N(0,2)$；± 5 个标准误",
    )
    expected = tanh_spread()
    return [
        Claim("dot_spread_grows", grows, farthest(ratios, 1.0), "=", 1.0, five, of_products),
        Claim("scaled_dot_spread_is_one", one, farthest(scaled, 1.0), "=", 1.0, five, of_products),
        Claim("additive_spread_flat", flat, farthest(additive, expected), "=", expected, tanh, of_sums * expected),
    ]


def farthest(values: torch.Tensor, expected: float) -> float:
    """The value that is farthest from `expected`."""
    return values[(values - expected).abs().argmax()].item()


def tanh_spread() -> float:
    """The square root of E tanh² of a normal number with variance 2, by summing over a fine grid."""
    z = torch.linspace(-12, 12, 4801, dtype=torch.float64)
    density = (-z.square() / 4).exp()
    return ((z.tanh().square() * density).sum() / density.sum()).sqrt().item()


def work_claims(result: "Result") -> list[Claim]:
    """The same order of operations; the difference is the temporary tensor and the nonlinearity."""
    n, d = result.params.tokens, result.params.width
    additive, dot = result.additive_work, result.dot_work
    steps = 3 if result.params.activation == "identity" else 4
    return [
        Claim(
            "same_order",
            Text(
                "The additive form needs a fixed multiple of the dot product's operations",
                "加性的运算量是点积的固定倍数",
            ),
            additive.operations / dot.operations,
            "=",
            steps / 2,
            Text(
                "$2n^2d$ against $n^2d$ sums, $n^2d$ nonlinearities if any, $2n^2d$ for $v$",
                "点积 $2n^2d$；加性为加法 $n^2d$、非线性 $n^2d$（若有）、乘 $v$ 再求和 $2n^2d$",
            ),
        ),
        Claim(
            "temporary_is_d_times_larger",
            Text("Its largest temporary tensor is $d$ times as large", "它最大的中间张量是点积的 $d$ 倍"),
            additive.temporary / dot.temporary,
            "=",
            d,
            same("$n^2d/n^2$"),
        ),
        Claim(
            "nonlinear_evaluations",
            Text("Nonlinearities evaluated outside any matrix product", "矩阵乘法之外要算的非线性次数"),
            additive.nonlinear,
            "=",
            0 if result.params.activation == "identity" else n * n * d,
            Text("$n^2d$, or none for the identity", "$n^2d$；恒等时为 0"),
        ),
    ]
