"""Lab: every demo, its knobs and its claims; every state of it is a link."""

import dataclasses
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from demos.kit import catalogue, knobs
from language import LANGUAGES, Language
from tests.views.conftest import Visit
from tests.views.screen import charts, keys, labelled, links, ranges, words

DEMO = "softmax_scaling"
NAMES = catalogue.names()
QUICK = [name for name in NAMES if not catalogue.brings_the_compiler(name)]  # the browser visits all of them


@pytest.fixture
def opened(visit: Visit, store):
    """Open a demo with the prediction turned off."""
    with store() as kept:
        kept.set_preference("predict_first", False)
    return lambda name=DEMO, language="en", **query: visit("lab", language, demo=name, **query)


def knob(page: AppTest, key: str) -> dict[str, Any]:
    """The label and value of the control with this key, whatever its kind."""
    kinds = (page.selectbox, page.segmented_control, page.toggle, page.text_input)
    native = {widget.key: {"label": widget.label, "value": widget.value} for kind in kinds for widget in kind}
    return {**native, **ranges(page)}[key]


def turn(page: AppTest, field: str, value: object) -> AppTest:
    """What the control of a knob does when the browser reports `value`."""
    page.session_state[f"params {DEMO}"] = dataclasses.replace(page.session_state[f"params {DEMO}"], **{field: value})
    return page.run()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_gallery_shows_every_demo_and_leads_to_it(visit: Visit, language: Language):
    page = visit("lab", language)
    seen, targets = words(page), [link.proto.query_string for link in page.get("page_link")]
    for name in NAMES:
        assert catalogue.load(name).title.in_(language) in seen
        assert f"demo={name}" in targets


@pytest.mark.parametrize("name", [*QUICK, "causal_mask"])
def test_a_demo_draws_its_figures_its_claims_and_its_code_in_both_languages(opened, name: str):
    page = opened(name, "en")
    for language in LANGUAGES:
        page.segmented_control(key="language switch").set_value(language).run()
        assert catalogue.load(name).summary.in_(language) in words(page)
        assert charts(page)
        assert all(chart["alt"] and chart["title"] for chart in charts(page))
        assert ":material/check_circle:" in words(page)
        assert ":material/cancel:" not in words(page)
        assert any("def compute" in code.value for code in page.code)
        assert f"demo={name}&lang={language}" in words(page)


@pytest.mark.parametrize("given", ["nonsense", "../app", "kit", "softmax_scaling.py", "`x`", "<b>", "a" * 5000])
def test_an_unknown_demo_is_said_and_the_gallery_shown(visit: Visit, given: str):
    page = visit("lab", demo=given)
    assert "There is no demo" in page.warning[0].value
    assert f"demo={NAMES[0]}" in [link.proto.query_string for link in page.get("page_link")]


def test_a_demo_leads_to_the_question_it_proves(opened):
    assert "question?number=4" in links(opened()).values()


def test_a_turned_knob_stands_in_the_address_and_a_knob_at_its_default_does_not(opened):
    page = opened()
    turn(page, "key_width", 512)
    assert page.query_params[f"{DEMO}.key_width"] == "512"
    turn(page, "key_width", catalogue.load(DEMO).params().key_width)
    assert f"{DEMO}.key_width" not in page.query_params


def test_a_link_restores_the_state_and_shows_it_without_asking_for_a_prediction(visit: Visit):
    page = visit("lab", demo=DEMO, **{f"{DEMO}.key_width": "512", f"{DEMO}.scale": "sqrt"})
    assert knob(page, f"{DEMO}.key_width")["value"] == 512
    assert knob(page, f"{DEMO}.scale")["value"] == "sqrt"
    assert charts(page)
    assert not page.warning


@pytest.mark.parametrize(
    ("field", "given", "used"),
    [("key_width", "5000", 1024), ("key_width", "wide", 64), ("scale", "cube", "none"), ("seed", "-1", 0)],
)
def test_a_value_of_a_link_that_cannot_be_used_is_replaced_and_said(visit: Visit, field: str, given: str, used: object):
    page = visit("lab", demo=DEMO, **{f"{DEMO}.{field}": given})
    assert f"`{given}`" in page.warning[0].value
    assert knob(page, f"{DEMO}.{field}")["value"] == used
    assert not page.run().warning


def test_an_unknown_knob_in_a_link_changes_nothing(opened):
    page = opened(**{f"{DEMO}.nonsense": "1"})
    assert words(page)
    assert charts(page)


def test_reset_puts_every_knob_back(opened):
    page = opened(**{f"{DEMO}.key_width": "512", f"{DEMO}.seed": "3"})
    presets = page.pills(key=f"{DEMO} preset")
    presets.set_value(presets.options[-1]).run()
    defaults = catalogue.load(DEMO).params()
    assert page.session_state[f"params {DEMO}"] == defaults
    assert not [name for name in page.query_params if name.startswith(DEMO)]


def test_every_shown_knob_has_a_control_and_a_label_in_the_language_of_the_page(opened):
    params = catalogue.load(DEMO).params
    values = vars(params())
    for language in LANGUAGES:
        page = opened(language=language)
        for field, declared in knobs.knobs_of(params).items():
            if knobs.is_shown(declared, values):
                assert knob(page, f"{DEMO}.{field}")["label"] == declared.label.in_(language)


def test_the_prediction_hides_the_figures_until_the_learner_commits(visit: Visit):
    page = visit("lab", demo=DEMO)
    assert not charts(page)
    assert page.button(key=f"{DEMO} commit").disabled
    options = list(catalogue.load(DEMO).prediction.options)
    page.radio(key=f"{DEMO} guess").set_value(options[0]).run()
    page.button(key=f"{DEMO} commit").click().run()
    assert charts(page)
    assert "Right: " in words(page) or "You said" in words(page)


def test_one_option_of_the_prediction_is_right_and_the_others_are_not(visit: Visit):
    verdicts = []
    for option in catalogue.load(DEMO).prediction.options:
        page = visit("lab", demo=DEMO)
        page.radio(key=f"{DEMO} guess").set_value(option).run()
        page.button(key=f"{DEMO} commit").click().run()
        verdicts.append(bool(page.success))
    assert sum(verdicts) == 1


def test_the_prediction_can_be_skipped(visit: Visit):
    page = visit("lab", demo=DEMO)
    labelled(page, "Just show me").click().run()
    assert charts(page)
    assert f"{DEMO} skip" not in keys(page)
    assert "You said" not in words(page)


def test_the_language_switches_and_the_knobs_stay(opened):
    page = opened(**{f"{DEMO}.key_width": "512"})
    page.segmented_control(key="language switch").set_value("zh").run()
    assert knob(page, f"{DEMO}.key_width")["value"] == 512
    assert catalogue.load(DEMO).title.zh in words(page)
