"""How BPE and WordPiece learn a vocabulary from a text, and how each splits a new word with it."""

import functools
import math
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Annotated

from demos.claims.subword_tokenizers import claims
from demos.figures.subword_tokenizers import CHINESE, ENGLISH, HUG, LOWEST, RULES, STARTS, pictures
from demos.kit.contract import Demo, Impossible, Prediction, Preset
from demos.kit.knobs import Choice, Range, Switch, Words
from demos.kit.lab import Lab
from demos.kit.stage import stage
from language import Text

END, INSIDE, UNKNOWN = "\ue000", "\ue001", "[UNK]"  # shown as </w> and ##; private, so no text can contain them
MOST = 40  # merges
Symbols = tuple[str, ...]
Pair = tuple[str, str]


@dataclass(frozen=True)
class Params:
    """The knobs."""

    text: Annotated[
        str,
        Words(
            400,
            (ENGLISH, CHINESE, HUG, LOWEST),
            label=Text("Text to learn from", "用来学习的文本"),
            help=Text(
                "hug×10 stands for ten times hug; punctuation is left out.", "hug×10 表示 hug 出现十次；标点不计。"
            ),
        ),
    ] = ENGLISH
    word: Annotated[str, Words(16, ("shortest",), label=Text("Words to split", "要切分的词"))] = "shortest"
    rule: Annotated[str, Choice(RULES, label=Text("Choose merges by", "按什么选合并的对"))] = "frequency"
    merges: Annotated[int, Range(0, MOST, label=Text("Merges", "合并次数"))] = 36
    start: Annotated[str, Choice(STARTS, label=Text("Characters, or bytes", "字符，或者字节"))] = "end"
    isolate: Annotated[bool, Switch(label=Text("Isolate CJK characters", "汉字两边加空格"))] = False


@dataclass(frozen=True)
class Merge:
    """One learned merge: the pair, how often it occurred, and how many tokens the text has afterwards."""

    pair: Pair
    count: int
    tokens: int


@dataclass(frozen=True)
class Candidate:
    """A pair that could be merged next, with what the three rules think of it."""

    pair: Pair
    frequency: int
    ratio: float
    gain: float


@dataclass(frozen=True)
class Result:
    """What was learned from the text, and how the words are split with it."""

    params: Params
    words: dict[str, int]  # of the text
    tokens: int  # of the text before any merge
    alphabet: list[str]
    learned: dict[str, list[Merge]]  # by each rule, up to `MOST`
    split: dict[Symbols, int]  # the text after the chosen merges
    replay: list[list[Symbols]]  # the words to split: before, and after each merge that applies
    longest: list[Symbols]  # the same words by longest match over the same vocabulary
    unseen: tuple[int, int, int]  # a word with a symbol that the text lacks: its tokens, unknowns; by longest match
    first: list[Candidate]  # what could be merged first
    favourites: dict[str, Candidate]  # and what each rule would merge
    recounted: float  # what the first merge adds to the log-likelihood, by counting again afterwards
    hug: dict[str, Candidate]  # what each rule would merge first in the hug text
    vocabulary: frozenset[str]


def words_in(text: str, isolate: bool) -> dict[str, int]:
    """Pre-tokenisation: the words of a text and how often each occurs. No merge ever crosses a word's edge."""
    counts: Counter[str] = Counter()
    for word, times in re.findall(r"(\w+|[^\w\s])(?:×(\d{1,3}))?", re.sub(f"[{END}{INSIDE}]", "", text)):
        if not unicodedata.category(word[0]).startswith("P"):
            chinese = r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002ebef]"
            for part in re.findall(f"{chinese}|(?:(?!{chinese}).)+", word) if isolate else [word]:
                counts[part] += int(times or 1)
    return {word: count for word, count in counts.items() if count}


def symbols_of(word: str, start: str) -> Symbols:
    """A word before any merge: its characters with a mark, or its bytes (each written as one character)."""
    if start == "bytes":
        return tuple(word.encode(errors="replace").decode("latin-1"))
    return (*word, END) if start == "end" else (word[0], *(INSIDE + character for character in word[1:]))


def merge(symbols: Symbols, pair: Pair) -> Symbols:
    """Join every occurrence of a pair, from left to right."""
    joined: list[str] = []
    for symbol in symbols:
        if joined and (joined[-1], symbol) == pair:
            joined[-1] += symbol.removeprefix(INSIDE)
        else:
            joined.append(symbol)
    return tuple(joined)


def count_tokens(split: dict[Symbols, int]) -> Counter[str]:
    """How often each token occurs."""
    counts: Counter[str] = Counter()
    for symbols, times in split.items():
        for symbol in symbols:
            counts[symbol] += times
    return counts


def count_pairs(split: dict[Symbols, int]) -> Counter[Pair]:
    """How often two symbols stand side by side; in aaa the pair aa counts once, since it can be merged once."""
    counts: Counter[Pair] = Counter()
    for symbols, times in split.items():
        before = None
        for pair in pairwise(symbols):
            before = None if pair == before and pair[0] == pair[1] else pair
            if before:
                counts[pair] += times
    return counts


@functools.cache
def nats(count: int) -> float:
    """The term c ln c of a log-likelihood."""
    return count * math.log(count) if count else 0.0


def likelihood_gain(n: int, first: int, second: int, total: int, doubled: bool) -> float:
    """What merging n pairs adds to Σ c ln(c/N), the log-likelihood of the text as independent tokens."""
    if doubled:  # a pair of equal tokens
        return nats(n) + nats(first - 2 * n) - nats(first) + nats(total) - nats(total - n)
    return nats(n) + nats(first - n) - nats(first) + nats(second - n) - nats(second) + nats(total) - nats(total - n)


def candidates(split: dict[Symbols, int]) -> list[Candidate]:
    """Every pair that occurs at least twice, in the order of the text, with its three scores."""
    count, pairs = count_tokens(split), count_pairs(split)
    total = count.total()
    return [
        Candidate((a, b), n, n / (count[a] * count[b]), likelihood_gain(n, count[a], count[b], total, a == b))
        for (a, b), n in pairs.items()
        if n > 1
    ]


def log_likelihood(split: dict[Symbols, int]) -> float:
    """Σ c ln(c/N) over the distinct tokens of a text: each token drawn by itself, with its own frequency."""
    count = count_tokens(split)
    return sum(n * math.log(n / count.total()) for n in count.values())


def favourites(pairs: list[Candidate]) -> dict[str, Candidate]:
    """The pair that each rule would merge; of equals, the one met first in the text."""
    return {rule: max(pairs, key=lambda pair: round(getattr(pair, rule), 9)) for rule in RULES} if pairs else {}


def words_merged(split: dict[Symbols, int], pair: Pair) -> dict[Symbols, int]:
    """A split text after one more merge."""
    return {merge(symbols, pair): times for symbols, times in split.items()}


def size(split: dict[Symbols, int]) -> int:
    """Tokens in a split text."""
    return sum(len(symbols) * times for symbols, times in split.items())


@stage(keep=64)
def learn(_lab: Lab, text: str, isolate: bool, start: str, rule: str) -> list[Merge]:
    """Merge the best pair everywhere, count again, and so on, until no pair occurs twice."""
    split = {symbols_of(word, start): times for word, times in words_in(text, isolate).items()}
    merges: list[Merge] = []
    while len(merges) < MOST and (pairs := candidates(split)):
        chosen = favourites(pairs)[rule]
        split = words_merged(split, chosen.pair)
        merges.append(Merge(chosen.pair, chosen.frequency, size(split)))
    return merges


def replay(words: list[Symbols], merges: list[Merge]) -> list[list[Symbols]]:
    """BPE splits words by applying the merges in the order they were learned."""
    trace = [words]
    for learned in merges:
        after = [merge(symbols, learned.pair) for symbols in trace[-1]]
        if after != trace[-1]:
            trace.append(after)
    return trace


def longest_match(symbols: Symbols, vocabulary: frozenset[str]) -> Symbols:
    """WordPiece takes the longest piece in the vocabulary, then goes on; if none fits, the whole word is unknown."""
    pieces: list[str] = []
    while symbols:
        spelt = list(accumulate(symbols, lambda piece, symbol: piece + symbol.removeprefix(INSIDE)))
        fitting = [length for length, piece in enumerate(spelt, start=1) if piece in vocabulary]
        if not fitting:
            return (UNKNOWN,)
        pieces.append(spelt[fitting[-1] - 1])
        symbols = symbols[fitting[-1] :]
    return tuple(pieces)


def compute(params: Params, lab: Lab) -> Result:
    """Learn merges from the text by each rule, then split the words with those chosen."""
    words = words_in(params.text, params.isolate)
    if not words:
        raise Impossible(Text("A tokenizer is what its text taught it: type some.", "分词器全靠文本来学：请输入一些。"))
    start = {symbols_of(word, params.start): times for word, times in words.items()}
    learned = {rule: learn(lab, params.text, params.isolate, params.start, rule) for rule in RULES}
    merges = learned[params.rule][: params.merges]
    seen = sorted({symbol for symbols in start for symbol in symbols})
    alphabet = [chr(byte) for byte in range(256)] if params.start == "bytes" else seen
    vocabulary = frozenset(alphabet) | {a + b.removeprefix(INSIDE) for a, b in (made.pair for made in merges)}

    new = [symbols_of(word, params.start) for word in words_in(params.word, params.isolate)]
    unseen = next(c for c in map(chr, range(0x2600, 0x2800)) if c not in params.text)
    strange = symbols_of(next(iter(words))[:8] + unseen, params.start)
    pieces = replay([strange], merges)[-1][0]
    first = candidates(start)
    liked = favourites(first)
    after = words_merged(start, liked[params.rule].pair) if first else start
    return Result(
        params,
        words,
        size(start),
        alphabet,
        learned,
        split={replay([symbols], merges)[-1][0]: times for symbols, times in start.items()},
        replay=replay(new, merges),
        longest=[longest_match(symbols, vocabulary) for symbols in new],
        unseen=(len(pieces), sum(piece not in vocabulary for piece in pieces), len(longest_match(strange, vocabulary))),
        first=first,
        favourites=liked,
        recounted=log_likelihood(after) - log_likelihood(start),
        hug=favourites(candidates({symbols_of(word, "inside"): n for word, n in words_in(HUG, isolate=False).items()})),
        vocabulary=vocabulary,
    )


def right_option(result: Result) -> str:
    """Which pair of the hug text the ratio merges first."""
    return "".join(result.hug["ratio"].pair).replace(INSIDE, "")


DEMO = Demo(
    title=Text("BPE and WordPiece on your own text", "在你的文本上训练 BPE 与 WordPiece"),
    summary=Text(
        "Every merge a text teaches, by three rules, and two ways to split a word with the same vocabulary.",
        "看三种规则从一段文本里学到的每一次合并，再用同一个词表以两种方式切词。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "A text has hug 10 times, pug 5, pun 12, bun 4 and hugs 5 times. Score each pair of neighbours by "
            "$c(ab)/(c(a)\\,c(b))$, often called the WordPiece rule. Which pair is merged first?",
            "文本里 hug 10 次、pug 5 次、pun 12 次、bun 4 次、hugs 5 次。用常说的 WordPiece 规则 "
            "$c(ab)/(c(a)\\,c(b))$ 给相邻的一对打分，最先合并哪一对？",
        ),
        options={
            "ug": Text("u and g: 20 times, the most frequent", "u 和 g：20 次，最频繁"),
            "un": Text("u and n: 16 times", "u 和 n：16 次"),
            "hu": Text("h and u: 15 times", "h 和 u：15 次"),
            "gs": Text("g and s: 5 times", "g 和 s：5 次"),
        },
        right=right_option,
        because=Text(
            "s never occurs without g before it, so the ratio is $5/(20\\cdot5)=1/20$. Every pair with u gets $1/36$, "
            "since u occurs 36 times. The ratio asks how exclusive a pair is, not how often it occurs.",
            "s 前面总是 g，比值是 $5/(20\\cdot5)=1/20$；u 出现 36 次，含 u 的每一对都只有 $1/36$。"
            "比值看的是两者有多“专一”，不是出现得有多频繁。",
        ),
    ),
    presets=(
        Preset(Text("Sennrich's toy: lowest", "Sennrich 的小例子：lowest"), Params(LOWEST, "lowest", merges=10)),
        Preset(Text("Ratio on hug", "hug 上的比值"), Params(HUG, "hugs bug mug", "ratio", 3, "inside")),
        Preset(Text("Raw Chinese", "不加空格的中文"), Params(CHINESE, "注意力编码器", merges=12)),
        Preset(Text("As in BERT", "像 BERT 那样"), Params(CHINESE, "注意力编码器", "frequency", 12, "inside", True)),
        Preset(Text("Chinese as bytes", "中文按字节"), Params(CHINESE, "注意力编码器", merges=40, start="bytes")),
    ),
)
