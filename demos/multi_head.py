"""What several attention heads buy: one head returns one average per query, however wide it is."""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from demos.claims.multi_head import claims
from demos.figures.multi_head import pictures
from demos.kit.contract import Demo, Prediction, Preset
from demos.kit.knobs import Choice, Range
from demos.kit.lab import Lab
from demos.kit.stage import stage
from language import Text, same

TOKENS, CONTENT, SEQUENCES = 16, 8, 512  # positions on a ring, width of what each holds, samples
OFFSETS = (-1, 1, -2, 2, -3, 3, -4, 4)  # where the targets are, relative to the query
KEY_WIDTH, BATCH, STEPS = 16, 64, 400  # of the layer that is trained
COST_TOKENS, COST_WIDTH, HEAD_COUNTS = 32, 64, (1, 2, 4, 8, 16, 32)  # of the layer whose cost is counted


@dataclass(frozen=True)
class Params:
    """The knobs."""

    heads: Annotated[int, Range(1, 8, label=Text("Heads h", "头数 h"))] = 1
    targets: Annotated[int, Range(1, 8, label=Text("Neighbours to fetch k", "要读的邻居数 k"))] = 2
    weights: Annotated[
        str,
        Choice(
            {"hand": Text("set by hand", "手工设定"), "learned": Text("learned with Adam", "用 Adam 学习")},
            label=Text("Attention weights are", "注意力权重"),
        ),
    ] = "hand"
    sharpness: Annotated[
        float,
        Range(
            0,
            12,
            label=Text("Score of a wanted position", "目标位置的分数"),
            help=Text("All other positions score 0", "其余位置的分数都是 0"),
            when=("weights", ("hand",)),
        ),
    ] = 12.0
    lean: Annotated[
        float,
        Range(
            0,
            1,
            0.1,
            label=Text("Preference for a head's first target", "偏向该头第一个目标的程度"),
            help=Text("0 shares equally; 1 gives everything to the first", "0 为平均分配，1 为全给第一个"),
            when=("weights", ("hand",)),
        ),
    ] = 0.0
    seed: Annotated[int, Range(0, 9, label=Text("Random seed", "随机种子"))] = 0


@dataclass(frozen=True)
class Cost:
    """A layer of the same width cut into more and more heads."""

    parameters: Tensor  # (count,) of PyTorch's layer without biases, one entry for each of `HEAD_COUNTS`
    flops: Tensor  # (count,) of all matrix multiplications
    weights: Tensor  # (count,) attention weights, which are also the entries of the softmax
    concat_gap: float  # largest difference between the sum over heads and PyTorch's concatenation times W_O


@dataclass(frozen=True)
class Result:
    """What the heads read, how well the targets can be rebuilt from it, and what heads cost."""

    params: Params
    maps: Tensor  # (head, query, key)
    errors: Tensor  # (target,) share of the target's variance that the best linear readout misses
    mixture: Tensor  # (share, 2) one head, two targets: both errors for every split of its weight
    losses: Tensor  # (step,) of the training, empty for weights set by hand
    cost: Cost
    offsets: tuple[int, ...] = OFFSETS
    head_counts: tuple[int, ...] = HEAD_COUNTS

    @property
    def samples(self) -> int:
        """How many independent numbers stand behind each error."""
        return SEQUENCES * TOKENS * CONTENT

    @property
    def rows(self) -> int:
        """How many queries the readout is fitted on."""
        return SEQUENCES * TOKENS

    @property
    def cost_shape(self) -> tuple[int, int]:
        """Tokens and width of the layer whose cost is counted."""
        return COST_TOKENS, COST_WIDTH


@stage(keep=4)
def draw(lab: Lab, seed: int) -> tuple[Tensor, ...]:
    """What stands at every position, in two halves: to fit a readout on, and to measure its error on."""
    generator = lab.generator(seed)
    return lab.normal(2, SEQUENCES, TOKENS, CONTENT, generator=generator).unbind()  # (sequence, position, content)


def set_by_hand(params: Params, lab: Lab) -> Tensor:
    """Deal the targets out to the heads in turn; extra heads repeat."""
    scores = torch.zeros(params.heads, TOKENS)  # (head, relative position)
    busy = min(params.heads, params.targets)
    for head in range(params.heads):
        for place, target in enumerate(range(head % busy, params.targets, busy)):
            share = (1 - params.lean) ** place
            scores[head, OFFSETS[target]] = params.sharpness + math.log(share) if share else -math.inf
    row = scores.softmax(-1)  # (head, relative position)
    return torch.stack([row.roll(query, -1) for query in range(TOKENS)], dim=1).to(lab.device)  # (head, query, key)


def read(maps: Tensor, content: Tensor) -> Tensor:
    """Every head's weighted average, concatenated."""
    averages = torch.einsum("hqk,skc->sqhc", maps, content)  # (sequence, query, head, content)
    return averages.flatten(2)  # (sequence, query, head · content)


def wanted(content: Tensor, targets: int) -> Tensor:
    """What stands at each target offset of every query."""
    moved = [content.roll(-offset, 1) for offset in OFFSETS[:targets]]
    return torch.cat(moved, -1)  # (sequence, query, target · content)


def fit_readout(features: Tensor, target: Tensor) -> Tensor:
    """Least squares, the best W_O there is; a trace of ridge keeps identical heads solvable."""
    features, target = features.flatten(0, 1), target.flatten(0, 1)  # (row, ·)
    gram = features.mT @ features  # (head · content, head · content)
    ridge = 1e-5 * gram.diagonal().mean() * torch.eye(len(gram), device=gram.device)
    return torch.linalg.solve(gram + ridge, features.mT @ target)  # (head · content, target · content)


def missed_variance(maps: Tensor, params: Params, content: Tensor, fresh: Tensor) -> Tensor:
    """Fit the readout on one half of the data; measure on the other what it misses of each target."""
    readout = fit_readout(read(maps, content), wanted(content, params.targets))
    target = wanted(fresh, params.targets)  # (sequence, query, target · content)
    missed = (read(maps, fresh) @ readout - target).unflatten(-1, (params.targets, CONTENT))
    whole = target.unflatten(-1, (params.targets, CONTENT)).square().mean((0, 1, 3))  # (target,)
    return missed.square().mean((0, 1, 3)) / whole


@stage(keep=10)
def split_one_head(lab: Lab, seed: int) -> Tensor:
    """One head, two targets: give the first a share a of the weight and the second 1 − a, for every a."""
    _, content = draw(lab, seed)  # (sequence, position, content)
    first, second = content.roll(1, 1).flatten(), content.roll(-1, 1).flatten()
    share = torch.linspace(0, 1, 41, device=content.device).unsqueeze(-1)  # (share, 1)
    average = share * first + (1 - share) * second  # (share, number)
    energy = average.square().sum(-1)
    errors = [1 - (average @ y).square() / (energy * y.square().sum()) for y in (first, second)]
    return torch.stack(errors, -1)  # (share, 2)


@stage(keep=24)
def train(lab: Lab, heads: int, targets: int, seed: int) -> tuple[Tensor, Tensor]:
    """A real layer: queries and keys read positions, values read content, Adam learns all four matrices."""
    generator = lab.generator(seed)
    query, key = (0.3 * lab.normal(2, heads, TOKENS, KEY_WIDTH, generator=generator)).unbind()
    value = lab.normal(heads, CONTENT, CONTENT, generator=generator) / math.sqrt(CONTENT)
    output = lab.normal(heads, CONTENT, targets * CONTENT, generator=generator) / math.sqrt(heads * CONTENT)
    weights = [part.clone().requires_grad_() for part in (query, key, value, output)]
    optimiser = torch.optim.Adam(weights, lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    maps, losses = torch.empty(0), []
    for step in range(STEPS):
        if step % 10 == 0:
            lab.progress(step / STEPS, Text(f"Training, step {step} of {STEPS}", f"训练中，第 {step}/{STEPS} 步"))
        content = lab.normal(BATCH, TOKENS, CONTENT, generator=generator)  # (sequence, position, content)
        query, key, value, output = weights
        maps = (query @ key.mT / math.sqrt(KEY_WIDTH)).softmax(-1)  # (head, query, key)
        averages = read(maps, content)  # (sequence, query, head · content)
        written = averages @ (value @ output).flatten(0, 1)  # (sequence, query, target · content)
        loss = F.mse_loss(written, wanted(content, targets))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.detach())
    return maps.detach().cpu(), torch.stack(losses).cpu()


def multiply(one: Tensor, other: Tensor, flops: list[int]) -> Tensor:
    """A matrix product that writes down its cost: a multiplication and an addition for each pair."""
    flops.append(2 * one.numel() * other.shape[-1])
    return one @ other


def layer(x: Tensor, matrices: Tensor, heads: int, flops: list[int]) -> tuple[Tensor, Tensor]:
    """Multi-head attention as a sum over heads, each with its own rows of W_O."""
    *inputs, output = matrices  # each (model, model)
    split = [multiply(x, matrix, flops).unflatten(-1, (heads, -1)).transpose(0, 1) for matrix in inputs]
    query, key, value = split  # each (head, token, head width)
    scores = multiply(query, key.mT, flops) / math.sqrt(query.shape[-1])  # (head, query, key)
    weights = scores.softmax(-1)
    mixed = multiply(weights, value, flops)  # (head, query, head width)
    written = multiply(mixed, output.unflatten(0, (heads, -1)), flops)  # (head, query, model)
    return written.sum(0), weights  # (query, model)


@stage(keep=10)
def count_cost(lab: Lab, seed: int) -> Cost:
    """The same matrices cut into 1, 2, 4, … heads."""
    generator = lab.generator(seed + 100)
    x = lab.normal(COST_TOKENS, COST_WIDTH, generator=generator)  # (token, model)
    matrices = lab.normal(4, COST_WIDTH, COST_WIDTH, generator=generator) / math.sqrt(COST_WIDTH)
    rows = []
    for heads in HEAD_COUNTS:
        flops: list[int] = []
        summed, weights = layer(x, matrices, heads, flops)
        gap = (summed - concatenated(x, matrices, heads)).abs().max().item()
        oracle = nn.MultiheadAttention(COST_WIDTH, heads, bias=False, device="meta")  # shapes without numbers
        parameters = sum(matrix.numel() for matrix in oracle.parameters())
        rows.append((parameters, sum(flops), weights.numel(), gap))
    counted, multiplied, weighed, gaps = torch.tensor(rows).unbind(-1)
    return Cost(counted, multiplied, weighed, gaps.max().item())


def concatenated(x: Tensor, matrices: Tensor, heads: int) -> Tensor:
    """PyTorch's own multi-head attention: concatenate the heads, then multiply by W_O."""
    stacked, output = matrices[:3].mT.flatten(0, 1), matrices[3].mT
    tokens = x.unsqueeze(1)  # (token, batch, model)
    inputs = (tokens, tokens, tokens, COST_WIDTH, heads, stacked, None, None, None, False, 0.0, output, None)
    return F.multi_head_attention_forward(*inputs, training=False, need_weights=False)[0].squeeze(1)


def compute(params: Params, lab: Lab) -> Result:
    """Average with every head, rebuild the targets linearly from the averages, see what is missed."""
    content, fresh = draw(lab, params.seed)  # (sequence, position, content) each
    maps, losses = set_by_hand(params, lab), torch.empty(0)  # (head, query, key)
    if params.weights == "learned":
        maps, losses = train(lab, params.heads, params.targets, params.seed)
    errors = missed_variance(maps.to(lab.device), params, content, fresh)  # (target,)
    return Result(params, maps, errors, split_one_head(lab, params.seed), losses, count_cost(lab, params.seed))


def right_option(result: Result) -> str:
    """From the measured errors of one head with two targets, for every split of its weight."""
    means = result.mixture.mean(-1)
    if (means.max() - means.min()).item() > 0.1:
        return "depends"
    values = {"zero": 0.0, "quarter": 0.25, "half": 0.5}
    return min(values, key=lambda name: abs(values[name] - means.min().item()))


DEMO = Demo(
    title=Text("One head, one average", "一个头，一个平均"),
    summary=Text(
        "Fetch k neighbours with h heads. Split one head's weight as you like: its error does not move.",
        "用 h 个头去读 k 个邻居。单头的权重随你怎么分，误差都不变。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "One head must report two neighbours at once. You may split its attention between them as you like. "
            "What is the lowest error, as a share of the variance?",
            "一个头要同时报告两个邻居的内容，注意力在两者之间怎么分由你决定。误差占方差的比例最低是多少？",
        ),
        options={
            "zero": same("0"),
            "quarter": same("0.25"),
            "half": Text("0.5, for any split", "0.5，怎么分都一样"),
            "depends": Text("it depends on the split", "取决于怎么分"),
        },
        right=right_option,
        because=Text(
            r"From $a c_1+b c_2$ a linear readout explains $a^2/(a^2+b^2)$ of the one and $b^2/(a^2+b^2)$ of the "
            "other. The two shares add up to 1 of 2, whatever $a$ and $b$ are.",
            r"由 $a c_1+b c_2$，线性读出能解释其中一个的 $a^2/(a^2+b^2)$、另一个的 $b^2/(a^2+b^2)$。"
            "两者之和恒为 1，而要解释的总量是 2，与 $a$、$b$ 无关。",
        ),
    ),
    presets=(
        Preset(Text("One head, two targets", "一个头，两个目标"), Params()),
        Preset(Text("Two heads", "两个头"), Params(heads=2)),
        Preset(Text("Four identical heads", "四个完全相同的头"), Params(heads=4, targets=4, sharpness=0.0)),
        Preset(Text("Two heads learn four targets", "两个头学四个目标"), Params(2, 4, "learned")),
    ),
)
