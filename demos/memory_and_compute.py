"""Where memory and compute go: the FLOPs and bytes of a layer, of tiles, of checkpoints, and of published models."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.claims.memory_and_compute import claims
from demos.figures.memory_and_compute import pictures
from demos.kit.contract import Demo, Prediction, Preset
from demos.kit.knobs import Choice, Spaced, Switch
from demos.kit.lab import Lab
from demos.kit.measured import Measured, measure
from demos.kit.memory import Memory
from demos.kit.published import MODELS
from demos.kit.stage import stage
from demos.kit.training_layer import TYPES, Block, draw, run_all, run_block
from language import Text, same

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]
TILE = 32  # keys that the tiled attention looks at together
STACK = 32, 48, 4, "fp32"  # length, width and heads of the layers that are trained with checkpoints
ASKED = 128, 96, 12, "bf16"  # the prediction: an eighth of GPT-2 small at 1024 tokens
PRECISIONS = {"bf16": Text("mixed, 16 bits", "混合，16 位"), "fp32": same("fp32")}
REAL = {name: same(MODELS[name].name) for name in ("gpt2", "gpt2_xl", "llama2_7b", "llama3_8b", "llama2_70b")}
SHARES = {"less": 0.05, "same": 0.18, "third": 0.35, "most": 0.7}  # the options of the prediction
CONTEXTS = (1024, 4096, 16384, 131072)


@dataclass(frozen=True)
class Params:
    """The knobs."""

    length: Annotated[int, Spaced((128, 256, 288, 384, 576), label=Text("Sequence length n", "序列长度 n"))] = 128
    width: Annotated[int, Spaced((48, 96, 192), label=Text("Model width d", "模型宽度 d"))] = 96
    heads: Annotated[int, Spaced((1, 2, 3, 4, 6, 12), label=Text("Heads a", "头数 a"))] = 12
    precision: Annotated[str, Choice(PRECISIONS, label=Text("Precision", "精度"))] = "bf16"
    layers: Annotated[int, Spaced((2, 4, 8, 12), label=Text("Layers L in training", "训练的层数 L"))] = 4
    group: Annotated[int, Spaced((1, 2, 3, 4, 6), label=Text("Layers k per checkpoint", "每个检查点的层数 k"))] = 1
    measured: Annotated[bool, Switch(label=Text("Measure on this device", "在本机上实测"))] = False
    model: Annotated[str, Choice(REAL, label=Text("Real model", "真实模型"))] = "llama2_7b"
    context: Annotated[int, Spaced(CONTEXTS, label=Text("Tokens in the cache", "缓存的 token 数"))] = 4096


@dataclass(frozen=True)
class Layer:
    """What one layer costs: FLOPs of its forward pass, and bytes it keeps for the backward pass."""

    flops: int
    kept: int
    square_kept: int  # of these, in n × n matrices


@dataclass(frozen=True)
class Tiles:
    """Two ways to the same attention: peak bytes at half and at full length, FLOPs, and difference from PyTorch's."""

    naive: tuple[int, ...]
    tiled: tuple[int, ...]
    flops: tuple[int, int]  # naive, tiled
    difference: float


@dataclass(frozen=True)
class Step:
    """One training step of the stack: bytes kept after the forward pass, peak bytes, FLOPs, and the gradients."""

    kept: int
    peak: int
    flops: int
    gradients: Tensor  # (all weights,)


@dataclass(frozen=True)
class Result:
    """Everything counted while it ran."""

    params: Params
    layer: Layer
    tiles: Tiles
    steps: dict[int, Step]  # by layers per checkpoint; 0 keeps everything
    one_block: int  # bytes that one block of the stack keeps
    state: dict[str, float]  # bytes per parameter: weights, gradients, optimiser
    cache: int  # bytes per token, measured by making it
    asked: float  # the prediction: share of the kept bytes that is n × n
    here: Measured | None  # clock and allocator of the learner's device, if asked for
    input_bytes: int = STACK[0] * STACK[1] * 4  # of one layer of the stack


def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(Q Kᵀ / √d) V, with all n × n scores at once."""
    weights = (torch.bmm(query, key.mT) / math.sqrt(query.shape[-1])).softmax(-1)  # (head, query, key)
    return torch.bmm(weights, value)  # (head, query, feature)


def tiled_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The same from one tile of keys after another: a running maximum m, a running sum ℓ and a running output."""
    m = query.new_full((*query.shape[:2], 1), -math.inf)  # (head, query, 1)
    total, output = torch.zeros_like(m), torch.zeros_like(query)
    for k, v in zip(key.split(TILE, 1), value.split(TILE, 1), strict=True):
        scores = torch.bmm(query, k.mT) / math.sqrt(query.shape[-1])  # (head, query, tile)
        larger = torch.maximum(m, scores.amax(-1, keepdim=True))
        weights, shrink = (scores - larger).exp(), (m - larger).exp()
        total = shrink * total + weights.sum(-1, keepdim=True)
        output = shrink * output + torch.bmm(weights, v)  # (head, query, feature)
        m = larger
    return output / total


@stage(keep=32)
def measure_layer(lab: Lab, length: int, width: int, heads: int, precision: str) -> Layer:
    """Run one layer and count what it computes and what it leaves behind for its backward pass."""
    x, (block,) = draw(lab, length, width, heads, precision, 1)
    x.requires_grad_()
    with Memory() as memory:
        output = run_block(x, block)  # alive until the bytes are read, and with it all that its backward pass needs
    return Layer(
        flops=memory.flops,
        kept=memory.now - output.nbytes + x.nbytes,  # the input is kept too; the output belongs to the next layer
        square_kept=sum(size for size, shape in memory.shapes() if shape == (heads, length, length)),
    )


@stage(keep=32)
def measure_tiles(lab: Lab, length: int, width: int, heads: int) -> Tiles:
    """Peak memory of attention with and without tiles, forward only, in fp32."""
    shape = 3, heads, length, width // heads
    query, key, value = lab.normal(*shape, generator=lab.generator(0))  # (head, position, feature) each

    def run(attend: Attention, n: int) -> tuple[Memory, Tensor]:
        with torch.no_grad(), Memory() as memory:
            output = attend(query[:, :n], key[:, :n], value[:, :n])
        return memory, output

    (short, _), (naive, _) = run(attention, length // 2), run(attention, length)
    (short_tiled, _), (tiled, output) = run(tiled_attention, length // 2), run(tiled_attention, length)
    difference = (output - F.scaled_dot_product_attention(query, key, value)).abs().max().item()
    peaks = (short.peak, naive.peak), (short_tiled.peak, tiled.peak)
    return Tiles(*peaks, (naive.flops, tiled.flops), difference)


def train(x: Tensor, blocks: list[Block], memory: Memory) -> int:
    """Forward and backward of a loss that sums up the outputs. Returns the bytes kept between the two."""
    output = run_all(x.detach().requires_grad_(), blocks)
    kept = memory.now
    output.backward(torch.ones_like(output))
    return kept


def train_with_checkpoints(x: Tensor, blocks: list[Block], group: int, memory: Memory) -> int:
    """The same, but of every `group` layers only the input is stored; the rest is computed again when needed."""
    groups = [blocks[i : i + group] for i in range(0, len(blocks), group)]
    stored = [x]
    with torch.no_grad():
        for members in groups:
            stored.append(run_all(stored[-1], members))
    kept = memory.now
    gradient = torch.ones_like(stored.pop())
    for members in reversed(groups):
        start = stored.pop().detach().requires_grad_()
        run_all(start, members).backward(gradient)
        gradient = start.grad
    return kept


@stage(keep=64)
def measure_step(lab: Lab, layers: int, group: int) -> Step:
    """One training step of the stack; `group` 0 keeps everything."""
    x, blocks = draw(lab, *STACK, layers)
    weights = [weight for block in blocks for weight in block.weights]
    for weight in weights:
        weight.grad = torch.zeros_like(weight)  # there from the start, so that only activations come and go
    with Memory() as memory:
        kept = train_with_checkpoints(x, blocks, group, memory) if group else train(x, blocks, memory)
    gradients = torch.cat([weight.grad.flatten() for weight in weights if weight.grad is not None])
    return Step(kept, memory.peak, memory.flops, gradients)


def measure_here(lab: Lab, length: int, width: int, heads: int, layers: int) -> Measured:
    """Attention in three ways, and a training step with everything kept and with a checkpoint at every layer."""
    query, key, value = lab.normal(3, 1, heads, length, width // heads, generator=lab.generator(0))
    x, blocks = draw(lab, *STACK, layers)

    def step(group: int) -> None:
        with torch.enable_grad():  # the clock runs without gradients
            train_with_checkpoints(x, blocks, group, Memory()) if group else train(x, blocks, Memory())

    ways = {"naive": lambda: attention(query[0], key[0], value[0])}
    ways |= {"tiles": lambda: tiled_attention(query[0], key[0], value[0])}
    ways |= {"fused": lambda: F.scaled_dot_product_attention(query, key, value)}  # without a batch it would not fuse
    return measure(lab, {**ways, "all": lambda: step(0), "checkpoints": lambda: step(1)})


def measure_state(lab: Lab, precision: str) -> dict[str, float]:
    """Bytes per parameter that one step of Adam leaves behind."""
    weights = lab.normal(256, generator=lab.generator(0)).to(TYPES[precision])  # (parameter,)
    gradients = torch.ones_like(weights)
    master = weights.float()  # in fp32 these are the weights themselves
    mean, square = 0.1 * gradients.float(), 0.001 * gradients.float() ** 2
    master -= 1e-3 * (mean / 0.1) / ((square / 0.001).sqrt() + 1e-8)
    weights = master.to(weights.dtype)
    optimiser = [mean, square] if weights is master else [master, mean, square]
    parts = {"weights": [weights], "gradients": [gradients], "optimiser": optimiser}
    return {name: sum(tensor.nbytes for tensor in part) / len(weights) for name, part in parts.items()}


def compute(params: Params, lab: Lab) -> Result:
    """Count one layer, attention in tiles, a training step, Adam's state and a token of cache."""
    shape, precision, config = (params.length, params.width, params.heads), params.precision, MODELS[params.model]
    cache = config.layers, 2, config.kv_heads, config.head_width  # keys and values of one token
    asked = measure_layer(lab, *ASKED)
    return Result(
        params,
        measure_layer(lab, *shape, precision),
        measure_tiles(lab, *shape),
        steps={group: measure_step(lab, params.layers, group) for group in sorted({0, 1, params.group})},
        one_block=measure_layer(lab, *STACK).kept,
        state=measure_state(lab, precision),
        cache=torch.empty(cache, dtype=TYPES[precision], device=lab.device).nbytes,
        asked=asked.square_kept / asked.kept,
        here=measure_here(lab, *shape, params.layers) if params.measured else None,
    )


def right_option(result: Result) -> str:
    """The option nearest to the share just measured."""
    return min(SHARES, key=lambda name: abs(SHARES[name] - result.asked))


DEMO = Demo(
    title=Text("Where memory and compute go", "显存和算力花在哪里"),
    summary=Text(
        "Count the FLOPs and bytes of a layer while it runs, forget activations, read the bill of a real model.",
        "让一层真的跑起来，数它的 FLOPs 和字节；丢掉激活再重算；最后看一个真实模型的账单。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "A layer has the proportions of GPT-2 small at 1024 tokens ($a=12$, $n=\\tfrac43d$), 16-bit, with "
            "dropout, nothing optimised. Its $n\\times n$ products are 18% of the forward FLOPs. Of the bytes kept for "
            "the backward pass, how many belong to $n\\times n$ matrices?",
            "取一层，比例同 1024 个 token 的 GPT-2 small（$a=12$，$n=\\tfrac43d$），16 位，带 dropout，不做任何优化。"
            "$n\\times n$ 的乘积占前向 FLOPs 的 18%。为反向传播保存的字节里，$n\\times n$ 矩阵占多少？",
        ),
        options={name: Text(f"about {share:.0%}", f"约 {share:.0%}") for name, share in SHARES.items()},
        right=right_option,
        because=Text(
            r"FLOPs: $n/(n+6d)=18\%$. Bytes: every head keeps the softmax output, the dropout mask and their product, "
            r"$5an^2$ bytes beside $34nd$: $80/114=70\%$.",
            r"FLOPs：$n/(n+6d)=18\%$。字节：每个头都存 softmax 输出、dropout 掩码和两者之积，共 $5an^2$，其余 $34nd$："
            r"$80/114=70\%$。",
        ),
    ),
    presets=(
        Preset(Text("GPT-2 small, ÷ 8", "GPT-2 small，÷ 8"), Params(model="gpt2")),
        Preset(Text("n = 6d", "n = 6d"), Params(length=576, width=96)),
        Preset(Text("fp32", "fp32"), Params(precision="fp32", layers=12, group=4)),
        Preset(Text("Llama-2-70B, long context", "Llama-2-70B，长文"), Params(model="llama2_70b", context=131072)),
    ),
)
