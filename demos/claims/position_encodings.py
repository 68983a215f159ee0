"""The claims of `position_encodings`."""

import math
from typing import TYPE_CHECKING

import torch

from demos.kit.contract import Claim
from language import Text, same

if TYPE_CHECKING:
    from demos.position_encodings import Result

EPSILON = torch.finfo(torch.float32).eps
CHANCE, BACK, TRAINED = 1 / 16, 3, 32  # the copying task: 16 symbols, 3 back, sequences of 32


def claims(result: "Result") -> list[Claim]:
    """What a shift does, what each scheme's formula promises, and what the trained models do."""
    facts = {"rope": rope_claims, "alibi": alibi_claims, "t5": t5_claims, "learned": learned_claims}
    made = facts[result.params.scheme](result) if result.params.scheme in facts else []
    return [*shift_claims(result), *made, *training_claims(result)]


def between(result: "Result", start: int, stop: int) -> float:
    """Accuracy of the trained model at positions start … stop − 1."""
    return result.accuracy[max(start - BACK, 0) : stop - BACK].mean().item()


def shift_claims(result: "Result") -> list[Claim]:
    """Whether a score knows where its two tokens are; T5 and ALiBi never look at a position, only at distances."""
    shift, change = result.params.shift, (result.after - result.before).abs().max().item()
    if shift == 0 or result.params.scheme in ("t5", "alibi", "none"):
        return []
    if result.params.scheme in ("learned", "sinusoidal"):
        sentence = Text(
            f"Moving both tokens by {shift} changes their score (largest change)",
            f"两个 token 同时平移 {shift}，分数会变（最大变化）",
        )
        why = Text(
            "projected absolute positions are not relative; a hundred times the rounding",
            "绝对位置经过投影后不再是相对的；下限为舍入误差的一百倍",
        )
        return [Claim("scores_change_with_a_shift", sentence, change, ">", 100 * result.rounding, why)]
    sentence = Text(
        f"Moving both tokens by {shift} changes no score (largest change)",
        f"两个 token 同时平移 {shift}，分数都不变（最大变化）",
    )
    why = Text(
        "both vectors turn by the same angle; ± rounding of the angles, p·ε/2 each",
        "两个向量多转了同样的角度；± 角度的舍入误差，每个 p·ε/2",
    )
    return [Claim("scores_ignore_a_shift", sentence, change, "=", 0.0, why, result.rounding)]


def rope_claims(result: "Result") -> list[Claim]:
    """Rotations keep norms and distributions; slow pairs never finish a turn."""
    params, spreads = result.params, result.spreads
    norm = Text(
        "The rotation keeps the norm of every key (largest relative change)", "旋转保持每个 key 的范数（最大相对变化）"
    )
    no_decay = Text(
        r"Scores of random $q$, $k$ have standard deviation $\sqrt{d_h}$ at every offset up to 2048 (shown over "
        r"$\sqrt{d_h}$, the farthest from 1)",
        r"随机 $q$、$k$ 的分数在 2048 以内任何偏移下的标准差都是 $\sqrt{d_h}$（除以 $\sqrt{d_h}$ 后离 1 最远的）",
    )
    wavy = Text("For $q=k$ the score rises again at this many of 2048 steps", "$q=k$ 时，2048 步里分数回升的步数")
    unseen = Text(
        f"Of {params.width // 2} pairs, this many never complete a turn within {params.length} positions",
        f"{params.width // 2} 对坐标里，在 {params.length} 个位置内转不满一圈的对数",
    )
    farthest = spreads[(spreads - 1).abs().argmax()].item()
    error = 5 * math.sqrt((1 + 3 / params.width) / (2 * 2048))  # five standard errors of a standard deviation
    turning = params.width / 2 * math.log(params.length / (2 * math.pi)) / math.log(params.base)
    expected = max(0, params.width // 2 - math.floor(turning) - 1)
    gaussian = Text(
        "a rotated Gaussian vector is Gaussian again; ± 5 standard errors", "高斯向量旋转后仍是高斯向量；± 5 个标准误"
    )
    waves = Text(
        "a sum of cosines falls forever only if none turns; above rounding", "余弦之和不会一直下降；已排除舍入误差"
    )
    unit, wavelength = same("cos² + sin² = 1; ± d·ε"), same(r"$2\pi b^{2i/d_h}>L$")
    rises, slow = int((result.same_vector.diff() > 1e-6).sum()), int((result.turns < 1).sum())
    return [
        Claim("rope_keeps_norms", norm, result.norm_drift, "=", 0.0, unit, params.width * EPSILON),
        Claim("rope_has_no_decay", no_decay, farthest, "=", 1.0, gaussian, error),
        Claim("rope_equal_vectors_oscillate", wavy, rises, ">", 0.0, waves),
        Claim("rope_unseen_pairs", unseen, slow, "=", expected, wavelength),
    ]


def alibi_claims(result: "Result") -> list[Claim]:
    """The slopes, and how far the flattest head looks back."""
    heads, at_100 = result.params.heads, result.biases[:, 100]
    first = Text("Bias of the steepest head at distance 100", "距离 100 时，斜率最大的头的偏置")
    last = Text("Bias of the flattest head at distance 100", "距离 100 时，斜率最小的头的偏置")
    look_back = Text(
        "With equal contents the flattest head looks back this far on average",
        "内容都相同时，斜率最小的头平均回看的距离",
    )
    expected = 1 / (math.exp(2**-8) - 1)
    formula = Text(r"$-100\cdot2^{-8h/H}$; ± rounding", r"$-100\cdot2^{-8h/H}$；± 舍入误差")
    mean = Text(r"geometric weights, mean $1/(e^m-1)$; ± rounding", r"权重成等比数列，均值 $1/(e^m-1)$；± 舍入误差")
    steepest = -100 * 2 ** (-8 / heads)
    flat = Text(
        "ALiBi's accuracy at positions 128 to 255 minus that within the training length",
        "ALiBi 在第 128 到 255 个位置的正确率，减去训练长度以内的正确率",
    )
    same_window = Text(
        "far tokens weigh little at any length; ± 5 standard errors of 29 × 32 answers, and 0.03 for the flat heads",
        "无论多长，远处的 token 权重都小；± 29 × 32 个回答的 5 个标准误，另为斜率小的头留 0.03",
    )
    far = between(result, 128, 256) - between(result, BACK, TRAINED)
    return [
        Claim("alibi_steepest_bias", first, at_100[0].item(), "=", steepest, formula, 8 * EPSILON * -steepest),
        Claim("alibi_flattest_bias", last, at_100[-1].item(), "=", -100 / 256, formula, 8 * EPSILON),
        Claim("alibi_look_back", look_back, result.look_back, "=", expected, mean, 1e-4 * expected),
        Claim("alibi_is_flat", flat, far, "=", 0.0, same_window, 0.03 + 5 * math.sqrt(0.25 * 0.75 / (29 * 32))),
    ]


def t5_claims(result: "Result") -> list[Claim]:
    """The causal buckets, and those that a training length of 32 never touches."""
    buckets = result.buckets
    count = Text("Distinct buckets", "不同的桶数")
    alone = Text("Distances with a bucket of their own", "独占一个桶的距离数")
    last = Text("The last bucket starts at distance", "最后一个桶从这个距离开始")
    unused = Text("Buckets that training on length 32 left untouched", "训练长度 32 没有训练到的桶数")
    own, starts = int((torch.bincount(buckets) == 1).sum()), int((buckets == 31).nonzero()[0])
    untouched = 31 - (16 + math.floor(16 * math.log(31 / 16) / math.log(8)))
    halves = Text("16 exact and 16 on a log scale", "16 个精确，16 个按对数")
    edge = same(r"$\lceil16\cdot8^{15/16}\rceil$")
    largest = Text("the largest distance in training is 31", "训练中最大的距离是 31")
    return [
        Claim("t5_bucket_count", count, len(buckets.unique()), "=", 32, halves),
        Claim("t5_exact_buckets", alone, own, "=", 16, halves),
        Claim("t5_last_bucket", last, starts, "=", math.ceil(16 * 8 ** (15 / 16)), edge),
        Claim("t5_untrained_buckets", unused, result.untrained_buckets, "=", untouched, largest),
    ]


def learned_claims(result: "Result") -> list[Claim]:
    """A table ends."""
    sentence = Text("Rows that a table of 512 has for position 512", "512 行的表里，位置 512 对应的行数")
    why = Text("rows 0 to 511 exist; PyTorch raises an IndexError", "只有第 0 到 511 行；PyTorch 抛出 IndexError")
    return [Claim("learned_table_ends", sentence, float(result.row_beyond), "=", 0.0, why)]


def training_claims(result: "Result") -> list[Claim]:
    """How well one layer names the symbol 3 back, within the training length and beyond it."""
    scheme, inside = result.params.scheme, between(result, BACK, TRAINED)
    if result.params.interpolation > 1 and scheme == "rope":
        sentence = Text(
            "With positions divided and no fine-tuning, accuracy falls even within the training length",
            "位置除过之后不微调，训练长度以内的正确率也会下降",
        )
        why = Text(
            "offset 3 now has the angle of an offset between 0 and 2; half of the accuracy is a lenient bound",
            "偏移 3 的角度变成了 0 到 2 之间某个偏移的角度；以一半正确率为宽松的上限",
        )
        return [Claim("interpolation_needs_tuning", sentence, inside, "<", 0.5, why)]
    if scheme in ("alibi", "none"):
        sentence = Text("Accuracy within the training length", "训练长度以内的正确率")
        why = {
            "alibi": Text(
                "nearer tokens of equal content always weigh more, so offset 3 cannot be singled out",
                "内容相同时越近权重越大，无法单独挑出偏移 3",
            ),
            "none": Text(
                "in one layer, past tokens of equal content weigh the same in any order",
                "只有一层时，过去的 token 无论怎样排列，内容相同权重就相同",
            ),
        }[scheme]
        return [Claim("cannot_pick_an_offset", sentence, inside, "<", 0.5, why)]
    far = Text("Accuracy at positions 128 to 255", "第 128 到 255 个位置的正确率")
    fits = Text("Accuracy within the training length", "训练长度以内的正确率")
    enough = Text("offset 3 can be singled out, and the loss asks for it", "偏移 3 可以单独挑出来，损失也要求这样")
    unseen = Text(
        "positions or distances above 31 never occurred in training; half of the accuracy is a lenient bound",
        "大于 31 的位置或距离在训练中从未出现；以一半正确率为宽松的上限",
    )
    made = [
        Claim("fits_the_training_length", fits, inside, ">", 0.9, enough),
        Claim("fails_far_beyond", far, between(result, 128, 256), "<", 0.5, unseen),
    ]
    return [*made, *unseen_distance_claims(result)] if scheme == "rope" else made


def unseen_distance_claims(result: "Result") -> list[Claim]:
    """RoPE fails where distances are new, and only there."""
    just = Text("Accuracy of RoPE at positions 32 to 39", "RoPE 在第 32 到 39 个位置的正确率")
    few = Text("at most 8 of 40 distances are new", "40 个距离里最多 8 个是新的")
    windowed = Text(
        "The same model at positions 128 to 255 when it sees only the last 32 tokens",
        "同一个模型只看最近 32 个 token 时，在第 128 到 255 个位置的正确率",
    )
    trained = Text("all distances left are trained ones", "剩下的距离都训练过")
    recovered = result.rope_in_window[128 - BACK :].mean().item()
    return [
        Claim("rope_holds_just_beyond", just, between(result, 32, 40), ">", 0.9, few),
        Claim("window_restores_accuracy", windowed, recovered, ">", 0.9, trained),
    ]
