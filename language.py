"""The two languages of Viva and the one type that carries a sentence in both.

`Text` is used by the YAML bank, by the demos and by the screens; it turns into a plain string
only where something is drawn. This module imports nothing of ours, so everything may import it.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)


@dataclass(frozen=True, slots=True)
class Text:
    """One sentence in English and in Chinese; both are written, neither is a translation of the other."""

    en: str
    zh: str

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    def in_(self, language: Language) -> str:
        """The sentence in `language`."""
        return self.zh if language == "zh" else self.en


def same(words: str) -> Text:
    """A text that reads the same in both languages: a formula, a number, a name."""
    return Text(words, words)


def resolved(value: Any, language: Language) -> Any:
    """`value` with every `Text` inside its dicts, lists and tuples replaced by its string."""
    if isinstance(value, Text):
        return value.in_(language)
    if isinstance(value, dict):
        return {key: resolved(item, language) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [resolved(item, language) for item in value]
    return value
