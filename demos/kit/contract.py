"""What a demo is: plain functions and one frozen record.

    params (knobs) → compute(params, lab) → result (tensors) → pictures + claims + prediction

`pictures` and `claims` are pure functions of the result; only `compute` touches the device.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Literal

from language import Text

Relation = Literal["=", "<", "<=", ">", ">="]


class Impossible(Exception):
    """A combination of knobs that cannot be computed; `reason` says why, and why that is instructive."""

    def __init__(self, reason: Text) -> None:
        super().__init__(reason.en)
        self.reason = reason


@dataclass(frozen=True)
class Claim:
    """A sentence with a number measured just now, and what theory says that number must be.

    `tolerance` is absolute and comes from somewhere (sampling error, dtype epsilon): `because` says from what.
    """

    id: str
    sentence: Text
    measured: float
    relation: Relation
    expected: float
    because: Text
    tolerance: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether the measured number agrees with theory. A NaN never does, unless NaN is what theory expects."""
        if math.isnan(self.measured) or math.isnan(self.expected):
            return self.relation == "=" and math.isnan(self.measured) and math.isnan(self.expected)
        if self.relation == "=":
            return self.measured == self.expected or abs(self.measured - self.expected) <= self.tolerance
        if self.relation in ("<", "<="):
            bound = self.expected + self.tolerance
            return self.measured < bound or (self.relation == "<=" and self.measured == bound)
        bound = self.expected - self.tolerance
        return self.measured > bound or (self.relation == ">=" and self.measured == bound)


@dataclass(frozen=True)
class Picture:
    """One figure with one idea. `title` says what to see, `alt` says it to who cannot see it; both are plain text.

    `figure` is a Plotly figure as a dict (`data`, `layout`) whose texts may be `Text`; see `charts`.
    """

    id: str
    title: Text
    alt: Text
    figure: dict[str, Any]


@dataclass(frozen=True)
class Prediction:
    """What the learner commits to before the reveal. `right` names the option from the live result."""

    ask: Text
    options: dict[str, Text]
    right: Callable[[Any], str]
    because: Text


@dataclass(frozen=True)
class Preset:
    """A state worth looking at."""

    label: Text
    params: Any


@dataclass(frozen=True)
class Demo:
    """A live demo. `params` is a frozen dataclass of knobs; see `knobs`.

    The page shows the code of the demo's own file; `shows` adds files of the kit that it shares with another demo.
    """

    title: Text
    summary: Text
    params: type[Any]
    compute: Callable[[Any, Any], Any]
    pictures: Callable[[Any], list[Picture]]
    claims: Callable[[Any], list[Claim]]
    prediction: Prediction
    presets: tuple[Preset, ...] = field(default=())
    shows: tuple[ModuleType, ...] = field(default=())
