"""The quiz: a score that is right, misses that come back in Review, and a language that may change midway."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from language import Language
from study import bank, queue
from study.question import Choice, Question
from tests.browser.screen import Visit, in_chinese, keyed, notices, plain, press, settled, source
from tests.browser.server import Serve

pytestmark = pytest.mark.browser


def open_item(page: Page, language: Language = "en") -> tuple[Question, Choice]:
    """The item on the screen, once all of it has arrived: its parts come one after the other."""
    items = [(question, item) for question in bank.load().questions for item in question.choices]
    shown = ""
    for _ in range(20):
        shown = source(keyed(settled(page), "item"))
        asked = [pair for pair in items if shown.startswith(plain(pair[1].ask.in_(language)))]
        if len(asked) == 1:
            return asked[0]
        page.wait_for_timeout(100)
    raise AssertionError(f"the screen asks {shown[:80]}")


def option_keys(page: Page, item: Choice, language: Language = "en") -> dict[int, str]:
    """The key on the keyboard for each option of the item, by its place in the question file."""
    keys = {}
    for place in range(len(item.options)):
        shown = source(keyed(page, f"option {place}").get_by_test_id("stMarkdownContainer"))[1:]  # without its letter
        [index] = [index for index, option in enumerate(item.options) if plain(option.text.in_(language)) == shown]
        keys[index] = str(place + 1)
    return keys


def answer(page: Page, rightly: bool) -> tuple[Question, Choice]:
    """Answer the open item, rightly or wrongly, by keyboard, and see the explanation of every option."""
    question, item = open_item(page)
    keys = option_keys(page, item)
    index = next(index for index, option in enumerate(item.options) if option.right is rightly)
    page.keyboard.press(keys[index])
    expect(keyed(page, "next")).to_be_visible()
    settled(page)
    explained = source(keyed(page, "item"))
    assert all(plain(option.why.en) in explained for option in item.options)
    return question, item


def reviewed(page: Page) -> str:
    """What the open review card asks, after turning it and rating it Good."""
    expect(keyed(page, "reveal")).to_be_visible()
    settled(page)
    card = source(keyed(page, "card"))
    page.keyboard.press("Space")
    expect(keyed(page, "rate 3")).to_be_visible()
    page.keyboard.press("3")
    expect(keyed(page, "rate 3")).to_have_count(0)
    return card


def test_every_answer_counts_and_a_miss_comes_back_in_review(serve: Serve, visit: Visit):
    server = serve()
    page = visit(server, "quiz")
    press(page, "start quiz")
    plan = [True, False, True, True, False]
    asked = []
    for rightly in plan:
        asked.append(answer(page, rightly))
        page.keyboard.press("Enter")
    settled(page)
    numbers = re.findall(r"\d+", page.get_by_test_id("stMain").get_by_role("heading", level=2).inner_text())
    assert numbers == ["3", "5"]

    missed = [queue.choice_card(q.id, item.id) for (q, item), rightly in zip(asked, plan, strict=True) if not rightly]
    store = server.memory()
    assert [given.right for given in store.quiz_answers()] == plan
    assert sorted(store.memories()) == sorted(missed)
    assert all(memory.is_due(datetime.now(UTC) + timedelta(minutes=10)) for memory in store.memories().values())
    store.close()

    press(page, "review misses")
    expected = {plain(item.ask.en) for (_, item), rightly in zip(asked, plan, strict=True) if not rightly}
    cards = [reviewed(page) for _ in missed]
    assert {ask for ask in expected for card in cards if ask in card} == expected


def test_switching_the_language_in_a_quiz_keeps_item_order_and_explanation(serve: Serve, visit: Visit):
    page = visit(serve(), "quiz")
    press(page, "start quiz")
    question, item = open_item(page)
    keys = option_keys(page, item)
    in_chinese(page)
    assert open_item(page, "zh") == (question, item)
    assert option_keys(page, item, "zh") == keys

    right = next(index for index, option in enumerate(item.options) if option.right)
    page.keyboard.press(keys[right])
    expect(keyed(page, "next")).to_be_visible()
    keyed(page, "language switch").get_by_text("EN").click()
    settled(page)
    assert open_item(page) == (question, item)
    assert plain(item.options[right].why.en) in source(keyed(page, "item"))
    expect(notices(page)).to_contain_text("Right")
