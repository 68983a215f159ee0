"""What each part of a training recipe does: warm-up, Adam's step, decoupled decay, label smoothing, clipping."""

import math
from dataclasses import dataclass, replace
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.claims.training_recipe import claims
from demos.figures.training_recipe import VIEWS, pictures
from demos.kit.contract import Demo, Prediction, Preset
from demos.kit.knobs import Choice, Range, Spaced, powers_of_two
from demos.kit.lab import Lab
from demos.kit.stacked_encoder import LENGTH, SYMBOLS, Weights, network, new_weights
from demos.kit.stage import stage
from language import Text

BATCH, STEPS, TESTED = 24, 100, 128
BETAS, EPSILON = (0.9, 0.98), 1e-9  # as in Vaswani et al., §5.3
TOY_STEPS, TOY_RATE, SMALL = 100, 0.01, 0.1  # two weights under Adam: steps, learning rate, scale of the small gradient
RUN, SCHEDULE, ADAM = ("view", ("run",)), ("view", ("schedule",)), ("view", ("adam",))
RUN_OR_ADAM, SMOOTHING = ("view", ("run", "adam")), ("view", ("smoothing",))
NORMS = {"post": Text("Post-LN", "Post-LN（后归一化）"), "pre": Text("Pre-LN", "Pre-LN（前归一化）")}
OPTIMISERS = {"adamw": Text("AdamW", "AdamW（解耦）"), "l2": Text("Adam + L2 term", "Adam + L2 项")}
RATES, WARMUPS = (0.001, 0.003, 0.01, 0.02, 0.03, 0.05), (0, 5, 10, 20, 60)


@dataclass(frozen=True)
class Recipe:
    """All that a training run depends on."""

    norm: str = "post"
    rate: float = 0.03
    warmup: int = 0
    optimiser: str = "adamw"
    decay: float = 0.01
    clip: float = 1.0  # 0: off
    smoothing: float = 0.0
    seeds: int = 3


@dataclass(frozen=True)
class Params:
    """The knobs."""

    view: Annotated[str, Choice(VIEWS, label=Text("Look at", "看什么"))] = "run"
    norm: Annotated[str, Choice(NORMS, label=Text("LayerNorm", "LayerNorm 的位置"), when=RUN)] = "post"
    rate: Annotated[float, Spaced(RATES, label=Text("Peak learning rate", "学习率峰值"), when=RUN)] = 0.03
    warmup: Annotated[int, Spaced(WARMUPS, label=Text("Warm-up steps", "预热步数"), when=RUN)] = 0
    optimiser: Annotated[str, Choice(OPTIMISERS, label=Text("Optimiser", "优化器"), when=RUN)] = "adamw"
    decay: Annotated[float, Spaced((0.0, 0.01, 0.1), label=Text("Weight decay λ", "权重衰减 λ"), when=RUN_OR_ADAM)] = (
        0.01
    )
    clip: Annotated[
        float, Spaced((0.0, 0.1, 1.0), label=Text("Clip norm (0: off)", "裁剪范数（0 为关）"), when=RUN)
    ] = 1.0
    smoothing: Annotated[float, Spaced((0.0, 0.1), label=Text("Label smoothing", "标签平滑"), when=RUN)] = 0.0
    seeds: Annotated[int, Range(1, 5, label=Text("Seeds", "种子数"), when=RUN)] = 3
    model_width: Annotated[
        int, Spaced(powers_of_two(128, 4096), label=Text("Model width", "模型宽度"), when=SCHEDULE)
    ] = 512
    peak_at: Annotated[
        int, Spaced((500, 1000, 2000, 4000, 8000), label=Text("Warm-up steps w", "预热步数 w"), when=SCHEDULE)
    ] = 4000
    large: Annotated[
        float,
        Spaced(
            (0.001, 0.01, 0.1, 1.0, 10.0, 100.0), label=Text("Second gradient's scale", "第二个梯度的尺度"), when=ADAM
        ),
    ] = 10.0
    epsilon: Annotated[
        float, Spaced((0.01, 0.05, 0.1, 0.2, 0.3), label=Text("Smoothing ε", "平滑系数 ε"), when=SMOOTHING)
    ] = 0.1
    classes: Annotated[int, Spaced((2, 12, 100, 1000, 32_000), label=Text("Classes K", "类别数 K"), when=SMOOTHING)] = (
        12
    )


@dataclass(frozen=True)
class Run:
    """One recipe over several seeds."""

    recipe: Recipe
    losses: Tensor  # (step, seed) what was minimised
    rates: Tensor  # (step,) learning rate
    norms: Tensor  # (step, seed) global gradient norm before clipping
    clipped: Tensor  # (step, seed) after
    accuracy: Tensor  # (seed,) on new sequences
    nll: Tensor  # (seed,) plain cross-entropy on them
    confidence: Tensor  # (seed,) mean largest probability


@dataclass(frozen=True)
class Result:
    """The chosen run and the same with one thing changed; then the parts that need no training."""

    params: Params
    run: Run
    other: Run
    cold: Run  # the default recipe: Post-LN, no warm-up
    warm: Run  # the same with 20 steps of warm-up
    noam: Tensor  # (point,) the schedule of Vaswani et al.
    cosine: Tensor  # (point,) linear warm-up, cosine decay, same peak
    steps: Tensor  # (point,)
    decayed: Tensor  # (step, rule, weight) under adamw, l2; weights: small gradient, large gradient, none
    undecayed: Tensor  # (step, weight) the same with λ = 0
    gaps: Tensor  # (point,) logit gap between the right class and the others
    smoothed: Tensor  # (point,) cross-entropy with smoothed labels
    slope: float  # derivative of the smoothed cross-entropy at the optimal gap, by autograd
    floor: float  # its value there


def rate_at(step: int, recipe: Recipe) -> float:
    """Linear warm-up to the peak, then half a cosine to 0; `step` counts from 0."""
    if step < recipe.warmup:
        return recipe.rate * (step + 1) / recipe.warmup
    return recipe.rate * 0.5 * (1 + math.cos(math.pi * (step - recipe.warmup) / (STEPS - recipe.warmup)))


def joint_norm(gradients: list[Tensor]) -> Tensor:
    """The norm of all gradients of a seed, taken as one vector."""
    return torch.stack([gradient.flatten(1).square().sum(-1) for gradient in gradients]).sum(0).sqrt()  # (seed,)


def clip(weights: Weights, limit: float) -> tuple[Tensor, Tensor]:
    """Scale all gradients of a seed so that their joint norm is at most `limit`; returns the norms before and after."""
    gradients = [weight.grad for weight in weights.values() if weight.grad is not None]
    norm = joint_norm(gradients)
    factor = (limit / norm).clamp(max=1) if limit else torch.ones_like(norm)
    for gradient in gradients:
        gradient *= factor.view(-1, *[1] * (gradient.dim() - 1))
    return norm, joint_norm(gradients)


@stage(keep=32)
def train(lab: Lab, recipe: Recipe) -> Run:
    """Learn to reverse sequences; all seeds in one batch of networks, on the CPU, so that all devices show the same."""
    weights = new_weights(lab, recipe.seeds)
    kind = torch.optim.AdamW if recipe.optimiser == "adamw" else torch.optim.Adam  # Adam adds λθ to the gradient
    optimizer = kind(weights.values(), recipe.rate, betas=BETAS, eps=EPSILON, weight_decay=recipe.decay)
    streams = [lab.generator(1000 + seed) for seed in range(recipe.seeds)]
    losses, rates, norms, clipped = [], [], [], []
    for step in range(STEPS):
        symbols = torch.stack([torch.randint(SYMBOLS, (BATCH, LENGTH), generator=stream) for stream in streams])
        logits = network(weights, symbols, recipe.norm).flatten(0, 2)  # (seed · token, symbol)
        each = F.cross_entropy(
            logits, symbols.flip(-1).flatten(), label_smoothing=recipe.smoothing, reduction="none"
        ).unflatten(0, (recipe.seeds, -1))  # (seed, token)
        optimizer.zero_grad()
        each.mean(-1).sum().backward()  # the sum keeps the seeds independent
        before, after = clip(weights, recipe.clip)
        rates.append(rate_at(step, recipe))
        optimizer.param_groups[0]["lr"] = rates[-1]
        optimizer.step()
        for kept, value in zip((losses, norms, clipped), (each.mean(-1).detach(), before, after), strict=True):
            kept.append(value)
        if step % 3 == 0:
            lab.progress(step / STEPS, Text(f"Training {recipe.seeds} seeds", f"正在训练 {recipe.seeds} 个种子"))
    history = torch.stack(losses), torch.tensor(rates), torch.stack(norms), torch.stack(clipped)
    return Run(recipe, *history, *examine(lab, weights, recipe))


@torch.no_grad()
def examine(lab: Lab, weights: Weights, recipe: Recipe) -> tuple[Tensor, Tensor, Tensor]:
    """Accuracy, plain cross-entropy and mean confidence of every seed on new sequences."""
    symbols = torch.randint(SYMBOLS, (TESTED, LENGTH), generator=lab.generator(7)).expand(recipe.seeds, -1, -1)
    logits, target = network(weights, symbols, recipe.norm), symbols.flip(-1)  # (seed, sequence, position, symbol)
    right = (logits.argmax(-1) == target).float().mean((1, 2))
    nll = -logits.log_softmax(-1).gather(-1, target.unsqueeze(-1)).mean((1, 2, 3))
    return right, nll, logits.softmax(-1).amax(-1).mean((1, 2))


def one_change(recipe: Recipe) -> Recipe:
    """What the chosen recipe is compared with: decoupled decay, else warm-up on or off."""
    if recipe.optimiser == "l2":
        return replace(recipe, optimiser="adamw")
    return replace(recipe, warmup=20 if recipe.warmup == 0 else 0)


@stage(keep=32)
def two_weights(lab: Lab, large: float, decay: float) -> tuple[Tensor, Tensor]:
    """Weights that start at 1, with gradients of two scales and of none, under AdamW, Adam + L2, and without decay."""
    noise = torch.randn(TOY_STEPS, 1, generator=lab.generator(0)) + 0.5  # (step, 1)
    gradients = noise * torch.tensor([SMALL, large, 0.0])  # (step, weight)
    weight = torch.ones(3, 3)  # (rule, weight): adamw, l2, no decay
    first, second, path = torch.zeros(3, 3), torch.zeros(3, 3), [weight]
    inside, outside = torch.tensor([[0.0], [decay], [0.0]]), torch.tensor([[decay], [0.0], [0.0]])  # (rule, 1)
    for step, gradient in enumerate(gradients, start=1):
        pulled = gradient + inside * weight  # L2: the penalty's gradient joins the moments
        first = BETAS[0] * first + (1 - BETAS[0]) * pulled
        second = BETAS[1] * second + (1 - BETAS[1]) * pulled.square()
        unbiased, size = first / (1 - BETAS[0] ** step), (second / (1 - BETAS[1] ** step)).sqrt()
        weight = (1 - TOY_RATE * outside) * weight - TOY_RATE * unbiased / (size + EPSILON)
        path.append(weight)
    history = torch.stack(path)  # (step, rule, weight)
    return history[:, :2], history[:, 2]


def smoothed_loss(gap: Tensor, classes: int, epsilon: float) -> Tensor:
    """Cross-entropy of logits (gap, 0, …, 0) with the target (1 − ε) one-hot + ε / K."""
    others = (classes - 1) * epsilon / classes  # target mass on the other classes
    return (1 + (classes - 1) * (-gap).exp()).log() + others * gap


def optimum(classes: int, epsilon: float) -> tuple[float, float]:
    """By autograd on PyTorch's own loss: the slope at the gap ln(1 + K(1 − ε)/ε), and the loss there."""
    gap = torch.tensor(math.log(1 + classes * (1 - epsilon) / epsilon), dtype=torch.float64, requires_grad=True)
    logits = torch.cat([gap.view(1), torch.zeros(classes - 1, dtype=torch.float64)])  # (class,), on the CPU
    loss = F.cross_entropy(logits, torch.tensor(0), label_smoothing=epsilon)
    loss.backward()
    return (gap.grad if gap.grad is not None else gap).item(), loss.item()


def compute(params: Params, lab: Lab) -> Result:
    """Train the chosen recipe and the same with one thing changed; the other views need no training of their own."""
    names = Recipe.__dataclass_fields__
    chosen = Recipe(**{name: getattr(params, name) for name in names}) if params.view == "run" else Recipe()
    steps = torch.arange(50, 40_001, 50)  # (point,)
    peak = (params.model_width * params.peak_at) ** -0.5
    rising, falling = steps / params.peak_at, (steps - params.peak_at) / (40_000 - params.peak_at)
    decayed, undecayed = two_weights(lab, params.large, params.decay)
    gaps = torch.linspace(0, 20, 201)  # (point,)
    slope, floor = optimum(params.classes, params.epsilon)
    return Result(
        params,
        run=train(lab, chosen),
        other=train(lab, one_change(chosen)),
        cold=train(lab, Recipe()),
        warm=train(lab, Recipe(warmup=20)),
        noam=params.model_width**-0.5 * torch.minimum(steps**-0.5, steps * params.peak_at**-1.5),
        cosine=torch.where(rising < 1, peak * rising, peak * 0.5 * (1 + (math.pi * falling.clamp(min=0)).cos())),
        steps=steps,
        decayed=decayed,
        undecayed=undecayed,
        gaps=gaps,
        smoothed=smoothed_loss(gaps, params.classes, params.epsilon),
        slope=slope,
        floor=floor,
    )


def right_option(result: Result) -> str:
    """How much accuracy 20 steps of warm-up bring to the default recipe, just measured."""
    gain = (result.warm.accuracy.mean() - result.cold.accuracy.mean()).item()
    return "worse" if gain < -0.05 else "none" if gain < 0.05 else "some" if gain < 0.6 else "all"


DEMO = Demo(
    title=Text("A training recipe, part by part", "训练配方，逐项拆开"),
    summary=Text(
        "Train a small encoder with and without warm-up, then look at the schedule, Adam's step and smoothed labels.",
        "先比较有无预热的训练，再看学习率调度、Adam 的一步和标签平滑。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "A Post-LN encoder of four layers learns to reverse sequences of 8 symbols out of 12 kinds: AdamW, peak "
            "learning rate 0.03, 100 steps, gradients clipped. What do 20 steps of linear warm-up change?",
            "一个四层的 Post-LN 编码器学习把 8 个符号（共 12 种）的序列倒过来：AdamW，学习率峰值 0.03，共 100 步，"
            "带梯度裁剪。加上 20 步线性预热，会有什么变化？",
        ),
        options={
            "worse": Text("accuracy falls: fewer steps at full rate", "正确率下降：全速训练的步数少了"),
            "none": Text("nothing that one could see", "看不出变化"),
            "some": Text("accuracy rises by less than 0.6", "正确率上升，幅度不到 0.6"),
            "all": Text("accuracy rises by more than 0.6", "正确率上升 0.6 以上"),
        },
        right=right_option,
        because=Text(
            "Adam's first steps have full size in every coordinate, however small the gradient. Here they leave a "
            "network whose answers are almost uniform, and the loss stays near $\\ln 12$. Small first steps avoid it.",
            "Adam 最初几步在每个坐标上都是满步长，与梯度大小无关。这里走完之后，网络的输出几乎是均匀分布，"
            "loss 停在 $\\ln 12$ 附近。开头步子小，就不会这样。",
        ),
    ),
    presets=(
        Preset(Text("5 steps, five seeds", "预热 5 步，五个种子"), Params(warmup=5, seeds=5)),
        Preset(Text("Pre-LN needs none", "Pre-LN 不用预热"), Params(norm="pre")),
        Preset(
            Text("L2 term instead of decay", "用 L2 项代替权重衰减"),
            Params(norm="pre", rate=0.01, warmup=60, optimiser="l2", decay=0.1),
        ),
        Preset(Text("Two weights under Adam", "Adam 下的两个权重"), Params(view="adam", decay=0.1)),
        Preset(Text("Smoothed labels", "标签平滑"), Params(view="smoothing")),
    ),
)
