"""Dot-product and additive scores side by side: what each depends on, and what each has to compute."""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from demos.claims.dot_vs_additive import claims
from demos.figures.dot_vs_additive import pictures
from demos.kit.contract import Demo, Prediction, Preset
from demos.kit.knobs import Choice, Range, Spaced, powers_of_two
from demos.kit.lab import Lab
from demos.kit.stage import stage
from language import Text, same

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu, "identity": lambda z: z}
WIDTHS = powers_of_two(16, 1024)
SCALES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
CURVE_DRAWS, CURVE_TOKENS, CURVE_WIDTH = 12, 16, 64
SPREAD_TOKENS, READOUTS = 32, 8


@dataclass(frozen=True)
class Params:
    """The knobs."""

    activation: Annotated[
        str,
        Choice(
            {"tanh": same("tanh"), "relu": same("ReLU"), "identity": Text("none (identity)", "无（恒等）")},
            label=Text("Nonlinearity of the additive score", "加性打分的非线性"),
        ),
    ] = "identity"
    tokens: Annotated[int, Spaced(powers_of_two(16, 256), label=Text("Tokens n", "token 数 n"))] = 128
    width: Annotated[int, Spaced((8, 16, 32, 64), label=Text("Width d", "维度 d"))] = 64
    scale: Annotated[float, Spaced(SCALES, label=Text("Size of q and k", "q、k 的数值大小"))] = 1.0
    seed: Annotated[int, Range(0, 9, label=Text("Random seed", "随机种子"))] = 0


@dataclass(frozen=True)
class Work:
    """What a score function had to compute for all pairs."""

    operations: int  # additions, multiplications and nonlinearities
    nonlinear: int  # of those, evaluations of the nonlinearity
    temporary: int  # bytes of the largest tensor it made


@dataclass(frozen=True)
class Result:
    """Both scores of the same queries and keys, what they cost, and how they behave over scales and widths."""

    params: Params
    additive_scores: Tensor  # (query, key)
    additive_weights: Tensor  # (query, key)
    dot_scores: Tensor  # (query, key) after ÷ √d
    bound: float  # ‖v‖₁
    additive_work: Work
    dot_work: Work
    asked_spread: float  # the prediction: largest difference between two queries' weights without nonlinearity
    shares: Tensor  # (form, scale) share of the score variance that depends on the query: additive, dot
    cubic_share: float  # the same at the smallest scale for a + b − (a²b + ab²) in place of tanh(a + b)
    spreads: Tensor  # (form, width) standard deviation of scores: additive with tanh, dot, dot ÷ √d
    scales: tuple[float, ...] = SCALES
    widths: tuple[int, ...] = WIDTHS
    curve_shape: tuple[int, int, int] = (CURVE_DRAWS, CURVE_TOKENS, CURVE_WIDTH)
    spread_shape: tuple[int, int] = (SPREAD_TOKENS, READOUTS)


def draw(params: Params, lab: Lab) -> tuple[Tensor, Tensor, Tensor]:
    """Projected queries W_q q and keys W_k k, and an output vector v of length about 1."""
    generator = lab.generator(params.seed)
    query, key = params.scale * lab.normal(2, params.tokens, params.width, generator=generator)  # (token, width) each
    return query, key, lab.normal(params.width, generator=generator) / math.sqrt(params.width)


def additive_scores(query: Tensor, key: Tensor, v: Tensor, activation: str) -> tuple[Tensor, Work]:
    """The vector v times f(W_q q + W_k k): a network with one hidden layer for every pair."""
    pairs = query.unsqueeze(-2) + key.unsqueeze(-3)  # (query, key, width)
    hidden = ACTIVATIONS[activation](pairs)  # (query, key, width)
    scores = hidden @ v  # (query, key)
    nonlinear = 0 if activation == "identity" else hidden.numel()
    operations = pairs.numel() + nonlinear + 2 * hidden.numel()
    return scores, Work(operations, nonlinear, hidden.numel() * hidden.element_size())


def dot_scores(query: Tensor, key: Tensor) -> tuple[Tensor, Work]:
    """Scaled products q · k / √d: one matrix product for all pairs."""
    products = query @ key.mT  # (query, key)
    operations = 2 * query.numel() * key.shape[-2]
    return products / math.sqrt(query.shape[-1]), Work(operations, 0, products.numel() * products.element_size())


def share_of_query(scores: Tensor) -> Tensor:
    """What part of the variance within rows differs between queries; the rest ranks keys alike for all."""
    centred = scores - scores.mean(-1, keepdim=True)  # a constant per row does not reach the softmax
    common = centred.mean(-2, keepdim=True)  # the ranking of keys that all queries share
    return (centred - common).square().mean() / centred.square().mean()


def draw_curve(lab: Lab, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and v of the curve; in float64 on the CPU, because the share falls to 10⁻⁸."""
    generator = lab.generator(seed + 200)
    shape = (2, CURVE_DRAWS, CURVE_TOKENS, CURVE_WIDTH)
    query, key = torch.randn(shape, generator=generator, dtype=torch.float64)  # (draw, token, width) each
    return query, key, torch.randn(CURVE_WIDTH, generator=generator, dtype=torch.float64)


@stage(keep=30)
def shares_over_scales(lab: Lab, activation: str, seed: int) -> Tensor:
    """The query's share at every scale."""
    query, key, v = draw_curve(lab, seed)
    rows = []
    for scale in SCALES:
        additive = additive_scores(scale * query, scale * key, v, activation)[0]  # (draw, query, key)
        dot = dot_scores(scale * query, scale * key)[0]  # (draw, query, key)
        rows.append(torch.stack([share_of_query(additive), share_of_query(dot)]))
    return torch.stack(rows, dim=1)  # (form, scale)


@stage(keep=10)
def cubic_share(lab: Lab, seed: int) -> float:
    """What theory says of tanh at the smallest scale: of (a + b)³/3, the terms a²b + ab² mix query and key."""
    query, key, v = draw_curve(lab, seed)
    a, b = SCALES[0] * query.unsqueeze(-2), SCALES[0] * key.unsqueeze(-3)  # (draw, query, 1, width), (draw, 1, key, …)
    return share_of_query((a + b - (a.square() * b + a * b.square())) @ v).item()


@stage(keep=10)
def spreads_over_widths(lab: Lab, seed: int) -> Tensor:
    """Standard deviation of the scores of unit-variance queries and keys at every width; v keeps its length."""
    generator = lab.generator(seed + 300)
    rows = []
    for width in WIDTHS:
        query, key = lab.normal(2, SPREAD_TOKENS, width, generator=generator)  # (token, width) each
        v = lab.normal(width, READOUTS, generator=generator)  # several vectors v side by side
        scaled = dot_scores(query, key)[0]  # (query, key)
        tanh = additive_scores(query, key, v / v.norm(dim=0), "tanh")[0]  # (query, key, readout)
        additive = tanh.var((0, 1)).mean().sqrt()
        rows.append(torch.stack([additive, (scaled * math.sqrt(width)).std(), scaled.std()]))
    return torch.stack(rows, dim=1)  # (form, width)


def compute(params: Params, lab: Lab) -> Result:
    """Score the same queries and keys in both ways."""
    query, key, v = draw(params, lab)
    additive, additive_work = additive_scores(query, key, v, params.activation)  # (query, key)
    dot, dot_work = dot_scores(query, key)  # (query, key)
    linear = additive_scores(query[:16], key[:16], v, "identity")[0].softmax(-1)
    return Result(
        params,
        additive,
        additive_weights=additive.softmax(-1),
        dot_scores=dot,
        bound=v.abs().sum().item(),
        additive_work=additive_work,
        dot_work=dot_work,
        asked_spread=(linear - linear[0]).abs().max().item(),
        shares=shares_over_scales(lab, params.activation, params.seed),
        cubic_share=cubic_share(lab, params.seed),
        spreads=spreads_over_widths(lab, params.seed),
    )


def right_option(result: Result) -> str:
    """How different two queries' weights are without a nonlinearity."""
    spread = result.asked_spread
    return "same" if spread < 1e-3 else "slightly" if spread < 0.05 else "very"


DEMO = Demo(
    title=Text("Dot-product or additive scores", "点积打分与加性打分"),
    summary=Text(
        "Take the tanh out of additive attention and every query looks at the same keys.",
        "去掉加性注意力里的 tanh，所有 query 看的 key 就都一样了。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "Additive attention without its nonlinearity: the score is $v^\\top(W_qq_i+W_kk_j)$. How different are the "
            "attention weights of two different queries?",
            r"加性注意力去掉非线性，分数变成 $v^\top(W_qq_i+W_kk_j)$。两个不同的 query，注意力权重相差多少？",
        ),
        options={
            "very": Text("very", "差别很大"),
            "slightly": Text("slightly", "略有差别"),
            "same": Text("not at all", "完全一样"),
        },
        right=right_option,
        because=Text(
            "The score is $a_i+b_j$. Within a row $a_i$ is a constant, and the softmax does not see constants.",
            "分数拆成 $a_i+b_j$。$a_i$ 在一行之内是常数，而 softmax 看不见常数。",
        ),
    ),
    presets=(
        Preset(Text("No nonlinearity", "没有非线性"), Params()),
        Preset(Text("With tanh", "加上 tanh"), Params(activation="tanh")),
        Preset(Text("Tiny inputs", "输入很小"), Params(activation="tanh", scale=0.1)),
        Preset(Text("Large inputs, 256 tokens", "输入很大，256 个 token"), Params("tanh", tokens=256, scale=10.0)),
    ),
)
