"""The tables of the learner's memory. Reviews are only ever appended: an undo is a row too."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint, DateTime, Dialect, ForeignKey, MetaData, String, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from study.schedule import as_utc

# every constraint has a name, the same on each database, so that a later migration can find it
NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class UTCDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime on every database; SQLite alone would forget the zone. A naive one is an error."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy passes it
        """To the database: the instant in UTC."""
        return None if value is None else as_utc(value)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy passes it
        """From the database: SQLite gives it back naive, PostgreSQL in the zone of the connection."""
        if value is None or value.tzinfo is not None:
            return value and as_utc(value)
        return value.replace(tzinfo=UTC)


class Table(DeclarativeBase):
    """What every table shares: the naming of constraints."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UTCDateTime}


class ReviewRow(Table):
    """One event of a card: a rating, or the undoing of a rating. `token` makes a repeated request one event."""

    __tablename__ = "reviews"
    __table_args__ = (
        CheckConstraint(
            "(kind = 'rating' AND rating IS NOT NULL AND undoes IS NULL)"
            " OR (kind = 'undo' AND rating IS NULL AND undoes IS NOT NULL)",
            name="kind",
        ),
        CheckConstraint("rating BETWEEN 1 AND 4", name="rating"),
        CheckConstraint("card <> '' AND token <> ''", name="named"),
        {"sqlite_autoincrement": True},  # an id is never given twice, so "after the last one seen" means newer
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(String, unique=True)
    card: Mapped[str] = mapped_column(String, index=True)
    kind: Mapped[str] = mapped_column(String(6))
    rating: Mapped[int | None]
    at: Mapped[datetime]
    undoes: Mapped[int | None] = mapped_column(ForeignKey("reviews.id"), unique=True)


class QuizAnswerRow(Table):
    """One answered multiple-choice item; `option` counts from 0 in the order of the question file."""

    __tablename__ = "quiz_answers"
    __table_args__ = (
        CheckConstraint("option >= 0", name="option"),
        CheckConstraint("question <> '' AND choice <> '' AND token <> ''", name="named"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(String, unique=True)
    question: Mapped[str] = mapped_column(String, index=True)
    choice: Mapped[str]
    option: Mapped[int]
    right: Mapped[bool]
    at: Mapped[datetime]


class PreferenceRow(Table):
    """One setting of the learner: language, interview date, daily minutes."""

    __tablename__ = "preferences"

    key: Mapped[str] = mapped_column(String, primary_key=True)
    value: Mapped[Any] = mapped_column(JSON)
