"""What a question file contains: the schema of `questions/*.yaml` (DESIGN: strict, bilingual, stable ids)."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StringConstraints, model_validator

from language import Text

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Level = Literal["core", "deep", "systems"]


class Part(BaseModel):
    """A strict, immutable piece of a question file: an unknown key is an error, never a silent loss."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class KeyPoint(Part):
    """One line of the rubric. `core` marks what a passing answer cannot miss; `evidence` names a claim."""

    id: Slug
    text: Text
    core: StrictBool = False
    evidence: Name | None = None


class Trap(Part):
    """Something people say in interviews that is wrong, and why."""

    id: Slug
    claim: Text
    why: Text


class FollowUp(Part):
    """What the interviewer asks next, with an answer."""

    id: Slug
    ask: Text
    answer: Text


class Option(Part):
    """One option of a multiple-choice item; it explains itself whether right or wrong."""

    text: Text
    why: Text
    right: StrictBool = False


class Choice(Part):
    """A multiple-choice item with exactly one right option."""

    id: Slug
    ask: Text
    options: tuple[Option, ...] = Field(min_length=2, max_length=6)

    @model_validator(mode="after")
    def one_right_option(self) -> Self:
        if sum(option.right for option in self.options) != 1:
            raise ValueError("exactly one option must have right: true")
        return self


class Recall(Part):
    """A short flashcard."""

    id: Slug
    ask: Text
    answer: Text


class DemoPreset(Part):
    """A state of the demo worth looking at, named for the learner."""

    label: Text
    params: dict[Name, Any]


class DemoLink(Part):
    """The live demo that proves an answer, what to look for, and states to look at."""

    id: Name
    look_for: Text
    presets: tuple[DemoPreset, ...] = Field(default=())


class Source(Part):
    """Where facts come from; supports key points, traps or follow-ups. No `locator` means it was not opened."""

    id: Slug
    authors: str
    title: str
    year: StrictInt = Field(ge=1900, le=2100)
    url: str = Field(pattern=r"^https://")
    locator: str | None = None
    supports: tuple[Slug, ...] = Field(min_length=1)


class Topic(Part):
    """A group of questions, in the order of `topics.yaml`."""

    id: Slug
    title: Text


class Question(Part):
    """One interview question with its model answer, every section of it."""

    id: Slug
    number: StrictInt = Field(ge=1, le=999)
    topic: Slug
    level: Level
    title: Text
    prompt: Text
    short: Text
    key_points: tuple[KeyPoint, ...] = Field(min_length=6, max_length=10)
    answer: Text
    traps: tuple[Trap, ...] = Field(min_length=1)
    follow_ups: tuple[FollowUp, ...] = Field(min_length=3, max_length=4)
    choices: tuple[Choice, ...] = Field(min_length=2)
    recall: tuple[Recall, ...] = Field(min_length=3)
    demos: tuple[DemoLink, ...] = Field(min_length=1)
    sources: tuple[Source, ...] = Field(min_length=1)
