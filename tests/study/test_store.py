"""The store on a real file: what it acknowledged stays, once, for every reader."""

import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from study.queue import choice_card
from study.schedule import Phase, Rating, replay, retrievability
from study.store import Review, Store, open_store

NOW = datetime(2026, 3, 1, 9, 30, 15, 123456, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def url(tmp_path) -> str:
    return f"sqlite:///{tmp_path / 'viva.db'}"


@pytest.fixture
def store(url):
    store = open_store(url)
    yield store
    store.close()


@pytest.fixture
def tab(store, url):  # noqa: ARG001 - the first one made the tables
    """A second store on the same file, as another process has it."""
    tab = open_store(url)
    yield tab
    tab.close()


def said(store: Store, card: str | None = None) -> list[tuple[str, Rating]]:
    return [(review.card, review.rating) for review in store.reviews(card)]


def test_a_rating_is_a_review_with_its_instant_to_the_microsecond(store):
    id = store.rate("q1", Rating.Good, NOW, "t1")
    assert store.reviews() == [Review(id, "t1", "q1", Rating.Good, NOW)]
    assert store.reviews()[0].at.tzinfo is UTC


def test_an_instant_given_in_another_zone_is_kept_as_the_same_instant(store):
    store.rate("q1", Rating.Good, NOW.astimezone(timezone(timedelta(hours=8))), "t1")
    assert store.reviews()[0].at == NOW


def test_the_same_token_is_one_review_and_the_first_rating_counts(store):
    first = store.rate("q1", Rating.Good, NOW, "t1")
    assert store.rate("q1", Rating.Good, NOW, "t1") == first
    assert store.rate("q1", Rating.Easy, NOW + MINUTE, "t1") == first
    assert said(store) == [("q1", Rating.Good)]


def test_a_token_of_another_card_is_refused_rather_than_lost(store):
    store.rate("q1", Rating.Good, NOW, "t1")
    with pytest.raises(ValueError, match="belongs to rating q1"):
        store.rate("q2", Rating.Good, NOW, "t1")
    with pytest.raises(ValueError, match="belongs to a review"):
        store.undo(NOW, "t1")


@pytest.mark.parametrize(
    ("card", "rating", "now", "token", "reason"),
    [
        ("", Rating.Good, NOW, "t", "card must not be empty"),
        ("q1", Rating.Good, NOW, "", "token must not be empty"),
        ("q1", 5, NOW, "t", "not a valid Rating"),
        ("q1", Rating.Good, NOW.replace(tzinfo=None), "t", "without a time zone"),
    ],
)
def test_a_broken_review_is_refused_and_nothing_is_written(store, card, rating, now, token, reason):
    with pytest.raises(ValueError, match=reason):
        store.rate(card, rating, now, token)
    assert store.reviews() == []


def test_undo_takes_back_the_latest_review_then_the_one_before(store):
    for n, card in enumerate(["q1", "q2", "q1"]):
        store.rate(card, Rating.Good, NOW + n * MINUTE, f"t{n}")
    undone = [store.undo(NOW + DAY, f"u{n}") for n in range(4)]
    assert [one and (one.review.token, one.review.card) for one in undone] == [
        ("t2", "q1"),
        ("t1", "q2"),
        ("t0", "q1"),
        None,
    ]
    assert store.reviews() == []
    assert store.memories() == {}


def test_undo_can_be_asked_for_one_card_or_one_review(store):
    first = store.rate("q1", Rating.Good, NOW, "t1")
    store.rate("q2", Rating.Good, NOW, "t2")
    store.rate("q3", Rating.Good, NOW, "t3")
    assert store.undo(NOW, "u1", card="q2").review.card == "q2"
    assert store.undo(NOW, "u2", review=first).review.id == first
    assert store.undo(NOW, "u3", review=first) is None
    assert said(store) == [("q3", Rating.Good)]


def test_the_same_undo_sent_twice_takes_back_one_review(store):
    store.rate("q1", Rating.Good, NOW, "t1")
    store.rate("q1", Rating.Easy, NOW, "t2")
    assert store.undo(NOW, "u") == store.undo(NOW, "u")
    assert said(store) == [("q1", Rating.Good)]


def test_rating_again_after_an_undo_counts(store):
    store.rate("q1", Rating.Again, NOW, "t1")
    store.undo(NOW, "u1")
    store.rate("q1", Rating.Easy, NOW, "t2")
    assert said(store) == [("q1", Rating.Easy)]
    assert store.memories()["q1"].phase is Phase.Review


def test_nothing_is_ever_deleted(store):
    store.rate("q1", Rating.Good, NOW, "t1")
    undone = store.undo(NOW, "u1")
    assert store.rate("q1", Rating.Good, NOW, "t2") == undone.id + 1 == 3


def test_two_tabs_rating_the_same_card_both_count_and_see_each_other(store, tab):
    store.rate("q1", Rating.Good, NOW, "t1")
    assert tab.memories()["q1"].reps == 1
    tab.rate("q1", Rating.Good, NOW + 10 * MINUTE, "t2")
    expected = replay([(Rating.Good, NOW), (Rating.Good, NOW + 10 * MINUTE)])
    assert store.memories() == tab.memories() == {"q1": expected}


def test_two_tabs_undoing_the_same_review_take_back_one(store, tab):
    store.rate("q1", Rating.Good, NOW, "t1")
    latest = store.rate("q2", Rating.Good, NOW, "t2")
    assert store.undo(NOW, "u1", review=latest).review.id == latest
    assert tab.undo(NOW, "u2", review=latest) is None
    assert said(tab) == [("q1", Rating.Good)]


def test_threads_of_two_tabs_sending_the_same_forty_tokens_write_forty_reviews(store, tab):
    def send(to: Store) -> None:
        for n in range(40):
            to.rate(f"q{n % 4}", Rating.Good, NOW + n * MINUTE, f"t{n}")

    threads = [threading.Thread(target=send, args=(to,)) for to in (store, tab, store, tab)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.reviews()) == 40
    assert store.memories() == tab.memories()
    assert sum(memory.reps for memory in tab.memories().values()) == 40


def test_memories_are_the_replay_of_the_reviews_after_any_mix_of_events(store, tab, url):
    for n in range(60):
        writer = (store, tab)[n % 2]
        writer.rate(f"q{n % 5}", Rating(n * 7 % 4 + 1), NOW + n * 9 * timedelta(hours=1), f"t{n}")
        if n % 4 == 3:
            writer.undo(NOW + n * DAY, f"u{n}", card=f"q{n % 5}" if n % 8 == 3 else None)
        store.memories()  # so that the cache grows by single events
    cards = {review.card for review in store.reviews()}
    expected = {card: replay((one.rating, one.at) for one in store.reviews(card)) for card in cards}
    afresh = open_store(url)
    assert store.memories() == tab.memories() == afresh.memories() == expected
    afresh.close()


def test_a_review_recorded_late_is_replayed_where_it_belongs(store):
    store.rate("q1", Rating.Easy, NOW + 5 * DAY, "t1")
    store.memories()
    store.rate("q1", Rating.Good, NOW, "t0")
    assert [review.token for review in store.reviews()] == ["t0", "t1"]
    assert store.memories()["q1"] == replay([(Rating.Good, NOW), (Rating.Easy, NOW + 5 * DAY)])


def test_the_caller_may_change_the_memories_it_was_given(store):
    store.rate("q1", Rating.Good, NOW, "t1")
    store.memories().clear()
    assert set(store.memories()) == {"q1"}


def test_a_missed_quiz_item_makes_its_card_due_and_a_right_one_does_not(store):
    store.answer_quiz("q1", "scale", 2, False, NOW, "a1")
    store.answer_quiz("q1", "shape", 0, True, NOW, "a2")
    assert said(store) == [(choice_card("q1", "scale"), Rating.Again)]
    assert [(one.choice, one.option, one.right, one.at) for one in store.quiz_answers()] == [
        ("scale", 2, False, NOW),
        ("shape", 0, True, NOW),
    ]


def test_the_same_quiz_answer_sent_twice_is_one_answer_and_one_review(store):
    assert store.answer_quiz("q1", "scale", 2, False, NOW, "a") == store.answer_quiz("q1", "scale", 1, True, NOW, "a")
    assert len(store.quiz_answers()) == len(store.reviews()) == 1
    with pytest.raises(ValueError, match="belongs to q1 scale"):
        store.answer_quiz("q2", "scale", 2, False, NOW, "a")


def test_a_miss_that_cannot_be_recorded_leaves_no_review(store):
    store.rate("q9", Rating.Good, NOW, "quiz:a")  # takes the token of the review, so the transaction fails
    with pytest.raises(ValueError, match="belongs to rating q9"):
        store.answer_quiz("q1", "scale", 0, False, NOW, "a")
    with pytest.raises(ValueError, match="counts from 0"):
        store.answer_quiz("q1", "scale", -1, False, NOW, "b")
    assert store.quiz_answers() == []
    assert said(store) == [("q9", Rating.Good)]


@pytest.mark.parametrize("value", ["2026-06-01", 25, 0.5, True, None, [1, 2], {"zh": "面试"}])
def test_a_preference_comes_back_as_it_was_set(store, tab, value):
    assert store.preference("key", "default") == "default"
    store.set_preference("key", "first")
    store.set_preference("key", value)
    assert tab.preference("key", "default") == value


def test_an_acknowledged_review_survives_kill_9(url):
    code = f"""
import time
from datetime import datetime, timezone
from study.schedule import Rating
from study.store import open_store
store = open_store({url!r})
for n in range(3):
    print(store.rate("q1", Rating.Good, datetime(2026, 3, 1, 9, n, tzinfo=timezone.utc), f"t{{n}}"), flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(3)]
        process.kill()
    assert process.returncode == -signal.SIGKILL
    store = open_store(url)
    assert [review.id for review in store.reviews()] == acknowledged == [1, 2, 3]
    store.close()


def test_sqlite_writes_through_to_the_disk_and_keeps_references(store):
    with store._engine.connect() as connection:
        pragmas = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in PRAGMAS}
    assert pragmas == PRAGMAS


PRAGMAS = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}


def test_ten_thousand_reviews_are_replayed_once_and_then_only_the_new_ones(store, tab):
    from sqlalchemy import insert

    from study.tables import ReviewRow

    with store._engine.begin() as connection:
        events = [
            {"token": f"t{n}", "card": f"q{n % 200}", "kind": "rating", "rating": 3, "at": NOW + n * MINUTE}
            for n in range(10_000)
        ]
        connection.execute(insert(ReviewRow), events)
    memories = store.memories()
    tab.rate("q0", Rating.Again, NOW + 10_000 * MINUTE, "last")
    later = store.memories()
    assert sum(memory.reps for memory in memories.values()) == 10_000
    assert [card for card in later if later[card] is not memories[card]] == ["q0"]  # the others were not replayed
    assert retrievability(later["q0"], NOW + 10_000 * MINUTE) == 1
