"""The parsed copy of the bank: it gives what the files give, and no longer than they are as they were."""

import os
from pathlib import Path

import pytest

from study import bank, bank_copy
from study.question import Bank
from tests.study.question_file import QUESTION, TOPICS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bank of one question."""
    made = tmp_path / "questions"
    made.mkdir()
    (made / "topics.yaml").write_text(TOPICS, encoding="utf-8")
    (made / "04-scaling.yaml").write_text(QUESTION, encoding="utf-8")
    return made


def load(folder: Path) -> Bank:
    return bank_copy.load(folder, {"VIVA_CACHE_DIR": str(folder.parent / "cache")})


def copy_of(folder: Path) -> Path:
    return folder.parent / "cache" / "bank.json"


def test_the_copy_of_the_real_bank_is_equal_to_it(tmp_path):
    cache = {"VIVA_CACHE_DIR": str(tmp_path)}
    first, second = bank_copy.load(environ=cache), bank_copy.load(environ=cache)
    assert first == second == bank.load()


def test_the_second_load_reads_the_copy_and_not_the_yaml(folder, monkeypatch):
    first = load(folder)
    monkeypatch.setattr(bank, "load", lambda _: pytest.fail("parsed again"))
    assert load(folder) == first


def test_an_edited_file_is_read_again(folder):
    load(folder)
    edited = QUESTION.replace("title: {en: Scaling", "title: {en: Edited")
    (folder / "04-scaling.yaml").write_text(edited, encoding="utf-8")
    assert load(folder).questions[0].title.en == "Edited"


def test_another_folder_is_not_served_the_copy(folder, tmp_path):
    load(folder)
    other = tmp_path / "other"
    folder.rename(other)
    for name in ("topics.yaml", "04-scaling.yaml"):
        assert (other / name).exists()
    (other / "04-scaling.yaml").unlink()
    assert bank_copy.load(other, {"VIVA_CACHE_DIR": str(tmp_path / "cache")}).questions == ()


def test_a_bank_with_problems_is_not_copied_and_its_problems_are_told_every_time(folder):
    (folder / "05-other.yaml").write_text("id: other\n", encoding="utf-8")
    assert load(folder).problems
    assert not copy_of(folder).exists()
    assert load(folder).problems


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"mark": []}', b"\xff"])
def test_a_damaged_copy_is_made_anew(folder, damage):
    first = load(folder)
    copy_of(folder).write_bytes(damage)
    assert load(folder) == first
    assert copy_of(folder).stat().st_size > 1000


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_does_not_matter(folder):
    copy_of(folder).parent.mkdir(mode=0o500)
    assert load(folder).questions


def test_a_cache_folder_that_is_a_file_does_not_matter(folder):
    copy_of(folder).parent.write_text("", encoding="utf-8")
    assert load(folder).questions
