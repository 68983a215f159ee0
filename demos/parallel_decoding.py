"""Where a decoder is parallel, where it is not, and what a KV cache changes."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.claims.parallel_decoding import claims
from demos.figures.parallel_decoding import pictures
from demos.kit.contract import Demo, Prediction, Preset
from demos.kit.knobs import Choice, Range, Spaced, Switch, powers_of_two
from demos.kit.lab import Lab
from demos.kit.stage import stage
from language import Text, same

LAYERS, WIDTH, SYMBOLS, LONGEST = 2, 64, 64, 256  # a decoder with one head and no training: nothing here needs more
SHORT, TAUGHT = 32, 4  # tokens of Jacobi decoding and of batching; tokens of the training step
Cache = dict[int, Tensor]  # of each layer: keys and values side by side (…, position, 2·width)
CONTEXTS, REQUESTS = powers_of_two(1024, 131_072), powers_of_two(1, 64)
STEPS = {
    "correct": Text("correct", "正确"),
    "lost_position": Text("position 0", "位置总是 0"),
    "is_causal": same("is_causal"),
}


@dataclass(frozen=True)
class Params:
    """The knobs."""

    length: Annotated[int, Spaced(powers_of_two(1, LONGEST), label=Text("Tokens T", "token 数 T"))] = 32
    step: Annotated[str, Choice(STEPS, label=Text("Step with the cache", "带缓存的单步"))] = "correct"
    timed: Annotated[bool, Switch(label=Text("Time it on this machine", "在这台机器上计时"))] = False
    context: Annotated[int, Spaced(CONTEXTS, label=Text("Context (cache size)", "上下文长度（看缓存）"))] = 4096
    requests: Annotated[int, Spaced(REQUESTS, label=Text("Requests (cache size)", "请求数（看缓存）"))] = 1
    seed: Annotated[int, Range(0, 9, label=Text("Random seed", "随机种子"))] = 0


@dataclass(frozen=True)
class Weights:
    """A decoder; each layer has the matrices `qkv`, `out`, `rise` and `fall`."""

    embeddings: Tensor  # (symbol, width)
    positions: Tensor  # (position, width)
    layers: tuple[dict[str, Tensor], ...]
    unembedding: Tensor  # (width, symbol)


@dataclass
class Tally:
    """What a schedule did: calls that wait for one another, positions run through the model, and arithmetic."""

    calls: int = 0
    positions: int = 0
    products: int = 0  # matrix products
    multiply_adds: int = 0


@dataclass(frozen=True)
class Run:
    """One schedule over the tokens."""

    logits: Tensor  # (position, symbol)
    tally: Tally


@dataclass(frozen=True)
class Runs:
    """The same greedy tokens in three schedules, and two ways round the serial loop."""

    tokens: Tensor  # (position,)
    parallel: Run
    cached: Run
    uncached: Run
    cache_bytes: int
    settled: Tensor  # (pass, position) whether Jacobi decoding has the greedy token there
    acceptance: Tensor  # chance that the target accepts a token drafted by the first layer alone
    speculative_gap: Tensor  # largest difference between speculative sampling's distribution and the target's


@dataclass(frozen=True)
class Result:
    """The three schedules, a training step, a broken step, and times if asked for."""

    params: Params
    runs: Runs
    wrong: Tensor | None  # (position, symbol) logits of the broken cached step
    first_key_only: float  # largest |output − v₀| of scaled_dot_product_attention(is_causal=True) with one query
    gradient_gap: float  # relative difference between one pass and the mean over all prefixes
    times: tuple[float, ...]  # seconds of the three schedules; tokens per second of 32 sequences over those of one


def draw(lab: Lab, seed: int) -> Weights:
    """An untrained decoder."""
    generator = lab.generator(seed)

    def matrix(rows: int, columns: int) -> Tensor:
        return lab.normal(rows, columns, generator=generator) / math.sqrt(rows)

    shapes = {"qkv": (WIDTH, 3 * WIDTH), "out": (WIDTH, WIDTH), "rise": (WIDTH, 4 * WIDTH), "fall": (4 * WIDTH, WIDTH)}
    layers = tuple({name: matrix(*shape) for name, shape in shapes.items()} for _ in range(LAYERS))
    embeddings, positions = (lab.normal(rows, WIDTH, generator=generator) for rows in (SYMBOLS, LONGEST))
    return Weights(embeddings, positions, layers, 3 * matrix(WIDTH, SYMBOLS))


def multiply(one: Tensor, other: Tensor, tally: Tally) -> Tensor:
    """A matrix product that keeps count."""
    tally.products += 1
    tally.multiply_adds += one.numel() * other.shape[-1]
    return one @ other


def call(weights: Weights, tokens: Tensor, tally: Tally, cache: Cache | None = None, step: str = "") -> Tensor:
    """One model call on new tokens (…, position); with a cache, their queries also see all earlier keys and values."""
    seen = cache[0].shape[-2] if cache else 0  # positions already in the cache
    count = tokens.shape[-1]
    keys = seen + count  # a single new query sees them all and needs no mask
    first = 0 if step == "lost_position" else seen
    stream = weights.embeddings[tokens] + weights.positions[first : first + count]  # (…, position, width)
    visible = 0 if step == "is_causal" else seen  # query i sees keys 0 … i + visible; is_causal starts top left
    hidden = tokens.new_ones(count, keys, dtype=torch.bool).triu(visible + 1) if keys > visible + 1 else None
    for index, layer in enumerate(weights.layers):
        projected = multiply(F.layer_norm(stream, (WIDTH,)), layer["qkv"], tally)  # (…, position, 3·width)
        query, both = projected.split((WIDTH, 2 * WIDTH), dim=-1)  # both: keys and values side by side
        if cache is not None:
            cache[index] = both = torch.cat([cache[index], both], dim=-2) if seen else both
        key, value = both.chunk(2, dim=-1)  # (…, position, width) each
        scores = multiply(query, key.mT, tally) / math.sqrt(WIDTH)  # (…, query, key)
        scores = scores if hidden is None else scores.masked_fill(hidden, -math.inf)
        mixed = multiply(scores.softmax(-1), value, tally)  # (…, query, width)
        stream = stream + multiply(mixed, layer["out"], tally)
        risen = multiply(F.layer_norm(stream, (WIDTH,)), layer["rise"], tally).relu()  # (…, position, 4·width)
        stream = stream + multiply(risen, layer["fall"], tally)
    tally.calls += 1
    tally.positions += count
    return multiply(F.layer_norm(stream, (WIDTH,)), weights.unembedding, tally)  # (…, position, symbol)


def in_parallel(weights: Weights, tokens: Tensor) -> Run:
    """Training, prefill, scoring: all inputs are known, so one call gives every position's logits."""
    tally = Tally()
    return Run(call(weights, tokens, tally), tally)


def generate(weights: Weights, start: Tensor, length: int) -> tuple[Tensor, Run, Cache]:
    """Greedy decoding with a KV cache: each call gets one token, the one that the previous call chose."""
    tally, cache, token, tokens, logits = Tally(), {}, start, [], []
    for _ in range(length):
        tokens.append(token)
        logits.append(call(weights, token, tally, cache))  # (…, 1, symbol)
        token = logits[-1].argmax(-1)  # (…, 1)
    return torch.cat(tokens, dim=-1), Run(torch.cat(logits, dim=-2), tally), cache


def one_by_one(weights: Weights, tokens: Tensor, step: str) -> Tensor:
    """The cached loop over given tokens, with a mistake in it."""
    cache: Cache = {}
    return torch.cat([call(weights, token, Tally(), cache, step) for token in tokens.split(1)])  # (position, symbol)


def recomputed(weights: Weights, tokens: Tensor) -> Run:
    """Decoding without a cache: every call runs the whole prefix again and keeps only its last row."""
    tally = Tally()
    rows = [call(weights, tokens[: end + 1], tally)[-1] for end in range(len(tokens))]
    return Run(torch.stack(rows), tally)


def jacobi(weights: Weights, start: Tensor, greedy: Tensor) -> Tensor:
    """Guess all tokens, correct all of them in one call from the guesses before, repeat until nothing changes."""
    guess, settled = torch.zeros_like(greedy), []
    for _ in range(2 * len(greedy) + 2):  # far more than the T + 1 that a causal model needs
        before, guess = guess, call(weights, torch.cat([start, guess[:-1]]), Tally()).argmax(-1)  # (position,)
        settled.append(guess == greedy)
        if torch.equal(before, guess):
            break
    return torch.stack(settled)  # (pass, position)


def speculate(weights: Weights, tokens: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Draft with the first layer alone; accept with probability min(1, p/q), else draw from the rest of p."""
    small = Weights(weights.embeddings, weights.positions, weights.layers[:1], weights.unembedding)
    target, draft = logits.softmax(-1), call(small, tokens, Tally()).softmax(-1)  # (position, symbol)
    accepted, rest = torch.minimum(target, draft), (target - draft).clamp_min(0)
    drawn = accepted + (1 - accepted.sum(-1, keepdim=True)) * F.normalize(rest, p=1, dim=-1)  # (position, symbol)
    return accepted.sum(-1).mean(), (drawn - target).abs().max()


@stage(keep=16)
def gradient_gap(lab: Lab, seed: int) -> float:
    """One teacher-forced pass against a pass for every prefix: do they ask the weights for the same change?"""
    weights = draw(lab, seed)
    learned = [matrix.requires_grad_() for layer in weights.layers for matrix in layer.values()]
    text = torch.randint(SYMBOLS, (TAUGHT + 1,), generator=lab.generator(seed + 100)).to(lab.device)
    inputs, targets = text[:-1], text[1:]
    once = F.cross_entropy(in_parallel(weights, inputs).logits, targets)  # the mean of all losses
    prefixes = F.cross_entropy(recomputed(weights, inputs).logits, targets)
    one, other = (torch.cat([g.flatten() for g in torch.autograd.grad(loss, learned)]) for loss in (once, prefixes))
    return ((one - other).norm() / one.norm()).item()


@stage(keep=32)
@torch.inference_mode()  # nothing here is differentiated
def experiment(lab: Lab, length: int, seed: int) -> Runs:
    """The three schedules over the same tokens, then the two ways round the serial loop."""
    weights, start = draw(lab, seed), torch.zeros(1, dtype=torch.long, device=lab.device)
    tokens, cached, cache = generate(weights, start, length)
    parallel, uncached = in_parallel(weights, tokens), recomputed(weights, tokens)
    settled = jacobi(weights, start, cached.logits[:SHORT].argmax(-1))
    size = sum(both.nbytes for both in cache.values())
    return Runs(tokens, parallel, cached, uncached, size, settled, *speculate(weights, tokens, parallel.logits))


def fastest(lab: Lab, work: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest of a few runs, which other programs disturb least."""
    lab.progress(0.5, Text("Timing", "计时中"))
    laps = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        if lab.device.type != "cpu":
            torch.accelerator.synchronize()
        laps.append(time.perf_counter() - begin)
    return min(laps)


@stage(keep=16)
def by_the_clock(lab: Lab, length: int, seed: int) -> tuple[float, ...]:
    """Seconds of the three schedules, and the tokens per second that 32 sequences at once give over one alone."""
    weights, tokens = draw(lab, seed), experiment(lab, length, seed).tokens
    start = torch.zeros(32, 1, dtype=torch.long, device=lab.device)
    parallel = fastest(lab, lambda: in_parallel(weights, tokens), 20)
    cached = fastest(lab, lambda: generate(weights, start[0], length), 5)
    uncached = fastest(lab, lambda: recomputed(weights, tokens), 3)
    alone, together = (fastest(lab, lambda n=n: generate(weights, start[:n], SHORT), 5) for n in (1, 32))
    return parallel, cached, uncached, 32 * alone / together


def compute(params: Params, lab: Lab) -> Result:
    """Run the same tokens through the same decoder in three schedules."""
    length, seed, runs = params.length, params.seed, experiment(lab, params.length, params.seed)
    wrong = None if params.step == "correct" else one_by_one(draw(lab, seed), runs.tokens, params.step)
    query, key, value = lab.normal(3, 1, length, WIDTH, generator=lab.generator(seed))  # (batch, position, width) each
    trap = F.scaled_dot_product_attention(query[:, -1:], key, value, is_causal=True)  # (batch, 1, width)
    return Result(
        params,
        runs,
        wrong,
        first_key_only=(trap[0, 0] - value[0, 0]).abs().max().item(),
        gradient_gap=gradient_gap(lab, seed),
        times=by_the_clock(lab, length, seed) if params.timed else (),
    )


def right_option(result: Result) -> str:
    """Which option the counted multiply-adds fall into."""
    cached, parallel = result.runs.cached.tally, result.runs.parallel.tally
    ratio = cached.multiply_adds / parallel.multiply_adds
    return "same" if ratio < 1.5 else "half" if ratio < 0.75 * result.params.length else "all"


DEMO = Demo(
    title=Text("Parallel passes and step-by-step decoding", "并行前向与逐步解码"),
    summary=Text(
        "The same logits in one call, step by step with a KV cache, and without: compare calls, work and time.",
        "同样的 logits，三种算法：一次算完、带 KV 缓存逐步算、不带缓存逐步算。比一比调用次数、运算量和用时。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "With a KV cache, $T$ tokens take $T$ model calls. How many multiply-adds, against one parallel pass?",
            "带 KV 缓存生成 $T$ 个 token 要调用模型 $T$ 次。与一次并行前向相比，乘加的总次数如何？",
        ),
        options={
            "same": Text("about as many, or fewer", "差不多，甚至更少"),
            "half": Text("about $T/2$ times as many", "约 $T/2$ 倍"),
            "all": Text("about $T$ times as many: one pass for each token", "约 $T$ 倍：每个 token 一次前向"),
        },
        right=right_option,
        because=Text(
            "Each call runs one position through the weights and one query over the cached keys: together the work of "
            "one pass, less the future scores that a masked square computes in vain. But each call waits for the last.",
            "每次调用只让一个位置过一遍权重、让一个 query 看一遍缓存的 key，加起来就是一次前向的运算量，"
            "还省去了掩码方阵里白算的未来分数。只是每次调用都得等前一次。",
        ),
    ),
    presets=(
        Preset(Text("256 tokens", "256 个 token"), Params(length=256)),
        Preset(Text("is_causal with one query", "单个 query 配 is_causal"), Params(step="is_causal")),
        Preset(Text("64 long requests", "64 个长请求"), Params(context=32_768, requests=64)),
    ),
)
