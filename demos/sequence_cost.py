"""What a sequence costs a Transformer layer and a recurrent one: operations, and how many must wait for one another."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.claims.sequence_cost import claims
from demos.figures.sequence_cost import pictures
from demos.kit.contract import Demo, Prediction, Preset
from demos.kit.counting import chain, chain_by_step, count
from demos.kit.knobs import Spaced, Switch
from demos.kit.lab import Lab
from demos.kit.measured import Measured, measure
from demos.kit.stage import stage
from language import Text

LENGTHS, WIDTHS = (8, 16, 32, 64, 128, 256, 384, 512, 768, 1024), (16, 32, 64, 128, 256)
REPEATS, COMPARED, GENERATED, ASKED = 5, 16, 256, 64  # ASKED: the prediction is about n = d = 64


@dataclass(frozen=True)
class Params:
    """The knobs."""

    length: Annotated[int, Spaced(LENGTHS, label=Text("Sequence length n", "序列长度 n"))] = 64
    width: Annotated[int, Spaced(WIDTHS, label=Text("Width d", "宽度 d"))] = 64
    clock: Annotated[bool, Switch(label=Text("Measure on this device", "在本机上实测"))] = False


@dataclass(frozen=True)
class Comparison:
    """Two ways to the same numbers: the largest differences; and the bytes of the attention weights."""

    scan: float  # parallel scan and loop
    cache: float  # token by token with a cache and causal attention at once
    weight_bytes: int


@dataclass(frozen=True)
class Generation:
    """What one more token costs, and what has to be kept for it."""

    positions: list[int]
    attention: list[int]  # FLOPs, by position
    recurrent: list[int]  # FLOPs, by position
    cache_bytes: int  # at position n
    state_bytes: int


@dataclass(frozen=True)
class Result:
    """Everything counted while the layers ran; `here` only when asked for."""

    params: Params
    flops: dict[str, int]  # by layer
    lengths: list[int]
    chains: dict[str, list[int]]  # longest chain of dependent operations, by layer and length
    comparison: Comparison
    generation: Generation
    asked: float  # the prediction: FLOPs of the attention layer over those of the RNN at n = d = 64
    here: Measured | None  # clock and allocator of the learner's device, by layer
    generated: int = GENERATED


def attention_core(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(Q Kᵀ / √d) V: every position at once."""
    weights = (query @ key.mT / math.sqrt(query.shape[-1])).softmax(-1)  # (query, key)
    return weights @ value  # (position, feature)


def attention_layer(x: Tensor, to_query: Tensor, to_key: Tensor, to_value: Tensor, to_output: Tensor) -> Tensor:
    """Self-attention with its four projections."""
    return attention_core(x @ to_query, x @ to_key, x @ to_value) @ to_output  # (position, feature)


def rnn(x: Tensor, from_input: Tensor, from_state: Tensor) -> Tensor:
    """State = tanh(x W + state U): the input products at once, the rest one position after another."""
    state, states = x.new_zeros(1, len(from_state)), []
    for entering in (x @ from_input).split(1):
        state = torch.addmm(entering, state, from_state).tanh()  # (1, feature)
        states.append(state)
    return torch.cat(states)  # (position, feature)


def lstm(x: Tensor, from_input: Tensor, from_state: Tensor) -> Tensor:
    """Four gates, so four times the products."""
    state = cell = x.new_zeros(1, len(from_state))
    states = []
    for entering in (x @ from_input).split(1):
        write, keep, new, show = torch.addmm(entering, state, from_state).chunk(4, -1)  # (1, feature) each
        cell = keep.sigmoid() * cell + write.sigmoid() * new.tanh()
        state = show.sigmoid() * cell.tanh()
        states.append(state)
    return torch.cat(states)  # (position, feature)


def gru(x: Tensor, from_input: Tensor, from_state: Tensor) -> Tensor:
    """Three gates."""
    state, states = x.new_zeros(1, len(from_state)), []
    entering = [each.split(1) for each in (x @ from_input).chunk(3, -1)]
    for reset_in, update_in, new_in in zip(*entering, strict=True):
        reset, update, new = (state @ from_state).chunk(3, -1)  # (1, feature) each
        keep = (update_in + update).sigmoid()
        state = (new_in + (reset_in + reset).sigmoid() * new).tanh().lerp(state, keep)  # keep = 1: the old state
        states.append(state)
    return torch.cat(states)  # (position, feature)


def scan(decay: Tensor, entering: Tensor) -> Tensor:
    """A linear recurrence, h = a h + b: in each round a position takes in what ended 1, 2, 4, … positions before."""
    reach = 1
    while reach < len(decay):
        entering = torch.cat([entering[:reach], entering[reach:] + decay[reach:] * entering[:-reach]])
        decay = torch.cat([decay[:reach], decay[reach:] * decay[:-reach]])
        reach *= 2
    return entering  # (position, feature)


@dataclass
class Cache:
    """Keys and values of the tokens so far."""

    keys: Tensor  # (position, feature)
    values: Tensor  # (position, feature)


def next_token(x: Tensor, cache: Cache, weights: list[Tensor]) -> Tensor:
    """One token through the attention layer: project it, append it to the cache, attend to all of the cache."""
    query, key, value = (x @ weight for weight in weights[:3])  # (1, feature) each
    cache.keys, cache.values = torch.cat([cache.keys, key]), torch.cat([cache.values, value])
    return attention_core(query, cache.keys, cache.values) @ weights[3]  # (1, feature)


def generate(x: Tensor, length: int, weights: list[Tensor]) -> Iterator[Tensor]:
    """`length` tokens, each made from the one before it."""
    cache = Cache(x[:0], x[:0])
    for _ in range(length):
        x = next_token(x, cache, weights)
        yield x  # (1, feature)


def draw(lab: Lab, length: int, width: int) -> tuple[Tensor, Callable[..., Tensor]]:
    """A sequence, and a maker of weight matrices."""
    generator = lab.generator(0)

    def matrix(rows: int, columns: int) -> Tensor:
        return lab.normal(rows, columns, generator=generator) / math.sqrt(rows)

    return lab.normal(length, width, generator=generator), matrix


def layers(lab: Lab, length: int, width: int) -> dict[str, Callable[[], Tensor]]:
    """Every layer, ready to run over a sequence of `length` positions of `width` features."""
    x, matrix = draw(lab, length, width)
    square = [matrix(width, width) for _ in range(4)]
    rise, fall = matrix(width, 4 * width), matrix(4 * width, width)
    gates = {number: (matrix(width, number * width), matrix(width, number * width)) for number in (1, 3, 4)}
    return {
        "core": lambda: attention_core(x, x, x),
        "layer": lambda: attention_layer(x, *square),
        "block": lambda: (attention_layer(x, *square) @ rise).relu() @ fall,
        "rnn": lambda: rnn(x, *gates[1]),
        "gru": lambda: gru(x, *gates[3]),
        "lstm": lambda: lstm(x, *gates[4]),
        "fused": lambda: fused_lstm(x, *gates[4]),
    }


def fused_lstm(x: Tensor, from_input: Tensor, from_state: Tensor) -> Tensor:
    """The same LSTM as one call of PyTorch's own kernel."""
    start = x.new_zeros(1, 1, len(from_state))  # (layer, sequence, feature)
    weights = [from_input.mT.contiguous(), from_state.mT.contiguous()]
    return torch.lstm(x.unsqueeze(1), (start, start), weights, False, 1, 0.0, False, False, False)[0].squeeze(1)


@stage(keep=32)
def count_flops(lab: Lab, length: int, width: int) -> dict[str, int]:
    """FLOPs of every layer, counted while it runs."""
    made = layers(lab, length, width)
    return {name: count(made[name]).flops for name in ("core", "layer", "block", "rnn", "gru", "lstm")}


@stage(keep=32)
def count_chains(lab: Lab, lengths: tuple[int, ...]) -> dict[str, list[int]]:
    """The longest chain of operations that wait for one another, by length; it does not depend on the width."""
    x, matrix = draw(lab, lengths[-1], WIDTHS[0])
    weights = [matrix(WIDTHS[0], WIDTHS[0]) for _ in range(4)]
    generated = chain_by_step(generate(x[:1], min(lengths[-1], GENERATED), weights))  # after each token
    return {
        "rnn": [chain(lambda n=n: rnn(x[:n], *weights[:2])) for n in lengths],
        "scan": [chain(lambda n=n: scan(x[:n].sigmoid(), x[:n])) for n in lengths],
        "layer": [chain(lambda n=n: attention_layer(x[:n], *weights)) for n in lengths],
        "generation": [generated[min(n, GENERATED) - 1] for n in lengths],
    }


@stage(keep=32)
def compare(lab: Lab, length: int, width: int) -> Comparison:
    """The scan against the loop, and the first tokens one by one with a cache against causal attention at once."""
    x, matrix = draw(lab, length, width)
    few, weights = x[:COMPARED], [matrix(width, width) for _ in range(4)]
    query, key, value = (few @ weight for weight in weights[:3])  # (position, feature) each
    at_once = F.scaled_dot_product_attention(query, key, value, is_causal=True) @ weights[3]  # (position, feature)
    cache = Cache(x[:0], x[:0])
    in_turn = torch.cat([next_token(token, cache, weights) for token in few.split(1)])
    state, states, decay = torch.zeros_like(x[0]), [], x.sigmoid()
    for keep, new in zip(decay, x, strict=True):
        state = keep * state + new
        states.append(state)
    return Comparison(
        scan=(scan(decay, x) - torch.stack(states)).abs().max().item(),
        cache=(in_turn - at_once).abs().max().item(),
        weight_bytes=(x @ x.mT).softmax(-1).nbytes,
    )


@stage(keep=32)
def count_generation(lab: Lab, length: int, width: int) -> Generation:
    """FLOPs of one more token at three positions, and what position n has to keep from before."""
    x, matrix = draw(lab, 1, width)
    square, gates = [matrix(width, width) for _ in range(4)], (matrix(width, 4 * width), matrix(width, 4 * width))
    positions = [1, length, 4 * length]
    caches = [Cache(*x.expand(2, position - 1, -1)) for position in positions]  # position − 1 tokens came before
    attention = [count(lambda cache=cache: next_token(x, cache, square)).flops for cache in caches]
    recurrent = [count(lambda: lstm(x, *gates)).flops for _ in positions]
    held = caches[1]  # after the token at position n
    return Generation(positions, attention, recurrent, held.keys.nbytes + held.values.nbytes, 2 * x.nbytes)


def measure_here(lab: Lab, length: int, width: int) -> Measured:
    """Seconds and peak memory of a forward pass on this device."""
    return measure(lab, {name: layers(lab, length, width)[name] for name in ("rnn", "fused", "layer")}, REPEATS)


def compute(params: Params, lab: Lab) -> Result:
    """Run every layer under the counter; nothing here is a formula."""
    length, width = params.length, params.width
    lengths = sorted({4**power for power in range(1, 6) if 4**power <= length} | {length})
    asked = count_flops(lab, ASKED, ASKED)
    return Result(
        params,
        flops=count_flops(lab, length, width),
        lengths=lengths,
        chains=count_chains(lab, tuple(lengths)),
        comparison=compare(lab, length, width),
        generation=count_generation(lab, length, width),
        asked=asked["layer"] / asked["rnn"],
        here=measure_here(lab, length, width) if params.clock else None,
    )


def right_option(result: Result) -> str:
    """The option nearest to the ratio just counted."""
    values = {"quarter": 0.25, "same": 1.0, "three": 3.0}
    return min(values, key=lambda name: abs(values[name] - result.asked))


DEMO = Demo(
    title=Text("What a sequence costs", "处理一个序列的代价"),
    summary=Text(
        "Count every operation of attention and of recurrence, and how many of them have to wait for one another.",
        "数一数注意力和循环各要多少运算，其中又有多少必须前后等待。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "64 tokens of width 64. How many FLOPs does a self-attention layer (with its four projections) need, "
            "relative to a vanilla RNN layer?",
            "64 个 token，宽度 64。自注意力层（含四个投影）的 FLOPs 是普通 RNN 层的多少倍？",
        ),
        options={
            "quarter": Text("about a quarter: it is the efficient one", "约四分之一：它更高效"),
            "same": Text("as many, because n = d", "一样多，因为 n = d"),
            "three": Text("three times as many", "三倍"),
        },
        right=right_option,
        because=Text(
            r"$8nd^2+4n^2d=12\cdot64^3$ against $4nd^2=4\cdot64^3$: the core alone breaks even at $n=d$, the "
            r"projections come on top. What attention saves is waiting: its longest chain of dependent operations has "
            r"6 links, that of the RNN 130.",
            r"$8nd^2+4n^2d=12\cdot64^3$，而 RNN 是 $4nd^2=4\cdot64^3$：$n=d$ 时只有注意力核心与 RNN 持平，"
            r"投影是额外的。注意力省下的是等待：前后依赖的运算链最长只有 6 步，RNN 有 130 步。",
        ),
    ),
    presets=(
        Preset(Text("n = 2d: equal to an LSTM", "n = 2d：与 LSTM 持平"), Params(length=128)),
        Preset(Text("n = 6d: half the block", "n = 6d：占块的一半"), Params(length=384)),
        Preset(Text("Short and wide", "又短又宽"), Params(length=32, width=256)),
        Preset(Text("Long and narrow", "又长又窄"), Params(length=1024, width=16)),
    ),
)
