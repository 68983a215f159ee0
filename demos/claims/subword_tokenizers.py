"""The claims of `subword_tokenizers`."""

import re
from typing import TYPE_CHECKING

from demos.kit.contract import Claim
from language import Text, same

if TYPE_CHECKING:
    from demos.subword_tokenizers import Result


def claims(result: "Result") -> list[Claim]:
    """What holds for any text, then the hug text that tells the three rules apart."""
    made = [*learning_claims(result), *unseen_claims(result)]
    if result.longest:
        made.append(longest_claim(result))
    if result.params.start == "bytes":
        made.append(byte_claim(result))
    if result.params.isolate:
        made.append(isolation_claim(result))
    return [*made, *hug_claims(result)]


def learning_claims(result: "Result") -> list[Claim]:
    """The size of the vocabulary, what a merge does to the text, and what replaying the merges gives."""
    merges = result.learned[result.params.rule][: result.params.merges]
    size = Text("Tokens in the vocabulary", "词表里的 token 数")
    law = Text("alphabet + one for each merge", "基础字母表 + 每次合并一个")
    expected = len(result.alphabet) + len(merges)
    made = [Claim("vocabulary_is_alphabet_plus_merges", size, len(result.vocabulary), "=", expected, law)]
    if merges:
        before = [result.tokens, *(merge.tokens for merge in merges)]
        missed = max(merge.tokens + merge.count - tokens for merge, tokens in zip(merges, before, strict=False))
        saved = Text(
            "A merge seen n times shortens the text by n tokens: the largest shortfall",
            "出现 n 次的一对合并后，文本少 n 个 token：最多差几个",
        )
        why = Text("each occurrence becomes one token instead of two", "每出现一次，两个 token 变成一个")
        replayed = Text(
            "Tokens of the text after replaying the merges on its words", "对文本的词重放合并之后的 token 数"
        )
        order = Text(
            "what training left: the same merges in the same order", "与训练结束时相同：同样的合并，同样的次序"
        )
        tokens = sum(len(symbols) * times for symbols, times in result.split.items())
        made += [
            Claim("a_merge_saves_its_count", saved, missed, "=", 0, why),
            Claim("replay_splits_as_training_did", replayed, tokens, "=", merges[-1].tokens, order),
        ]
    return made + rule_claims(result) if result.first else made


def rule_claims(result: "Result") -> list[Claim]:
    """The first merge on this text."""
    chosen = result.favourites[result.params.rule]
    after = {rule: merges[0].tokens for rule, merges in result.learned.items()}
    recounted = Text(
        "What the first merge adds to Σ c ln(c/N), counted again", "第一次合并使 Σ c ln(c/N) 增加多少（重新计数）"
    )
    formula = Text("the closed formula for ΔL; ± rounding of sums of N ln N", "ΔL 的闭式公式；± N ln N 求和的舍入误差")
    fewest = Text(
        "Tokens after the first merge by frequency, minus the fewest by another rule",
        "按频率做第一次合并后的 token 数，减去另两种规则里较少的",
    )
    greedy = Text("no single merge saves more than the most frequent pair", "单次合并里，最频繁的一对省得最多")
    least = min(after["ratio"], after["gain"])
    slack = 1e-9 * max(1, result.tokens)
    return [
        Claim("likelihood_formula_is_exact", recounted, result.recounted, "=", chosen.gain, formula, slack),
        Claim("frequency_saves_most_at_first", fewest, after["frequency"] - least, "<=", 0, greedy),
    ]


def unseen_claims(result: "Result") -> list[Claim]:
    """A word of the text with one more symbol, which the text never showed."""
    _, unknowns, pieces = result.unseen
    replayed = Text(
        "A word with one symbol the text never showed, by replaying merges: unknown tokens",
        "给一个词加上文本里没有的符号，重放合并：未知 token 数",
    )
    if result.params.start == "bytes":
        why = Text("all 256 bytes are in the vocabulary", "256 个字节都在词表里")
        return [Claim("bytes_have_no_unknown", replayed, unknowns, "=", 0, why)]
    alone = Text("only that symbol; the rest of the word is kept", "只有那个符号未知，词的其余部分保留")
    matched = Text(
        "The same word by longest match: tokens, all of them [UNK]", "同一个词用最长匹配：token 数，全是 [UNK]"
    )
    whole = Text("one position without a match loses the whole word", "一处匹配不上，整个词都丢掉")
    return [
        Claim("bpe_keeps_the_rest_of_the_word", replayed, unknowns, "=", 1, alone),
        Claim("longest_match_loses_the_whole_word", matched, pieces, "=", 1, whole),
    ]


def longest_claim(result: "Result") -> Claim:
    """Longest match is greedy from the left."""
    pairs = zip(result.longest, result.replay[-1], strict=True)
    known = [(match, split) for match, split in pairs if match[0] in result.vocabulary]
    lead = min((len(match[0]) - len(split[0]) for match, split in known), default=0)
    sentence = Text(
        "First piece by longest match, minus the first piece by replay, in symbols (least over your words)",
        "最长匹配的首个片段比重放合并的首个片段长几个符号（各词中的最小值）",
    )
    why = Text("it takes the longest piece there is", "它取的是词表里最长的片段")
    return Claim("longest_match_starts_longest", sentence, lead, ">=", 0, why)


def byte_claim(result: "Result") -> Claim:
    """UTF-8."""
    characters = sum(len(word) * times for word, times in result.words.items())
    expected = sum(times * sum(utf8_length(ord(c)) for c in word) for word, times in result.words.items())
    sentence = Text(f"Tokens before any merge, of {characters} characters", f"{characters} 个字符，合并之前的 token 数")
    why = Text("UTF-8: 1 byte for ASCII, 3 for a common Chinese character", "UTF-8：ASCII 1 个字节，常用汉字 3 个字节")
    return Claim("characters_are_their_bytes", sentence, result.tokens, "=", expected, why)


def utf8_length(code: int) -> int:
    """Bytes of a code point."""
    return 1 + (code >= 0x80) + (code >= 0x800) + (code >= 0x10000)


def isolation_claim(result: "Result") -> Claim:
    """Merges stay inside words, and here every Chinese character is a word."""
    tokens = result.vocabulary
    if result.params.start == "bytes":
        tokens = [token.encode("latin-1").decode(errors="ignore") for token in tokens]
    longest = max(len(re.findall(r"[\u4e00-\u9fff]", token)) for token in tokens)
    sentence = Text("Chinese characters in the longest token", "最长的 token 含几个汉字")
    why = Text("no merge crosses the added spaces", "合并不会跨过加上的空格")
    return Claim("isolated_characters_stay_single", sentence, longest, "<=", 1, why)


def hug_claims(result: "Result") -> list[Claim]:
    """The text has hug 10 times, pug 5, pun 12, bun 4, hugs 5: the first merge by each rule."""
    frequent, rare, likeliest = (result.hug[rule] for rule in ("frequency", "ratio", "gain"))
    text = "hug×10 pug×5 pun×12 bun×4 hugs×5"
    counted = Text(f"{text}: frequency merges a pair seen this often", f"{text}：按频率合并的一对出现的次数")
    scored = Text("The ratio merges a pair seen this often", "按比值合并的一对出现的次数")
    likely = Text("The likelihood gain merges a pair seen this often", "按似然增量合并的一对出现的次数")
    gains = f"ΔL = {likeliest.gain:.2f} > {rare.gain:.2f}"
    return [
        Claim("frequency_merges_ug", counted, frequent.frequency, "=", 10 + 5 + 5, same("u+g: 10 + 5 + 5")),
        Claim("ratio_merges_gs", scored, rare.frequency, "=", 5, same("g+s: 5/(20·5) = 1/20 > 1/36 = 20/(36·20)")),
        Claim("likelihood_merges_ug", likely, likeliest.frequency, "=", 10 + 5 + 5, same(f"u+g: {gains}")),
    ]
