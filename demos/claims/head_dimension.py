"""The claims of `head_dimension`."""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from demos.kit.contract import Claim
from language import Text, same

if TYPE_CHECKING:
    from demos.head_dimension import Result

CIRCLE = 1000.0  # largest score on the circle
TRAINED = 0.005  # how far the last steps of training may stay from their optimum


def claims(result: "Result") -> list[Claim]:
    """What heads cost, what they read, which rank they have, and which attention they reach."""
    reached = random_claims(result) if result.params.pattern == "random" else permutation_claims(result)
    return [*cost_claims(result), *rank_claims(result), *reached]


def cost_claims(result: "Result") -> list[Claim]:
    """Weights and multiply-adds against one head of full width."""
    d, heads, width = result.params.model_width, result.params.heads, result.params.head_width
    bill, single = result.bill, result.single
    products = (bill.projections + bill.mixing) / (single.projections + single.mixing)
    split = [cost.weights for cost in result.bills["split"].values()]
    made = [
        Claim(
            "one_full_head_has_four_matrices",
            same("$W_Q, W_K, W_V, W_O$: $4\\,d_{\\text{model}}^2$"),
            single.weights,
            "=",
            4 * d * d,
            Text("four square matrices, counted without biases", "四个方阵，不计偏置"),
        ),
        Claim(
            "more_split_heads_cost_nothing",
            Text(
                "With $d_k=d_{\\text{model}}/h$ the number of weights does not depend on $h$",
                "取 $d_k=d_{\\text{model}}/h$ 时，权重数与 $h$ 无关",
            ),
            max(split) - min(split),
            "=",
            0,
            Text(
                "$4\\,d_{\\text{model}}\\cdot h\\,d_k$, and $h\\,d_k$ stays $d_{\\text{model}}$",
                "共 $4\\,d_{\\text{model}}\\cdot h\\,d_k$ 个，而 $h\\,d_k=d_{\\text{model}}$",
            ),
        ),
        Claim(
            "inner_width_sets_the_products",
            Text("Multiply-adds, relative to one full-width head", "乘加次数，相对于一个全宽的头"),
            products,
            "=",
            heads * width / d,
            same("$h\\,d_k/d_{\\text{model}}$"),
            1e-12 * heads,
        ),
    ]
    if result.params.policy == "full":
        sentence = Text("Full-width heads multiply the weights by $h$", "每个头都用全宽，权重数乘以 $h$")
        why = same("$4\\,h\\,d_{\\text{model}}^2/4\\,d_{\\text{model}}^2$")
        made.append(Claim("full_width_costs_h_times", sentence, bill.weights / single.weights, "=", heads, why))
    return made


def rank(spectrum: Tensor) -> int:
    """Singular values above rounding, by NumPy's and PyTorch's rule."""
    return int((spectrum > spectrum[0] * len(spectrum) * torch.finfo(spectrum.dtype).eps).sum())


def rank_claims(result: "Result") -> list[Claim]:
    """A head reads everything, through a map of low rank."""
    d, n, width = result.params.model_width, result.params.tokens, result.params.head_width
    made = [
        Claim(
            "every_feature_reaches_a_head",
            Text("Input features that one head's query depends on", "一个头的 query 依赖的输入特征数"),
            result.reached_features,
            "=",
            d,
            Text("$W_Q$ has a row for every feature; no row is zero", "$W_Q$ 的每一行对应一个特征，没有零行"),
        ),
        Claim(
            "scores_have_the_rank_of_the_head",
            Text("The rank of one head's scores", "一个头的分数矩阵的秩"),
            rank(result.score_spectrum),
            "=",
            min(n, width, d),
            Text(
                "$XW_QW_K^\\top X^\\top$ passes through $d_k$ dimensions", "$XW_QW_K^\\top X^\\top$ 中间只有 $d_k$ 维"
            ),
        ),
    ]
    if width < n:
        sentence = Text("The softmax of those scores has a higher rank", "这些分数做 softmax 之后，秩更高")
        why = Text("$d_k$; the exponential is not linear", "$d_k$；指数函数不是线性的")
        made.append(Claim("softmax_lifts_the_rank", sentence, rank(result.weight_spectrum), ">", width, why))
    return made


def quarter_circle(share: float) -> float:
    """Energy in the largest `share` of the singular values of a large random square matrix."""
    low, high = 0.0, math.pi / 2  # singular values are 2 sin(angle) √n, angles have density (4/π) cos²
    for _ in range(60):
        angle = (low + high) / 2
        above = (2 / math.pi) * (math.pi / 2 - angle - math.sin(2 * angle) / 2)
        low, high = (angle, high) if above > share else (low, angle)
    return (2 / math.pi) * (math.pi / 2 - low + math.sin(4 * low) / 4)


def random_claims(result: "Result") -> list[Claim]:
    """How well a head of each width copies random attention; KL in nats."""
    fit = result.fit
    always = [
        Claim(
            "one_less_than_the_length_is_enough",
            Text(
                "Error left with $d_k=n-1$ and weights built for these tokens",
                "取 $d_k=n-1$、按这些 token 构造权重，剩下的误差",
            ),
            result.built,
            "=",
            0.0,
            Text(
                "$W_QW_K^\\top=X^+SX^{+\\top}$, centred rows have rank $n-1$; float64",
                "$W_QW_K^\\top=X^+SX^{+\\top}$，按行中心化后秩为 $n-1$；float64",
            ),
            1e-9,
        ),
        Claim(
            "wider_heads_reach_more",
            Text("Largest rise of the error from one width to the next", "头变宽一档，误差最多上升多少"),
            fit.fitted.diff().max().item(),
            "<=",
            0.0,
            Text("a narrow head is a wide one with zeros; ± training", "窄头就是补了零的宽头；± 训练误差"),
            TRAINED,
        ),
    ]
    return [*always, *narrow_claims(result)]


def narrow_claims(result: "Result") -> list[Claim]:
    """The same for a head narrower than the sequence is long."""
    fit, n, width = result.fit, result.params.tokens, result.params.head_width
    if width >= n:
        return []
    at = fit.widths.index(width)
    sentence = Text(
        "The best head found, against keeping the largest singular values",
        "训练得到的误差，不大于只保留最大奇异值时的误差",
    )
    why = Text("training starts from that truncation", "训练就从这个截断开始")
    return [
        Claim("training_beats_truncation", sentence, fit.fitted[at].item(), "<=", fit.truncated[at].item(), why),
        Claim(
            "random_scores_spread_over_all_dimensions",
            Text("Share of the target scores' energy in $d_k$ dimensions", "目标分数的能量落在 $d_k$ 个维度里的比例"),
            result.energy,
            "=",
            quarter_circle(width / n),
            Text("quarter-circle law of random matrices; ± 3/n", "随机矩阵的四分之一圆律；± 3/n"),
            3 / n,
        ),
    ]


def permutation_claims(result: "Result") -> list[Claim]:
    """Each query wants one key of its own; scores are cosines times the cap."""
    fit, n, cap, width = result.fit, result.params.tokens, result.params.cap, result.params.head_width
    bound = 1 / (1 + (n - 1) * math.exp(-cap * n / (n - 1)))
    turns = [CIRCLE * (1 - math.cos(2 * math.pi * step / n)) for step in range(n)]
    alone = 1 / sum(math.exp(-turn) for turn in turns)
    return [
        Claim(
            "no_head_beats_the_simplex",
            Text(
                "Probability of the wanted key at $d_k$ (geometric mean)", "头宽为 $d_k$ 时目标 key 的概率（几何平均）"
            ),
            fit.fitted[fit.widths.index(min(width, n))].item(),
            "<=",
            bound,
            Text(
                "keys at the corners of a simplex; it needs $n-1$ dimensions",
                "key 位于正单纯形的顶点时取到，需要 $n-1$ 维",
            ),
            1e-5,
        ),
        Claim(
            "wide_heads_come_close_to_the_simplex",
            Text("Probability of the wanted key with $d_k=n$", "$d_k=n$ 时目标 key 的概率"),
            fit.fitted[-1].item(),
            "=",
            bound,
            Text("a simplex fits into $n-1$ dimensions; ± training", "$n-1$ 维放得下正单纯形；± 训练误差"),
            0.01,
        ),
        Claim(
            "two_dimensions_suffice_for_large_scores",
            Text(
                "Probability with keys on a circle, $d_k=2$, and scores up to 1000",
                "$d_k=2$、key 排在圆上、分数可达 1000 时的概率",
            ),
            result.circle,
            "=",
            alone,
            same("$1/\\sum_j e^{-1000(1-\\cos 2\\pi j/n)}$"),
            1e-9,
        ),
    ]
