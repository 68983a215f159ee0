"""What BatchNorm does in training and at inference, and what a small batch costs."""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.claims.batch_norm_modes import claims
from demos.figures.batch_norm_modes import pictures
from demos.kit.contract import Demo, Impossible, Prediction, Preset
from demos.kit.knobs import Choice, Range, Spaced, powers_of_two
from demos.kit.lab import Lab
from demos.kit.stage import stage
from language import Text

EPSILON = 1e-5
FEATURES = 64
SIZES = powers_of_two(2, 256)
BATCHES = 1024  # batches of each size in the sweep
PROBE = 1.0  # the sample whose output is watched, in standard deviations from the mean
TEST = 64  # samples in the test batch
INPUTS, RESCALE = 16, 10.0  # width of the linear layer before BatchNorm; how much its weights are enlarged


@dataclass(frozen=True)
class Params:
    """The knobs."""

    batch: Annotated[int, Spaced((1, *SIZES), label=Text("Batch size m", "批大小 m"))] = 2
    steps: Annotated[int, Range(1, 200, label=Text("Training steps t", "训练步数 t"))] = 50
    averaging: Annotated[
        str,
        Choice(
            {
                "exponential": Text("exponential", "指数平均"),
                "cumulative": Text("cumulative (None)", "累积平均（None）"),
            },
            label=Text("Running statistics", "滑动统计量"),
        ),
    ] = "exponential"
    momentum: Annotated[
        float,
        Spaced(
            (0.01, 0.05, 0.1, 0.3, 0.5, 0.9, 1.0),
            label=Text("PyTorch momentum ρ", "PyTorch 的 momentum ρ"),
            when=("averaging", ("exponential",)),
        ),
    ] = 0.1
    mean: Annotated[float, Range(-10, 10, label=Text("True mean μ", "真实均值 μ"))] = 5.0
    deviation: Annotated[
        float, Spaced((0.001, 0.01, 0.1, 0.3, 1.0, 3.0, 10.0), label=Text("True deviation σ", "真实标准差 σ"))
    ] = 3.0
    shift: Annotated[float, Range(-5, 5, 0.5, label=Text("Shift of the test data (in σ)", "测试数据的偏移（σ）"))] = 2.0
    seed: Annotated[int, Range(0, 9, label=Text("Random seed", "随机种子"))] = 0


@dataclass(frozen=True)
class Sweep:
    """The same experiment at every batch size; one number per size."""

    mean_noise: Tensor  # standard deviation of the batch mean, in σ
    output_noise: Tensor  # standard deviation of the output of one fixed sample
    gradient: Tensor  # share of the squared gradient that reaches the input


@dataclass(frozen=True)
class Result:
    """A training run of one BatchNorm layer, a test batch in both modes, and the sweep over batch sizes."""

    params: Params
    batches: Tensor  # (step, sample, feature)
    outputs: Tensor  # (step, sample, feature) in training
    batch_variance: Tensor  # (step, feature), biased
    running: Tensor  # (mean or variance, step, feature)
    evaluated: Tensor  # (step, sample, feature) the same inputs at inference
    test: Tensor  # (sample, feature) shifted test batch
    test_training: Tensor  # (sample, feature) its outputs if eval() was forgotten
    test_inference: Tensor  # (sample, feature)
    moved: Tensor  # (mode,) mean change of the test outputs when every input is shifted: training, inference
    alone: float  # largest difference between one sample evaluated alone and in its batch
    upstream: Tensor  # (sample, feature) ∂L/∂output of the last batch
    gradient: Tensor  # (sample, feature) ∂L/∂input of the last batch
    oracle: tuple[float, float, float]  # differences from PyTorch: outputs, running statistics, gradient in 1/σ_B
    folded: float  # largest difference between linear + BatchNorm and one folded linear layer
    folded_size: float  # size of the numbers added up there
    rescaled: tuple[float, float, float]  # change of the outputs, of the gradient (ratio), and cos(weight, gradient)
    sweep: Sweep
    asked: Tensor  # (sample,) the prediction: outputs of batches of two
    sizes: tuple[int, ...] = SIZES


def normalise(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Training mode: subtract the batch mean and divide by the batch deviation of every feature (γ = 1, β = 0)."""
    mean = x.mean(-2, keepdim=True)  # (…, 1, feature)
    variance = (x - mean).square().mean(-2, keepdim=True)  # biased: divided by m
    return (x - mean) / (variance + EPSILON).sqrt(), mean.squeeze(-2), variance.squeeze(-2)


def evaluate(x: Tensor, running: Tensor) -> Tensor:
    """Inference mode: the same formula with fixed statistics, so a fixed affine map."""
    mean, variance = running
    return (x - mean) / (variance + EPSILON).sqrt()


def backward(upstream: Tensor, outputs: Tensor, variance: Tensor) -> Tensor:
    """∂L/∂x from g = ∂L/∂x̂: remove from g its mean and its component along x̂, then divide by the deviation."""
    along = (upstream * outputs).mean(-2, keepdim=True)
    centred = upstream - upstream.mean(-2, keepdim=True)
    return (centred - outputs * along) / (variance.unsqueeze(-2) + EPSILON).sqrt()  # (…, sample, feature)


def keep_running(mean: Tensor, variance: Tensor, params: Params) -> Tensor:
    """Running mean and unbiased variance after every step, starting from (0, 1)."""
    seen = torch.stack([mean, variance * params.batch / (params.batch - 1)])  # (statistic, step, feature)
    running = torch.stack([torch.zeros_like(mean[0]), torch.ones_like(mean[0])])  # (statistic, feature)
    history = []
    for step, new in enumerate(seen.unbind(1), start=1):
        weight = params.momentum if params.averaging == "exponential" else 1 / step
        running = (1 - weight) * running + weight * new
        history.append(running)
    return torch.stack(history, dim=1)  # (statistic, step, feature)


@stage(keep=10)
def by_batch_size(lab: Lab, seed: int) -> Sweep:
    """Noise and surviving gradient for standard normal batches of every size."""
    generator = lab.generator(seed + 100)
    samples = lab.normal(BATCHES, SIZES[-1], 1, generator=generator)  # (batch, sample, feature)
    upstreams = lab.normal(BATCHES, SIZES[-1], 1, generator=generator)
    rows = []
    for size in SIZES:
        x, upstream = samples[:, :size], upstreams[:, :size]
        outputs, mean, variance = normalise(x)
        arrived = backward(upstream, outputs, variance) * (variance + EPSILON).sqrt().unsqueeze(-2)
        share = arrived.square().sum(1) / upstream.square().sum(1)  # (batch, feature)
        fixed, _, _ = normalise(torch.cat([torch.full_like(x[:, :1], PROBE), x[:, 1:]], dim=1))
        rows.append(torch.stack([mean.std(), fixed[:, 0].std(), share.mean()]))
    return Sweep(*torch.stack(rows, dim=1).cpu())


def fold(lab: Lab, running: Tensor, seed: int) -> tuple[float, float]:
    """Put BatchNorm's affine map into the linear layer before it: W′ = sW, b′ = s(b − μ̂) + β, s = γ/√(v̂ + ε)."""
    generator = lab.generator(seed + 200)
    x = lab.normal(8, INPUTS, generator=generator)  # (sample, input)
    weight = lab.normal(FEATURES, INPUTS, generator=generator) / math.sqrt(INPUTS)  # (feature, input)
    bias, beta, gamma = lab.normal(3, FEATURES, generator=generator)  # (feature,) each
    scale = gamma / (running[1] + EPSILON).sqrt()  # (feature,)
    two_layers = gamma * evaluate(x @ weight.T + bias, running) + beta  # (sample, feature)
    one_layer = x @ (scale[:, None] * weight).T + scale * (bias - running[0]) + beta
    size = (scale.abs() * (x.norm(dim=1).max() * weight.norm(dim=1) + bias.abs() + running[0].abs()) + beta.abs()).max()
    return (two_layers - one_layer).abs().max().item(), size.item()


def against_pytorch(params: Params, batches: Tensor, outputs: Tensor, final: Tensor) -> tuple[float, float]:
    """The same batches through PyTorch's own layer: largest difference of the outputs and of the running statistics."""
    running, gaps = [torch.zeros_like(final[0]), torch.ones_like(final[1])], []
    for step, (batch, ours) in enumerate(zip(batches, outputs, strict=True), start=1):
        weight = params.momentum if params.averaging == "exponential" else 1 / step
        theirs = F.batch_norm(batch, *running, training=True, momentum=weight, eps=EPSILON)  # (sample, feature)
        gaps.append((theirs - ours).abs().max())
    return torch.stack(gaps).max().item(), (torch.stack(running) - final).abs().max().item()


def against_autograd(x: Tensor, upstream: Tensor, gradient: Tensor, variance: Tensor) -> float:
    """Largest difference between our gradient and the one that PyTorch derives, in units of 1/σ_B."""
    x = x.clone().requires_grad_()
    loss = (F.batch_norm(x, None, None, training=True, eps=EPSILON) * upstream).sum()
    (derived,) = torch.autograd.grad(loss, x)  # (sample, feature)
    return ((gradient - derived).abs() * (variance + EPSILON).sqrt()).max().item()


@stage(keep=10)
def rescale(lab: Lab, seed: int) -> tuple[float, float, float]:
    """Multiply the weights before BatchNorm by 10: outputs, gradient with respect to the weights, and its direction."""
    generator = lab.generator(seed + 300)
    x = lab.normal(TEST, INPUTS, generator=generator)  # (sample, input)
    weight = lab.normal(FEATURES, INPUTS, generator=generator) / math.sqrt(INPUTS)  # (feature, input)
    readout = lab.normal(TEST, FEATURES, generator=generator)  # ∂L/∂output
    outputs, gradients = [], []
    for factor in (1.0, RESCALE):
        scaled = (factor * weight).requires_grad_()
        output, _, _ = normalise(x @ scaled.T)  # (sample, feature)
        outputs.append(output.detach())
        gradients.append(torch.autograd.grad((output * readout).sum(), scaled)[0])  # (feature, input)
    change = (outputs[1] - outputs[0]).abs().max().item()
    cosine = F.cosine_similarity(weight, gradients[0], dim=1).abs().max().item()
    return change, (gradients[1].norm() / gradients[0].norm()).item(), cosine


def compute(params: Params, lab: Lab) -> Result:
    """Train one BatchNorm layer on random batches, then use it on shifted test data with and without eval()."""
    if params.batch == 1:
        raise Impossible(ONE_SAMPLE)
    generator = lab.generator(params.seed)
    noise = lab.normal(params.steps, params.batch, FEATURES, generator=generator)
    batches = params.mean + params.deviation * noise  # (step, sample, feature)
    outputs, mean, variance = normalise(batches)
    running = keep_running(mean, variance, params)  # (statistic, step, feature)
    final = running[:, -1]  # (statistic, feature)

    plain = params.mean + params.deviation * lab.normal(TEST, FEATURES, generator=generator)
    test = plain + params.shift * params.deviation  # (sample, feature)
    test_training, test_inference = normalise(test)[0], evaluate(test, final)
    moved = [test_training - normalise(plain)[0], test_inference - evaluate(plain, final)]

    upstream = lab.normal(params.batch, FEATURES, generator=generator)  # (sample, feature)
    gradient = backward(upstream, outputs[-1], variance[-1])  # (sample, feature)
    off_gradient = against_autograd(batches[-1], upstream, gradient, variance[-1])
    folded, folded_size = fold(lab, final, params.seed)
    asked = normalise(lab.normal(256, 2, 1, generator=lab.generator(params.seed)))[0]
    return Result(
        params,
        batches,
        outputs,
        variance,
        running,
        evaluated=evaluate(batches, final),
        test=test,
        test_training=test_training,
        test_inference=test_inference,
        moved=torch.stack([change[:, 0].mean() for change in moved]),
        alone=(evaluate(test[:1], final) - test_inference[:1]).abs().max().item(),
        upstream=upstream,
        gradient=gradient,
        oracle=(*against_pytorch(params, batches, outputs, final), off_gradient),
        folded=folded,
        folded_size=folded_size,
        rescaled=rescale(lab, params.seed),
        sweep=by_batch_size(lab, params.seed),
        asked=asked.flatten(),
    )


def right_option(result: Result) -> str:
    """Read off the sizes of the outputs of batches of two."""
    sizes = result.asked.abs()
    if ((sizes - 1).abs() < 0.01).float().mean() > 0.9:
        return "signs"
    return "between" if sizes.max() <= 1.001 else "normal"


ONE_SAMPLE = Text(
    "One value per channel: its mean is the value itself and its variance is 0, so every output would be β and every "
    "gradient 0. PyTorch refuses: “Expected more than 1 value per channel when training”. A convolution escapes, "
    "because one image already gives H·W values per channel; and inference with one sample is no problem.",
    "每个通道只有一个值：均值就是它自己，方差为 0，输出永远是 β，梯度全为 0。PyTorch 会直接报错：“Expected more than 1 "
    "value per channel when training”。卷积没有这个问题，一张图的每个通道就有 H·W 个值；推理时只有一个样本也没问题。",
)

DEMO = Demo(
    title=Text("BatchNorm in training and at inference", "BatchNorm 的训练与推理"),
    summary=Text(
        "Shrink the batch and watch the data disappear from the outputs; forget eval() and watch a shift vanish.",
        "把批调小，看输出里的信息怎样消失；忘记 eval()，看数据的偏移怎样不见。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "BatchNorm trains with two samples per batch, drawn from a normal distribution. "
            "Which values come out (before γ and β)?",
            "BatchNorm 训练时每批只有两个样本，都取自正态分布。输出（乘 γ、加 β 之前）会是什么值？",
        ),
        options={
            "normal": Text("all values, about N(0, 1)", "各种值，近似 N(0, 1)"),
            "between": Text("all values between −1 and 1", "−1 与 1 之间的各种值"),
            "signs": Text("almost only −1 and +1", "几乎只有 −1 和 +1"),
        },
        right=right_option,
        because=Text(
            r"The mean is the midpoint and the deviation is half the distance, so $\hat x=\pm1$ whatever the inputs: "
            "only their order survives. For the same reason almost no gradient reaches the input.",
            r"均值是中点，标准差是两者距离的一半，所以无论输入是什么，$\hat x=\pm1$，"
            "只剩谁大谁小。同理，几乎没有梯度传回输入。",
        ),
    ),
    presets=(
        Preset(Text("Two samples", "两个样本"), Params()),
        Preset(Text("32 samples", "32 个样本"), Params(batch=32)),
        Preset(Text("Too few steps", "步数太少"), Params(batch=32, steps=5, shift=0.0)),
        Preset(Text("Noisy: momentum 1", "噪声大：momentum 1"), Params(batch=8, momentum=1.0)),
    ),
)
