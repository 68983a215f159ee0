"""What an encoder without position encoding cannot see, and what gives order back to it."""

import itertools
import math
import re
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.claims.order_blindness import claims
from demos.figures.order_blindness import NAMES, REORDERINGS, SCHEMES, pictures
from demos.kit.contract import Demo, Impossible, Prediction, Preset
from demos.kit.knobs import Choice, Range, Switch, Words
from demos.kit.lab import Lab
from demos.kit.stage import stage
from language import Text

WIDTH, HIDDEN, MOST_WORDS, TABLE_ROWS, MOST_ORDERS = 32, 64, 10, 8, 24  # HIDDEN: of the feed-forward network
SYMBOLS, LENGTH = 12, 8  # of the order task: A is 0, B is 1, the rest is filling
STEPS, PAIRS, LEARNING_RATE = 250, 48, 8e-3
Layers = list[list[Tensor]]
SAMPLES = ("dog bites man", "狗咬人", "no means no", "the cat saw the dog")
ON = ("sinusoidal", "learned")
# who takes the order task: what is added, whether the mask is causal, which outputs are read, how many layers
MODELS = {
    "blind": ("none", False, "mean", 1),
    "sinusoids": ("sinusoidal", False, "mean", 1),
    "causal": ("none", True, "mean", 1),
    "causal_last": ("none", True, "last", 1),
    "causal_last_two": ("none", True, "last", 2),
}


@dataclass(frozen=True)
class Params:
    """The knobs."""

    sentence: Annotated[
        str,
        Words(
            40,
            SAMPLES,
            label=Text("Sentence", "句子"),
            help=Text("The first 10 words count; a Chinese character is a word", "只取前 10 个词；一个汉字算一个词"),
        ),
    ] = "dog bites man"
    reorder: Annotated[str, Choice(REORDERINGS, label=Text("Reorder the words", "怎样打乱"))] = "swap"
    positions: Annotated[str, Choice(SCHEMES, label=Text("Position encoding", "位置编码"))] = "none"
    strength: Annotated[
        float, Range(0, 2, 0.05, label=Text("Times the encoding", "位置编码乘以"), when=("positions", ON))
    ] = 1.0
    causal: Annotated[bool, Switch(label=Text("Causal mask", "因果掩码"))] = False
    layers: Annotated[int, Range(1, 6, label=Text("Layers", "层数"))] = 2
    seed: Annotated[int, Range(0, 9, label=Text("Random seed", "随机种子"))] = 0

    @property
    def blind(self) -> bool:
        """Whether nothing tells positions apart."""
        return not self.causal and (self.positions == "none" or self.strength == 0)


@dataclass(frozen=True)
class Trial:
    """One trained model on pairs of test sequences that differ only by exchanging A and B."""

    accuracy: float
    loss: float
    undecided: float  # share of pairs so close to the threshold that rounding may decide them


@dataclass(frozen=True)
class Result:
    """One sentence in two orders, all its orders, and the order task. Differences are largest absolute ones."""

    params: Params
    words: tuple[str, ...]
    moved: bool  # whether the reordered sentence is another sentence
    outputs: Tensor  # (token, width) of the sentence
    reordered: Tensor  # (token, width) of the reordered sentence, brought back to the order of the sentence
    broken: float  # f(PX + E) − P f(X + E)
    carried: float  # f(P(X + E)) − P f(X + E)
    twins: float  # between outputs of equal words
    last: float  # change of the last output when the words before it are reversed
    rounding: float  # what rounding can add to any of these
    orders: tuple[str, ...]
    vectors: Tensor  # (order, width) mean output of each order
    distinct: int  # sentence vectors that differ by more than rounding
    trials: dict[str, Trial]


def encoder(layers: Layers, x: Tensor, causal: bool) -> Tensor:
    """Pre-norm layers. Tokens meet only in `weights @ value`; everything else works on each row alone."""
    future = torch.ones(x.shape[-2], x.shape[-2], dtype=torch.bool, device=x.device).triu(1)
    for into, back, up, down in layers:
        query, key, value = (F.layer_norm(x, (WIDTH,)) @ into).chunk(3, dim=-1)  # (…, token, width) each
        scores = query @ key.mT / math.sqrt(WIDTH)  # (…, query, key)
        if causal:
            scores = scores.masked_fill(future, -math.inf)
        weights = scores.softmax(-1)
        x = x + weights @ value @ back  # (…, token, width)
        x = x + (F.layer_norm(x, (WIDTH,)) @ up).relu() @ down
    return x


def draw_layers(count: int, generator: torch.Generator, lab: Lab) -> Layers:
    """Random weights that keep the size of what they multiply."""
    shapes = ((WIDTH, 3 * WIDTH), (WIDTH, WIDTH), (WIDTH, HIDDEN), (HIDDEN, WIDTH))
    return [[lab.normal(*shape, generator=generator) / math.sqrt(shape[0]) for shape in shapes] for _ in range(count)]


def encodings(scheme: str, count: int, generator: torch.Generator, lab: Lab) -> Tensor:
    """What is added to the tokens at positions 0, 1 and so on."""
    if scheme == "learned":
        return lab.normal(TABLE_ROWS, WIDTH, generator=generator)[:count]  # (position, width)
    if scheme == "none":
        return torch.zeros(count, WIDTH, device=lab.device)
    frequencies = 10_000 ** (-torch.arange(0, WIDTH, 2) / WIDTH)
    angles = torch.arange(count).unsqueeze(-1) * frequencies  # (position, pair)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2).to(lab.device)  # (position, width)


def split(params: Params) -> tuple[str, ...]:
    """The words of the sentence; every Chinese character is one."""
    words = tuple(re.findall(r"[\u4e00-\u9fff]|[^\s\u4e00-\u9fff]+", params.sentence)[:MOST_WORDS])
    if len(words) < 2:
        en, zh = "One word has no other order. Write at least two.", "只有一个词就谈不上顺序。请至少写两个词。"
        raise Impossible(Text(en, zh))
    if params.positions == "learned" and len(words) > TABLE_ROWS:
        en = f"The table has {TABLE_ROWS} rows and the sentence {len(words)} words: position {TABLE_ROWS} has no row."
        zh = f"位置表只有 {TABLE_ROWS} 行，句子却有 {len(words)} 个词，位置 {TABLE_ROWS} 没有对应的行。"
        raise Impossible(
            Text(f"{en} Attention takes any length; a table does not.", f"{zh}限制长度的是表，不是注意力。")
        )
    return words


def new_order(count: int, params: Params, generator: torch.Generator) -> Tensor:
    """P as a list: which token comes first, which second and so on."""
    places = torch.arange(count)
    if params.reorder == "swap":
        return torch.cat([places[-1:], places[1:-1], places[:1]])
    return places.flip(0) if params.reorder == "reverse" else torch.randperm(count, generator=generator)


def all_orders(ids: Tensor, generator: torch.Generator) -> Tensor:
    """Up to 24 different orders of the words, the sentence itself first."""
    count = len(ids)
    if count <= 4:
        shuffles = [torch.tensor(places) for places in itertools.permutations(range(count))]
    else:
        shuffles = [torch.arange(count), *[torch.randperm(count, generator=generator) for _ in range(3 * MOST_ORDERS)]]
    different = dict.fromkeys(tuple(ids[places].tolist()) for places in shuffles)
    return torch.tensor(list(different)[:MOST_ORDERS])  # (order, token)


def run(layers: Layers, x: Tensor, causal: bool) -> tuple[Tensor, float]:
    """Outputs, and how far rounding took them from the same network in double precision, which runs on the CPU."""
    outputs = encoder(layers, x, causal).cpu()
    exact = encoder([[weight.cpu().double() for weight in layer] for layer in layers], x.cpu().double(), causal)
    return outputs.double(), (outputs - exact).abs().max().item()


def order_task(places: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Sequences with A before B at the given places, then the same with A and B exchanged; and which is which."""
    filling = torch.randint(2, SYMBOLS, (len(places), LENGTH), generator=generator)
    symbols = filling.scatter(-1, places, torch.tensor([[0, 1]]).expand_as(places))  # (sequence, token)
    exchanged = torch.where(symbols < 2, 1 - symbols, symbols)
    return torch.cat([symbols, exchanged]), torch.tensor([1.0, 0.0]).repeat_interleave(len(places))


@stage(keep=64)
def train(lab: Lab, name: str, seed: int) -> Trial:
    """Teach one of `MODELS` whether A comes before B; on the CPU, so that all devices show the same."""
    scheme, causal, read, count = MODELS[name]
    generator, cpu = lab.generator(seed), Lab(torch.device("cpu"))
    vocabulary = torch.randn(SYMBOLS, WIDTH, generator=generator)
    readout = torch.randn(WIDTH, generator=generator) / math.sqrt(WIDTH)
    layers = draw_layers(count, generator, cpu)
    added = encodings(scheme, LENGTH, generator, cpu)

    def score(symbols: Tensor) -> Tensor:
        outputs = encoder(layers, vocabulary[symbols] + added, causal)  # (sequence, token, width)
        vector = outputs.mean(-2) if read == "mean" else outputs[:, -1]  # (sequence, width)
        return F.layer_norm(vector, (WIDTH,)) @ readout  # (sequence,) above 0: "A before B"

    weights = [weight.requires_grad_() for weight in (vocabulary, readout, *itertools.chain(*layers))]
    optimizer = torch.optim.Adam(weights, LEARNING_RATE)
    for step in range(STEPS):
        if step % 10 == 0:
            turn = (list(MODELS).index(name) + step / STEPS) / len(MODELS)
            lab.progress(turn, Text(f"Training: {NAMES[name].en}", f"训练中：{NAMES[name].zh}"))
        places = torch.rand(PAIRS, LENGTH, generator=generator).argsort(-1)[:, :2].sort(-1).values
        symbols, labels = order_task(places, generator)
        loss = F.binary_cross_entropy_with_logits(score(symbols), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    every_place = torch.combinations(torch.arange(LENGTH)).repeat(36, 1)  # (pair of sequences, 2)
    symbols, labels = order_task(every_place, lab.generator(1000 + seed))
    with torch.no_grad():
        return examine(score(symbols), labels)


def examine(scores: Tensor, labels: Tensor) -> Trial:
    """Accuracy and loss, and how many pairs rounding may decide."""
    accuracy = ((scores > 0) == (labels > 0.5)).float().mean().item()
    near = (scores.abs() < 100 * torch.finfo(scores.dtype).eps).view(2, -1).any(0)  # (pair,)
    return Trial(accuracy, F.binary_cross_entropy_with_logits(scores, labels).item(), near.float().mean().item())


def compute(params: Params, lab: Lab) -> Result:
    """Encode a sentence, encode it with its words in another order, bring the outputs back, compare."""
    words, generator = split(params), lab.generator(params.seed)
    vocabulary = lab.normal(MOST_WORDS, WIDTH, generator=generator)  # (word, width)
    order = new_order(len(words), params, generator)  # (token,): P
    layers = draw_layers(params.layers, generator, lab)
    added = params.strength * encodings(params.positions, len(words), generator, lab)  # (position, width): E
    ids = torch.tensor([words.index(word) for word in words])  # (token,) equal words have equal ids
    x = vocabulary[ids.to(lab.device)]  # (token, width)
    prefix = torch.cat([torch.arange(len(words) - 1).flip(0), torch.tensor([len(words) - 1])])

    plain, slip = run(layers, x + added, params.causal)  # f(X + E)
    moved, slip_moved = run(layers, x[order] + added, params.causal)  # f(PX + E): E stays in place
    carried, slip_carried = run(layers, (x + added)[order], params.causal)  # f(P(X + E)): E goes with the words
    turned, slip_turned = run(layers, x[prefix] + added, params.causal)
    orders = all_orders(ids, generator)  # (order, token)
    outputs, slip_orders = run(layers, vocabulary[orders.to(lab.device)] + added, params.causal)
    vectors = outputs.mean(-2)  # (order, width)
    rounding = 2 * max(slip, slip_moved, slip_carried, slip_turned, slip_orders)

    apart = (vectors.unsqueeze(1) - vectors).abs().amax(-1)  # (order, order)
    new = (apart > rounding).tril(-1).sum(-1) == torch.arange(len(orders))  # differs from all orders before it
    same_word = (ids.unsqueeze(-1) == ids).unsqueeze(-1)  # (token, token, 1)
    return Result(
        params,
        words,
        moved=bool((ids[order] != ids).any()),
        outputs=plain,
        reordered=moved[order.argsort()],
        broken=(moved - plain[order]).abs().max().item(),
        carried=(carried - plain[order]).abs().max().item(),
        twins=((plain.unsqueeze(1) - plain) * same_word).abs().max().item(),
        last=(turned - plain)[-1].abs().max().item(),
        rounding=rounding,
        orders=tuple(" ".join(words[word] for word in row) for row in orders.tolist()),
        vectors=vectors,
        distinct=int(new.sum()),
        trials={name: train(lab, name, params.seed) for name in MODELS},
    )


def right_option(result: Result) -> str:
    """Who learned the task, from the accuracies just measured."""
    both, mask = (result.trials[name].accuracy > 0.75 for name in ("blind", "causal"))
    return ("all" if mask else "both_ways") if both else ("causal" if mask else "neither")


DEMO = Demo(
    title=Text("What an encoder without positions cannot see", "没有位置编码，编码器看不到什么"),
    summary=Text(
        "Reorder a sentence and watch its outputs; then let five small models say which of two symbols came first.",
        "打乱一句话，看输出怎样变；再让五个小模型判断两个符号谁先谁后。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "Two models without position encoding, one layer each, read the mean of their outputs. One attends in "
            "both directions; the other has a causal mask and sees less. Trained to say whether A comes before B "
            "among 8 tokens, which of them learns it?",
            "两个模型都不加位置编码，各一层，都读取输出的平均。一个双向注意，另一个加了因果掩码、看到的更少。"
            "训练它们判断 8 个 token 里 A 是否在 B 之前，哪个学得会？",
        ),
        options={
            "neither": Text("neither: there are no positions", "都不会：没有位置信息"),
            "both_ways": Text("only the one that sees everything", "只有双向的那个"),
            "causal": Text("only the one with the causal mask", "只有加因果掩码的那个"),
            "all": Text("both", "都会"),
        },
        right=right_option,
        because=Text(
            "Attending both ways, a sequence and its reordering give the same outputs and the same mean, yet opposite "
            "labels. Under the mask the first token sees one token and the last sees all: places differ.",
            "双向注意时，序列打乱前后的输出是同一组向量，平均值相同，标签却相反。"
            "加了掩码，第一个 token 只看到自己，最后一个看到全部，各个位置就不一样了。",
        ),
    ),
    presets=(
        Preset(Text("With sinusoids", "加正弦编码"), Params(positions="sinusoidal")),
        Preset(Text("Only a causal mask", "只加因果掩码"), Params(causal=True, layers=1)),
        Preset(Text("A word twice", "同一个词出现两次"), Params("no means no", "shuffle", "sinusoidal")),
        Preset(Text("One word, repeated", "同一个词重复"), Params("no no no", causal=True)),
    ),
)
