"""What sinusoidal position encoding guarantees, and what a learned projection can undo."""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.figures.sinusoidal_encoding import pictures
from demos.kit.contract import Claim, Demo, Prediction, Preset
from demos.kit.knobs import Choice, Range, Spaced
from demos.kit.lab import Lab
from language import Text, same

TOKENS, TOKEN_WIDTH = 12, 32  # the small sentence whose words are shuffled
BASES = (100, 1000, 10_000, 100_000, 1_000_000)
LAYOUTS = {
    "interleaved": Text("sin, cos, sin, cos, …", "sin、cos 交错"),
    "concatenated": Text("all sines, then all cosines", "先全部 sin，再全部 cos"),
}
PROJECTIONS = {"identity": Text("none", "无"), "random": Text("random W_Q, W_K", "随机的 W_Q、W_K")}


@dataclass(frozen=True)
class Params:
    """The knobs."""

    width: Annotated[int, Range(2, 512, 2, label=Text("Width d", "维度 d"))] = 128
    length: Annotated[int, Range(16, 512, 16, label=Text("Positions", "位置数"))] = 256
    base: Annotated[int, Spaced(BASES, label=Text("Base", "底数"))] = 10_000
    offset: Annotated[int, Range(0, 128, label=Text("Offset k", "偏移 k"))] = 8
    layout: Annotated[str, Choice(LAYOUTS, label=Text("Column order", "各列的排法"))] = "interleaved"
    projection: Annotated[str, Choice(PROJECTIONS, label=Text("Projections", "投影"))] = "identity"
    seed: Annotated[int, Range(0, 9, label=Text("Random seed", "随机种子"))] = 0


@dataclass(frozen=True)
class Result:
    """The encoding, its similarities, the scores between positions, and the order test."""

    params: Params
    encoding: Tensor  # (position, width)
    frequencies: Tensor  # (pair,)
    shift_error: Tensor  # largest entry of M_k PE_p − PE_{p+k} over all p
    dots: Tensor  # (position,) PE_p · PE_{p+k} / (d/2)
    similarity: Tensor  # (offset,) PE_0 · PE_k / (d/2), at least up to the chosen offset
    scores: Tensor  # (query, key) attention scores between bare positions
    explained: Tensor  # share of the scores' variance that the offset explains
    order: Tensor  # largest |f(ΠX) − Πf(X)|: without positions, with them, causal without them
    order_slack: Tensor  # what rounding alone could contribute to the first of these


def angular_frequencies(width: int, base: int) -> Tensor:
    """ω_i = base^(−2i/d), one for each pair of columns."""
    return base ** (-torch.arange(0, width, 2) / width)  # (pair,)


def encode(positions: Tensor, frequencies: Tensor, layout: str) -> Tensor:
    """sin(pω_i) and cos(pω_i) for every position p."""
    angles = positions.unsqueeze(-1) * frequencies  # (position, pair)
    if layout == "concatenated":
        return torch.cat([angles.sin(), angles.cos()], dim=-1)  # (position, width)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)  # (position, width)


def shift_matrix(offset: int, frequencies: Tensor, layout: str) -> Tensor:
    """M_k: a turn by kω_i in the plane of every pair; p does not occur in it."""
    cos, sin = (offset * frequencies).cos(), (offset * frequencies).sin()  # (pair,)
    if layout == "concatenated":
        top, bottom = torch.cat([cos.diag(), sin.diag()], -1), torch.cat([-sin.diag(), cos.diag()], -1)
        return torch.cat([top, bottom])  # (width, width)
    turns = torch.stack([cos, sin, -sin, cos], dim=-1).view(-1, 2, 2)  # (pair, 2, 2)
    return torch.block_diag(*turns)  # (width, width)


def position_scores(encoding: Tensor, params: Params, lab: Lab) -> Tensor:
    """Attention scores between positions alone, with or without projections in between."""
    query = key = encoding  # (position, width)
    if params.projection == "random":
        generator, width = lab.generator(params.seed), params.width
        query = encoding @ lab.normal(width, width, generator=generator) / math.sqrt(width)
        key = encoding @ lab.normal(width, width, generator=generator) / math.sqrt(width)
    return query @ key.T / math.sqrt(params.width)  # (query, key)


def explained_by_offset(scores: Tensor) -> Tensor:
    """R² of predicting each score by the mean of its diagonal, that is, by the offset n − m alone."""
    centred, n = scores - scores.mean(), len(scores)
    slanted = F.pad(centred.flip(1), (0, n)).flatten()[:-n].view(n, 2 * n - 1)  # every diagonal became a column
    sizes = n - torch.arange(1 - n, n, device=scores.device).abs()  # (offset,)
    between = (slanted.sum(0).square() / sizes).sum()  # size · mean² of every diagonal
    return between / centred.square().sum()


def attend(tokens: Tensor, projections: Tensor, causal: bool) -> tuple[Tensor, Tensor]:
    """Scores and outputs of one head of self-attention."""
    query, key, value = tokens @ projections  # each (token, width)
    scores = query @ key.T / math.sqrt(TOKEN_WIDTH)  # (query, key)
    if causal:
        scores = scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), -math.inf)
    return scores, scores.softmax(-1) @ value  # (token, width)


def order_test(params: Params, lab: Lab) -> tuple[Tensor, Tensor]:
    """Shuffle the words: are the outputs merely shuffled? Also what rounding may contribute to a difference."""
    generator = lab.generator(params.seed)
    words = lab.normal(TOKENS, TOKEN_WIDTH, generator=generator)  # (token, width)
    projections = lab.normal(3, TOKEN_WIDTH, TOKEN_WIDTH, generator=generator) / math.sqrt(TOKEN_WIDTH)
    shuffle = torch.randperm(TOKENS, generator=generator).to(lab.device)
    places = torch.arange(TOKENS, device=lab.device)
    positions = encode(places, angular_frequencies(TOKEN_WIDTH, params.base).to(lab.device), params.layout)

    def difference(added: Tensor, causal: bool) -> Tensor:
        shuffled_in = attend(words[shuffle] + added, projections, causal)[1]
        shuffled_out = attend(words + added, projections, causal)[1][shuffle]
        return (shuffled_in - shuffled_out).abs().amax()

    nothing = torch.zeros_like(positions)
    order = torch.stack([difference(nothing, False), difference(positions, False), difference(nothing, True)])
    largest_score = attend(words, projections, False)[0].abs().amax()
    largest_value = (words @ projections[2]).abs().amax()
    return order, torch.finfo(words.dtype).eps * (TOKENS + 2 * largest_score) * largest_value


def compute(params: Params, lab: Lab) -> Result:
    """Encode the positions, shift them by k, compare all pairs."""
    frequencies = angular_frequencies(params.width, params.base).to(lab.device)  # (pair,)
    positions = torch.arange(params.length + params.offset, device=lab.device)  # k further than the table shown
    table = encode(positions, frequencies, params.layout)  # (position, width)
    encoding, later = table[: params.length], table[params.offset :]  # (position, width)

    shift = shift_matrix(params.offset, frequencies, params.layout)
    shift_error = (encoding @ shift.T - later).abs().amax()
    reach, squared_norm = max(params.length, params.offset + 1), params.width / 2
    scores = position_scores(encoding, params, lab)
    order, order_slack = order_test(params, lab)
    return Result(
        params,
        encoding,
        frequencies,
        shift_error,
        dots=(encoding * later).sum(-1) / squared_norm,
        similarity=table[:reach] @ table[0] / squared_norm,
        scores=scores,
        explained=explained_by_offset(scores),
        order=order,
        order_slack=order_slack,
    )


def claims(result: Result) -> list[Claim]:
    """What the encoding guarantees before and after a projection, and why attention needs it."""
    made = [*encoding_claims(result), *order_claims(result)]
    rises = result.similarity.diff() > 0
    if theoretical_similarity(result.params, len(result.similarity)).diff().max() > 1e-4:  # far above rounding
        sentence = Text("Similarity rises again at this many steps", "相似度重新上升的步数")
        why = Text("a sum of cosines falls forever only if none turns", "余弦之和不会一直下降")
        made.append(Claim("similarity_is_not_monotone", sentence, int(rises.sum()), ">", 0.0, why))
    return [*made, score_claim(result)]


def theoretical_similarity(params: Params, offsets: int) -> Tensor:
    """g(k) = 2/d · Σ cos(kω_i) in double precision, for the first offsets k."""
    exponents = torch.arange(0, params.width, 2, dtype=torch.float64) / params.width
    angles = torch.arange(offsets, dtype=torch.float64).unsqueeze(-1) * params.base**-exponents  # (offset, pair)
    return angles.cos().mean(-1)


def angle_slack(params: Params) -> float:
    """Rounding of the largest angles p + k, and of their sine and cosine."""
    return torch.finfo(torch.float32).eps * (params.length + params.offset + 8)


def farthest(values: Tensor, target: float) -> float:
    """The value farthest from `target`."""
    return values[(values - target).abs().argmax()].item()


def encoding_claims(result: Result) -> list[Claim]:
    """A shift is a rotation; norms and dot products do not know where they are."""
    params, slack = result.params, angle_slack(result.params)
    norms = result.encoding.double().square().sum(-1)
    g = theoretical_similarity(params, params.offset + 1)[-1].item()
    shift = Text("$PE_{p+k}=M_kPE_p$ with one $M_k$ for all $p$", "$PE_{p+k}=M_kPE_p$，同一个 $M_k$ 适用于所有 $p$")
    norm = Text("$\\lVert PE_p\\rVert^2=d/2$ at every $p$", "对每个 $p$ 都有 $\\lVert PE_p\\rVert^2=d/2$")
    dot = Text(
        "$PE_p\\cdot PE_{p+k}$ is the same at every $p$ (shown over $d/2$)",
        "$PE_p\\cdot PE_{p+k}$ 与 $p$ 无关（这里除以 $d/2$）",
    )
    angle = Text("angle addition; ± rounding of angles up to p + k", "和角公式；± 角度 p + k 的舍入误差")
    cosines = Text(
        "$\\frac2d\\sum_i\\cos k\\omega_i$; ± rounding of the angles",
        "$\\frac2d\\sum_i\\cos k\\omega_i$；± 角度的舍入误差",
    )
    one = same("$\\sin^2+\\cos^2=1$")
    tight = 2 * torch.finfo(torch.float32).eps * params.width
    return [
        Claim("shift_is_a_rotation", shift, result.shift_error.item(), "=", 0.0, angle, slack),
        Claim("norm_is_constant", norm, farthest(norms, params.width / 2), "=", params.width / 2, one, tight),
        Claim("dot_depends_on_offset", dot, farthest(result.dots, g), "=", g, cosines, slack),
    ]


def mean_explained(params: Params) -> float:
    """E[between] / E[total] for Gaussian A = W_Q W_Kᵀ, where E[S_mn S_m'n'] ∝ g(m − m') g(n − n')."""
    length = params.length
    g, sizes = theoretical_similarity(params, length), torch.arange(1, length + 1)  # (offset,), (diagonal length,)
    past, lag = g.square().cumsum(0), (g.square() * torch.arange(length)).cumsum(0)
    pairs = 2 * (sizes * past - lag) - sizes  # Σ over pairs within a diagonal of g(p − p')²
    between = 2 * (pairs / sizes).sum() - pairs[-1] / length
    grand = (2 * ((length - torch.arange(length)) * g).sum() - length) ** 2 / length**2
    return ((between - grand) / (length**2 - grand)).item()


def score_claim(result: Result) -> Claim:
    """How much of a score the offset explains, before and after a projection."""
    params, explained = result.params, result.explained.item()
    if params.projection == "identity":
        sentence = Text("The offset explains all variance of the scores", "偏移解释了分数的全部方差")
        why = Text("$PE_m\\cdot PE_n=g(n-m)$; ± rounding of the sums", "$PE_m\\cdot PE_n=g(n-m)$；± 求和的舍入误差")
        return Claim("offset_explains_scores", sentence, explained, "=", 1.0, why, angle_slack(params))
    mean = mean_explained(params)
    sentence = Text("After a random projection the offset explains only part", "经过随机投影，偏移只能解释一部分")
    why = Text(
        f"1 needs $M_k^\\top A M_k=A$; Gaussian projections average {mean:.2f}",
        f"取 1 要求 $M_k^\\top A M_k=A$；高斯投影的平均值是 {mean:.2f}",
    )
    return Claim("projection_breaks_invariance", sentence, explained, "<", 1 - angle_slack(params), why)


def order_claims(result: Result) -> list[Claim]:
    """Attention without positions cannot see order, unless a causal mask shows it."""
    plain, _, causal = result.order.tolist()
    slack = result.order_slack.item()
    blind = Text("Shuffled words give the same outputs, shuffled", "打乱词序，输出只是跟着打乱")
    sighted = Text(
        "Under a causal mask the outputs change, even without positions", "加了因果掩码，即使没有位置编码，输出也会变"
    )
    why = Text("$f(\\Pi X)=\\Pi f(X)$; ± rounding of 12 weights", "$f(\\Pi X)=\\Pi f(X)$；± 12 个权重的舍入误差")
    beyond = Text(
        "$\\Pi M\\Pi^\\top\\neq M$; a thousand times the rounding", "$\\Pi M\\Pi^\\top\\neq M$；舍入误差的一千倍"
    )
    return [
        Claim("attention_is_permutation_equivariant", blind, plain, "=", 0.0, why, slack),
        Claim("causal_mask_sees_order", sighted, causal, ">", 1000 * slack, beyond),
    ]


def right_option(result: Result) -> str:
    """Which option the measured curve falls into."""
    share = (result.similarity.diff() > 0).float().mean().item()
    return "never" if share == 0 else "rarely" if share < 0.2 else "often"


DEMO = Demo(
    title=Text("Sinusoidal position encoding", "正弦位置编码"),
    summary=Text(
        "Rotations, a wavy similarity, and what a projection undoes.", "旋转、起伏的相似度，以及投影会破坏什么。"
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "Let $k$ grow one by one up to the length shown. Does $PE_p\\cdot PE_{p+k}$ fall at every step?",
            "让 $k$ 逐一增大，直到所选的长度。$PE_p\\cdot PE_{p+k}$ 每一步都在下降吗？",
        ),
        options={
            "never": Text("yes, it never rises", "是，从不回升"),
            "rarely": Text("nearly: it rises at fewer than a fifth of the steps", "差不多：回升的步数不到五分之一"),
            "often": Text("no: it rises at a fifth of the steps or more", "不是：至少五分之一的步数在回升"),
        },
        right=right_option,
        because=Text(
            "$PE_p\\cdot PE_{p+k}=\\sum_i\\cos k\\omega_i$: slow cosines make the trend fall, fast ones ripple on top.",
            "$PE_p\\cdot PE_{p+k}=\\sum_i\\cos k\\omega_i$：慢的余弦决定下降的趋势，快的余弦在上面来回起伏。",
        ),
    ),
    presets=(
        Preset(Text("Projected", "经过投影"), Params(projection="random")),
        Preset(Text("One pair only", "只有一对"), Params(width=2)),
        Preset(Text("Base 1,000,000", "底数 1 000 000"), Params(base=1_000_000)),
    ),
)
