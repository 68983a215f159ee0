"""Knobs: what a learner may turn, declared as annotations on the fields of a demo's `Params`.

    key_width: Annotated[int, Spaced((1, 2, 4, 8), label=Text("Key width", "键维度"))] = 4

One reader serves the controls, the URL and the tests. A value from a URL is never trusted: it is
clamped into range, or replaced by the default, and the learner is told.
"""

import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from language import Text

P = TypeVar("P")


class BadValue(ValueError):
    """A raw value that no clamping can save, such as a word where a number is needed."""


@dataclass(frozen=True, kw_only=True)
class Knob:
    """What every kind of knob has. `when=("scale", ("custom",))` shows it only for those values of another knob."""

    label: Text
    help: Text | None = None
    when: tuple[str, tuple[Any, ...]] | None = None

    def parse(self, raw: str) -> Any:
        """The nearest allowed value to `raw`. Raises `BadValue` when there is none."""
        raise NotImplementedError

    def edges(self) -> tuple[Any, ...]:
        """The values at the ends of what is allowed; for few options, all of them."""
        raise NotImplementedError

    def allows(self, value: Any) -> bool:
        """Whether `value` is one the control can show."""
        return value in self.edges()


@dataclass(frozen=True)
class Range(Knob):
    """Evenly spaced numbers from `low` to `high`, both included."""

    low: float
    high: float
    step: float = 1
    unit: str = ""

    @property
    def values(self) -> tuple[float, ...]:
        """Every one of them."""
        count = round((self.high - self.low) / self.step) + 1
        return tuple(_on_step(self.low + place * self.step, self.low, self.high, self.step) for place in range(count))

    def text(self, value: float) -> str:
        """How `value` is shown, with its unit."""
        return _shown(f"{value:.0f}" if float(self.step).is_integer() else f"{value:.2f}", self.unit)

    def parse(self, raw: str) -> Any:
        return _on_step(_finite(raw), self.low, self.high, self.step)

    def edges(self) -> tuple[Any, ...]:
        return (self.low, self.high)

    def allows(self, value: Any) -> bool:
        return _is_on_step(value, self.low, self.high, self.step)


@dataclass(frozen=True)
class Spaced(Knob):
    """A slider over listed numbers, for scales that are not even (powers of two, decades)."""

    values: tuple[float, ...]
    unit: str = ""

    def text(self, value: float) -> str:
        """How `value` is shown, with its unit."""
        return _shown(f"{value:.15g}".replace("e-0", "e-"), self.unit)

    def parse(self, raw: str) -> Any:
        number = min(max(_finite(raw), self.values[0]), self.values[-1])
        return min(self.values, key=lambda value: abs(value - number))

    def edges(self) -> tuple[Any, ...]:
        return (self.values[0], self.values[-1])

    def allows(self, value: Any) -> bool:
        return value in self.values


@dataclass(frozen=True)
class Choice(Knob):
    """One of a few named options."""

    options: Mapping[str, Text]

    def parse(self, raw: str) -> Any:
        if raw not in self.options:
            raise BadValue(f"{raw!r} is not one of {', '.join(self.options)}")
        return raw

    def edges(self) -> tuple[Any, ...]:
        return tuple(self.options)


@dataclass(frozen=True)
class Switch(Knob):
    """On or off."""

    def parse(self, raw: str) -> Any:
        words = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}
        if raw.lower() not in words:
            raise BadValue(f"{raw!r} is neither true nor false")
        return words[raw.lower()]

    def edges(self) -> tuple[Any, ...]:
        return (False, True)


@dataclass(frozen=True)
class Words(Knob):
    """The learner's own text, at most `longest` characters."""

    longest: int
    samples: tuple[str, ...]

    def parse(self, raw: str) -> Any:
        return raw[: self.longest]

    def edges(self) -> tuple[Any, ...]:
        return ("", *self.samples, "a" * self.longest)

    def allows(self, value: Any) -> bool:
        return len(value) <= self.longest


@dataclass(frozen=True)
class Table(Knob):
    """A small matrix of numbers from `low` to `high`: a tuple of rows, written `1,0;0.5,-1` in a URL."""

    rows: int
    columns: int
    low: float
    high: float
    step: float = 0.01

    def cell(self, raw: str) -> float:
        """The nearest allowed number to `raw`. Raises `BadValue` when it is no finite number."""
        return _on_step(_finite(raw), self.low, self.high, self.step) + 0.0  # no −0.0

    def parse(self, raw: str) -> Any:
        """What stands outside the shape is cut off, what is missing in it is 0."""
        given = [row.split(",")[: self.columns] for row in raw.split(";")[: self.rows]]
        given += [[]] * (self.rows - len(given))
        return tuple(tuple(map(self.cell, row + ["0"] * (self.columns - len(row)))) for row in given)

    def edges(self) -> tuple[Any, ...]:
        return tuple(((float(end),) * self.columns,) * self.rows for end in (self.low, self.high))

    def allows(self, value: Any) -> bool:
        shape = isinstance(value, tuple) and [len(row) for row in value] == [self.columns] * self.rows
        return shape and all(_is_on_step(cell, self.low, self.high, self.step) for row in value for cell in row)


@dataclass(frozen=True)
class Notice:
    """A value that could not be used as given: which knob, what came, what is used instead."""

    knob: Text
    given: str
    used: Any


def powers_of_two(low: int, high: int) -> tuple[int, ...]:
    """1, 2, 4, … within [low, high]."""
    return tuple(2**power for power in range(31) if low <= 2**power <= high)


@functools.cache
def knobs_of(params: type) -> dict[str, Knob]:
    """The knobs of a `Params` dataclass by field name. Raises `TypeError` for a field without one."""
    hints = get_type_hints(params, include_extras=True)
    found: dict[str, Knob] = {}
    for field in dataclasses.fields(params):
        hint = hints[field.name]
        marks = [mark for mark in get_args(hint) if isinstance(mark, Knob)] if get_origin(hint) is Annotated else []
        if len(marks) != 1 or field.default is dataclasses.MISSING:
            raise TypeError(f"{params.__module__}.{params.__name__}.{field.name} needs one knob and a default")
        found[field.name] = marks[0]
    return found


def is_shown(knob: Knob, values: Mapping[str, Any]) -> bool:
    """Whether `knob` matters given the other `values`."""
    return knob.when is None or values[knob.when[0]] in knob.when[1]


def read(params: type[P], raw: Mapping[str, str]) -> tuple[P, list[Notice]]:
    """`Params` from untrusted strings by field name; unknown names are left alone, bad values become notices."""
    values: dict[str, Any] = {}
    notices: list[Notice] = []
    for name, knob in knobs_of(params).items():
        default = getattr(params, name)
        if name not in raw:
            continue
        try:
            values[name] = type(default)(knob.parse(raw[name]))
        except BadValue:
            values[name] = default
        if not _says(raw[name], values[name]):
            notices.append(Notice(knob.label, raw[name], values[name]))
    return params(**values), notices


def as_query(value: Any) -> str:
    """How a knob's value is written in a URL; `read` reads it back."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ";".join(",".join(map(as_query, row)) for row in value)
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def edge_states(params: type[P]) -> Iterator[P]:
    """The defaults, then every edge of every knob with the others at their defaults (shown where `when` asks)."""
    yield params()
    for name, knob in knobs_of(params).items():
        context = {knob.when[0]: knob.when[1][0]} if knob.when else {}
        for value in knob.edges():
            typed = type(getattr(params, name))(value)
            yield params(**{**context, name: typed})


def _shown(number: str, unit: str) -> str:
    return f"{number} {unit}".strip().replace("-", "−")


def _finite(raw: str) -> float:
    try:
        number = float(raw)
    except ValueError as error:
        raise BadValue(f"{raw!r} is not a number") from error
    if not math.isfinite(number):
        raise BadValue(f"{raw!r} is not a finite number")
    return number


def _on_step(number: float, low: float, high: float, step: float) -> float:
    """The nearest of low, low + step, …, high."""
    inside = min(max(number, low), high)
    return round(min(low + round((inside - low) / step) * step, high), 9)


def _is_on_step(value: float, low: float, high: float, step: float) -> bool:
    steps = (value - low) / step
    return low <= value <= high and math.isclose(steps, round(steps), abs_tol=1e-6)


def _says(raw: str, value: Any) -> bool:
    """Whether `raw` is `value`, however it is spelled: a number is compared as a number, a table cell by cell."""
    if isinstance(value, tuple):
        rows = [row.split(",") for row in raw.split(";")]
        same_shape = [len(row) for row in rows] == [len(row) for row in value]
        return same_shape and all(map(_says, chain(*rows), chain(*value)))
    if isinstance(value, bool):
        return raw.lower() in (("true", "1", "on") if value else ("false", "0", "off"))
    try:
        return raw == str(value) or (not isinstance(value, str) and math.isclose(float(raw), value))
    except ValueError:
        return False
