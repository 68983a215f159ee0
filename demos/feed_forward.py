"""The feed-forward network: each token alone, units that can die, and its share of parameters and compute."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.claims.feed_forward import claims
from demos.figures.feed_forward import pictures
from demos.kit.contract import Demo, Prediction, Preset
from demos.kit.knobs import Choice, Range, Spaced, Switch, powers_of_two
from demos.kit.lab import Lab
from demos.kit.stage import stage
from language import Text, same

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda z: z,
    "relu": F.relu,
    "leaky": F.leaky_relu,
    "gelu": F.gelu,
    "silu": F.silu,
}
WIDTH, UNITS = 128, 512  # the sampled hidden layer
SMALL, POSITIONS, POKED = 64, 10, 3  # the small network whose token 3 is poked
ASKED_BIAS, ASKED_TOKENS = -3.0, 1024  # what the prediction asks
FAR = 1000.0  # how far out the network's growth is measured
HEADS = 8
LENGTHS = powers_of_two(16, 32768)


@dataclass(frozen=True)
class Params:
    """The knobs."""

    activation: Annotated[
        str,
        Choice(
            {
                "none": Text("none", "无"),
                "relu": same("ReLU"),
                "leaky": same("LeakyReLU"),
                "gelu": same("GELU"),
                "silu": same("SiLU (Swish)"),
            },
            label=Text("Activation function", "激活函数"),
        ),
    ] = "relu"
    bias: Annotated[float, Range(-5, 2, 0.5, label=Text("Bias b of the hidden units", "隐藏神经元的偏置 b"))] = -3.0
    tokens: Annotated[int, Spaced(powers_of_two(64, 2048), label=Text("Random tokens N", "随机 token 数 N"))] = 1024
    gated: Annotated[bool, Switch(label=Text("Gated (third matrix)", "门控（第三个矩阵）"))] = False
    model: Annotated[
        int, Spaced((64, 128, 256, 512, 768, 1024, 2048, 4096), label=Text("Model width d", "模型宽度 d"))
    ] = 512
    expansion: Annotated[int, Range(1, 8, label=Text("Expansion (d_ff = e·d)", "扩大倍数 e（d_ff = e·d）"))] = 4
    layer: Annotated[
        str,
        Choice(
            {
                "encoder": Text("encoder or GPT", "编码器或 GPT"),
                "decoder": Text("decoder (2 attentions)", "解码器（2 个注意力）"),
            },
            label=Text("Layer", "层的类型"),
        ),
    ] = "encoder"
    length: Annotated[int, Spaced(LENGTHS, label=Text("Sequence length T", "序列长度 T"))] = 512
    seed: Annotated[int, Range(0, 9, label=Text("Random seed", "随机种子"))] = 0

    @property
    def hidden(self) -> int:
        """Hidden width; a gated network has three matrices, so it gets two thirds of it, rounded."""
        return round(self.expansion * self.model * 2 / 3) if self.gated else self.expansion * self.model

    @property
    def attentions(self) -> int:
        """Attention sub-layers in the layer."""
        return 2 if self.layer == "decoder" else 1


@dataclass(frozen=True)
class Network:
    """The weights of one small feed-forward network; the gate is there in every case and used by gated ones."""

    rise: Tensor  # (feature, unit)
    gate: Tensor  # (feature, unit)
    rise_bias: Tensor  # (unit,)
    fall: Tensor  # (unit, feature)
    fall_bias: Tensor  # (feature,)


@dataclass(frozen=True)
class Result:
    """What one activation does to single numbers, to many units and to a sequence, and what the layer costs."""

    params: Params
    curve: Tensor  # (z, f(z) or f′(z), point)
    zeros: float  # share of the sampled outputs with zero gradient; for ReLU these outputs are zero
    dead: float  # share of the sampled units with zero gradient on every token
    moved: Tensor  # (position,) largest change of the output there when token 3 is poked
    convolved: float  # largest difference between the network and two convolutions of kernel size 1
    superposed: float  # largest |f(x + y) − f(x) − f(y) + f(0)|
    merged: float  # largest difference from the one matrix that the network would be without an activation
    growth: float  # how much the output grows when a large input is doubled, without biases
    parameters: dict[str, int]  # of one layer: attention, ffn, norms
    costs: tuple[tuple[int, int, int], ...]  # (length, part) FLOPs of projections, products, FFN
    crossovers: tuple[int, int]  # first length at which the products, and attention as a whole, cost as much as the FFN
    asked: float  # the prediction: share of dead ReLU units at bias −3 over 1024 tokens
    units: int = UNITS
    lengths: tuple[int, ...] = LENGTHS


def trace(activation: str, lab: Lab) -> Tensor:
    """The activation function and its derivative."""
    z = torch.linspace(-6, 6, 1201, device=lab.device).requires_grad_()  # (point,)
    f = ACTIVATIONS[activation](z)
    (slope,) = torch.autograd.grad(f.sum(), z)
    return torch.stack([z.detach(), f.detach(), slope])


@stage(keep=16)
def sample_units(lab: Lab, activation: str, bias: float, tokens: int, seed: int) -> tuple[float, float]:
    """How often the gradient is zero (under ReLU the output, too), and how many units have it on every token."""
    generator = lab.generator(seed)
    weight = F.normalize(lab.normal(UNITS, WIDTH, generator=generator), dim=1)  # (unit, feature), rows of norm 1
    x = lab.normal(tokens, WIDTH, generator=generator)  # (token, feature)
    z = (x @ weight.T + bias).requires_grad_()  # (token, unit), N(bias, 1)
    outputs = ACTIVATIONS[activation](z)
    (slope,) = torch.autograd.grad(outputs.sum(), z)  # (token, unit)
    return (slope == 0).float().mean().item(), (slope == 0).all(0).float().mean().item()


def draw_network(lab: Lab, seed: int) -> Network:
    """Random weights that keep the variance, and small biases."""
    generator, hidden = lab.generator(seed + 100), 4 * SMALL
    rise, gate = lab.normal(2, SMALL, hidden, generator=generator) / math.sqrt(SMALL)
    fall = lab.normal(hidden, SMALL, generator=generator) / math.sqrt(hidden)
    rise_bias, fall_bias = (0.1 * lab.normal(size, generator=generator) for size in (hidden, SMALL))
    return Network(rise, gate, rise_bias, fall, fall_bias)


def feed_forward(x: Tensor, network: Network, params: Params) -> Tensor:
    """FFN(x) = f(x W₁ + b₁) W₂ + b₂, or gated (f(x W₁ + b₁) ⊙ x V) W₂ + b₂."""
    hidden = ACTIVATIONS[params.activation](x @ network.rise + network.rise_bias)  # (position, unit)
    if params.gated:
        hidden = hidden * (x @ network.gate)
    return hidden @ network.fall + network.fall_bias  # (position, feature)


def as_convolutions(x: Tensor, network: Network, params: Params) -> Tensor:
    """The same network written as convolutions with kernel size 1 along the sequence."""
    signal = x.T[None]  # (1, feature, position)
    hidden = F.conv1d(signal, network.rise.T[..., None], network.rise_bias)  # (1, unit, position)
    hidden = ACTIVATIONS[params.activation](hidden)
    if params.gated:
        hidden = hidden * F.conv1d(signal, network.gate.T[..., None])
    return F.conv1d(hidden, network.fall.T[..., None], network.fall_bias)[0].T  # (position, feature)


def merge(x: Tensor, network: Network) -> Tensor:
    """Without an activation, W₁ W₂ is one matrix: x (W₁ W₂) + (b₁ W₂ + b₂)."""
    return x @ (network.rise @ network.fall) + (network.rise_bias @ network.fall + network.fall_bias)


def grow(x: Tensor, network: Network, params: Params) -> float:
    """How much the output of a bias-free network grows when a large input is doubled."""
    free = Network(network.rise, network.gate, 0 * network.rise_bias, network.fall, 0 * network.fall_bias)
    near, far = (feed_forward(size * x, free, params).norm() for size in (FAR, 2 * FAR))
    return (far / near).item()


def count_parameters(params: Params) -> dict[str, int]:
    """Parameters of one layer; attention and the plain FFN have biases, the gated FFN has none, as in LLaMA."""
    d, hidden = params.model, params.hidden
    plain = d * hidden + hidden + hidden * d + d
    return {
        "attention": params.attentions * 4 * (d * d + d),
        "ffn": 3 * d * hidden if params.gated else plain,
        "norms": (params.attentions + 1) * 2 * d,
    }


def count_flops(params: Params, length: int) -> tuple[int, int, int]:
    """FLOPs of projections, products and FFN on `length` tokens; a decoder's source is as long as its target."""
    d, hidden, head = params.model, params.hidden, params.model // HEADS

    def product(rows: int, inner: int, columns: int) -> int:
        return 2 * rows * inner * columns  # a multiplication and an addition each

    projections = 4 * product(length, d, d)  # query, key, value, output
    products = HEADS * (product(length, head, length) + product(length, length, head))  # q·k, weights·v
    ffn = (3 if params.gated else 2) * product(length, d, hidden)
    return params.attentions * projections, params.attentions * products, ffn


def overtakes(params: Params, whole: bool) -> int:
    """The first length at which attention's products, or all of attention, cost as much as the FFN, by bisection."""
    low, high = 1, 10 * params.expansion * params.model
    while low < high:
        middle = (low + high) // 2
        projections, products, ffn = count_flops(params, middle)
        enough = products + whole * projections >= ffn
        low, high = (low, middle) if enough else (middle + 1, high)
    return low


def compute(params: Params, lab: Lab) -> Result:
    """The activation alone, many units, a small network on a sequence, and the size of a whole layer."""
    zeros, dead = sample_units(lab, params.activation, params.bias, params.tokens, params.seed)
    _, asked = sample_units(lab, "relu", ASKED_BIAS, ASKED_TOKENS, params.seed)

    network = draw_network(lab, params.seed)
    x, y = lab.normal(2, POSITIONS, SMALL, generator=lab.generator(params.seed))  # (position, feature) each
    poked = x.clone()
    poked[POKED] += 5
    output = feed_forward(x, network, params)  # (position, feature)
    moved = (feed_forward(poked, network, params) - output).abs().amax(-1)  # (position,)

    both, only_y, nothing = (feed_forward(v, network, params) for v in (x + y, y, 0 * x))
    return Result(
        params,
        trace(params.activation, lab),
        zeros,
        dead,
        moved,
        convolved=(as_convolutions(x, network, params) - output).abs().max().item(),
        superposed=(both - output - only_y + nothing).abs().max().item(),
        merged=(merge(x, network) - output).abs().max().item(),
        growth=grow(x, network, params),
        parameters=count_parameters(params),
        costs=tuple(count_flops(params, length) for length in LENGTHS),
        crossovers=(overtakes(params, whole=False), overtakes(params, whole=True)),
        asked=asked,
    )


def right_option(result: Result) -> str:
    """The option nearest to the share just measured."""
    values = {"none": 0.001, "quarter": 0.25, "most": 0.86, "all": 0.999}
    return min(values, key=lambda name: abs(values[name] - result.asked))


DEMO = Demo(
    title=Text("The feed-forward network", "前馈网络"),
    summary=Text(
        "Push the bias down and see how many units really die; poke one token; see when attention costs more.",
        "把偏置往下推，看有多少神经元真的死掉；改动一个 token，看影响到谁；再看注意力什么时候更贵。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "ReLU units with bias $-3$ and standard normal pre-activations before the bias see 1024 random tokens. "
            "About 99.9% of all outputs are zero. How many units are dead, that is, zero on every token?",
            "ReLU 神经元的偏置为 $-3$，加偏置前的预激活服从标准正态分布，输入 1024 个随机 token，约 99.9% 的输出是零。"
            "有多少神经元是死的，也就是在所有 token 上都为零？",
        ),
        options={"none": same("0.1%"), "quarter": same("25%"), "most": same("86%"), "all": same("99.9%")},
        right=right_option,
        because=Text(
            r"One output is zero with probability $\Phi(3)=0.99865$; a unit is dead only if all 1024 are: "
            r"$0.99865^{1024}\approx25\%$. Sparse is not dead.",
            r"单个输出为零的概率是 $\Phi(3)=0.99865$；1024 个全为零，神经元才算死：$0.99865^{1024}\approx25\%$。"
            "稀疏不等于死。",
        ),
    ),
    presets=(
        Preset(Text("ReLU, bias −3", "ReLU，偏置 −3"), Params()),
        Preset(Text("ReLU at initialisation", "初始化时的 ReLU"), Params(bias=0.0)),
        Preset(Text("GELU, bias −3", "GELU，偏置 −3"), Params(activation="gelu")),
        Preset(Text("No activation", "没有激活函数"), Params(activation="none", bias=0.0)),
        Preset(Text("SwiGLU, d = 4096", "SwiGLU，d = 4096"), Params(activation="silu", gated=True, model=4096)),
    ),
)
