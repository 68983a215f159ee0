"""Every question page with everything on it revealed: maths typeset, charts named, nothing too wide, no exception."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as NothingHappened

from study import bank
from study.question import Question
from tests.browser.flaws import bad_maths, nameless, sticking_out
from tests.browser.screen import Visit, figures, keyed, settled
from tests.browser.server import Server

pytestmark = pytest.mark.browser
SEEN = """() => [...document.querySelectorAll('.viva-graph')].map((graph) => graph.ariaLabel).join()
    + [...document.querySelectorAll('[data-testid=stMarkdown]')].map((text) => text.innerText).join()"""
PATIENCE = 10_000  # ms for a slider to show an effect; it may train a model first
OPEN_ALL = "document.querySelectorAll('[data-testid=stMain] details:not([open]) > summary').forEach(it => it.click())"


def flaws(page: Page, question: Question, language: str) -> list[str]:
    """What a learner could complain about on this question's page."""
    page.evaluate(OPEN_ALL)
    settled(page)
    found = [f"maths: {fault}" for fault in bad_maths(page)]
    found += [f"too wide: {fault}" for fault in sticking_out(page)]
    found += [f"without a name: {fault}" for fault in nameless(page)]
    written = [text for place, text in bank.texts(question) if place[0] in ("prompt", "short", "answer", "follow_ups")]
    displayed = sum((text.zh if language == "zh" else text.en).count("$$") // 2 for text in written)
    shown = page.locator(".katex-display").count()
    if shown < displayed:
        found.append(f"{displayed} displayed equations were written, {shown} are shown")
    for cell in page.locator(".viva-cell").all():  # a figure is drawn when it comes into sight
        cell.scroll_into_view_if_needed()
        expect(cell.locator(".main-svg").first).to_be_visible()
    if figures(page).count() == 0:
        found.append("the demo draws nothing")
    return found


def deaf_sliders(page: Page) -> list[str]:
    """Complaint when no slider of the demo changes what is seen; each is moved by one step until one does."""
    before, sliders = page.evaluate(SEEN), page.locator(".stMain input[type=range]")
    for place in range(sliders.count()):
        slider = sliders.nth(place)
        shown = slider.get_attribute("aria-valuetext")
        slider.press("ArrowRight")
        if slider.get_attribute("aria-valuetext") == shown:
            slider.press("ArrowLeft")
        try:
            page.wait_for_function(f"before => ({SEEN})() !== before", arg=before, timeout=PATIENCE)
        except NothingHappened:
            continue
        return []
    return [f"none of {sliders.count()} sliders changes the demo"]


@pytest.fixture(scope="module")
def open_book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One Viva for both walks, which shows everything at once; what the first one trains the second finds there."""
    running = Server(tmp_path_factory.mktemp("viva") / "data")
    store = running.memory()
    store.set_preference("show_answers", True)
    store.set_preference("predict_first", False)
    store.close()
    yield running.start()
    running.stop()
    assert running.faults() == []


@pytest.mark.timeout(900)  # thirty-five pages, and some demos train a model first
@pytest.mark.parametrize(("language", "width", "theme"), [("en", 390, "light"), ("zh", 1280, "dark")])
def test_every_question_page_is_without_flaw(open_book: Server, visit: Visit, language: str, width: int, theme: str):
    questions = bank.load().questions
    page = visit(open_book, "question", language=language, width=width, theme=theme, number=questions[0].number)
    found: dict[int, list[str]] = {}
    for place, question in enumerate(questions):
        if place:
            keyed(page, "steps").get_by_role("link").last.click()
            settled(page)
        assert page.get_by_role("heading", level=2).inner_text()
        found[question.number] = flaws(page, question, language)
        if width > 1000:
            found[question.number] += deaf_sliders(page)
    assert {number: faults for number, faults in found.items() if faults} == {}
