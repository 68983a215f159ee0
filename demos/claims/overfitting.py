"""The claims of `overfitting`."""

import math
from typing import TYPE_CHECKING

from demos.kit.contract import Claim
from language import Text, same

if TYPE_CHECKING:
    from demos.overfitting import Result, Run

FLIPPED, CLASSES, DRAWS, FREE_STEPS, FREE_RATE = 0.15, 10, 100_000, 100, 1e-3
FLOOR = -FLIPPED * math.log(FLIPPED) - (1 - FLIPPED) * math.log(1 - FLIPPED)  # nats: entropy of a label
FP32 = 2.0**-23
ERRORS = Text("± 5 standard errors", "± 5 个标准误")


def claims(result: "Result") -> list[Claim]:
    """What holds for every training, then what the chosen data and regularisers bring."""
    params, made = result.params, limit_claims(result.chosen)
    plain = not (params.dropout or params.decay or params.smoothing)
    regularised = params.dropout >= 0.3 or params.decay >= 1 or params.smoothing > 0
    if plain and params.examples <= 256:
        made += overfitting_claims(result.chosen)
    if plain and params.examples == 256:  # with fewer, the loss turns before the rule has been learned
        made.append(early_stop_claim(result.chosen))
    if (regularised and params.examples == 256) or params.examples >= 1024:
        made.append(smaller_gap(result))
    if params.dropout:
        made += dropout_claims(result)
    if params.decay:
        made += decay_claims(result)
    if params.smoothing:
        made += smoothing_claims(result)
    return made


def limit_claims(run: "Run") -> list[Claim]:
    """Limits that no model beats, and what a low training loss implies."""
    best, count = run.losses[run.best], run.losses.shape[-1]
    accuracy = run.right.float().mean(-1).max().item()
    slack = 5 * math.sqrt(FLIPPED * (1 - FLIPPED) / count)
    forced = max(0.0, 1 - run.train_loss[-1].item() / (run.flipped * math.log(2)))
    floor = Text(
        r"The lowest validation loss does not beat the entropy of the labels, $H(0.15)$",
        r"最低的验证损失也不会低于标签的熵 $H(0.15)$",
    )
    noise = Text("15% of the labels are flipped at random; − 5 standard errors", "15% 的标签随机翻转；− 5 个标准误")
    ceiling = Text("The highest validation accuracy stays within 85%", "最高的验证正确率不超过 85%")
    missed = Text(
        "even the true rule misses the flipped labels; + 5 standard errors",
        "真规则也会错在翻转的标签上；+ 5 个标准误",
    )
    given = Text(
        "Share of the wrong training labels that the model gives back at the end",
        "训练结束时，模型照背出来的错误标签所占的比例",
    )
    markov = Text(
        r"each one not given back costs at least $\ln 2$, so a loss $L$ allows at most $L/\ln 2$ of the examples",
        r"没背下来的每个至少付出 $\ln 2$，所以损失 $L$ 最多容许 $L/\ln 2$ 的样本没背下来",
    )
    error = 5 * best.std().item() / math.sqrt(count)
    return [
        Claim("noise_floor_holds", floor, best.mean().item(), ">=", FLOOR, noise, error),
        Claim("accuracy_ceiling_holds", ceiling, accuracy, "<=", 1 - FLIPPED, missed, slack),
        Claim("low_loss_means_memorised", given, run.memorised[-1].item(), ">=", forced, markov, 1e-6),
    ]


def overfitting_claims(run: "Run") -> list[Claim]:
    """Small data and no regulariser: the signature, and how loss and accuracy part."""
    accuracy, rise = run.right[-1].float().mean().item(), run.losses[-1] - run.losses[run.best]
    below = Text("Training loss at the end, below the entropy of the labels", "结束时的训练损失，低于标签的熵")
    learned = Text("what the true rule alone would pay on average", "只靠真规则，平均要付这么多")
    turned = Text("Validation loss at the end minus its lowest value", "结束时的验证损失减去最低值")
    paired = Text(
        "5 standard errors: what the choice of the 1024 examples may explain",
        "5 个标准误：1024 个样本的偶然性所能解释的部分",
    )
    still = Text("Validation accuracy at the end, still above chance", "结束时的验证正确率，仍高于瞎猜")
    chance = Text("1/2 + 5 standard errors of 1024 guesses", "1/2 + 1024 次瞎猜的 5 个标准误")
    lucky, chance_rise = 0.5 + 5 * 0.5 / math.sqrt(len(rise)), 5 * rise.std().item() / math.sqrt(len(rise))
    return [
        Claim("train_loss_below_floor", below, run.train_loss[-1].item(), "<", FLOOR, learned),
        Claim("validation_loss_turns", turned, rise.mean().item(), ">", chance_rise, paired),
        Claim("accuracy_above_chance", still, accuracy, ">", lucky, chance),
    ]


def early_stop_claim(run: "Run") -> Claim:
    """What the checkpoint at the minimum of the validation loss is worth, by the true labels."""
    clean = run.right_clean.float().mean(-1)
    stop = Text(
        "Accuracy on unflipped validation labels: best checkpoint minus the last",
        "验证集翻转前标签上的正确率：最佳检查点减去最后一个",
    )
    later = Text(
        "what is learned after the minimum is noise; same examples, so no sampling error",
        "最低点之后学到的是噪声；同一批样本相比，没有抽样误差",
    )
    return Claim("early_stop_keeps_accuracy", stop, (clean[run.best] - clean[-1]).item(), ">", 0.0, later)


def smaller_gap(result: "Result") -> Claim:
    """Against 256 examples without regulariser."""
    sentence = Text(
        "The gap at the end is smaller than with 256 examples and no regulariser",
        "结束时的差距，小于 256 个样本且不加正则化时的差距",
    )
    why = Text("the same task and seed, trained without either", "同一任务、同一种子，两样都不用时的差距")
    return Claim("gap_shrinks", sentence, result.chosen.gap(), "<", result.plain.gap(), why)


def dropout_claims(result: "Result") -> list[Claim]:
    """Mean and variance of ones after inverted dropout."""
    p, dropped = result.params.dropout, result.forms.dropped
    variance = p / (1 - p)
    fourth = p + (p / (1 - p)) ** 4 * (1 - p)  # E(x − 1)⁴: −1 with p, p/(1 − p) with 1 − p
    mean = Text("Mean of ones after dropout in training", "训练时全 1 的输入经过 dropout 后的均值")
    spread = Text("Their variance", "它们的方差")
    error = 5 * math.sqrt((fourth - variance**2) / DRAWS)
    formula = Text(r"$p/(1-p)$; ± 5 standard errors", r"$p/(1-p)$；± 5 个标准误")
    measured = dropped.double().var().item()
    return [
        Claim("dropout_keeps_mean", mean, dropped.mean().item(), "=", 1.0, ERRORS, 5 * math.sqrt(variance / DRAWS)),
        Claim("dropout_variance", spread, measured, "=", variance, formula, error + 2 * variance / DRAWS),
    ]


def decay_claims(result: "Result") -> list[Claim]:
    """A weight of 10, no gradient from data, 100 steps at η = 0.001."""
    decay, forms = result.params.decay, result.forms
    decoupled = Text(
        "AdamW, no data gradient: a weight of 10 after 100 steps", "AdamW，数据无梯度：权重 10 走 100 步后"
    )
    coupled = Text("Adam with λθ in the gradient: the same weight", "Adam，λθ 加进梯度：同一个权重")
    power = Text(r"$10(1-\eta\lambda)^{100}$; ± rounding of 100 steps", r"$10(1-\eta\lambda)^{100}$；± 100 步的舍入")
    steps = Text(
        r"$10-100\eta$, whatever λ: $\hat m/\sqrt{\hat v}$ differs from 1 by at most the weight's relative change, 1%",
        r"$10-100\eta$，与 λ 无关：$\hat m/\sqrt{\hat v}$ 与 1 之差不超过权重的相对变化 1%",
    )
    expected, rounding = 10 * (1 - FREE_RATE * decay) ** FREE_STEPS, FREE_STEPS * 10 * FP32
    taken = FREE_STEPS * FREE_RATE
    return [
        Claim("adamw_decays_exponentially", decoupled, forms.decoupled[-1].item(), "=", expected, power, rounding),
        Claim("adam_l2_ignores_strength", coupled, forms.coupled[-1].item(), "=", 10 - taken, steps, 0.01 * taken),
    ]


def smoothing_claims(result: "Result") -> list[Claim]:
    """F.cross_entropy with label smoothing on 10 classes, at its best margin and at twice that."""
    epsilon, forms = result.params.smoothing, result.forms
    other = epsilon / CLASSES
    right = 1 - epsilon + other
    entropy = -right * math.log(right) - (CLASSES - 1) * other * math.log(other)
    margin = math.log(right / other)
    doubled = math.log(1 + (CLASSES - 1) * math.exp(-2 * margin)) + (1 - right) * 2 * margin
    floor = Text("Lowest smoothed loss for 10 classes", "10 类时平滑后损失的最小值")
    flat = Text("Largest gradient at that margin", "在该差距处梯度的最大分量")
    double = Text("Smoothed loss at twice that margin", "差距加倍时的平滑损失")
    cross = same(r"$\ln(1+9e^{-2m})+(1-q_y)\,2m$")
    return [
        Claim("smoothing_floor", floor, forms.smooth_loss, "=", entropy, same(r"$H(q)$; fp32"), 16 * FP32),
        Claim("smoothing_margin", flat, forms.smooth_slope, "=", 0.0, same(r"softmax$(z)=q$; fp32"), 16 * FP32),
        Claim("overconfidence_costs", double, forms.double_loss, "=", doubled, cross, 64 * FP32),
    ]
