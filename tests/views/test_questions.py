"""The list of questions: find by typing, filter, and see how far each has come."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from language import Language
from study import bank
from study.schedule import Rating
from tests.views.conftest import Visit
from tests.views.screen import labelled, links, words

BANK = bank.load()


def shown(page) -> set[str]:
    """The numbers of the listed questions."""
    return {target.removeprefix("question?number=") for target in links(page).values() if "number=" in target}


def test_every_question_is_listed_under_its_topic_and_leads_to_its_page(visit: Visit):
    page = visit("questions")
    assert shown(page) == {str(question.number) for question in BANK.questions}
    assert all(f"#### {topic.title.en}" in words(page) for topic in BANK.topics)


@pytest.mark.parametrize(("typed", "found"), [("gershgorin", "4"), ("√dₖ", "4"), ("SOFTMAX  jacobian", "4")])
def test_typing_finds_a_question_whatever_the_case_and_order(visit: Visit, typed: str, found: str):
    page = visit("questions").text_input(key="filter search").input(typed).run()
    if typed == "gershgorin":  # stands in the long answer only, which is not searched
        assert not shown(page)
    else:
        assert found in shown(page)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_words_of_either_language_are_found_in_either_language(visit: Visit, language: Language):
    page = visit("questions", language)
    for typed in ("方差", "variance"):
        assert "4" in shown(page.text_input(key="filter search").input(typed).run())


def test_nothing_found_says_so_and_one_button_clears_all_filters(visit: Visit):
    page = visit("questions")
    page.selectbox(key="filter level").select("core")
    page.text_input(key="filter search").input("zzzz").run()
    assert not shown(page)
    assert "No question matches" in page.info[0].value
    labelled(page, "Clear filters").click().run()
    assert len(shown(page)) == len(BANK.questions)
    assert page.text_input(key="filter search").value == ""
    assert page.selectbox(key="filter level").value is None


def test_filters_for_topic_and_level_work_together(visit: Visit):
    page = visit("questions")
    page.selectbox(key="filter topic").select("block").run()
    of_topic = {str(question.number) for question in BANK.questions if question.topic == "block"}
    assert shown(page) == of_topic
    page.selectbox(key="filter level").select("core").run()
    core = {str(question.number) for question in BANK.questions if question.level == "core"}
    assert shown(page) == of_topic & core


def test_filters_survive_a_switch_of_the_language(visit: Visit):
    page = visit("questions")
    page.selectbox(key="filter topic").select("block").run()
    before = shown(page)
    page.segmented_control(key="language switch").set_value("zh").run()
    assert shown(page) == before
    assert page.selectbox(key="filter topic").value == "block"


def test_a_question_begun_is_learning_and_a_due_one_leads_to_review(visit: Visit, store):
    page = visit("questions")
    long_ago = datetime.now(UTC) - timedelta(days=400)
    with store() as kept:
        kept.rate("softmax-scaling", Rating.Easy, datetime.now(UTC), "one")
        kept.rate("attention-masks", Rating.Easy, long_ago, "two")
    page.run()
    assert "1 cards are due" in words(page) or "1 card is due" in words(page)
    assert "review" in links(page).values()
    page.selectbox(key="filter state").select("learning").run()
    assert shown(page) == {"4"}
    page.selectbox(key="filter state").select("due").run()
    assert shown(page) == {"5"}


@pytest.mark.parametrize("typed", ["$", "\\", "**", "<b>", "%", "'; drop table", "🙂", "x" * 5000])
def test_no_typed_text_breaks_the_list(visit: Visit, typed: str):
    page = visit("questions").text_input(key="filter search").input(typed).run()
    assert words(page)


def test_the_list_answers_a_key_press_at_once(visit: Visit):
    page = visit("questions")
    start = time.perf_counter()
    page.text_input(key="filter search").input("softmax").run()
    assert time.perf_counter() - start < 2
