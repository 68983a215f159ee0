"""What limits the context: positions never trained, cost, the reach of a window, and what a fixed state can hold."""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.claims.long_context import claims
from demos.figures.long_context import FIXES, METHODS, VIEWS, pictures
from demos.kit.contract import Demo, Prediction, Preset
from demos.kit.copying_task import BACK, HEADS, MODEL, SYMBOLS, TRAINED, Weights, train
from demos.kit.counting import count
from demos.kit.knobs import Choice, Range, Spaced, powers_of_two
from demos.kit.lab import Lab
from demos.kit.layers import WIDTH, attend, draw_blocks, feed_forward
from demos.kit.linear_time import full, hidden, linear_at_once, linear_attention, windowed
from demos.kit.position_schemes import frequencies
from demos.kit.rotary import name_symbols
from demos.kit.stage import stage
from language import Text

SEQUENCES, LEARNING_RATE = 4, 3e-3  # sequences tested and per tuning step
TOKENS, DIRECTIONS = 128, 8  # of the windowed stack whose gradient is measured
STORED, QUERIES = powers_of_two(4, 512), 1024  # pairs to store; so many are asked for, in sets of them
CROWDS, LEADS = tuple(10**power for power in range(1, 7)), (4, 8, 16)  # leads that are always shown
LENGTHS, WINDOWS = powers_of_two(1024, 1_048_576), (256, 1024, 4096)
COMPARED = 300  # tokens of the comparison with masked attention; no multiple of a block
POSITIONS, COST, REACH, RECALL = (("view", (name,)) for name in VIEWS)
RANDOM = ("view", ("positions", "reach", "recall"))


@dataclass(frozen=True)
class Params:
    """The knobs."""

    view: Annotated[str, Choice(VIEWS, label=Text("Which limit", "看哪个限制"))] = "recall"
    factor: Annotated[int, Spaced((2, 4, 8), label=Text("Extension factor s", "扩展倍数 s"), when=POSITIONS)] = 8
    tuning: Annotated[int, Spaced((0, 10, 20), label=Text("Fine-tuning steps", "微调步数"), when=POSITIONS)] = 0
    length: Annotated[int, Spaced(LENGTHS, label=Text("Sequence length n", "序列长度 n"), when=COST)] = 131_072
    window: Annotated[int, Spaced(WINDOWS, label=Text("Window w", "窗口 w"), when=COST)] = 4096
    width: Annotated[int, Spaced((64, 128), label=Text("Head width d", "每头维度 d"), when=COST)] = 128
    layers: Annotated[int, Range(1, 8, label=Text("Layers L", "层数 L"), when=REACH)] = 4
    sight: Annotated[int, Range(1, 16, label=Text("Window w, self included", "窗口 w（含自身）"), when=REACH)] = 8
    pairs: Annotated[int, Spaced(STORED, label=Text("Stored pairs m", "存入的键值对 m"), when=RECALL)] = 128
    state: Annotated[int, Spaced((8, 16, 32, 64), label=Text("Key width d", "key 维度 d"), when=RECALL)] = 32
    scale: Annotated[int, Spaced((1, 4, 8, 16, 32), label=Text("Logit scale β", "logit 缩放 β"), when=RECALL)] = 16
    seed: Annotated[int, Range(0, 9, label=Text("Random seed", "随机种子"), when=RANDOM)] = 0


@dataclass(frozen=True)
class Positions:
    """A model trained on 32 tokens, at `factor` times that length."""

    accuracy: dict[str, Tensor]  # by fix: (position,) from position 3 on
    turns: dict[str, Tensor]  # by fix: (pair,) turns within the longer context
    trained: Tensor  # (pair,) turns within the training length


@dataclass(frozen=True)
class Cost:
    """One head."""

    lengths: tuple[int, ...]
    bills: dict[str, list[tuple[int, int]]]  # by method and length: FLOPs, bytes kept for the next token
    errors: dict[str, float]  # largest difference from masked attention, or from linear attention as one product


@dataclass(frozen=True)
class Reach:
    """Gradient of the last output with respect to every input, after 1 … L windowed layers."""

    influence: Tensor  # (layers, distance)


@dataclass(frozen=True)
class Recall:
    """How many of m stored pairs come back, and how one match is diluted among n tokens."""

    stored: tuple[int, ...]
    recalled: dict[str, Tensor]  # by method: (stored,)
    noise: list[Tensor]  # by m: (trial,) mean square of what the linear state adds to a value
    ranks: list[int]  # by m, of the linear state
    crowds: tuple[int, ...]
    weights: dict[int, Tensor]  # by lead: (crowd,) weight of a match whose logit is that much above all others


@dataclass(frozen=True)
class Result:
    """The view that was asked for, and the prediction's share."""

    params: Params
    shown: Positions | Cost | Reach | Recall
    asked: float  # of 128 pairs, those that a 32 × 32 state returns


# positions: one RoPE layer that outputs the symbol 3 back, trained on 32 tokens


def angles_per_step(fix: str, factor: int) -> Tensor:
    """θ of every pair: as trained, all divided by s, or only the pairs that never completed a turn in training."""
    theta = frequencies(MODEL // HEADS, 10_000)  # (pair,)
    never_turned = 2 * math.pi / theta > TRAINED
    if fix == "interpolated":
        return theta / factor
    return torch.where(never_turned, theta / factor, theta) if fix == "by_parts" else theta


@stage(keep=64)
def tune(lab: Lab, fix: str, factor: int, steps: int, seed: int) -> Weights:
    """The model trained on 32 tokens, then a few steps at `factor` times that length with its new angles."""
    weights, theta = train(lab, "rope", seed), angles_per_step(fix, factor)
    if not steps:
        return weights
    weights = {name: weight.clone().requires_grad_() for name, weight in weights.items()}
    optimizer, generator = torch.optim.Adam(weights.values(), LEARNING_RATE), lab.generator(seed + 500)
    for step in range(steps):
        symbols = torch.randint(SYMBOLS, (SEQUENCES, factor * TRAINED), generator=generator)
        logits = name_symbols(weights, symbols, theta, HEADS, factor * TRAINED)[:, BACK:]  # (batch, position, symbol)
        loss = F.cross_entropy(logits.flatten(0, 1), symbols[:, :-BACK].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        lab.progress(step / steps, Text(f"Fine-tuning: {FIXES[fix].en}", f"微调中：{FIXES[fix].zh}"))
    return {name: weight.detach() for name, weight in weights.items()}


@stage(keep=128)
def accuracy(lab: Lab, fix: str, factor: int, steps: int, seed: int) -> Tensor:
    """How often the model names the symbol 3 back, at each position of the longer context."""
    symbols = torch.randint(SYMBOLS, (SEQUENCES, factor * TRAINED), generator=lab.generator(1000 + seed))
    window, steps = (TRAINED, 0) if fix == "window" else (factor * TRAINED, steps)
    weights = tune(lab, fix, factor, steps, seed)
    named = name_symbols(weights, symbols, angles_per_step(fix, factor), HEADS, window)[:, BACK:]  # logits
    return (named.argmax(-1) == symbols[:, :-BACK]).float().mean(0)  # (position,) from position 3 on


def positions_view(params: Params, lab: Lab) -> Positions:
    """Four ways to leave the training length."""
    trained = frequencies(MODEL // HEADS, 10_000) * TRAINED / (2 * math.pi)
    turns = {fix: angles_per_step(fix, params.factor) * params.factor * TRAINED / (2 * math.pi) for fix in FIXES}
    scores = {fix: accuracy(lab, fix, params.factor, params.tuning, params.seed) for fix in FIXES}
    return Positions(scores, turns, trained)


# cost: three methods on tensors that have a shape and no numbers, so any length can be counted


@stage(keep=128)
def bill(_lab: Lab, method: str, length: int, window: int, width: int) -> tuple[int, int]:
    """FLOPs of reading n tokens, and bytes of what is kept for the next one: keys and values, or S with z."""
    tensors = torch.empty(3, length, width, device="meta").unbind()
    runs = {
        "full": lambda: full(*tensors),
        "window": lambda: windowed(*tensors, window=window),
        "linear": lambda: linear_attention(*tensors),
    }
    shapes = {"full": (2, length, width), "window": (2, min(window, length), width), "linear": (width, width + 1)}
    return count(runs[method]).flops, torch.empty(shapes[method], device="meta").nbytes


@stage(keep=8)
def errors(lab: Lab, width: int) -> dict[str, float]:
    """The cheap methods on a few tokens: against PyTorch's masked attention, and against all products at once."""
    tensors = lab.normal(3, COMPARED, width, generator=lab.generator(0)).unbind()
    mask = ~hidden(COMPARED, COMPARED // 4).to(lab.device)
    masked = F.scaled_dot_product_attention(*(x.unsqueeze(0) for x in tensors), attn_mask=mask)[0]
    return {
        "window": (windowed(*tensors, window=COMPARED // 4) - masked).abs().max().item(),
        "linear": (linear_attention(*tensors) - linear_at_once(*tensors)).abs().max().item(),
    }


def cost_view(params: Params, lab: Lab) -> Cost:
    """FLOPs of a whole prompt at a few lengths, and bytes kept after it."""
    window, width = params.window, params.width
    lengths = tuple(sorted({4**power for power in range(5, 11)} | {params.length}))
    bills = {name: [bill(lab, name, length, window, width) for length in lengths] for name in METHODS}
    return Cost(lengths, bills, errors(lab, width))


# reach: which inputs can change the last output of a stack of windowed layers


@stage(keep=32)
def influence(lab: Lab, layers: int, window: int, seed: int) -> Tensor:
    """∂(last output)/∂(input k tokens back) of a Pre-LN stack: root mean square over random directions."""
    generator = lab.generator(seed)
    x = lab.normal(1, 1, TOKENS, WIDTH, generator=generator).repeat(1, DIRECTIONS, 1, 1).requires_grad_()
    directions = lab.normal(1, DIRECTIONS, WIDTH, generator=generator)
    stream, unseen = x, hidden(TOKENS, window).to(lab.device)
    for block in draw_blocks(lab, generator, networks=1, layers=layers):
        stream = stream + attend(F.layer_norm(stream, (WIDTH,)), block, unseen)
        stream = stream + feed_forward(F.layer_norm(stream, (WIDTH,)), block)
    (slope,) = torch.autograd.grad(stream[:, :, -1], x, directions)  # (network, direction, token, feature)
    return slope[0].norm(dim=-1).square().mean(0).sqrt().flip(0)  # (distance,) from 0


def reach_view(params: Params, lab: Lab) -> Reach:
    """The first layers of the stack, one more at a time."""
    rows = [influence(lab, layers, params.sight, params.seed) for layers in range(1, params.layers + 1)]
    return Reach(torch.stack(rows))


# recall: m random keys and values of width d, each asked for by its key


@stage(keep=128)
def recall(lab: Lab, pairs: int, d: int, scale: int, seed: int) -> tuple[dict[str, float], Tensor, int]:
    """Share of pairs whose own value is nearest to the answer; noise power and rank of the linear state."""
    drawn = lab.normal(2, QUERIES // pairs, pairs, d, generator=lab.generator(seed))
    keys, values = F.normalize(drawn, dim=-1)  # (trial, pair, feature) each
    state = keys.mT @ values  # (trial, feature, feature): Σ k vᵀ, however many pairs
    recent = max(1, d // 2)  # pairs of a cache with as many numbers as the state
    logits = scale * keys @ keys.mT  # (trial, query, pair)
    answers = {
        "full": logits.softmax(-1) @ values,
        "linear": keys @ state,
        "window": logits[..., -recent:].softmax(-1) @ values[:, -recent:],
    }
    own = torch.arange(pairs, device=lab.device)
    share = {name: ((answer @ values.mT).argmax(-1) == own).float().mean().item() for name, answer in answers.items()}
    noise = (answers["linear"] - values).square().sum(-1).mean(-1)  # (trial,)
    first_keys, first_values = keys[0].cpu().double(), values[0].cpu().double()  # a rank is not for fp32
    return share, noise, int(torch.linalg.matrix_rank(first_keys.mT @ first_values))


@stage(keep=16)
def diluted(_lab: Lab, gap: int) -> Tensor:
    """The weight of one token whose logit is `gap` above n − 1 others; in fp64, since it sums up a million terms."""
    logits = F.pad(torch.tensor([gap], dtype=torch.float64), (0, CROWDS[-1] - 1))  # (token,)
    return torch.stack([logits[:crowd].softmax(0)[0] for crowd in CROWDS])  # (crowd,)


def recall_view(params: Params, lab: Lab) -> Recall:
    """Growing sets of pairs, and growing crowds."""
    found = [recall(lab, pairs, params.state, params.scale, params.seed) for pairs in STORED]
    return Recall(
        stored=STORED,
        recalled={name: torch.tensor([share[name] for share, _, _ in found]) for name in METHODS},
        noise=[noise for _, noise, _ in found],
        ranks=[rank for _, _, rank in found],
        crowds=CROWDS,
        weights={lead: diluted(lab, lead) for lead in sorted({*LEADS, params.scale})},
    )


def compute(params: Params, lab: Lab) -> Result:
    """The view, and what the prediction asks for; only the view of positions trains a model."""
    views = {"positions": positions_view, "cost": cost_view, "reach": reach_view, "recall": recall_view}
    return Result(params, views[params.view](params, lab), recall(lab, 128, 32, 16, params.seed)[0]["linear"])


def right_option(result: Result) -> str:
    """The option nearest to the share just measured, by ratio."""
    shares = {"all": 1.0, "half": 0.5, "rank": 32 / 128, "cache": 16 / 128}
    return min(shares, key=lambda name: abs(math.log(shares[name] / result.asked)))


DEMO = Demo(
    title=Text("What limits the context", "上下文长度受什么限制"),
    summary=Text(
        "Four limits, one at a time: positions never trained, cost, the reach of a window, and what is recalled.",
        "四个限制逐个看：没训练过的位置、代价、窗口的视野，以及到底能记住多少。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "Linear attention adds 128 random pairs of key and value into one state of 32 × 32, so of rank 32 at most. "
            "It is then asked with each of the 128 keys. How often is the right value the nearest to its answer?",
            "线性注意力把 128 对随机的 key 和 value 加进同一个 32 × 32 的状态，秩至多为 32。"
            "再用这 128 个 key 逐个去读，读出的结果有多大比例离正确的 value 最近？",
        ),
        options={
            "all": Text("always: every pair was added", "全部：每一对都加进去了"),
            "half": Text("almost half the time", "将近一半"),
            "rank": Text("a quarter: 32 of 128", "四分之一：128 对里的 32 对"),
            "cache": Text("an eighth, as a cache of the last 16 pairs", "八分之一，和只存最近 16 对的缓存一样"),
        },
        right=right_option,
        because=Text(
            r"The rank limits exact recall. With more, an answer is the value plus noise of power $127/32\approx4$ "
            "that spreads over 32 directions: the value is often still the nearest. Softmax finds every pair.",
            r"秩限制的是精确取回。存得再多，读出的就是 value 加上功率 $127/32\approx4$ 的噪声，"
            "但它分散在 32 个方向上，正确的 value 常常仍是最近的。softmax 则每一对都找得到。",
        ),
    ),
    presets=(
        Preset(Text("8 times the training length", "训练长度的 8 倍"), Params("positions")),
        Preset(Text("20 fine-tuning steps", "微调 20 步"), Params("positions", tuning=20)),
        Preset(Text("The bill at 131,072 tokens", "131,072 个 token 的账单"), Params(view="cost")),
        Preset(Text("Reach of 4 windowed layers", "4 层窗口的视野"), Params(view="reach")),
    ),
)
