"""What warm-up does to the learning rate and to Adam's first steps, and what dropout does in training and at test."""

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from demos.claims.warmup_and_dropout import claims
from demos.figures.warmup_and_dropout import ACTIVATIONS, pictures
from demos.kit.contract import Demo, Prediction, Preset
from demos.kit.knobs import Choice, Range, Spaced, powers_of_two
from demos.kit.lab import Lab
from demos.kit.stage import stage
from language import Text

HORIZON = 100_000  # training steps of the base model in the paper
BETA1, BETA2, EPSILON = 0.9, 0.98, 1e-9  # Adam, as in the paper
UPDATES, COORDINATES = 200, 4096  # Adam's steps on gradients that are pure noise
MASKS, UNITS, KEYS = 4096, 64, 16  # dropout masks, width of the small network, keys of an attention row
SIZES = (1e-9, 1e-8, 1e-6, 1e-3, 1.0, 1e3)


@dataclass(frozen=True)
class Params:
    """The knobs."""

    warmup: Annotated[int, Range(500, 16_000, 500, label=Text("Warm-up steps w", "预热步数 w"))] = 4000
    width: Annotated[int, Spaced(powers_of_two(128, 2048), label=Text("Model width d", "模型宽度 d"))] = 512
    gradient: Annotated[float, Spaced(SIZES, label=Text("Size of the gradients", "梯度的大小"))] = 1.0
    dropout: Annotated[float, Range(0, 0.9, 0.05, label=Text("Dropout rate p", "dropout 比例 p"))] = 0.1
    activation: Annotated[str, Choice(ACTIVATIONS, label=Text("Layer after the dropout", "dropout 之后的层"))] = "relu"
    seed: Annotated[int, Range(0, 9, label=Text("Random seed", "随机种子"))] = 0


@dataclass(frozen=True)
class Result:
    """The schedule, Adam on noise, many passes in training mode against one in eval mode, and what stops dropout."""

    params: Params
    rates: Tensor  # (step,) learning rate at steps 1 to 100 000
    longer: Tensor  # (step,) the same with four times the warm-up
    first_step: Tensor  # (coordinate,) Adam's first update over the learning rate
    agrees: float  # share of coordinates whose first update goes against the sign of the gradient
    step_sizes: Tensor  # (update,) RMS of Adam's updates over the learning rate
    kept: Tensor  # (mask, unit) what dropout multiplies with: 0 or 1/(1 − p)
    row_sums: Tensor  # (mask,) sums of a row of equal attention weights after dropout
    passes: Tensor  # (mask,) outputs of the network in training mode
    evaluated: float  # its output in eval mode
    readout: Tensor  # (unit,) what each input adds to the output if the network is linear
    zeroed: dict[str, float]  # share of values that dropout with p = 1 sets to zero, by what was called


def learning_rate(step: Tensor, width: int, warmup: int) -> Tensor:
    """Vaswani et al., Eq. 3: a linear rise for `warmup` steps, then the inverse square root."""
    return width**-0.5 * torch.minimum(step**-0.5, step * warmup**-1.5)


@stage(keep=32)
def adam_on_noise(lab: Lab, size: float, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Adam's updates, over the learning rate, on independent normal gradients with standard deviation `size`."""
    gradients = size * lab.normal(UPDATES, COORDINATES, generator=lab.generator(seed))  # (update, coordinate)
    mean = square = torch.zeros(COORDINATES, device=lab.device)
    updates = []
    for t, gradient in enumerate(gradients, start=1):
        mean = BETA1 * mean + (1 - BETA1) * gradient
        square = BETA2 * square + (1 - BETA2) * gradient**2
        unbiased = mean / (1 - BETA1**t), square / (1 - BETA2**t)
        updates.append(-unbiased[0] / (unbiased[1].sqrt() + EPSILON))
    against = (updates[0].sign() == -gradients[0].sign()).float().mean()
    return updates[0], against, torch.stack(updates).square().mean(-1).sqrt()  # (coordinate,), (), (update,)


@stage(keep=32)
def inverted_dropout(lab: Lab, rate: float, seed: int) -> Tensor:
    """Multipliers for many draws: 0 with probability p, else 1/(1 − p), so that the mean is 1."""
    chance = torch.rand(MASKS, UNITS, generator=lab.generator(100 + seed)).to(lab.device)
    return (chance >= rate) / (1 - rate)  # (mask, unit)


def network(x: Tensor, weight: Tensor, activation: str) -> Tensor:
    """One layer after the dropout; the output is the mean of its units."""
    hidden = x @ weight  # (…, unit)
    return (F.relu(hidden) if activation == "relu" else hidden).mean(-1)


def what_is_zeroed() -> dict[str, float]:
    """Dropout with p = 1 sets all it drops to zero, so nothing here is left to chance."""
    ones, layer = torch.ones(1, 1, KEYS, KEYS), nn.Dropout(1.0)
    outputs = {"train": layer(ones)}
    with torch.no_grad():
        outputs["no_grad"] = layer(ones)
    outputs["eval"] = layer.eval()(ones)
    outputs["functional"] = F.dropout(ones, 1.0)  # knows nothing of eval()
    outputs["attention"] = F.scaled_dot_product_attention(ones, ones, ones, dropout_p=1.0)
    return {called: (output == 0).float().mean().item() for called, output in outputs.items()}


def compute(params: Params, lab: Lab) -> Result:
    """The schedule; Adam's steps; a network under many dropout masks; and what turns dropout off."""
    steps = torch.arange(1, HORIZON + 1, device=lab.device)
    first_step, agrees, step_sizes = adam_on_noise(lab, params.gradient, params.seed)

    kept = inverted_dropout(lab, params.dropout, params.seed)
    generator = lab.generator(200 + params.seed)
    x = lab.normal(UNITS, generator=generator)  # (unit,)
    weight = lab.normal(UNITS, UNITS, generator=generator) / UNITS**0.5  # (unit, unit)
    attention = torch.full((KEYS,), 1 / KEYS, device=lab.device)  # (key,)
    return Result(
        params,
        learning_rate(steps, params.width, params.warmup),
        learning_rate(steps, params.width, 4 * params.warmup),
        first_step,
        agrees.item(),
        step_sizes,
        kept,
        row_sums=(attention * kept[:, :KEYS]).sum(-1),
        passes=network(x * kept, weight, params.activation),
        evaluated=network(x, weight, params.activation).item(),
        readout=x * weight.mean(-1),
        zeroed=what_is_zeroed(),
    )


def right_option(result: Result) -> str:
    """What four times the warm-up just did to the peak and to the last step."""
    peak, last = (result.longer.max() / result.rates.max()).item(), (result.longer[-1] / result.rates[-1]).item()
    if abs(last - 1) > 0.1:
        return "both"
    return "half" if peak > 0.375 else "quarter"


DEMO = Demo(
    title=Text("Warm-up and dropout", "预热与 dropout"),
    summary=Text(
        "Move the warm-up and see which part of the schedule notices. Then drop units, and see what eval mode stops.",
        "改变预热步数，看学习率曲线的哪一段会变；再丢掉一些单元，看 eval 模式关掉了什么。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "Make the warm-up four times as long. What happens to the peak of the learning rate, and to its value at "
            "step 100,000?",
            "把预热步数变成 4 倍。学习率的峰值会怎样？第 100,000 步的学习率呢？",
        ),
        options={
            "half": Text("the peak halves; step 100,000 stays the same", "峰值减半；第 100,000 步不变"),
            "quarter": Text(
                "the peak falls to a quarter; step 100,000 stays the same", "峰值降到四分之一；第 100,000 步不变"
            ),
            "both": Text("both get smaller", "两者都变小"),
        },
        right=right_option,
        because=Text(
            "The peak is $(d\\,w)^{-1/2}$, and $4^{-1/2}=\\tfrac12$. After it the rate is $(d\\,s)^{-1/2}$: $w$ has "
            "dropped out.",
            "峰值是 $(d\\,w)^{-1/2}$，而 $4^{-1/2}=\\tfrac12$。过了峰值，学习率是 $(d\\,s)^{-1/2}$，式中已经没有 $w$。",
        ),
    ),
    presets=(
        Preset(Text("Long warm-up", "更长的预热"), Params(warmup=16_000)),
        Preset(Text("Gradients as small as ε", "梯度小到与 ε 相当"), Params(gradient=1e-9)),
        Preset(Text("p = 0.5", "p = 0.5"), Params(dropout=0.5)),
        Preset(Text("A linear network", "线性网络"), Params(dropout=0.5, activation="linear")),
    ),
)
