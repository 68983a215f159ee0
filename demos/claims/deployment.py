"""The claims of `deployment`."""

import math
from typing import TYPE_CHECKING

import torch

from demos.figures.deployment import CHANCE
from demos.kit.contract import Claim
from demos.kit.published import MODELS
from language import Text, same

if TYPE_CHECKING:
    from demos.deployment import Result

WIDTH, LAYERS, LENGTH, SYMBOLS, HIDDEN = 32, 4, 10, 12, 64  # of the small network
LINEAR = LAYERS * (4 * WIDTH**2 + 2 * WIDTH * HIDDEN) + WIDTH * SYMBOLS
COLUMNS = LAYERS * (3 * WIDTH + WIDTH + HIDDEN + WIDTH) + SYMBOLS  # output channels, each with a scale
REST = SYMBOLS * WIDTH + LENGTH * WIDTH + LAYERS * 2 * WIDTH  # embeddings, positions, gains: stay in fp32
CROSSOVER = r"$B^*=\frac b2\cdot\frac{peak}{BW}$"


def claims(result: "Result") -> list[Claim]:
    """Bytes, FLOPs, rounding and predictions of the small network; the step of the large one; the clock."""
    made = [*byte_claims(result), *int8_claims(result), outlier_claim(result), *step_claims(result)]
    made += ceiling_claims(result)
    if result.params.method == "bits":
        made += rounding_claims(result)
    if result.params.method == "zeros" and result.params.zeros == 1:
        made.append(nothing_left_claim(result))
    return made if result.times is None else [*made, *time_claims(result.times)]


def byte_claims(result: "Result") -> list[Claim]:
    """What zeros, fewer bits and fewer channels do to bytes and FLOPs."""
    params, formats, chosen = result.params, result.formats, result.chosen
    fp32, zeros = formats["fp32"], formats["zeros"]
    keep = Text("File with 90% zeros over the file of fp32", "90% 为零时的文件与 fp32 文件之比")
    work = Text("FLOPs with 90% zeros over those of fp32", "90% 为零时的 FLOPs 与 fp32 之比")
    of_int8 = Text("Bytes of the int8 network", "int8 网络的字节数")
    of_bf16 = Text("Bytes of the bf16 network over fp32", "bf16 网络与 fp32 的字节数之比")
    dense = Text("a zero takes four bytes like any number", "零和别的数一样占 4 个字节")
    multiplied = Text("a dense product multiplies by zeros too", "稠密乘法照样乘零")
    why_int8 = Text(
        "1 per linear weight, 4 per scale, 4 for each number left in fp32",
        "线性层权重各 1，scale 各 4，其余留在 fp32 的各 4",
    )
    made = [
        Claim("zeros_keep_the_file", keep, zeros.file / fp32.file, "=", 1.0, dense),
        Claim("zeros_save_no_flops", work, zeros.flops / fp32.flops, "=", 1.0, multiplied),
        Claim("int8_bytes", of_int8, formats["int8"].payload, "=", LINEAR + 4 * (COLUMNS + REST), why_int8),
        Claim(
            "bf16_bytes", of_bf16, formats["bf16"].payload / fp32.payload, "=", 0.5, Text("2 of 4 bytes", "4 字节变 2")
        ),
    ]
    if params.method == "bits":
        sentence = Text(f"Bytes at {params.bits} bits per weight", f"每个权重 {params.bits} 比特时的字节数")
        why = Text("b/8 per linear weight, packed; scales and the rest as before", "线性层权重打包后各 b/8，其余不变")
        expected = LINEAR * params.bits // 8 + 4 * (COLUMNS + REST)
        made.append(Claim("packed_bytes", sentence, chosen.payload, "=", expected, why))
    if params.method == "channels":
        gone = LAYERS * 2 * WIDTH * (HIDDEN - params.channels)
        fewer = Text("FLOPs that the missing channels save in a pass", "去掉通道后一次前向省下的 FLOPs")
        smaller = Text("Bytes that they save", "省下的字节数")
        why = Text("2 per weight and position", "每个权重、每个位置 2 次")
        saved = fp32.flops - chosen.flops, fp32.payload - chosen.payload
        made.append(Claim("channels_save_flops", fewer, saved[0], "=", 2 * LENGTH * gone, why))
        made.append(Claim("channels_save_bytes", smaller, saved[1], "=", 4 * gone, Text("4 each", "每个 4 字节")))
    return made


def int8_claims(result: "Result") -> list[Claim]:
    """int8 products are exact on integers, and rounding can only change predictions that were close."""
    fp32, int8 = result.formats["fp32"].logits, result.formats["int8"].logits
    best = fp32.topk(2).values  # (symbol, 2)
    clear = (best[:, 0] - best[:, 1] > 2 * (int8 - fp32).abs().max()).float().mean().item()
    same_choice = (fp32.argmax(-1) == int8.argmax(-1)).float().mean().item()
    how = Text("PyTorch's int8 kernel", "PyTorch 的 int8 kernel") if result.native else same("fp32")
    exact = Text(
        f"int8 products by {how.en}, minus the same integers multiplied in fp32 (largest difference)",
        f"用 {how.zh} 算的 int8 乘积，与同样的整数按 fp32 相乘之差（最大值）",
    )
    agree = Text("Share of symbols for which int8 predicts what fp32 predicts", "int8 与 fp32 预测相同的符号比例")
    why_exact = Text("sums of whole numbers below $2^{24}$ are exact in both", "小于 $2^{24}$ 的整数和，两边都精确")
    why = Text(
        "at least those where the two best logits differ by more than twice the largest change of a logit",
        "至少包括前两名 logit 之差大于最大改变量两倍的那些",
    )
    return [
        Claim("int8_sums_are_exact", exact, result.int8_gap, "=", 0.0, why_exact),
        Claim("int8_keeps_predictions", agree, same_choice, ">=", clear, why),
    ]


def outlier_claim(result: "Result") -> Claim:
    """One large channel spoils a shared scale."""
    one, own, one_step, own_step = result.outlier
    exact = 1 - 1 / len(own)  # with its own scale the largest weight of a channel has no error
    sentence = Text(
        "One channel 50 times larger: int8 error of the others with one scale, over that with own scales (RMS)",
        "一个通道大 50 倍：其余通道的 int8 误差，共用一个 scale 与各用各的之比（RMS）",
    )
    expected = (one_step / (own_step * exact)).sqrt().item()
    why = Text(
        "the ratio of the steps, since the variance is $s^2/12$; ± 5 standard errors",
        "步长之比，因为方差是 $s^2/12$；± 5 个标准误",
    )
    measured = (one.square().mean() / own.square().mean()).sqrt().item()
    return Claim(
        "outlier_spoils_a_shared_scale", sentence, measured, "=", expected, why, 5 * expected * rms_error(own) * 2**0.5
    )


def rms_error(errors: torch.Tensor) -> float:
    """Relative standard error of the RMS of uniform numbers: their squares have a deviation of √(4/5) of the mean."""
    return math.sqrt(0.8 / errors.numel()) / 2


def rounding_claims(result: "Result") -> list[Claim]:
    """Rounding errors in steps, one scale for each matrix."""
    errors = result.rounding
    largest = Text("Largest rounding error, in steps", "最大舍入误差（以步长计）")
    half = Text("rounding to the nearest; ± fp32", "四舍五入到最近的格点；± fp32 舍入")
    made = [Claim("error_is_half_a_step", largest, errors.abs().max().item(), "<=", 0.5, half, 2.0**-16)]
    if result.params.bits >= 5:  # with fewer, most weights round to zero and the error is no longer uniform
        typical = Text("RMS of the rounding errors, in steps", "舍入误差的 RMS（以步长计）")
        why = Text(
            "uniform on a step: $1/\\sqrt{12}$; ± 5 standard errors", "在一个步长上均匀：$1/\\sqrt{12}$；± 5 个标准误"
        )
        expected = 1 / math.sqrt(12)
        measured = errors.square().mean().sqrt().item()
        made.append(Claim("error_is_uniform", typical, measured, "=", expected, why, 5 * expected * rms_error(errors)))
    return made


def nothing_left_claim(result: "Result") -> Claim:
    """Without a weight every logit is 0, and the first symbol is always predicted."""
    count = len(result.chosen.logits)
    sentence = Text("Accuracy with all linear weights at zero", "线性层权重全为零时的正确率")
    why = Text("one symbol of 12; ± 5 standard errors", "12 个符号猜一个；± 5 个标准误")
    slack = 5 * math.sqrt(CHANCE * (1 - CHANCE) / count)
    return Claim("nothing_left_is_guessing", sentence, result.chosen.accuracy, "=", CHANCE, why, slack)


def read_bytes(result: "Result") -> float:
    """Bytes of weights in one step, from the parameters of the checkpoint: all but the input embedding."""
    config = MODELS[result.params.model]
    return (config.published - config.vocabulary * config.width) * result.params.weight_bits / 8


def cache_bytes(result: "Result") -> int:
    """Bytes of keys and values of one sequence: 2·L·n_kv·d_head·n numbers of 16 bits."""
    config = MODELS[result.params.model]
    return 2 * config.layers * config.kv_heads * config.head_width * result.params.context * 2


def step_claims(result: "Result") -> list[Claim]:
    """FLOPs and bytes of a decoding step against the published model."""
    params, config = result.params, MODELS[result.params.model]
    step, bits, batch = result.decoding[params.batch], result.params.weight_bits, result.params.batch
    norms = (2 * config.layers + 1) * config.width
    matrices = config.published - config.vocabulary * config.width - norms
    attention = 4 * config.layers * config.width * params.context
    of_flops = Text(
        f"GFLOPs of a step of {config.name} at batch {batch}: $2NB+4Lnd\\,B$",
        f"{config.name} 解码一步、batch 为 {batch} 的 GFLOPs：$2NB+4Lnd\\,B$",
    )
    of_bytes = Text(
        "GB that the step reads, weights and cache: $Nb+B\\cdot KV(n)$",
        "这一步读多少 GB，权重加缓存：$Nb+B\\cdot KV(n)$",
    )
    of_weights = Text(
        f"FLOPs per byte with an empty cache at batch {batch}: $2B/b$",
        f"缓存为空、batch 为 {batch} 时每字节的 FLOPs：$2B/b$",
    )
    checkpoint = Text(
        "parameters of the checkpoint; of the input embedding only rows are read",
        "检查点的参数量；输入嵌入只查几行，不计",
    )
    gains = Text(
        "norm gains are read, not multiplied: below 1 weight in 10,000", "归一化的增益只读不乘：不到权重的 1/10000"
    )
    fraction = 2 * batch / (bits / 8)
    return [
        Claim("step_flops", of_flops, step.flops / 1e9, "=", batch * (2 * matrices + attention) / 1e9, checkpoint),
        Claim(
            "step_bytes",
            of_bytes,
            step.size(bits) / 1e9,
            "=",
            (read_bytes(result) + batch * cache_bytes(result)) / 1e9,
            checkpoint,
        ),
        Claim(
            "decode_intensity",
            of_weights,
            batch * result.alone.flops / result.alone.size(bits),
            "=",
            fraction,
            gains,
            1e-4 * fraction,
        ),
    ]


def ceiling_claims(result: "Result") -> list[Claim]:
    """What the chip allows at most."""
    params, chip, bits = result.params, result.chip, result.params.weight_bits
    bare, b = result.alone, params.weight_bits / 8
    exact = b / 2 * chip.ridge
    crossover = math.ceil(bare.size(bits) / chip.bandwidth / (bare.flops / chip.peak))
    from_where = Text(
        f"Smallest batch that {chip.name.en} computes no faster than it reads, cache empty: " + CROSSOVER,
        f"缓存为空时，{chip.name.zh} 上计算不比读取快的最小 batch：" + CROSSOVER,
    )
    whole = Text(
        "the next whole number; norm gains make up less than 1 in 10,000", "向上取整；归一化增益的影响不到 1/10000"
    )
    made = [Claim("crossover_batch", from_where, crossover, "=", exact, whole, 1 + 1e-4 * exact)]
    one, many = (result.decoding[batch] for batch in (1, 64))
    if one.flops / one.size(bits) < chip.ridge and bare.flops / bare.size(bits) < chip.ridge:
        least = Text(
            f"Least milliseconds per token, batch 1, cache empty: {MODELS[params.model].name} on {chip.name.en}",
            f"batch 1、缓存为空时每个 token 至少多少毫秒：{MODELS[params.model].name}，{chip.name.zh}",
        )
        why = Text("bytes of the weights over the bandwidth", "权重字节数除以带宽")
        measured = 1e3 * chip.seconds(bare.flops, bare.size(bits))
        expected = 1e3 * (read_bytes(result) / chip.bandwidth)
        made.append(Claim("least_time_per_token", least, measured, "=", expected, why))
        if many.flops / many.size(bits) < chip.ridge:
            made.append(gain_claim(result))
    cap = chip.bandwidth / cache_bytes(result)
    rates = [batch / chip.seconds(step.flops, step.size(bits)) for batch, step in result.decoding.items()]
    never = Text(
        f"Tokens per second at batch 1024 and {params.context:,} cached tokens",
        f"batch 1024、缓存 {params.context:,} 个 token 时每秒 token 数",
    )
    reads = Text("$BW/KV(n)$: every sequence reads a cache of its own", "$BW/KV(n)$：每条序列都要读自己的缓存")
    return [*made, Claim("cache_caps_throughput", never, rates[-1], "<", cap, reads)]


def gain_claim(result: "Result") -> Claim:
    """What batching gives while bandwidth is the limit: the weights are shared, the caches are not."""
    params, chip, bits = result.params, result.chip, result.params.weight_bits
    seconds = [chip.seconds(result.decoding[n].flops, result.decoding[n].size(bits)) for n in (1, 64)]
    weights, cache = read_bytes(result), cache_bytes(result)
    sentence = Text(
        f"Tokens per second of 64 sequences over those of one, {params.context:,} tokens cached",
        f"64 条序列与 1 条的每秒 token 数之比，各缓存 {params.context:,} 个 token",
    )
    why = Text(
        "$64\\,(Nb+KV)/(Nb+64\\,KV)$: weights are read once, caches 64 times",
        "$64\\,(Nb+KV)/(Nb+64\\,KV)$：权重只读一遍，缓存要读 64 份",
    )
    expected = 64 * (weights + cache) / (weights + 64 * cache)
    return Claim("batching_gain", sentence, 64 * seconds[0] / seconds[1], "=", expected, why, 1e-9 * expected)


def time_claims(times: torch.Tensor) -> list[Claim]:
    """By the clock of this machine: the fastest of nine runs taken in turns, and only robust inequalities."""
    dense, zeros, _ = times.amin(-1)  # (batch,) each
    sentence = Text(
        "Time of the product with 90% zeros over the dense one, batch 64", "batch 64 时，90% 为零与稠密乘积的用时之比"
    )
    longer = Text("Time at batch 64 over time at batch 1, dense", "稠密乘积 batch 64 与 batch 1 的用时之比")
    why = Text(
        "the same work; a tenth if zeros were skipped. Fastest of 9 runs; the bound leaves room for noise",
        "运算量相同；若真能跳过零应为十分之一。取 9 次中最快的，界限给干扰留了余地",
    )
    shared = Text(
        "64 times the work, but the matrix is read once; fastest of 9 runs",
        "运算量 64 倍，但矩阵只读一遍；取 9 次中最快的",
    )
    return [
        Claim("zeros_save_no_time", sentence, (zeros[-1] / dense[-1]).item(), ">", 0.5, why),
        Claim("batch_shares_the_read", longer, (dense[-1] / dense[0]).item(), "<", 64.0, shared),
    ]
