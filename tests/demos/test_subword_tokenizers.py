"""BPE and WordPiece against the Hugging Face `tokenizers` library, published examples and theory.

The algorithms agree, and the tests say so, in what a merge does, in which counts decide, in replaying merges and in
longest match. They do not agree in three things, which the tests work around:

* Ties. We take the pair met first in the text, `tokenizers` the one whose tokens got their ids first. So our merges
  are compared one by one: each merge of theirs must be a most frequent pair by our counts.
* Runs. In aaa we count the pair aa once, as it can be merged once; `tokenizers` counts it twice. No text here has runs.
* WordPiece's training rule. Their `WordPieceTrainer` merges by frequency, so only their longest match is an oracle.
"""

import json
import math
import re
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from demos import subword_tokenizers as demo
from demos.figures.subword_tokenizers import shown
from demos.kit import runner
from demos.kit.contract import Impossible
from demos.kit.lab import Lab
from demos.subword_tokenizers import CHINESE, END, ENGLISH, HUG, INSIDE, LOWEST, UNKNOWN, Merge, Params, Result

LAB = Lab(torch.device("cpu"))


def result(**knobs: Any) -> Result:
    return demo.compute(Params(**knobs), LAB)


def expanded(text: str, mark: str = "") -> str:
    """The words of a text as plain text for `tokenizers`, each as often as it occurs."""
    return " ".join(" ".join([word + mark] * times) for word, times in demo.words_in(text, isolate=False).items())


def trained_by_library(text: str, merges: int, mark: str = "") -> tuple[Tokenizer, list[tuple[str, str]]]:
    """A BPE tokenizer of the library, trained on the same words, and its merges."""
    tokenizer, plain = Tokenizer(models.BPE()), expanded(text, mark)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # pyright: ignore[reportAttributeAccessIssue]
    size = len(set(plain) - {" "}) + merges
    tokenizer.train_from_iterator([plain], trainers.BpeTrainer(vocab_size=size, min_frequency=2, show_progress=False))
    return tokenizer, [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]


@pytest.mark.parametrize("text", [ENGLISH, CHINESE, HUG, LOWEST])
def test_every_merge_of_the_library_is_a_most_frequent_pair_by_our_counts(text: str):
    _, merges = trained_by_library(text, 30, END)
    split = {demo.symbols_of(word, "end"): times for word, times in demo.words_in(text, isolate=False).items()}
    assert len(merges) >= 10
    for pair in merges:
        counts = demo.count_pairs(split)
        assert counts[pair] == max(counts.values()), pair
        split = demo.words_merged(split, pair)


@pytest.mark.parametrize("text", [ENGLISH, CHINESE, LOWEST])
def test_replaying_the_librarys_merges_splits_words_as_the_library_does(text: str):
    tokenizer, merges = trained_by_library(text, 30, END)
    learned = [Merge(pair, 0, 0) for pair in merges]
    for word in [*demo.words_in(text, isolate=False), "lowest", "shortest", "newer", "注意力编码器", "解码序列"]:
        known = all(symbol in tokenizer.get_vocab() for symbol in word)
        if known:  # the library drops unknown characters where no unknown token is set
            assert demo.replay([demo.symbols_of(word, "end")], learned)[-1][0] == tuple(
                tokenizer.encode(word + END).tokens
            )


def test_without_ties_both_learn_the_same_merges_in_the_same_order():
    text = "abc×8 abd×4 ef×7 g×3 efg×2"  # counts 12, 9, 8, 4, 2: no two are equal
    ours = [merge.pair for merge in demo.learn(LAB, text, False, "bytes", "frequency")]
    assert ours == trained_by_library(text, 20)[1]
    assert ours == [("a", "b"), ("e", "f"), ("ab", "c"), ("ab", "d"), ("ef", "g")]


@pytest.mark.parametrize(("text", "words"), [(ENGLISH, "shortest tokens mug low"), (HUG, "hugs bugs mug bum hug pun")])
@pytest.mark.parametrize("rule", ["frequency", "ratio", "gain"])
def test_longest_match_is_the_librarys_wordpiece(text: str, words: str, rule: str):
    got = result(text=text, start="inside", rule=rule, merges=20, word="x")
    library = Tokenizer(
        models.WordPiece(
            {token: number for number, token in enumerate([UNKNOWN, *sorted(got.vocabulary)])},
            unk_token=UNKNOWN,
            continuing_subword_prefix=INSIDE,
        )
    )
    library.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # pyright: ignore[reportAttributeAccessIssue]
    for word in [*words.split(), *got.words]:
        assert demo.longest_match(demo.symbols_of(word, "inside"), got.vocabulary) == tuple(library.encode(word).tokens)


def test_the_librarys_wordpiece_trainer_merges_by_frequency():
    """So it learns ##ug from the hug text, where the ratio would learn ##gs."""
    library = Tokenizer(models.WordPiece(unk_token=UNKNOWN))  # pyright: ignore[reportCallIssue]
    library.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # pyright: ignore[reportAttributeAccessIssue]
    alphabet = len({s for word in ("hug", "pug", "pun", "bun", "hugs") for s in demo.symbols_of(word, "inside")})
    characters = len(set("hugpnbs")) - len({"h", "p", "b"})  # the library also lists these without ##
    trainer = trainers.WordPieceTrainer(vocab_size=alphabet + characters + 1, min_frequency=2, show_progress=False)
    library.train_from_iterator([expanded(HUG)], trainer)
    assert "##ug" in library.get_vocab()
    assert "##gs" not in library.get_vocab()


def test_sennrichs_toy_text_learns_the_published_merges():
    """What the authors' bpe_toy.py prints, with its counts."""
    got = result(text=LOWEST, word="lowest", merges=10)
    merged = ["".join(merge.pair).replace(END, "</w>") for merge in got.learned["frequency"][:10]]
    assert merged == ["es", "est", "est</w>", "lo", "low", "ne", "new", "newest</w>", "low</w>", "wi"]
    assert [merge.count for merge in got.learned["frequency"][:10]] == [9, 9, 9, 7, 7, 6, 6, 6, 5, 3]
    assert (got.tokens, got.learned["frequency"][9].tokens) == (95, 28)
    assert got.replay[-1] == [("low", f"est{END}")]


def test_on_the_hug_text_only_the_ratio_prefers_the_rare_pair():
    hug = result().hug
    assert {rule: "".join(pair.pair).replace(INSIDE, "##") for rule, pair in hug.items()} == {
        "frequency": "##u##g",
        "ratio": "##g##s",
        "gain": "##u##g",
    }
    assert hug["ratio"].ratio == pytest.approx(5 / (20 * 5))
    assert hug["frequency"].ratio == pytest.approx(20 / (36 * 20))
    assert hug["gain"].gain == pytest.approx(28.02, abs=0.005)
    assert hug["ratio"].gain == pytest.approx(9.23, abs=0.005)


def test_for_frequent_tokens_the_gain_is_count_times_pmi_minus_one():
    n, first, second, total = 5, 5000, 4000, 100_000
    pmi = math.log(n * total / (first * second))
    assert demo.likelihood_gain(n, first, second, total, False) == pytest.approx(n * (pmi - 1), rel=1e-3)
    assert demo.likelihood_gain(5, 20, 5, 113, False) != pytest.approx(5 * (math.log(5 * 113 / 100) - 1), rel=0.5)


def test_a_run_is_merged_from_left_to_right_and_counted_as_often_as_it_is_merged():
    assert demo.merge(("a",) * 5, ("a", "a")) == ("aa", "aa", "a")
    assert demo.count_pairs({("a",) * 5: 3}) == {("a", "a"): 6}
    assert demo.count_pairs({("a", "a", "b", "a", "b"): 1}) == {("a", "a"): 1, ("a", "b"): 2, ("b", "a"): 1}


def test_replay_and_longest_match_split_a_word_of_the_training_text_differently():
    got = result()
    assert [shown(token, "end") for token in got.replay[-1][0]] == ["shor", "t", "est</w>"]
    assert [shown(token, "end") for token in got.longest[0]] == ["shor", "te", "s", "t</w>"]


def test_one_unknown_character_costs_wordpiece_the_word_and_bpe_a_character():
    got = result(text=HUG, word="mug", merges=3)
    assert got.replay[-1] == [("m", "ug", END)]
    assert got.longest == [(UNKNOWN,)]
    assert "m" not in got.vocabulary


def test_raw_chinese_learns_words_and_a_tail_shared_by_two_of_them():
    got = result(text=CHINESE, word="注意力编码器", merges=12)
    learned = ["".join(merge.pair) for merge in got.learned["frequency"]]
    assert learned.index("码器") < learned.index("编码器")
    assert learned.index("码器") < learned.index("解码器")
    assert got.replay[-1] == [("注意力", "编码器", END)]


def test_spaces_round_chinese_characters_leave_nothing_to_merge():
    got = result(text=CHINESE, word="注意力", start="inside", isolate=True)
    assert got.learned["frequency"] == []
    assert got.longest == [("注",), ("意",), ("力",)]
    assert result(text="注意abc", word="", isolate=True).words == {"注": 1, "意": 1, "abc": 1}


def test_a_common_chinese_character_is_three_bytes_and_grows_whole_again():
    got = result(text=CHINESE, word="注意力", start="bytes", merges=0)
    assert len(got.replay[0][0]) == 9
    assert got.tokens == 3 * sum(len(word) * times for word, times in got.words.items())
    merges = demo.learn(LAB, CHINESE, False, "bytes", "frequency")
    assert re.fullmatch("[0-9A-F ]+", shown("".join(merges[0].pair), "bytes"))  # not yet a character
    assert "注意力" in {shown("".join(merge.pair), "bytes") for merge in merges}


def test_marks_written_in_the_text_are_plain_characters():
    got = result(text="a</w>b×3 ##u×3", word="a", start="end")
    assert END not in "".join(got.words)
    assert "a" in got.words
    assert demo.words_in(f"x{END}{INSIDE}y", isolate=False) == {"xy": 1}


def test_counts_after_a_times_sign_and_punctuation():
    assert demo.words_in("hug×10, pug! hug", isolate=False) == {"hug": 11, "pug": 1}
    assert demo.words_in("hug×0 😀×2", isolate=False) == {"😀": 2}


def test_no_text_is_refused_with_a_reason():
    with pytest.raises(Impossible, match="type some"):
        result(text=" ,.。 ")


texts = st.text(st.sampled_from("aabbcdé 注意力😀×3.</w>#"), max_size=80)


@settings(max_examples=120, deadline=None)
@given(texts, texts, st.sampled_from(list(demo.RULES)), st.sampled_from(list(demo.STARTS)), st.booleans())
@example("aaaa×3 aaa ab", "aaaaa", "frequency", "bytes", False)
def test_every_claim_holds_for_any_text(text: str, word: str, rule: str, start: str, isolate: bool):
    for merges in (0, 7, 40):
        outcome = runner.run(demo.DEMO, Params(text, word[:16], rule, merges, start, isolate), LAB)
        assert [claim for claim in outcome.claims if not claim.holds] == []
        assert outcome.problem is not None or outcome.pictures


@pytest.mark.parametrize("wrong", ["count", "order", "vocabulary"])
def test_a_broken_tokenizer_breaks_a_claim(wrong: str):
    got = result(text=LOWEST, merges=8)
    broken = {
        "count": replace(
            got, learned={**got.learned, "frequency": [replace(m, count=m.count + 1) for m in got.learned["frequency"]]}
        ),
        "order": replace(got, split={(*symbols, "x"): times for symbols, times in got.split.items()}),
        "vocabulary": replace(got, vocabulary=got.vocabulary | {"xyz"}),
    }[wrong]
    failed = {claim.id for claim in demo.claims(broken) if not claim.holds}
    assert failed & {"a_merge_saves_its_count", "replay_splits_as_training_did", "vocabulary_is_alphabet_plus_merges"}
