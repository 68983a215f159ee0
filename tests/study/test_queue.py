"""Which card comes next: ids, order, learn-ahead, counts, and the state of a question."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from language import same
from study import queue
from study.question import Choice, KeyPoint, Level, Option, Question, Recall, Source
from study.queue import Counts, cards, due, introduced, new, next_card, next_due, progress_by_question
from study.queue import states_by_question as states
from study.schedule import Memory, Phase, Rating, retrievability, review

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


def question(number: int, level: Level = "core", id: str | None = None) -> Question:
    """A question with one recall item and one choice that share an id: less than the schema asks for."""
    points = [KeyPoint(id=f"p{n}", text=same("point"), core=n == 0) for n in range(4)]
    wrong = Option(text=same("No"), why=same("because not"))
    right = Option(text=same("Yes"), why=same("so"), right=True)
    return Question(
        id=id or f"q{number}",
        number=number,
        topic="attention",
        level=level,
        title=same("Title"),
        prompt=same("Prompt"),
        short=same("Short"),
        key_points=tuple(points),
        sources=(Source(id="s", authors="A", title="T", year=2017, url="https://example.org", supports=("p0",)),),
        recall=(Recall(id="scale", ask=same("Ask"), answer=same("Answer")),),
        choices=(Choice(id="scale", ask=same("Which?"), options=(wrong, right)),),
        answer=same("Answer"),
        traps=(),
        follow_ups=(),
        demos=(),
    )


def memory(phase: Phase = Phase.Review, due_in: timedelta = DAY, **changes) -> Memory:
    learned = review(None, Rating.Easy, NOW - DAY)
    return replace(learned, phase=phase, due=NOW + due_in, **changes)


def ids(found) -> list[str]:
    return [card.id for card in found]


BANK = cards([question(2, "deep"), question(1), question(3)])


def shown(memories: dict[str, Memory], new_limit: int = 0, **options) -> str | None:
    card = next_card(BANK, memories, NOW, new_limit=new_limit, **options)
    return card and card.id


def test_a_question_gives_one_card_to_say_then_its_recall_items_then_its_choices():
    say, recall, choice = cards([question(1)])
    assert (say.id, say.kind, say.front.en, say.back.en) == ("q1", "say", "Prompt", "Short")
    assert (recall.id, recall.kind, recall.back.en) == ("q1/recall/scale", "recall", "Answer")
    assert (choice.id, choice.kind) == ("q1/choice/scale", "choice")


def test_the_back_of_a_choice_is_the_right_option_and_why():
    assert cards([question(1)])[2].back == same("Yes\n\nso")


def test_cards_come_in_question_order_and_ids_are_never_shared():
    assert [card.number for card in BANK] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert len(set(ids(BANK))) == len(BANK)


def test_new_cards_are_core_questions_first_and_never_choices():
    assert ids(new(BANK, {}, 99)) == ["q1", "q1/recall/scale", "q3", "q3/recall/scale", "q2", "q2/recall/scale"]


@pytest.mark.parametrize(("limit", "expected"), [(0, 0), (-3, 0), (2, 2), (99, 6)])
def test_the_limit_bounds_the_new_cards(limit, expected):
    assert len(new(BANK, {}, limit)) == expected


def test_a_choice_enters_the_queue_when_it_was_missed():
    missed = {"q1/choice/scale": review(None, Rating.Again, NOW - DAY)}
    assert ids(due(BANK, missed, NOW)) == ["q1/choice/scale"]


def test_learning_cards_come_before_reviews_and_by_due_time():
    memories = {
        "q1": memory(due_in=-5 * DAY),
        "q2": memory(Phase.Learning, -MINUTE),
        "q3": memory(Phase.Relearning, -2 * MINUTE),
    }
    assert ids(due(BANK, memories, NOW)) == ["q3", "q2", "q1"]


def test_reviews_come_least_likely_recalled_first():
    memories = {
        "q1": memory(due_in=-DAY, stability=30.0),
        "q2": memory(due_in=-DAY, stability=2.0),
        "q3": memory(due_in=-9 * DAY, stability=10.0),
    }
    recalls = [retrievability(memories[id], NOW) for id in ids(due(BANK, memories, NOW))]
    assert ids(due(BANK, memories, NOW)) == ["q2", "q3", "q1"]
    assert recalls == sorted(recalls)


def test_a_card_is_due_at_its_very_instant_and_not_before():
    memories = {"q1": memory(due_in=timedelta(0))}
    assert ids(due(BANK, memories, NOW)) == ["q1"]
    assert due(BANK, memories, NOW - timedelta(microseconds=1)) == []


def test_the_zone_of_now_does_not_matter():
    memories = {"q1": memory(due_in=-MINUTE)}
    assert due(BANK, memories, NOW.astimezone(timezone(timedelta(hours=8)))) == due(BANK, memories, NOW)


def test_a_memory_whose_question_left_the_bank_is_ignored():
    memories = {"gone": memory(due_in=-DAY), "gone/recall/x": memory(Phase.Learning, MINUTE)}
    assert shown(memories) is None
    assert next_due(BANK, memories) is None
    assert "gone" not in states(BANK, memories, NOW)


def test_due_cards_come_before_new_ones_and_new_ones_before_learning_ahead():
    ahead = {"q3": memory(Phase.Learning, 5 * MINUTE)}
    assert shown(ahead | {"q2": memory(due_in=-DAY)}, new_limit=1) == "q2"
    assert shown(ahead, new_limit=1) == "q1"
    assert shown(ahead, new_limit=0) == "q3"


@pytest.mark.parametrize(("minutes", "expected"), [(20, "q1"), (20.1, None)])
def test_a_learning_card_comes_up_to_twenty_minutes_early(minutes, expected):
    assert shown({"q1": memory(Phase.Learning, minutes * MINUTE)}) == expected


def test_a_review_never_comes_early():
    assert shown({"q1": memory(Phase.Review, MINUTE)}) is None


def test_two_failed_cards_alternate():
    memories = {
        "q1": memory(Phase.Learning, MINUTE, last_review=NOW),
        "q2": memory(Phase.Learning, 9 * MINUTE, last_review=NOW - MINUTE),
    }
    assert shown(memories) == "q2"
    assert shown(memories, skipped={"q2"}) == "q1"


def test_a_skipped_card_is_neither_shown_nor_counted():
    memories = {"q1": memory(due_in=-DAY)}
    assert shown(memories, skipped={"q1"}) is None
    assert queue.counts(BANK, memories, NOW, new_limit=0, skipped={"q1"}).total == 0


def test_counts_say_what_is_left():
    memories = {
        "q1": memory(due_in=-DAY),
        "q2": memory(Phase.Learning, -MINUTE),
        "q3": memory(Phase.Relearning, 10 * MINUTE),
        "q1/recall/scale": memory(Phase.Learning, 30 * MINUTE),
    }
    assert queue.counts(BANK, memories, NOW, new_limit=1) == Counts(due=1, new=1, learning=2)


def test_introduced_counts_new_cards_of_today_and_no_missed_choice():
    memories = {
        "q1": review(None, Rating.Good, NOW),
        "q2": review(None, Rating.Good, NOW - DAY),
        "q1/choice/scale": review(None, Rating.Again, NOW),
    }
    assert introduced(BANK, memories, since=NOW - timedelta(hours=9)) == 1


def test_next_due_is_the_earliest():
    memories = {"q1": memory(due_in=3 * DAY), "q2": memory(due_in=DAY), "gone": memory(due_in=-DAY)}
    assert next_due(BANK, memories) == NOW + DAY


@pytest.mark.parametrize(
    ("say", "recall", "state", "progress"),
    [
        (None, None, "new", 0),
        (memory(Phase.Learning), None, "learning", 0),
        (memory(), None, "learning", 0.5),
        (memory(), memory(Phase.Relearning), "learning", 0.5),
        (memory(), memory(), "known", 1),
        (memory(), memory(due_in=-MINUTE), "due", 0.5),
        (memory(Phase.Learning, -MINUTE), None, "due", 0),
    ],
)
def test_the_state_and_progress_of_a_question(say, recall, state, progress):
    memories = {id: one for id, one in {"q1": say, "q1/recall/scale": recall}.items() if one}
    assert states(BANK, memories, NOW)["q1"] == state
    assert progress_by_question(BANK, memories, NOW)["q1"] == progress


def test_a_choice_counts_for_its_question_only_once_missed():
    known = {"q1": memory(), "q1/recall/scale": memory()}
    assert states(BANK, known, NOW)["q1"] == "known"
    missed = known | {"q1/choice/scale": memory(Phase.Learning)}
    assert states(BANK, missed, NOW)["q1"] == "learning"
    assert progress_by_question(BANK, missed, NOW)["q1"] == pytest.approx(2 / 3)


@given(st.lists(st.sampled_from(Rating), max_size=60))
def test_a_sitting_ends_and_counts_zero_exactly_when_no_card_is_shown(answers):
    memories, now = {}, NOW
    for answer in [*answers, *[Rating.Good] * 60]:
        left = queue.counts(BANK, memories, now, new_limit=6 - introduced(BANK, memories, NOW)).total
        card = next_card(BANK, memories, now, new_limit=6 - introduced(BANK, memories, NOW))
        assert (card is None) == (left == 0)
        if card is None:
            break
        memories[card.id] = review(memories.get(card.id), answer, now)
        now += MINUTE
    assert next_card(BANK, memories, now, new_limit=0) is None
    assert len(memories) == 6


def test_a_learned_question_turns_due_at_the_instant_its_card_does():
    learned = review(review(None, Rating.Good, NOW), Rating.Good, NOW + 10 * MINUTE)
    memories = {"q1": learned, "q1/recall/scale": replace(learned, due=learned.due + DAY)}
    assert states(BANK, memories, learned.due - MINUTE)["q1"] == "known"
    assert states(BANK, memories, learned.due)["q1"] == "due"
