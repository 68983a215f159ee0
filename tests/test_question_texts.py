"""The texts of the bank: both languages say the same numbers, Chinese is Chinese, and Markdown stays small."""

import re
from collections.abc import Callable, Iterator

import pytest

from language import LANGUAGES, Text
from study import bank
from study.question import Question
from tests import chinese
from tests.numbers_in_text import literals, unmatched, values

BANK = bank.load()
# numbers that one language rightly says and the other does not, by (question, field)
NUMBERS_OF_ONE_LANGUAGE: dict[tuple[str, str], set[str]] = {}
WORKSHOP = re.compile(r"seed article|\b(the|this|our) brief\b|briefs/|\bTODO\b|\bFIXME\b|lorem ipsum", re.IGNORECASE)

each_question = pytest.mark.parametrize("question", BANK.questions, ids=lambda question: f"{question.number:02}")


def fields(question: Question) -> Iterator[tuple[str, Text]]:
    for place, text in bank.texts(question):
        yield ".".join(map(str, place)), text


def faults(question: Question, find: Callable[[str], object], *languages: str) -> list[str]:
    return [
        f"{field}.{language}: {fault}"
        for field, text in fields(question)
        for language in languages or LANGUAGES
        if (fault := find(text.zh if language == "zh" else text.en))
    ]


@each_question
def test_both_languages_state_the_same_numbers(question: Question):
    found = []
    for field, text in fields(question):
        apart = {*unmatched(text.en, text.zh), *unmatched(text.zh, text.en)}
        apart -= NUMBERS_OF_ONE_LANGUAGE.get((question.id, field), set())
        if apart:
            found.append(f"{field}: {sorted(apart)}")
    assert found == []


@each_question
def test_chinese_texts_use_the_words_of_the_glossary(question: Question):
    assert faults(question, chinese.refused_words, "zh") == []


@each_question
def test_chinese_characters_are_followed_by_chinese_punctuation(question: Question):
    assert faults(question, chinese.half_width, "zh") == []


@each_question
def test_no_chinese_text_was_left_in_english_and_no_english_one_in_chinese(question: Question):
    assert faults(question, chinese.is_left_in_english, "zh") == []
    assert faults(question, chinese.HAN.findall, "en") == []


@each_question
def test_a_text_uses_no_strike_through_no_html_and_no_large_heading(question: Question):
    def markup(words: str) -> list[str]:
        plain = chinese.MATHS_AND_CODE.sub("", words)
        return re.findall(r"(?<!~)~(?!~)|</?[a-zA-Z][^>]*>", plain) + re.findall(r"^#{1,3} .*", plain, re.MULTILINE)

    assert faults(question, markup) == []


@each_question
def test_no_word_of_the_workshop_is_left_in_a_text(question: Question):
    assert faults(question, WORKSHOP.findall) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("10,000 heads", "1 万个头"),
        ("10 000 steps", "10000 步"),
        (r"$10\,000$ steps", "1万步"),
        (r"$10{,}000$ steps", "一万步"),
        ("65M parameters", "6500 万参数"),
        ("1.5 billion", "15 亿"),
        ("variance 1", "方差为一"),
        ("variance one", "方差为 1"),
        ("twelve layers", "12 层"),
        ("12 layers", "十二层"),
        ("512 heads", "五百一十二个头"),
        (r"$\tfrac12$", "$1/2$"),
        (r"$\frac{1}{2}$", r"$\frac12$"),
        ("90% of it", "九成"),
        ("O(n^2)", "O(n²)"),
        ("0.50", "0.5"),
        ("half of 8", "8 的 0.5"),
    ],
)
def test_numbers_are_compared_by_value_and_not_by_spelling(one, other):
    assert unmatched(one, other) == []
    assert unmatched(other, one) == []


@pytest.mark.parametrize(
    ("one", "other"), [("4 heads", "8 个头"), ("0.5", "0.05"), ("10 000", "10 万"), ("2017", "论文")]
)
def test_different_numbers_are_told(one, other):
    assert unmatched(one, other) == [literals(one)[0][0]]


def test_a_refused_word_is_found_and_a_longer_innocent_word_is_not():
    assert "掩膜" in chinese.refused()
    assert chinese.refused_words("因果掩膜") == ["掩膜"]
    assert chinese.refused_words("对均值向量做普通量化") == []
    assert chinese.refused_words("均值向量和值向量") == ["值向量"]


def test_half_width_punctuation_counts_beside_chinese_only():
    assert chinese.half_width("缩放, 然后 softmax") == ["缩放, 然后 so"]
    assert chinese.half_width("除以 $a, b$，见 `f(x): y`、GPT-2, BERT") == []


def test_numbers_in_words_are_read_in_both_languages():
    assert values("one third of 65M, 两千") >= {1, 3, 65, 65_000_000, 2000}
