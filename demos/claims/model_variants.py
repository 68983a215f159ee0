"""The claims of `model_variants`."""

import math
from typing import TYPE_CHECKING

import torch

from demos.kit.contract import Claim
from demos.kit.published import MODELS, parameters
from language import Text, same

if TYPE_CHECKING:
    from demos.model_variants import Result

ROUNDING = torch.finfo(torch.float32).eps
HEADS, POSITIONS, HEAD_WIDTH, EXPERT_WIDTH, TRIALS = 32, 16, 8, 16, 64
MASKED = Text("a masked weight is exactly 0", "被掩掉的权重恰好是 0")
COUNTED = Text("counted while it ran", "运行时数出来的")
TIED = Text(
    "what the released model counts, one matrix for input and output", "公布的模型的参数量，输入输出共用一个矩阵"
)
RELEASED = {
    "bert": Text("what the released encoder counts, with its pooler", "公布的编码器（含 pooler）的参数量"),
    "gpt2": TIED,
    "t5": TIED,
    "llama": Text("what the released model counts", "公布的模型的参数量"),
}


def claims(result: "Result") -> list[Claim]:
    """Reach, shared heads, experts, parameters."""
    return [*reach_claims(result), *shared_claims(result), *mixture_claims(result), *parameter_claims(result)]


def reach_claims(result: "Result") -> list[Claim]:
    """How many pairs (output, poked token) react, and that the others do not by one bit."""
    n, family, reach = result.params.length, result.params.family, result.reach
    p = result.params.prefix
    causal = n * (n + 1) // 2
    pairs = {"encoder": n * n, "decoder": causal, "prefix": causal + p * (p - 1) // 2, "both": 2 * n * n + causal}
    formulas = {
        "encoder": "$n^2$",
        "decoder": r"$\tfrac{n(n+1)}2$",
        "prefix": r"$\tfrac{n(n+1)}2+\tfrac{p(p-1)}2$",
        "both": r"$n^2+n^2+\tfrac{n(n+1)}2$",
    }
    sentence = Text(
        "Pairs of an output and a poked token where the output moves",
        "输出会随之变化的（输出，被改动 token）对数",
    )
    made = [Claim("pairs_that_react", sentence, int((reach > 0).sum()), "=", pairs[family], same(formulas[family]))]
    if family == "encoder":
        least = Text("Every output notices every token (smallest change)", "每个输出都感知到每个 token（最小变化）")
        bound = Text("nothing is masked; the bound is rounding", "没有掩码；界限是舍入误差")
        return [*made, Claim("encoder_sees_both_sides", least, reach.min().item(), ">", ROUNDING, bound)]
    start = p if family == "prefix" else 0
    target = reach[-n:, -n:]
    future = target.triu(1)[:, start:].sum().item()  # what lies inside the prefix is no future
    leak = Text("Poking a later token changes earlier outputs by", "改动后面的 token，前面输出的变化")
    made.append(Claim("the_future_does_not_leak", leak, future, "=", 0.0, MASKED))
    if family == "both":
        back = Text("Poking the target changes the encoder's outputs by", "改动目标端，编码器输出的变化")
        made.append(Claim("target_does_not_reach_source", back, reach[:n, n:].max().item(), "=", 0.0, MASKED))
    return made


def shared_claims(result: "Result") -> list[Claim]:
    """Shared heads save cache and no FLOPs, and equal repeated heads in the right order."""
    shared, kv = result.shared, result.params.kv_heads
    cache = Text("The cache shrinks to $n_{kv}/h$", "缓存缩小为 $n_{kv}/h$")
    flops = Text("FLOPs of scores and sums, against one K/V head each", "分数与加权和的 FLOPs，与每个头各有 K/V 时之比")
    repeat = Text(
        "Sharing equals repeating each K/V head for its group (largest difference)",
        "共用 K/V 等价于把每个 K/V 头在组内重复（最大差异）",
    )
    rounding = Text("fp32 rounding", "fp32 舍入误差")
    made = [
        Claim("cache_shrinks", cache, shared.cache / shared.full_cache, "=", kv / HEADS, COUNTED),
        Claim("flops_stay", flops, shared.flops / shared.full_flops, "=", 1.0, same("$4\\,h\\,n^2d_{head}$")),
        Claim("sharing_is_repeating", repeat, shared.repeated, "<=", 0.0, rounding, 1000 * ROUNDING),
    ]
    if 1 < kv < HEADS:
        wrong = Text(
            "Repeated in the order 1 2 … 1 2 … it is another function", "按 1 2 … 1 2 … 的顺序重复，就成了另一个函数"
        )
        why = Text("the bound is a thousand times the rounding", "界限是舍入误差的一千倍")
        made.append(Claim("order_of_heads_matters", wrong, shared.cycled, ">", 1000 * ROUNDING, why))
    return made


def mixture_claims(result: "Result") -> list[Claim]:
    """Compute follows the active experts; the experts that a batch needs follow the batch."""
    params, mixture = result.params, result.mixture
    e, k, t, d = params.experts, params.active, params.tokens, EXPERT_WIDTH
    missed = (1 - k / e) ** t
    touched = mixture.touched[result.batches.index(t)].item()
    compute = Text("FLOPs of the layer: router + $k$ experts per token", "这一层的 FLOPs：路由 + 每个 token $k$ 个专家")
    of_compute = same("$T\\,(2dE+6k\\,d\\,d_{ff})$")
    needed = Text("Experts that a batch of $T$ tokens needs", "一个 $T$ 个 token 的 batch 用到的专家数")
    of_needed = Text(
        r"$E\,(1-(1-k/E)^T)$ for uniform, independent routing; ± 5 standard errors and 2 counts",
        r"$E\,(1-(1-k/E)^T)$（路由均匀且独立）；± 5 个标准误再加 2 次计数",
    )
    # which experts a batch misses is negatively correlated, so the variance is at most E·q·(1 − q)
    slack = 5 * math.sqrt(e * missed * (1 - missed) / TRIALS) + 2 / TRIALS
    made = [
        Claim("compute_follows_active", compute, mixture.flops, "=", t * (2 * d * e + 6 * k * d * d), of_compute),
        Claim("experts_touched", needed, touched, "=", e * (1 - missed), of_needed, slack),
    ]
    if k == e:
        dense = Text("With $k=E$ it is the dense mixture (largest difference)", "$k=E$ 时就是稠密混合（最大差异）")
        rounding = Text("fp32 rounding", "fp32 舍入误差")
        made.append(Claim("all_experts_are_dense", dense, mixture.dense, "<=", 0.0, rounding, 1000 * ROUNDING))
    return made


def parameter_claims(result: "Result") -> list[Claim]:
    """The count of tensors against the checkpoint, and against the formula."""
    config = MODELS[result.params.model]
    total, active = sum(result.total.values()), sum(result.active.values())
    formula = sum(parameters(config, config.active).values())
    sentence = Text(f"Parameters of {config.name}, {total:,} counted", f"{config.name} 的参数量，数得 {total:,}")
    why = RELEASED[config.family]
    per_token = Text(
        f"Parameters of {config.name} that one token uses, {active:,} counted",
        f"{config.name} 中一个 token 用到的参数量，数得 {active:,}",
    )
    by_formula = Text("the closed form of the answer, with biases and norms", "答案里的公式，加上偏置和归一化")
    share = Text("Share of the word and position embeddings", "词嵌入和位置嵌入的占比")
    of_share = Text("rows of the tables times $d$", "嵌入表的行数乘 $d$")
    tables = 2 if config.family == "llama" else 1
    expected = (tables * config.vocabulary + config.positions) * config.width / config.published
    return [
        Claim("parameters_are_published", sentence, total, "=", config.published, why),
        Claim("parameters_per_token", per_token, active, "=", formula, by_formula),
        Claim("embedding_share", share, result.total["embedding"] / total, "=", expected, of_share),
    ]
