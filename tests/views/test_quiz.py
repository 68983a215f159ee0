"""Quiz: every option explains itself, the score counts, and a miss becomes due in Review."""

from datetime import UTC, datetime, timedelta

import pytest
from streamlit.testing.v1 import AppTest

from components.session import QuizRun
from language import LANGUAGES, Language
from study import bank
from study.question import Choice
from study.queue import choice_card
from tests.views.conftest import Visit
from tests.views.screen import keys, labelled, links, shortcuts, words

BANK = bank.load()
ITEMS = {(question.id, item.id): item for question in BANK.questions for item in question.choices}


def started(visit: Visit, language: Language = "en") -> AppTest:
    return visit("quiz", language).button(key="start quiz").click().run()


def running(page: AppTest) -> QuizRun:
    return page.session_state["quiz"]


def open_item(page: AppTest) -> Choice:
    run = running(page)
    return ITEMS[run.items[run.place]]


def answer(page: AppTest, rightly: bool) -> AppTest:
    run = running(page)
    item = open_item(page)
    place = next(place for place, index in enumerate(run.orders[run.place]) if item.options[index].right == rightly)
    return page.button(key=f"option {place}").click().run()


def finished(page: AppTest, *rightly: bool) -> AppTest:
    for right in rightly:
        answer(page, right).button(key="next").click().run()
    return page


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_quiz_asks_its_first_item_without_giving_the_answer_away(visit: Visit, language: Language):
    page = started(visit, language)
    item = open_item(page)
    assert item.ask.in_(language) in words(page)
    labels = [button.label for button in page.button if (button.key or "").startswith("option ")]
    assert sorted(label.split("  ", 1)[1] for label in labels) == sorted(o.text.in_(language) for o in item.options)
    assert not any(option.why.in_(language) in words(page) for option in item.options)
    assert "next" not in keys(page)


@pytest.mark.parametrize("rightly", [True, False])
@pytest.mark.parametrize("language", LANGUAGES)
def test_after_the_answer_every_option_explains_itself(visit: Visit, language: Language, rightly: bool):
    page = answer(started(visit, language), rightly)
    assert all(option.why.in_(language) in words(page) for option in open_item(page).options)
    assert (len(page.success), len(page.error)) == ((1, 0) if rightly else (0, 1))
    assert not any(key.startswith("option ") for key in keys(page))


def test_the_score_counts_the_right_answers_and_lists_the_misses(visit: Visit):
    page = finished(started(visit), True, False, True, False, False)
    assert page.header[0].value == "2 of 5 right"
    assert "due in Review now" in words(page)
    assert len([target for target in links(page).values() if "number=" in target]) == 3
    assert "review misses" in keys(page)


def test_a_perfect_score_says_what_to_do_next_and_sends_nobody_to_review(visit: Visit):
    page = finished(started(visit), *[True] * 5)
    assert page.header[0].value == "5 of 5 right"
    assert "Nothing missed." in words(page)
    assert "review misses" not in keys(page)


def test_a_miss_becomes_due_and_a_right_answer_does_not(visit: Visit, store):
    page = started(visit)
    missed = running(page).items[1]
    finished(page, True, False)
    with store() as kept:
        assert [given.right for given in kept.quiz_answers()] == [True, False]
        memories = kept.memories()
    assert set(memories) == {choice_card(*missed)}
    assert memories[choice_card(*missed)].due <= datetime.now(UTC) + timedelta(minutes=2)


def test_the_misses_are_on_the_table_when_the_learner_goes_to_review_them(visit: Visit):
    page = started(visit)
    missed = open_item(page)
    finished(page, False, True, True, True, True).button(key="review misses").click().run()
    assert missed.ask.en in words(page)
    assert "reveal" in keys(page)


def test_an_option_is_kept_by_its_place_in_the_file_whatever_the_order_shown(visit: Visit, store):
    page = started(visit)
    item = open_item(page)
    answer(page, rightly=True)
    with store() as kept:
        (given,) = kept.quiz_answers()
    assert item.options[given.option].right


def test_the_number_keys_pick_and_enter_goes_on(visit: Visit):
    page = started(visit)
    options = {f"option {place}": str(place + 1) for place in range(len(open_item(page).options))}
    assert shortcuts(page) == options
    assert shortcuts(answer(page, rightly=True)) == {"next": "enter"}


def test_a_quiz_can_be_left_and_another_one_started(visit: Visit):
    page = started(visit).button(key="leave").click().run()
    assert "start quiz" in keys(page)
    page = finished(page.button(key="start quiz").click().run(), *[True] * 5)
    labelled(page, "Another quiz").click().run()
    assert "start quiz" in keys(page)


def test_a_topic_limits_what_is_asked_and_the_length_fits_it(visit: Visit):
    page = visit("quiz")
    page.multiselect(key="quiz topics").select("block").run()
    page.button(key="start quiz").click().run()
    asked = {question for question, _ in running(page).items}
    assert asked <= {question.id for question in BANK.questions if question.topic == "block"}
    assert len(set(running(page).items)) == len(running(page).items) <= 5


def test_no_option_stands_always_at_the_same_place(visit: Visit):
    orders = [order for _ in range(3) for order in running(started(visit)).orders]
    assert len({order[0] for order in orders}) > 1


def test_the_language_switches_after_the_answer_and_the_answer_stays(visit: Visit):
    page = answer(started(visit), rightly=False)
    page.segmented_control(key="language switch").set_value("zh").run()
    assert open_item(page).ask.zh in words(page)
    assert page.error
    assert running(page).answers


def test_without_a_store_the_quiz_runs_and_does_not_claim_that_the_miss_was_kept(visit: Visit, tmp_path, monkeypatch):
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"no database" * 1000)
    monkeypatch.setenv("VIVA_DATABASE_URL", f"sqlite:///{broken}")
    page = answer(started(visit), rightly=False)
    assert "Not quite." in [error.value for error in page.error]
    page = finished(page.button(key="next").click().run(), True, True, True, True)
    assert page.header[0].value == "4 of 5 right"
    assert "due in Review" not in words(page)
    assert "review misses" not in keys(page)
