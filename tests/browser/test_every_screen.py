"""What holds on every screen: it fits a phone, stays on this machine, and can be used without seeing it."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.flaws import nameless, sticking_out
from tests.browser.screen import Visit, settled
from tests.browser.server import Server

pytestmark = pytest.mark.browser
PHONE = 390
SCREENS = {
    "questions": "",
    "question": "question?number=4",
    "review": "review",
    "quiz": "quiz",
    "lab": "lab",
    "demo": "lab?demo=softmax_scaling&softmax_scaling.seed=1",
    "settings": "settings",
}


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("screen", SCREENS)
def test_a_screen_fits_a_phone_and_everything_on_it_has_a_name(
    server: Server, visit: Visit, screen: str, language: str
):
    page = visit(server, SCREENS[screen], language=language, width=PHONE)
    assert sticking_out(page) == []
    assert nameless(page) == []


@pytest.mark.parametrize("screen", SCREENS)
def test_axe_finds_nothing_serious_in_the_light_and_in_the_dark(server: Server, visit: Visit, screen: str):
    page = visit(server, SCREENS[screen], theme="light")
    found = Axe().run(page).response["violations"]
    page.emulate_media(color_scheme="dark")
    found += Axe().run(settled(page)).response["violations"]
    serious = [fault for fault in found if fault["impact"] in ("serious", "critical")]
    assert [(fault["id"], fault["nodes"][0]["html"][:200]) for fault in serious] == []


def test_a_button_that_waits_for_an_answer_can_be_read(server: Server, visit: Visit):
    page = visit(server, "lab", demo="softmax_scaling", theme="light")
    button = page.get_by_test_id("stBaseButton-primary")
    assert button.is_disabled()
    assert button.locator("p").evaluate("(text) => getComputedStyle(text).color") != "rgb(255, 255, 255)"


def test_no_screen_asks_anybody_else_for_anything(server: Server, visit: Visit):
    page = visit(server)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for path in SCREENS.values():
        page.goto(server.url() + path)
        settled(page)
    assert len(asked) > len(SCREENS)
    assert [url for url in asked if not url.startswith((server.url(), "data:", "blob:"))] == []


def test_the_tab_carries_our_icon_on_every_page(server: Server, visit: Visit):
    page = visit(server)
    for path in ("", "lab", "question"):
        page.goto(server.url(path))
        settled(page)
        icons = page.locator("link[rel~=icon]").evaluate_all("links => links.map((link) => link.href)")
        assert [icon.startswith("data:image/svg+xml,") for icon in icons] == [True]
        assert page.get_by_test_id("stMainBlockContainer").bounding_box()["width"] > 1200  # type: ignore[index]
