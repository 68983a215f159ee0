"""The claims of `long_context`."""

import math
from typing import TYPE_CHECKING

import torch

from demos.figures.long_context import far
from demos.kit.contract import Claim
from language import Text, same

if TYPE_CHECKING:
    from demos.long_context import Cost, Params, Positions, Reach, Recall, Result

EPSILON = torch.finfo(torch.float32).eps
TRAINED = 32  # positions
LENIENT = Text("a half is a lenient bound", "0.5 是宽松的界")


def claims(result: "Result") -> list[Claim]:
    """What theory says about the limit that is looked at."""
    made = {"positions": of_positions, "cost": of_cost, "reach": of_reach, "recall": of_recall}
    return made[result.params.view](result.params, result.shown)


def of_positions(params: "Params", shown: "Positions") -> list[Claim]:
    """Which angles were trained, and what follows."""
    ends = {fix: far(accuracy) for fix, accuracy in shown.accuracy.items()}
    pairs = len(shown.trained)
    expected = sum(2 * math.pi * 10_000 ** (i / pairs) > TRAINED for i in range(pairs))
    slow = Text(
        f"Of {pairs} pairs, this many never complete a turn within {TRAINED} positions",
        f"{pairs} 对坐标里，在 {TRAINED} 个位置内转不满一圈的对数",
    )
    at = Text(
        f"at positions {params.factor * 16} to {params.factor * 32 - 1}",
        f"在第 {params.factor * 16} 到 {params.factor * 32 - 1} 个位置",
    )
    windowed = Text(
        f"Accuracy {at.en} when the model, as trained, sees only the last {TRAINED} tokens",
        f"原样的模型只看最近 {TRAINED} 个 token 时，{at.zh}的正确率",
    )
    parts = Text(
        f"Accuracy {at.en} with only the slow pairs divided by {params.factor}",
        f"只把慢的坐标对除以 {params.factor}，{at.zh}的正确率",
    )
    trained = Text("all distances left are trained ones", "剩下的距离都训练过")
    kept = Text(
        f"no new angles, and the fast pairs still tell offsets apart; {LENIENT.en}",
        f"没有新角度，快的对仍能分清偏移；{LENIENT.zh}",
    )
    wavelength = same(r"$\lambda_i=2\pi b^{2i/d}>L$")
    made = [
        Claim("pairs_without_a_turn", slow, int((shown.trained < 1).sum()), "=", expected, wavelength),
        Claim("window_restores_accuracy", windowed, ends["window"], ">", 0.9, trained),
        Claim("slow_pairs_alone", parts, ends["by_parts"], ">", 0.5, kept),
    ]
    return made + (untuned_claims(params, ends, at) if not params.tuning else [])


def untuned_claims(params: "Params", ends: dict[str, float], at: Text) -> list[Claim]:
    """What fails as long as nothing is trained at the new length."""
    divided = Text(
        f"Accuracy {at.en} with all angles divided by {params.factor} and no fine-tuning",
        f"全部角度除以 {params.factor} 且不微调，{at.zh}的正确率",
    )
    looks = Text(
        f"offset 3 now has the angles of offset {3 / params.factor:g}; {LENIENT.en}",
        f"偏移 3 的角度变成了偏移 {3 / params.factor:g} 的；{LENIENT.zh}",
    )
    made = [Claim("interpolation_needs_tuning", divided, ends["interpolated"], "<", 0.5, looks)]
    if params.factor == 8:
        sentence = Text(f"Accuracy {at.en} with the angles of training", f"保持训练时的角度，{at.zh}的正确率")
        new = Text(
            f"at position 128, 97 of 129 distances are new, later even more; {LENIENT.en}",
            f"第 128 个位置的 129 个距离里有 97 个是新的，往后更多；{LENIENT.zh}",
        )
        made.append(Claim("new_angles_fail", sentence, ends["as_is"], "<", 0.5, new))
    return made


def of_cost(params: "Params", shown: "Cost") -> list[Claim]:
    """FLOPs and bytes by formula, and that the cheap methods compute what they should."""
    n, w, d = params.length, min(params.window, params.length), params.width
    (full, full_kept), (window, window_kept), (linear, linear_kept) = (
        shown.bills[name][shown.lengths.index(n)] for name in ("full", "window", "linear")
    )
    chunks, blocks = math.ceil(n / d), math.ceil(n / w)
    window_flops = 8 * blocks * w * w * d if w < n else 4 * n * n * d
    in_full = Text(
        f"FLOPs of full attention over {n:,} tokens, one head", f"{n:,} 个 token 的完整注意力，一个头的 FLOPs"
    )
    in_window = Text(f"FLOPs with a window of {params.window:,}", f"窗口 {params.window:,} 的 FLOPs")
    in_linear = Text("FLOPs of linear attention", "线性注意力的 FLOPs")
    cache = Text("Bytes of keys and values that full attention keeps", "完整注意力要留的 key 和 value 字节数")
    buffer = Text("Bytes that the window keeps", "窗口要留的字节数")
    state = Text(r"Bytes of the state $S$ and $z$ at any length", r"状态 $S$ 和 $z$ 的字节数，与长度无关")
    masked = Text(
        "Blocks against PyTorch's masked attention, 300 tokens (largest difference)",
        "分块计算与 PyTorch 带掩码的注意力之差，300 个 token（最大值）",
    )
    at_once = Text(
        "Chunks against all products at once, 300 tokens (largest difference)",
        "分块递推与一次算出全部乘积之差，300 个 token（最大值）",
    )
    two = Text("a multiply-add is 2 FLOPs, two products", "一次乘加算 2 FLOPs，两个乘积")
    blocked = Text(r"$8nwd$: each block of $w$ meets $2w$ keys", r"$8nwd$：每块 $w$ 个 query 对 $2w$ 个 key")
    if params.window >= n:
        blocked = Text("the window hides nothing: as in full", "窗口什么也没遮住：与完整注意力相同")
    chunked = Text(
        r"$2n(d^2+3d(d+1))$: per chunk of $d$, one product $d\times d$ and three $d\times(d+1)$",
        r"$2n(d^2+3d(d+1))$：每块 $d$ 个 token，一个 $d\times d$ 乘积，三个 $d\times(d+1)$",
    )
    rounding = Text("sums of a few hundred fp32 terms", "几百个 fp32 数求和的舍入误差")
    return [
        Claim("full_flops", in_full, full, "=", 4 * n * n * d, two),
        Claim("window_flops", in_window, window, "=", window_flops, blocked),
        Claim("linear_flops", in_linear, linear, "=", 2 * chunks * d * (d * d + 3 * d * (d + 1)), chunked),
        Claim("cache_grows", cache, full_kept, "=", 8 * n * d, same(r"$2\cdot n\cdot d\cdot4$")),
        Claim("window_is_bounded", buffer, window_kept, "=", 8 * w * d, same(r"$2\cdot\min(n,w)\cdot d\cdot4$")),
        Claim("state_is_constant", state, linear_kept, "=", 4 * d * (d + 1), same(r"$d(d+1)\cdot4$")),
        Claim("window_is_masked_attention", masked, shown.errors["window"], "=", 0.0, rounding, 300 * EPSILON),
        Claim("chunks_are_linear_attention", at_once, shown.errors["linear"], "=", 0.0, rounding, 300 * EPSILON),
    ]


def of_reach(params: "Params", shown: "Reach") -> list[Claim]:
    """How far a stack of windows sees."""
    last, layers, w = shown.influence[-1], params.layers, params.sight
    seen, expected = int((last > 0).sum()), layers * (w - 1) + 1
    reach = Text(
        f"Tokens whose gradient at the last output is not zero, with L = {layers} and w = {w}",
        f"对最后一个输出梯度不为零的 token 数，L = {layers}，w = {w}",
    )
    back = Text(
        "each layer reaches w − 1 further back, so L(w − 1) + 1, not L·w",
        "每层再往回 w − 1 个，所以是 L(w − 1) + 1，不是 L·w",
    )
    return [Claim("reach_is_exact", reach, seen, "=", expected, back)]


def of_recall(params: "Params", shown: "Recall") -> list[Claim]:
    """What a fixed state can hold, and when softmax finds the one match."""
    m, d, beta, at = params.pairs, params.state, params.scale, shown.stored.index(params.pairs)
    trials, gap = shown.noise[at], math.log(999_999)
    power = Text(
        f"Noise power that {m} pairs add to a value of length 1 in the linear state",
        f"线性状态里，{m} 个键值对给长度为 1 的 value 带来的噪声功率",
    )
    rank = Text(f"Rank of the state after {m} pairs", f"存入 {m} 对之后，状态的秩")
    spread = 5 * math.sqrt(noise_variance(m, d) / len(trials))
    noise = Text(
        rf"$(m-1)/d$, since $E(k_i^\top k_j)^2=1/d$; ± 5 standard errors of {len(trials)} sets",
        rf"$(m-1)/d$，因为 $E(k_i^\top k_j)^2=1/d$；± {len(trials)} 组的 5 个标准误",
    )
    product = Text("a product of m × d matrices has rank min(m, d)", "m × d 矩阵之积的秩是 min(m, d)")
    crowd = Text(
        f"Weight of a match among a million tokens if its logit leads by {beta}",
        f"一百万个 token 里，logit 领先 {beta} 的匹配分到的权重",
    )
    weight = 1 / (1 + 999_999 * math.exp(-beta))
    softmax = Text(
        rf"$1/(1+(n-1)e^{{-\Delta}})$; half needs $\ln(n-1)={gap:.1f}$; ± rounding in fp64",
        rf"$1/(1+(n-1)e^{{-\Delta}})$；占一半要 $\ln(n-1)={gap:.1f}$；± fp64 的舍入误差",
    )
    return [
        Claim("noise_grows_with_pairs", power, trials.mean().item(), "=", (m - 1) / d, noise, spread + 1e-5),
        Claim("state_has_rank_d", rank, shown.ranks[at], "=", min(m, d), product),
        Claim("match_is_diluted", crowd, shown.weights[beta][-1].item(), "=", weight, softmax, 1e-9),
        *softmax_claims(params, shown.recalled["full"][at].item()),
    ]


def noise_variance(m: int, d: int) -> float:
    """Variance, over random sets, of the mean noise power: of the m(m − 1)/2 squares, and of the mixed terms."""
    square = 2 * (d - 1) / (d**2 * (d + 2))  # Var (kᵢ·kⱼ)²
    mixed = 2 * (m - 1) * (m - 2) / (m * d**3) * (1 + (m - 3) / d)
    return 2 * (m - 1) / m * square + mixed


def softmax_claims(params: "Params", recalled: float) -> list[Claim]:
    """Softmax finds every pair while the match outweighs all others together; made only where theory promises it."""
    m, d, beta = params.pairs, params.state, params.scale
    risk = 100 * (m - 1) * math.exp(beta**2 / (2 * d) - beta)
    if risk > 0.1:
        return []
    sentence = Text(f"Share of {m} pairs that softmax attention returns", f"softmax 注意力取回 {m} 对的比例")
    markov = Text(
        r"others weigh more than 1% for at most $100(m-1)e^{\beta^2/2d-\beta}$ of the queries; − 5 standard errors",
        r"其余合计超过 1% 的 query 至多占 $100(m-1)e^{\beta^2/2d-\beta}$；− 5 个标准误",
    )
    return [Claim("softmax_recalls_all", sentence, recalled, ">=", 1 - risk, markov, 5 * math.sqrt(risk / 1024))]
