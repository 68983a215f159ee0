"""Settings are kept at once and change the other screens."""

from typing import Any

import pytest

from study import bank
from tests.views.conftest import Visit
from tests.views.screen import charts, keys, words


def kept(store, key: str) -> Any:
    with store() as opened:
        return opened.preference(key)


@pytest.mark.parametrize("name", ["show_answers", "predict_first"])
def test_a_switch_is_on_disk_at_once_and_the_next_tab_shows_it(visit: Visit, store, name: str):
    page = visit("settings")
    before = page.toggle(key=f"setting {name}").value
    page.toggle(key=f"setting {name}").set_value(not before).run()
    assert kept(store, name) is (not before)
    assert visit("settings").toggle(key=f"setting {name}").value is (not before)


def test_the_number_of_new_cards_is_kept_and_holds_in_review(visit: Visit, store):
    visit("settings").slider(key="setting new_cards").set_value(3).run()
    assert kept(store, "new_cards") == 3
    assert "3 new" in visit("review").get("progress")[0].proto.text


def test_the_language_is_kept_and_the_switch_above_agrees(visit: Visit, store):
    page = visit("settings").radio(key="setting language").set_value("zh").run()
    assert kept(store, "language") == "zh"
    assert page.segmented_control(key="language switch").value == "zh"
    assert "学习记录保存在" in words(page)


def test_answers_shown_at_once_need_no_button(visit: Visit):
    visit("settings").toggle(key="setting show_answers").set_value(True).run()
    question = bank.load().by_number(4)
    assert question
    page = visit("question", number="4")
    assert question.short.en in words(page)
    assert not {key for key in keys(page) if key.startswith(question.id)}


def test_without_prediction_a_demo_runs_at_once(visit: Visit):
    visit("settings").toggle(key="setting predict_first").set_value(False).run()
    assert charts(visit("lab", demo="softmax_scaling"))


def test_the_processor_can_always_be_chosen(visit: Visit, store):
    page = visit("settings")
    assert page.selectbox(key="setting device").value == "auto"
    page.selectbox(key="setting device").set_value("cpu").run()
    assert kept(store, "device") == "cpu"


def test_a_device_that_is_gone_falls_back_to_automatic(visit: Visit, store):
    with store() as opened:
        opened.set_preference("device", "cuda:7")
    assert visit("settings").selectbox(key="setting device").value == "auto"
    assert charts(visit("lab", demo="softmax_scaling", **{"softmax_scaling.seed": "1"}))


@pytest.mark.parametrize(("name", "value"), [("new_cards", "many"), ("show_answers", 1), ("new_cards", 10_000)])
def test_a_kept_value_of_another_kind_or_size_is_not_trusted(visit: Visit, store, name: str, value: object):
    with store() as opened:
        opened.set_preference(name, value)
    assert words(visit("settings"))


def test_the_page_says_where_the_memory_is_kept(visit: Visit, data):
    assert str(data / "viva.db") in words(visit("settings"))
