"""Review: the card hides its answer, ratings are kept and can be taken back, and the end says what comes next."""

from datetime import UTC, datetime, timedelta

import pytest

from language import LANGUAGES, Language
from study import bank
from study.queue import cards, new
from study.schedule import Rating
from tests.views.conftest import Visit
from tests.views.screen import keys, labelled, links, shortcuts, words

CARDS = cards(bank.load().questions)
FIRST, SECOND = new(CARDS, {}, 2)
RATES = {f"rate {rating.value}" for rating in Rating}


def few_new_cards(store, count: int) -> None:
    with store() as kept:
        kept.set_preference("new_cards", count)


def ratings(store) -> list[tuple[str, int]]:
    with store() as kept:
        return [(review.card, int(review.rating)) for review in kept.reviews()]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_card_shows_its_answer_and_the_ratings_only_when_turned(visit: Visit, language: Language):
    page = visit("review", language)
    assert FIRST.front.in_(language) in words(page)
    assert FIRST.back.in_(language) not in words(page)
    assert not RATES & keys(page)
    page.button(key="reveal").click().run()
    assert FIRST.back.in_(language) in words(page)
    assert keys(page) >= RATES
    assert "reveal" not in keys(page)


def test_every_rating_says_when_the_card_returns_and_a_better_one_never_sooner(visit: Visit):
    page = visit("review")
    page.button(key="reveal").click().run()
    labels = [page.button(key=f"rate {rating.value}").label for rating in Rating]
    assert [label.split("**")[1] for label in labels] == ["Again", "Hard", "Good", "Easy"]
    assert "min" in labels[0]
    assert " d" in labels[3]


@pytest.mark.parametrize("rating", Rating)
def test_a_rating_is_on_disk_when_the_next_card_lies_on_the_table(visit: Visit, store, rating: Rating):
    page = visit("review")
    page.button(key="reveal").click().run()
    page.button(key=f"rate {rating.value}").click().run()
    assert ratings(store) == [(FIRST.id, rating)]
    assert SECOND.front.en in words(page)
    assert "reveal" in keys(page)


def test_undo_takes_the_rating_back_and_lays_the_turned_card_on_the_table_again(visit: Visit, store):
    page = visit("review")
    assert page.button(key="undo").disabled
    page.button(key="reveal").click().run()
    page.button(key="rate 1").click().run()
    page.button(key="undo").click().run()
    assert ratings(store) == []
    assert FIRST.back.en in words(page)
    assert page.button(key="undo").disabled
    page.button(key="rate 4").click().run()
    assert ratings(store) == [(FIRST.id, Rating.Easy)]


def test_two_ratings_can_be_taken_back_one_after_the_other(visit: Visit, store):
    page = visit("review")
    for _ in range(2):
        page.button(key="reveal").click().run()
        page.button(key="rate 3").click().run()
    for left in (1, 0):
        page.button(key="undo").click().run()
        assert len(ratings(store)) == left
    assert FIRST.back.en in words(page)


def test_a_skipped_card_is_put_aside_for_this_sitting_only(visit: Visit, store):
    page = visit("review")
    page.button(key="skip").click().run()
    assert SECOND.front.en in words(page)
    assert ratings(store) == []
    assert FIRST.front.en in words(visit("review"))


def test_the_day_brings_only_as_many_new_cards_as_the_learner_wants(visit: Visit, store):
    few_new_cards(store, 2)
    page = visit("review")
    for _ in range(2):
        page.button(key="reveal").click().run()
        page.button(key="rate 4").click().run()
    assert "Done for now" in words(page)
    assert "2 ratings: Easy 2." in words(page)
    assert "The next card comes back in " in words(page)
    assert not keys(page) & {"reveal", "skip", *RATES}


def test_the_summary_leads_on_to_more_cards_to_a_question_and_to_a_quiz(visit: Visit, store):
    few_new_cards(store, 0)
    page = visit("review")
    assert "Nothing is due." in words(page)
    assert set(links(page).values()) >= {"quiz"}
    labelled(page, "Learn 5 more new cards").click().run()
    assert FIRST.front.en in words(page)
    for _ in range(5):
        page.button(key="reveal").click().run()
        page.button(key="rate 4").click().run()
    assert "5 ratings" in words(page)


def test_the_last_rating_can_be_taken_back_from_the_summary(visit: Visit, store):
    few_new_cards(store, 1)
    page = visit("review")
    page.button(key="reveal").click().run()
    page.button(key="rate 4").click().run()
    page.button(key="undo").click().run()
    assert FIRST.back.en in words(page)


def test_due_cards_come_before_new_ones_and_are_counted(visit: Visit, store):
    late = CARDS[-1] if CARDS[-1].kind != "choice" else next(card for card in CARDS[::-1] if card.kind != "choice")
    with store() as kept:
        kept.rate(late.id, Rating.Easy, datetime.now(UTC) - timedelta(days=400), "long ago")
    page = visit("review")
    assert late.front.en in words(page)
    assert page.get("progress")[0].proto.text.startswith("1 due · 0 learning · 10 new")


def test_every_act_has_a_key_and_no_key_has_two_acts(visit: Visit):
    page = visit("review")
    assert shortcuts(page) == {"reveal": "space", "undo": "u", "skip": "s"}
    page.button(key="reveal").click().run()
    assert shortcuts(page) == {"undo": "u", "skip": "s"} | {f"rate {number}": str(number) for number in range(1, 5)}


def test_the_language_switches_in_the_middle_of_a_card(visit: Visit, store):
    page = visit("review")
    page.button(key="reveal").click().run()
    page.segmented_control(key="language switch").set_value("zh").run()
    assert FIRST.back.zh in words(page)
    page.button(key="rate 3").click().run()
    assert ratings(store) == [(FIRST.id, Rating.Good)]


def test_a_second_tab_shows_what_the_first_one_kept(visit: Visit, store):
    few_new_cards(store, 1)
    first, second = visit("review"), visit("review")
    for page, rating in zip((first, second), (4, 3), strict=True):
        page.button(key="reveal").click().run()
        page.button(key=f"rate {rating}").click().run()
    assert [rated for rated, _ in ratings(store)] == [FIRST.id, FIRST.id]
    assert "Done for now" in words(second)


def test_a_rating_that_cannot_be_kept_is_said_and_the_card_stays(visit: Visit, data):
    page = visit("review")
    page.button(key="reveal").click().run()
    for file in data.glob("viva.db*"):
        file.write_bytes(b"no database any more" * 1000)
    page.button(key="rate 3").click().run()
    assert str(data) in page.error[0].value
    assert FIRST.back.en in words(page)
    assert keys(page) >= RATES
