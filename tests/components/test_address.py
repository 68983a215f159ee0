"""Addresses: what a demo's state writes into the address, the address gives back, and strangers' links do no harm."""

import dataclasses
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components import address
from demos.kit import catalogue, knobs
from demos.kit.knobs import Choice, Knob, Range, Spaced, Switch, Table, Words

NAMES = catalogue.names()
few = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the first loads torch


def allowed(knob: Knob, default: Any) -> st.SearchStrategy[Any]:
    """Every value that the control of `knob` can show, as the type of its default."""
    match knob:
        case Range():
            steps = round((knob.high - knob.low) / knob.step)
            found = st.integers(0, steps).map(lambda step: round(knob.low + step * knob.step, 9))
        case Spaced():
            found = st.sampled_from(knob.values)
        case Words():
            found = st.text(max_size=knob.longest)
        case Table():
            cell = st.integers(0, round((knob.high - knob.low) / knob.step)).map(
                lambda step: round(knob.low + step * knob.step, 9)
            )
            found = st.tuples(*[st.tuples(*[cell] * knob.columns)] * knob.rows)
        case Choice() | Switch():
            found = st.sampled_from(knob.edges())
        case _:
            raise TypeError(knob)
    return found.map(type(default))


def states(name: str) -> st.SearchStrategy[Any]:
    params = catalogue.load(name).params
    fields = {field: allowed(knob, getattr(params, field)) for field, knob in knobs.knobs_of(params).items()}
    return st.builds(params, **fields)


def read(name: str, raw: dict[str, str]) -> tuple[Any, list[knobs.Notice]]:
    fields = {key.removeprefix(f"{name}."): value for key, value in raw.items()}
    return knobs.read(catalogue.load(name).params, fields)


@pytest.mark.parametrize("name", NAMES)
@few
@given(data=st.data())
def test_every_state_of_every_demo_survives_the_way_through_its_address(name: str, data: st.DataObject):
    params = data.draw(states(name))
    assert read(name, address.state(name, params)) == (params, [])


@pytest.mark.parametrize("name", NAMES)
@few
@given(data=st.data())
def test_a_shared_link_holds_the_page_the_language_and_the_state(name: str, data: st.DataObject):
    params = data.draw(states(name))
    link = address.link({"demo": name}, name, params, "zh")
    query = dict(parse_qsl(link.partition("?")[2], keep_blank_values=True, strict_parsing=True))
    assert query.pop("demo") == name
    assert query.pop("lang") == "zh"
    assert read(name, query) == (params, [])


@pytest.mark.parametrize("name", NAMES)
@few
@given(data=st.data())
def test_whatever_stands_in_a_link_the_state_is_one_that_the_controls_can_show(name: str, data: st.DataObject):
    kind = catalogue.load(name).params
    fields = sorted(knobs.knobs_of(kind))
    odd = st.text(max_size=12) | st.floats().map(str) | st.integers().map(str) | st.just("9" * 400)
    params, notices = knobs.read(kind, data.draw(st.dictionaries(st.sampled_from(fields), odd)))
    for field, knob in knobs.knobs_of(kind).items():
        value = getattr(params, field)
        assert type(value) is type(getattr(kind, field))
        assert knob.allows(value), f"{field} = {value!r}"
    assert len(notices) <= len(fields)


@pytest.mark.parametrize("name", NAMES)
def test_the_defaults_need_no_address(name: str):
    assert address.state(name, catalogue.load(name).params()) == {}


def test_only_what_differs_from_the_defaults_is_written():
    params = dataclasses.replace(catalogue.load("softmax_scaling").params(), key_width=512)
    assert address.state("softmax_scaling", params) == {"softmax_scaling.key_width": "512"}
