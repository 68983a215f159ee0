"""The pages of the app by name, so that one screen can lead to another."""

from pathlib import Path

VIEWS = Path(__file__).resolve().parent.parent / "views"
QUESTIONS, QUESTION, REVIEW, QUIZ, LAB, SETTINGS = (
    VIEWS / f"{name}.py" for name in ("questions", "question", "review", "quiz", "lab", "settings")
)
