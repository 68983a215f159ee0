"""Which card comes next. Pure functions of the bank, the memories and the time."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from language import Text
from study.question import Choice, Level, Question
from study.schedule import Memory, Phase, as_utc, retrievability

LEARN_AHEAD = timedelta(minutes=20)  # a learning card may come this early when nothing else is left

CardKind = Literal["say", "recall", "choice"]
QuestionState = Literal["new", "learning", "known", "due"]


@dataclass(frozen=True, slots=True)
class Card:
    """One thing to recall. `id` is stable: reviews point at it."""

    id: str
    question: str
    number: int
    topic: str
    level: Level
    kind: CardKind
    front: Text
    back: Text
    hint: Text | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """What is left of a sitting: reviews that are due, new cards, cards in their (re)learning steps."""

    due: int
    new: int
    learning: int

    @property
    def total(self) -> int:
        """All cards that are left."""
        return self.due + self.new + self.learning


def recall_card(question: str, recall: str) -> str:
    """The card id of a recall item; recall items and choices may share an id, cards may not."""
    return f"{question}/recall/{recall}"


def choice_card(question: str, choice: str) -> str:
    """The card id of a multiple-choice item."""
    return f"{question}/choice/{choice}"


def cards(questions: Sequence[Question]) -> list[Card]:
    """All cards of the bank in question order: one to say, then its recall items, then its choices.

    A choice card is asked only once it has a memory, that is after its item was missed in a quiz.
    """
    return [card for question in sorted(questions, key=lambda q: q.number) for card in _cards_of(question)]


def due(cards: Iterable[Card], memories: Mapping[str, Memory], now: datetime) -> list[Card]:
    """The cards due at `now`: (re)learning by due time first, then reviews, least likely recalled first.

    Memories of cards that have left the bank are ignored.
    """
    now = as_utc(now)
    waiting = [card for card in cards if card.id in memories and memories[card.id].is_due(now)]

    def urgency(card: Card) -> tuple[bool, float]:
        memory = memories[card.id]
        if memory.phase is Phase.Review:
            return True, retrievability(memory, now)
        return False, memory.due.timestamp()

    return sorted(waiting, key=urgency)


def new(cards: Iterable[Card], memories: Mapping[str, Memory], limit: int) -> list[Card]:
    """Up to `limit` cards never reviewed: core questions first, each part in question order. Choices never."""
    unseen = [card for card in cards if card.id not in memories and card.kind != "choice"]
    return sorted(unseen, key=lambda card: (card.level != "core", card.number))[: max(0, limit)]


def introduced(cards: Iterable[Card], memories: Mapping[str, Memory], since: datetime) -> int:
    """How many cards were new and first reviewed at `since` or later; a missed choice is no new card."""
    since = as_utc(since)
    seen = (memories[card.id] for card in cards if card.kind != "choice" and card.id in memories)
    return sum(memory.first_review >= since for memory in seen)


def next_card(
    cards: Sequence[Card],
    memories: Mapping[str, Memory],
    now: datetime,
    *,
    new_limit: int,
    skipped: AbstractSet[str] = frozenset(),
) -> Card | None:
    """The card to show now: a due one, else a new one, else a learning one due within 20 minutes; None when done.

    `new_limit` is how many new cards may still be introduced; `skipped` holds the card ids put aside in this sitting.
    """
    left = [card for card in cards if card.id not in skipped]
    for waiting in (due(left, memories, now), new(left, memories, min(new_limit, 1)), _ahead(left, memories, now)):
        if waiting:
            return waiting[0]
    return None


def counts(
    cards: Sequence[Card],
    memories: Mapping[str, Memory],
    now: datetime,
    *,
    new_limit: int,
    skipped: AbstractSet[str] = frozenset(),
) -> Counts:
    """What `next_card` will still show if every answer is right; learning includes the next 20 minutes."""
    left = [card for card in cards if card.id not in skipped]
    waiting = due(left, memories, now)
    reviews = sum(memories[card.id].phase is Phase.Review for card in waiting)
    learning = len(waiting) - reviews + len(_ahead(left, memories, now))
    return Counts(due=reviews, new=len(new(left, memories, new_limit)), learning=learning)


def next_due(cards: Iterable[Card], memories: Mapping[str, Memory]) -> datetime | None:
    """When the first card of the bank comes due; in the past when one already is, None when none was reviewed."""
    return min((memories[card.id].due for card in cards if card.id in memories), default=None)


def states_by_question(
    cards: Iterable[Card], memories: Mapping[str, Memory], now: datetime
) -> dict[str, QuestionState]:
    """Per question id: `new` (nothing reviewed), `due` (a card is due), `known` (every card is in the review
    phase and none is due), else `learning`.
    """
    return {question: _state(group, now) for question, group in _memories_by_question(cards, memories).items()}


def progress_by_question(cards: Iterable[Card], memories: Mapping[str, Memory], now: datetime) -> dict[str, float]:
    """Per question id: the fraction of its cards that are in the review phase and not due."""
    groups = _memories_by_question(cards, memories)
    return {
        question: sum(_is_known(memory, now) for memory in group) / len(group) for question, group in groups.items()
    }


def _cards_of(question: Question) -> list[Card]:
    def card(id: str, kind: CardKind, front: Text, back: Text) -> Card:
        return Card(id, question.id, question.number, question.topic, question.level, kind, front, back)

    return [
        card(question.id, "say", question.prompt, question.short),
        *(card(recall_card(question.id, r.id), "recall", r.ask, r.answer) for r in question.recall),
        *(card(choice_card(question.id, c.id), "choice", c.ask, _right_answer(c)) for c in question.choices),
    ]


def _right_answer(choice: Choice) -> Text:
    right = next(option for option in choice.options if option.right)
    return Text(f"{right.text.en}\n\n{right.why.en}", f"{right.text.zh}\n\n{right.why.zh}")


def _ahead(cards: Iterable[Card], memories: Mapping[str, Memory], now: datetime) -> list[Card]:
    """Learning cards due in the next 20 minutes, soonest first; the one just answered last, so that two alternate."""
    now = as_utc(now)
    soon = [
        card
        for card in cards
        if (memory := memories.get(card.id))
        and memory.phase is not Phase.Review
        and now < memory.due <= now + LEARN_AHEAD
    ]
    latest = max((memories[card.id].last_review for card in soon), default=None)
    return sorted(soon, key=lambda card: (memories[card.id].last_review == latest, memories[card.id].due))


def _memories_by_question(cards: Iterable[Card], memories: Mapping[str, Memory]) -> dict[str, list[Memory | None]]:
    """The memories of each question's cards, None where there is none; unmissed choices do not count."""
    groups: dict[str, list[Memory | None]] = {}
    for card in cards:
        if card.kind != "choice" or card.id in memories:
            groups.setdefault(card.question, []).append(memories.get(card.id))
    return groups


def _is_known(memory: Memory | None, now: datetime) -> bool:
    return memory is not None and memory.phase is Phase.Review and not memory.is_due(now)


def _state(group: Sequence[Memory | None], now: datetime) -> QuestionState:
    seen = [memory for memory in group if memory]
    if not seen:
        return "new"
    if any(memory.is_due(now) for memory in seen):
        return "due"
    return "known" if all(_is_known(memory, now) for memory in group) else "learning"
