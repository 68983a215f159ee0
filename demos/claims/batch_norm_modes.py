"""The claims of `batch_norm_modes`."""

import math
from typing import TYPE_CHECKING

import torch

from demos.kit.contract import Claim
from language import Text, same

if TYPE_CHECKING:
    from demos.batch_norm_modes import Result

EPSILON = 1e-5
ROUNDING = torch.finfo(torch.float32).eps
ERRORS = Text("± 5 standard errors", "± 5 个标准误")


def claims(result: "Result") -> list[Claim]:
    """Training, running averages, inference, and what the batch size costs."""
    return [
        *training_claims(result),
        *running_claims(result),
        *mode_claims(result),
        *size_claims(result),
        *oracle_claims(result),
        *rescale_claims(result),
    ]


def rounding(result: "Result") -> float:
    """How far rounding can move an output: that of a mean over m inputs, over the smallest deviation."""
    smallest = (result.batch_variance.min().item() + EPSILON) ** 0.5
    return 8 * ROUNDING * math.sqrt(result.params.batch) * result.batches.abs().max().item() / smallest


def training_claims(result: "Result") -> list[Claim]:
    """What can come out of batch statistics."""
    m, sigma, count = result.params.batch, result.params.deviation, result.batch_variance.numel()
    made = []
    if m == 2:
        share = ((result.outputs.abs() - 1).abs() < 0.01).float().mean().item()
        needed = math.sqrt(EPSILON * 0.99**2 / (1 - 0.99**2))  # half the distance of the two inputs
        expected = math.erfc(needed / sigma)  # that half distance is N(0, σ²/2)
        slack = 5 * math.sqrt(expected * (1 - expected) / count) + 1 / count + ROUNDING * 10 * abs(result.params.mean)
        sentence = Text(
            r"With two samples per batch $\hat x$ is $\pm1$ (to 1%) unless they nearly coincide",
            r"每批两个样本时，只要两者不是几乎相等，$\hat x$ 就是 $\pm1$（误差 1% 以内）",
        )
        why = Text(
            r"$\hat x=\pm d/\sqrt{d^2+\epsilon}$, $d$ half the distance; ± 5 standard errors",
            r"$\hat x=\pm d/\sqrt{d^2+\epsilon}$，$d$ 为距离的一半；± 5 个标准误",
        )
        made.append(Claim("two_samples_give_signs", sentence, share, "=", expected, why, slack))
    bound = Text(
        r"No output exceeds $\sqrt{m-1}$ in size, whatever the data",
        r"无论数据如何，输出的绝对值不超过 $\sqrt{m-1}$",
    )
    reason = Text("mean 0 and mean square at most 1; rounding", "均值为 0、均方不超过 1；舍入误差")
    biased = Text(
        r"Batch variance (divided by $m$) is on average $\frac{m-1}m\sigma^2$",
        r"批方差（除以 $m$）平均为 $\frac{m-1}m\sigma^2$",
    )
    ratio = result.batch_variance.double().mean().item() / sigma**2
    slack = 5 * math.sqrt(2 * (m - 1) / count) / m + 4 * ROUNDING * (abs(result.params.mean) / sigma) ** 2
    largest = result.outputs.abs().max().item()
    return [
        *made,
        Claim("outputs_are_bounded", bound, largest, "<=", math.sqrt(m - 1), reason, rounding(result)),
        Claim("batch_variance_is_biased", biased, ratio, "=", (m - 1) / m, ERRORS, slack),
    ]


def running_claims(result: "Result") -> list[Claim]:
    """Where the running averages are after t steps, starting from (0, 1)."""
    params, t, (_, _, features) = result.params, result.params.steps, result.running.shape
    rho, left = params.momentum, (1 - params.momentum) ** t  # what is left of the start
    noise = rho / (2 - rho) * (1 - left**2)  # sum of the squared weights of the batches
    if params.averaging == "cumulative":
        left, noise = 0.0, 1 / t
    variance, errors = params.deviation**2, 5 * math.sqrt(noise / features)
    mean, spread = result.running[:, -1].mean(-1).tolist()
    of_mean = Text("Running mean after $t$ steps", "$t$ 步之后的滑动均值")
    of_variance = Text("Running (unbiased) variance after $t$ steps", "$t$ 步之后的（无偏）滑动方差")
    formula = r"\mu(1-(1-\rho)^t)", r"(1-\rho)^t+\sigma^2(1-(1-\rho)^t)"
    if params.averaging == "cumulative":
        formula = r"\mu", r"\sigma^2"
    why = [Text(f"${part}$; ± 5 standard errors", f"${part}$；± 5 个标准误") for part in formula]
    floor = 100 * ROUNDING
    slack = errors * params.deviation / math.sqrt(params.batch) + floor * (1 + abs(params.mean))
    slacks = slack, errors * variance * math.sqrt(2 / (params.batch - 1)) + floor
    return [
        Claim("running_mean_follows_theory", of_mean, mean, "=", params.mean * (1 - left), why[0], slacks[0]),
        Claim(
            "running_variance_follows_theory", of_variance, spread, "=", left + variance * (1 - left), why[1], slacks[1]
        ),
    ]


def mode_claims(result: "Result") -> list[Claim]:
    """What a shift of all test inputs does in both modes, and what batch-mates do at inference."""
    params = result.params
    variance = result.running[1, -1, 0].item()
    scale = 1 / math.sqrt(variance + EPSILON)
    size = result.test.abs().max().item()
    kept = params.shift * params.deviation * scale
    trained, evaluated = result.moved.tolist()
    deviation = math.sqrt(result.test[:, 0].var(correction=0).item() + EPSILON)
    remove = Text(
        "Training mode: a constant added to every input changes no output, so a bias before BatchNorm is useless",
        "训练模式：所有输入加同一个常数，输出不变，所以 BatchNorm 前面的偏置没有用",
    )
    keep = Text(
        r"Inference: the shift $\delta$ of the test data stays visible as $\delta/\sqrt{\hat v+\epsilon}$",
        r"推理模式：测试数据的偏移 $\delta$ 仍然看得到，为 $\delta/\sqrt{\hat v+\epsilon}$",
    )
    cancels = Text("the batch mean moves with it; rounding", "批均值跟着一起动；舍入误差")
    affine = Text("a fixed affine map; rounding", "固定的仿射变换；舍入误差")
    alone = Text(
        "Inference: a sample alone and in its batch give the same output to the last bit",
        "推理模式：一个样本单独算和放在批里算，输出一位都不差",
    )
    why = Text("no number of another sample enters", "没有用到其他样本的数")
    return [
        Claim("training_removes_shift", remove, trained, "=", 0.0, cancels, 8 * ROUNDING * size / deviation),
        Claim("inference_keeps_shift", keep, evaluated, "=", kept, affine, 8 * ROUNDING * size * scale),
        Claim("inference_ignores_batch_mates", alone, result.alone, "=", 0.0, why),
    ]


def size_claims(result: "Result") -> list[Claim]:
    """Noise and gradient at the chosen batch size, over many standard normal batches."""
    sweep, m, batches = result.sweep, result.params.batch, 1024
    place = result.sizes.index(m)
    error = 5 / math.sqrt(2 * batches)  # relative, of a standard deviation
    noise = Text(
        r"The batch mean of independent values has standard deviation $\sigma/\sqrt m$ (here in $\sigma$)",
        r"独立的值，批均值的标准差是 $\sigma/\sqrt m$（以 $\sigma$ 为单位）",
    )
    gradient = Text(
        r"$1-\frac2m$ of the squared gradient reaches the input: its mean and its part along $\hat x$ are removed",
        r"梯度平方中有 $1-\frac2m$ 传到输入：均值和沿 $\hat x$ 的分量都被去掉了",
    )
    half = (m - 2) / 2
    slack = 5 * math.sqrt(half / ((half + 1) ** 2 * (half + 2)) / batches) + 2 * math.sqrt(EPSILON)
    projection = Text(
        r"a random $g$ loses 2 of $m$ directions; ± 5 standard errors + $2\sqrt\epsilon$",
        r"随机的 $g$ 在 $m$ 个方向中失去 2 个；± 5 个标准误 + $2\sqrt\epsilon$",
    )
    made = [
        Claim("batch_mean_noise", noise, sweep.mean_noise[place].item(), "=", m**-0.5, ERRORS, error * m**-0.5),
        Claim("gradient_share", gradient, sweep.gradient[place].item(), "=", 1 - 2 / m, projection, slack),
    ]
    if m >= 32:
        sentence = Text(
            r"A sample at $z=1$ gets another output in every batch; the spread is $\sqrt{1+z^2/2}\,/\sqrt m$",
            r"$z=1$ 处的同一个样本，在每个批里输出都不同，标准差为 $\sqrt{1+z^2/2}\,/\sqrt m$",
        )
        why = Text(
            "delta method for mean and deviation; ± 5 standard errors + 2/m",
            "对均值和标准差用 δ 方法；± 5 个标准误 + 2/m",
        )
        expected = math.sqrt(1.5 / m)
        measured = sweep.output_noise[place].item()
        made.append(Claim("same_sample_varies", sentence, measured, "=", expected, why, expected * (error + 2 / m)))
    return made


def oracle_claims(result: "Result") -> list[Claim]:
    """The hand-written layer against PyTorch: forward, running statistics, backward, folding."""
    params, (forward, stored, backward) = result.params, result.oracle
    deviation = (result.batch_variance[-1] + EPSILON).sqrt()  # (feature,)
    largest = result.upstream.abs().max().item() * max(result.outputs[-1].abs().max().item(), 1.0)
    reach = result.batches.abs().max().item()
    slip = 8 * ROUNDING * math.sqrt(params.batch) * (reach / deviation.min().item() + 1)
    same_outputs = Text(
        "Divided by the biased variance, the outputs are PyTorch's", "用有偏方差归一化，输出与 PyTorch 一致"
    )
    same_running = Text(
        "With the unbiased variance stored, the running statistics are PyTorch's",
        "存入无偏方差，滑动统计量与 PyTorch 一致",
    )
    same_gradient = Text(
        "The gradient formula agrees with autograd (difference in units of $1/\\sigma_B$)",
        "梯度公式与 autograd 一致（差值以 $1/\\sigma_B$ 为单位）",
    )
    folds = Text(
        "BatchNorm at inference folds into the linear layer before it", "推理时的 BatchNorm 可以折叠进前面的线性层"
    )
    why = Text("rounding in fp32", "fp32 舍入误差")
    most = 16 * ROUNDING * (reach + reach * params.deviation + params.deviation**2 * 25 + 1)
    fold = 16 * ROUNDING * result.folded_size
    return [
        Claim("forward_matches_torch", same_outputs, forward, "<=", 0.0, why, rounding(result)),
        Claim("running_matches_torch", same_running, stored, "<=", 0.0, why, most),
        Claim("backward_matches_autograd", same_gradient, backward, "<=", 0.0, why, 4 * largest * slip),
        Claim("folds_into_linear", folds, result.folded, "<=", 0.0, why, fold),
    ]


def rescale_claims(result: "Result") -> list[Claim]:
    """Weights ten times larger before BatchNorm."""
    change, ratio, cosine = result.rescaled
    invariant = Text(
        r"$\mathrm{BN}(10Wx)=\mathrm{BN}(Wx)$, up to $\epsilon$",
        r"忽略 $\epsilon$，$\mathrm{BN}(10Wx)=\mathrm{BN}(Wx)$",
    )
    tenth = Text("The gradient with respect to $10W$ is a tenth of that for $W$", "对 $10W$ 的梯度是对 $W$ 的十分之一")
    across = Text("The gradient is orthogonal to the weights", "梯度与权重正交")
    small = same(r"$|\hat x|\,\epsilon/2\sigma_B^2,\ \sigma_B^2>0.1$")
    slack = 8 * EPSILON / 0.2
    return [
        Claim("weight_scale_cancels", invariant, change, "<=", 0.0, small, slack),
        Claim("gradient_shrinks_with_scale", tenth, ratio, "=", 0.1, small, 0.1 * slack),
        Claim("gradient_is_orthogonal", across, cosine, "<=", 0.0, small, slack),
    ]
