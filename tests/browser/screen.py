"""How a test looks at a screen of Viva: by widget key, by role, and only once Streamlit has come to rest."""

import re
from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

Visit = Callable[..., Page]
SECONDS_TO_SETTLE = 60  # a demo may train a small model first
expect.set_options(timeout=20_000)  # two slow cores run the browser, the server and torch
QUIET = """() => {
    const app = document.querySelector('[data-testid=stApp]');
    const moving = '[data-stale=true], [data-testid=stSkeleton], [data-testid=stAppSkeleton], [data-testid=stSpinner]';
    const isQuiet = app && app.dataset.testScriptState === 'notRunning'
        && app.dataset.testConnectionState === 'CONNECTED' && !document.querySelector(moving);
    if (!isQuiet) { window.quietSince = null; return false; }
    window.quietSince ??= performance.now();
    return performance.now() - window.quietSince > 300;
}"""
# The source of a text: KaTeX keeps the TeX of every formula beside the drawing.
SOURCE = """element => {
    const copy = element.cloneNode(true);
    for (const formula of copy.querySelectorAll('.katex')) {
        formula.replaceWith('$' + formula.querySelector('annotation').textContent + '$');
    }
    return copy.textContent;
}"""


def settled(page: Page) -> Page:
    """`page` once no script runs and nothing of the old screen is left. Fails on an exception in the page."""
    page.evaluate("window.quietSince = null")
    page.wait_for_function(QUIET, timeout=SECONDS_TO_SETTLE * 1000, polling=50)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    return page


def keyed(page: Page, key: str) -> Locator:
    """The widget or container that the app gave this key."""
    return page.locator(f".st-key-{re.sub(r'[^a-zA-Z0-9_-]', '-', key)}")


def press(page: Page, key: str) -> None:
    """Click the button with this key."""
    keyed(page, key).get_by_role("button").click()


def choose(page: Page, key: str, label: str) -> None:
    """Click the option of the radio group, segmented control or pills with this key."""
    keyed(page, key).get_by_text(label).first.click()


def in_chinese(page: Page) -> Page:
    """`page` after the learner clicked the switch at the top."""
    choose(page, "language switch", "中文")
    return settled(page)


def source(element: Locator) -> str:
    """What the bank says where `element` shows it, without markup: comparable with `plain`."""
    return plain(element.evaluate(SOURCE))


def plain(words: str) -> str:
    """Markdown without its markup and white space, for comparing what is shown with what was written."""
    return re.sub(r"[\s*`_\\$]", "", words)


def figures(page: Page) -> Locator:
    """Every chart that is drawn; one out of sight waits until it comes into sight, so the first is brought there."""
    cells = page.locator(".viva-cell")
    if cells.count():
        cells.first.scroll_into_view_if_needed()
    return page.locator(".viva-graph:has(.main-svg)")


def offset(page: Page) -> Locator:
    """The slider of the page `live/app.py`."""
    return page.get_by_role("slider", name="Offset")


def notices(page: Page) -> Locator:
    """Warnings, errors and other coloured messages of the screen."""
    return page.get_by_test_id("stAlert")
