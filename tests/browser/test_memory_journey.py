"""Review by keyboard, and everything that must not cost the learner a rating: restarts, kills, second tabs."""

from datetime import UTC, datetime

import pytest
from playwright.sync_api import Locator, Page, expect

from study import bank, queue, schedule
from study.schedule import Rating
from study.store import Review
from tests.browser.screen import Visit, in_chinese, keyed, plain, settled, source
from tests.browser.server import Serve, Server

pytestmark = pytest.mark.browser


def reveal_button(page: Page) -> Locator:
    return keyed(page, "reveal")


def rate(page: Page, key: str) -> None:
    """Turn the card on the table and rate it, by keyboard; returns when the page shows the next card."""
    expect(reveal_button(page)).to_be_visible()
    settled(page)
    page.keyboard.press("Space")
    expect(keyed(page, f"rate {key}")).to_be_visible()
    settled(page)
    page.keyboard.press(key)
    expect(reveal_button(page)).to_be_visible()


def front(page: Page) -> str:
    """What the card on the table asks."""
    return source(keyed(page, "card"))


def reviews(server: Server) -> list[Review]:
    """The ratings on disk."""
    store = server.memory()
    try:
        return store.reviews()
    finally:
        store.close()


def test_the_first_visitor_after_a_start_sees_the_language_and_progress_of_the_store(serve: Serve, visit: Visit):
    server = serve(language="zh")
    store = server.memory()
    store.rate("softmax-scaling", Rating.Good, datetime.now(UTC), "token")
    store.close()
    page = visit(server)
    expect(page.get_by_role("heading", name="三十五问，开口来答")).to_be_visible()
    expect(page.get_by_text("学习中")).to_have_count(1)


def test_three_cards_reviewed_by_keyboard_are_remembered_after_a_restart(serve: Serve, visit: Visit):
    server = serve()
    page = visit(server, "review")
    asked = []
    for key in "342":
        asked.append(front(page))
        rate(page, key)
    fourth = front(page)
    page.context.close()
    server.stop()
    kept = reviews(server)
    assert [review.rating for review in kept] == [Rating.Good, Rating.Easy, Rating.Hard]
    assert len({review.card for review in kept}) == 3

    server.start()
    again = visit(server, "review")
    assert front(again) == fourth
    assert fourth not in asked


def test_a_killed_server_loses_no_acknowledged_rating(serve: Serve, visit: Visit):
    server = serve()
    page = visit(server, "review")
    rate(page, "3")
    rate(page, "4")  # the page shows the next card: the rating is acknowledged
    server.kill()
    assert [review.rating for review in reviews(server)] == [Rating.Good, Rating.Easy]
    third = front(page)
    page.context.close()
    server.start()
    assert front(visit(server, "review")) == third


def test_u_takes_the_last_rating_back_and_lays_its_card_on_the_table(server: Server, visit: Visit):
    before = reviews(server)
    page = visit(server, "review")
    first = front(page)
    rate(page, "4")
    [mistaken] = reviews(server)[len(before) :]
    page.keyboard.press("u")
    expect(keyed(page, "rate 1")).to_be_visible()  # the answer is open, as it was
    settled(page)
    assert front(page).startswith(first)
    assert reviews(server) == before
    page.keyboard.press("2")
    expect(reveal_button(page)).to_be_visible()
    [review] = reviews(server)[len(before) :]
    assert (review.card, review.rating) == (mistaken.card, Rating.Hard)


def test_two_tabs_rating_the_same_card_leave_one_consistent_history(server: Server, visit: Visit):
    before = reviews(server)
    one, two = visit(server, "review"), visit(server, "review")
    assert front(one) == front(two)
    rate(one, "3")
    rate(two, "2")
    assert front(one) == front(two)
    store = server.memory()
    first, second = store.reviews()[len(before) :]
    memory = store.memories()[first.card]
    store.close()
    assert first.card == second.card
    assert (first.rating, second.rating) == (Rating.Good, Rating.Hard)
    assert first.at < second.at
    assert memory == schedule.replay([(review.rating, review.at) for review in (first, second)])

    one.keyboard.press("u")  # takes back its own rating, not the other tab's
    expect(keyed(one, "rate 1")).to_be_visible()
    assert reviews(server)[len(before) :] == [second]


def test_refresh_and_a_new_tab_go_on_where_the_learner_was(server: Server, visit: Visit):
    page = visit(server, "review")
    rate(page, "3")
    rate(page, "4")
    third = front(page)
    page.reload()
    settled(page)
    assert front(page) == third
    tab = page.context.new_page()
    tab.goto(page.url)
    settled(tab)
    assert front(tab) == third


def test_switching_the_language_keeps_the_card_and_its_open_answer(serve: Serve, visit: Visit):
    server = serve()
    cards = queue.cards(bank.load().questions)
    page = visit(server, "review")
    shown = {card.id for card in queue.new(cards, {}, len(cards)) if front(page).endswith(plain(card.front.en))}
    page.keyboard.press("Space")
    expect(keyed(page, "rate 3")).to_be_visible()
    in_chinese(page)
    [card] = [card for card in cards if card.id in shown]
    assert plain(card.front.zh) in front(page)
    assert plain(card.back.zh) in front(page)
    page.keyboard.press("3")
    expect(reveal_button(page)).to_be_visible()
    assert [review.card for review in reviews(server)] == [card.id]
    page.reload()
    settled(page)
    expect(page.get_by_test_id("stMain").get_by_role("heading", level=1)).to_have_text("复习")  # a setting, too
