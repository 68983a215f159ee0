"""The claims of `attention_steps`."""

from typing import TYPE_CHECKING

import torch

from demos.kit.contract import Claim
from language import Text, same

if TYPE_CHECKING:
    from demos.attention_steps import Result

MODEL, PAIRS = 512, 4096
UNIT = torch.finfo(torch.float32).eps / 2


def claims(result: "Result") -> list[Claim]:
    """The steps are PyTorch's, the mask is exact, an output is an average, a row has no zero point, and the bill."""
    steps = [*oracle_claims(result), *mask_claims(result), *average_claims(result), *slide_claims(result)]
    return [*steps, *score_claims(result), *cost_claims(result)]


def oracle_claims(result: "Result") -> list[Claim]:
    """Against PyTorch, and each row's sum."""
    steps = result.steps
    difference = (steps.output - result.oracle).abs().max().item()
    largest = steps.value.abs().max().item()
    sums = steps.weights.double().sum(-1)
    farthest = sums[(sums - 1).abs().argmax()].item()
    n = len(result.tokens)
    return [
        Claim(
            "matches_pytorch",
            Text(
                "The steps by hand against `F.scaled_dot_product_attention`: largest difference",
                "一步步手算与 `F.scaled_dot_product_attention` 的最大差",
            ),
            difference,
            "=",
            0.0,
            Text("the same formula; rounding of scores, weights and sum", "同一个公式；分数、权重与求和的舍入"),
            (2 * result.rounding + 4 * n * UNIT) * largest,
        ),
        Claim(
            "rows_sum_to_one",
            Text("Each query's weights sum to 1", "每个 query 的权重之和为 1"),
            farthest,
            "=",
            1.0,
            Text("the softmax runs along the keys; rounding of n weights", "softmax 沿 key 方向算；n 个权重的舍入"),
            2 * n * UNIT,
        ),
    ]


def mask_claims(result: "Result") -> list[Claim]:
    """What −∞ before the softmax does."""
    made, steps = [], result.steps
    if not result.allowed.all():
        made.append(
            Claim(
                "masked_weights_are_zero",
                Text("Weight on keys that may not be seen", "不许看的 key 分到的权重"),
                steps.weights[~result.allowed].sum().item(),
                "=",
                0.0,
                same("$e^{-\\infty}=0$"),
            )
        )
    if result.params.mask == "causal":
        made.append(
            Claim(
                "first_token_copies_its_value",
                Text(
                    "Under the causal mask, output 1 differs from value 1 by",
                    "有因果掩码时，第 1 个输出与第 1 个 value 相差",
                ),
                (steps.output[0] - steps.value[0]).abs().max().item(),
                "=",
                0.0,
                Text("one key is left, and its weight is 1", "只剩一个 key，权重是 1"),
            )
        )
    return made


def average_claims(result: "Result") -> list[Claim]:
    """An output is an average of the values."""
    value, output = result.steps.value, result.steps.output
    beyond = torch.maximum(output - value.amax(0), value.amin(0) - output).max().item()
    slid = result.slides["value"].output  # (amount, query, value width)
    moved = ((slid[-1] - slid[0]) / (result.amounts[-1] - result.amounts[0])).flatten()
    reach = value.abs().max().item() + result.amounts[-1].item()
    n = len(result.tokens)
    return [
        Claim(
            "output_stays_within_values",
            Text(
                "How far any output coordinate leaves the range of its column of $V$",
                "输出坐标超出 $V$ 对应列取值范围的幅度",
            ),
            beyond,
            "<=",
            0.0,
            Text("a weighted average; rounding of its sum", "它是加权平均；求和的舍入"),
            4 * n * UNIT * reach,
        ),
        Claim(
            "value_slide_moves_the_output_alike",
            Text(
                "Add $b$ to every number of $V$: the outputs move by $b$ times", "$V$ 的每个数加 $b$，输出变化是 $b$ 的"
            ),
            moved[(moved - 1).abs().argmax()].item(),
            "=",
            1.0,
            Text("the weights of a row sum to 1; rounding", "每行权重之和为 1；舍入"),
            4 * n * UNIT * reach,
        ),
    ]


def slide_claims(result: "Result") -> list[Claim]:
    """What the softmax does not see."""
    weights = result.slides["key"].weights  # (amount, query, key)
    moved = (weights.amax(0) - weights.amin(0)).max().item()
    return [
        Claim(
            "key_slide_changes_no_weight",
            Text("Add $b$ to every number of $K$: largest change of any weight", "$K$ 的每个数加 $b$：权重的最大变化"),
            moved,
            "=",
            0.0,
            Text(
                "each row of scores moves as one; a weight moves by at most half of the scores' rounding",
                "每行分数整体平移；权重的误差不超过分数舍入误差的一半",
            ),
            result.rounding + 4 * len(result.tokens) * UNIT,
        )
    ]


def score_claims(result: "Result") -> list[Claim]:
    """How large scores are, and that they are not mutual."""
    width = result.steps.query.shape[-1]
    made = [
        Claim(
            "score_variance_is_key_width",
            Text(
                "Variance of $q^\\top k$ for random queries and keys of this width",
                "这个维度下，随机 query 与 key 的 $q^\\top k$ 的方差",
            ),
            result.score_variance,
            "=",
            width,
            Text("$d_k$ products of variance 1; ± 5 standard errors", "$d_k$ 个方差为 1 的乘积；± 5 个标准误"),
            5 * width * ((2 + 6 / width) / PAIRS) ** 0.5,
        )
    ]
    if not result.params.edit and len(set(result.tokens)) > 1:
        scores = result.steps.scores
        made.append(
            Claim(
                "attention_is_not_mutual",
                Text(
                    "Largest difference between the score of $i$ for $j$ and of $j$ for $i$",
                    "$i$ 对 $j$ 与 $j$ 对 $i$ 的分数之差，最大为",
                ),
                (scores - scores.mT).abs().max().item(),
                ">",
                2 * result.rounding,
                Text("$W_Q$ and $W_K$ differ; above rounding", "$W_Q$ 与 $W_K$ 不同；已超出舍入误差"),
            )
        )
    return made


def cost_claims(result: "Result") -> list[Claim]:
    """What the matrix products of a layer cost."""
    n, cost = result.params.length, result.cost
    products = cost["scores"] + cost["average"]
    return [
        Claim(
            "two_products_cost_4n2d",
            Text("FLOPs of the two $n\\times n$ products", "两个 $n\\times n$ 乘法的 FLOPs"),
            products,
            "=",
            4 * n * n * MODEL,
            Text("$4n^2d$: a multiply-add counts as 2, heads share $d$", "$4n^2d$：一次乘加算 2，各头平分 $d$"),
        ),
        Claim(
            "their_share",
            Text("Their share of the layer's four projections and two products", "它们在四个投影加两个乘法里的占比"),
            products / sum(cost.values()),
            "=",
            n / (n + 2 * MODEL),
            same("$4n^2d/(8nd^2+4n^2d)=n/(n+2d)$"),
            1e-12,
        ),
    ]
