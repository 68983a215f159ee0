"""One attention head, step by step: follow a single number from score to output, and count what the steps cost."""

import math
import re
import zlib
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.claims.attention_steps import claims
from demos.figures.attention_steps import pictures
from demos.kit.contract import Demo, Impossible, Prediction, Preset
from demos.kit.knobs import Choice, Range, Spaced, Switch, Table, Words, powers_of_two
from demos.kit.lab import Lab
from demos.kit.stage import stage
from language import Text, same

TOKENS, VALUE_WIDTH, EMBEDDING = 5, 2, 16
PAIRS = 4096  # random queries and keys whose scores are measured
MODEL, HEADS = 512, 8  # the layer whose cost is counted: the base model
REACH = 3.0  # how far a matrix is slid, in both directions
MASKS = {
    "none": Text("none", "无"),
    "causal": Text("causal", "因果"),
    "padding": Text("padding", "padding"),
}
MATRICES = {"query": same("Q"), "key": same("K"), "value": same("V")}
STEPS = {
    "scores": Text("1 · scores QKᵀ", "1 · 分数 QKᵀ"),
    "scaled": Text("2 · scaled", "2 · 缩放"),
    "masked": Text("3 · masked", "3 · 掩码"),
    "weights": Text("4 · weights", "4 · 权重"),
    "output": Text("5 · output", "5 · 输出"),
}
OWN, DRAWN = ("edit", (True,)), ("edit", (False,))
Matrix = tuple[tuple[float, ...], ...]


def own(name: str) -> Table:
    """A matrix that the learner fills in: one row per token."""
    return Table(TOKENS, 2, -5, 5, 0.1, label=Text(f"{name}, a row per token", f"{name}，每个 token 一行"), when=OWN)


@dataclass(frozen=True)
class Params:
    """The knobs."""

    sentence: Annotated[
        str,
        Words(
            40,
            ("the cat saw the dog", "猫看见了狗", "attention"),
            label=Text("Sentence, up to 5 tokens", "句子（最多 5 个 token）"),
        ),
    ] = "the cat saw the dog"
    query: Annotated[int, Range(1, TOKENS, label=Text("Follow the query of token", "跟踪第几个 token 的 query"))] = 3
    key: Annotated[int, Range(1, TOKENS, label=Text("and the key of token", "以及第几个 token 的 key"))] = 2
    feature: Annotated[int, Range(1, VALUE_WIDTH, label=Text("into output coordinate", "落到输出的第几个坐标"))] = 2
    mask: Annotated[str, Choice(MASKS, label=Text("Mask (padding: the last token)", "掩码（padding：最后一个）"))] = (
        "causal"
    )
    scale: Annotated[bool, Switch(label=Text("Divide by √dₖ", "除以 √dₖ"))] = True
    step: Annotated[str, Choice(STEPS, label=Text("Show the whole matrix after step", "看哪一步之后的整个矩阵"))] = (
        "weights"
    )
    slide: Annotated[str, Choice(MATRICES, label=Text("Add b to every number of", "给哪个矩阵的每个数加 b"))] = "key"
    edit: Annotated[bool, Switch(label=Text("Edit Q, K and V yourself", "自己填 Q、K、V"))] = False
    q: Annotated[Matrix, own("Q")] = ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.0), (2.0, -1.0))
    k: Annotated[Matrix, own("K")] = ((1.0, 1.0), (1.0, 0.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 0.0))
    v: Annotated[Matrix, own("V")] = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (1.0, 0.0), (0.0, -1.0))
    key_width: Annotated[int, Spaced((2, 4, 16, 64), label=Text("Key width dₖ", "key 维度 dₖ"), when=DRAWN)] = 2
    seed: Annotated[int, Range(0, 9, label=Text("Random seed", "随机种子"), when=DRAWN)] = 0
    length: Annotated[
        int, Spaced(powers_of_two(128, 16_384), label=Text("Count the cost for n tokens", "按多少个 token 计算代价"))
    ] = 1024


@dataclass(frozen=True)
class Steps:
    """Everything one head computes. With a leading axis: the same for several inputs."""

    query: Tensor  # (token, key width)
    key: Tensor  # (token, key width)
    value: Tensor  # (token, value width)
    scores: Tensor  # (query, key)
    scaled: Tensor  # (query, key)
    masked: Tensor  # (query, key)
    weights: Tensor  # (query, key)
    output: Tensor  # (query, value width)


@dataclass(frozen=True)
class Result:
    """The steps for this sentence, the same with Q, K or V slid, the oracle's output, and counted costs."""

    params: Params
    tokens: tuple[str, ...]
    query: int  # the place of the followed query, from 0
    key: int
    feature: int
    steps: Steps
    allowed: Tensor  # (query, key)
    oracle: Tensor  # (query, value width) of PyTorch's scaled_dot_product_attention
    amounts: Tensor  # (amount,) what is added to every number of one matrix
    slides: dict[str, Steps]  # by matrix: the steps for every amount
    rounding: float  # a bound for what fp32 changes in a score, slid or not
    score_variance: float  # of random queries and keys at this width
    cost: dict[str, int]  # FLOPs of every matrix product of a base-model layer of this length


def split(sentence: str) -> tuple[str, ...]:
    """Words, or single characters for Chinese; the first five. An empty sentence is one unknown token."""
    found = re.findall(r"[\u4e00-\u9fff]|[^\W\u4e00-\u9fff]+", sentence)
    return tuple(found[:TOKENS]) or ("?",)


def embed(tokens: tuple[str, ...], seed: int, lab: Lab) -> Tensor:
    """A vector per word, the same wherever the word stands: there are no positions here."""
    known = [lab.normal(EMBEDDING, generator=lab.generator(zlib.crc32(f"{seed} {word}".encode()))) for word in tokens]
    return torch.stack(known)  # (token, embedding)


def project(tokens: tuple[str, ...], params: Params, lab: Lab) -> list[Tensor]:
    """Q = X W_Q, K = X W_K, V = X W_V: three different maps of the same X."""
    x, generator = embed(tokens, params.seed, lab), lab.generator(params.seed)
    widths = params.key_width, params.key_width, VALUE_WIDTH
    return [x @ lab.normal(EMBEDDING, width, generator=generator) / math.sqrt(EMBEDDING) for width in widths]


def may_attend(n: int, mask: str, device: torch.device) -> Tensor:
    """True where the query of a row may see the key of a column."""
    allowed = torch.ones(n, n, dtype=torch.bool, device=device)  # (query, key)
    if mask == "causal":
        return allowed.tril()
    if mask == "padding":
        allowed[:, -1] = False
    return allowed


def attend(query: Tensor, key: Tensor, value: Tensor, allowed: Tensor, scale: float) -> Steps:
    """softmax(QKᵀ · scale + mask) V."""
    scores = query @ key.mT  # (query, key): every query with every key
    scaled = scores * scale  # (query, key)
    masked = scaled.masked_fill(~allowed, -math.inf)  # (query, key)
    weights = masked.softmax(-1)  # (query, key): along the keys, so each row sums to 1
    output = weights @ value  # (query, value width): an average of the values
    return Steps(query, key, value, scores, scaled, masked, weights, output)


def slide(matrices: list[Tensor], amounts: Tensor, allowed: Tensor, scale: float) -> dict[str, Steps]:
    """Add every amount to every number of Q, then of K, then of V, and attend."""
    added = amounts.view(-1, 1, 1)  # (amount, 1, 1)

    def slid(chosen: Tensor) -> Steps:
        query, key, value = (matrix + added * (matrix is chosen) for matrix in matrices)
        return attend(query, key, value, allowed, scale)

    return {name: slid(matrix) for name, matrix in zip(MATRICES, matrices, strict=True)}


def score_rounding(query: Tensor, key: Tensor) -> float:
    """A bound for the rounding error of any score, the inputs slid by up to REACH: (d + 2) · u · Σ|q||k|."""
    size = ((query.abs() + REACH) @ (key.abs() + REACH).mT).max().item()
    return (query.shape[-1] + 2) * torch.finfo(query.dtype).eps / 2 * size


@stage(keep=16)
def score_variance(lab: Lab, width: int, seed: int) -> float:
    """The variance of q·k for random queries and keys with components of mean 0 and variance 1."""
    query, key = lab.normal(2, PAIRS, width, generator=lab.generator(seed + 100))  # (pair, width) each
    return (query * key).sum(-1).var().item()


def count_cost(length: int) -> dict[str, int]:
    """FLOPs of each matrix product of one layer, from its shapes alone; a multiply-add counts as two."""
    spent: dict[str, int] = {}

    def product(name: str, left: Tensor, right: Tensor) -> Tensor:
        made = left @ right
        spent[name] = spent.get(name, 0) + 2 * made.numel() * left.shape[-1]
        return made

    x, square = (torch.empty(rows, MODEL, device="meta") for rows in (length, MODEL))  # no numbers, only shapes
    query, key, value = (
        product("projections", x, square).unflatten(-1, (HEADS, -1)).transpose(0, 1)  # (head, token, head width)
        for _ in MATRICES
    )
    weights = product("scores", query, key.mT)  # (head, query, key)
    heads = product("average", weights, value).transpose(0, 1).flatten(1)  # (token, model width)
    product("output", heads, square)
    return spent


def compute(params: Params, lab: Lab) -> Result:
    """Follow one query, one key and one output coordinate through every step of one head."""
    tokens = split(params.sentence)
    n = len(tokens)
    if params.edit:
        matrices = [torch.tensor(table[:n], device=lab.device) for table in (params.q, params.k, params.v)]
    else:
        matrices = project(tokens, params, lab)
    query, key, value = matrices  # (token, key width) twice, (token, value width)
    allowed = may_attend(n, params.mask, lab.device)  # (query, key)
    if not allowed.any(-1).all():
        raise Impossible(
            Text(
                "The only token is padding, so every score is −∞ and the softmax is 0/0: there is nothing to average. "
                "Question 5 shows what libraries do then.",
                "唯一的 token 就是 padding：分数全是 −∞，softmax 成了 0/0，没有任何东西可以加权平均。"
                "各个库遇到这种情况怎么办，见第 5 题。",
            )
        )
    scale = 1 / math.sqrt(query.shape[-1]) if params.scale else 1.0
    amounts = torch.linspace(-REACH, REACH, 25, device=lab.device)  # (amount,)
    return Result(
        params,
        tokens,
        query=min(params.query, n) - 1,
        key=min(params.key, n) - 1,
        feature=params.feature - 1,
        steps=attend(query, key, value, allowed, scale),
        allowed=allowed,
        oracle=F.scaled_dot_product_attention(*(m[None] for m in matrices), attn_mask=allowed, scale=scale)[0],
        amounts=amounts,
        slides=slide(matrices, amounts, allowed, scale),
        rounding=score_rounding(query, key),
        score_variance=score_variance(lab, query.shape[-1], params.seed),
        cost=count_cost(params.length),
    )


def right_option(result: Result) -> str:
    """Which followed numbers move by more than 0.001 when 3 is added to, or taken from, every number of K."""
    slid, i, j = result.slides["key"], result.query, result.key
    followed = slid.scores[:, i, j], slid.weights[:, i, j], slid.output[:, i, result.feature]
    moved = [(line.amax() - line.amin()).item() > 1e-3 for line in followed]
    return ("none", "score", "weight", "all")[sum(moved)]


DEMO = Demo(
    title=Text("Attention, one number at a time", "注意力：盯住一个数看它怎么算"),
    summary=Text(
        "Pick a query, a key and an output coordinate, and follow their number through all five steps.",
        "选定一个 query、一个 key 和一个输出坐标，跟着这个数走完五步。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "You add the same $b$ to every number in $K$ and follow one pair of tokens. What changes: its score, its "
            "weight, the query's output?",
            "把同一个 $b$ 加到 $K$ 的每个数上，盯住一对 token：它的分数、权重和这个 query 的输出，哪些会变？",
        ),
        options={
            "all": Text("all three", "三个都变"),
            "weight": Text("the score and the weight, not the output", "分数和权重变，输出不变"),
            "score": Text("only the score", "只有分数变"),
            "none": Text("none of them", "三个都不变"),
        },
        right=right_option,
        because=Text(
            "Every score of query $i$ moves by the same $b\\sum_t q_{it}$, and the softmax sees only differences "
            "within a row. For the same reason a bias on the keys does nothing.",
            "query $i$ 的所有分数都移动同样的 $b\\sum_t q_{it}$，而 softmax 只看同一行里的差。"
            "所以给 key 加偏置也没有任何作用。",
        ),
    ),
    presets=(
        Preset(Text("Fill in Q, K, V", "自己填 Q、K、V"), Params(edit=True, key=1, feature=1)),
        Preset(Text("Values and outputs", "value 与输出"), Params(edit=True, key=1, feature=1, step="output")),
        Preset(Text("Slide the queries", "平移 query"), Params(slide="query")),
        Preset(Text("Wide keys, no scale", "key 很宽、不缩放"), Params(key_width=64, scale=False)),
    ),
)
