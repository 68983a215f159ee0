"""The pages of the app by name, so that one screen can lead to another, and the addresses the server adds."""

import functools
from pathlib import Path

import streamlit as st

VIEWS = Path(__file__).resolve().parent.parent / "views"
QUESTIONS, QUESTION, REVIEW, QUIZ, LAB, SETTINGS = (
    VIEWS / f"{name}.py" for name in ("questions", "question", "review", "quiz", "lab", "settings")
)


def served(path: str) -> str:
    """The address of `path` on this server, behind the base path if there is one."""
    return _base() + path


@functools.cache
def _base() -> str:
    """The base path, asked for once: every question to Streamlit's options takes a fifth of a millisecond."""
    base = st.get_option("server.baseUrlPath").strip("/")
    return "/" + base if base else ""
