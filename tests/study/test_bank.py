"""Loading the bank: a broken file gives problems with file, line and field, and takes nothing else down."""

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from language import Text
from study import bank, bank_copy
from study.question import Problem
from tests.study.question_file import QUESTION, TOPICS

LINES = len(QUESTION.splitlines())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bank with a good question; the tests put a second one beside it."""
    (tmp_path / "topics.yaml").write_text(TOPICS, encoding="utf-8")
    good = QUESTION.replace("id: scaling", "id: good").replace("number: 4", "number: 1")
    (tmp_path / "01-good.yaml").write_text(good, encoding="utf-8")
    return tmp_path


def problems(folder: Path, text: str | bytes, name: str = "04-scaling.yaml") -> list[Problem]:
    """What is wrong with a question file; the good one beside it is served all the same."""
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    loaded = bank.load(folder)
    assert [question.id for question in loaded.questions if question.id != "scaling"] == ["good"]
    return list(loaded.problems)


def place(problem: Problem) -> tuple[str, int, str]:
    return problem.file, problem.line, problem.field


def line_of(words: str) -> int:
    """The line of the only place in QUESTION that contains `words`."""
    (line,) = [number for number, line in enumerate(QUESTION.splitlines(), 1) if words in line]
    return line


def test_the_real_bank_loads_without_a_problem():
    loaded = bank.load()
    assert loaded.problems == ()
    assert loaded.questions
    assert len(loaded.topics) == 7


def test_questions_come_in_order_of_their_number_and_are_found_by_it(folder):
    assert problems(folder, QUESTION) == []
    loaded = bank.load(folder)
    assert [question.number for question in loaded.questions] == [1, 4]
    found = loaded.by_number(4)
    assert found is not None
    assert found.id == "scaling"
    assert loaded.by_number(99) is None


MISTAKES = {
    "a missing section": ("level: core\n", "", 1, "level"),
    "an unknown key": ("level: core", "level: core\nlevle: core", 5, "levle"),
    "an unknown key deep inside": ("zh: 三", "zh: 三\n      fr: trois", 15, "key_points.2.text.fr"),
    "a missing language": ("title: {en: Scaling, zh: 缩放}", "title: {en: Scaling}", 5, "title.zh"),
    "an empty text": ("      zh: 三", "      zh: '  '", 14, "key_points.2.text.zh"),
    "a text that is null": ("      zh: 三", "      zh:", 14, "key_points.2.text.zh"),
    "a number in words": ("number: 4", "number: four", 2, "number"),
    "a number in quotes": ("number: 4", "number: '4'", 2, "number"),
    "a flag in words": ("right: true", "right: 'yes'", line_of("right: true"), "choices.0.options.0.right"),
    "a list instead of a text": ("zh: 缩放", "zh: [缩放]", 5, "title.zh"),
    "an id in capitals": ("id: scaling", "id: Scaling", 1, "id"),
    "an unknown level": ("level: core", "level: easy", 4, "level"),
    "an unknown topic": ("topic: attention", "topic: cooking", 3, "topic"),
    "a source without https": ("https://example", "http://example", LINES - 1, "sources.0.url"),
    "a source that supports nothing": ("supports: [one, trap, next]", "supports: []", LINES, "sources.0.supports"),
    "two right options": ("zh: 错}", "zh: 错}, right: true", line_of("id: which"), "choices.0"),
    "no right option": (", right: true", "", line_of("id: which"), "choices.0"),
    "a brace too many": (r"It is $\sqrt{d_k}$", r"It is $\sqrt{d_k}}$", 7, "short.en"),
    "a brace too few": (r"是 $\sqrt{d_k}$", r"是 $\sqrt{d_k$", 7, "short.zh"),
    "a lonely dollar": ("en: Three", "en: costs $3", 13, "key_points.2.text.en"),
}


@pytest.mark.parametrize(("right", "wrong", "line", "field"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_file_line_and_field(folder, right, wrong, line, field):
    assert QUESTION.count(right) == 1
    problem, *echoes = problems(folder, QUESTION.replace(right, wrong))
    assert place(problem) == ("04-scaling.yaml", line, field)
    assert problem.message
    assert all(field.startswith(echo.field) for echo in echoes)  # "too few valid options", because one is wrong


LIMITS = {
    "key_points": (6, 10),
    "traps": (1, None),
    "follow_ups": (3, 4),
    "choices": (2, None),
    "recall": (3, None),
    "demos": (1, None),
    "sources": (1, None),
}


@pytest.mark.parametrize("field", LIMITS)
def test_too_few_or_too_many_parts_are_told(folder, field):
    whole, (least, most) = yaml.safe_load(QUESTION), LIMITS[field]
    for count in [least - 1, *([most + 1] if most else [])]:
        parts = (whole[field] * 11)[:count]
        found = problems(folder, yaml.safe_dump({**whole, field: parts}, allow_unicode=True))
        assert field in {problem.field for problem in found}, count


PLACED = {
    "a source that supports an unknown point": ("[one, trap, next]", "[one, ten]", LINES, "sources.0.supports", "ten"),
    "no core point": ("core: true, ", "", 8, "key_points", "core: true"),
    "an id used twice": ("id: two", "id: one", 10, "key_points.1", "one"),
    "a key written twice": ("level: core", "level: core\nlevel: deep", 5, "", "'level' is written twice"),
    "a number that is not in the name": ("number: 4", "number: 5", 1, "id", "05-scaling.yaml"),
    "an id that is not in the name": ("id: scaling", "id: scaled", 1, "id", "04-scaled.yaml"),
}


@pytest.mark.parametrize(("right", "wrong", "line", "field", "words"), PLACED.values(), ids=PLACED)
def test_parts_that_do_not_fit_each_other_are_told_with_their_place(folder, right, wrong, line, field, words):
    (problem,) = problems(folder, QUESTION.replace(right, wrong, 1))
    assert (problem.file, problem.line) == ("04-scaling.yaml", line)
    assert problem.field.startswith(field)
    assert words in problem.message


def test_all_mistakes_of_all_files_are_told_at_once(folder):
    (folder / "05-other.yaml").write_text("id: other\n", encoding="utf-8")
    found = problems(folder, QUESTION.replace("number: 4", "number: four").replace("zh: 三", "fr: trois"))
    assert {(problem.file, problem.field) for problem in found} >= {
        ("04-scaling.yaml", "number"),
        ("04-scaling.yaml", "key_points.2.text.zh"),
        ("04-scaling.yaml", "key_points.2.text.fr"),
        ("05-other.yaml", "prompt"),
        ("05-other.yaml", "sources"),
    }


def test_bad_syntax_is_told_with_its_line(folder):
    (problem,) = problems(folder, "id: scaling\nnumber: 4\ntitle: {en: [}\n")
    assert place(problem) == ("04-scaling.yaml", 3, "")


def test_bytes_that_are_not_utf_8_are_a_problem(folder):
    (problem,) = problems(folder, "id: caf\xe9\n".encode("latin-1"))
    assert place(problem) == ("04-scaling.yaml", 1, "")
    assert "utf-8" in problem.message


@pytest.mark.parametrize("value", ["2001-13-45", "0x_", "!!bool foo", "!!int ''", "!!timestamp foo", "9" * 5000])
def test_a_value_that_yaml_cannot_build_is_a_problem(folder, value):
    found = problems(folder, QUESTION.replace("year: 2017", f"year: {value}"))
    assert {problem.file for problem in found} == {"04-scaling.yaml"}


@pytest.mark.parametrize("field", ["id", "number"])
def test_an_id_or_number_used_before_is_told_with_the_file_that_has_it(folder, field):
    text = QUESTION.replace("id: scaling", "id: good") if field == "id" else QUESTION.replace("number: 4", "number: 1")
    name = "04-good.yaml" if field == "id" else "01-scaling.yaml"
    found = problems(folder, text, name)
    assert place(found[0]) == (name, 1 if field == "id" else 2, field)
    assert "01-good.yaml" in found[0].message


def test_a_folder_where_a_file_should_be_is_a_problem(folder):
    (folder / "07-folder.yaml").mkdir()
    (problem,) = problems(folder, QUESTION)
    assert problem.file == "07-folder.yaml"


@pytest.mark.parametrize(
    "text", [None, "", "attention", "- {id: attention}"], ids=["absent", "empty", "word", "untitled"]
)
def test_without_usable_topics_nothing_can_be_served_and_the_reason_is_told(folder, text):
    (folder / "topics.yaml").unlink()
    if text is not None:
        (folder / "topics.yaml").write_text(text, encoding="utf-8")
    loaded = bank.load(folder)
    assert loaded.questions == ()
    assert [problem.file for problem in loaded.problems] == ["topics.yaml", "01-good.yaml"]


def test_a_problem_reads_as_a_place_that_editors_can_open():
    assert str(Problem("04-a.yaml", 7, "title.zh", "is empty")) == "04-a.yaml:7: title.zh: is empty"
    assert str(Problem("04-a.yaml", 1, "", "no")) == "04-a.yaml:1: file: no"


def test_the_fingerprint_changes_when_a_file_is_added_edited_touched_or_removed(folder):
    file = folder / "01-good.yaml"
    seen = [bank_copy.fingerprint(folder)]

    def changed() -> bool:
        seen.append(bank_copy.fingerprint(folder))
        return seen[-1] not in seen[:-1]

    assert bank_copy.fingerprint(folder) == seen[0]
    (folder / "02-new.yaml").write_text("", encoding="utf-8")
    assert changed()
    file.write_text(QUESTION + "\n", encoding="utf-8")
    assert changed()
    os.utime(file, ns=(1, 1))
    assert changed()
    file.unlink()
    assert changed()


YAML = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(["id", "number", "topic", "title", "key_points", "choices", "sources", "demos", "answer"])


@pytest.fixture(scope="module")
def scratch(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bank")
    (folder / "topics.yaml").write_text(TOPICS, encoding="utf-8")
    return folder


@settings(deadline=None)
@given(content=st.binary() | st.text().map(str.encode))
@example(content=b"[" * 5000)
@example(content=b"a: 2001-13-45")
@example(content=b"&a [*a]")
@example(content=b"\xff\xfe\x00")
def test_no_bytes_in_a_question_file_or_in_the_topics_can_stop_the_bank(scratch, content):
    for name in ("04-scaling.yaml", "topics.yaml"):
        before = (scratch / name).read_bytes() if name == "topics.yaml" else b""
        (scratch / name).write_bytes(content)
        assert bank.load(scratch).problems
        (scratch / name).write_bytes(before or content)


@settings(deadline=None)
@given(field=FIELDS, value=YAML)
def test_no_structure_in_a_field_can_stop_the_bank(scratch, field, value):
    import yaml

    document = yaml.safe_load(QUESTION)
    document[field] = value
    (scratch / "04-scaling.yaml").write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    loaded = bank.load(scratch)
    assert len(loaded.questions) <= 1
    assert all(problem.file == "04-scaling.yaml" and problem.line >= 1 for problem in loaded.problems)


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (r"$\{a\}$ and \$5", None),
        ("$$\na_{1}\n$$\n\nand $b$", None),
        ("$$a$$", "a line of its own"),
        ("plain {braces} outside", None),
        ("$a", "partner"),
        ("$}{$", "unbalanced }"),
        ("$$\n\\frac{a}{b\n$$", "unbalanced {"),
    ],
)
def test_latex_faults_are_found_inside_the_maths_only(words, fault):
    found = bank.latex_fault(words)
    assert found is None if fault is None else fault in (found or "")


def test_every_text_of_a_question_is_listed_with_its_place(folder):
    (question,) = bank.load(folder).questions
    places = dict(bank.texts(question))
    assert places["title",] == Text("Scaling", "缩放")
    assert places["key_points", 2, "text"] == Text("Three", "三")
    assert places["choices", 0, "options", 1, "why"] == Text("Wrong", "错")
    assert len(places) == 3 + 6 + 1 + 2 + 6 + 2 * 5 + 6 + 1
