"""A tale written for Viva, in English and in Chinese, and the prompts that continue in it."""

from pathlib import Path

from language import Text, same

FOLDER = Path(__file__).parent
OPENINGS = {
    "dawn": {"en": "at dawn the ", "zh": "清晨，"},
    "owl": {"en": "the owl said, ", "zh": "猫头鹰说，"},
    "where": {"en": "where the ", "zh": "狐狸问"},
    "the": {"en": "the ", "zh": "狐狸"},
}
LANGUAGE_NAMES = {"en": Text("English", "英文"), "zh": Text("Chinese", "中文")}
OPENING_NAMES = {name: same(f"{words['en']}… / {words['zh']}…") for name, words in OPENINGS.items()}
END = {"en": ".", "zh": "。"}


def tale(language: str) -> str:
    """The whole tale, one sentence to a line, after a line break."""
    return "\n" + (FOLDER / f"river.{language}.txt").read_text(encoding="utf-8")


def prompt(language: str, opening: str) -> str:
    """The start of a line."""
    return "\n" + OPENINGS[opening][language]
