"""Why BERT rewrites its input: seven ways to hide a word, trained live on words that nobody can guess."""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.claims.masked_language_model import claims
from demos.figures.masked_language_model import DATA, METHODS, pictures
from demos.kit.contract import Demo, Prediction, Preset
from demos.kit.knobs import Choice, Range
from demos.kit.lab import Lab
from demos.kit.stage import stage
from language import Text

VOCABULARY, LENGTH, WIDTH, HEADS, HIDDEN = 16, 12, 32, 2, 64
MASK = VOCABULARY  # the id of [MASK], one more than the last word
CHOSEN = 0.15  # of the words, as in BERT
STEPS, BATCH, LEARNING_RATE = 400, 64, 5e-3
TESTED, COUNTED = 2048, 16_384  # fresh sequences to test a model on, and to count replacements in
REWRITES = ("mask", "bert")  # the methods that change the input
Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Params:
    """The knobs. Method, layers, data and seed train a model of their own; the other two look into it."""

    method: Annotated[str, Choice(METHODS, label=Text("How the word is hidden", "怎样遮住这个词"))] = "column"
    layers: Annotated[int, Range(1, 3, label=Text("Layers", "层数"))] = 2
    data: Annotated[str, Choice(DATA, label=Text("Words", "词"))] = "noise"
    position: Annotated[int, Range(1, LENGTH - 1, label=Text("Position of the hidden word", "被遮住的词的位置"))] = 5
    planted: Annotated[int, Range(0, VOCABULARY - 1, label=Text("Word under the cover", "遮住的是哪个词"))] = 3
    seed: Annotated[int, Range(0, 2, label=Text("Random seed", "随机种子"))] = 0


def draw(data: str, count: int, generator: torch.Generator) -> Tensor:
    """Sequences of words: independent and uniform, or an arithmetic progression mod 16 (any start, step 1 to 4)."""
    if data == "noise":
        return torch.randint(VOCABULARY, (count, LENGTH), generator=generator)  # (batch, position)
    start = torch.randint(VOCABULARY, (count, 1), generator=generator)
    step = torch.randint(1, 5, (count, 1), generator=generator)
    return (start + step * torch.arange(LENGTH)) % VOCABULARY


def cover(words: Tensor, hidden: Tensor, method: str) -> Tensor:
    """Hide words from a trained model: only the two [MASK] methods rewrite the input."""
    return torch.where(hidden, MASK, words) if method in REWRITES else words


def corrupt(words: Tensor, chosen: Tensor, method: str, generator: torch.Generator) -> Tensor:
    """Hide words in training. BERT shows a random word instead of [MASK] one time in 10, the right one another time."""
    dice = torch.rand(words.shape, generator=generator)
    others = torch.randint(VOCABULARY, words.shape, generator=generator)
    if method != "bert":
        return cover(words, chosen, method)
    shown = torch.where(dice < 0.9, words, others)
    return torch.where(chosen, torch.where(dice < 0.8, MASK, shown), words)


def who_sees_whom(chosen: Tensor, method: str) -> Tensor:
    """Which keys each query may attend to."""
    everyone = torch.ones(LENGTH, LENGTH, dtype=torch.bool)  # (query, key)
    if method in ("column", "no_residual"):
        return everyone & ~chosen.unsqueeze(-2)  # (batch, query, key): nobody may attend to a hidden word
    if method in ("diagonal", "raw"):
        return ~torch.eye(LENGTH, dtype=torch.bool)  # (query, key): everyone but oneself
    return everyone.tril() if method == "causal" else everyone


def attend(query: Tensor, key: Tensor, value: Tensor, allowed: Tensor) -> Tensor:
    """Multi-head attention; a score that is not allowed becomes −∞."""
    query, key, value = (x.unflatten(-1, (HEADS, -1)).transpose(1, 2) for x in (query, key, value))
    scores = query @ key.mT / math.sqrt(query.shape[-1])  # (batch, head, query, key)
    weights = scores.masked_fill(~allowed.unsqueeze(-3), -math.inf).softmax(-1)
    return (weights @ value).transpose(1, 2).flatten(-2)  # (batch, position, width)


def norm(x: Tensor) -> Tensor:
    """Layer normalisation without learned scale and shift."""
    return F.layer_norm(x, (WIDTH,))


def encode(weights: Weights, tokens: Tensor, chosen: Tensor, method: str) -> list[Tensor]:
    """The states of all positions after each layer of a Pre-LN encoder."""
    content = weights["words"][tokens] + weights["positions"]  # (batch, position, width)
    blind = method in ("diagonal", "raw")  # the stream, and with it the query, starts without the word
    stream = weights["positions"].expand_as(content) if blind else content
    allowed, states = who_sees_whom(chosen, method), []
    for layer in range(len(weights["output"])):
        source = content if layer == 0 or method == "raw" else stream  # what keys and values are made from
        query = norm(stream) @ weights["query"][layer]
        key, value = (norm(source) @ weights["key_value"][layer]).chunk(2, -1)
        attended = attend(query, key, value, allowed) @ weights["output"][layer]
        stream = attended if method == "no_residual" else stream + attended
        stream = stream + F.relu(norm(stream) @ weights["up"][layer]) @ weights["down"][layer]
        states.append(stream)
    return states


def predict(weights: Weights, tokens: Tensor, chosen: Tensor, method: str) -> Tensor:
    """A score for each of the 16 words at every position; a causal row names the next word, one to the right."""
    logits = norm(encode(weights, tokens, chosen, method)[-1]) @ weights["unembed"]  # (batch, position, word)
    return logits.roll(1, dims=1) if method == "causal" else logits


def asked(chosen: Tensor, method: str) -> Tensor:
    """The positions whose prediction counts: the chosen ones, or all where the method hides every word from itself."""
    if method in ("diagonal", "raw", "causal"):
        everyone = torch.ones_like(chosen)
        everyone[:, 0] = method != "causal"  # nobody stands before the first word
        return everyone
    return chosen


def fresh_weights(layers: int, generator: torch.Generator) -> Weights:
    """Normal numbers with variance 1 for embeddings and 1/fan-in for matrices."""

    def matrices(rows: int, columns: int) -> Tensor:
        return (torch.randn(layers, rows, columns, generator=generator) / math.sqrt(rows)).requires_grad_()

    return {
        "words": torch.randn(VOCABULARY + 1, WIDTH, generator=generator).requires_grad_(),
        "positions": torch.randn(LENGTH, WIDTH, generator=generator).requires_grad_(),
        "query": matrices(WIDTH, WIDTH),
        "key_value": matrices(WIDTH, 2 * WIDTH),
        "output": matrices(WIDTH, WIDTH),
        "up": matrices(WIDTH, HIDDEN),
        "down": matrices(HIDDEN, WIDTH),
        "unembed": (torch.randn(WIDTH, VOCABULARY, generator=generator) / WIDTH).requires_grad_(),
    }


@stage(keep=48)
def train(lab: Lab, method: str, layers: int, data: str, seed: int) -> tuple[Weights, Tensor]:
    """Teach an encoder to name hidden words, on new sequences at every step; on the CPU, the same on all devices."""
    generator = lab.generator(seed)
    weights, losses = fresh_weights(layers, generator), []
    optimizer = torch.optim.Adam(weights.values(), LEARNING_RATE, fused=True)
    for step in range(STEPS):
        if step % 5 == 0:
            lab.progress(step / STEPS, Text(f"Training: {METHODS[method].en}", f"训练中：{METHODS[method].zh}"))
        words = draw(data, BATCH, generator)
        chosen = torch.rand(words.shape, generator=generator) < CHOSEN  # (batch, position)
        logits = predict(weights, corrupt(words, chosen, method, generator), chosen, method)
        counted = asked(chosen, method)
        loss = F.cross_entropy(logits[counted], words[counted])
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * (1 - step / STEPS)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return {name: weight.detach() for name, weight in weights.items()}, torch.stack(losses)


@dataclass(frozen=True)
class Trial:
    """A trained model on fresh sequences."""

    losses: Tensor  # (prediction,) cross-entropy of each prediction that counts
    echo: float  # how often it names a random word that was planted under the cover
    right: float  # how often it names the true word there
    visible: Tensor  # (distance,) probability at words that are not hidden, by distance mod 16 from the word shown
    masked: float  # share of all words that became [MASK]
    replaced: float  # share of all words that became another word
    kept: float  # share of right words among the chosen ones that still show a word


@stage(keep=48)
def examine(lab: Lab, method: str, layers: int, data: str, seed: int) -> Trial:
    """The loss on fresh sequences; then hide one word of each, a random word in its place; then hide none."""
    weights, _ = train(lab, method, layers, data, seed)
    generator = lab.generator(1000 + seed)
    words = draw(data, TESTED, generator)  # (batch, position)
    chosen = torch.rand(words.shape, generator=generator) < CHOSEN
    logits, counted = predict(weights, corrupt(words, chosen, method, generator), chosen, method), asked(chosen, method)
    losses = F.cross_entropy(logits[counted], words[counted], reduction="none")

    place = torch.randint(1, LENGTH, (TESTED, 1), generator=generator)
    planted = torch.randint(VOCABULARY, (TESTED, 1), generator=generator)
    hidden = torch.zeros_like(chosen).scatter(1, place, True)
    tokens = cover(words.scatter(1, place, planted), hidden, method)
    named = predict(weights, tokens, hidden, method).argmax(-1).gather(1, place)  # (batch, 1)

    shown = predict(weights, words, torch.zeros_like(chosen), method).softmax(-1)  # (batch, position, word)
    by_distance = (words.unsqueeze(-1) + torch.arange(VOCABULARY)) % VOCABULARY  # (batch, position, distance)

    many = draw(data, COUNTED, generator)
    picked = torch.rand(many.shape, generator=generator) < CHOSEN
    given = corrupt(many, picked, method, generator)
    return Trial(
        losses,
        (named == planted).float().mean().item(),
        (named == words.gather(1, place)).float().mean().item(),
        shown.gather(-1, by_distance).mean((0, 1)),
        (given == MASK).float().mean().item(),
        ((given != MASK) & (given != many)).float().mean().item(),
        (given == many)[picked & (given != MASK)].float().mean().item(),
    )


def reach(weights: Weights, words: Tensor, hidden: Tensor, method: str) -> Tensor:
    """Swap one word at a time: how far does each row move, relative to its size, after each layer?"""
    before = words.expand(LENGTH, -1)  # (swapped, position)
    after = (before + torch.eye(LENGTH, dtype=torch.long) * (VOCABULARY // 2)) % VOCABULARY
    one, other = (
        torch.stack(encode(weights, cover(words, hidden, method), hidden.expand_as(words), method))
        for words in (before, after)
    )  # (layer, swapped, row, width) each
    return ((other - one).norm(dim=-1) / one.norm(dim=-1)).transpose(1, 2)  # (layer, row, swapped)


@dataclass(frozen=True)
class Result:
    """How training went, what the trained model does on fresh sequences, and one sequence to look into."""

    params: Params
    curve: Tensor  # (step,) training loss
    trial: Trial
    leak_curve: Tensor  # (step,) of two layers that hide the key column on random words
    truth: int  # the word that was there before one was planted
    predicted: Tensor  # (word,) probabilities for the hidden word
    moved: Tensor  # (layer, row, word) how far swapping a word moves each row


def compute(params: Params, lab: Lab) -> Result:
    """Train the model of these knobs if nobody has yet, then look into it."""
    model = (params.method, params.layers, params.data, params.seed)
    weights, curve = train(lab, *model)
    original = draw(params.data, 1, lab.generator(2000 + params.seed))[0]  # (position,)
    words = original.clone()
    words[params.position] = params.planted
    hidden = torch.arange(LENGTH) == params.position  # (position,)
    logits = predict(weights, cover(words, hidden, params.method)[None], hidden[None], params.method)
    return Result(
        params,
        curve,
        examine(lab, *model),
        train(lab, "column", 2, "noise", params.seed)[1],
        int(original[params.position]),
        logits[0, params.position].softmax(-1),
        reach(weights, words, hidden, params.method),
    )


def right_option(result: Result) -> str:
    """Which option the last losses of the leaking encoder fall into; every step has new words."""
    loss = result.leak_curve[-50:].mean().item()
    return "nothing" if loss < 0.3 else "part" if loss < 2.5 else "chance"


DEMO = Demo(
    title=Text("Hiding a word from an encoder", "向编码器遮住一个词"),
    summary=Text(
        "Train an encoder to name a hidden word that nobody can guess. If the loss falls, the word has leaked.",
        "训练编码器说出一个谁也猜不到的词。损失要是降下来了，就是这个词泄漏了。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "The words are random, so nothing can be inferred from the others. We hide some by setting their key's "
            "attention scores to $-\\infty$ for every position, and train a 2-layer encoder to name them. An honest "
            "guess costs $\\ln16\\approx2.77$. Where does the loss end?",
            "词是随机的，从别的词推不出任何东西。我们把其中一些词的 key 对所有位置的注意力分数都设为 $-\\infty$，"
            "再训练一个 2 层编码器说出这些词。老实猜的损失是 $\\ln16\\approx2.77$。损失最后会到哪里？",
        ),
        options={
            "chance": Text("it stays near 2.77", "停在 2.77 附近"),
            "part": Text("about halfway, near 1.4", "降一半，1.4 左右"),
            "nothing": Text("almost 0", "几乎降到 0"),
        },
        right=right_option,
        because=Text(
            "The mask hides the word from the other positions. Its own row still holds it, in the residual stream, so "
            "naming it is copying.",
            "掩码只是不让别的位置看到这个词；它自己那一行的残差流里还有它，说出它就是照抄。",
        ),
    ),
    presets=(
        Preset(Text("BERT", "BERT"), Params(method="bert")),
        Preset(Text("Everyone but oneself", "除自己之外都能看"), Params(method="diagonal")),
        Preset(Text("A causal decoder", "因果解码器"), Params(method="causal")),
        Preset(Text("Copying instead of reading", "照抄代替阅读"), Params(data="pattern")),
    ),
)
