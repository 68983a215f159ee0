"""The claims of `multi_head`."""

import math
from typing import TYPE_CHECKING

import torch

from demos.kit.contract import Claim
from language import Text, same

if TYPE_CHECKING:
    from demos.multi_head import Result

SHARP = 8  # from this score on, a wanted position has all but e⁻⁸ · 15 ≈ 0.5% of a head's weight


def claims(result: "Result") -> list[Claim]:
    """What linear readout can and cannot do with averages, and what heads cost."""
    made = [floor_claim(result)]
    if result.params.weights == "hand":
        made.append(average_claim(result))
        if result.params.sharpness >= SHARP:
            made.append(sharp_claim(result))
        if result.params.sharpness == 0 and result.params.lean == 0:
            made.append(alike_claim(result))
    else:
        made.append(learned_claim(result))
    return [*made, mixture_claim(result), *cost_claims(result)]


def sampling(result: "Result") -> float:
    """Five standard errors of a correlation, and what the readout's own estimation can add."""
    features = result.params.heads * result.samples / result.rows
    return 5 / math.sqrt(result.samples) + features / result.rows


def floor(result: "Result") -> float:
    """1 − h/k, or 0 when there are heads enough."""
    return max(0.0, 1 - result.params.heads / result.params.targets)


def floor_claim(result: "Result") -> Claim:
    """No weights whatever, learned or set, beat the floor."""
    sentence = Text("No attention weights get below an error of $1-h/k$", "无论注意力权重怎么取，误差都不低于 $1-h/k$")
    why = Text(
        "the output lies in a space of dimension $hm$, the targets fill $km$; − 5 standard errors",
        "输出落在 $hm$ 维空间里，目标有 $km$ 维；− 5 个标准误",
    )
    return Claim("error_floor", sentence, result.errors.mean().item(), ">=", floor(result), why, sampling(result))


def sharp_claim(result: "Result") -> Claim:
    """With the targets dealt out to sharp heads, the floor is reached."""
    sentence = Text(
        "Targets dealt out to sharp heads: the error is $1-h/k$", "目标分给各个头、权重集中：误差恰为 $1-h/k$"
    )
    why = Text(
        "each head explains one target's worth of variance; ± 5 standard errors, + leaked weight",
        "每个头解释一个目标的方差；± 5 个标准误，再加泄漏的权重",
    )
    slack = sampling(result) + 16 * math.exp(-result.params.sharpness)
    return Claim("sharp_heads_reach_floor", sentence, result.errors.mean().item(), "=", floor(result), why, slack)


def learned_claim(result: "Result") -> Claim:
    """Gradient descent finds its way to the floor and no further."""
    sentence = Text("Heads learned with Adam end at $1-h/k$ too", "用 Adam 学出来的头，误差也停在 $1-h/k$")
    why = Text(
        "the floor is attainable; ± 5 standard errors, + 0.01 for what 400 steps leave undone",
        "下界可以取到；± 5 个标准误，再加 400 步没学完的 0.01",
    )
    slack = sampling(result) + 0.01
    return Claim("learned_heads_reach_floor", sentence, result.errors.mean().item(), "=", floor(result), why, slack)


def average_claim(result: "Result") -> Claim:
    """The error of any fixed averages, from their weights alone."""
    rows = result.maps[:, 0].double()  # (head, relative position)
    aimed = rows[:, [offset % rows.shape[1] for offset in result.offsets[: result.params.targets]]]  # (head, target)
    inverse = torch.linalg.pinv(rows @ rows.mT, rtol=1e-6, hermitian=True)
    explained = (aimed * (inverse @ aimed)).sum(0).mean().item()
    sentence = Text("The measured error is what the weights alone predict", "实测误差与仅由权重算出的理论值一致")
    why = Text(
        r"$1-\tfrac1k\operatorname{tr}(B^\top(AA^\top)^+B)$: $A$ the heads' weights, $B$ those on the targets; "
        "± 5 standard errors",
        r"$1-\tfrac1k\operatorname{tr}(B^\top(AA^\top)^+B)$：$A$ 为各头的权重，$B$ 为落在目标上的部分；± 5 个标准误",
    )
    return Claim(
        "error_follows_weights", sentence, result.errors.mean().item(), "=", 1 - explained, why, sampling(result)
    )


def alike_claim(result: "Result") -> Claim:
    """Uniform heads are one head, however many there are."""
    sentence = Text("Identical heads are worth no more than one", "权重完全相同的几个头，只抵一个头")
    why = Text(
        "the mean of 16 positions explains 1/16 of each; ± 5 standard errors",
        "16 个位置的平均只解释每个的 1/16；± 5 个标准误",
    )
    positions = result.maps.shape[-1]
    measured = result.errors.mean().item()
    return Claim("identical_heads_do_not_help", sentence, measured, "=", 1 - 1 / positions, why, sampling(result))


def mixture_claim(result: "Result") -> Claim:
    """However one head splits its weight between two targets, half the variance is lost."""
    means = result.mixture.mean(-1)
    farthest = means[(means - 0.5).abs().argmax()].item()
    sentence = Text(
        "One head, two targets: every split of its weight leaves ½", "一个头、两个目标：权重怎么分，误差都是 ½"
    )
    why = Text(
        r"$\tfrac{a^2}{a^2+b^2}+\tfrac{b^2}{a^2+b^2}=1$ of 2; ± 5 standard errors",
        r"解释量之和 $\tfrac{a^2}{a^2+b^2}+\tfrac{b^2}{a^2+b^2}=1$，总量为 2；± 5 个标准误",
    )
    return Claim("any_split_leaves_half", sentence, farthest, "=", 0.5, why, 5 / math.sqrt(result.samples))


def cost_claims(result: "Result") -> list[Claim]:
    """Same matrices, same multiplications, more weights."""
    (tokens, width), cost = result.cost_shape, result.cost
    most = result.head_counts[-1]
    flops = int(cost.flops[(cost.flops - cost.flops[0]).abs().argmax()])
    parameters = int(cost.parameters[(cost.parameters - cost.parameters[0]).abs().argmax()])
    growth = cost.weights[-1].item() / cost.weights[0].item()
    slack = 64 * torch.finfo(torch.float32).eps * math.sqrt(width)
    same_weights = Text(
        "From 1 to 32 heads PyTorch's layer has $4d^2$ parameters",
        "从 1 个头到 32 个头，PyTorch 的注意力层都是 $4d^2$ 个参数",
    )
    square = Text(
        r"$W_Q,W_K,W_V,W_O$ are $d\times d$ however they are cut; no biases",
        r"$W_Q,W_K,W_V,W_O$ 都是 $d\times d$，与怎么切无关；不计偏置",
    )
    return [
        Claim("same_parameters", same_weights, parameters, "=", 4 * width**2, square),
        Claim(
            "same_flops",
            Text("… and the matrix-multiply FLOPs stay the same too", "……矩阵乘法的 FLOPs 也不变"),
            flops,
            "=",
            8 * tokens * width**2 + 4 * tokens**2 * width,
            same("$8nd^2+4n^2d$"),
        ),
        Claim(
            "attention_weights_grow",
            Text("… but there are 32 times as many attention weights", "……但注意力权重的个数变成 32 倍"),
            growth,
            "=",
            most,
            same("$hn^2/n^2$"),
        ),
        Claim(
            "concat_is_a_sum",
            Text(
                "The sum over heads equals PyTorch's concatenation times $W_O$",
                "各头贡献之和等于 PyTorch 的“拼接再乘 $W_O$”",
            ),
            cost.concat_gap,
            "=",
            0.0,
            Text("block matrix product; rounding of sums over d", "分块矩阵乘法；d 项求和的舍入误差"),
            slack,
        ),
    ]
