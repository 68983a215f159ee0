"""The schedule against py-fsrs itself, against the FSRS-6 formulas by hand, and over clocks."""

import math
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import fsrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.schedule import DESIRED_RETENTION, Memory, Phase, Rating, as_utc, preview, replay, retrievability, review

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
W = fsrs.Scheduler().parameters  # the 21 default weights of FSRS-6

ratings = st.sampled_from(Rating)
instants = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.timezones())
histories = st.lists(st.tuples(ratings, st.timedeltas(timedelta(0), 90 * DAY)), min_size=1, max_size=12)


def learned(rating: Rating = Rating.Easy, at: datetime = NOW) -> Memory:
    return review(None, rating, at)


def dated(history: list[tuple[Rating, timedelta]], start: datetime = NOW) -> list[tuple[Rating, datetime]]:
    moments, now = [], start
    for rating, pause in history:
        now += pause
        moments.append((rating, now))
    return moments


def remembered(history: list[tuple[Rating, timedelta]]) -> Memory:
    memory = replay(dated(history))
    assert memory is not None
    return memory


@given(histories)
def test_a_replay_is_what_py_fsrs_computes(history):
    scheduler = fsrs.Scheduler(desired_retention=0.85, enable_fuzzing=False)
    card = fsrs.Card(card_id=1, due=NOW)
    for rating, now in dated(history):
        card, _ = scheduler.review_card(card, fsrs.Rating(rating), now)
    memory = remembered(history)
    assert (memory.stability, memory.difficulty) == (card.stability, card.difficulty)
    assert (memory.due, memory.last_review, memory.step) == (card.due, card.last_review, card.step)
    assert memory.phase == card.state.name.lower()


@given(histories)
def test_replaying_in_two_parts_changes_nothing(history):
    moments = dated(history)
    half = len(moments) // 2
    assert replay(moments[half:], replay(moments[:half])) == replay(moments)


def test_no_reviews_are_no_memory():
    assert replay([]) is None


@pytest.mark.parametrize("rating", Rating)
def test_the_first_review_sets_stability_and_difficulty_by_the_formula(rating):
    memory = learned(rating)
    assert memory.stability == W[rating - 1]
    difficulty = W[4] - math.exp(W[5] * (rating - 1)) + 1
    assert memory.difficulty == pytest.approx(min(max(difficulty, 1), 10), rel=1e-12)


def test_a_good_review_after_ten_days_follows_the_formula_by_hand():
    before = learned()
    after = review(before, Rating.Good, NOW + 10 * DAY)
    f = 0.9 ** (-1 / W[20]) - 1
    recall = (1 + f * 10 / before.stability) ** -W[20]
    growth = math.exp(W[8]) * (11 - before.difficulty) * before.stability ** -W[9]
    growth *= math.exp((1 - recall) * W[10]) - 1
    assert after.stability == pytest.approx(before.stability * (1 + growth), rel=1e-12)
    days = round(after.stability / f * (DESIRED_RETENTION ** (-1 / W[20]) - 1))
    assert after.due - after.last_review == days * DAY


def test_a_lapse_after_ten_days_follows_the_formula_by_hand():
    before = learned()
    after = review(before, Rating.Again, NOW + 10 * DAY)
    recall = (1 + (0.9 ** (-1 / W[20]) - 1) * 10 / before.stability) ** -W[20]
    forgotten = W[11] * before.difficulty ** -W[12] * ((before.stability + 1) ** W[13] - 1)
    forgotten *= math.exp((1 - recall) * W[14])
    cap = before.stability / math.exp(W[17] * W[18])
    assert after.stability == pytest.approx(min(forgotten, cap), rel=1e-12)
    assert (after.phase, after.lapses, after.reps) == (Phase.Relearning, 1, 2)


def test_an_again_in_the_learning_steps_is_no_lapse():
    assert remembered([(Rating.Again, timedelta(0)), (Rating.Again, timedelta(minutes=1))]).lapses == 0


def test_the_first_buttons_give_the_steps_in_minutes_and_easy_gives_days():
    assert preview(None, NOW) == {
        Rating.Again: timedelta(minutes=1),
        Rating.Hard: timedelta(minutes=5.5),
        Rating.Good: timedelta(minutes=10),
        Rating.Easy: 16 * DAY,  # S = 8.2956 stretched from recall 0.9 to 0.85
    }


@given(histories, instants, ratings)
def test_a_button_shows_the_interval_it_then_gives(history, now, rating):
    memory = remembered(history)
    assert preview(memory, now)[rating] == review(memory, rating, now).due - as_utc(now)


@given(histories, instants)
def test_a_better_rating_never_comes_back_sooner(history, now):
    intervals = list(preview(remembered(history), now).values())
    assert intervals == sorted(intervals)


@given(histories)
def test_recall_is_nine_tenths_when_the_elapsed_time_equals_the_stability(history):
    memory = remembered(history)
    after = memory.last_review + timedelta(days=memory.stability)
    assert retrievability(memory, after) == pytest.approx(0.9, abs=1e-6)  # a timedelta is exact to a microsecond


def test_recall_falls_within_a_day():
    memory = learned(Rating.Again)
    recalls = [retrievability(memory, NOW + timedelta(hours=hours)) for hours in (0, 1, 6, 12, 23)]
    assert recalls[0] == 1
    assert recalls == sorted(recalls, reverse=True)
    assert recalls[-1] < 0.9 < recalls[1]


@pytest.mark.parametrize("days", [1, 5, 40])
def test_recall_after_whole_days_is_that_of_py_fsrs(days):
    card, _ = fsrs.Scheduler().review_card(fsrs.Card(card_id=1), fsrs.Rating.Easy, NOW)
    expected = fsrs.Scheduler().get_card_retrievability(card, NOW + days * DAY)
    assert retrievability(learned(), NOW + days * DAY) == pytest.approx(expected, rel=1e-12)


def test_a_card_comes_due_when_its_recall_has_fallen_to_the_desired_retention():
    memory = remembered([(Rating.Easy, timedelta(0)), (Rating.Good, 16 * DAY)])
    half_a_day = DAY / 2  # intervals are whole days
    assert retrievability(memory, memory.due - half_a_day) > DESIRED_RETENTION - 1e-9
    assert retrievability(memory, memory.due + half_a_day) < DESIRED_RETENTION + 1e-9


@given(instants, ratings)
def test_the_zone_of_the_clock_does_not_matter(now, rating):
    memory = review(None, rating, now)
    assert memory == review(None, rating, now.astimezone(UTC))
    assert memory.due.tzinfo is UTC
    assert memory.last_review == now.astimezone(UTC)


def test_the_hour_that_a_clock_repeats_in_autumn_is_two_hours():
    berlin = ZoneInfo("Europe/Berlin")
    first, second = (datetime(2026, 10, 25, 2, 30, tzinfo=berlin, fold=fold) for fold in (0, 1))
    assert review(None, Rating.Good, second).due - review(None, Rating.Good, first).due == timedelta(hours=1)


def test_a_clock_that_went_back_counts_as_no_time_passed():
    memory = learned()
    earlier = NOW - 3 * DAY
    assert retrievability(memory, earlier) == 1
    assert review(memory, Rating.Good, earlier).stability == review(memory, Rating.Good, NOW).stability


@pytest.mark.parametrize("call", [lambda now: review(None, Rating.Good, now), lambda now: preview(None, now), as_utc])
def test_a_naive_datetime_is_refused_and_named(call):
    with pytest.raises(ValueError, match=r"without a time zone.*2026"):
        call(NOW.replace(tzinfo=None))


def test_recall_at_a_naive_datetime_is_refused():
    with pytest.raises(ValueError, match="without a time zone"):
        retrievability(learned(), NOW.replace(tzinfo=None))


@pytest.mark.parametrize("rating", [0, 5, -1])
def test_an_unknown_rating_is_refused(rating):
    with pytest.raises(ValueError, match="not a valid Rating"):
        review(None, rating, NOW)


def test_as_utc_keeps_the_instant():
    kolkata = timezone(timedelta(hours=5, minutes=30))
    assert as_utc(datetime(2026, 1, 1, 5, 30, tzinfo=kolkata)) == datetime(2026, 1, 1, tzinfo=UTC)


def test_the_memory_given_is_not_changed():
    memory = learned()
    review(memory, Rating.Again, NOW + DAY)
    assert memory == learned()


def test_the_schedule_imports_neither_torch_nor_the_optimizer():
    code = "import sys, study.schedule; sys.exit(bool({'torch', 'fsrs.optimizer', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
