"""The figures of `memory_and_compute`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from demos.kit import charts
from demos.kit.charts import BLUE, GREEN, ORANGE, PURPLE, Axis, Guide, Line
from demos.kit.contract import Picture
from demos.kit.published import MODELS, parameters
from language import Text

if TYPE_CHECKING:
    from demos.kit.measured import Measured
    from demos.memory_and_compute import Result

BYTES = {"bf16": 2, "fp32": 4}
MIB, GB = 2**20, 10**9
HERE = {
    "naive": Text("attention, naive", "注意力，朴素"),
    "tiles": Text("attention, our tiles", "注意力，我们的分块"),
    "fused": Text("attention, fused", "注意力，融合 kernel"),
    "all": Text("step, all kept", "训练一步，全部保存"),
    "checkpoints": Text("step, checkpoints", "训练一步，检查点"),
}
COUNTED, LENGTH = Text("counted", "实测"), Text("sequence length n", "序列长度 n")


def pictures(result: "Result") -> list[Picture]:
    """The n × n part of a layer, attention in tiles, checkpoints, and the bill of a published model."""
    made = [share_picture(result), tile_picture(result), checkpoint_picture(result), bill_picture(result)]
    return [*made, *here_pictures(result.here)] if result.here else made


def draw(series: list[Line], x: Axis, y: Axis, guides: Sequence[Guide] = ()) -> dict[str, Any]:
    """Lines whose last one shares its name with the one before, and so needs no place in the legend."""
    figure = charts.lines(series, x, y, guides)
    figure["data"][-1]["showlegend"] = False
    return figure


def share_picture(result: "Result") -> Picture:
    """Share of the n × n part in FLOPs and in kept bytes against the length: formulas, and the layer just run."""
    params, layer = result.params, result.layer
    n, d, a, e = params.length, params.width, params.heads, BYTES[params.precision]
    lengths = torch.logspace(3, 14, 89, base=2)
    square, linear = (2 * e + 1) * a * lengths, (16 * e + 2) * d
    flops, kept = result.tiles.flops[0] / layer.flops, layer.square_kept / layer.kept
    series = [
        Line(Text("bytes", "字节"), lengths, square / (square + linear), ORANGE, dash="dot"),
        Line(Text("FLOPs", "FLOPs"), lengths, lengths / (lengths + 6 * d), BLUE, dash="dot"),
        Line(COUNTED, [n], [kept], ORANGE, markers=True),
        Line(COUNTED, [n], [flops], BLUE, markers=True),
    ]
    return Picture(
        "shares",
        Text(
            f"At n = {n} the n × n part takes {flops:.0%} of the FLOPs and {kept:.0%} of the bytes kept; "
            f"it is half of the FLOPs at n = 6d = {6 * d:,}",
            f"n = {n} 时，n × n 部分占 FLOPs 的 {flops:.0%}，占所存字节的 {kept:.0%}；"
            f"到 n = 6d = {6 * d:,} 才占 FLOPs 的一半",
        ),
        Text(
            f"Shares of the n × n part against the length; counted at {n}: {flops:.3f} of {layer.flops:,} FLOPs, "
            f"{kept:.3f} of {layer.kept:,} bytes.",
            f"n × n 部分的占比随长度的变化；{n} 处实测：{layer.flops:,} FLOPs 的 {flops:.3f}，"
            f"{layer.kept:,} 字节的 {kept:.3f}。",
        ),
        draw(
            series,
            Axis(LENGTH, log=True, ticks=(16, 128, 1024, 8192)),
            Axis(Text("share of the n × n part", "n × n 部分的占比"), range=(0, 1)),
            [Guide(6 * d, "", vertical=True)],
        ),
    )


def tile_picture(result: "Result") -> Picture:
    """Peak memory of attention against the length: formulas, and two lengths just run."""
    n, tiles = result.params.length, result.tiles
    lengths = torch.tensor([32.0, 8192.0])
    naive, tiled = tiles.naive[1], tiles.tiled[1]
    series = [
        Line(Text("naive, ∝ n²", "朴素，∝ n²"), lengths, naive / MIB * (lengths / n) ** 2, ORANGE, dash="dot"),
        Line(Text("tiles, ∝ n", "分块，∝ n"), lengths, tiled / MIB * lengths / n, BLUE, dash="dot"),
        Line(COUNTED, [n / 2, n], [size / MIB for size in tiles.naive], ORANGE, markers=True),
        Line(COUNTED, [n / 2, n], [size / MIB for size in tiles.tiled], BLUE, markers=True),
    ]
    return Picture(
        "tiles",
        Text(
            f"At n = {n} attention needs {naive / MIB:.2f} MiB for all scores at once, {tiled / MIB:.2f} MiB in tiles; "
            "the FLOPs are the same",
            f"n = {n} 时，一次算出全部分数要 {naive / MIB:.2f} MiB，分块要 {tiled / MIB:.2f} MiB，FLOPs 相同",
        ),
        Text(
            f"Peak memory against the length on log axes; naive {tiles.naive[0]:,} and {naive:,} bytes at {n // 2} and "
            f"{n}, tiles {tiles.tiled[0]:,} and {tiled:,}.",
            f"峰值内存随长度的变化（对数轴）；长度 {n // 2} 和 {n} 处，朴素 {tiles.naive[0]:,} 和 {naive:,} 字节，"
            f"分块 {tiles.tiled[0]:,} 和 {tiled:,} 字节。",
        ),
        draw(
            series,
            Axis(LENGTH, log=True, ticks=(32, 128, 512, 2048, 8192)),
            Axis(Text("peak (MiB, fp32)", "峰值（MiB，fp32）"), log=True),
        ),
    )


def checkpoint_picture(result: "Result") -> Picture:
    """Peak activation memory of a training step with and without checkpoints."""
    layers, group, steps = result.params.layers, result.params.group, result.steps
    names = {
        0: Text("keep all", "全部保存"),
        group: Text(f"every {group} layers", f"每 {group} 层"),
        1: Text("every layer", "每层"),
    }
    peaks = {key: steps[key].peak / 1024 for key in sorted(steps)}
    ratio = steps[1].flops / steps[0].flops
    spoken = (
        [f"{names[key].en} {peaks[key]:.0f}" for key in peaks],
        [f"{names[key].zh} {peaks[key]:.0f}" for key in peaks],
    )
    return Picture(
        "checkpoints",
        Text(
            f"{layers} layers: a checkpoint at every layer cuts the peak from {peaks[0]:.0f} to {peaks[1]:.0f} KiB "
            f"for {ratio:.2f} times the FLOPs",
            f"{layers} 层：每层一个检查点，峰值从 {peaks[0]:.0f} 降到 {peaks[1]:.0f} KiB，FLOPs 变为 {ratio:.2f} 倍",
        ),
        Text(f"Peak KiB: {', '.join(spoken[0])}.", f"峰值 KiB：{'，'.join(spoken[1])}。"),
        charts.named_bars(
            [names[key] for key in peaks],
            list(peaks.values()),
            Text("peak activations (KiB)", "激活峰值（KiB）"),
            [ORANGE if key == 0 else GREEN if key == group else BLUE for key in peaks],
        ),
    )


def bill_picture(result: "Result") -> Picture:
    """State in training, and weights and cache in serving, of a published model."""
    params, config = result.params, MODELS[result.params.model]
    count = sum(parameters(config).values())
    tokens = min(params.context, config.positions or params.context)  # GPT-2 has vectors for 1024 positions only
    train = {name: each * count / GB for name, each in result.state.items()}
    weights, cache = train["weights"], result.cache * tokens / GB
    names = [
        Text("train: weights", "训练：权重"),
        Text("train: gradients", "训练：梯度"),
        Text("train: optimiser", "训练：优化器"),
        Text("serve: weights", "推理：权重"),
        Text("serve: KV cache", "推理：KV 缓存"),
    ]
    state = sum(train.values())
    return Picture(
        "bill",
        Text(
            f"{config.name}: {state:,.1f} GB to train before any activation; to serve {weights:,.1f} GB and "
            f"{cache:.2g} GB of cache for {tokens:,} tokens",
            f"{config.name}：训练时激活之外要 {state:,.1f} GB；推理要 {weights:,.1f} GB，"
            f"加 {tokens:,} 个 token 的缓存 {cache:.2g} GB",
        ),
        Text(
            f"Bars in GB: training weights {weights:.2f}, gradients {train['gradients']:.2f}, optimiser "
            f"{train['optimiser']:.2f}; serving weights {weights:.2f}, cache {cache:.3f}; {count:,} parameters.",
            f"条形图（GB）：训练权重 {weights:.2f}、梯度 {train['gradients']:.2f}、优化器 {train['optimiser']:.2f}；"
            f"推理权重 {weights:.2f}、缓存 {cache:.3f}；参数 {count:,} 个。",
        ),
        charts.named_bars(
            names,
            [*train.values(), weights, cache],
            Text("GB (10⁹ bytes)", "GB（10⁹ 字节）"),
            [ORANGE, ORANGE, ORANGE, BLUE, PURPLE],
        ),
    )


def told(what: Text, values: dict[str, float]) -> Text:
    """All bars in words."""
    return Text(
        what.en + "; ".join(f"{HERE[name].en} {value:,.2f}" for name, value in values.items()) + ".",
        what.zh + "；".join(f"{HERE[name].zh} {value:,.2f}" for name, value in values.items()) + "。",
    )


def here_pictures(here: "Measured") -> list[Picture]:
    """The peaks of this device's allocator, and its milliseconds, which are shown and not claimed."""
    peaks, times = {name: size / 1024 for name, size in here.peaks.items()}, here.middle
    fused, step = times["naive"] / times["fused"], times["checkpoints"] / times["all"]
    colors = [ORANGE, BLUE, GREEN, ORANGE, GREEN]
    return [
        Picture(
            "peaks_here",
            Text(
                f"By the allocator of this device the fused kernel peaks at {peaks['fused']:,.0f} KiB, naive attention "
                f"at {peaks['naive']:,.0f} KiB",
                f"按本机分配器，融合 kernel 的峰值是 {peaks['fused']:,.0f} KiB，朴素注意力是 {peaks['naive']:,.0f} KiB",
            ),
            told(Text("Peak KiB: ", "峰值（KiB）："), peaks),
            charts.named_bars(list(HERE.values()), list(peaks.values()), Text("peak (KiB)", "峰值（KiB）"), colors),
        ),
        Picture(
            "times_here",
            Text(
                f"Just now: the fused kernel was {fused:.1f} times as fast as naive attention; checkpoints took "
                f"{step:.2f} times the step{here.warning[0]}",
                f"刚才的计时：融合 kernel 的速度是朴素注意力的 {fused:.1f} 倍；有检查点的一步，用时是原来的 "
                f"{step:.2f} 倍{here.warning[1]}",
            ),
            told(Text("Median milliseconds of five: ", "五次的中位数（毫秒）："), times),
            charts.named_bars(list(HERE.values()), list(times.values()), Text("milliseconds", "毫秒"), colors),
        ),
    ]
