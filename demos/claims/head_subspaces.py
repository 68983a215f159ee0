"""The claims of `head_subspaces`."""

import math
from typing import TYPE_CHECKING

import torch

from demos.kit.contract import Claim
from language import Text, same

if TYPE_CHECKING:
    from demos.head_subspaces import Result

EPS = torch.finfo(torch.float32).eps
ONE_HEAD = (1 + 57 / 64) / 2  # the mean accuracy that no single head with weights by position exceeds


def claims(result: "Result") -> list[Claim]:
    """That layouts agree or not, what a head reads, and what the trained heads do."""
    made = [*equal_claims(result), sight_claim(result)]
    if result.params.layout == "view":
        made += view_claims(result)
    else:
        made += [*read_claims(result), subspace_claim(result)]
        if result.params.heads > 1:
            made.append(overlap_claim(result))
    return [*made, sum_claim(result), *target_claims(result)]


def equal_claims(result: "Result") -> list[Claim]:
    """One fused product, a loop over heads and PyTorch's layer are the same function."""
    why = Text(
        "heads are column blocks of the same matrices; ± 8 times the error against double precision",
        "各头就是同一批矩阵的列分块；± 与双精度误差的 8 倍",
    )
    torchs = Text(
        "Fused product, view and transpose: the difference from PyTorch's layer",
        "合并乘法加 view、transpose：与 PyTorch 自带层的差",
    )
    looped = Text("… and from a loop over heads", "……与逐头循环的差")
    return [
        Claim("fused_equals_pytorch", torchs, result.fused, "=", 0.0, why, result.rounding),
        Claim("fused_equals_loop", looped, result.loop, "=", 0.0, why, result.rounding),
    ]


def sight_claim(result: "Result") -> Claim:
    """The sequence is not divided among the heads."""
    heads, tokens = result.params.heads, result.params.tokens
    sentence = Text(
        "With view and transpose: pairs of head and token where the head's output depends on the token",
        "用 view 加 transpose：头的输出依赖于 token 的（头，token）对数",
    )
    why = Text(
        f"$hn$: each of {heads} heads attends over all {tokens} tokens; by autograd",
        f"$hn$：{heads} 个头各自看全部 {tokens} 个 token；由 autograd 求得",
    )
    return Claim("every_head_sees_every_token", sentence, result.seen, "=", heads * tokens, why)


def view_claims(result: "Result") -> list[Claim]:
    """Without the transpose a head gets a stretch of the sequence."""
    heads, n, head = result.params.heads, result.params.tokens, result.params.shown
    tokens = math.ceil((head + 1) * n / heads) - head * n // heads
    cut = Text(
        f"Tokens that head {head + 1} reads without the transpose", f"不做 transpose，第 {head + 1} 个头读到的 token 数"
    )
    why = same("$\\lceil(i+1)n/h\\rceil-\\lfloor in/h\\rfloor$")
    made = [Claim("view_cuts_the_sequence", cut, int(result.reads.any(1).sum()), "=", tokens, why)]
    if heads > 1 and n > 1:
        wrong = Text("… and the output is wrong by up to", "……输出最多差")
        other = Text(
            "other numbers meet in every product; more than rounding", "每个乘积里相遇的数都不同；大于舍入误差"
        )
        return [*made, Claim("view_is_wrong", wrong, result.wrong, ">", result.rounding, other)]
    harmless = Text("… but the output is still right", "……但输出仍然正确")
    still = Text("one head or one token: nothing to reorder", "只有一个头或一个 token，没有可错位的")
    return [*made, Claim("view_is_harmless", harmless, result.wrong, "=", 0.0, still, result.rounding)]


def read_claims(result: "Result") -> list[Claim]:
    """How many numbers of X the head depends on."""
    n, d = result.reads.shape
    heads, read = result.params.heads, int(result.reads.count_nonzero())
    if result.params.layout != "slices":
        sentence = Text("Numbers of $X$ that the head depends on", "这个头依赖 $X$ 中的多少个数")
        why = Text("all $n\\cdot d$: its projection is dense", "全部 $n\\cdot d$ 个：它的投影是稠密的")
        return [Claim("head_reads_everything", sentence, read, "=", n * d, why)]
    sentence = Text(
        "With the input cut first, the head depends on this many numbers of $X$",
        "先切输入，这个头只依赖 $X$ 中这么多个数",
    )
    fewer = Text("… and $W_Q,W_K,W_V$ have this many weights left", "……$W_Q,W_K,W_V$ 只剩这么多权重")
    blocks = Text("$h$ diagonal blocks of each matrix", "每个矩阵只剩 $h$ 个对角块")
    return [
        Claim("slices_read_one_slice", sentence, read, "=", n * d / heads, same("$n\\cdot d/h$")),
        Claim("slices_have_fewer_weights", fewer, result.input_weights, "=", 3 * d * d / heads, blocks),
    ]


def subspace_claim(result: "Result") -> Claim:
    """A head cannot see what lies outside the columns of its matrix."""
    sentence = Text(
        "Moving $x$ outside the column space of $W_i^Q$ changes the head's queries by",
        "在 $W_i^Q$ 的列空间之外移动 $x$，query 的变化",
    )
    why = Text(
        "$u^\\top W_i^Q=0$ for $u$ orthogonal to its columns; ± rounding of sums over $d$",
        "$u$ 与各列正交，所以 $u^\\top W_i^Q=0$；± $d$ 项求和的舍入误差",
    )
    return Claim(
        "outside_is_invisible", sentence, result.outside, "=", 0.0, why, 16 * EPS * math.sqrt(result.params.width)
    )


def overlap_claim(result: "Result") -> Claim:
    """Random subspaces overlap by dₖ/d; slices of the input do not overlap at all."""
    d, heads, overlap = result.params.width, result.params.heads, result.overlap
    pairs, width = heads * (heads - 1) / 2, d // heads
    mean = (overlap.sum() - overlap.trace()).item() / (2 * pairs)
    if result.params.layout == "slices":
        sentence = Text(
            "Overlap of the heads' query subspaces, if the input is cut", "先切输入时，各头 query 子空间的重叠"
        )
        why = Text("different features are orthogonal; ± rounding", "不同的特征彼此正交；± 舍入误差")
        return Claim("slices_do_not_overlap", sentence, mean, "=", 0.0, why, d * EPS)
    sentence = Text(
        "Share of one head's query subspace that lies in another's", "一个头的 query 子空间落在另一个里的比例"
    )
    why = Text(
        "random subspaces share $d_k/d=1/h$; ± 5 standard errors", "随机子空间平均重叠 $d_k/d=1/h$；± 5 个标准误"
    )
    error = math.sqrt(2 * (d - width) ** 2 / (d**2 * (d - 1) * (d + 2)) / pairs)
    return Claim("subspaces_overlap", sentence, mean, "=", 1 / heads, why, 5 * error)


def sum_claim(result: "Result") -> Claim:
    """The trained layer is a sum over its heads."""
    sentence = Text(
        "Taking the heads away one by one takes all of the logits but the bias; what is left over",
        "逐个去掉每个头，减少的量加起来正好是除偏置外的全部 logits，余差",
    )
    formula = "$\\mathrm{Concat}(\\cdot)W_O=\\sum_i\\mathrm{head}_iW_i^O$"
    why = Text(f"{formula}; ± rounding of sums over $d$", f"{formula}；± $d$ 项求和的舍入误差")
    return Claim("heads_add_up", sentence, result.trained.leftover, "=", 0.0, why, result.trained.rounding)


def target_claims(result: "Result") -> list[Claim]:
    """How many targets the trained layer gets right, and what is lost with a head."""
    trained = result.trained
    if result.params.trained == 1:
        sentence = Text("One head: mean accuracy on the two targets", "一个头：两个目标的平均正确率")
        why = Text(
            "with weights by position, of 64 pairs of symbols at least 7 fail on one target",
            "权重只由位置决定时，64 种符号对里至少有 7 种在某个目标上出错",
        )
        return [Claim("one_head_cannot_have_both", sentence, trained.intact.mean().item(), "<=", ONE_HEAD, why, 1e-6)]
    both = Text("Accuracy on the worse of the two targets", "两个目标中较差的那个的正确率")
    more = Text("a head for each target; more than one head averages", "每个目标各有一个头；超过单头的平均上限")
    made = [Claim("more_heads_have_both", both, trained.intact.min().item(), ">", ONE_HEAD, more)]
    if result.params.trained != 2:
        return made
    worse, better = trained.ablated.min(-1).values, trained.ablated.max(-1).values
    farthest = worse[(worse - 1 / 8).abs().argmax()].item()
    lost = Text("Either head removed: the target it served falls to", "去掉任一个头：它负责的目标跌到")
    chance = Text(
        "logits that ignore a symbol are right for 1 of its 8 values; ± 0.02 for stray weight of the other head",
        "logits 与某个符号无关时，8 种取值里恰好对 1 种；± 另一个头零散权重带来的 0.02",
    )
    kept = Text("… while the other target stays at", "……另一个目标仍是")
    intact = Text("its term of the sum is untouched", "求和中它那一项没有动")
    return [
        *made,
        Claim("ablation_takes_one_target", lost, farthest, "=", 1 / 8, chance, 0.02),
        Claim("ablation_spares_the_other", kept, better.min().item(), ">", ONE_HEAD, intact),
    ]
