"""The rules of the bank in `questions/`: files, lengths, links, sources and ids that stay.

Lengths: a word is what stands between spaces, a displayed formula counts as one; a Chinese text is counted in
characters without spaces. The rules of questions/README.md hold within a tenth.
"""

import re

import pytest
from pydantic import TypeAdapter

from demos.kit import catalogue
from study import bank
from study.question import Question, Source
from tests import question_ids

BANK = bank.load()
FILES = sorted(bank.FOLDER.glob("[0-9]*.yaml"))
TENTH = 0.1

each_question = pytest.mark.parametrize("question", BANK.questions, ids=lambda question: f"{question.number:02}")


def words(text: str) -> int:
    return len(re.sub(r"\$\$.+?\$\$", "formula", text, flags=re.DOTALL).split())


def characters(text: str) -> int:
    return len("".join(text.split()))


def is_within(count: int, low: int, high: int) -> bool:
    return low * (1 - TENTH) <= count <= high * (1 + TENTH)


def test_every_file_of_the_bank_can_be_used():
    assert [str(problem) for problem in BANK.problems] == []
    assert len(BANK.questions) == len(FILES)


def test_there_are_thirty_five_questions_numbered_without_a_gap():
    assert [question.number for question in BANK.questions] == list(range(1, 36))


def test_a_file_is_named_after_the_number_and_the_id_of_its_question():
    named = [f"{question.number:02}-{question.id}.yaml" for question in BANK.questions]
    assert named == [file.name for file in FILES]


def test_every_topic_has_a_question():
    assert {question.topic for question in BANK.questions} == {topic.id for topic in BANK.topics}


@each_question
def test_the_short_answer_takes_thirty_seconds_in_either_language(question: Question):
    assert is_within(words(question.short.en), 60, 110), f"{words(question.short.en)} words"
    assert is_within(characters(question.short.zh), 110, 220), f"{characters(question.short.zh)} characters"


@each_question
def test_the_full_answer_has_the_length_of_a_page(question: Question):
    assert is_within(words(question.answer.en), 350, 900), f"{words(question.answer.en)} words"


@each_question
def test_a_question_has_a_rubric_that_can_be_failed_and_passed(question: Question):
    core = sum(point.core for point in question.key_points)
    assert 0 < core < len(question.key_points)


def test_every_demo_belongs_to_a_question():
    assert {link.id for question in BANK.questions for link in question.demos} == set(catalogue.names())


@pytest.mark.parametrize("url", ["http://arxiv.org/abs/1706.03762", "arxiv.org/abs/1706.03762", "javascript:alert(1)"])
def test_a_source_without_https_is_refused(url):
    with pytest.raises(ValueError, match="url"):
        TypeAdapter(Source).validate_python(
            {"id": "paper", "authors": "A", "title": "T", "year": 2017, "url": url, "supports": ["one"]}
        )


def test_no_released_id_disappears_because_reviews_point_at_it():
    assert sorted(question_ids.released() - question_ids.of_the_bank()) == []


def test_the_list_of_released_ids_knows_the_first_questions():
    assert {"softmax-scaling", "softmax-scaling/recall/variance"} <= question_ids.released()
