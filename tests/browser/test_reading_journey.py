"""Reading a question: reveal in steps, predict, turn knobs, search, change the language on the way."""

import re

import pytest
from playwright.sync_api import Page, expect

from study import bank
from tests.browser.screen import Visit, choose, figures, in_chinese, keyed, notices, press, settled
from tests.browser.server import Serve, Server

pytestmark = pytest.mark.browser
SLUG, DEMO = "softmax-scaling", "softmax_scaling"
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def slider(page: Page, knob: str):
    return keyed(page, f"{DEMO}.{knob}").get_by_role("slider")


def questions_listed(page: Page):
    return page.get_by_test_id("stMain").locator("a[href*='question?number=']")


def test_a_learner_reads_question_4_and_moves_a_slider_by_keyboard(server: Server, visit: Visit):
    page = visit(server, "question", number=4)
    main = page.get_by_test_id("stMain")
    short = keyed(page, f"short-{SLUG}")
    expect(short).to_have_count(0)

    press(page, f"{SLUG} show short")
    expect(short).to_contain_text("variance")
    headings = main.get_by_role("heading").count()
    press(page, f"{SLUG} show full")
    expect(main.get_by_role("heading")).not_to_have_count(headings)
    expect(main).to_contain_text("Gershgorin")

    expect(figures(page)).to_have_count(0)
    press(page, f"{DEMO} skip")
    settled(page)
    expect(figures(page).first).to_be_visible()
    before = main.inner_text(), figures(page).first.get_attribute("aria-label")
    slider(page, "key_width").focus()
    page.keyboard.press("ArrowRight")
    expect(figures(page).first).not_to_have_attribute("aria-label", before[1] or "")
    settled(page)
    assert "63.27" in before[0]  # the claim at d_k = 64: the variance measured beside the theory
    expect(main).not_to_contain_text("63.27")
    expect(main).to_contain_text(re.compile(r"= 128 ± "))  # theory at the next width


def test_a_committed_prediction_gets_a_verdict(server: Server, visit: Visit):
    page = visit(server, "question", number=4)
    commit = keyed(page, f"{DEMO} commit").get_by_role("button")
    expect(commit).to_be_disabled()
    expect(figures(page)).to_have_count(0)
    choose(page, f"{DEMO} guess", "almost none")
    commit.click()
    settled(page)
    expect(notices(page)).to_contain_text("almost none")  # what was said
    expect(notices(page)).to_contain_text("more than half, not all")  # what the run says
    expect(figures(page).first).to_be_visible()


def test_switching_the_language_keeps_place_answer_and_knobs(serve: Serve, visit: Visit):
    page = visit(serve(), "question", number=4)
    press(page, f"{SLUG} show short")
    press(page, f"{DEMO} skip")
    settled(page)
    slider(page, "key_width").focus()
    page.keyboard.press("ArrowRight")
    choose(page, f"{DEMO}.scale", "÷ √d")
    page.wait_for_url(re.compile("scale=sqrt"))
    settled(page)

    in_chinese(page)
    assert "number=4" in page.url
    expect(keyed(page, f"short-{SLUG}")).to_contain_text(CHINESE)
    expect(keyed(page, f"{SLUG} show full")).to_have_count(1)  # still at the short answer
    expect(keyed(page, f"{DEMO}.key_width")).to_contain_text("128")
    expect(keyed(page, f"{DEMO}.scale").get_by_role("radio", checked=True)).to_contain_text("÷ √d")
    expect(figures(page).first).to_have_attribute("aria-label", CHINESE)

    choose(page, "language switch", "EN")
    settled(page)
    expect(keyed(page, f"short-{SLUG}")).not_to_contain_text(CHINESE)
    expect(keyed(page, f"{DEMO}.key_width")).to_contain_text("128")


def test_search_filters_while_the_learner_types(server: Server, visit: Visit):
    page = visit(server)
    every = len(bank.load().questions)
    expect(questions_listed(page)).to_have_count(every)
    box = keyed(page, "filter search").get_by_role("textbox")
    box.press_sequentially("sinusoidal-enc")  # the id of question 9; no Enter
    expect(questions_listed(page)).to_have_count(1)
    expect(questions_listed(page)).to_have_attribute("href", re.compile("number=9$"))

    box.press_sequentially(" nothing has this")
    expect(questions_listed(page)).to_have_count(0)
    page.get_by_test_id("stMain").get_by_test_id("stButton").get_by_role("button").click()  # clear the filters
    expect(questions_listed(page)).to_have_count(every)
    expect(box).to_have_value("")


def test_next_and_previous_walk_through_the_questions(server: Server, visit: Visit):
    numbers = [question.number for question in bank.load().questions]
    place = numbers.index(4)
    page = visit(server, "question", number=4)
    steps = keyed(page, "steps").get_by_role("link")
    steps.nth(2).click()
    expect(page).to_have_url(re.compile(f"number={numbers[place + 1]}$"))
    settled(page)
    steps.nth(1).click()
    expect(page).to_have_url(re.compile("number=4$"))
    settled(page)
    expect(keyed(page, f"{SLUG} show short")).to_be_visible()
