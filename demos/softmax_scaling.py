"""Why attention divides its scores by the square root of the key width."""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from demos.figures.softmax_scaling import pictures
from demos.kit.contract import Claim, Demo, Prediction, Preset
from demos.kit.knobs import Choice, Range, Spaced, powers_of_two
from demos.kit.lab import Lab
from demos.kit.stage import stage
from language import Text, same

WIDTHS = powers_of_two(1, 1024)
QUERIES = 512
VALUE_WIDTH = 16
DEAD = 0.99  # a query is dead when one key takes more than this share of its weight


@dataclass(frozen=True)
class Params:
    """The knobs."""

    key_width: Annotated[int, Spaced(WIDTHS, label=Text("Key width dₖ", "key 维度 dₖ"))] = 64
    keys: Annotated[int, Spaced((8, 16, 32, 64), label=Text("Number of keys n", "key 的个数 n"))] = 64
    scale: Annotated[
        str,
        Choice(
            {
                "none": Text("none", "不缩放"),
                "sqrt": same("÷ √dₖ"),
                "linear": same("÷ dₖ"),
                "custom": Text("÷ T", "÷ T"),
            },
            label=Text("Scale the scores", "分数缩放方式"),
        ),
    ] = "none"
    temperature: Annotated[
        float,
        Spaced(
            (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0),
            label=Text("Temperature T", "温度 T"),
            when=("scale", ("custom",)),
        ),
    ] = 8.0
    correlation: Annotated[float, Range(0, 0.5, 0.05, label=Text("Correlation of q with k", "q 与 k 的相关系数"))] = 0.0
    seed: Annotated[int, Range(0, 9, label=Text("Random seed", "随机种子"))] = 0


@dataclass(frozen=True)
class Sweep:
    """For every key width in `WIDTHS`: mean entropy, share of dead queries, mean and median |∂L/∂q|."""

    entropy: Tensor  # (width,)
    dead: Tensor  # (width,)
    mean_gradient: Tensor  # (width,)
    median_gradient: Tensor  # (width,)


@dataclass(frozen=True)
class Result:
    """Scores and weights at the chosen width, and both sweeps over all widths."""

    params: Params
    raw_scores: Tensor  # (query, key)
    scores: Tensor  # (query, key) after the chosen scaling
    weights: Tensor  # (query, key)
    matched: Tensor  # (query,) score of each query with the key it correlates with, after ÷ √d_k
    jacobian_entry: float  # largest |∂p_i/∂s_j| over all queries
    jacobian_norm: float  # largest spectral norm over the queries looked at
    raw: Sweep
    scaled: Sweep
    widths: tuple[int, ...] = WIDTHS


@stage(keep=4)
def draw(lab: Lab, keys: int, correlation: float, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Unit-variance queries and keys for a batch of sequences, and what a loss would ask of each weight."""
    generator = lab.generator(seed)
    shape = (QUERIES // keys, keys, WIDTHS[-1])
    query = lab.normal(*shape, generator=generator)  # (sequence, query, width)
    noise = lab.normal(*shape, generator=generator)  # (sequence, key, width)
    key = correlation * query + math.sqrt(1 - correlation**2) * noise  # key i agrees with query i this much
    readout = lab.normal(*shape[:2], keys, generator=generator)  # (sequence, query, key): ∂L/∂weights
    return query, key, readout


def divisor(params: Params, width: int) -> float:
    """What the scores are divided by."""
    return {"none": 1.0, "sqrt": math.sqrt(width), "linear": float(width), "custom": params.temperature}[params.scale]


def mean_entropy(weights: Tensor) -> Tensor:
    """-Σ p ln p of each query's weights, averaged; 0 ln 0 counts as 0."""
    return torch.special.entr(weights).sum(-1).mean()


def score_gradient(weights: Tensor, readout: Tensor) -> Tensor:
    """The softmax Jacobian diag(p) - p pᵀ applied to ∂L/∂weights."""
    return weights * (readout - (weights * readout).sum(-1, keepdim=True))


def spectral_norms(weights: Tensor) -> Tensor:
    """The largest eigenvalue of each query's Jacobian diag(p) - p pᵀ, which is symmetric, positive semidefinite."""
    # on the CPU, because Apple's GPU finds no eigenvalues; in double, because fp32 fails on some saturated weights
    p = weights.cpu().double()  # (query, key)
    jacobian = torch.diag_embed(p) - p.unsqueeze(-1) * p.unsqueeze(-2)  # (query, key, key)
    return torch.linalg.eigvalsh(jacobian)[:, -1]  # (query,)


@stage(keep=8)
def sweeps(lab: Lab, keys: int, correlation: float, seed: int) -> tuple[Sweep, Sweep]:
    """Repeat the experiment at every width by keeping only the first d_k components: not scaled, and ÷ √d_k."""
    query, key, readout = draw(lab, keys, correlation, seed)
    raw, scaled = [], []
    for width in WIDTHS:
        q, k = query[..., :width], key[..., :width]
        scores = q @ k.mT  # (sequence, query, key)
        for rows, scale in ((raw, 1.0), (scaled, 1 / math.sqrt(width))):
            weights = (scores * scale).softmax(-1)  # (sequence, query, key)
            gradient = scale * score_gradient(weights, readout) @ k  # (sequence, query, width): ∂L/∂q
            size = gradient.norm(dim=-1).flatten()  # (query,)
            dead = (weights.amax(-1) > DEAD).float().mean()
            rows.append(torch.stack([mean_entropy(weights), dead, size.mean(), size.median()]))
    return Sweep(*torch.stack(raw, dim=1).cpu()), Sweep(*torch.stack(scaled, dim=1).cpu())


def compute(params: Params, lab: Lab) -> Result:
    """Scores q·k, divided as the learner chose, through softmax."""
    width, inputs = params.key_width, (params.keys, params.correlation, params.seed)
    query, key, _ = draw(lab, *inputs)
    raw_scores = query[..., :width] @ key[..., :width].mT  # (sequence, query, key)
    scores = raw_scores / divisor(params, width)
    weights = scores.softmax(-1)

    matched = raw_scores.diagonal(dim1=-2, dim2=-1) / math.sqrt(width)  # (sequence, query)
    raw, scaled = sweeps(lab, *inputs)
    return Result(
        params,
        raw_scores.flatten(0, 1),
        scores.flatten(0, 1),
        weights.flatten(0, 1),
        matched.flatten(),
        jacobian_entry=(weights * (1 - weights)).max().item(),
        jacobian_norm=spectral_norms(weights[0, :8]).max().item(),
        raw=raw,
        scaled=scaled,
    )


def claims(result: Result) -> list[Claim]:
    """What theory says about the numbers above; most of it assumes that q and k are independent."""
    if result.params.correlation > 0:
        return [*jacobian_claims(result), correlation_claim(result)]
    return [*variance_claims(result), *spread_claims(result), *jacobian_claims(result)]


def variance_claims(result: Result) -> list[Claim]:
    """The variance of the scores before and after scaling."""
    width = result.params.key_width
    variance = result.raw_scores.var().item()
    slack = 5 * math.sqrt(4 / (QUERIES * width) + 2 / result.raw_scores.numel())  # five relative standard errors
    why = Text("theory for independent q, k; ± 5 standard errors", "q、k 独立时的理论值；± 5 个标准误")
    raw, scaled = same(r"$\operatorname{Var}(q^\top k)=d_k$"), same(r"$\operatorname{Var}(q^\top k/\sqrt{d_k})=1$")
    return [
        Claim("variance_is_key_width", raw, variance, "=", width, why, slack * width),
        Claim("scaled_variance_is_one", scaled, variance / width, "=", 1.0, why, slack),
    ]


def spread_claims(result: Result) -> list[Claim]:
    """How widely attention spreads, and who still learns, over all widths."""
    keys, width = result.params.keys, result.params.key_width
    made = []
    if width >= 16:
        sentence = Text(
            "Scaled attention keeps the entropy of standard normal scores", "缩放后的熵等于标准正态分数的熵"
        )
        why = Text("ln n − ½ + (e+1)/2n, next term of order 1/n²", "ln n − ½ + (e+1)/2n，余项为 1/n² 量级")
        expected = math.log(keys) - 0.5 + (math.e + 1) / (2 * keys)
        measured = result.scaled.entropy[WIDTHS.index(width)].item()
        made.append(Claim("entropy_of_scaled", sentence, measured, "=", expected, why, 0.05 + 6 / keys**2))
    if result.params.scale == "linear" and width >= 4:
        sentence = Text("Divided by dₖ, attention is almost uniform", "除以 $d_k$，注意力几乎是均匀的")
        why = Text(
            "ln n − σ²/2 with σ² = 1/dₖ; higher orders below 0.2/dₖ", "ln n − σ²/2，σ² = 1/dₖ；高阶项小于 0.2/dₖ"
        )
        measured, expected = mean_entropy(result.weights).item(), math.log(keys) - 0.5 * (1 - 1 / keys) / width
        made.append(Claim("dividing_by_key_width_is_uniform", sentence, measured, "=", expected, why, 0.2 / width))
    dead = Text(
        "Unscaled at $d_k=1024$, most queries put over 99% of their weight on one key",
        "不缩放且 $d_k=1024$ 时，多数 query 把 99% 以上的权重给了一个 key",
    )
    gap = Text("the top two scores differ by ln 99 at least this often", "前两名分数之差超过 ln 99 的概率下界")
    chance = math.exp(-math.sqrt(2 * math.log(keys)) * math.log(99) / math.sqrt(WIDTHS[-1]))
    fall = Text(
        "Unscaled, the median gradient falls more than tenfold from $d_k=64$ to $1024$",
        "不缩放时，dₖ 从 64 增到 1024，梯度的中位数下降超过 10 倍",
    )
    median = result.raw.median_gradient
    ratio = (median[WIDTHS.index(1024)] / median[WIDTHS.index(64)]).item()
    vertex = Text("the Jacobian vanishes as the weights approach one-hot", "权重趋于 one-hot 时雅可比趋于零")
    return [
        *made,
        Claim("dead_queries", dead, result.raw.dead[-1].item(), ">=", chance, gap, 4 * math.sqrt(0.25 / QUERIES)),
        Claim("median_gradient_collapses", fall, ratio, "<", 0.1, vertex),
    ]


def jacobian_claims(result: Result) -> list[Claim]:
    """The softmax Jacobian is bounded for any weights: it can vanish but never explode."""
    entry = Text("No entry of the softmax Jacobian exceeds ¼", "softmax 雅可比的任一元素不超过 ¼")
    norm = Text("The spectral norm of the softmax Jacobian is at most ½", "softmax 雅可比的谱范数不超过 ½")
    return [
        Claim("jacobian_entry_bound", entry, result.jacobian_entry, "<=", 0.25, same("p(1−p) ≤ ¼"), 1e-6),
        Claim("jacobian_norm_bound", norm, result.jacobian_norm, "<=", 0.5, same("Gershgorin: 2p(1−p) ≤ ½"), 1e-6),
    ]


def correlation_claim(result: Result) -> Claim:
    """Where q and k agree, scaled scores still grow with the width."""
    rho, width = result.params.correlation, result.params.key_width
    sentence = Text(
        "Matched scores still grow as $\\rho\\sqrt{d_k}$ after scaling", "匹配的分数缩放后仍按 $\\rho\\sqrt{d_k}$ 增长"
    )
    why = Text("E[q·k] = ρ dₖ; ± 5 standard errors", "E[q·k] = ρ dₖ；± 5 个标准误")
    slack = 5 * math.sqrt((1 + rho**2) / QUERIES)
    measured, expected = result.matched.mean().item(), rho * math.sqrt(width)
    return Claim("correlation_survives_scaling", sentence, measured, "=", expected, why, slack)


def right_option(result: Result) -> str:
    """Which option the live number falls into: the share of dead queries at 512 without scaling."""
    share = result.raw.dead[WIDTHS.index(512)].item()
    return "none" if share < 0.03 else "tenth" if share < 0.3 else "half" if share < 0.85 else "all"


DEMO = Demo(
    title=Text("Softmax and the √dₖ scale", "softmax 与 √dₖ 缩放"),
    summary=Text(
        "Widen the keys and watch attention freeze; divide by √dₖ and watch it thaw.",
        "把 key 的维度调大，看注意力如何冻结；再除以 √dₖ，看它如何恢复。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "At $d_k=512$ without scaling, what share of queries gives over 99% of its weight to a single key?",
            "$d_k=512$ 且不缩放时，有多少 query 会把 99% 以上的权重给同一个 key？",
        ),
        options={
            "none": Text("almost none", "几乎没有"),
            "tenth": Text("about a tenth", "一成左右"),
            "half": Text("more than half, not all", "大半，但不是全部"),
            "all": Text("almost all", "几乎全部"),
        },
        right=right_option,
        because=Text(
            "The scores have standard deviation $\\sqrt{512}\\approx 22.6$, so the best key usually leads by more than "
            "$\\ln 99\\approx 4.6$. Near-ties survive, which is why not every query is dead.",
            "分数的标准差是 $\\sqrt{512}\\approx 22.6$，第一名通常领先超过 $\\ln 99\\approx 4.6$；"
            "只有分数接近的少数 query 没有饱和。",
        ),
    ),
    presets=(
        Preset(Text("Saturated", "饱和"), Params(key_width=512)),
        Preset(Text("Scaled", "缩放后"), Params(key_width=512, scale="sqrt")),
        Preset(Text("Too much", "除过头"), Params(key_width=512, scale="linear")),
        Preset(Text("Correlated", "q、k 相关"), Params(key_width=1024, scale="sqrt", correlation=0.5)),
    ),
)
