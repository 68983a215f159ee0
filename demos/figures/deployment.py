"""The figures of `deployment`."""

from typing import TYPE_CHECKING

import torch

from demos.kit import charts
from demos.kit.charts import BLUE, GREEN, GREY, ORANGE, PURPLE, Axis, Guide, Line
from demos.kit.chips import Step
from demos.kit.contract import Picture
from demos.kit.published import MODELS, parameters
from language import Text, same

if TYPE_CHECKING:
    from demos.deployment import Params, Result

METHODS = {
    "zeros": Text("zeros", "置零"),
    "bits": Text("fewer bits", "减比特"),
    "channels": Text("fewer channels", "减通道"),
}
CHANCE = 1 / 12  # 12 symbols
BATCHES = (1, 8, 64)  # that are timed
QUIET = 0.25  # an interquartile range above this share of the median is a noisy machine
NO_KERNEL = Text(
    "– no int8 kernel here: the same integers, multiplied in fp32", "——这里没有 int8 kernel：同样的整数改用 fp32 相乘"
)
MEMORY, COMPUTE = Text("memory bandwidth", "内存带宽"), Text("arithmetic", "算力")
TEN = Axis(Text("batch B", "batch 大小 B"), log=True, ticks=(1, 10, 100, 1000))


def pictures(result: "Result") -> list[Picture]:
    """Bytes and accuracy of formats, accuracy against the setting; roofline and ceilings of a chip; the clock."""
    made = [file_picture(result), accuracy_picture(result), roofline_picture(result), batch_picture(result)]
    return [*made, clock_picture(result, result.times)] if result.times is not None else made


def chosen_name(params: "Params") -> Text:
    """What the knobs ask for."""
    if params.method == "bits":
        return Text(f"{params.bits} bits", f"{params.bits} 比特")
    if params.method == "zeros":
        return Text(f"{params.zeros:.0%} zeros", f"{params.zeros:.0%} 为零")
    return Text(f"{params.channels} of 64 channels", f"64 留 {params.channels} 通道")


def file_picture(result: "Result") -> Picture:
    """Size of the file in every format, with the accuracy beside the name."""
    int8 = same("int8") if result.native else Text("int8, emulated", "int8（模拟）")
    names = {
        "fp32": same("fp32"),
        "bf16": same("bf16"),
        "int8": int8,
        "int4": Text("4 bits", "4 比特"),
        "zeros": Text("90% zeros", "90% 为零"),
        "half": Text("32 of 64 channels", "64 留 32 通道"),
    }
    chosen, name, fp32 = result.chosen, chosen_name(result.params), result.formats["fp32"]
    rows = [(names[form], measured) for form, measured in result.formats.items()]
    if name not in names.values():
        rows.append((name, chosen))
    labels = [Text(f"{row.en} · {m.accuracy:.0%}", f"{row.zh} · {m.accuracy:.0%}") for row, m in rows]
    sizes = [measured.file / 1000 for _, measured in rows]
    share, work = chosen.file / fp32.file, chosen.flops / fp32.flops
    note = same("") if result.native else Text(f" {NO_KERNEL.en}", NO_KERNEL.zh)
    spoken = [f"{label.en} {size:.0f}" for label, size in zip(labels, sizes, strict=True)]
    said = [f"{label.zh} {size:.0f}" for label, size in zip(labels, sizes, strict=True)]
    return Picture(
        "files",
        Text(
            f"{name.en}: {share:.0%} of the file, {work:.0%} of the FLOPs, {chosen.accuracy:.1%} right "
            f"(fp32: {fp32.accuracy:.1%}){note.en}",
            f"{name.zh}：文件剩 {share:.0%}，FLOPs 剩 {work:.0%}，正确率 {chosen.accuracy:.1%}"
            f"（fp32 为 {fp32.accuracy:.1%}）{note.zh}",
        ),
        Text(
            f"Size of the saved file in kB and share of symbols right: {'; '.join(spoken)}.",
            f"文件大小（kB）与符号正确率：{'；'.join(said)}。",
        ),
        charts.named_bars(
            labels,
            sizes,
            Text("file in kB (name · accuracy)", "文件（kB）；名称后为正确率"),
            [ORANGE if row == name else BLUE for row, _ in rows],
        ),
    )


def accuracy_picture(result: "Result") -> Picture:
    """Accuracy against the setting of the chosen method."""
    params, x = result.params, list(result.settings)
    at = x.index(getattr(params, params.method))
    name, here = chosen_name(params), [curve[at].item() for curve in result.curves]
    if params.method == "bits":
        names, ticks = (Text("scale per channel", "每通道一个 scale"), Text("per matrix", "每矩阵一个")), x
        ends = f": {here[0]:.1%} with a scale per channel, {here[1]:.1%} with one per matrix"
        rest = f"：每通道一个 scale 时 {here[0]:.1%}，每矩阵一个时 {here[1]:.1%}"
    else:
        names = (Text("after compression", "压缩之后"),)
        ticks = (0, 0.25, 0.5, 0.75, 1) if params.method == "zeros" else x
        ends, rest = f": {here[0]:.1%}; guessing gives {CHANCE:.1%}", f"：{here[0]:.1%}；瞎猜是 {CHANCE:.1%}"
    colors = (BLUE, PURPLE)
    series = [
        Line(label, x, curve, color, markers=True)
        for label, curve, color in zip(names, result.curves, colors, strict=False)
    ]
    listed = "; ".join(", ".join(f"{value:.3f}" for value in curve.tolist()) for curve in result.curves)
    figure = charts.lines(
        series,
        Axis(KNOBS[params.method], ticks=ticks),
        Axis(Text("symbols right", "符号正确率"), range=(0, 1.05), ticks=(0, 0.25, 0.5, 0.75, 1)),
        [Guide(CHANCE, Text("guessing", "瞎猜")), Guide(x[at], "", vertical=True)],
    )
    if params.method == "zeros":  # the curve ends where the label would stand
        figure["layout"]["annotations"][0] |= {"x": 0, "xanchor": "left"}
    return Picture(
        "accuracy",
        Text(f"Accuracy with {name.en}{ends}", f"{name.zh}时的正确率{rest}"),
        Text(
            f"Accuracy at {', '.join(f'{value:g}' for value in x)}: {listed}.",
            f"取值 {', '.join(f'{value:g}' for value in x)} 时的正确率：{listed}。",
        ),
        figure,
    )


KNOBS = {
    "bits": Text("bits per weight b", "权重比特数 b"),
    "zeros": Text("share of zeros", "零的比例"),
    "channels": Text("FFN channels kept, of 64", "64 个 FFN 通道中保留的个数"),
}


def intensity(step: Step, bits: int) -> float:
    """FLOPs per byte from memory."""
    return step.flops / step.size(bits)


def roofline_picture(result: "Result") -> Picture:
    """Where the step, a single sequence and a prefill lie under the roof of the chip."""
    params, chip = result.params, result.chip
    step, bits = result.decoding[params.batch], params.weight_bits
    steps = {"one": result.decoding[1], "step": step, "prefill": result.prefill}
    at = {name: intensity(each, bits) for name, each in steps.items()}
    roof = torch.logspace(-1, 4.5, 111)  # FLOPs per byte
    teras = [chip.attainable(x) / 1e12 for x in roof.tolist()]
    names = {
        "one": (Text("B = 1", "B = 1"), GREY),
        "prefill": (Text("prefill", "prefill"), GREEN),
        "step": (Text(f"B = {params.batch}", f"B = {params.batch}"), ORANGE),
    }
    dots = [
        Line(label, [at[name]], [chip.attainable(at[name]) / 1e12], color, markers=True)
        for name, (label, color) in names.items()
        if name != "one" or params.batch > 1
    ]
    bound = MEMORY if at["step"] < chip.ridge else COMPUTE
    share = chip.attainable(at["step"]) / chip.peak
    figure = charts.lines(
        [Line(Text("roof", "roofline"), roof, teras, BLUE), *dots],
        Axis(Text("FLOPs per byte", "每字节 FLOPs"), log=True),
        Axis(Text("attainable TFLOP/s", "可达 TFLOP/s"), log=True),
        [Guide(chip.ridge, "", vertical=True)],
    )
    for trace in figure["data"][1:]:
        trace["marker"] = {"size": 12}
    return Picture(
        "roofline",
        Text(
            f"{chip.name.en}, decoding at batch {params.batch}: {at['step']:.3g} FLOPs per byte against a ridge of "
            f"{chip.ridge:.3g}, bound by {bound.en}, at most {100 * share:.2g}% of the peak",
            f"{chip.name.zh}，batch 为 {params.batch} 的解码：每字节 {at['step']:.3g} FLOPs，拐点在 {chip.ridge:.3g}，"
            f"受{bound.zh}限制，至多用到峰值的 {100 * share:.2g}%",
        ),
        Text(
            f"Attainable TFLOP/s against FLOPs per byte on log axes: a slope up to {chip.ridge:.1f}, then flat at "
            f"{chip.peak / 1e12:g}. Dots: one sequence {at['one']:.2f}, batch {params.batch} {at['step']:.2f}, "
            f"prefill of {params.context} tokens {at['prefill']:.0f} FLOPs per byte.",
            f"可达 TFLOP/s 对每字节 FLOPs，双对数坐标：到 {chip.ridge:.1f} 为斜线，之后是 {chip.peak / 1e12:g} 的平顶。"
            f"点：单条序列 {at['one']:.2f}，batch {params.batch} 为 {at['step']:.2f}，"
            f"{params.context} 个 token 的 prefill 为 {at['prefill']:.0f} FLOPs 每字节。",
        ),
        figure,
    )


def room(result: "Result") -> tuple[float, int]:
    """Bytes that are left beside all weights, and how many sequences of the chosen length fit into them."""
    params = result.params
    weights = sum(parameters(MODELS[params.model]).values()) * params.weight_bits / 8
    free = result.chip.memory - weights
    return free, max(0, int(free // result.decoding[1].cache))


def fitting(batches: list[int], most: list[float], fits: int) -> list[Line]:
    """The ceiling up to the largest batch that the memory holds, and beyond it."""
    held = sum(batch <= fits for batch in batches)
    parts = (
        Line(Text("fits", "放得下"), batches[:held], most[:held], BLUE),
        Line(Text("does not fit", "放不下"), batches[max(0, held - 1) :], most[max(0, held - 1) :], BLUE, dash="dash"),
    )
    return [line for line, shown in zip(parts, (held > 0, held < len(batches)), strict=True) if shown]


def batch_picture(result: "Result") -> Picture:
    """Least time of a step and most tokens per second against the batch."""
    params, chip, bits = result.params, result.chip, result.params.weight_bits
    batches = list(result.decoding)
    bare = result.alone
    most = [b / chip.seconds(step.flops, step.size(bits)) for b, step in result.decoding.items()]
    no_cache = [b / chip.seconds(b * bare.flops, bare.size(bits)) for b in batches]
    step = result.decoding[params.batch]
    least, tokens = chip.seconds(step.flops, step.size(bits)), most[batches.index(params.batch)]
    free, fits = room(result)
    if params.batch <= fits:
        memory = Text(f"{fits:,} such sequences fit", f"放得下 {fits:,} 条这样的序列")
    else:
        short = (params.batch * result.decoding[1].cache - free) / 1e9
        memory = Text(f"DOES NOT FIT, {short:.1f} GB short", f"放不下，还差 {short:.1f} GB")
    series = [
        Line(Text("without cache reads", "不计读缓存"), batches, no_cache, GREY, dash="dot"),
        *fitting(batches, most, fits),
        Line(Text(f"B = {params.batch}", f"B = {params.batch}"), [params.batch], [tokens], ORANGE, markers=True),
    ]
    figure = charts.lines(
        series,
        TEN,
        Axis(Text("tokens per second, at most", "每秒 token 数上限"), log=True),
    )
    figure["data"][-1]["marker"] = {"size": 12}
    name = MODELS[params.model].name
    return Picture(
        "batch",
        Text(
            f"{name}, {bits} bits, {chip.name.en}, batch {params.batch}: at least {1e3 * least:.3g} ms per step, "
            f"at most {tokens:,.0f} tokens/s; {memory.en}",
            f"{name}，{bits} 比特，{chip.name.zh}，batch {params.batch}：每步至少 {1e3 * least:.3g} ms，"
            f"至多 {tokens:,.0f} token/s；{memory.zh}",
        ),
        Text(
            f"Ceiling in tokens per second at batches {', '.join(map(str, batches))}: "
            f"{', '.join(f'{value:.0f}' for value in most)}; without cache reads "
            f"{', '.join(f'{value:.0f}' for value in no_cache)}.",
            f"batch 为 {', '.join(map(str, batches))} 时每秒 token 数上限："
            f"{', '.join(f'{value:.0f}' for value in most)}；不计读缓存为 "
            f"{', '.join(f'{value:.0f}' for value in no_cache)}。",
        ),
        figure,
    )


def clock_picture(result: "Result", times: torch.Tensor) -> Picture:
    """Rows per second of one large product on this machine, against the batch."""
    low, middle, high = times.quantile(torch.tensor([0.25, 0.5, 0.75]), -1)  # (format, batch) each
    spread = ((high - low) / middle).max().item()
    batches = torch.tensor(BATCHES)
    int8 = same("int8") if result.native else Text("int8, emulated", "int8（模拟）")
    names = (same("fp32"), Text("90% zeros", "90% 为零"), int8)
    rates = batches / middle  # (format, batch)
    dense, zeros, whole = (1e3 * middle).tolist()
    noisy = Text("NOISY MACHINE, ", "机器有干扰：") if spread > QUIET else same("")
    spans = [
        ", ".join(f"{1e3 * m:.3g} ({1e3 * a:.3g}–{1e3 * b:.3g})" for a, m, b in quartiles)
        for quartiles in torch.stack([low, middle, high], -1).tolist()  # (format, batch, quartile)
    ]
    spoken = (
        "; ".join(f"{name.en} {span}" for name, span in zip(names, spans, strict=True)),
        "；".join(f"{name.zh} {span}" for name, span in zip(names, spans, strict=True)),
    )
    return Picture(
        "clock",
        Text(
            f"{noisy.en}1024 × 4096 product here: 64 rows take {dense[2] / dense[0]:.1f} times as long as one; with 64 "
            f"rows zeros take {zeros[2] / dense[2]:.2f} and int8 {whole[2] / dense[2]:.2f} of the dense time",
            f"{noisy.zh}本机 1024 × 4096 乘积：64 行的用时是 1 行的 {dense[2] / dense[0]:.1f} 倍；"
            f"64 行时，置零后用时是稠密的 {zeros[2] / dense[2]:.2f}，int8 是 {whole[2] / dense[2]:.2f}",
        ),
        Text(
            f"Median milliseconds (and interquartile range) at batch 1, 8, 64: {spoken[0]}.",
            f"batch 为 1、8、64 时的毫秒中位数（四分位距）：{spoken[1]}。",
        ),
        charts.lines(
            [
                Line(name, batches, rate, color, markers=True)
                for name, rate, color in zip(names, rates, (BLUE, ORANGE, GREEN), strict=True)
            ],
            Axis(Text("batch (rows)", "batch（行数）"), log=True, ticks=BATCHES),
            Axis(Text("rows per second", "每秒行数"), log=True),
        ),
    )
