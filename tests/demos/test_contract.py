"""The same questions to every demo. A demo is one file, so nothing is listed here: what the catalogue finds is asked.

A demo that trains something takes seconds per state. The everyday run looks at its states (defaults, presets, edges)
until `PATIENCE` is used up and says what it left; `pytest -m sweep` looks at all of them.
"""

import math
import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

from demos.kit import catalogue, device, knobs, runner
from demos.kit.contract import Demo, Picture, Prediction
from demos.kit.lab import Lab
from demos.kit.stage import forget
from language import LANGUAGES, Text, resolved
from questions.__main__ import Demos
from study import bank
from study.question import Bank, Question
from tests.demos.watch import (
    CPU,
    Look,
    changes,
    differences,
    digest,
    look,
    picture_faults,
    tensor_faults,
    text_faults,
    watch,
)

NAMES, BANK = catalogue.names(), bank.load()
PATIENCE = 2.5  # seconds of computing per demo in the everyday run; at least the defaults are always looked at
BY_HEART = 1.0  # seconds: a slower default state is recomputed by the sweep only
ACCELERATORS = [name for name in device.available() if name != "cpu"]
CUDA_WARNS = pytest.mark.filterwarnings(  # of what is slower or set up late, not of what is wrong
    "ignore:Attempting to run cuBLAS, but there was no current CUDA context",
    "ignore:RNN module weights are not part of single contiguous chunk",
)
SHORT_OF_A_GPU = pytest.mark.skipif(not ACCELERATORS, reason="no CUDA or MPS device here; run on a machine with one")


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def demo(name: str) -> Demo:
    return catalogue.load(name)


@pytest.fixture(
    params=[
        pytest.param(PATIENCE, id="everyday"),
        pytest.param(math.inf, id="sweep", marks=[pytest.mark.sweep, pytest.mark.timeout(1500)]),
    ]
)
def patience(request: pytest.FixtureRequest) -> float:
    return request.param


def say_what_was_left(states: int) -> None:
    if states:
        pytest.skip(f"the rest holds; {states} slow states are left to `pytest -m sweep`")


def test_there_are_demos():
    assert "softmax_scaling" in NAMES


def test_defaults_presets_and_edges_are_allowed_by_their_knobs(demo: Demo):
    declared = knobs.knobs_of(demo.params)
    presets = [preset.params for preset in demo.presets]
    for params in [demo.params(), *presets, *knobs.edge_states(demo.params)]:
        for field, knob in declared.items():
            value = getattr(params, field)
            assert type(value) is type(getattr(demo.params(), field)), (field, value)
            assert knob.allows(value), f"{field} cannot be {value!r}"
            assert knob.when is None or knob.when[0] in declared, f"{field} waits for a knob that does not exist"


def test_every_preset_is_a_link_that_leads_back_to_it(demo: Demo):
    assert demo.presets
    for preset in demo.presets:
        link = {field: knobs.as_query(getattr(preset.params, field)) for field in knobs.knobs_of(demo.params)}
        assert knobs.read(demo.params, link) == (preset.params, [])


def test_the_words_around_a_demo_are_written_in_both_languages(demo: Demo):
    faults = text_faults(demo.title, "title") + text_faults(demo.summary, "summary")
    faults += text_faults(demo.prediction.ask, "question") + text_faults(demo.prediction.because, "explanation")
    for preset in demo.presets:
        faults += [f"preset label {preset.label}"] * (not preset.label.en or not preset.label.zh)
    for field, knob in knobs.knobs_of(demo.params).items():
        faults += [f"label of {field}"] * (not knob.label.en or not knob.label.zh)
    assert faults == []
    assert len(demo.prediction.options) >= 2


def test_the_defaults_and_presets_show_figures_and_make_claims(name: str, patience: float):
    assert look(name).at(look(name).demo.params()).problem is None
    for params in [look(name).demo.params(), *[preset.params for preset in look(name).demo.presets]]:
        seen = look(name).seen.get(params) or (look(name).at(params) if look(name).spent < patience else None)
        if seen is not None and seen.problem is None:
            assert seen.claims, params
            assert seen.data != digest([]), params


@pytest.mark.parametrize("question", BANK.questions, ids=lambda question: f"{question.number:02}")
def test_what_a_question_says_of_its_demo_is_there(question: Question):
    """Asked here, where the stages of the states that it links to are remembered."""
    alone = Bank((question,), BANK.topics, ())
    assert [str(problem) for problem in bank.link_problems(alone, Demos())] == []


def test_claims_hold_and_are_finite_at_every_edge(name: str, patience: float):
    wrong = []
    for params, seen in look(name).each(patience):
        for claim in seen.claims:
            expects_nan = claim.relation == "=" and math.isnan(claim.expected)
            if not claim.holds or not (expects_nan or math.isfinite(claim.measured)) or not claim.tolerance >= 0:
                row = (claim.id, claim.measured, claim.relation, claim.expected, claim.tolerance)
                wrong.append(f"{row} at {params}")
    assert wrong == []
    say_what_was_left(look(name).left(patience))


def test_claims_have_unique_snake_case_ids_and_sentences_in_both_languages(name: str, patience: float):
    for _, seen in look(name).each(patience):
        ids = [claim.id for claim in seen.claims]
        assert len(set(ids)) == len(ids), ids
        for claim in seen.claims:
            assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", claim.id), claim.id
            assert all(
                text.strip() for text in (claim.sentence.en, claim.sentence.zh, claim.because.en, claim.because.zh)
            )


def test_pictures_tensors_and_random_numbers_are_in_order_in_every_state(name: str, patience: float):
    faults = {fault: params for params, seen in look(name).each(patience) for fault in seen.faults}
    assert faults == {}
    say_what_was_left(look(name).left(patience))


def test_the_right_option_of_the_prediction_is_one_of_its_options_in_every_state(name: str, patience: float):
    prediction: Prediction = look(name).demo.prediction
    for params, seen in look(name).each(patience):
        assert seen.problem is not None or seen.right_option in prediction.options, params


def test_two_runs_with_nothing_remembered_show_the_same(name: str, patience: float):
    first = look(name).at(look(name).demo.params())
    if first.seconds > BY_HEART and patience != math.inf:
        pytest.skip(f"one run takes {first.seconds:.0f} s; `pytest -m sweep` repeats it")
    for file in (f"demos.{name}", *(file.__name__ for file in look(name).demo.shows)):
        forget(file)
    assert watch(look(name).demo, look(name).demo.params()).whole == first.whole


def test_every_knob_changes_what_the_learner_sees(name: str, patience: float):
    untried = []
    for field, knob in knobs.knobs_of(look(name).demo.params).items():
        verdict = changes(look(name), field, knob, patience)
        assert verdict is not False, f"{field}: figures and claims are the same at {knob.edges()}"
        untried += [field] * (verdict is None)
    say_what_was_left(len(untried))


def test_plotly_accepts_every_figure_in_both_languages(name: str, patience: float):
    """Everyday the figures of the defaults; in the sweep those of every state."""
    demo = look(name).demo
    everywhere = look(name).states() if patience == math.inf else []
    of_states = (runner.run(demo, params, Lab(CPU)).pictures for params in everywhere)
    for pictures in (look(name).at(demo.params()).pictures, *of_states):
        assert len({picture.id for picture in pictures}) == len(pictures)
        for picture in pictures:
            for language in LANGUAGES:
                assert go.Figure(resolved(picture.figure, language)).data, picture.id


def test_the_code_on_show_is_the_code_of_the_run(name: str):
    assert "def compute" in catalogue.source(name)


def test_importing_a_demo_computes_nothing():
    """One fresh interpreter imports them all and counts the tensor operations of each."""
    code = """
import sys, torch
from torch.utils._python_dispatch import TorchDispatchMode
from demos.kit import catalogue

class Count(TorchDispatchMode):
    called = []
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.called.append(str(function))
        return function(*args, **(kwargs or {}))

state = torch.get_rng_state()
for name in catalogue.names():
    Count.called.clear()
    with Count():
        catalogue.load(name)
    if Count.called:
        print(name, Count.called[:5])
print("random numbers drawn" if not torch.equal(state, torch.get_rng_state()) else "quiet")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["quiet"]


@pytest.mark.gpu
@SHORT_OF_A_GPU
@CUDA_WARNS
def test_a_gpu_shows_what_the_cpu_shows(name: str, demo: Demo):
    presets = [preset.params for preset in demo.presets]
    for params in dict.fromkeys([demo.params(), *presets]):
        here = runner.run(demo, params, Lab(CPU))
        there = runner.run(demo, params, Lab(torch.device(ACCELERATORS[0])))
        assert differences(here, there) == [], (name, params)


@pytest.mark.gpu
@SHORT_OF_A_GPU
@CUDA_WARNS
def test_every_claim_holds_on_a_gpu_in_every_state(name: str, demo: Demo):
    lab = Lab(torch.device(ACCELERATORS[0]))
    for params in look(name).states():
        outcome = runner.run(demo, params, lab)
        assert [claim for claim in outcome.claims if not claim.holds] == [], params


def test_the_comparison_of_devices_notices_a_difference():
    demo = catalogue.load("softmax_scaling")
    small, large = (runner.run(demo, demo.params(key_width=width), Lab(CPU)) for width in (64, 128))
    assert differences(small, small) == []
    assert differences(small, large) != []


def test_the_watch_notices_process_wide_random_numbers_and_graphs():
    demo = catalogue.load("softmax_scaling")

    def careless(params: Any, lab: Lab) -> Any:
        torch.rand(1)
        return demo.compute(params, lab)

    assert watch(demo, demo.params()).faults == []
    assert watch(replace(demo, compute=careless), demo.params()).faults == ["it drew from process-wide random numbers"]
    assert tensor_faults([torch.ones(1, requires_grad=True)]) == ["a tensor of the result requires grad"]


def test_the_watch_notices_a_knob_that_does_nothing():
    demo = catalogue.load("softmax_scaling")
    deaf = replace(demo, compute=lambda params, lab: demo.compute(replace(params, correlation=0.0), lab))
    knob = knobs.knobs_of(demo.params)["correlation"]
    assert changes(Look("softmax_scaling", demo, {}), "correlation", knob, math.inf) is True
    assert changes(Look("softmax_scaling", deaf, {}), "correlation", knob, math.inf) is False


def test_the_watch_notices_a_picture_in_one_language_or_with_nothing_to_see():
    title = Text("Weights", "权重")
    fine = Picture("p", title, title, {"data": [{"x": [1.0]}], "layout": {}})
    assert picture_faults(fine) == []
    assert picture_faults(replace(fine, title=Text("Weights", "Weights"))) == ["title is not written in both languages"]
    assert picture_faults(replace(fine, figure={"data": []})) == ["it draws nothing"]
    assert picture_faults(replace(fine, figure={"data": [torch.ones(1)]})) != []
    assert picture_faults(replace(fine, figure={"data": [np.array([title])]})) == [
        "a Text is out of reach of `resolved`"
    ]
