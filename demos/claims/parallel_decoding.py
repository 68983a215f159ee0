"""The claims of `parallel_decoding`."""

from typing import TYPE_CHECKING

import torch

from demos.kit.contract import Claim
from language import Text, same

if TYPE_CHECKING:
    from demos.parallel_decoding import Result

EPSILON = torch.finfo(torch.float32).eps
LAYERS, WIDTH, HEADS, SYMBOLS, TAUGHT = 2, 64, 1, 64, 4  # of the decoder, and the tokens that teach it


def claims(result: "Result") -> list[Claim]:
    """Same numbers, same work, another order; what a wrong cached step does; two ways round the loop."""
    made = [*equality_claims(result), *order_claims(result), *work_claims(result), training_claim(result)]
    if result.wrong is not None and result.params.length > 1:
        made.append(mistake_claim(result))
    if result.params.step == "is_causal":
        made.append(first_key_claim(result))
    made += loop_claims(result)
    return [*made, *time_claims(result)] if result.times else made


def rounding(result: "Result") -> float:
    """What fp32 may change in a logit when sums are taken in another order."""
    return 64 * EPSILON * max(1.0, result.runs.parallel.logits.abs().max().item())


def gap(one: torch.Tensor, other: torch.Tensor) -> float:
    """The largest difference."""
    return (one - other).abs().max().item()


def equality_claims(result: "Result") -> list[Claim]:
    """Neither the cache nor the loop changes what is computed."""
    runs, slack = result.runs, rounding(result)
    cache = Text(
        "Logits step by step with the cache, minus those of one parallel pass (largest difference)",
        "带缓存逐步算出的 logits 与一次并行前向之差（最大值）",
    )
    recomputed = Text("The same without a cache", "不带缓存，同样相减")
    why = Text(
        "the same function of the same prefix; ± fp32 sums in another order, 64 ε of the largest logit",
        "同一个前缀的同一个函数；± fp32 求和次序不同，取最大 logit 的 64 ε",
    )
    return [
        Claim("cache_keeps_logits", cache, gap(runs.cached.logits, runs.parallel.logits), "=", 0.0, why, slack),
        Claim(
            "prefixes_keep_logits", recomputed, gap(runs.uncached.logits, runs.parallel.logits), "=", 0.0, why, slack
        ),
    ]


def order_claims(result: "Result") -> list[Claim]:
    """What waits for what."""
    runs, length = result.runs, result.params.length
    products = Text(
        f"Matrix products one after another in a parallel pass over {length} tokens",
        f"{length} 个 token 一次并行前向里，先后进行的矩阵乘法次数",
    )
    calls = Text(
        f"Model calls one after another to generate {length} tokens", f"生成 {length} 个 token 先后调用模型的次数"
    )
    per_layer = Text(
        "six in each of 2 layers and the unembedding, whatever T is", "每层 6 次，共 2 层，加输出层 1 次，与 T 无关"
    )
    waits = Text("each input is the previous output", "每次的输入就是上一次的输出")
    return [
        Claim("pass_depth_ignores_length", products, runs.parallel.tally.products, "=", 6 * LAYERS + 1, per_layer),
        Claim("generation_needs_a_call_per_token", calls, runs.cached.tally.calls, "=", length, waits),
    ]


def work_claims(result: "Result") -> list[Claim]:
    """Positions, multiply-adds and bytes against their formulas."""
    runs, length = result.runs, result.params.length
    with_cache = Text("Positions run through the model with the cache", "带缓存时，经过模型的位置数")
    without = Text("Positions run through the model without it", "不带缓存时，经过模型的位置数")
    work = Text("Multiply-adds with the cache", "带缓存时的乘加次数")
    share = Text("Multiply-adds with the cache, as a share of one parallel pass", "带缓存的乘加次数与一次并行前向之比")
    size = Text("Bytes in the cache", "缓存占用的字节数")
    weights = LAYERS * 12 * WIDTH**2 + WIDTH * SYMBOLS
    expected = length * weights + LAYERS * WIDTH * length * (length + 1)
    formula = Text("T·(12·L·d² + d·V) + L·d·T(T+1)", "T·(12·L·d² + d·V) + L·d·T(T+1)")
    square = Text(
        "the same products; the pass also computes the masked half of its scores",
        "乘积相同，而并行前向还算了被掩码的那一半分数",
    )
    cached, bytes_ = runs.cached.tally, 2 * LAYERS * HEADS * (WIDTH // HEADS) * length * 4
    return [
        Claim("positions_with_cache", with_cache, cached.positions, "=", length, same("T")),
        Claim(
            "positions_without_cache",
            without,
            runs.uncached.tally.positions,
            "=",
            length * (length + 1) // 2,
            same("1 + 2 + … + T = T(T+1)/2"),
        ),
        Claim("multiply_adds_with_cache", work, cached.multiply_adds, "=", expected, formula),
        Claim(
            "cache_does_no_more_work",
            share,
            cached.multiply_adds / runs.parallel.tally.multiply_adds,
            "<=",
            1.0,
            square,
        ),
        Claim(
            "cache_size",
            size,
            result.runs.cache_bytes,
            "=",
            bytes_,
            Text("2·L·h·dₕ·T × 4 bytes", "2·L·h·dₕ·T × 4 字节"),
        ),
    ]


def training_claim(result: "Result") -> Claim:
    """Teacher forcing loses nothing by doing all positions at once."""
    sentence = Text(
        f"Gradient of one teacher-forced pass over {TAUGHT} tokens, minus the mean over {TAUGHT} prefix passes "
        "(relative)",
        f"{TAUGHT} 个 token 一次 teacher forcing 前向的梯度，减去 {TAUGHT} 个前缀分别前向的平均梯度（相对差）",
    )
    why = Text(
        "the same losses, summed in another order; ± 256 ε, rounding grows along the backward pass",
        "同样的损失，求和次序不同；± 256 ε，反向传播会放大舍入",
    )
    return Claim(
        "one_pass_has_the_gradient_of_all_prefixes", sentence, result.gradient_gap, "=", 0.0, why, 256 * EPSILON
    )


def mistake_claim(result: "Result") -> Claim:
    """What a cached step with a mistake computes."""
    assert result.wrong is not None
    sentence = Text(
        "The broken cached step changes the logits (largest difference)", "写错的单步改变了 logits（最大差）"
    )
    why = Text("another function; a hundred times the rounding", "已是另一个函数；下限为舍入误差的一百倍")
    change = gap(result.wrong, result.runs.parallel.logits)
    return Claim("mistake_changes_logits", sentence, change, ">", 100 * rounding(result), why)


def first_key_claim(result: "Result") -> Claim:
    """PyTorch's own function, given one query and T keys."""
    sentence = Text(
        f"`scaled_dot_product_attention(is_causal=True)`, one query, {result.params.length} keys: output minus $v_0$",
        f"`scaled_dot_product_attention(is_causal=True)`，1 个 query、{result.params.length} 个 key：输出减 $v_0$",
    )
    why = Text("its triangle starts at the top left; ± rounding", "它的三角掩码从左上角开始；± 舍入误差")
    return Claim("is_causal_sees_only_the_first_key", sentence, result.first_key_only, "=", 0.0, why, 16 * EPSILON)


def loop_claims(result: "Result") -> list[Claim]:
    """Jacobi decoding and speculative sampling."""
    passes, tokens = result.runs.settled.shape
    wrong = int((~result.runs.settled[-1]).sum())
    accepted = result.runs.acceptance.item()
    ends = Text(
        f"Jacobi decoding of {tokens} tokens ends with this many wrong", f"Jacobi 解码 {tokens} 个 token，最后错的个数"
    )
    count = Text("Parallel passes it took, the last one a check", "所用的并行前向次数，最后一次是检查")
    fixed = Text("a fixed point satisfies every greedy choice in turn", "不动点逐个满足贪心选择")
    staircase = Text("each pass settles at least one more token; + 1", "每次至少多定下一个 token；另加 1 次检查")
    keeps = Text(
        f"Draft by the first layer, {accepted:.0%} accepted: distribution after accept or redraw, minus the target's",
        f"用第一层打草稿，接受率 {accepted:.0%}：接受或重抽之后的分布，减去目标分布",
    )
    algebra = Text("min(p, q) + max(p − q, 0) = p; ± rounding", "min(p, q) + max(p − q, 0) = p；± 舍入误差")
    return [
        Claim("jacobi_ends_at_greedy", ends, wrong, "=", 0, fixed),
        Claim("jacobi_needs_no_more_passes", count, passes, "<=", tokens + 1, staircase),
        Claim(
            "speculation_keeps_distribution", keeps, result.runs.speculative_gap.item(), "=", 0.0, algebra, 16 * EPSILON
        ),
    ]


def time_claims(result: "Result") -> list[Claim]:
    """By the clock of this machine; only ratios, and only where overheads cannot hide them."""
    parallel, cached, uncached, batching = result.times
    slower = Text("Time with the cache over time of one parallel pass", "带缓存的用时与一次并行前向之比")
    longer = Text("Time without the cache over time with it", "不带缓存与带缓存的用时之比")
    batch = Text(
        "Tokens per second of 32 sequences at once over those of one", "32 条序列一起算与只算 1 条的吞吐量之比"
    )
    slices = Text("the same work in T dependent slices", "同样的运算量切成 T 段，前后依赖")
    again = Text("half of the work is repeated and more", "一半以上的运算是重复的")
    shared = Text("weights and overheads are shared by the batch", "权重读取和调用开销由整个 batch 分摊")
    made = [Claim("batching_raises_throughput", batch, batching, ">", 1.0, shared)]
    if result.params.length >= 32:
        made.append(Claim("cached_decoding_is_slower_than_one_pass", slower, cached / parallel, ">", 1.0, slices))
    if result.params.length >= 128:
        made.append(Claim("recomputing_is_slower_still", longer, uncached / cached, ">", 1.0, again))
    return made
