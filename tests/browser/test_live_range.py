"""The slider that reports while it is dragged: keyboard, touch, uneven scales, and what Python sets."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.screen import figures, offset, settled
from tests.browser.server import Server

pytestmark = pytest.mark.browser


def test_the_range_works_by_keyboard_and_tells_its_value(page: Page):
    slider = offset(page)
    slider.focus()
    for key, value in (
        ("ArrowRight", 1),
        ("End", 100),
        ("PageDown", 90),
        ("Home", 0),
        ("PageUp", 10),
        ("ArrowLeft", 9),
    ):
        page.keyboard.press(key)
        expect(slider).to_have_attribute("aria-valuetext", f"{value} tokens")
    expect(figures(page).first).to_have_attribute("aria-label", "A curve at 9")


def test_an_uneven_range_walks_its_steps(page: Page):
    slider = page.get_by_role("slider", name="Width")
    expect(slider).to_have_attribute("aria-valuetext", "4")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "256")


def test_what_python_sets_moves_the_thumb(page: Page):
    offset(page).focus()
    page.keyboard.press("End")
    expect(figures(page).first).to_have_attribute("aria-label", "A curve at 100")
    page.get_by_role("button", name="preset").click()
    expect(offset(page)).to_have_attribute("aria-valuetext", "42 tokens")
    expect(figures(page).first).to_have_attribute("aria-label", "A curve at 42")


def test_a_finger_moves_the_range(live: Server, chromium: Browser):
    context = chromium.new_context(has_touch=True, viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto(live.url())
    settled(page)
    box = offset(page).bounding_box()
    assert box is not None
    assert box["height"] >= 24
    page.touchscreen.tap(box["x"] + box["width"] * 0.75, box["y"] + box["height"] / 2)
    expect(figures(page).first).to_have_attribute("aria-label", re.compile(r"A curve at 7\d"))
    context.close()
