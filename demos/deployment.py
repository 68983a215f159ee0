"""What quantising and pruning do to bytes, FLOPs and accuracy, and what a chip's roofline allows a decoder to do."""

import io
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.claims.deployment import claims
from demos.figures.deployment import METHODS, pictures
from demos.kit.chips import CHIPS, Chip, Step, decode
from demos.kit.contract import Demo, Prediction, Preset
from demos.kit.counting import clock, count
from demos.kit.knobs import Choice, Range, Spaced, Switch, powers_of_two
from demos.kit.lab import Lab
from demos.kit.published import MODELS
from demos.kit.quantised import Int8, by_hand, by_kernel, int8_product, pack, quantise, times_int8
from demos.kit.stacked_encoder import SYMBOLS, Weights, network, new_weights
from demos.kit.stage import stage
from language import Text, same

LENGTH = 10  # symbols of a sequence
STEPS, BATCH, RATE, WARMUP, TESTED = 300, 32, 3e-3, 40, 400  # training; sequences in the test
MATRICES = ("projections", "output", "wide", "narrow", "symbols_out")  # compressed; embeddings and gains are not
ZEROS, SHARES, CHANNELS = 0.9, (0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1), (8, 16, 32, 48, 64)
SETTINGS = {"bits": range(2, 9), "one_scale": range(2, 9), "zeros": SHARES, "channels": CHANNELS}
FORMATS = {"fp32": ("zeros", 0), "bf16": ("bf16", 16), "int8": ("int8", 8), "int4": ("bits", 4)}
FORMATS |= {"zeros": ("zeros", ZEROS), "half": ("channels", 32)}
LEFT = {"tenth": 0.1, "half": 0.5, "all": 1.0}  # the options of the prediction
TIMED, ROUNDS, SHAPE = (1, 8, 64), 9, (1024, 4096)  # batches, runs of each, and the matrix they are multiplied with
REAL = {name: same(MODELS[name].name) for name in ("llama2_7b", "llama3_8b", "llama2_70b")}
OWN = ("chip", ("own",))
NAMES = {name: chip.name for name, chip in CHIPS.items()} | {"own": Text("your chip", "自定义芯片")}


@dataclass(frozen=True)
class Params:
    """The knobs."""

    method: Annotated[str, Choice(METHODS, label=Text("Compress by", "压缩方式"))] = "zeros"
    bits: Annotated[int, Range(2, 8, label=Text("Bits per weight b", "权重比特数 b"), when=("method", ("bits",)))] = 4
    zeros: Annotated[float, Spaced(SHARES, label=Text("Share of zeros", "零的比例"), when=("method", ("zeros",)))] = 0.9
    channels: Annotated[
        int, Spaced(CHANNELS, label=Text("FFN channels kept", "保留的 FFN 通道"), when=("method", ("channels",)))
    ] = 32
    seed: Annotated[int, Range(0, 4, label=Text("Random seed", "随机种子"))] = 0
    timed: Annotated[bool, Switch(label=Text("Time it on this machine", "在本机上计时"))] = False
    chip: Annotated[str, Choice(NAMES, label=Text("Chip", "芯片"))] = "a100"
    peak: Annotated[
        float, Spaced((0.1, 0.5, 2, 10, 50, 200, 1000), unit="TFLOP/s", label=Text("Peak", "峰值算力"), when=OWN)
    ] = 2.0
    bandwidth: Annotated[
        float, Spaced((25, 50, 100, 200, 400, 1000, 4000), unit="GB/s", label=Text("Bandwidth", "带宽"), when=OWN)
    ] = 100.0
    memory: Annotated[float, Spaced((4, 8, 16, 32, 64, 256), unit="GB", label=Text("Memory", "内存"), when=OWN)] = 64.0
    model: Annotated[str, Choice(REAL, label=Text("Model", "模型"))] = "llama2_7b"
    weight_bits: Annotated[int, Spaced((4, 8, 16), label=Text("Bits per weight of the model", "模型权重比特数"))] = 16
    batch: Annotated[int, Spaced(powers_of_two(1, 1024), label=Text("Batch B", "batch 大小 B"))] = 1
    context: Annotated[
        int, Spaced((512, 2048, 8192, 32_768), label=Text("Cached tokens n per sequence", "每条序列缓存的 token 数 n"))
    ] = 512


@dataclass(frozen=True)
class Measured:
    """One compressed network: bytes of its file and of its tensors, FLOPs of a pass, accuracy, and its logits."""

    file: int
    payload: int
    flops: int
    accuracy: float
    logits: Tensor  # (symbol, class)


@dataclass(frozen=True)
class Result:
    """The small network in several formats, and a decoding step of a large one on a chip."""

    params: Params
    formats: dict[str, Measured]  # int8 rounds the activations too, int4 only the weights
    chosen: Measured
    curves: tuple[Tensor, ...]  # (setting,) accuracies of the chosen method; for bits also with one scale per matrix
    settings: tuple[float, ...]
    rounding: Tensor  # (weight,) errors in steps, one scale per matrix
    outlier: tuple[Tensor, ...]  # errors of ordinary channels, one scale and own scales; and their mean square steps
    native: bool  # whether there is an int8 kernel, on the CPU and on this device
    int8_gap: float  # its products minus plain arithmetic on the same integers
    chip: Chip
    decoding: dict[int, Step]  # by batch
    alone: Step  # batch 1 and an empty cache
    prefill: Step  # `context` new tokens at once; their attention to each other is not counted
    times: Tensor | None  # (format, batch, run) seconds


@stage(keep=8)
def train(lab: Lab, seed: int) -> Weights:
    """Learn to output sequences reversed; on the CPU, so that all devices show the same."""
    weights = {
        name: w[seed:].detach().clone().requires_grad_() for name, w in new_weights(lab, seed + 1, LENGTH).items()
    }
    optimizer, stream = torch.optim.AdamW(weights.values(), RATE, weight_decay=0.0), lab.generator(100 + seed)
    for step in range(STEPS):
        if step % 3 == 0:
            lab.progress(step / STEPS, Text("Training the network to compress", "正在训练待压缩的网络"))
        optimizer.param_groups[0]["lr"] = RATE * min(1, (step + 1) / WARMUP, (STEPS - step) / (0.4 * STEPS))
        symbols = torch.randint(SYMBOLS, (1, BATCH, LENGTH), generator=stream)
        logits = network(weights, symbols, "pre")  # (1, sequence, position, symbol)
        loss = F.cross_entropy(logits.flatten(0, 2), symbols.flip(-1).flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {name: weight.detach() for name, weight in weights.items()}


def prune(weight: Tensor, share: float) -> Tensor:
    """Set the smallest of the weights to zero, wherever they are."""
    order = weight.abs().flatten().argsort()
    pruned = weight.flatten().clone()
    pruned[order[: round(share * len(order))]] = 0
    return pruned.view_as(weight)


def slim(wide: Tensor, narrow: Tensor, kept: int) -> Weights:
    """Keep the FFN channels with the largest weights into and out of them: smaller matrices, without zeros."""
    best = (wide.norm(dim=-2) * narrow.norm(dim=-1)).topk(kept).indices  # (1, layer, channel)
    into = wide.gather(-1, best.unsqueeze(-2).expand(*wide.shape[:-1], -1))
    return {"wide": into, "narrow": narrow.gather(-2, best.unsqueeze(-1).expand(-1, -1, -1, narrow.shape[-1]))}


def compress(weights: Weights, method: str, setting: float) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A compressed copy of the network: what it computes with, and what goes into its file."""
    matrices = {name: weights[name] for name in MATRICES}
    if method == "zeros":
        weights = weights | {name: prune(weight, setting) for name, weight in matrices.items()}
        return weights, weights
    if method == "channels":
        weights = weights | slim(weights["wide"], weights["narrow"], int(setting))
        return weights, weights
    if method == "bf16":
        saved = {name: weight.bfloat16() for name, weight in weights.items()}
        return {name: weight.float() for name, weight in saved.items()}, saved
    bits, dim = int(setting), (-2, -1) if method == "one_scale" else -2  # else a scale for every output channel
    rounded = {name: quantise(weight, bits, dim) for name, weight in matrices.items()}  # w ≈ s·q
    saved = weights | {name: pack(q, bits) for name, (q, _) in rounded.items()}
    saved |= {f"{name} scale": s for name, (_, s) in rounded.items()}
    if method == "int8":  # rounds the activations too, and multiplies integers
        product = int8_product(torch.device("cpu"))
        return weights | {name: Int8(q.to(torch.int8), s, product) for name, (q, s) in rounded.items()}, saved
    return weights | {name: q * s for name, (q, s) in rounded.items()}, saved


@stage(keep=128)
def measure(lab: Lab, method: str, setting: float, seed: int) -> Measured:
    """Bytes, FLOPs and accuracy of the network, compressed after its training."""
    runs, saved = compress(train(lab, seed), method, setting)
    symbols = torch.randint(SYMBOLS, (1, TESTED, LENGTH), generator=lab.generator(7))
    torch.save(saved, file := io.BytesIO())
    logits = network(runs, symbols, "pre").flatten(0, 2)  # (symbol, class)
    return Measured(
        file=len(file.getvalue()),
        payload=sum(tensor.nbytes for tensor in saved.values()),
        flops=count(lambda: network(runs, symbols[:, :1], "pre")).flops,
        accuracy=(logits.argmax(-1) == symbols.flip(-1).flatten()).float().mean().item(),
        logits=logits,
    )


@stage(keep=32)
def curve(lab: Lab, method: str, seed: int) -> Tensor:
    """Accuracy at every setting of a method."""
    found = []
    for setting in SETTINGS[method]:
        lab.progress(len(found) / len(SETTINGS[method]), Text("Trying every setting", "逐个设置测试"))
        found.append(measure(lab, method, setting, seed).accuracy)
    return torch.tensor(found)  # (setting,)


def errors(weight: Tensor, bits: int, dim: int | tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Rounding errors, and the step that each weight was rounded to."""
    q, scale = quantise(weight, bits, dim)
    return weight - q * scale, scale.expand_as(weight)


@stage(keep=8)
def with_outlier(lab: Lab, seed: int) -> tuple[Tensor, ...]:
    """int8 for a random matrix whose first output channel is 50 times larger; errors of all the others."""
    weight = lab.normal(256, 256, generator=lab.generator(300 + seed))  # (input, output channel)
    weight[:, 0] *= 50
    (one, one_step), (own, own_step) = errors(weight, 8, (0, 1)), errors(weight, 8, 0)
    return one[:, 1:], own[:, 1:], one_step[:, 1:].square().mean(), own_step[:, 1:].square().mean()


@stage(keep=32)
def rounding(lab: Lab, bits: int, seed: int) -> Tensor:
    """Rounding errors of all matrices over their step, one scale for each matrix."""
    both = (errors(train(lab, seed)[name], bits, (-2, -1)) for name in MATRICES)
    return torch.cat([(error / step).flatten() for error, step in both])  # (weight,)


def int8_gap(lab: Lab) -> float:
    """int8 products on this device, minus the same integers multiplied in fp32."""
    x, weight = torch.randint(-127, 128, (2, 64, 64), generator=lab.generator(0)).to(lab.device, torch.int8)
    return (int8_product(lab.device)(x, weight) - by_hand(x, weight)).abs().max().item()


@stage(keep=4)
def by_the_clock(lab: Lab, seed: int) -> Tensor:
    """Seconds of a dense product, the same with 90% zeros, and in int8: (format, batch, run)."""
    generator = lab.generator(400 + seed)
    weight, rows = (lab.normal(*shape, generator=generator) for shape in (SHAPE, (TIMED[-1], SHAPE[0])))
    holes, (q, scale) = prune(weight, ZEROS), quantise(weight, 8, 0)
    q, product = q.to(torch.int8).mT.contiguous().mT, int8_product(lab.device)  # the kernel likes whole columns
    runs = (torch.mm, weight), (torch.mm, holes), (times_int8, q, scale, product)
    work = [partial(run, rows[:batch], *matrix) for run, *matrix in runs for batch in TIMED]
    laps = []
    for lap in range(ROUNDS):  # in turns, so that a disturbance meets all of them
        lab.progress(lap / ROUNDS, Text("Timing", "计时中"))
        laps.append(torch.cat([clock(each, lab.device, 1) for each in work]))
    return torch.stack(laps, -1).view(len(runs), len(TIMED), ROUNDS)


@stage(keep=32)
def steps(_lab: Lab, model: str, context: int) -> tuple[dict[int, Step], Step, Step]:
    """Decoding for every batch; for one sequence with an empty cache; and as many new tokens at once: a prefill."""
    config = MODELS[model]
    decoding = {batch: decode(config, batch, context) for batch in powers_of_two(1, 1024)}
    return decoding, decode(config, 1, 0), decode(config, context, 0)


def compute(params: Params, lab: Lab) -> Result:
    """Compress a trained network in several ways, and count a decoding step of a large model."""
    decoding, alone, prefill = steps(lab, params.model, params.context)
    methods = ("bits", "one_scale") if params.method == "bits" else (params.method,)
    own = Chip(NAMES["own"], params.peak * 1e12, params.bandwidth * 1e9, params.memory * 1e9)
    devices = {torch.device("cpu"), lab.device}
    return Result(
        params,
        formats={name: measure(lab, *form, params.seed) for name, form in FORMATS.items()},
        chosen=measure(lab, params.method, getattr(params, params.method), params.seed),
        curves=tuple(curve(lab, method, params.seed) for method in methods),
        settings=tuple(SETTINGS[params.method]),
        rounding=rounding(lab, params.bits if params.method == "bits" else 8, params.seed),
        outlier=with_outlier(lab, params.seed),
        native=all(int8_product(device) is by_kernel for device in devices),
        int8_gap=int8_gap(lab),
        chip=CHIPS.get(params.chip, own),
        decoding=decoding,
        alone=alone,
        prefill=prefill,
        times=by_the_clock(lab, params.seed) if params.timed else None,
    )


def right_option(result: Result) -> str:
    """The option nearest to what the zeros just left of the file."""
    share = result.formats["zeros"].file / result.formats["fp32"].file
    return min(LEFT, key=lambda name: abs(LEFT[name] - share))


DEMO = Demo(
    title=Text("Bytes, FLOPs and the roofline", "字节、FLOPs 与 roofline"),
    summary=Text(
        "Compress a trained Transformer: what shrinks, and what breaks? Then read off a chip what decoding may cost.",
        "压缩一个训练好的 Transformer：什么变小了，什么坏了？再看在一块芯片上解码至少要花多少时间。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "We set the smallest 90% of the weights in the linear layers to zero and save the model again, as ordinary "
            "tensors. How large is the file?",
            "把线性层里最小的 90% 的权重设为零，再按普通张量保存模型。文件有多大？",
        ),
        options={
            "tenth": Text("about 10% of before", "约为原来的 10%"),
            "half": Text("about half: each zero still needs an index", "约一半：每个零还要存下标"),
            "all": Text("as large as before", "和原来一样大"),
        },
        right=right_option,
        because=Text(
            "A zero in a dense fp32 tensor takes four bytes like any number, and a dense product multiplies by it all "
            "the same. Only fewer bits, smaller matrices or a sparse format that the kernel knows save anything.",
            "稠密 fp32 张量里的零和别的数一样占 4 个字节，稠密乘法也照样乘它。只有减少比特、缩小矩阵，"
            "或换成 kernel 支持的稀疏格式，才真正省下东西。",
        ),
    ),
    presets=(
        Preset(Text("3 bits per weight", "每个权重 3 比特"), Params(method="bits", bits=3)),
        Preset(Text("Half of the FFN", "只留一半 FFN"), Params(method="channels")),
        Preset(Text("64 requests, long caches", "64 个请求，长缓存"), Params(batch=64, context=8192, chip="h100")),
        Preset(Text("A small GPU, 4 bits", "小显卡，4 比特"), Params(chip="t4", weight_bits=4, batch=8)),
        Preset(Text("A CPU server", "CPU 服务器"), Params(chip="own", weight_bits=4, model="llama3_8b")),
    ),
)
