"""One question: think first, then the answer in steps, with its live demo on the same page."""

import pytest

from demos.kit import catalogue
from language import LANGUAGES
from study import bank
from tests.views.conftest import Visit
from tests.views.screen import charts, keys, links, words

QUESTIONS = bank.load().questions


def test_the_answer_is_hidden_until_the_learner_asks_and_then_comes_in_two_steps(visit: Visit):
    page, question = visit("question", number="4"), next(found for found in QUESTIONS if found.number == 4)
    assert question.prompt.en in words(page)
    assert question.short.en not in words(page)
    page.button(key="softmax-scaling show short").click().run()
    assert question.short.en in words(page)
    assert question.answer.en not in words(page)
    page.button(key="softmax-scaling show full").click().run()
    assert question.answer.en in words(page)
    assert "softmax-scaling show full" not in keys(page)


def test_the_parts_of_an_english_source_have_chinese_names_in_the_chinese_view(visit: Visit):
    page = visit("question", "zh", number="2")
    for step in ("short", "full"):
        page.button(key=f"query-key-projection show {step}").click().run()
    assert "摘要" in words(page)
    assert ", abstract" not in words(page)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: str(question.number))
def test_a_question_shows_all_its_sections_and_its_demo_in_both_languages(visit: Visit, store, question):
    """A demo that trains stays behind its prediction here; the browser visits all of them."""
    runs = not catalogue.brings_the_compiler(question.demos[0].id)
    with store() as kept:
        kept.set_preference("predict_first", not runs)
        kept.set_preference("show_answers", True)
    parts = [question.prompt, question.short, question.answer, *(point.text for point in question.key_points)]
    parts += [text for trap in question.traps for text in (trap.claim, trap.why)]
    parts += [*(item.answer for item in question.follow_ups), *(link.look_for for link in question.demos)]
    page = visit("question", "en", number=str(question.number))
    for language in LANGUAGES:
        page.segmented_control(key="language switch").set_value(language).run()
        seen = words(page)
        assert [text.in_(language) for text in parts if text.in_(language) not in seen] == []
        assert all(source.url in seen for source in question.sources)
        claims = [text.value for text in page.markdown if "check_circle" in text.value]
        assert bool(claims) == bool(charts(page)) == runs
        assert ":material/cancel:" not in "".join(claims)


@pytest.mark.parametrize("given", ["999", "0", "-3", "four", "", "4.5", "1e1", "<b>", "٤" * 5000, "9" * 5000])
def test_a_bad_number_is_said_and_a_question_is_shown_all_the_same(visit: Visit, given: str):
    page = visit("question", number=given)
    assert page.header[0].value
    assert page.warning
    assert page.query_params["number"] in {str(question.number) for question in QUESTIONS}


def test_the_nearest_question_stands_in_for_one_that_is_not_there(visit: Visit):
    page = visit("question", number="999")
    assert QUESTIONS[-1].title.en == page.header[0].value
    assert "`999`" in page.warning[0].value


def test_previous_and_next_lead_to_the_neighbours_and_end_at_the_ends(visit: Visit):
    first, second = (str(question.number) for question in QUESTIONS[:2])
    found = links(visit("question", number=first))
    assert found["Next"] == f"question?number={second}"
    ends = visit("question", number=first).get("page_link")
    assert [link.proto.disabled for link in ends if link.proto.label == "Previous"] == [True]


def test_a_question_remembers_how_far_it_was_opened_while_another_is_read(visit: Visit):
    page = visit("question", number="4")
    page.button(key="softmax-scaling show short").click().run()
    page.query_params["number"] = "5"
    page.run()
    assert "attention-masks show short" in keys(page)
    page.query_params["number"] = "4"
    page.run()
    assert "softmax-scaling show full" in keys(page)


def test_the_language_switches_in_the_middle_of_an_answer(visit: Visit):
    page = visit("question", number="4")
    page.button(key="softmax-scaling show short").click().run()
    page.segmented_control(key="language switch").set_value("zh").run()
    question = next(question for question in QUESTIONS if question.number == 4)
    assert question.short.zh in words(page)
    assert question.short.en not in words(page)
