"""Knobs read whatever a URL says: the result is always allowed, and a changed value is always told."""

import math
from dataclasses import dataclass, fields
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demos.kit import knobs
from demos.kit.knobs import Choice, Range, Spaced, Switch, Table, Words, powers_of_two
from language import Text, same


@dataclass(frozen=True)
class Params:
    """One knob of each kind."""

    keys: Annotated[int, Range(1, 32, label=Text("Keys", "key 数"))] = 8
    share: Annotated[float, Range(-0.5, 0.75, 0.05, label=Text("Share", "占比"))] = 0.5
    width: Annotated[int, Spaced(powers_of_two(1, 1024), label=Text("Width", "维度"))] = 64
    rate: Annotated[float, Spaced((1e-4, 0.001, 0.1, 3.0), label=Text("Rate", "学习率"))] = 0.1
    scale: Annotated[str, Choice({"none": same("1"), "sqrt": same("√d")}, label=Text("Scale", "缩放"))] = "none"
    causal: Annotated[bool, Switch(label=Text("Causal", "因果"))] = True
    words: Annotated[str, Words(12, ("the cat", "我爱学习"), label=Text("Words", "文字"))] = "the cat"
    matrix: Annotated[tuple, Table(2, 2, -3, 3, 0.5, label=Text("Matrix", "矩阵"))] = ((1.0, 0.0), (0.5, -1.0))
    heads: Annotated[int, Range(1, 4, label=Text("Heads", "头数"), when=("scale", ("sqrt",)))] = 2


KNOBS = knobs.knobs_of(Params)
NAMES = st.sampled_from([field.name for field in fields(Params)])
NUMBERS = st.one_of(st.integers().map(str), st.floats().map(str), st.floats(-2, 40).map(str))
TABLES = st.lists(st.lists(NUMBERS, max_size=3).map(",".join), max_size=3).map(";".join)
WORDS = st.sampled_from(
    ["1,0;0.5,-1", "true", "FALSE", "on", "none", "sqrt", "", " 4 ", "1_0", "1e400", "nan", "-inf", "٤", "0x10"]
)
RAW = st.dictionaries(NAMES, st.one_of(st.text(max_size=40), NUMBERS, TABLES, WORDS))


@settings(max_examples=150, deadline=None)
@given(RAW)
def test_any_url_gives_allowed_values_of_the_right_type(raw: dict[str, str]):
    params, _ = knobs.read(Params, raw)
    for name, knob in KNOBS.items():
        value = getattr(params, name)
        assert knob.allows(value), (name, value)
        assert type(value) is type(getattr(Params(), name))


@settings(max_examples=150, deadline=None)
@given(RAW)
def test_a_value_that_is_not_the_one_given_is_told(raw: dict[str, str]):
    params, notices = knobs.read(Params, raw)
    told = {notice.knob.en.lower(): notice for notice in notices}
    for name, given_value in raw.items():
        used = getattr(params, name)
        if name in told:
            assert (told[name].given, told[name].used) == (given_value, used)
        elif isinstance(used, str):
            assert given_value == used
        elif isinstance(used, tuple):
            cells = [tuple(map(float, row.split(","))) for row in given_value.split(";")]
            assert cells == [pytest.approx(row) for row in used]
        elif not isinstance(used, bool):
            assert math.isclose(float(given_value), used)
    assert set(told) <= set(raw)


@pytest.mark.parametrize(("given_value", "used"), [("1e99", 1024), ("-1e99", 1), ("-5", 1), ("60", 64)])
def test_a_spaced_knob_takes_the_nearest_of_its_values_however_far_off(given_value: str, used: int):
    assert knobs.read(Params, {"width": given_value})[0].width == used


@st.composite
def allowed(draw: st.DrawFn) -> Params:
    """Any state the controls can show."""
    values: dict[str, Any] = {}
    for name, knob in KNOBS.items():
        if isinstance(knob, Range):
            step = draw(st.integers(0, round((knob.high - knob.low) / knob.step)))
            values[name] = type(getattr(Params(), name))(round(knob.low + step * knob.step, 9))
        elif isinstance(knob, Spaced):
            values[name] = draw(st.sampled_from(knob.values))
        elif isinstance(knob, Words):
            values[name] = draw(st.text(max_size=knob.longest))
        elif isinstance(knob, Table):
            cells = st.integers(-6, 6).map(lambda step: step / 2)
            values[name] = draw(st.tuples(st.tuples(cells, cells), st.tuples(cells, cells)))
        else:
            values[name] = draw(st.sampled_from(knob.edges()))
    return Params(**values)


@settings(max_examples=150, deadline=None)
@given(allowed())
def test_a_state_survives_its_own_link(params: Params):
    link = {name: knobs.as_query(getattr(params, name)) for name in KNOBS}
    assert knobs.read(Params, link) == (params, [])


@pytest.mark.parametrize(
    ("name", "raw", "used"),
    [
        ("keys", "1000", 32),
        ("keys", "-3", 1),
        ("keys", "7.4", 7),
        ("share", "0.52", 0.5),
        ("share", "9", 0.75),
        ("width", "100", 128),
        ("width", "1e9", 1024),
        ("rate", "0", 1e-4),
        ("words", "a sentence that is too long", "a sentence t"),
        ("matrix", "9,0;0.5,-99", ((3.0, 0.0), (0.5, -3.0))),
        ("matrix", "0.3,0;0.5,-1", ((0.5, 0.0), (0.5, -1.0))),
        ("matrix", "1,0,7;0.5,-1;2,2", ((1.0, 0.0), (0.5, -1.0))),
        ("matrix", "2", ((2.0, 0.0), (0.0, 0.0))),
    ],
)
def test_a_value_out_of_reach_is_moved_to_the_nearest_with_a_notice(name: str, raw: str, used: Any):
    params, (notice,) = knobs.read(Params, {name: raw})
    assert getattr(params, name) == used
    assert (notice.knob, notice.given, notice.used) == (KNOBS[name].label, raw, used)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("matrix", "1,0;x,1"),
        ("matrix", "1,0;nan,1"),
        ("matrix", "1,0;;"),
        ("matrix", ""),
        ("keys", "many"),
        ("keys", ""),
        ("keys", "nan"),
        ("width", "inf"),
        ("scale", "SQRT"),
        ("causal", "perhaps"),
    ],
)
def test_a_value_that_makes_no_sense_becomes_the_default_with_a_notice(name: str, raw: str):
    params, notices = knobs.read(Params, {name: raw})
    assert params == Params()
    assert [notice.given for notice in notices] == [raw]


def test_other_spellings_of_the_same_value_need_no_notice():
    raw = {"keys": "8.0", "share": "0.50", "causal": "ON", "width": "64", "matrix": "1.0, 0;.5,-1e0"}
    assert knobs.read(Params, raw) == (Params(), [])


def test_names_that_are_no_knobs_are_left_alone():
    assert knobs.read(Params, {"lang": "zh", "demo": "softmax_scaling"}) == (Params(), [])


def test_edge_states_visit_every_edge_and_show_hidden_knobs():
    states = list(knobs.edge_states(Params))
    assert states[0] == Params()
    for name, knob in KNOBS.items():
        assert {getattr(state, name) for state in states} >= set(knob.edges())
    assert all(state.scale == "sqrt" for state in states if state.heads != 2)
    assert all(type(state.share) is float for state in states)


def test_a_hidden_knob_is_shown_by_the_value_it_asks_for():
    assert not knobs.is_shown(KNOBS["heads"], {"scale": "none"})
    assert knobs.is_shown(KNOBS["heads"], {"scale": "sqrt"})
    assert knobs.is_shown(KNOBS["keys"], {"scale": "none"})


def test_a_field_without_a_knob_is_an_error_that_names_it():
    @dataclass(frozen=True)
    class Bare:
        plain: int = 3

    with pytest.raises(TypeError, match=r"Bare\.plain needs one knob and a default"):
        knobs.knobs_of(Bare)


def test_powers_of_two_keep_to_their_bounds():
    assert powers_of_two(3, 32) == (4, 8, 16, 32)
    assert powers_of_two(1, 1) == (1,)


@pytest.mark.parametrize("name", ["keys", "share", "width", "rate"])
def test_a_slider_walks_over_every_allowed_value_and_names_each(name: str):
    knob = KNOBS[name]
    assert isinstance(knob, Range | Spaced)
    assert (knob.values[0], knob.values[-1]) == knob.edges()
    assert all(map(knob.allows, knob.values))
    assert len({knob.text(value) for value in knob.values}) == len(knob.values)


def test_a_slider_shows_its_values_with_the_unit_and_a_true_minus():
    assert Range(-1, 1, 0.25, unit="rad", label=same("x")).text(-0.5) == "−0.50 rad"
    assert Range(1, 4, unit="ms", label=same("x")).text(3) == "3 ms"
    assert Spaced((1e-5, 0.001, 65_536), label=same("x")).text(1e-5) == "1e−5"
    assert Spaced((1e-5, 0.001, 65_536), label=same("x")).text(65_536) == "65536"
