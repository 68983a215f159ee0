"""What one browser tab remembers: every name in `st.session_state` that Viva uses is here.

It is only a cache. What must survive the tab is in the learner's store.
"""

import dataclasses
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from language import LANGUAGES, Language, Text

LANGUAGE = "language"


@dataclass
class Sitting:
    """One run of reviewing: what was rated, skipped, and which card lies open."""

    card: str | None = None
    token: str = ""
    revealed: bool = False
    rated: list[int] = field(default_factory=list)  # review ids, latest last
    ratings: list[tuple[str, int]] = field(default_factory=list)  # (card, rating)
    skipped: set[str] = field(default_factory=set)
    first: list[str] = field(default_factory=list)  # cards to show before any other


@dataclass
class QuizRun:
    """One run of the quiz: the items drawn, where we are, and what was answered."""

    items: list[tuple[str, str]]  # (question id, choice id)
    orders: list[list[int]]  # the order in which each item shows its options
    tokens: list[str]
    answers: list[int] = field(default_factory=list)
    kept: list[bool] = field(default_factory=list)  # whether the store took each answer
    place: int = 0


def now() -> datetime:
    """The present moment; the only clock of the screens."""
    return datetime.now(UTC)


def new_token() -> str:
    """A name for one act of the learner, so that sending it twice counts once."""
    return secrets.token_hex(16)


def language() -> Language:
    """The language of this tab."""
    return st.session_state.get(LANGUAGE, "en")


def start_language(preferred: str | None, *, final: bool = True) -> None:
    """Choose the language once per tab: the link's `lang`, else the learner's setting, else the browser's.

    Until the choice is `final` it may be made again.
    """
    if flag("language chosen"):
        return
    raise_flag("language chosen", final)
    browser = (st.context.locale or "en")[:2]
    wanted = [st.query_params.get("lang"), preferred, browser]
    st.session_state[LANGUAGE] = next((name for name in wanted if name in LANGUAGES), "en")


def use_language(chosen: Language) -> None:
    """Use `chosen` in this tab from now on."""
    raise_flag("language chosen")
    st.session_state[LANGUAGE] = chosen


def say(text: Text) -> str:
    """`text` in the language of this tab."""
    return text.in_(language())


def naming(names: Mapping[Any, str]) -> Callable[[Any], str]:
    """How a widget shows its options: by their names, and an option that is gone by itself."""
    return lambda option: names.get(option, str(option))


def has_params(demo: str) -> bool:
    """Whether this tab has opened `demo` before."""
    return f"params {demo}" in st.session_state


def params(demo: str) -> Any:
    """The knobs of `demo` in this tab, as its `Params`."""
    return st.session_state[f"params {demo}"]


def keep_params(demo: str, value: Any) -> None:
    """Remember the knobs of `demo`."""
    st.session_state[f"params {demo}"] = value


def replace_params(demo: str, value: Any) -> None:
    """Set all knobs of `demo` at once; its controls must show them."""
    keep_params(demo, value)
    st.session_state[f"version {demo}"] = version(demo) + 1


def version(demo: str) -> int:
    """How often the knobs of `demo` were set by something other than their own controls."""
    return st.session_state.get(f"version {demo}", 0)


def turn(demo: str, knob: str, value: Any) -> None:
    """Set one knob of `demo`."""
    keep_params(demo, dataclasses.replace(params(demo), **{knob: value}))


def flag(name: str, default: bool = False) -> bool:
    """A yes/no of this tab, such as whether an answer was revealed."""
    return bool(st.session_state.get(f"flag {name}", default))


def raise_flag(name: str, value: bool = True) -> None:
    """Set a yes/no of this tab."""
    st.session_state[f"flag {name}"] = value


def stage(question: str) -> int:
    """How much of an answer is revealed: 0 nothing, 1 the short answer, 2 all."""
    return st.session_state.get(f"stage {question}", 0)


def keep_stage(question: str, value: int) -> None:
    """Reveal more, or less, of an answer."""
    st.session_state[f"stage {question}"] = value


def prediction(demo: str) -> str | None:
    """The option the learner committed to, or None."""
    return cast(str | None, st.session_state.get(f"prediction {demo}"))


def keep_prediction(demo: str, option: str | None) -> None:
    """Remember the committed option."""
    st.session_state[f"prediction {demo}"] = option


def sitting() -> Sitting:
    """The review sitting of this tab."""
    return st.session_state.setdefault("sitting", Sitting())


def new_sitting(first: Sequence[str] = ()) -> None:
    """Begin a new sitting, with the cards `first` before any other."""
    st.session_state["sitting"] = Sitting(first=list(first))


def quiz() -> QuizRun | None:
    """The quiz of this tab, if one runs."""
    return st.session_state.get("quiz")


def keep_quiz(run: QuizRun | None) -> None:
    """Start or leave a quiz."""
    st.session_state["quiz"] = run


def zone() -> tzinfo:
    """The learner's time zone, from the browser; UTC when it does not say."""
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return UTC
