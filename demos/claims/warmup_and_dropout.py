"""The claims of `warmup_and_dropout`."""

import math
from typing import TYPE_CHECKING

import torch

from demos.kit.contract import Claim
from language import Text, same

if TYPE_CHECKING:
    from demos.warmup_and_dropout import Result

ROUNDING = 4 * torch.finfo(torch.float32).eps  # relative, of a few fp32 operations
HORIZON, KEYS, EPSILON = 100_000, 16, 1e-9
SETTLED = math.sqrt((1 - 0.9) / (1 + 0.9))  # RMS of Adam's updates on noise, once its averages have settled
MEDIAN, DENSITY = 0.67449, 0.63555  # of |z| for a standard normal z: the median, and the density there


def claims(result: "Result") -> list[Claim]:
    """The schedule, Adam's steps on noise, the moments of dropout, and the modes."""
    return [
        *schedule_claims(result),
        *adam_claims(result),
        *moment_claims(result),
        *attention_claims(result),
        *network_claims(result),
        *mode_claims(result),
    ]


def schedule_claims(result: "Result") -> list[Claim]:
    """Where the peak is, how high, and what is left of the warm-up at the end."""
    width, warmup, rates, longer = result.params.width, result.params.warmup, result.rates, result.longer
    peak, tail = (width * warmup) ** -0.5, (width * HORIZON) ** -0.5
    where = Text("The learning rate peaks at step", "学习率达到峰值的步数")
    height = Text("Peak of the learning rate", "学习率的峰值")
    ratio = Text("Peak with four times the warm-up, over the peak with w", "预热变为 4 倍后的峰值，与原峰值之比")
    last = Text("Learning rate at step 100,000 with four times the warm-up", "预热变为 4 倍后，第 100,000 步的学习率")
    half = Text("Steps with at least half the peak rate", "学习率不低于峰值一半的步数")
    crossing = Text(
        r"the two branches meet where $s^{-1/2}=s\,w^{-3/2}$, at $s=w$",
        r"两支在 $s^{-1/2}=s\,w^{-3/2}$ 处相交，即 $s=w$",
    )
    quarter, no_w = (
        same(r"$4^{-1/2}$"),
        Text(r"$(d\,s)^{-1/2}$, without $w$; ± rounding", r"$(d\,s)^{-1/2}$，不含 $w$；± 舍入误差"),
    )
    window = Text("from w/2 to 4w, both included; ± 2 for rounding at the ends", "从 w/2 到 4w，含两端；两端的舍入 ± 2")
    count, top = int((rates >= rates.max() / 2).sum()), rates.max().item()
    return [
        Claim("peak_at_warmup", where, int(rates.argmax()) + 1, "=", warmup, crossing),
        Claim("peak_value", height, top, "=", peak, same(r"$(d\,w)^{-1/2}$"), ROUNDING * peak),
        Claim("longer_warmup_halves_peak", ratio, longer.max().item() / top, "=", 0.5, quarter, ROUNDING),
        Claim("tail_ignores_warmup", last, longer[-1].item(), "=", tail, no_w, ROUNDING * tail),
        Claim("half_peak_steps", half, count, "=", 3.5 * warmup + 1, window, 2),
    ]


def adam_claims(result: "Result") -> list[Claim]:
    """Step 1 has full size whatever the gradient; on noise later steps are smaller."""
    size, coordinates = MEDIAN * result.params.gradient, len(result.first_step)
    expected = size / (size + EPSILON)
    first = Text("Median size of Adam's first step, over the learning rate", "Adam 第一步的大小与学习率之比（中位数）")
    full = Text(
        r"$|g|/(|g|+\epsilon)$ at the median of $|g|$; ± 5 standard errors of the median",
        r"$|g|/(|g|+\epsilon)$ 在 $|g|$ 的中位数处的值；± 中位数的 5 个标准误",
    )
    spread = 5 / (2 * DENSITY * math.sqrt(coordinates)) / MEDIAN  # relative, of the median
    tolerance = spread * expected * (1 - expected) + 16 * ROUNDING
    against = Text(
        "Share of coordinates that step 1 moves against their gradient", "第一步里逆着梯度方向移动的坐标比例"
    )
    sign = Text(r"the first step is $-g/(|g|+\epsilon)$", r"第一步是 $-g/(|g|+\epsilon)$")
    made = [
        Claim(
            "first_step_is_full_size", first, result.first_step.abs().median().item(), "=", expected, full, tolerance
        ),
        Claim("first_step_follows_the_sign", against, result.agrees, "=", 1.0, sign),
    ]
    if result.params.gradient < 1e3 * EPSILON:
        return made
    later = Text(
        "RMS of Adam's steps 101 to 200 on noise, over the learning rate",
        "噪声梯度下 Adam 第 101 到 200 步的均方根与学习率之比",
    )
    why = Text(
        r"$\sqrt{(1-\beta_1)/(1+\beta_1)}$; ± 2/99, as the second moment averages 99 gradients; ± sampling error",
        r"$\sqrt{(1-\beta_1)/(1+\beta_1)}$；± 2/99，因为二阶矩只平均了 99 个梯度；± 抽样误差",
    )
    sampling = 5 / math.sqrt(2 * coordinates * 5)  # a step forgets in 19 steps: about 5 independent ones
    measured = result.step_sizes[100:].square().mean().sqrt().item()
    return [*made, Claim("later_steps_are_smaller", later, measured, "=", SETTLED, why, SETTLED * (2 / 99 + sampling))]


def moment_claims(result: "Result") -> list[Claim]:
    """Inverted dropout keeps the mean and adds variance p/(1 − p)."""
    p, kept = result.params.dropout, result.kept
    variance, count = p / (1 - p), kept.numel()
    mean = Text("Mean of dropout's output for x = 1", "x = 1 时 dropout 输出的均值")
    spread = Text("Variance of dropout's output for x = 1", "x = 1 时 dropout 输出的方差")
    unbiased = Text("(1 − p) · 1/(1 − p); ± 5 standard errors", "(1 − p) · 1/(1 − p)；± 5 个标准误")
    formula = Text("p/(1 − p); ± 5 standard errors", "p/(1 − p)；± 5 个标准误")
    error = 5 * math.sqrt(variance / count) + ROUNDING
    kurtosis = 1 / (p * (1 - p)) - 3 if p else 1.0  # of a Bernoulli variable
    fourth = 5 * variance * math.sqrt(max(kurtosis - 1, 0.0) / count) + ROUNDING * (1 + variance)
    return [
        Claim("dropout_keeps_the_mean", mean, kept.mean().item(), "=", 1.0, unbiased, error),
        Claim("dropout_variance", spread, kept.double().var().item(), "=", variance, formula, fourth + error**2),
    ]


def attention_claims(result: "Result") -> list[Claim]:
    """With dropout a row of attention weights sums to one on average only."""
    p, sums = result.params.dropout, result.row_sums
    expected = math.sqrt(p / (1 - p) / KEYS)
    mean = Text(
        "Mean sum of a row of 16 equal attention weights after dropout",
        "16 个相等的注意力权重加 dropout 后，行和的均值",
    )
    spread = Text("Standard deviation of that sum", "该行和的标准差")
    one = Text("dropout keeps the mean; ± 5 standard errors", "dropout 不改变均值；± 5 个标准误")
    formula = Text(
        r"$\sqrt{\frac{p}{1-p}\sum_ja_j^2}$; ± 5 standard errors", r"$\sqrt{\frac{p}{1-p}\sum_ja_j^2}$；± 5 个标准误"
    )
    excess = (1 - 6 * p * (1 - p)) / (KEYS * p * (1 - p)) if p else 0.0  # excess kurtosis of a binomial variable
    slack = 5 * expected * math.sqrt((2 + excess) / (4 * len(sums))) + ROUNDING
    return [
        Claim("row_sum_mean", mean, sums.mean().item(), "=", 1.0, one, 5 * expected / math.sqrt(len(sums)) + ROUNDING),
        Claim("row_sum_spread", spread, sums.std().item(), "=", expected, formula, slack),
    ]


def network_claims(result: "Result") -> list[Claim]:
    """The eval pass against the mean over masks: equal if all that follows is affine, below it after a ReLU."""
    p, passes = result.params.dropout, result.passes
    gap, error = (
        passes.mean().item() - result.evaluated,
        5 * passes.std().item() / math.sqrt(len(passes)) + 16 * ROUNDING,
    )
    sentence = Text(
        "Mean output over dropout masks minus the eval pass", "对 dropout 掩码平均的输出，减去 eval 前向的输出"
    )
    if result.params.activation == "relu" and p > 0:
        jensen = Text(
            "Jensen: a ReLU is convex, so the mean lies above; more than 5 standard errors",
            "Jensen 不等式：ReLU 是凸函数，平均值更高；超过 5 个标准误",
        )
        return [Claim("mean_differs_from_eval", sentence, gap, ">", error, jensen)]
    affine = Text("affine: the mean passes through; ± 5 standard errors", "仿射运算可以与求均值交换；± 5 个标准误")
    made = [Claim("mean_equals_eval", sentence, gap, "=", 0.0, affine, error)]
    if result.params.activation == "linear" and p > 0:
        parts = result.readout.double() ** 2
        expected = (p / (1 - p) * parts.sum()).item()
        excess = (1 - 6 * p * (1 - p)) / (p * (1 - p)) * (parts.square().sum() / parts.sum() ** 2).item()
        spread = Text("Variance of the output over dropout masks", "输出对 dropout 掩码的方差")
        formula = Text(
            r"$\frac{p}{1-p}\sum_iw_i^2x_i^2$; ± 5 standard errors", r"$\frac{p}{1-p}\sum_iw_i^2x_i^2$；± 5 个标准误"
        )
        slack = 5 * expected * math.sqrt((2 + excess) / len(passes))
        made.append(Claim("linear_variance", spread, passes.double().var().item(), "=", expected, formula, slack))
    return made


def mode_claims(result: "Result") -> list[Claim]:
    """With p = 1 dropout zeroes all values or none, so the modes can be told apart without chance."""
    rows = {
        "train": ("train_mode_drops", Text("`nn.Dropout` in training mode", "训练模式下的 `nn.Dropout`"), 1.0),
        "no_grad": (
            "no_grad_keeps_dropout",
            Text("`nn.Dropout` under `torch.no_grad()`", "`torch.no_grad()` 里的 `nn.Dropout`"),
            1.0,
        ),
        "eval": ("eval_is_identity", Text("`nn.Dropout` after `eval()`", "调用过 `eval()` 的 `nn.Dropout`"), 0.0),
        "functional": (
            "functional_ignores_mode",
            Text("`F.dropout` with its default arguments", "默认参数的 `F.dropout`"),
            1.0,
        ),
        "attention": ("attention_ignores_mode", Text("attention with `dropout_p=1`", "`dropout_p=1` 的注意力"), 1.0),
    }
    drops = Text("it drops, and p = 1 leaves nothing", "它会丢弃，而 p = 1 时什么都不剩")
    identity = Text("in eval mode dropout is the identity", "eval 模式下 dropout 是恒等映射")
    return [
        Claim(
            name,
            Text(f"Share of values zeroed by {what.en}, p = 1", f"p = 1 时被置零的比例：{what.zh}"),
            result.zeroed[called],
            "=",
            expected,
            drops if expected else identity,
        )
        for called, (name, what, expected) in rows.items()
    ]
