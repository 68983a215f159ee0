"""The learner's store as the screens use it: one per process, and plain words when it cannot be used."""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import streamlit as st

from components import session
from language import Text
from study.errors import StoreError
from study.schedule import Memory

if TYPE_CHECKING:
    from study.store import Store  # brings SQLAlchemy, a third of a second that the first page does not wait for

Output = TypeVar("Output")
MOST_NEW_CARDS = 50  # a day
RETRY_AFTER = 5.0  # seconds before a store that failed to open is tried again
LOST = Text(
    "Questions and demos work; reviews cannot be kept until this is mended.",
    "题目和演示照常可用；修复之前无法保存复习记录。",
)


@st.cache_resource(show_spinner=False)
def _failure() -> dict[str, tuple[float, StoreError]]:
    """The last failure to open, so that a locked file does not slow down every page."""
    return {}


@st.cache_resource(show_spinner=False, on_release=lambda store: store.close())
def _store() -> "Store":
    from study.store import open_store

    return open_store()


def is_ready() -> bool:
    """Whether the store answers at once. Shortly after a start it does not, and whoever asks must wait."""
    return hasattr(sys.modules.get("study.store"), "Store")


def store() -> "Store":
    """The learner's store. Raises `StoreError`."""
    failure = _failure()
    if "open" in failure and time.monotonic() - failure["open"][0] < RETRY_AFTER:
        raise failure["open"][1]
    try:
        return _store()
    except StoreError as error:
        failure["open"] = (time.monotonic(), error)
        raise


def attempt(act: Callable[["Store"], Output], otherwise: Output) -> Output:
    """Do something with the store; when it cannot be used, remember why for `show_fault` and give `otherwise`."""
    try:
        return act(store())
    except StoreError as error:
        st.session_state["store fault"] = error
        return otherwise


def show_fault() -> None:
    """Tell the learner about a store that failed since the last look, with the path and the remedy."""
    error = st.session_state.pop("store fault", None)
    if error is not None:
        say = session.say
        st.error(f"**{say(error.message)}** {say(error.remedy)}\n\n{say(LOST)}", icon=":material/warning:")


def memories() -> dict[str, Memory]:
    """What the learner remembers, by card id; empty when the store cannot be used."""
    return attempt(lambda opened: opened.memories(), {})


def preference(key: str, default: Output) -> Output:
    """A setting of the learner; `default` when unset, of another type, or when the store cannot be used."""
    cache = st.session_state.setdefault("preferences", {})
    if key not in cache:
        value = attempt(lambda opened: opened.preference(key, default), default)
        cache[key] = value if isinstance(value, type(default)) else default
    return cache[key]


def new_cards_a_day() -> int:
    """The learner's setting, kept within what Settings offers."""
    return min(max(preference("new_cards", 10), 0), MOST_NEW_CARDS)


def keep_preference(key: str, value: object) -> None:
    """Keep a setting; without a store it lasts for this tab."""
    st.session_state.setdefault("preferences", {})[key] = value
    attempt(lambda opened: opened.set_preference(key, value), None)
