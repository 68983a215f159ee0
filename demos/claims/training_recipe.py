"""The claims of `training_recipe`: each view has its own."""

import math
from typing import TYPE_CHECKING

import torch

from demos.kit.contract import Claim
from demos.kit.stacked_encoder import SYMBOLS
from language import Text, same

if TYPE_CHECKING:
    from demos.training_recipe import Result

ROUNDING = torch.finfo(torch.float32).eps


def claims(result: "Result") -> list[Claim]:
    """What theory says about the part in view."""
    made = {"run": run_claims, "schedule": schedule_claims, "adam": adam_claims, "smoothing": smoothing_claims}
    return made[result.params.view](result)


def run_claims(result: "Result") -> list[Claim]:
    """Clipping and smoothing bound what they say, always; warm-up and decay decide far from the edge of stability."""
    params, run = result.params, result.run
    made = []
    if params.clip:
        sentence = Text("Largest gradient norm after clipping", "裁剪后梯度范数的最大值")
        why = Text("g · min(1, c/|g|); ± rounding", "g · min(1, c/|g|)；± 舍入误差")
        largest = run.clipped.max().item()
        made.append(Claim("clipped_norm_is_bounded", sentence, largest, "<=", params.clip, why, 16 * ROUNDING))
    lowest = Text("Lowest training loss of any step", "各步训练 loss 的最小值")
    entropy = target_entropy(SYMBOLS, params.smoothing)
    gibbs = Text("cross-entropy is at least the entropy of its target", "交叉熵不小于目标分布的熵")
    made.append(Claim("loss_is_above_the_floor", lowest, run.losses.min().item(), ">=", entropy, gibbs, 1e-5))
    plain = params.optimiser == "adamw" and params.decay <= 0.01 and params.smoothing == 0
    if plain and params.rate == 0.03 and params.norm == "post":
        made += warmup_claims(result)
    if plain and params.norm == "pre" and params.rate in (0.02, 0.03) and params.warmup == 0:
        sentence = Text("Mean accuracy of Pre-LN without warm-up", "Pre-LN 不预热的平均正确率")
        identity = Text(
            "the residual path is an identity, so early steps do less harm", "残差通路是恒等映射，开头几步的破坏较小"
        )
        made.append(Claim("pre_ln_learns_without", sentence, run.accuracy.mean().item(), ">", 0.9, identity))
    if params.optimiser == "l2" and params.decay == 0.1 and params.rate >= 0.01:
        sentence = Text("Mean accuracy with λ = 0.1 as an L2 term", "λ = 0.1 作为 L2 项时的平均正确率")
        pulled = Text(
            "where |g| is below |λθ| every step pulls the weight to zero at full size; half is a lenient bound",
            "|g| 小于 |λθ| 的地方，每一步都以满步长把权重拉向零；以一半为宽松的上限",
        )
        made.append(Claim("l2_term_stops_learning", sentence, run.accuracy.mean().item(), "<", 0.5, pulled))
    return made


def warmup_claims(result: "Result") -> list[Claim]:
    """Far above the rate that Post-LN bears from a standing start."""
    cold, warm = (result.run, result.other) if result.params.warmup == 0 else (result.other, result.run)
    stuck = Text("Mean accuracy without warm-up", "不预热的平均正确率")
    free = Text("Mean accuracy with warm-up", "预热后的平均正确率")
    level = Text("Training loss without warm-up, last 20 steps", "不预热时最后 20 步的训练 loss")
    thrown = Text("full-size first steps leave it near chance, 1/12; half is a lenient bound",
                  "开头的满步长使它停在瞎猜（1/12）附近；以一半为宽松的上限")  # fmt: skip
    fits = Text("the task can be fitted exactly, and first steps are small", "任务可以完全拟合，开头的步子又小")
    uniform = Text(
        "ln 12 is the loss of answering at random; ± 0.15 for what little the runs have learnt",
        "ln 12 是随机作答的 loss；± 0.15 是留给各次运行学到的一点点",
    )
    made = [
        Claim("post_ln_is_stuck", stuck, cold.accuracy.mean().item(), "<", 0.5, thrown),
        Claim("stuck_at_chance", level, cold.losses[-20:].mean().item(), "=", math.log(SYMBOLS), uniform, 0.15),
    ]
    if warm.recipe.warmup >= 20:
        made.append(Claim("warmup_rescues", free, warm.accuracy.mean().item(), ">", 0.9, fits))
    return made


def target_entropy(classes: int, epsilon: float) -> float:
    """Entropy of (1 − ε) one-hot + ε / K: the loss that smoothed labels cannot go below."""
    right, other = 1 - epsilon + epsilon / classes, epsilon / classes
    return -right * math.log(right) - ((classes - 1) * other * math.log(other) if other else 0.0) + 0.0


def schedule_claims(result: "Result") -> list[Claim]:
    """The schedule of Vaswani et al.: where it peaks, how high, and how it falls."""
    width, peak_at, noam, steps = result.params.model_width, result.params.peak_at, result.noam, result.steps
    top, place = noam.max().item(), int(steps[noam.argmax()])
    height, half = (
        Text("Highest learning rate", "学习率的最大值"),
        Text("Rate at 4w over the peak", "4w 处的学习率与峰值之比"),
    )
    where = Text("Step at which it is reached", "达到最大值的步数")
    meet = Text("the branches meet at t = w", "两支在 t = w 处相交")
    peak, later = (width * peak_at) ** -0.5, noam[(steps == 4 * peak_at).nonzero().flatten()].sum().item() / top
    made = [
        Claim("noam_peak", height, top, "=", peak, same(r"$(d_{\text{model}}\,w)^{-1/2}$"), 16 * ROUNDING * peak),
        Claim("noam_peaks_at_w", where, place, "=", peak_at, meet),
    ]
    root = same(r"$\sqrt{w/4w}$")
    return [*made, Claim("noam_halves", half, later, "=", 0.5, root, 1e-5)]


def adam_claims(result: "Result") -> list[Claim]:
    """Adam's first step, and what decay means inside and outside its moments."""
    params, rate, steps = result.params, 0.01, len(result.undecayed) - 1
    first = (result.undecayed[1] - result.undecayed[0])[:2].abs()
    size = Text("First step of the weight with the second gradient", "第二个梯度的权重走的第一步")
    signed = Text(
        r"$\eta|g|/(|g|+\epsilon)\approx\eta$; ± rounding", r"$\eta|g|/(|g|+\epsilon)\approx\eta$；± 舍入误差"
    )
    alone = Text("AdamW after 100 steps, weight without gradient", "没有梯度的权重，AdamW 100 步之后")
    power = same(r"$(1-\eta\lambda)^{100}$")
    moved = result.decayed[-1] - result.undecayed[-1]  # (rule, weight): what decay did
    alike = Text("AdamW: decay's effect on one weight minus on the other", "AdamW：衰减对两个权重的影响之差")
    outside = Text(
        "decay stands outside the moments, and Adam ignores the scale; ± rounding",
        "衰减不进入矩估计，而 Adam 与梯度尺度无关；± 舍入误差",
    )
    made = [
        # two roundings of a weight near 1, and ε over the smallest gradient
        Claim("first_step_is_rate", size, first[1].item(), "=", rate, signed, 4 * ROUNDING + 1e-3 * rate),
        Claim("decay_without_gradient", alone, result.decayed[-1, 0, 2].item(), "=",
              (1 - rate * params.decay) ** steps, power, steps * ROUNDING),
        Claim("adamw_decays_alike", alike, (moved[0, 0] - moved[0, 1]).item(), "=", 0.0, outside,
              4 * steps * ROUNDING + 1e-5),
    ]  # fmt: skip
    if params.decay and params.large >= 1.0:
        ratio = (moved[1, 1] / moved[1, 0]).item()
        share = Text(
            "Adam + L2: decay's effect on the large-gradient weight over that on the small",
            "Adam + L2：衰减对大梯度权重的影响与对小梯度权重之比",
        )
        divided = Text("the penalty is divided by the gradient's size", "惩罚项要除以梯度的大小")
        made.append(Claim("l2_spares_large_gradients", share, ratio, "<", 1.0, divided))
    if params.decay:
        gone = Text("Adam + L2 after 100 steps, weight without gradient", "没有梯度的权重，Adam + L2 100 步之后")
        steady = Text(
            r"the step is about $\eta$ for any $\lambda>0$, 100 times", r"只要 $\lambda>0$，每步约为 $\eta$，共 100 步"
        )
        made.append(Claim("l2_alone_goes_to_zero", gone, abs(result.decayed[-1, 1, 2].item()), "<", 0.5, steady))
    return made


def smoothing_claims(result: "Result") -> list[Claim]:
    """Where smoothed labels stop: the gap of the logits and the loss there."""
    classes, epsilon = result.params.classes, result.params.epsilon
    slope = Text("Slope of PyTorch's smoothed loss at the optimal gap", "PyTorch 的平滑 loss 在最优差距处的斜率")
    lowest = Text("Loss at the optimal gap", "最优差距处的 loss")
    gap = Text(
        r"a minimum at $\ln(1+K(1-\epsilon)/\epsilon)$; ± rounding in fp64",
        r"最小值点 $\ln(1+K(1-\epsilon)/\epsilon)$；± fp64 的舍入误差",
    )
    entropy = Text("the entropy of the target; ± rounding in fp64", "目标分布的熵；± fp64 的舍入误差")
    floor = target_entropy(classes, epsilon)
    return [
        Claim("gap_is_finite", slope, result.slope, "=", 0.0, gap, 1e-9),
        Claim("floor_is_entropy", lowest, result.floor, "=", floor, entropy, 1e-9),
    ]
