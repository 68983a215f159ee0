"""The bank as the screens use it: loaded once per process, read again when a file of it changes."""

from pathlib import Path

import streamlit as st

from study import bank_copy
from study.question import FOLDER, Bank
from study.queue import Card, cards


@st.cache_resource(max_entries=2, show_spinner=False)
def _loaded(fingerprint: tuple[tuple[str, int, int], ...], folder: Path) -> tuple[Bank, list[Card]]:  # noqa: ARG001
    loaded = bank_copy.load(folder)
    return loaded, cards(loaded.questions)


def questions() -> Bank:
    """The bank of this moment."""
    return _loaded(bank_copy.fingerprint(), FOLDER)[0]


def all_cards() -> list[Card]:
    """Every card of the bank."""
    return _loaded(bank_copy.fingerprint(), FOLDER)[1]
