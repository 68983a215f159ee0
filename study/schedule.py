"""When a card comes back: FSRS-6 as plain values, and recall at any instant.

The only importer of `fsrs`. A memory goes in, a memory comes out, nothing is mutated; time is an argument.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum

import fsrs

DESIRED_RETENTION = 0.85  # a card comes due when its recall has fallen to this

# fuzz draws from the process-wide `random`, so the same reviews would give another schedule at each replay
_SCHEDULER = fsrs.Scheduler(desired_retention=DESIRED_RETENTION, enable_fuzzing=False)
_DECAY = _SCHEDULER.parameters[20]  # w20
_FACTOR = 0.9 ** (-1 / _DECAY) - 1  # makes recall 0.9 when the elapsed time equals the stability
_DAY = timedelta(days=1)


class Rating(IntEnum):
    """How well a card was recalled; `Again` means it was not."""

    Again = 1
    Hard = 2
    Good = 3
    Easy = 4


class Phase(StrEnum):
    """Where a card is: in its first steps of minutes, on intervals of days, or in steps again after a lapse."""

    Learning = "learning"
    Review = "review"
    Relearning = "relearning"


@dataclass(frozen=True, slots=True)
class Memory:
    """What the reviews of one card say about it. Instants are UTC, `stability` is in days."""

    stability: float
    difficulty: float
    due: datetime
    first_review: datetime
    last_review: datetime
    phase: Phase
    step: int | None  # index of the (re)learning step; None in the review phase
    reps: int  # reviews so far
    lapses: int  # times `Again` was the answer in the review phase

    def is_due(self, now: datetime) -> bool:
        """Whether the card should be asked at `now` or earlier."""
        return self.due <= now


def as_utc(moment: datetime) -> datetime:
    """The same instant in UTC. Raises ValueError for a naive datetime, which names no instant."""
    if moment.utcoffset() is None:
        raise ValueError(f"a datetime without a time zone names no instant: {moment!r}; pass an aware one")
    return moment.astimezone(UTC)


def review(memory: Memory | None, rating: Rating, now: datetime) -> Memory:
    """The memory after one review; `memory` is None at the first.

    A clock that went back counts as no time passed. Raises ValueError for a naive `now` or an unknown rating.
    """
    now, rating = as_utc(now), Rating(rating)
    card, _ = _SCHEDULER.review_card(_fsrs_card(memory, now), fsrs.Rating(rating), now)
    if card.stability is None or card.difficulty is None:
        raise AssertionError("fsrs gives every reviewed card a stability and a difficulty")
    lapsed = memory is not None and memory.phase is Phase.Review and rating is Rating.Again
    return Memory(
        stability=card.stability,
        difficulty=card.difficulty,
        due=card.due,
        first_review=memory.first_review if memory else now,
        last_review=now,
        phase=_PHASES[card.state],
        step=card.step,
        reps=(memory.reps if memory else 0) + 1,
        lapses=(memory.lapses if memory else 0) + lapsed,
    )


def replay(ratings: Iterable[tuple[Rating, datetime]], memory: Memory | None = None) -> Memory | None:
    """The memory after `ratings`, oldest first, starting from `memory`; None when there were none at all."""
    for rating, at in ratings:
        memory = review(memory, rating, at)
    return memory


def preview(memory: Memory | None, now: datetime) -> dict[Rating, timedelta]:
    """How long until the card comes back, for each of the four buttons."""
    now = as_utc(now)
    return {rating: review(memory, rating, now).due - now for rating in Rating}


def retrievability(memory: Memory, now: datetime) -> float:
    """The probability of recall at `now`: (1 + f·t/S)^(-w20), t in days and not floored (FSRS-6)."""
    elapsed = max(0.0, (as_utc(now) - memory.last_review) / _DAY)
    return (1 + _FACTOR * elapsed / memory.stability) ** -_DECAY


_STATES = {
    Phase.Learning: fsrs.State.Learning,
    Phase.Review: fsrs.State.Review,
    Phase.Relearning: fsrs.State.Relearning,
}
_PHASES = {state: phase for phase, state in _STATES.items()}


def _fsrs_card(memory: Memory | None, now: datetime) -> fsrs.Card:
    """The card as fsrs wants it; with an explicit id, because choosing one sleeps for a millisecond."""
    if memory is None:
        return fsrs.Card(card_id=0, due=now)
    return fsrs.Card(
        card_id=0,
        state=_STATES[memory.phase],
        step=memory.step,
        stability=memory.stability,
        difficulty=memory.difficulty,
        due=memory.due,
        last_review=memory.last_review,
    )
