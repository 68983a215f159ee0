"""The claims of `query_key_projection`."""

import math
from typing import TYPE_CHECKING

import torch

from demos.kit.contract import Claim
from language import Text, same

if TYPE_CHECKING:
    from demos.query_key_projection import Result

UNFINISHED = 0.01  # nats that 300 steps may leave undone


def claims(result: "Result") -> list[Claim]:
    """What symmetric and semidefinite scores cannot do, and what raw inputs do."""
    params, made = result.params, []
    if params.projection == "separate":
        made += separate_claims(result)
    else:
        made.append(symmetry_claim(result))
    if params.projection == "tied":
        made += semidefinite_claims(result)
    if params.layout == "ring" and params.projection != "separate":
        made += ring_claims(result)
    if params.layout == "line" and params.projection == "tied" and trained(result):
        sentence = Text("On a line the shared projection learns the task after all", "排成线时，共用投影也学得会")
        why = Text("norms may fall along the line; the ring allows no order", "范数可以沿线递减；环上没有先后")
        made.append(Claim("line_can_be_learned", sentence, result.loss, "<", math.log(2), why))
    return [*made, *untrained_claims(result)]


def trained(result: "Result") -> bool:
    """Whether the last step is shown, of scores with rank enough."""
    wide = result.params.projection == "symmetric" or result.params.key_width >= 4
    return wide and result.params.steps == len(result.losses) - 1


def rounding(result: "Result") -> float:
    """What float32 may do to a score."""
    terms = max(result.params.key_width, 1)
    return 4 * torch.finfo(torch.float32).eps * math.sqrt(terms) * max(1.0, result.scores.abs().max().item())


def separate_claims(result: "Result") -> list[Claim]:
    """Two projections: no constraint but rank."""
    scores = result.scores
    gap = (scores - scores.mT).abs().max().item()
    sentence = Text("With two projections $s_{ij}$ and $s_{ji}$ differ", "两个投影时，$s_{ij}$ 与 $s_{ji}$ 可以不同")
    why = Text("$W_QW_K^\\top$ need not be symmetric; the bound is rounding", r"$W_QW_K^\top$ 不必对称；界限是舍入误差")
    made = [Claim("separate_scores_differ", sentence, gap, ">", rounding(result), why)]
    if trained(result):
        sentence = Text("Two projections learn the previous token", "两个投影学得会“看前一个”")
        why = Text(
            "rank 2 suffices: the infimum is 0; 300 steps leave 0.05", "秩为 2 就够，下确界是 0；300 步留出 0.05"
        )
        made.append(Claim("separate_reach_previous", sentence, result.loss, "=", 0.0, why, 0.05))
    return made


def symmetry_claim(result: "Result") -> Claim:
    """Shared projections give symmetric scores."""
    gap = (result.scores - result.scores.mT).abs().max().item()
    sentence = Text("The scores are symmetric: $s_{ij}=s_{ji}$", "分数对称：$s_{ij}=s_{ji}$")
    return Claim(
        "scores_symmetric",
        sentence,
        gap,
        "=",
        0.0,
        Text("$M=M^\\top$; rounding", r"$M=M^\top$；舍入误差"),
        rounding(result),
    )


def semidefinite_claims(result: "Result") -> list[Claim]:
    """What W Wᵀ adds to symmetry."""
    scores, own = result.scores.double(), result.scores.double().diagonal()
    slack = rounding(result)
    smallest = torch.linalg.eigvalsh((scores + scores.mT) / 2)[0].item()
    others = scores - torch.diag(torch.full_like(own, math.inf))
    mutual = int(((others > own.unsqueeze(1) + slack) & (others > own.unsqueeze(0) + slack)).sum())
    lead = (others.max() - own.max()).item()
    psd = Text("No eigenvalue of the scores is negative", "分数矩阵没有负特征值")
    pairs = Text("No two tokens both score each other above themselves", "没有两个 token 都给对方打出比自己更高的分")
    top = Text("The largest score of all lies on the diagonal", "全矩阵最大的分数在对角线上")
    distance = Text(
        r"$\|g_i-g_j\|^2\ge0$, so $2s_{ij}\le s_{ii}+s_{jj}$", r"$\|g_i-g_j\|^2\ge0$，故 $2s_{ij}\le s_{ii}+s_{jj}$"
    )
    made = [
        Claim(
            "scores_semidefinite",
            psd,
            smallest,
            ">=",
            0.0,
            same("$x^\\top WW^\\top x=\\|W^\\top x\\|^2\\ge0$"),
            slack * len(own),
        ),
        Claim("no_mutual_preference", pairs, mutual, "=", 0, distance),
        Claim("largest_on_diagonal", top, lead, "<=", 0.0, distance, slack),
    ]
    preferred = others > own.unsqueeze(1) + slack  # (query, key): i scores j above itself
    if preferred.any():
        margin = (own.unsqueeze(0) - others)[preferred].min().item()
        sentence = Text(
            "Whatever a token scores above itself scores itself higher still",
            "一个 token 若给另一个打分高过自己，后者给自己的分必定更高",
        )
        made.append(Claim("direction_needs_norms", sentence, margin, ">", 0.0, distance, slack))
    return made


def ring_claims(result: "Result") -> list[Claim]:
    """Bounds on the loss that hold at every step, and how close training comes."""
    params, loss = result.params, result.loss
    ln2 = Text("Symmetric scores on a ring: the loss never gets below $\\ln2$", r"环上的对称分数：损失不会低于 $\ln2$")
    pairing = Text(
        "previous and next get the same geometric-mean weight, at most ½", "前一个与后一个权重的几何平均相同，至多 ½"
    )
    made = [Claim("symmetric_bound", ln2, loss, ">=", math.log(2), pairing, 1e-5)]
    free = params.projection == "symmetric" or params.mask_self
    if free and trained(result) and (params.projection == "symmetric" or params.key_width >= 12):
        reach = Text(
            "Symmetric scores, or shared ones with the diagonal hidden, come close to $\\ln2$",
            r"只要求对称，或共用投影但不许看自己时，损失接近 $\ln2$",
        )
        why = Text("approached, never attained; + 0.01 for 300 steps", "可以趋近，取不到；300 步留出 0.01")
        made.append(Claim("symmetric_comes_close", reach, loss, "=", math.log(2), why, UNFINISHED))
    if not free:
        bound = Text("Shared projection: the loss never gets below the optimum", "共用投影：损失不会低于理论最优值")
        optimum = Text(
            "convex problem; its optimum is one cosine, see `best_on_ring`",
            "凸问题，最优解是一个余弦，见 `best_on_ring`",
        )
        made.append(Claim("tied_bound", bound, loss, ">=", result.tied_optimum, optimum, 1e-5))
        if trained(result):
            reach = Text("… and training ends there", "……训练也正好停在那里")
            made.append(Claim("tied_reaches_optimum", reach, loss, "=", result.tied_optimum, optimum, UNFINISHED))
    return made


def untrained_claims(result: "Result") -> list[Claim]:
    """Raw inputs attend to themselves; symmetric scores are not symmetric weights."""
    layers, made = result.untrained, []
    scores = layers.tied_scores.double()
    weights = scores.softmax(-1)
    gap = (weights - weights.mT).abs().max().item()
    exact = Text(
        "LayerNorm makes $\\|x\\|^2=d$, so $d/\\sqrt d$; its ε = 1e-5",
        r"LayerNorm 使 $\|x\|^2=d$，故为 $d/\sqrt d$；其 ε = 1e-5",
    )
    diagonal = Text(
        "$XX^\\top/\\sqrt d$ at $d=64$ has $\\sqrt d$ on its diagonal",
        r"$d=64$ 时 $XX^\top/\sqrt d$ 的对角线是 $\sqrt d$",
    )
    made.append(Claim("raw_diagonal", diagonal, layers.raw_diagonal[2].item(), "=", 8.0, exact, 8 * 1e-4))
    why = Text(
        r"$e^{\sqrt d}/(e^{\sqrt d}+(n-1)e^{1/2})$ for normal scores; ± 5 standard errors, doubled for finite n, d",
        r"分数为正态时等于 $e^{\sqrt d}/(e^{\sqrt d}+(n-1)e^{1/2})$；± 5 个标准误，因 n、d 有限加倍",
    )
    for width, name in ((16, "raw_self_weight_16"), (64, "raw_self_weight_64")):
        root = math.sqrt(width)
        share = math.exp(root) / (math.exp(root) + (layers.tokens - 1) * math.exp(0.5))
        sentence = Text(
            f"Without projections a token gives itself this weight at $d={width}$",
            f"不做投影、$d={width}$ 时，token 给自己的权重",
        )
        measured = layers.raw[layers.widths.index(width)].item()
        made.append(Claim(name, sentence, measured, "=", share, why, 0.12 * share * (1 - share)))
    sentence = Text("Symmetric scores, yet the weights are not symmetric", "分数对称，权重却不对称")
    rows = Text("each row has its own sum; the bound is rounding", "每行除以自己的和；界限是舍入误差")
    made.append(Claim("weights_not_symmetric", sentence, gap, ">", 1e-6, rows))
    return made
