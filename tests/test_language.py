"""Text: one sentence in two languages, and every sentence of the code obeys the rules of the Chinese texts."""

import ast
import re
from collections.abc import Iterator

import pytest
from pydantic import BaseModel, ValidationError

from language import LANGUAGES, Text, resolved, same
from tests import chinese
from tests.test_architecture import FILES, ROOT, part, tree


def test_a_text_gives_the_sentence_of_each_language():
    text = Text("mask", "掩码")
    assert [text.in_(language) for language in LANGUAGES] == ["mask", "掩码"]


def test_a_text_that_is_the_same_in_both_languages():
    assert same("GPT-2") == Text("GPT-2", "GPT-2")


def test_texts_are_resolved_wherever_they_stand_and_nothing_else_changes():
    figure = {"layout": {"title": Text("Scores", "分数"), "width": 3}, "data": [(same("q"), None), "k"]}
    assert resolved(figure, "zh") == {"layout": {"title": "分数", "width": 3}, "data": [["q", None], "k"]}
    assert figure["layout"] == {"title": Text("Scores", "分数"), "width": 3}


class Line(BaseModel):
    text: Text


@pytest.mark.parametrize("given", [{"en": "a"}, {"en": "a", "zh": "b", "fr": "c"}, {"en": 1, "zh": "b"}, "a", None])
def test_yaml_must_give_both_languages_and_no_other(given):
    with pytest.raises(ValidationError):
        Line.model_validate({"text": given})


def sentences() -> Iterator[tuple[str, str, str]]:
    """Every `Text("…", "…")` in the code: its place and its two sentences."""
    for file in FILES:
        if part(file) == "tests":
            continue
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Text" and len(node.args) == 2:
                given = [ast.literal_eval(arg) for arg in node.args if isinstance(arg, ast.Constant)]
                if len(given) == 2:
                    yield f"{file.relative_to(ROOT)}:{node.lineno}", given[0], given[1]


SENTENCES = list(sentences())


def test_the_code_speaks_both_languages_everywhere():
    assert len(SENTENCES) > 100
    assert [place for place, en, zh in SENTENCES if not en.strip() or not zh.strip()] == []
    assert [f"{place}: {zh}" for place, _, zh in SENTENCES if chinese.is_left_in_english(zh)] == []
    assert [f"{place}: {en}" for place, en, _ in SENTENCES if chinese.HAN.search(en)] == []


def test_the_chinese_of_the_code_uses_the_glossary_and_its_punctuation():
    assert [f"{place}: {bad}" for place, _, zh in SENTENCES if (bad := chinese.refused_words(zh))] == []
    assert [f"{place}: {bad}" for place, _, zh in SENTENCES if (bad := chinese.half_width(zh))] == []


def test_both_sentences_have_the_same_blanks_to_fill():
    def blanks(words: str) -> list[str]:
        return sorted(set(re.findall(r"(?<![{\\_^a-z])\{([a-z]\w*)", words)))

    assert [place for place, en, zh in SENTENCES if blanks(en) != blanks(zh)] == []
