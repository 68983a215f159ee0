"""What a language model learns when its attention may read the very token it is asked to predict."""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.claims.causal_mask import claims, no_key_left
from demos.figures.causal_mask import MASKS, pictures
from demos.kit.contract import Demo, Impossible, Prediction, Preset
from demos.kit.knobs import Choice, Range, Spaced
from demos.kit.lab import Lab
from demos.kit.stage import stage
from language import Text

SYMBOLS, SHARPNESS = 8, 2.0  # the texts: a Markov chain over 8 symbols
LAYERS = {"one_open": ("causal", "none"), "no_shift": ("causal", "causal")}  # otherwise the same mask in both layers
STEPS, BATCH, LEARNING_RATE = 300, 32, 3e-3
TESTS, PROBES = 256, 16  # fresh texts that are scored, and those whose symbols are replaced one by one
WIDTH, HEADS, LONGEST, LENGTHS = 32, 2, 24, (1, 4, 12, 24)
Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Params:
    """The knobs."""

    mask: Annotated[str, Choice(MASKS, label=Text("Mask in self-attention", "自注意力的掩码"))] = "none"
    length: Annotated[int, Spaced(LENGTHS, label=Text("Length of a text T", "文本长度 T"))] = 24
    replaced: Annotated[int, Range(1, LONGEST, label=Text("Symbol replaced (at most T)", "替换第几个符号（≤ T）"))] = 12
    seed: Annotated[int, Range(0, 4, label=Text("Random seed", "随机种子"))] = 0


@dataclass(frozen=True)
class Chain:
    """A source of texts that nobody can predict better than its entropy rate."""

    transition: Tensor  # (symbol now, symbol next)
    stationary: Tensor  # (symbol,)
    entropy: float  # nats per symbol


@dataclass(frozen=True)
class Scores:
    """One trained model on texts it has never seen."""

    curve: Tensor  # (step,) training loss
    given: Tensor  # (text, position) loss when the whole text is the input, as in training
    honest: Tensor  # (text, position) loss on the next symbol when only the prefix is the input
    truth: Tensor  # (text, position) loss of the chain itself on the next symbol
    gap: float  # largest difference between the logits of the two
    cached_gap: float  # largest difference between one causal pass and decoding with a cache and no mask
    largest_logit: float
    influence: Tensor  # (output, input) how far an output moves when one input symbol is replaced
    nan_rows: int  # outputs that are NaN once the mask hides the diagonal as well
    zeroed: Tensor  # (head, query) row sums if the future is zeroed after the softmax
    renormalised: float  # such rows divided by their sums: largest difference from the causal mask's rows


@dataclass(frozen=True)
class Result:
    """The chosen mask beside the causal one."""

    params: Params
    entropy: float
    chosen: Scores
    causal: Scores
    asked: tuple[Scores, Scores]  # the prediction: no mask and causal mask, 24 symbols


def chain(seed: int) -> Chain:
    """Random transition probabilities, and how unpredictable they are: H = −Σ π(a) P(b|a) ln P(b|a)."""
    logits = SHARPNESS * torch.randn(SYMBOLS, SYMBOLS, generator=torch.Generator().manual_seed(seed))
    transition = logits.double().softmax(-1)  # (now, next)
    stationary = torch.linalg.matrix_power(transition, 1000)[0]
    entropy = -(stationary @ (transition * transition.log()).sum(-1))
    return Chain(transition, stationary, entropy.item())


def write(source: Chain, count: int, length: int, generator: torch.Generator) -> Tensor:
    """Texts of the chain."""
    symbols = [source.stationary.multinomial(count, replacement=True, generator=generator)]  # (text,)
    while len(symbols) < length:
        symbols.append(source.transition[symbols[-1]].multinomial(1, generator=generator).squeeze(-1))
    return torch.stack(symbols, dim=-1)  # (text, position)


def attend(query: Tensor, key: Tensor, value: Tensor, mask: str) -> tuple[Tensor, Tensor]:
    """Attention weights and outputs; `mask` says what is done about the future."""
    scores = query @ key.mT / math.sqrt(WIDTH // HEADS)  # (batch, head, query, key)
    future = torch.ones_like(scores[0, 0], dtype=torch.bool).triu(1)  # (query, key), True where key > query
    if mask == "causal":
        scores = scores.masked_fill(future, -math.inf)
    if mask == "strict":
        scores = scores.masked_fill(~future.mT, -math.inf)  # hides the diagonal too: row 0 has no key left
    weights = scores.softmax(-1)
    if mask == "zero_after":
        weights = weights.masked_fill(future, 0)  # too late: the future is still in the denominator
    return weights, weights @ value  # (batch, head, query, key), (batch, head, query, head width)


def embed(weights: Weights, texts: Tensor, start: int = 0) -> Tensor:
    """Symbols and positions as vectors."""
    return weights["symbols"][texts] + weights["places"][start : start + texts.shape[-1]]  # (batch, position, width)


def project(weights: Weights, layer: int, stream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and value of every head."""
    projected = F.layer_norm(stream, (WIDTH,)) @ weights["projections"][layer]  # (batch, position, 3 × width)
    query, key, value = projected.unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
    return query, key, value  # (batch, head, position, head width) each


def finish(weights: Weights, layer: int, stream: Tensor, attended: Tensor) -> Tensor:
    """The rest of a layer acts on every position alone, so nothing leaks here."""
    stream = stream + attended.transpose(1, 2).flatten(-2) @ weights["output"][layer]  # (batch, position, width)
    hidden = F.gelu(F.layer_norm(stream, (WIDTH,)) @ weights["rise"][layer])  # (batch, position, 4 × width)
    return stream + hidden @ weights["fall"][layer]


def model(weights: Weights, texts: Tensor, mask: str) -> Tensor:
    """Logits at all positions in one parallel pass."""
    stream = embed(weights, texts)  # (batch, position, width)
    for layer, kind in enumerate(LAYERS.get(mask, (mask, mask))):
        _, attended = attend(*project(weights, layer, stream), kind)
        stream = finish(weights, layer, stream, attended)
    return F.layer_norm(stream, (WIDTH,)) @ weights["names"]  # (batch, position, symbol)


def model_step_by_step(weights: Weights, texts: Tensor) -> Tensor:
    """The same logits from one position at a time: past keys and values come from a cache, and nothing is masked."""
    cached: list[tuple[Tensor, Tensor] | None] = [None, None]
    logits = []
    for place in range(texts.shape[-1]):
        stream = embed(weights, texts[:, place : place + 1], place)  # (batch, 1, width)
        for layer, past in enumerate(cached):
            query, key, value = project(weights, layer, stream)  # (batch, head, 1, head width) each
            if past:
                key, value = torch.cat([past[0], key], dim=-2), torch.cat([past[1], value], dim=-2)
            cached[layer] = key, value  # (batch, head, place + 1, head width) each
            stream = finish(weights, layer, stream, attend(query, key, value, "none")[1])
        logits.append(F.layer_norm(stream, (WIDTH,)) @ weights["names"])
    return torch.cat(logits, dim=1)  # (batch, position, symbol)


def prefix_only(weights: Weights, texts: Tensor, mask: str) -> Tensor:
    """What the model says at each position when the text ends there, as it does in generation."""
    ends = range(1, texts.shape[-1] + 1)
    return torch.stack(
        [model(weights, texts[:, :end], mask)[:, -1] for end in ends], dim=1
    )  # (batch, position, symbol)


def labels(texts: Tensor, mask: str) -> Tensor:
    """The next symbol at every position; without the shift, the symbol that is also the input there."""
    return texts[:, :-1] if mask == "no_shift" else texts[:, 1:]


@stage(keep=24)
def train(lab: Lab, mask: str, length: int, seed: int) -> tuple[Weights, Tensor]:
    """300 steps of next-symbol prediction; on the CPU, so that all devices show the same."""
    source, generator = chain(seed), lab.generator(100 + seed)

    def normal(*shape: int, fan: float = 1) -> Tensor:
        return (torch.randn(*shape, generator=generator) / math.sqrt(fan)).requires_grad_()

    weights = {
        "symbols": normal(SYMBOLS, WIDTH),
        "places": normal(LONGEST, WIDTH),
        "projections": normal(2, WIDTH, 3 * WIDTH, fan=WIDTH),
        "output": normal(2, WIDTH, WIDTH, fan=WIDTH),
        "rise": normal(2, WIDTH, 4 * WIDTH, fan=WIDTH),
        "fall": normal(2, 4 * WIDTH, WIDTH, fan=4 * WIDTH),
        "names": normal(WIDTH, SYMBOLS, fan=WIDTH),
    }
    optimizer, curve = torch.optim.Adam(weights.values(), LEARNING_RATE), []
    batches = write(source, STEPS * BATCH, length + 1, generator).view(STEPS, BATCH, -1)
    for step, texts in enumerate(batches):
        logits = model(weights, texts[:, :-1], mask)  # (batch, position, symbol)
        loss = F.cross_entropy(logits.flatten(0, 1), labels(texts, mask).flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        curve.append(loss.detach())
        if step % 10 == 0:
            name = MASKS[mask]
            lab.progress(
                step / STEPS, Text(f"Training on {length} symbols: {name.en}", f"训练（T = {length}）：{name.zh}")
            )
    return {name: weight.detach().to(lab.device) for name, weight in weights.items()}, torch.stack(curve)


@stage(keep=24)
def score(lab: Lab, mask: str, length: int, seed: int) -> Scores:
    """Score the trained model on new texts twice: as it was trained, and as it is used."""
    weights, curve = train(lab, mask, length, seed)
    texts, source = new_texts(lab, length, seed), chain(seed)
    inputs, following = texts[:, :-1], texts[:, 1:]  # (text, position) each
    whole, stepwise = model(weights, inputs, mask), prefix_only(weights, inputs, mask)  # (text, position, symbol) each
    cached = model_step_by_step(weights, inputs) - model(weights, inputs, "causal")
    heads = project(weights, 0, embed(weights, inputs[:1]))
    zeroed, masked = attend(*heads, "zero_after")[0], attend(*heads, "causal")[0]  # (1, head, query, key) each
    sums = zeroed.sum(-1, keepdim=True)
    truth = -source.transition.log()[inputs.cpu(), following.cpu()]
    return Scores(
        curve,
        given=F.cross_entropy(whole.mT, labels(texts, mask), reduction="none"),
        honest=F.cross_entropy(stepwise.mT, following, reduction="none"),
        truth=truth.float(),
        gap=(whole - stepwise).abs().amax().item(),
        cached_gap=cached.abs().amax().item(),
        largest_logit=whole.abs().amax().item(),
        influence=influence(weights, inputs[:PROBES], mask),
        nan_rows=int(model(weights, inputs[:1], "strict").isnan().any(-1).sum()),
        zeroed=sums.squeeze(0, -1),
        renormalised=(zeroed / sums - masked).abs().amax().item(),
    )


@stage(keep=24)
def new_texts(lab: Lab, length: int, seed: int) -> Tensor:
    """256 texts of the same chain that no training has seen."""
    return write(chain(seed), TESTS, length + 1, lab.generator(200 + seed)).to(lab.device)  # (text, position)


def influence(weights: Weights, texts: Tensor, mask: str) -> Tensor:
    """Replace input j by another symbol: how far does output i move? The largest change over the texts."""
    length = texts.shape[-1]
    before = texts.repeat(length, 1, 1)  # (input replaced, text, position)
    after, place = before.clone(), torch.arange(length)
    after[place, :, place] = (texts.mT + 1) % SYMBOLS
    moved = model(weights, after.flatten(0, 1), mask) - model(weights, before.flatten(0, 1), mask)
    return moved.abs().amax(-1).view(before.shape).amax(1).mT  # (output, input)


def compute(params: Params, lab: Lab) -> Result:
    """Train with the chosen mask and with the causal one, then ask both about texts they have never seen."""
    mask, length, seed = params.mask, params.length, params.seed
    causal = score(lab, "causal", length, seed)
    if mask == "strict":
        raise Impossible(no_key_left(causal.nan_rows, length))
    return Result(
        params,
        chain(seed).entropy,
        chosen=score(lab, mask, length, seed),
        causal=causal,
        asked=(score(lab, "none", LONGEST, seed), score(lab, "causal", LONGEST, seed)),
    )


def right_option(result: Result) -> str:
    """Where the loss went without a mask, on whole texts and on prefixes, as just measured."""
    none, causal = result.asked
    pairs = ((none.given, causal.given), (none.honest, causal.honest))
    return "_".join("lower" if open_.mean() < masked.mean() else "higher" for open_, masked in pairs)


DEMO = Demo(
    title=Text("The causal mask and what leaks without it", "因果掩码，以及不加时泄漏了什么"),
    summary=Text(
        "Train a small language model with the mask, without it, or with a common mistake; then let it face new texts.",
        "给一个小语言模型加掩码、不加掩码，或犯一个常见的错误，训练之后用新文本来考它。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "A small model learns next-symbol prediction without a causal mask. On *new* texts of 24 symbols, is its "
            "loss lower or higher than with the mask: when the whole text is the input, as in training, and when it "
            "sees only the prefix, as in generation?",
            "一个小模型不加因果掩码，学习预测下一个符号。用 24 个符号的*新*文本测试，它的损失比加掩码时低还是高？"
            "分两种情况：像训练那样一次输入整段文本；像生成那样只给前缀。",
        ),
        options={
            "lower_higher": Text("whole text: lower; prefix only: higher", "整段输入：更低；只给前缀：更高"),
            "lower_lower": Text("lower in both cases: it sees more", "两种情况都更低：它看到的更多"),
            "higher_higher": Text("higher in both cases: it has overfitted", "两种情况都更高：它过拟合了"),
            "higher_lower": Text("whole text: higher; prefix only: lower", "整段输入：更高；只给前缀：更低"),
        },
        right=right_option,
        because=Text(
            "The label of position t is the input of position t + 1. Without the mask the model learns to copy it, "
            "which works on new texts just as well, so this is not overfitting. A prefix has nothing to copy from.",
            "位置 t 的标签就是位置 t + 1 的输入。不加掩码，模型学会的是照抄，换成新文本照样能抄，所以这不是过拟合。"
            "只给前缀时，就没有东西可抄了。",
        ),
    ),
    presets=(
        Preset(Text("Causal mask", "因果掩码"), Params(mask="causal")),
        Preset(Text("One of two layers open", "两层里漏掉一层"), Params(mask="one_open")),
        Preset(Text("Zeroed after the softmax", "softmax 之后才清零"), Params(mask="zero_after")),
        Preset(Text("Mask but no shift", "有掩码但没右移"), Params(mask="no_shift")),
    ),
)
