"""Links of the bank into the demos: an unknown demo, preset or evidence is told with its place."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from questions.__main__ import Demos
from study import bank
from tests.study.question_file import QUESTION as WHOLE
from tests.study.question_file import TOPICS

QUESTION = WHOLE.replace("demos:\n  - {id: demo, look_for: {en: Look, zh: 看}}\n", "")
DEMO = """demos:
  - id: softmax_scaling
    look_for: {en: Look, zh: 看}
    presets:
      - {label: {en: Wide, zh: 宽}, params: {key_width: 512}}
"""


class OneDemo:
    """A demo that claims `holds` everywhere and `wide_holds` where the key is wide."""

    def params_problem(self, demo: str, params: Mapping[str, Any]) -> str | None:  # noqa: ARG002
        return None if demo == "softmax_scaling" else f"there is no demo {demo!r}"

    def claims(self, demo: str, states: Iterable[Mapping[str, Any]]) -> set[str]:  # noqa: ARG002
        return {"wide_holds" if state.get("key_width", 64) > 64 else "holds" for state in states}


def linked(folder: Path, right: str = "", wrong: str = "", evidence: str = "holds") -> list[bank.Problem]:
    text = QUESTION.replace("{id: two,", f"{{id: two, evidence: {evidence},") + DEMO.replace(right, wrong)
    (folder / "topics.yaml").write_text(TOPICS, encoding="utf-8")
    (folder / "04-scaling.yaml").write_text(text, encoding="utf-8")
    loaded = bank.load(folder)
    assert loaded.problems == ()
    return bank.link_problems(loaded, OneDemo(), folder)


@pytest.mark.parametrize("evidence", ["holds", "wide_holds"])
def test_evidence_may_come_from_the_defaults_or_from_a_preset(tmp_path, evidence):
    assert linked(tmp_path, evidence=evidence) == []


def test_evidence_that_no_linked_demo_gives_is_told_with_what_there_is(tmp_path):
    (problem,) = linked(tmp_path, evidence="never_holds")
    assert (problem.file, problem.line, problem.field) == ("04-scaling.yaml", 10, "key_points.1.evidence")
    assert "never_holds" in problem.message
    assert "holds, wide_holds" in problem.message


def test_a_demo_that_does_not_exist_is_told_at_its_id(tmp_path):
    found = linked(tmp_path, "softmax_scaling", "softmax_scalign")
    line = len(QUESTION.splitlines()) + 2
    assert ("04-scaling.yaml", line, "demos.0.id") in [(one.file, one.line, one.field) for one in found]


PRESETS = {
    "an unknown knob": ({"key_wdith": 4}, "key_wdith"),
    "a word for a number": ({"key_width": "wide"}, "int"),
    "a fraction for a whole number": ({"key_width": 64.5}, "int"),
    "a value out of range": ({"key_width": 10_000}, "10000"),
    "an unknown option": ({"scale": "cube"}, "cube"),
    "a correlation above one": ({"correlation": 1.5}, "1.5"),
    "a correlation that is no number": ({"correlation": float("nan")}, "nan"),
}


@pytest.mark.parametrize(("params", "words"), PRESETS.values(), ids=PRESETS)
def test_a_preset_that_the_real_demo_cannot_show_is_refused(params, words):
    assert words in (Demos().params_problem("softmax_scaling", params) or "")


def test_a_preset_that_the_real_demo_can_show_is_accepted():
    assert Demos().params_problem("softmax_scaling", {"key_width": 512, "scale": "none", "correlation": 0}) is None


def test_a_demo_that_is_not_there_is_refused_with_the_list_of_demos():
    assert "softmax_scaling" in (Demos().params_problem("nonsense", {}) or "")


def test_the_real_demo_makes_at_its_defaults_the_claims_it_is_linked_for():
    assert "variance_is_key_width" in Demos().claims("softmax_scaling", [{}])
