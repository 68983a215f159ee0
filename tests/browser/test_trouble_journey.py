"""When something is broken, the learner is told in plain words and the rest of Viva works on."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from study import bank
from tests.browser.screen import Visit, figures, keyed, notices, press, settled
from tests.browser.server import Serve, copy_tree

pytestmark = pytest.mark.browser
SLUG, DEMO = "softmax-scaling", "softmax_scaling"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the app whose files the test may change."""
    return copy_tree(tmp_path / "tree")


def question_file(tree: Path, number: int) -> Path:
    return next((tree / "questions").glob(f"{number:02}-*.yaml"))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_damaged_database_is_explained_and_question_4_still_works(serve: Serve, visit: Visit, language: str):
    server = serve()
    server.stop()
    database = server.data / "viva.db"
    database.parent.mkdir(exist_ok=True)
    damaged = b"this is not a database " * 1000
    database.write_bytes(damaged)
    server.start()

    page = visit(server, "question", number=4, language=language)
    expect(notices(page)).to_contain_text(str(database))
    expect(notices(page)).to_contain_text({"en": "move it aside", "zh": "移到别处"}[language])
    press(page, f"{SLUG} show short")
    press(page, f"{SLUG} show full")
    press(page, f"{DEMO} skip")
    settled(page)
    alt = figures(page).first.get_attribute("aria-label")
    keyed(page, f"{DEMO}.key_width").get_by_role("slider").press("ArrowRight")
    expect(figures(page).first).not_to_have_attribute("aria-label", alt or "")

    page.get_by_role("navigation").locator("a[href$='review']").click()
    settled(page)
    expect(notices(page)).to_contain_text(str(database))
    assert database.read_bytes() == damaged  # it is the learner's to rescue


def test_an_edited_question_is_shown_without_a_restart(serve: Serve, visit: Visit, tree: Path):
    page = visit(serve(tree=tree), "question", number=4)
    file = question_file(tree, 4)
    written = file.read_text(encoding="utf-8")
    title = bank.load(tree / "questions").by_number(4)
    assert title is not None
    file.write_text(written.replace(f"en: {title.title.en}", "en: A title from a moment ago", 1), encoding="utf-8")
    press(page, f"{SLUG} show short")  # any act of the learner
    expect(page.get_by_role("heading", level=2, name="A title from a moment ago")).to_be_visible()
    expect(keyed(page, f"{SLUG} show full")).to_be_visible()


def test_a_broken_question_file_leaves_the_others_served(serve: Serve, visit: Visit, tree: Path):
    whole = {question.number for question in bank.load(tree / "questions").questions}
    page = visit(serve(tree=tree))
    question_file(tree, 5).write_text("id: [an open bracket\n", encoding="utf-8")
    page.reload()
    settled(page)
    main = page.get_by_test_id("stMain")
    links = main.locator("a[href*='question?number=']")
    expect(links).to_have_count(len(whole) - 1)
    shown = {int(re.findall(r"number=(\d+)", href)[0]) for href in links.evaluate_all("all => all.map(a => a.href)")}
    assert shown == whole - {5}
    main.get_by_test_id("stExpander").locator("summary").click()
    expect(main.get_by_test_id("stExpander")).to_contain_text(question_file(tree, 5).name)

    page.goto(page.url + "question?number=4")
    settled(page)
    press(page, f"{SLUG} show short")
    expect(keyed(page, f"short-{SLUG}")).to_be_visible()
