"""One model, many decoders: greedy, beam and exact search, truncated sampling, stopping, and the KV cache."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.claims.decoding_strategies import claims
from demos.figures.decoding_strategies import VIEWS, pictures, times_as_probable
from demos.kit.character_model import CONTEXT, Reader, Weights, logits, new_weights
from demos.kit.contract import Demo, Prediction, Preset
from demos.kit.knobs import Choice, Range, Spaced
from demos.kit.lab import Lab
from demos.kit.prefixes import Continuation, Search
from demos.kit.stage import stage
from demos.texts import END, LANGUAGE_NAMES, OPENING_NAMES, prompt, tale
from language import Text

WIDTHS = (1, 2, 3, 4, 6, 8, 16)
LONGEST, LONGEST_SENTENCE = 32, 44  # symbols generated, and at most until the end of the sentence
BATCH, WINDOW, LEARNING_RATE, STEPS = 15, 48, 8e-3, {"en": 300, "zh": 200}
POOL = 4096  # prefixes the exact search may hold at one step
DRAWS, ROWS = 4096, 4  # symbols drawn to check the frequencies, and continuations shown
BEAMS, NEXT, STOP = ("view", ("search", "stop")), ("view", ("next",)), ("view", ("stop",))


@dataclass(frozen=True)
class Params:
    """The knobs."""

    view: Annotated[str, Choice(VIEWS, label=Text("Look at", "看什么"))] = "search"
    text: Annotated[str, Choice(LANGUAGE_NAMES, label=Text("Trained on", "训练文本"))] = "en"
    opening: Annotated[str, Choice(OPENING_NAMES, label=Text("Prompt", "提示词"))] = "dawn"
    length: Annotated[int, Range(4, LONGEST, label=Text("Characters to generate", "生成的字符数"))] = 24
    beam: Annotated[int, Spaced(WIDTHS, label=Text("Beam width B", "束宽 B"), when=BEAMS)] = 2
    temperature: Annotated[float, Range(0, 3, 0.1, label=Text("Temperature", "温度"), when=NEXT)] = 1.0
    top_k: Annotated[int, Range(0, 20, label=Text("Top-k (0: off)", "top-k（0 为关）"), when=NEXT)] = 0
    top_p: Annotated[float, Range(0.05, 1, 0.05, label=Text("Top-p (1: off)", "top-p（1 为关）"), when=NEXT)] = 0.9
    alpha: Annotated[float, Range(0, 1, 0.1, label=Text("Length penalty α", "长度惩罚 α"), when=STOP)] = 0.0
    seed: Annotated[int, Range(0, 9, label=Text("Random seed", "随机种子"), when=NEXT)] = 0


@dataclass(frozen=True)
class Result:
    """What the chosen view shows; the other views' parts are empty."""

    params: Params
    alphabet: str
    beams: dict[int, Search]
    exact: Search
    distribution: Tensor  # (symbol,) of the first generated symbol: softmax(z / T), nothing removed
    kept: Tensor  # (symbol,) after top-k and top-p, renormalised
    drawn: Tensor  # (symbol,) how often each symbol came in `DRAWS` draws
    passage: Tensor  # (position, symbol) softmax(z / T) along a piece of the text
    passage_kept: Tensor  # (position, symbol)
    samples: list[Continuation]
    finished: list[tuple[float, str]]  # Σ log p and text of each sentence that beam search finished
    cached: Tensor  # (step, symbol) logits while generating with a cache
    uncached: Tensor  # (step, symbol) the same without
    positions: tuple[list[int], list[int]]  # processed so far, with a cache and without
    at_once: Tensor  # (step, symbol) the same again, from one pass over the finished text
    prompt: int  # its length


@stage(keep=4)
def train(lab: Lab, text: str) -> Reader:
    """Learn to predict the next character of a short tale; on the CPU, so that all devices show the same."""
    alphabet = "".join(sorted(set(tale(text))))
    symbols = torch.tensor([alphabet.index(character) for character in tale(text)])  # (position,)
    generator = lab.generator(0)
    weights = new_weights(len(alphabet), generator)
    optimizer = torch.optim.AdamW(weights.values(), LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=STEPS[text], pct_start=0.1)
    order = torch.empty(0)
    lines = (symbols == alphabet.index("\n")).nonzero()[:-1]  # (line, 1) where a line begins
    ring = symbols.repeat(2)  # the last lines go on with the first
    for step in range(STEPS[text]):
        if step % (len(lines) // BATCH) == 0:
            order = torch.randperm(len(lines), generator=generator)  # every line equally often
        starts = lines[order.roll(-step * BATCH)[:BATCH]]  # (batch, 1)
        window = ring[starts + torch.arange(WINDOW + 1)]  # (batch, position + 1)
        # teacher forcing: the true prefix is the input everywhere, so one pass gives a loss at every position
        scores, _ = logits(weights, window[:, :-1])  # (batch, position, symbol)
        loss = F.cross_entropy(scores.flatten(0, 1), window[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(weights.values()), 1.0)
        optimizer.step()
        schedule.step()
        if step % 5 == 0:
            lab.progress(step / STEPS[text], Text("Training a small model on a tale", "正在用一则小故事训练小模型"))
    middle = len(symbols) // 2
    trained = {name: weight.detach() for name, weight in weights.items()}
    return Reader(trained, alphabet, symbols[middle : middle + CONTEXT])


Rule = Callable[[Tensor], tuple[Tensor, Tensor]]


def search(weights: Weights, start: Tensor, steps: int, choose: Rule) -> Search:
    """Grow prefixes one symbol at a time; `choose` says which (prefix, symbol) pairs live on."""
    found, scores = Search([], [], []), torch.zeros(1)  # (kept,)
    last, cache = logits(weights, start.unsqueeze(0))  # prefill: the prompt in one pass
    for _ in range(steps):
        total = scores.unsqueeze(-1) + last[:, -1].log_softmax(-1)  # (kept, symbol): Σ log p
        parents, symbols = choose(total)  # (kept,) each
        scores = total[parents, symbols]
        for history, chosen in zip(
            (found.symbols, found.parents, found.scores), (symbols, parents, scores), strict=True
        ):
            history.append(chosen)
        last, cache = logits(weights, symbols.unsqueeze(-1), cache[:, :, parents])  # one new position each
    return found


def best(total: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Beam search: the `width` pairs of highest Σ log p. With width 1 it is greedy decoding."""
    flat = total.flatten().topk(min(width, total.numel())).indices
    return flat // total.shape[-1], flat % total.shape[-1]


def above(total: Tensor, floor: float) -> tuple[Tensor, Tensor]:
    """Exact search: every pair that can still win. A log-probability is never positive, so Σ log p only falls."""
    alive = int((total >= floor).sum())
    return best(total, min(max(alive, 1), POOL))


@stage(keep=16)
@torch.no_grad()
def searches(lab: Lab, text: str, opening: str) -> tuple[dict[int, Search], Search]:
    """Beam search at every width, then exact search: no prefix worse than the widest beam's answer can win."""
    reader = train(lab, text)
    start, note = reader.encode(prompt(text, opening)), Text("Searching", "正在搜索")
    beams = {}
    for done, width in enumerate(WIDTHS):
        lab.progress(done / (len(WIDTHS) + 1), note)
        beams[width] = search(reader.weights, start, LONGEST, lambda total, width=width: best(total, width))
    floor = beams[WIDTHS[-1]].scores[-1][0].item() - 1e-3  # a margin for rounding
    pool = search(reader.weights, start, LONGEST, lambda total: above(total, floor))
    complete = max(len(kept) for kept in pool.symbols) < POOL
    return beams, Search(pool.symbols, pool.parents, pool.scores, complete)


def truncate(scores: Tensor, temperature: float, top_k: int, top_p: float) -> Tensor:
    """Probabilities after temperature, then top-k, then top-p; what is kept is renormalised."""
    if temperature == 0:  # not a division: the limit is the argmax
        return F.one_hot(scores.argmax(-1), scores.shape[-1]).float()
    probabilities = (scores / temperature).softmax(-1)  # (…, symbol)
    ordered, places = probabilities.sort(descending=True, stable=True)
    if top_k:
        ordered[..., top_k:] = 0
        ordered /= ordered.sum(-1, keepdim=True)
    if top_p < 1:
        before = ordered.cumsum(-1) - ordered  # mass of the more probable symbols
        ordered[before >= top_p] = 0  # the first is always kept: nothing stands before it
        ordered /= ordered.sum(-1, keepdim=True)
    return torch.zeros_like(ordered).scatter(-1, places, ordered)


@torch.no_grad()
def sample(reader: Reader, start: Tensor, params: Params, generator: torch.Generator) -> list[Continuation]:
    """A few continuations, symbol by symbol; the running Σ log p is the model's own, before any truncation."""
    last, cache = logits(reader.weights, start.expand(ROWS, -1))
    symbols, scores = [], [torch.zeros(ROWS)]
    for _ in range(params.length):
        kept = truncate(last[:, -1], params.temperature, params.top_k, params.top_p)  # (row, symbol)
        drawn = torch.multinomial(kept, 1, generator=generator)  # (row, 1)
        scores.append(scores[-1] + last[:, -1].log_softmax(-1).gather(-1, drawn)[:, 0])
        symbols.append(drawn)
        last, cache = logits(reader.weights, drawn, cache)
    rows, sums = torch.cat(symbols, dim=1).tolist(), torch.stack(scores[1:], dim=1).tolist()
    return [Continuation(row, score) for row, score in zip(rows, sums, strict=True)]


@stage(keep=64)
@torch.no_grad()
def sentences(lab: Lab, text: str, opening: str, width: int) -> list[tuple[float, str]]:
    """Beam search that takes a prefix out of the beam when it ends its sentence: Σ log p and text of each."""
    reader = train(lab, text)
    start, end = reader.encode(prompt(text, opening)), reader.alphabet.index(END[text])
    last, cache = logits(reader.weights, start.unsqueeze(0))
    scores, words, finished = torch.zeros(1), [""], []
    for _ in range(LONGEST_SENTENCE):
        total = scores.unsqueeze(-1) + last[:, -1].log_softmax(-1)  # (beam, symbol)
        finished += [(score.item(), word + END[text]) for score, word in zip(total[:, end], words, strict=True)]
        total[:, end] = -torch.inf  # finished: no longer in the beam
        parents, symbols = best(total, width)
        scores = total[parents, symbols]
        words = [words[i] + reader.alphabet[j] for i, j in zip(parents.tolist(), symbols.tolist(), strict=True)]
        last, cache = logits(reader.weights, symbols.unsqueeze(-1), cache[:, :, parents])
    return finished


@stage(keep=16)
@torch.no_grad()
def greedy_twice(lab: Lab, text: str, opening: str) -> tuple[Tensor, Tensor, Tensor, tuple[list[int], list[int]]]:
    """Greedy decoding with a KV cache and without: the logits of every step, and the positions processed so far."""
    reader = train(lab, text)
    seen = reader.encode(prompt(text, opening)).unsqueeze(0)  # (1, position)
    newest, cache, counts, rows = seen, None, ([], []), ([], [])
    for _ in range(LONGEST):
        with_cache, cache = logits(reader.weights, newest, cache)  # only what is new
        without, _ = logits(reader.weights, seen)  # everything again
        for row, count, scores in zip(rows, counts, (with_cache, without), strict=True):
            count.append((count[-1] if count else 0) + scores.shape[1])
            row.append(scores[0, -1])
        newest = with_cache[:, -1:].argmax(-1)  # (1, 1)
        seen = torch.cat([seen, newest], dim=1)
    at_once, _ = logits(reader.weights, seen[:, :-1])  # as in training: all prefixes are known
    return torch.stack(rows[0]), torch.stack(rows[1]), at_once[0, -LONGEST:], counts


@torch.no_grad()
def sampling(reader: Reader, start: Tensor, params: Params, generator: torch.Generator) -> dict[str, Tensor]:
    """The distribution of the first generated symbol and along a passage, before and after truncation."""
    first = logits(reader.weights, start.unsqueeze(0))[0][0, -1]  # (symbol,)
    along = logits(reader.weights, reader.passage.unsqueeze(0))[0][0]  # (position, symbol)
    rule = (params.temperature, params.top_k, params.top_p)
    kept = truncate(first, *rule)
    draws = torch.multinomial(kept, DRAWS, replacement=True, generator=generator)
    return {
        "distribution": truncate(first, params.temperature, 0, 1.0),
        "kept": kept,
        "drawn": torch.bincount(draws, minlength=len(kept)) / DRAWS,
        "passage": truncate(along, params.temperature, 0, 1.0),
        "passage_kept": truncate(along, *rule),
    }


def compute(params: Params, lab: Lab) -> Result:
    """Train once, then let each decoder read the same distributions."""
    chosen = (params.text, params.opening)
    reader = train(lab, params.text)
    start, generator = reader.encode(prompt(*chosen)), lab.generator(params.seed)
    beams, exact = searches(lab, *chosen)
    cached, uncached, at_once, positions = greedy_twice(lab, *chosen)
    return Result(
        params,
        reader.alphabet,
        beams,
        exact,
        **sampling(reader, start, params, generator),
        samples=sample(reader, start, params, generator) if params.view == "next" else [],
        finished=sentences(lab, *chosen, params.beam) if params.view == "stop" else [],
        cached=cached,
        uncached=uncached,
        positions=positions,
        at_once=at_once,
        prompt=len(start),
    )


def right_option(result: Result) -> str:
    """Which option the ratio falls into."""
    ratio = times_as_probable(result)
    return "same" if ratio < 1.001 else "little" if ratio < 3 else "times" if ratio < 30 else "hundred"


DEMO = Demo(
    title=Text("From distributions to text", "从概率分布到文本"),
    summary=Text(
        "One small model, trained on a tale. Search its sequences, sample from it, stop it, count its work.",
        "在一则小故事上训练的小模型：搜索它的序列、从中采样、决定何时停止，再数一数计算量。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "After the prompt, greedy decoding takes the most probable character every time. How many times as "
            "probable as greedy's whole continuation is the most probable one of the same length?",
            "从提示词开始，贪心解码每次都取概率最大的字符。同样长度的续写里，概率最大的那一条，"
            "概率是贪心结果的多少倍？",
        ),
        options={
            "same": Text("1: greedy has found it", "1 倍：贪心找到的就是它"),
            "little": Text("up to 3 times", "3 倍以内"),
            "times": Text("3 to 30 times", "3 到 30 倍"),
            "hundred": Text("more than 30 times", "30 倍以上"),
        },
        right=right_option,
        because=Text(
            "The factors of a product are chosen one by one: a first character that is only third best may lead to "
            "near certainty, and the best one to a dozen ways of going on. Greedy never looks past one character.",
            "整条序列的概率是连乘积，贪心却逐个因子去取：排第三的首字符后面可能几乎是确定的，"
            "排第一的后面却可能有十来种走法。贪心只看眼前一个字符。",
        ),
    ),
    presets=(
        Preset(Text("Beam 3 finds it", "束宽 3 找到了"), Params(beam=3)),
        Preset(Text("Hot, then truncated", "高温再截断"), Params(view="next", temperature=2.0, top_p=0.9)),
        Preset(Text("Short sentences win", "短句占便宜"), Params(view="stop", opening="the", beam=8)),
        Preset(Text("What a KV cache saves", "KV 缓存省了什么"), Params(view="cost", length=32)),
    ),
)
