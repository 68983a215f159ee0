"""The claims of `memory_and_compute`."""

import math
from typing import TYPE_CHECKING

import torch

from demos.kit.contract import Claim
from demos.kit.published import MODELS, parameters
from language import Text, same

if TYPE_CHECKING:
    from demos.memory_and_compute import Result

BYTES = {"bf16": 2, "fp32": 4}
STATISTICS = 16  # bytes for each token: mean and deviation of two norms, four numbers of at most four bytes
EXACT = Text("counted, not estimated", "数出来的，不是估计")


def claims(result: "Result") -> list[Claim]:
    """A layer, attention in tiles, checkpoints, the optimiser, and published models."""
    return [
        *layer_claims(result),
        *tile_claims(result),
        *checkpoint_claims(result),
        *model_claims(result),
        *here_claims(result),
    ]


def layer_claims(result: "Result") -> list[Claim]:
    """FLOPs and kept bytes of one layer against the formulas, and the share of the n × n part in both."""
    params, layer = result.params, result.layer
    n, d, a, e = params.length, params.width, params.heads, BYTES[params.precision]
    linear, square = (16 * e + 2) * n * d, (2 * e + 1) * a * n * n
    of_kept = Text(
        f"Bytes that a layer keeps for its backward pass: ${16 * e + 2}\\,nd+{2 * e + 1}\\,an^2$",
        f"一层为反向传播保存的字节：${16 * e + 2}\\,nd+{2 * e + 1}\\,an^2$",
    )
    why_kept = Text(
        "tensor by tensor as in Korthikanti et al.; up to 16 bytes a token more for the statistics of two LayerNorms",
        "按 Korthikanti 等人的方法逐个张量数；两个 LayerNorm 的统计量每个 token 至多再加 16 字节",
    )
    why_flops = Text(
        "$8nd^2$ projections, $16nd^2$ FFN, $4n^2d$ scores and weighted sums",
        "投影 $8nd^2$，FFN $16nd^2$，分数与加权和 $4n^2d$",
    )
    memory_share = Text("Share of these bytes in $n\\times n$ matrices", "这些字节中 $n\\times n$ 矩阵的占比")
    compute_share = Text("Share of the FLOPs in $n\\times n$ products", "FLOPs 中 $n\\times n$ 乘积的占比")
    shares = result.tiles.flops[0] / layer.flops, layer.square_kept / layer.kept
    expected = square / (linear + square)
    why_share = Text("the same formula without LayerNorm's statistics", "同一公式，不计 LayerNorm 的统计量")
    return [
        Claim(
            "layer_flops",
            Text("Forward FLOPs of a layer: $24nd^2+4n^2d$", "一层前向的 FLOPs：$24nd^2+4n^2d$"),
            layer.flops,
            "=",
            24 * n * d * d + 4 * n * n * d,
            why_flops,
        ),
        Claim("square_share_of_flops", compute_share, shares[0], "=", n / (n + 6 * d), same("$n/(n+6d)$")),
        Claim("layer_bytes", of_kept, layer.kept, "=", linear + square, why_kept, STATISTICS * n),
        Claim("square_share_of_bytes", memory_share, shares[1], "=", expected, why_share, STATISTICS * n / layer.kept),
    ]


def tile_claims(result: "Result") -> list[Claim]:
    """Naive attention is quadratic in memory, tiles are linear; neither numbers nor FLOPs change."""
    tiles, n, d, a = result.tiles, result.params.length, result.params.width, result.params.heads
    naive, tiled = tiles.naive[1] / tiles.naive[0], tiles.tiled[1] / tiles.tiled[0]
    quadratic = Text("Naive attention: doubling $n$ multiplies its peak by 4", "朴素注意力：$n$ 翻倍，峰值变为 4 倍")
    linear = Text("Attention in tiles: doubling $n$ multiplies its peak by 2", "分块注意力：$n$ 翻倍，峰值变为 2 倍")
    right = Text(
        "Tiles give what PyTorch's attention gives (largest difference)",
        "分块的结果与 PyTorch 的注意力一致（最大差异）",
    )
    flops = Text("Tiles need the same FLOPs in products (ratio)", "分块所需的乘积 FLOPs 不变（比值）")
    rounding = 100 * torch.finfo(torch.float32).eps * math.sqrt(n)
    why = Text("fp32 rounding of sums over n terms", "n 项求和的 fp32 舍入误差")
    peak = Text("Peak bytes of naive attention (fp32)", "朴素注意力的峰值字节（fp32）")
    why_peak = Text(
        "scores and weights live together, $2\\cdot4an^2$; or, if larger, weights and output, $4an^2+4nd$",
        "分数与权重同时存在，$2\\cdot4an^2$；权重加输出 $4an^2+4nd$ 更大时取后者",
    )
    of_tiles = Text("n queries against a tile of 32 keys", "n 个 query 对 32 个 key 的一块")
    return [
        Claim("naive_peak", peak, tiles.naive[1], "=", 4 * a * n * n + max(4 * a * n * n, 4 * n * d), why_peak),
        # below that length the output, linear in n, is larger than the scores
        *([Claim("naive_is_quadratic", quadratic, naive, "=", 4.0, same("$n^2$"))] if a * n >= 2 * d else []),
        Claim("tiles_are_linear", linear, tiled, "=", 2.0, of_tiles),
        Claim("tiles_are_exact", right, tiles.difference, "<=", 0.0, why, rounding),
        Claim("tiles_save_no_flops", flops, tiles.flops[1] / tiles.flops[0], "=", 1.0, EXACT),
    ]


def checkpoint_claims(result: "Result") -> list[Claim]:
    """What checkpoints keep, what they cost, and that the gradients stay the same."""
    layers, group = result.params.layers, result.params.group
    block, c = result.one_block, result.input_bytes
    everything, step = result.steps[0], result.steps[group]
    sizes = [min(group, layers - first) for first in range(0, layers, group)]
    worst = max(size * block + place * c for place, size in enumerate(sizes))
    peak = everything.peak - step.peak
    change = (step.gradients - everything.gradients).abs().max().item()
    of_all = Text("Without checkpoints all $L$ layers keep their activations", "没有检查点时，$L$ 层的激活全部保存")
    of_inputs = Text(
        "With a checkpoint every $k$ layers, one input per group is kept", "每 $k$ 层一个检查点时，每组只保存一个输入"
    )
    of_peak = Text(
        "Bytes that the peak falls: all layers against the inputs and one group",
        "峰值减少的字节：从全部各层，降到各组输入加一组的激活",
    )
    of_cost = Text("FLOPs of the step, with against without checkpoints", "一步的 FLOPs：有检查点比没有")
    why_cost = Text("forward, forward again, backward = 2 forward: $4/3$", "前向、再前向、反向为前向的 2 倍：$4/3$")
    same_steps = Text("the same operations on the same numbers", "同样的数做同样的运算")
    of_gradients = Text("Largest change of a gradient by recomputing", "重算引起的梯度最大变化")
    return [
        Claim("kept_by_all_layers", of_all, everything.kept, "=", layers * block, EXACT),
        Claim("kept_with_checkpoints", of_inputs, step.kept, "=", math.ceil(layers / group) * c, EXACT),
        Claim("peak_falls", of_peak, peak, "=", layers * block - worst, EXACT),
        Claim("recomputing_costs_a_third", of_cost, step.flops / everything.flops, "=", 4 / 3, why_cost),
        Claim("recomputing_changes_no_gradient", of_gradients, change, "=", 0.0, same_steps),
    ]


def model_claims(result: "Result") -> list[Claim]:
    """Adam's bytes per parameter, the parameters of a published model, and a token of its cache."""
    config, e = MODELS[result.params.model], BYTES[result.params.precision]
    state = sum(result.state.values())
    of_state = Text("Adam: bytes per parameter before any activation", "Adam：激活之外每个参数的字节数")
    why_state = same("$2+2+(4+4+4)$" if e == 2 else "$4+4+(4+4)$")
    of_model = Text(f"Parameters of {config.name}, from its configuration", f"{config.name} 的参数量，由配置算出")
    why_model = Text("the number of its checkpoint", "其检查点的参数总数")
    of_cache = Text(
        f"{config.name}: bytes of cache per token, $2\\,L\\,n_{{kv}}\\,d_{{head}}$ numbers",
        f"{config.name}：每个 token 的缓存字节数，$2\\,L\\,n_{{kv}}\\,d_{{head}}$ 个数",
    )
    expected = 2 * config.layers * config.kv_heads * config.head_width * e
    count = sum(parameters(config).values())
    return [
        Claim("adam_bytes", of_state, state, "=", 16.0, why_state),
        Claim("parameters_are_published", of_model, count, "=", config.published, why_model),
        Claim("cache_per_token", of_cache, result.cache, "=", expected, EXACT),
    ]


def here_claims(result: "Result") -> list[Claim]:
    """What the allocator of this device says, when asked. Time belongs to the machine and is only shown."""
    if result.here is None:
        return []
    peaks, n, d, a = result.here.peaks, result.params.length, result.params.width, result.params.heads
    device = Text("Allocator of this device: peak of naive attention", "本机分配器：朴素注意力的峰值字节")
    tensors = Text("at least the tensors that live together", "至少是同时存在的那些张量")
    fused = Text(
        "Allocator of this device: peak of PyTorch's fused kernel", "本机分配器：PyTorch 融合 kernel 的峰值字节"
    )
    lower = Text("below that of naive attention: it never holds all scores", "低于朴素注意力：从不保存全部分数")
    steps = Text(
        "Allocator of this device: peak of a step with checkpoints", "本机分配器：有检查点的一步训练的峰值字节"
    )
    fewer = Text("below that of the same step with everything kept", "低于全部保存的同一步")
    made = [
        Claim("allocator_agrees", device, peaks["naive"], ">=", result.tiles.naive[1], tensors),
        Claim("allocator_sees_checkpoints", steps, peaks["checkpoints"], "<", peaks["all"], fewer),
    ]
    if a * n >= 4 * d:  # in shorter sequences the kernel's tiles and output outweigh the few scores
        made.append(Claim("fused_needs_less", fused, peaks["fused"], "<", peaks["naive"], lower))
    return made
