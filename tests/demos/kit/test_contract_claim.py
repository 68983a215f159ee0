"""When a claim holds: the truth table, with tolerances and NaN."""

import itertools
import math

import pytest

from demos.kit.contract import Claim, Relation
from language import same

NAN, INF = math.nan, math.inf


def holds(measured: float, relation: Relation, expected: float, tolerance: float = 0.0) -> bool:
    return Claim("c", same("s"), measured, relation, expected, same("b"), tolerance).holds


@pytest.mark.parametrize(
    ("relation", "below", "equal", "above"),
    [
        ("=", False, True, False),
        ("<", True, False, False),
        ("<=", True, True, False),
        (">", False, False, True),
        (">=", False, True, True),
    ],
)
def test_each_relation_without_tolerance(relation: Relation, below: bool, equal: bool, above: bool):
    assert [holds(measured, relation, 2.0) for measured in (1.0, 2.0, 3.0)] == [below, equal, above]


@pytest.mark.parametrize(
    ("relation", "verdicts"),
    [
        ("=", [False, True, True, True, False]),
        ("<", [True, True, True, False, False]),
        ("<=", [True, True, True, True, False]),
        (">", [False, False, True, True, True]),
        (">=", [False, True, True, True, True]),
    ],
)
def test_a_tolerance_widens_the_bound_on_its_own_side(relation: Relation, verdicts: list[bool]):
    measured = (1.0, 1.5, 2.0, 2.5, 3.0)  # expected 2 ± ½, exact in binary
    assert [holds(value, relation, 2.0, 0.5) for value in measured] == verdicts


@pytest.mark.parametrize("relation", ["=", "<", "<=", ">", ">="])
def test_nan_agrees_with_nothing_but_an_expected_nan(relation: Relation):
    for measured, expected in itertools.product((NAN, 0.0, INF), repeat=2):
        if math.isnan(measured) or math.isnan(expected):
            right = relation == "=" and math.isnan(measured) and math.isnan(expected)
            assert holds(measured, relation, expected) is right
            assert holds(measured, relation, expected, INF) is right


def test_infinity_equals_itself_only():
    assert holds(INF, "=", INF)
    assert holds(-INF, "=", -INF)
    assert not holds(INF, "=", -INF)
    assert not holds(INF, "=", 1e30, 1e30)
    assert holds(1e30, "<", INF)


def test_an_unknown_tolerance_makes_no_claim_true():
    assert not holds(1.0, "=", 2.0, NAN)
    assert not holds(1.0, "<", 2.0, NAN)
