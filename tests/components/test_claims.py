"""How a measured number is written beside the one theory gives."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from components.claims import number

PLAIN = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻−", "0123456789--", ",")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.0, "0"),
        (1.0, "1"),
        (64.0, "64"),
        (-2.5, "−2.5"),
        (18_914_304.0, "18,914,304"),
        (16_384.5, "1.6×10⁴"),
        (0.59149, "0.5915"),
        (3.69451, "3.695"),
        (0.001, "0.001"),
        (0.00042, "4.2×10⁻⁴"),
        (-1.5e-7, "−1.5×10⁻⁷"),
        (1e-300, "1.0×10⁻³⁰⁰"),
        (3.4e38, "3.4×10³⁸"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (math.nan, "NaN"),
    ],
)
def test_a_number_has_four_digits_and_what_is_tiny_or_huge_a_power_of_ten(value: float, written: str):
    assert number(value) == written


@given(st.floats(-1e300, 1e300))
@example(10_000.0)
@example(123_456.0)
@example(999_999.9)
def test_what_is_written_is_the_value_within_its_digits_and_no_programmers_notation(value: float):
    written = number(value)
    assert "e" not in written
    plain = written.translate(PLAIN).replace("×10", "e")
    assert math.isclose(float(plain), value, rel_tol=0.06 if "×" in written else 6e-4)
