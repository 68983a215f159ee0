"""The claims of `embedding_scale`."""

import math
from typing import TYPE_CHECKING

import torch

from demos.kit.contract import Claim
from language import Text

if TYPE_CHECKING:
    from demos.embedding_scale import Result

EPSILON = torch.finfo(torch.float32).eps
LAYER_NORM_EPSILON = 1e-5


def claims(result: "Result") -> list[Claim]:
    """The balance of token and position, what it does to recovery, the tied head, and the optimiser."""
    return [*balance_claims(result), *recovery_claims(result), *head_claims(result), *scale_claims(result)]


def balance_claims(result: "Result") -> list[Claim]:
    """Energies of the two parts of the input."""
    params, vocabulary = result.params, result.vocabulary
    d, length = params.model_width, params.positions
    ratio = (result.token_energy.mean() / result.position_energy.mean()).item()
    expected = 2 * params.scale**2 * params.variance
    slack = 5 * expected * math.sqrt(2 * (1 + length / vocabulary) / (length * d))
    frequency = [10_000 ** (-2 * i / d) for i in range(d // 2)]
    waves = [(math.sin(length * w / 2) / (length * math.sin(w / 2))) ** 2 for w in frequency]
    return [
        Claim(
            "token_to_position_energy",
            Text("Energy of the token over energy of the position", "token 的能量与位置的能量之比"),
            ratio,
            "=",
            expected,
            Text(
                "$2s^2\\sigma^2$ for scale $s$; ± 5 standard errors", "$2s^2\\sigma^2$，$s$ 为所乘的系数；± 5 个标准误"
            ),
            slack,
        ),
        Claim(
            "position_norm_is_fixed",
            Text("Squared norm of the encoding, at every position", "每个位置的编码，范数的平方"),
            farthest(result.position_energy, d / 2),
            "=",
            d / 2,
            Text("$\\sin^2+\\cos^2=1$, $d/2$ times; rounding", "$\\sin^2+\\cos^2=1$，共 $d/2$ 对；舍入"),
            d * EPSILON * 4,
        ),
        Claim(
            "much_of_the_encoding_is_constant",
            Text("Share of the encoding's energy in its mean over positions", "位置编码的能量中，各位置均值所占的比例"),
            result.constant_share,
            "=",
            2 / d * sum(waves),
            Text("sums of sines and cosines over $L$ positions; rounding", "正弦、余弦在 $L$ 个位置上求和；舍入"),
            1e-4,
        ),
    ]


def farthest(values: torch.Tensor, center: float) -> float:
    """The value with the largest distance from `center`."""
    return values[(values - center).abs().argmax()].item()


def position_bound(d: int, length: int) -> float:
    """Union bound on finding the own position under unit noise: ‖PE_t − PE_s‖² = d − 2 Σ cos ω(t − s)."""
    offset = torch.arange(1, length, dtype=torch.float64).unsqueeze(1)
    frequency = 10_000.0 ** (-torch.arange(0, d, 2, dtype=torch.float64) / d)
    distance = (d - 2 * (offset * frequency).cos().sum(-1)).sqrt()  # (offset,)
    confused = torch.special.ndtr(-distance / 2)
    pairs = 2 * (length - torch.arange(1, length)) / length  # ordered pairs at each offset, per position
    return 1 - (confused * pairs).sum().item()


def lucky_tokens(d: int, vocabulary: int, length: int) -> tuple[float, float]:
    """Share of tokens that are the nearest row without the factor, and its standard error.

    In cosine the own row leads by 1, noise from the encoding is N(0, 1/2), rivals have N(0, 1/2 + 1/d). If positions
    were all alike they would share their best rival, so the error is that within a best rival and between them.
    """
    noise = torch.arange(-8, 8, 1 / 64, dtype=torch.float64)
    best = torch.special.ndtr(noise).pow(vocabulary - 1).diff()  # density of the best rival
    ahead = torch.special.ndtr((1 - noise[1:] * math.sqrt(0.5 + 1 / d)) * math.sqrt(2))
    share, square = (best @ ahead).item(), (best @ ahead.square()).item()
    return share, math.sqrt(share * (1 - share) / length + square - share**2)


def recovery_claims(result: "Result") -> list[Claim]:
    """What a nearest-neighbour search finds in the sum; made where theory leaves no doubt."""
    params = result.params
    d, noise = params.model_width, 5 * math.sqrt(0.1 * 0.9 / params.positions)
    spread = params.scale * math.sqrt(params.variance)  # of one component of the token
    made = []
    if math.isclose(spread, 1.0) and d >= 256:
        sentence = Text("Share of tokens that are the nearest row of the table", "最相似的一行就是原 token 的比例")
        why = Text("the own row leads by $\\sqrt d$, noise is below 5", "原 token 那一行高出约 $\\sqrt d$，噪声不到 5")
        made.append(Claim("token_is_found_with_unit_variance", sentence, result.token_found, ">=", 0.99, why))
        sentence = Text("Share of positions whose own encoding is the nearest", "最近的编码就是本位置的比例")
        why = Text(
            "$1-\\sum\\Phi(-\\|\\Delta\\|/2)$ over all other positions; ± 5 standard errors",
            "$1-\\sum\\Phi(-\\|\\Delta\\|/2)$，对其余位置求和；± 5 个标准误",
        )
        bound, found = position_bound(d, params.positions), result.position_found
        made.append(Claim("position_is_found_with_unit_variance", sentence, found, ">=", bound, why, noise))
    if params.init == "reference" and not params.multiply:
        sentence = Text(
            "Without the factor: share of tokens that are the nearest row", "不乘系数：最相似的一行就是原 token 的比例"
        )
        why = Text(
            "it leads by 1; the best of 999 rivals with noise $\\sqrt{1/2+1/d}$ mostly lies above; + 5 standard errors",
            "它领先 1；999 个对手的噪声标准差为 $\\sqrt{1/2+1/d}$，其中最大的多半更高；+ 5 个标准误",
        )
        share, error = lucky_tokens(d, result.vocabulary, params.positions)
        found = result.token_found
        made.append(Claim("token_is_lost_without_the_factor", sentence, found, "<=", share, why, 5 * error))
    if params.init == "normal" and params.multiply and d >= 256 and params.positions >= 64:
        sentence = Text("Share of positions whose own encoding is the nearest", "最近的编码就是本位置的比例")
        why = Text("neighbours differ by far less than the token's noise", "token 的噪声远大于编码之间的差别")
        made.append(Claim("position_drowns", sentence, result.position_found, "<", 0.1, why, noise))
    return made


def head_claims(result: "Result") -> list[Claim]:
    """The tied output head sees the table without the factor."""
    params, vocabulary = result.params, result.vocabulary
    states = len(result.logits)
    deviation = math.sqrt(params.model_width * params.variance)
    slack = 5 * deviation * math.sqrt((1 / states + 1 / params.model_width) / (2 * vocabulary))
    excess = result.loss - math.log(vocabulary)
    made = [
        Claim(
            "logits_have_the_width_of_the_head",
            Text("Standard deviation of the logits", "logit 的标准差"),
            result.logits.square().mean().sqrt().item(),
            "=",
            deviation,
            Text(
                "$\\|h\\|\\sigma=\\sqrt d\\,\\sigma$; ± 5 standard errors",
                "$\\|h\\|\\sigma=\\sqrt d\\,\\sigma$；± 5 个标准误",
            ),
            slack,
        )
    ]
    if deviation <= 1.1:
        sentence = Text("Initial loss minus $\\ln V$", "初始损失减去 $\\ln V$")
        why = Text(
            "$\\ln\\mathbb E e^z=\\sigma^2d/2$; ± 5 standard errors of the targets",
            "$\\ln\\mathbb E e^z=\\sigma^2d/2$；± 目标 logit 的 5 个标准误",
        )
        tolerance = 5 * deviation * math.sqrt(1 / states + 1 / vocabulary)
        made.append(Claim("initial_loss_is_near_uniform", sentence, excess, "=", deviation**2 / 2, why, tolerance))
    if params.init == "normal" and params.model_width >= 256:
        sentence = Text("Initial loss relative to $\\ln V$", "初始损失是 $\\ln V$ 的多少倍")
        why = Text(
            "the largest of 1000 logits stands above 3 standard deviations", "1000 个 logit 中最大的在 3 个标准差以上"
        )
        expected = 3 * deviation / math.log(vocabulary)
        slack = 5 * deviation / math.sqrt(states) / math.log(vocabulary)
        ratio = result.loss / math.log(vocabulary)
        made.append(Claim("unit_variance_ruins_the_head", sentence, ratio, ">", expected, why, slack))
    return made


def scale_claims(result: "Result") -> list[Claim]:
    """The factor acts on the step of the optimiser, and LayerNorm hides it."""
    params = result.params
    d = params.model_width
    sgd, adam = result.moves.tolist()
    made = [
        Claim(
            "sgd_moves_the_input_d_times",
            Text(
                "One SGD step moves the input this much farther with the factor",
                "乘系数后，SGD 走一步，输入的移动量变为几倍",
            ),
            sgd,
            "=",
            d,
            Text(
                "$\\Delta x=-\\eta s^2\\,\\partial L/\\partial x$, $s^2=d$; ± rounding of the small step",
                "$\\Delta x=-\\eta s^2\\,\\partial L/\\partial x$，$s^2=d$；± 小步长的舍入误差",
            ),
            0.01 * d,
        ),
        Claim(
            "adam_moves_the_input_root_d_times",
            Text("The same ratio for one Adam step", "换成 Adam 走一步，这个倍数"),
            adam,
            "=",
            math.sqrt(d),
            Text(
                "$|\\Delta E_{ij}|\\approx\\eta$ whatever the gradient's size",
                "无论梯度多大，$|\\Delta E_{ij}|\\approx\\eta$",
            ),
            0.001 * math.sqrt(d),
        ),
    ]
    if params.init == "reference" and d >= 64:
        sentence = Text(
            "Relative change of LayerNorm(E) when E is multiplied by $\\sqrt d$",
            "$E$ 乘以 $\\sqrt d$ 后，LayerNorm(E) 的相对变化",
        )
        expected = LAYER_NORM_EPSILON * (d - 1) / 2
        why = Text(
            "$\\varepsilon(d-1)/2$ with $\\varepsilon=10^{-5}$; rows differ by a few per cent",
            "$\\varepsilon(d-1)/2$，$\\varepsilon=10^{-5}$；各行相差百分之几",
        )
        made.append(
            Claim("layer_norm_hides_the_factor", sentence, result.norm_change, "=", expected, why, 0.1 * expected)
        )
    return made
