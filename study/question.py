"""What a question file contains: the schema of `questions/*.yaml` (DESIGN: strict, bilingual, stable ids).

The records are plain dataclasses, so that a start that reads the bank from its copy need not import pydantic, a tenth
of a second. `study.bank` has pydantic check the same annotations against YAML.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from language import Text

FOLDER = Path(__file__).resolve().parent.parent / "questions"


class Must:
    """What a value must satisfy, in the words of pydantic's core schema: `pattern`, `ge`, `min_length` and the like."""

    def __init__(self, **rules: Any) -> None:
        self.rules = rules

    def __get_pydantic_core_schema__(self, kind: Any, schema_of: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        return {**schema_of(kind), **self.rules}


Slug = Annotated[str, Must(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Name = Annotated[str, Must(pattern=r"^[a-z][a-z0-9_]*$")]
Level = Literal["core", "deep", "systems"]
Flag = Annotated[bool, Must(strict=True)]


class Part:
    """A strict piece of a question file: an unknown key is an error, never a silent loss."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}


@dataclass(frozen=True, kw_only=True)
class KeyPoint(Part):
    """One line of the rubric. `core` marks what a passing answer cannot miss; `evidence` names a claim."""

    id: Slug
    text: Text
    core: Flag = False
    evidence: Name | None = None


@dataclass(frozen=True, kw_only=True)
class Trap(Part):
    """Something people say in interviews that is wrong, and why."""

    id: Slug
    claim: Text
    why: Text


@dataclass(frozen=True, kw_only=True)
class FollowUp(Part):
    """What the interviewer asks next, with an answer."""

    id: Slug
    ask: Text
    answer: Text


@dataclass(frozen=True, kw_only=True)
class Option(Part):
    """One option of a multiple-choice item; it explains itself whether right or wrong."""

    text: Text
    why: Text
    right: Flag = False


@dataclass(frozen=True, kw_only=True)
class Choice(Part):
    """A multiple-choice item with exactly one right option."""

    id: Slug
    ask: Text
    options: Annotated[tuple[Option, ...], Must(min_length=2, max_length=6)]

    def __post_init__(self) -> None:
        if sum(option.right for option in self.options) != 1:
            raise ValueError("exactly one option must have right: true")


@dataclass(frozen=True, kw_only=True)
class Recall(Part):
    """A short flashcard."""

    id: Slug
    ask: Text
    answer: Text


@dataclass(frozen=True, kw_only=True)
class DemoPreset(Part):
    """A state of the demo worth looking at, named for the learner."""

    label: Text
    params: dict[Name, Any]


@dataclass(frozen=True, kw_only=True)
class DemoLink(Part):
    """The live demo that proves an answer, what to look for, and states to look at."""

    id: Name
    look_for: Text
    presets: tuple[DemoPreset, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Source(Part):
    """Where facts come from; supports key points, traps or follow-ups. No `locator` means it was not opened."""

    id: Slug
    authors: str
    title: str
    year: Annotated[int, Must(strict=True, ge=1900, le=2100)]
    url: Annotated[str, Must(pattern=r"^https://")]
    locator: str | None = None
    supports: Annotated[tuple[Slug, ...], Must(min_length=1)]


@dataclass(frozen=True, kw_only=True)
class Topic(Part):
    """A group of questions, in the order of `topics.yaml`."""

    id: Slug
    title: Text


@dataclass(frozen=True, kw_only=True)
class Question(Part):
    """One interview question with its model answer, every section of it."""

    id: Slug
    number: Annotated[int, Must(strict=True, ge=1, le=999)]
    topic: Slug
    level: Level
    title: Text
    prompt: Text
    short: Text
    key_points: Annotated[tuple[KeyPoint, ...], Must(min_length=6, max_length=10)]
    answer: Text
    traps: Annotated[tuple[Trap, ...], Must(min_length=1)]
    follow_ups: Annotated[tuple[FollowUp, ...], Must(min_length=3, max_length=4)]
    choices: Annotated[tuple[Choice, ...], Must(min_length=2)]
    recall: Annotated[tuple[Recall, ...], Must(min_length=3)]
    demos: Annotated[tuple[DemoLink, ...], Must(min_length=1)]
    sources: Annotated[tuple[Source, ...], Must(min_length=1)]


@dataclass(frozen=True)
class Problem:
    """A fault in a question file, with the place to mend it."""

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.field or 'file'}: {self.message}"


@dataclass(frozen=True)
class Bank:
    """All usable questions by number, the topics in order, and what is wrong with the rest."""

    questions: tuple[Question, ...]
    topics: tuple[Topic, ...]
    problems: tuple[Problem, ...] = ()

    def by_number(self, number: int) -> Question | None:
        """The question with this number, or None."""
        return self._numbers.get(number)

    @functools.cached_property
    def _numbers(self) -> dict[int, Question]:
        return {question.number: question for question in self.questions}
