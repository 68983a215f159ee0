"""Where in a source something stands is said in the learner's language."""

import re

import pytest

from components.answer import located
from study import bank

LOCATORS = sorted({source.locator for each in bank.load().questions for source in each.sources if source.locator})


def test_parts_are_translated_and_code_and_headings_are_not():
    assert located("abstract and §1, Tables 2 and 3", "zh") == "摘要 与 §1, 表 2 与 3"
    assert located('`note`, "Notes and tables", note', "zh") == '`note`, "Notes and tables", 说明'
    assert located("abstract and §1", "en") == "abstract and §1"


@pytest.mark.parametrize("locator", LOCATORS)
def test_no_english_word_is_left_in_the_chinese_view(locator):
    words = re.sub(r"`[^`]*`|\"[^\"]*\"", "", located(locator, "zh"))
    left = set(re.findall(r"(?<![\w.\-])[a-z]{2,}(?![\w.\-])", words)) - {"docstring", "bf16"}
    assert left == set(), words
