"""The claims of `sequence_cost`."""

import math
from typing import TYPE_CHECKING

import torch

from demos.kit.contract import Claim
from language import Text, same

if TYPE_CHECKING:
    from demos.sequence_cost import Result

ROUNDING = torch.finfo(torch.float32).eps
QUOTIENT = 1e-12  # rounding of a quotient of whole numbers


def claims(result: "Result") -> list[Claim]:
    """FLOPs, break-even lengths, waiting, generation, and what the device says when asked."""
    return [
        *flop_claims(result),
        *break_even_claims(result),
        *chain_claims(result),
        *generation_claims(result),
        *here_claims(result),
    ]


def formulas(length: int, width: int) -> dict[str, int]:
    """FLOPs of one layer in closed form: 2 per multiply-add, without biases, softmax and gates."""
    products, pairs = length * width**2, length**2 * width
    return {
        "core": 4 * pairs,
        "layer": 8 * products + 4 * pairs,
        "block": 24 * products + 4 * pairs,
        "rnn": 4 * products,
        "gru": 12 * products,
        "lstm": 16 * products,
    }


def flop_claims(result: "Result") -> list[Claim]:
    """Counted while running, against the formulas."""
    counted, theory = result.flops, formulas(result.params.length, result.params.width)
    layer = Text("FLOPs of the attention layer, counted", "注意力层的 FLOPs，实测计数")
    rnn, lstm = (
        Text("FLOPs of the RNN, counted", "RNN 的 FLOPs，实测计数"),
        Text("FLOPs of the LSTM, counted", "LSTM 的 FLOPs，实测计数"),
    )
    worst = max(abs(counted[name] - theory[name]) for name in theory)
    every = Text(
        "Count minus formula, largest over core, layer, block, RNN, GRU and LSTM",
        "核心、注意力层、整块、RNN、GRU、LSTM 的计数与公式的最大出入",
    )
    names = same("4n²d, 8nd² + 4n²d, 24nd² + 4n²d, 4nd², 12nd², 16nd²")
    held = Text("Bytes of the attention weights of one head", "一个头的注意力权重占的字节数")
    return [
        Claim("attention_layer_flops", layer, counted["layer"], "=", theory["layer"], same("$8nd^2+4n^2d$")),
        Claim("rnn_flops", rnn, counted["rnn"], "=", theory["rnn"], same("$4nd^2$")),
        Claim("lstm_flops", lstm, counted["lstm"], "=", theory["lstm"], same("$16nd^2$")),
        Claim("all_counts_match", every, worst, "=", 0, names),
        Claim(
            "weights_are_quadratic",
            held,
            result.comparison.weight_bytes,
            "=",
            4 * result.params.length**2,
            same("$4n^2$, fp32"),
        ),
    ]


def break_even_claims(result: "Result") -> list[Claim]:
    """Ratios of counted FLOPs, which reach 1, 1 and a half at n = d, 2d and 6d."""
    counted, length, width = result.flops, result.params.length, result.params.width
    core = Text("Attention core over vanilla RNN", "注意力核心与普通 RNN 之比")
    layer = Text("Attention layer over LSTM", "注意力层与 LSTM 之比")
    block = Text("Share of the core in its Transformer block", "核心在整个 Transformer 块中的占比")
    return [
        Claim(
            "core_over_rnn",
            core,
            counted["core"] / counted["rnn"],
            "=",
            length / width,
            Text("$n/d$: equal at $n=d$", "$n/d$：$n=d$ 时持平"),
            QUOTIENT,
        ),
        Claim(
            "layer_over_lstm",
            layer,
            counted["layer"] / counted["lstm"],
            "=",
            (2 * width + length) / (4 * width),
            Text(r"$\frac12+\frac{n}{4d}$: equal at $n=2d$", r"$\frac12+\frac{n}{4d}$：$n=2d$ 时持平"),
            QUOTIENT,
        ),
        Claim(
            "core_share_of_block",
            block,
            counted["core"] / counted["block"],
            "=",
            length / (length + 6 * width),
            Text(r"$\frac{n}{n+6d}$: half at $n=6d$", r"$\frac{n}{n+6d}$：$n=6d$ 时占一半"),
            QUOTIENT,
        ),
    ]


def chain_claims(result: "Result") -> list[Claim]:
    """Operations that wait for one another, from the shortest length to the chosen one."""
    shortest, length = result.lengths[0], result.lengths[-1]
    grown = {name: chain[-1] - chain[0] for name, chain in result.chains.items()}
    rounds = math.ceil(math.log2(length)) - math.ceil(math.log2(shortest))
    per_token = grown["rnn"] / (length - shortest)
    per_generated = grown["generation"] / (min(length, result.generated) - shortest)
    rnn = Text("RNN: dependent operations per further token", "RNN：每多一个 token，前后依赖的运算多")
    layer = Text(
        "Attention: dependent operations added by all further tokens", "注意力：再多 token，前后依赖的运算共多"
    )
    serial = Text(
        "Generating with attention: dependent operations per token", "用注意力生成：每个 token 前后依赖的运算"
    )
    scan = Text(
        "Linear recurrence by scan: dependent operations per doubling", "线性递推用扫描：长度每翻倍，前后依赖的运算多"
    )
    two, none = Text("product, then tanh", "先乘积，再 tanh"), Text("no position waits for another", "各位置互不等待")
    three = Text("multiply, add, join; ⌈log₂ n⌉ rounds", "乘、加、拼接；共 ⌈log₂ n⌉ 轮")
    seven = Text(
        "project, append, score, scale, softmax, mix, project: each token needs the one before",
        "投影、追加、打分、缩放、softmax、加权、投影：每个 token 都要等前一个",
    )
    return [
        Claim("rnn_waits_per_token", rnn, per_token, "=", 2, two, QUOTIENT),
        Claim("attention_does_not_wait", layer, grown["layer"], "=", 0, none),
        Claim("scan_waits_per_doubling", scan, grown["scan"] / rounds, "=", 3, three, QUOTIENT),
        Claim("generation_waits_per_token", serial, per_generated, "=", 7, seven, QUOTIENT),
        scan_claim(result),
    ]


def scan_claim(result: "Result") -> Claim:
    """The scan is another order of the same sums."""
    sentence = Text("The scan returns what the loop returns (largest difference)", "扫描与循环结果相同（最大差）")
    why = Text(
        "the same sums in another order; ± rounding of ⌈log₂ n⌉ rounds", "同样的和，次序不同；± ⌈log₂ n⌉ 轮的舍入"
    )
    slack = 16 * ROUNDING * (2 + math.log2(result.params.length))
    return Claim("scan_equals_loop", sentence, result.comparison.scan, "<=", 0.0, why, slack)


def generation_claims(result: "Result") -> list[Claim]:
    """One more token at position n, by attention with a cache and by an LSTM."""
    generation, length, width = result.generation, result.params.length, result.params.width
    attention = Text("FLOPs of the token at position $n$ with a KV cache", "有 KV 缓存时，位置 $n$ 的 token 的 FLOPs")
    recurrent = Text("FLOPs of a token in the LSTM, minus those of its first", "LSTM 每个 token 的 FLOPs 减去第一个的")
    cache = Text("Bytes of the KV cache at position $n$", "位置 $n$ 处 KV 缓存的字节数")
    state = Text("Bytes of the LSTM state", "LSTM 状态的字节数")
    equal = Text("The cache changes no output (largest difference)", "缓存不改变输出（最大差）")
    never = Text("no position enters", "与位置无关")
    rounding = Text("the same sums in products of other shapes; ± rounding", "同样的和，乘积的形状不同；± 舍入误差")
    slack = 16 * ROUNDING * math.sqrt(width)
    growth = generation.recurrent[-1] - generation.recurrent[0]
    return [
        Claim(
            "cached_token_flops",
            attention,
            generation.attention[1],
            "=",
            8 * width**2 + 4 * length * width,
            same("$8d^2+4nd$"),
        ),
        Claim("recurrent_token_is_constant", recurrent, growth, "=", 0, never),
        Claim("cache_bytes", cache, generation.cache_bytes, "=", 8 * length * width, same("$2nd\\cdot4$, fp32")),
        Claim("state_bytes", state, generation.state_bytes, "=", 8 * width, same("$2d\\cdot4$, fp32")),
        Claim("cache_changes_nothing", equal, result.comparison.cache, "<=", 0.0, rounding, slack),
    ]


def here_claims(result: "Result") -> list[Claim]:
    """Made when the device was asked. Of time only a ratio, where steps are small: the rest belongs to the machine."""
    if result.here is None:
        return []
    held = Text("Allocator of this device: peak bytes of the attention layer", "本机分配器：注意力层的峰值字节")
    pairs = Text("scores and weights live together, $2\\cdot4n^2$", "分数与权重同时存在，$2\\cdot4n^2$")
    made = [
        Claim("allocator_sees_the_square", held, result.here.peaks["layer"], ">=", 8 * result.params.length**2, pairs)
    ]
    if result.params.width > 64:
        return made
    rates = {name: result.flops[name] / result.here.seconds[name].min().item() for name in ("layer", "rnn")}
    sentence = Text("FLOPs per second: attention over the step-by-step RNN", "每秒 FLOPs：注意力与逐步 RNN 之比")
    why = Text("few large products instead of many small ones that wait", "少数几个大乘积，而不是许多互相等待的小乘积")
    return [*made, Claim("large_products_run_faster", sentence, rates["layer"] / rates["rnn"], ">", 1.0, why)]
