"""The route of the figures: a moved slider fetches what the page would draw, and a stranger's query does no harm."""

import json
from typing import Any

import pytest
import torch
from starlette.applications import Starlette
from starlette.testclient import TestClient

from components import live_figures
from components.chart import drawings
from components.drawing import written
from demos.kit import catalogue, runner, stage
from demos.kit.lab import Lab
from demos.softmax_scaling import WIDTHS, Params
from language import Language


@pytest.fixture
def client() -> TestClient:
    """A server with this route alone."""
    return TestClient(Starlette(routes=[live_figures.route()]))


@pytest.fixture
def lab() -> Lab:
    """A lab on the CPU."""
    return Lab(torch.device("cpu"))


def get(client: TestClient, demo: str = "softmax_scaling", language: str = "en", **knobs: Any) -> Any:
    """The answer for the state `knobs` of `demo` on the CPU."""
    return client.get(live_figures.address(demo, language, "cpu"), params=knobs)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_figures_are_those_of_the_page(client: TestClient, lab: Lab, language: Language):
    demo = catalogue.load("softmax_scaling")
    pictures = runner.run(demo, Params(key_width=16), lab).pictures
    answer = get(client, language=language, key_width=16)
    assert answer.status_code == 200
    assert answer.json() == json.loads(written(drawings(pictures, language)))
    assert answer.json() != get(client, language=language, key_width=64).json()


def test_a_bad_value_is_clamped_and_a_strange_name_ignored(client: TestClient):
    assert get(client, key_width="1e99").json() == get(client, key_width=max(WIDTHS), nonsense="<script>").json()
    assert get(client, key_width="rubbish").json() == get(client).json()


@pytest.mark.parametrize("demo", ["nonsense", "kit", "__init__", "..%2Fapp"])
def test_what_is_no_demo_is_not_found(client: TestClient, demo: str):
    assert get(client, demo).status_code == 404


def test_an_unknown_language_is_not_found(client: TestClient):
    assert get(client, language="xx").status_code == 404


def test_what_trains_for_long_is_left_to_the_page_and_comes_alone_afterwards(client: TestClient, lab: Lab, monkeypatch):
    monkeypatch.setattr(live_figures, "SHORT", 0.0)
    stage.forget("demos.query_key_projection")
    assert get(client, "query_key_projection").status_code == 204
    demo = catalogue.load("query_key_projection")
    runner.run(demo, demo.params(), lab)
    assert get(client, "query_key_projection").status_code == 200


def test_a_short_training_does_not_wait_for_the_page(client: TestClient, monkeypatch):
    monkeypatch.setattr(live_figures, "SHORT", 60.0)
    stage.forget("demos.query_key_projection")
    assert get(client, "query_key_projection").status_code == 200


def test_a_state_that_cannot_be_drawn_is_left_to_the_page_which_says_why(client: TestClient):
    assert get(client, "cross_attention", digits="no digits").status_code == 204
