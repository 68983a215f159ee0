"""Addresses: a link restores the exact state, and a bad one says so instead of breaking."""

import re

import pytest
from playwright.sync_api import expect

from study import bank
from tests.browser.screen import Visit, figures, keyed, notices, settled
from tests.browser.server import Server

pytestmark = pytest.mark.browser
DEMO = "softmax_scaling"


def checked(page, knob):
    return keyed(page, f"{DEMO}.{knob}").get_by_role("radio", checked=True)


@pytest.mark.parametrize(("path", "place"), [("question", {"number": 4}), ("lab", {"demo": DEMO})])
def test_a_shared_link_restores_the_knobs(server: Server, visit: Visit, path: str, place: dict):
    knobs = {f"{DEMO}.key_width": 512, f"{DEMO}.scale": "linear", f"{DEMO}.seed": 7}
    page = visit(server, path, **place, lang="zh", **knobs)
    expect(figures(page).first).to_be_visible()  # a shared state is shown at once, without a prediction
    expect(keyed(page, f"{DEMO}.key_width")).to_contain_text("512")
    expect(keyed(page, f"{DEMO}.seed")).to_contain_text("7")
    expect(checked(page, "scale")).to_contain_text("÷ d")
    expect(page.get_by_test_id("stMain")).to_contain_text(re.compile("[\u4e00-\u9fff]"))
    expect(notices(page)).to_have_count(0)


def test_the_link_that_the_page_offers_restores_its_state_elsewhere(server: Server, visit: Visit):
    page = visit(server, "lab", demo=DEMO, **{f"{DEMO}.keys": 16})
    keyed(page, f"{DEMO}.key_width").get_by_role("slider").press("ArrowRight")
    page.wait_for_url(re.compile("key_width=128"))
    settled(page)
    offered = page.get_by_test_id("stMain").locator(f"a[href*='{DEMO}.key_width=128']").get_attribute("href")
    assert offered is not None

    other = visit(server)
    other.goto(offered)
    settled(other)
    expect(keyed(other, f"{DEMO}.key_width")).to_contain_text("128")
    expect(keyed(other, f"{DEMO}.keys")).to_contain_text("16")
    expect(figures(other).first).to_have_attribute("aria-label", figures(page).first.get_attribute("aria-label") or "")


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ({"key_width": "9999"}, "1024"),
        ({"seed": "-3"}, "0"),
        ({"scale": "<b>bad</b>"}, "none"),
        ({"seed": "nan"}, "0"),
    ],
)
def test_a_bad_value_in_a_link_is_replaced_and_said(server: Server, visit: Visit, given: dict, used: str):
    [(knob, value)] = given.items()
    page = visit(server, "question", number=4, lang="en", **{f"{DEMO}.{knob}": value})
    expect(notices(page)).to_have_count(1)
    expect(notices(page)).to_contain_text(value)
    expect(notices(page)).to_contain_text(used)
    expect(figures(page).first).to_be_visible()


@pytest.mark.parametrize("number", ["99", "0", "four", "4.5", "-1", ""])
def test_an_unknown_question_number_is_said_and_another_question_shown(server: Server, visit: Visit, number: str):
    page = visit(server, "question", number=number)
    expect(notices(page)).to_have_count(1)
    shown = int(re.findall(r"number=(\d+)", page.url)[0])
    assert shown in {question.number for question in bank.load().questions}
    expect(page.get_by_role("heading", level=2)).to_be_visible()


def test_an_unknown_demo_is_said_and_the_gallery_shown(server: Server, visit: Visit):
    page = visit(server, "lab", demo="no_such_demo")
    expect(notices(page)).to_have_count(1)
    expect(notices(page)).to_contain_text("no_such_demo")
    expect(keyed(page, f"demo-{DEMO}")).to_be_visible()


def test_refresh_keeps_question_and_knobs(server: Server, visit: Visit):
    page = visit(server, "question", number=4, **{f"{DEMO}.seed": 3})
    keyed(page, f"{DEMO}.key_width").get_by_role("slider").press("ArrowRight")
    page.wait_for_url(re.compile("key_width=128"))
    page.reload()
    settled(page)
    expect(page).to_have_url(re.compile("number=4"))
    expect(keyed(page, f"{DEMO}.key_width")).to_contain_text("128")
    expect(keyed(page, f"{DEMO}.seed")).to_contain_text("3")


def test_the_first_screen_also_answers_at_its_name(server: Server, visit: Visit):
    page = visit(server, "questions")
    expect(keyed(page, "filter search")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
