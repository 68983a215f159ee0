"""Where five position encodings act, what a shift does to them, and what is left beyond the training length."""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.claims.position_encodings import claims
from demos.figures.position_encodings import pictures
from demos.kit import copying_task, position_schemes
from demos.kit.contract import Demo, Impossible, Prediction, Preset
from demos.kit.copying_task import BACK, BATCH, ROWS, SYMBOLS, TESTED, TRAINED, model, train
from demos.kit.knobs import Choice, Range, Spaced, powers_of_two
from demos.kit.lab import Lab
from demos.kit.position_schemes import BUCKETS, SCHEMES, bucket, embed, frequencies, rotate, scores, slopes
from demos.kit.stage import stage
from language import Text

SHOWN = 64  # positions of the shift test
PAIRS = 2048  # random queries and keys whose scores are compared at every offset
OFFSETS = (0, 1, 16, 128, 512, 2048)
BASES = (100, 1000, 10_000, 100_000, 500_000, 1_000_000)
LENGTHS, ROPE = powers_of_two(512, 32_768), ("scheme", ("rope",))


@dataclass(frozen=True)
class Params:
    """The knobs."""

    scheme: Annotated[str, Choice(SCHEMES, label=Text("Position encoding", "位置编码"))] = "rope"
    shift: Annotated[int, Range(0, 1000, 10, label=Text("Shift both tokens by", "两个 token 同时平移"))] = 100
    interpolation: Annotated[int, Range(1, 8, label=Text("Divide positions by", "位置除以"), when=ROPE)] = 1
    base: Annotated[int, Spaced(BASES, label=Text("Base b", "底数 b"), when=ROPE)] = 10_000
    length: Annotated[int, Spaced(LENGTHS, label=Text("Training length (angles)", "训练长度（看角度）"), when=ROPE)] = (
        4096
    )
    heads: Annotated[int, Spaced((4, 8, 16), label=Text("Heads", "头数"), when=("scheme", ("alibi",)))] = 8
    width: Annotated[int, Spaced((32, 64, 128), label=Text("Head width dₕ", "每头维度 dₕ"))] = 128
    seed: Annotated[int, Range(0, 9, label=Text("Random seed", "随机种子"))] = 0


@dataclass(frozen=True)
class Result:
    """The shift test, the effect of distance, RoPE's angles, and accuracy by position after training."""

    params: Params
    before: Tensor  # (head, pair) scores of causal pairs
    after: Tensor  # (head, pair) the same tokens, both moved
    rounding: float  # what rounding alone may change in a score
    offsets: tuple[int, ...]
    spreads: Tensor  # (offset,) standard deviation of RoPE scores of random queries and keys
    same_vector: Tensor  # (distance,) RoPE score of a vector of ones with itself, over the width
    norm_drift: float  # largest relative change of a norm by RoPE's rotation
    turns: Tensor  # (pair,) turns of each RoPE pair within the training length
    biases: Tensor  # (head, distance) what ALiBi or the trained T5 adds to a score
    look_back: float  # mean distance under ALiBi's flattest head if all contents are equal
    buckets: Tensor  # (distance,) T5 bucket
    untrained_buckets: int  # of the trained T5 model
    row_beyond: bool  # whether the learned table answers for the first position beyond it
    accuracy: Tensor  # (position,) of the trained model of this scheme
    rope_accuracy: Tensor  # (position,) of the trained RoPE model, positions not divided
    rope_in_window: Tensor  # (position,) the same model, seeing only the last 32 tokens


def shift_test(params: Params, lab: Lab) -> tuple[Tensor, Tensor, float]:
    """Scores of random tokens through random projections, here and `shift` positions later."""
    if params.scheme == "learned" and params.shift + SHOWN > ROWS:
        last = params.shift + SHOWN - 1
        en = f"The table has {ROWS} rows: there is none for position {last}, and PyTorch raises an IndexError."
        zh = f"表只有 {ROWS} 行，没有位置 {last} 的行，PyTorch 会抛出 IndexError。"
        raise Impossible(Text(f"{en} Every other scheme is defined there.", f"{zh}其他方案在那里都有定义。"))
    generator, width = lab.generator(params.seed), params.width
    tokens = lab.normal(SHOWN, width, generator=generator)  # (position, width)
    projections = lab.normal(2, params.heads, width, width, generator=generator) / math.sqrt(width)
    table = lab.normal(ROWS, width, generator=generator)
    bias = lab.normal(params.heads, BUCKETS, generator=generator)
    past = torch.ones(SHOWN, SHOWN, dtype=torch.bool, device=lab.device).tril()

    seen, size = [], torch.zeros((), device=lab.device)
    for start in (0, params.shift):
        positions = torch.arange(start, start + SHOWN, device=lab.device)
        query, key = embed(tokens, positions, params.scheme, table) @ projections  # (head, position, width) each
        stretched = positions / params.interpolation if params.scheme == "rope" else positions
        seen.append(scores(query, key, stretched, params.scheme, bias, params.base)[:, past])  # (head, pair)
        size = query.norm(dim=-1).amax() * key.norm(dim=-1).amax() / math.sqrt(width)  # largest |q||k|/√d
    # an angle near p is rounded by p·ε/2; it occurs in query and key, before and after the shift
    rounding = 2 * torch.finfo(torch.float32).eps * (params.shift + SHOWN + 8) * size.item()
    return seen[0], seen[1], rounding


@stage(keep=16)
def rotation_facts(lab: Lab, width: int, base: int, seed: int) -> tuple[Tensor, Tensor, float]:
    """RoPE: spread of random scores by offset, score of equal vectors by distance, and how well norms are kept."""
    generator = lab.generator(seed + 10)
    query, key = lab.normal(2, PAIRS, width, generator=generator)  # (pair of vectors, width) each
    places = torch.tensor(OFFSETS, device=lab.device).view(-1, 1)  # (offset, 1)
    moved = rotate(key, places, base)  # (offset, pair of vectors, width)
    spreads = (query * moved).sum(-1).div(math.sqrt(width)).std(-1)  # (offset,)
    drift = (moved.norm(dim=-1) / key.norm(dim=-1) - 1).abs().amax()
    ones = torch.ones(1, width, device=lab.device)
    distances = torch.arange(OFFSETS[-1] + 1, device=lab.device)
    same_vector = rotate(ones, distances, base).mean(-1)  # (distance,): Σ cos(rθ_i) / (d/2)
    return spreads, same_vector, drift.item()


@stage(keep=64)
def accuracy(lab: Lab, scheme: str, seed: int, interpolation: int = 1, window: int = TESTED) -> Tensor:
    """How often the trained model is right at each position up to 256, if it sees only the last `window` tokens."""
    symbols = torch.randint(SYMBOLS, (BATCH, TESTED), generator=lab.generator(1000 + seed))
    weights, parts = train(lab, scheme, seed), symbols.split(2)  # quicker than all 32 at once
    named = torch.cat([model(weights, part, scheme, interpolation, window)[:, BACK:].argmax(-1) for part in parts])
    return (named == symbols[:, :-BACK]).float().mean(0)  # (position,) from position 3 on


def has_row(table: Tensor, position: int) -> bool:
    """Whether a learned table answers for a position; PyTorch raises an IndexError where it does not."""
    try:
        F.embedding(torch.tensor(position), table)
    except IndexError:
        return False
    return True


def compute(params: Params, lab: Lab) -> Result:
    """Move two tokens together, look at distance alone, then test what a small trained model does beyond its length."""
    before, after, rounding = shift_test(params, lab)
    spreads, same_vector, norm_drift = rotation_facts(lab, params.width, params.base, params.seed)
    distances = torch.arange(4096)
    penalties = -slopes(params.heads).unsqueeze(-1) * distances  # (head, distance): ALiBi
    bias = train(lab, params.scheme, params.seed)["bias"]  # stays 0 unless the scheme is T5's
    interpolation = params.interpolation if params.scheme == "rope" else 1
    return Result(
        params,
        before,
        after,
        rounding,
        OFFSETS,
        spreads,
        same_vector,
        norm_drift,
        turns=frequencies(params.width, params.base) * params.length / (2 * math.pi),
        biases=penalties if params.scheme == "alibi" else bias[:, bucket(distances)],
        look_back=(penalties[-1].softmax(-1) * distances).sum().item(),
        buckets=bucket(distances),
        untrained_buckets=int((bias == 0).all(0).sum()),
        row_beyond=has_row(torch.zeros(ROWS, 1), ROWS),
        accuracy=accuracy(lab, params.scheme, params.seed, interpolation),
        rope_accuracy=accuracy(lab, "rope", params.seed),
        rope_in_window=accuracy(lab, "rope", params.seed, window=TRAINED),
    )


def right_option(result: Result) -> str:
    """Which option the accuracy just measured at positions 128 to 255 falls into."""
    far = result.rope_accuracy[128 - BACK :].mean().item()
    return "chance" if far < 0.2 else "part" if far < 0.9 else "all"


DEMO = Demo(
    title=Text("Position encodings compared", "位置编码比较"),
    summary=Text(
        "Move two tokens together, then leave the training length: the two tests have different winners.",
        "先把两个 token 一起平移，再走出训练长度：两项测试的赢家并不相同。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    shows=(position_schemes, copying_task),
    prediction=Prediction(
        ask=Text(
            "RoPE scores depend on the offset alone. One attention layer with RoPE learns to output the symbol 3 back, "
            "always right on its training length of 32. How often is it right at positions 128 to 255?",
            "RoPE 的分数只取决于偏移。一个带 RoPE 的单层注意力学会了输出 3 个位置之前的符号，"
            "在训练长度 32 以内全对。到了第 128 到 255 个位置，正确率是多少？",
        ),
        options={
            "all": Text("still always: the rule is relative", "依然全对：规则是相对的"),
            "part": Text("about half the time", "一半左右"),
            "chance": Text("near chance, 1 in 16", "接近瞎猜，1/16"),
        },
        right=right_option,
        because=Text(
            "The score of offset 3 is the same everywhere, but the softmax now also holds offsets above 31. Their "
            "angles never occurred in training, nothing pushed their scores down, and there are many of them.",
            "偏移 3 的分数处处相同，但 softmax 里多了大于 31 的偏移：它们的角度训练时从未出现，"
            "没有什么把这些分数压低，而且数量很多。",
        ),
    ),
    presets=(
        Preset(Text("Divide positions by 4, no fine-tuning", "位置除以 4，不微调"), Params(interpolation=4)),
        Preset(Text("ALiBi", "ALiBi：只看近处"), Params(scheme="alibi")),
        Preset(Text("T5: buckets never trained", "T5：没训练到的桶"), Params(scheme="t5")),
        Preset(Text("Sinusoidal, shifted", "正弦编码，平移之后"), Params(scheme="sinusoidal")),
    ),
)
