"""The claims of `feed_forward`."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from demos.kit.contract import Claim
from language import Text, same

if TYPE_CHECKING:
    from demos.feed_forward import Result

ROUNDING = torch.finfo(torch.float32).eps
FP32 = Text("rounding of sums over 256 terms", "256 项求和的舍入误差")
HEADS = 8


def claims(result: "Result") -> list[Claim]:
    """Units, positions, linearity, the activation, parameters, compute."""
    return [
        *unit_claims(result),
        *position_claims(result),
        *linearity_claims(result),
        *activation_claims(result),
        *parameter_claims(result),
        *compute_claims(result),
    ]


def below(z: float) -> float:
    """Φ(z)."""
    return 0.5 * math.erfc(-z / math.sqrt(2))


def density(z: float) -> float:
    """The standard normal density."""
    return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def unit_claims(result: "Result") -> list[Claim]:
    """Zero outputs and dead units among random ReLU units; no dead unit among the others."""
    params = result.params
    if params.activation != "relu":
        sentence = Text(
            "No unit has zero gradient on every token",
            "没有一个神经元在所有 token 上梯度都为零",
        )
        why = Text("the slope is not zero left of 0", "负半轴的斜率不为零")
        return [Claim("no_unit_is_dead", sentence, result.dead, "=", 0.0, why)]
    zero, tokens = below(-params.bias), params.tokens
    dead = zero**tokens
    shares = Text(r"Share of zero outputs: $\Phi(-b)$", r"零输出的占比：$\Phi(-b)$")
    units = Text(
        r"Share of dead units, zero on all $N$ tokens: $\Phi(-b)^N$",
        r"死神经元（在全部 $N$ 个 token 上为零）的占比：$\Phi(-b)^N$",
    )
    of_outputs = Text(
        "± 5 standard errors, with 64 independent outputs per token", "± 5 个标准误，每个 token 按 64 个独立输出计"
    )
    of_units = Text(
        f"± 6 standard errors of a share of {result.units} units, + 1 unit",
        f"± 6 个标准误（{result.units} 个神经元的占比），再加 1 个神经元",
    )
    slack = 5 * math.sqrt(zero * (1 - zero) / (64 * tokens)) + ROUNDING
    wide = 6 * math.sqrt(dead * (1 - dead) / result.units) + 1 / result.units
    return [
        Claim("zero_outputs", shares, result.zeros, "=", zero, of_outputs, slack),
        Claim("dead_units", units, result.dead, "=", dead, of_units, wide),
    ]


def position_claims(result: "Result") -> list[Claim]:
    """Poke token 3: who notices? And the same network as convolutions."""
    poked = int(result.moved.argmax())
    others = result.moved[torch.arange(len(result.moved)) != poked].max().item()
    alone = Text(
        f"Poking token {poked} changes no other token's output, not by one bit",
        f"改动 token {poked}，其他 token 的输出一位都不变",
    )
    kernel = Text("The FFN equals convolutions with kernel size 1", "FFN 等价于卷积核大小为 1 的卷积")
    why = Text("no product crosses positions", "没有任何乘积跨越位置")
    return [
        Claim("other_positions_unchanged", alone, others, "=", 0.0, why),
        Claim("is_a_convolution", kernel, result.convolved, "<=", 0.0, FP32, 1000 * ROUNDING),
    ]


def linearity_claims(result: "Result") -> list[Claim]:
    """What is left without an activation, and how the output grows far out."""
    params, made = result.params, []
    if params.activation == "none" and not params.gated:
        sentence = Text(
            "Without an activation the FFN is one matrix $W_1W_2$ of rank at most $d$",
            "没有激活函数，FFN 就是一个秩不超过 $d$ 的矩阵 $W_1W_2$",
        )
        made.append(Claim("collapses_to_one_matrix", sentence, result.merged, "<=", 0.0, FP32, 1000 * ROUNDING))
    else:
        sentence = Text(
            r"The FFN is not linear: $f(x+y)-f(x)-f(y)+f(0)\neq0$", r"FFN 不是线性的：$f(x+y)-f(x)-f(y)+f(0)\neq0$"
        )
        why = Text("the bound is what rounding could do", "界限是舍入误差的大小")
        made.append(Claim("is_not_linear", sentence, result.superposed, ">", 1000 * ROUNDING, why))
    degree = 2 if params.gated else 1
    sentence = Text(
        f"Far out, doubling the input multiplies the output by {2**degree}",
        f"输入很大时，输入翻倍，输出变为 {2**degree} 倍",
    )
    why = Text(
        "far from 0 every activation is linear on each side; a gate multiplies two such factors; GELU and SiLU differ "
        "from ReLU by at most 0.3 in 1000",
        "离 0 很远时，激活函数在两侧都是线性的；门控把两个这样的因子相乘；GELU、SiLU 与 ReLU 在 1000 中至多相差 0.3",
    )
    return [*made, Claim("growth_far_out", sentence, result.growth, "=", 2**degree, why, 0.01)]


def activation_claims(result: "Result") -> list[Claim]:
    """The slope at −1, and for GELU and SiLU the lowest value."""
    name = result.params.activation
    z, f, slope = result.curve.double()
    sigmoid = 1 / (1 + math.e)  # of −1, so 1 + z(1 − σ) is σ as well
    slopes = {"none": 1.0, "relu": 0.0, "leaky": 0.01, "gelu": below(-1) - density(1), "silu": sigmoid * sigmoid}
    formula = {"gelu": r"$\Phi(z)+z\varphi(z)$", "silu": r"$\sigma(z)(1+z(1-\sigma(z)))$"}
    at = slope[(z + 1).abs().argmin()].item()
    sentence = Text("The gradient at $z=-1$", "$z=-1$ 处的梯度")
    made = [
        Claim("slope_at_minus_one", sentence, at, "=", slopes[name], same(formula.get(name, r"$f'(-1)$")), 1e-5),
    ]
    if name == "gelu":
        place = root(lambda x: below(x) + x * density(x))
        lowest, why = place * below(place), same(r"$z\Phi(z)$ where $\Phi(z)+z\varphi(z)=0$")
        z32 = result.curve[0]
        exact = F.gelu(z32)
        tanh = (F.gelu(z32, approximate="tanh") - exact).abs().max().item()
        logistic = (z32 * torch.sigmoid(1.702 * z32) - exact).abs().max().item()
        closer = Text(
            r"GELU's tanh form is closer to $z\Phi(z)$ than $z\,\sigma(1.702z)$ (largest error)",
            r"GELU 的 tanh 近似比 $z\,\sigma(1.702z)$ 更接近 $z\Phi(z)$（最大误差）",
        )
        cubic = Text("it has a cubic term; the other only the slope", "它多一个三次项，后者只有斜率")
        made.append(Claim("tanh_form_is_closer", closer, tanh, "<", logistic, cubic))
    elif name == "silu":
        place = root(lambda x: 1 + math.exp(x) + x)
        lowest, why = 1 + place, same(r"$1+z$ where $1+e^z+z=0$")
    else:
        return made
    dips = Text("The lowest value of the activation function", "激活函数的最小值")
    return [*made, Claim("lowest_value", dips, f.min().item(), "=", lowest, why, 1e-4)]


def root(f: Callable[[float], float]) -> float:
    """Where `f` crosses zero from below between −3 and 0, by bisection."""
    low, high = -3.0, 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if f(middle) < 0 else (low, middle)
    return low


def parameter_claims(result: "Result") -> list[Claim]:
    """The count against PyTorch's layer, the share, and the two thirds of a gated network."""
    params, counts = result.params, result.parameters
    total, e = sum(counts.values()), params.expansion
    made = []
    if params.gated:
        weights, plain = counts["ffn"], 2 * params.model * e * params.model
        sentence = Text(
            r"Three matrices of width $\tfrac23d_{ff}$ have as many weights as two of width $d_{ff}$",
            r"三个宽 $\tfrac23d_{ff}$ 的矩阵，与两个宽 $d_{ff}$ 的矩阵权重一样多",
        )
        why = Text(r"$3\cdot\tfrac23=2$; the width is rounded by at most ½", r"$3\cdot\tfrac23=2$；宽度取整至多差 ½")
        made.append(Claim("gate_parity", sentence, weights, "=", plain, why, 1.5 * params.model))
    else:
        kind = nn.TransformerDecoderLayer if params.attentions == 2 else nn.TransformerEncoderLayer
        oracle = kind(params.model, HEADS, params.hidden, device="meta")
        torch_total = sum(p.numel() for p in oracle.parameters())
        sentence = Text(
            f"The layer has as many parameters as `nn.{kind.__name__}`", f"这一层的参数量与 `nn.{kind.__name__}` 相同"
        )
        why = Text("counted by PyTorch", "由 PyTorch 计数")
        made.append(Claim("parameters_match_torch", sentence, total, "=", torch_total, why))
    share = Text("The FFN's share of the layer's parameters", "FFN 在一层参数中的占比")
    expected = e / (e + 2 * params.attentions)
    why = Text(
        r"$\frac{2ed^2}{2ed^2+4ad^2}$ with $a$ attentions; biases and norms change it by less than $2/d$",
        r"$\frac{2ed^2}{2ed^2+4ad^2}$，$a$ 为注意力个数；偏置和归一化的影响小于 $2/d$",
    )
    return [*made, Claim("ffn_share", share, counts["ffn"] / total, "=", expected, why, 2 / params.model)]


def compute_claims(result: "Result") -> list[Claim]:
    """The FFN's share of the FLOPs at the chosen length, and where attention overtakes it."""
    params = result.params
    d, e, a, length = params.model, params.expansion, params.attentions, params.length
    projections, products, ffn = result.costs[result.lengths.index(length)]
    rounds = 1 if params.gated else 0
    per_token = Text("FLOPs of the FFN for one token", "FFN 处理一个 token 的 FLOPs")
    matrices = Text("two FLOPs per weight, $4ed^2$ in all", "每个权重两次浮点运算，共 $4ed^2$")
    share = Text("The FFN's share of the layer's FLOPs at length $T$", "长度为 $T$ 时 FFN 在一层 FLOPs 中的占比")
    of_share = Text(r"$\frac{4ed}{4ed+a(8d+4T)}$ with $a$ attentions", r"$\frac{4ed}{4ed+a(8d+4T)}$，$a$ 为注意力个数")
    quadratic = Text(
        "From this length on, attention's scores and sums cost as much as the FFN",
        "从这个长度起，注意力的分数与加权和不比 FFN 便宜",
    )
    everything = Text(
        "From this length on, attention as a whole costs as much as the FFN", "从这个长度起，注意力整体不比 FFN 便宜"
    )
    expected = 4 * e * d / (4 * e * d + a * (8 * d + 4 * length))
    measured = ffn / (projections + products + ffn)
    return [
        Claim("ffn_flops_per_token", per_token, ffn / length, "=", 4 * e * d**2, matrices, rounds * 3 * d),
        Claim("ffn_flop_share", share, measured, "=", expected, of_share, 1e-9 + rounds / d),
        Claim(
            "products_overtake_at", quadratic, result.crossovers[0], "=", e * d / a, same("$4aTd=4ed^2$"), 0.5 + rounds
        ),
        Claim(
            "attention_overtakes_at",
            everything,
            result.crossovers[1],
            "=",
            max(1, (e / a - 2) * d),
            same("$a(8d^2+4Td)=4ed^2$"),
            0.5 + rounds,
        ),
    ]
