"""Every screen opens in both languages, and the frame around it does what it says."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from components import places, shell
from language import LANGUAGES, Language
from tests import chinese
from tests.views.conftest import ROOT, Visit, forget_the_store
from tests.views.screen import words

VIEWS = sorted(file.stem for file in (ROOT / "views").glob("[a-z]*.py"))
BROWSERS_CHOICE = "en"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", VIEWS)
def test_a_screen_opens_in_either_language(visit: Visit, name: str, language: Language):
    page = visit(name, language)
    assert page.session_state["language"] == language
    assert bool(chinese.HAN.search(words(page))) == (language == "zh")


def test_the_navigation_lists_every_view():
    assert {path.stem for path in shell.PAGES} == set(VIEWS)
    assert all(path.is_file() for path in shell.PAGES)
    assert places.QUESTIONS in shell.PAGES


@pytest.mark.parametrize("name", VIEWS)
def test_switching_the_language_keeps_the_page_and_what_is_open_on_it(visit: Visit, name: str):
    page = visit(name, "en", number="5")
    before = (len(page.button), len(page.title), len(page.get("page_link")))
    page.segmented_control(key="language switch").set_value("zh").run()
    assert chinese.HAN.search(words(page))
    assert (len(page.button), len(page.title), len(page.get("page_link"))) == before
    assert page.query_params["lang"] == "zh"


def test_the_language_is_remembered_by_the_next_tab(visit: Visit):
    visit("settings", "en").segmented_control(key="language switch").set_value("zh").run()
    next_tab = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    assert next_tab.session_state["language"] == "zh"


def test_the_language_of_a_link_wins_over_the_remembered_one(visit: Visit):
    visit("settings", "en").segmented_control(key="language switch").set_value("zh").run()
    assert visit("lab", "en").session_state["language"] == "en"


def test_an_unknown_language_in_a_link_is_ignored(visit: Visit):
    assert visit("lab", "fr").session_state["language"] == BROWSERS_CHOICE


@pytest.fixture
def garbage(tmp_path, monkeypatch) -> str:
    """A file that is no database, where the learner's database should be."""
    path = tmp_path / "garbage.db"
    path.write_bytes(b"these are not the bytes of a database, not at all. " * 100)
    monkeypatch.setenv("VIVA_DATABASE_URL", f"sqlite:///{path}")
    return str(path)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", VIEWS)
def test_a_store_that_cannot_be_used_is_told_with_path_and_remedy_and_the_page_works(
    visit: Visit, garbage: str, name: str, language: Language
):
    page = visit(name, language)
    assert words(page)
    (error,) = page.error
    assert garbage in error.value
    assert ("move it aside" if language == "en" else "移到别处") in error.value
    assert page.title or page.header


def test_without_a_store_the_language_still_switches(visit: Visit, garbage: str):
    page = visit("lab", "en").segmented_control(key="language switch").set_value("zh").run()
    assert page.session_state["language"] == "zh"
    assert garbage in page.error[0].value


def test_once_the_store_is_mended_the_warning_goes(visit: Visit, garbage: str):
    page = visit("review")
    assert page.error
    Path(garbage).unlink()
    forget_the_store()
    assert not page.run().error
