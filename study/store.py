"""The learner's memory on disk. Reviews are appended, never edited; the memory of a card is their replay.

A method that writes has committed when it returns. A `token` names one act of the learner — make one per card shown,
for example `uuid4().hex` — so a double click or a re-sent request is one event. All methods may be called from any
thread, and several processes may use one database. Every method may raise a `StoreError`.
"""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, exists, insert, select, update
from sqlalchemy.orm import aliased

from study.database import connect, locate, read_only, reading, shown, writing
from study.errors import StoreLocked, StoreReadOnly, StoreUnreadable
from study.migrations import HEAD, revision, upgrade
from study.queue import choice_card
from study.schedule import Memory, Rating, as_utc, replay, review
from study.tables import PreferenceRow, QuizAnswerRow, ReviewRow

_Ratings = Select[int, str, str, int | None, datetime]  # id, token, card, rating, at


@dataclass(frozen=True, slots=True)
class Review:
    """One rating of one card that was not undone. `at` is UTC."""

    id: int
    token: str
    card: str
    rating: Rating
    at: datetime


@dataclass(frozen=True, slots=True)
class Undone:
    """The review that an undo took back; `id` is the event of the undo."""

    id: int
    review: Review


@dataclass(frozen=True, slots=True)
class QuizAnswer:
    """One answered multiple-choice item; `option` counts from 0 in the order of the question file."""

    id: int
    token: str
    question: str
    choice: str
    option: int
    right: bool
    at: datetime


def open_store(url: str | None = None, environ: Mapping[str, str] = os.environ) -> "Store":
    """The store at `url`, else VIVA_DATABASE_URL, else viva.db in VIVA_DATA_DIR or in the user's data folder.

    Makes or upgrades the tables first. A database that cannot be written is opened for reading when it can be.
    Raises StoreUnreadable, StoreLocked, StoreReadOnly, StoreFull or StoreTooNew.
    """
    address = locate(url, environ)
    place = shown(address)
    try:
        return Store(_prepared(connect(address), place), place)
    except (StoreUnreadable, StoreReadOnly):
        fallback = read_only(address)
        if fallback is None:
            raise
        engine = connect(fallback)
        with reading(engine, place) as connection:
            if revision(connection) != HEAD:
                raise
        return Store(engine, place)


class Store:
    """The learner's memory in one database; made by `open_store`. `path` says where, without a password."""

    def __init__(self, engine: Engine, path: str) -> None:
        self.path = path
        self._engine = engine
        self._lock = Lock()  # guards the two fields below
        self._memories: dict[str, Memory] = {}
        self._seen = 0  # id of the last event that `_memories` knows

    def close(self) -> None:
        """Give back all connections; the store must not be used afterwards."""
        self._engine.dispose()

    def rate(self, card: str, rating: Rating, now: datetime, token: str) -> int:
        """Append a review and return its id. The first event of a token counts, whatever is sent again with it.

        Raises ValueError for a naive `now`, an empty card or token, or a token of another card.
        """
        with self._writing() as connection:
            return _append_rating(connection, card, Rating(rating), as_utc(now), token)

    def undo(self, now: datetime, token: str, *, card: str | None = None, review: int | None = None) -> Undone | None:
        """Take back the latest review that still counts: of all, of `card`, or the one with the id `review`.

        None when there is none left, or when that review was taken back already. The review stays on record.
        """
        now = as_utc(now)
        with self._writing() as connection:
            event = _event(connection, token)
            if event is None:
                return _append_undo(connection, _latest(card, review), now, token)
            if event.kind != "undo":
                raise ValueError(f"token {token!r} belongs to a review")
            undone = connection.execute(_ratings().where(ReviewRow.id == event.undoes)).one()
            return Undone(event.id, _review(undone))

    def reviews(self, card: str | None = None) -> list[Review]:
        """The reviews that count, oldest first; of one card when given."""
        with self._reading() as connection:
            return _effective(connection, card)

    def memories(self) -> dict[str, Memory]:
        """The memory of every reviewed card, by card id; knows what any other process has committed."""
        with self._lock:
            with self._reading() as connection:
                self._catch_up(connection)
            return dict(self._memories)

    def answer_quiz(self, question: str, choice: str, option: int, right: bool, now: datetime, token: str) -> int:
        """Record an answer and return its id. A miss is also an `Again` of the choice's card: both or neither.

        Raises ValueError for a naive `now`, empty ids, a negative option or a token of another item.
        """
        values = {"token": token, "question": question, "choice": choice, "right": right, "at": as_utc(now)}
        _named(question=question, choice=choice, token=token)
        if option < 0:
            raise ValueError(f"option counts from 0, not {option}")
        with self._writing() as connection:
            known = connection.execute(_quiz_answers().where(QuizAnswerRow.token == token)).one_or_none()
            if known is not None:
                return _same(known.id, (known.question, known.choice), (question, choice), token)
            if not right:
                _append_rating(connection, choice_card(question, choice), Rating.Again, now, f"quiz:{token}")
            append = insert(QuizAnswerRow).values(**values, option=option).returning(QuizAnswerRow.id)
            return connection.execute(append).scalar_one()

    def quiz_answers(self) -> list[QuizAnswer]:
        """All answers, in the order they were given."""
        with self._reading() as connection:
            rows = connection.execute(_quiz_answers().order_by(QuizAnswerRow.id)).mappings()
            return [QuizAnswer(**row) for row in rows]

    def preference(self, key: str, default: Any = None) -> Any:
        """The setting `key`, or `default` when it was never set."""
        with self._reading() as connection:
            row = connection.execute(select(PreferenceRow.value).where(PreferenceRow.key == key)).one_or_none()
        return default if row is None else row.value

    def set_preference(self, key: str, value: Any) -> None:
        """Keep a setting; `value` is anything JSON can say."""
        with self._writing() as connection:
            changed = connection.execute(update(PreferenceRow).where(PreferenceRow.key == key).values(value=value))
            if not changed.rowcount:
                connection.execute(insert(PreferenceRow).values(key=key, value=value))

    def _reading(self) -> AbstractContextManager[Connection]:
        return reading(self._engine, self.path)

    def _writing(self) -> AbstractContextManager[Connection]:
        return writing(self._engine, self.path)

    def _catch_up(self, connection: Connection) -> None:
        """Replay the events after the last one seen; a card with an undo or an older review among them starts over."""
        columns = (ReviewRow.id, ReviewRow.card, ReviewRow.kind, ReviewRow.rating, ReviewRow.at)
        events = connection.execute(
            select(*columns).where(ReviewRow.id > self._seen).order_by(ReviewRow.at, ReviewRow.id)
        ).all()
        memories = dict(self._memories)
        over = {event.card for event in events if event.kind == "undo" or _is_older(event.at, memories.get(event.card))}
        for event in events:
            if event.card not in over:
                memories[event.card] = review(memories.get(event.card), Rating(event.rating), event.at)
        for card in over:
            memories.pop(card, None)
            if memory := replay((one.rating, one.at) for one in _effective(connection, card)):
                memories[card] = memory
        self._seen, self._memories = max((event.id for event in events), default=self._seen), memories


def _prepared(engine: Engine, place: str) -> Engine:
    """`engine` once its tables are those of this Viva."""
    try:
        if _revision(engine, place) != HEAD:
            _upgrade(engine, place)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _revision(engine: Engine, place: str) -> str | None:
    with reading(engine, place) as connection:
        return revision(connection)


def _upgrade(engine: Engine, place: str, patience: int = 6) -> None:
    """Bring the tables up to date; another process that is doing so right now is waited for, `patience` locks long."""
    try:
        with writing(engine, place) as connection:
            upgrade(connection, place)
    except StoreLocked:
        if patience == 0:
            raise
        if _revision(engine, place) != HEAD:
            _upgrade(engine, place, patience - 1)


def _ratings() -> _Ratings:
    """Every rating event, undone or not."""
    columns = (ReviewRow.id, ReviewRow.token, ReviewRow.card, ReviewRow.rating, ReviewRow.at)
    return select(*columns).where(ReviewRow.kind == "rating")


def _counting() -> _Ratings:
    """The rating events that were not undone."""
    undo = aliased(ReviewRow)
    return _ratings().where(~exists().where(undo.undoes == ReviewRow.id))


def _quiz_answers() -> Select[*tuple[Any, ...]]:
    return select(QuizAnswerRow.__table__)


def _effective(connection: Connection, card: str | None) -> list[Review]:
    query = _counting().order_by(ReviewRow.at, ReviewRow.id)
    if card is not None:
        query = query.where(ReviewRow.card == card)
    return [_review(row) for row in connection.execute(query)]


def _review(row: Any) -> Review:
    return Review(row.id, row.token, row.card, Rating(row.rating), row.at)


def _is_older(at: datetime, memory: Memory | None) -> bool:
    return memory is not None and at < memory.last_review


def _event(connection: Connection, token: str) -> Row[int, str, str, int | None] | None:
    """The event that already has this token."""
    _named(token=token)
    columns = (ReviewRow.id, ReviewRow.card, ReviewRow.kind, ReviewRow.undoes)
    return connection.execute(select(*columns).where(ReviewRow.token == token)).one_or_none()


def _append_rating(connection: Connection, card: str, rating: Rating, at: datetime, token: str) -> int:
    _named(card=card)
    event = _event(connection, token)
    if event is not None:
        return _same(event.id, (event.kind, event.card), ("rating", card), token)
    values = {"token": token, "card": card, "kind": "rating", "rating": int(rating), "at": at}
    return connection.execute(insert(ReviewRow).values(values).returning(ReviewRow.id)).scalar_one()


def _append_undo(connection: Connection, query: _Ratings, at: datetime, token: str) -> Undone | None:
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    values = {"token": token, "card": row.card, "kind": "undo", "undoes": row.id, "at": at}
    id = connection.execute(insert(ReviewRow).values(values).returning(ReviewRow.id)).scalar_one()
    return Undone(id, _review(row))


def _latest(card: str | None, review: int | None) -> _Ratings:
    """The newest review that counts, among those asked for; newest as recorded, whatever the clock said."""
    query = _counting().order_by(ReviewRow.id.desc()).limit(1)
    if card is not None:
        query = query.where(ReviewRow.card == card)
    if review is not None:
        query = query.where(ReviewRow.id == review)
    return query


def _same(id: int, recorded: tuple[str, ...], given: tuple[str, ...], token: str) -> int:
    """`id`, after making sure that the token was not taken from something else: that would lose an answer."""
    if recorded != given:
        raise ValueError(f"token {token!r} belongs to {' '.join(recorded)}, not to {' '.join(given)}")
    return id


def _named(**values: str) -> None:
    for name, value in values.items():
        if not value:
            raise ValueError(f"{name} must not be empty")
