"""How the rating buttons say a length of time."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.flashcard import interval
from language import Text

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("length", "en", "zh"),
    [
        (timedelta(0), "< 1 min", "不到 1 分钟"),
        (timedelta(seconds=-5), "< 1 min", "不到 1 分钟"),
        (timedelta(seconds=40), "< 1 min", "不到 1 分钟"),
        (MINUTE, "1 min", "1 分钟"),
        (10 * MINUTE, "10 min", "10 分钟"),
        (59 * MINUTE, "1 h", "1 小时"),
        (HOUR, "1 h", "1 小时"),
        (5 * HOUR, "5 h", "5 小时"),
        (DAY, "1 d", "1 天"),
        (8 * DAY, "8 d", "8 天"),
        (45 * DAY, "1.5 mo", "1.5 个月"),
        (730 * DAY, "2.0 y", "2.0 年"),
    ],
)
def test_a_length_of_time_is_said_in_its_largest_unit(length: timedelta, en: str, zh: str):
    assert interval(length) == Text(en, zh)


@given(st.timedeltas(min_value=MINUTE, max_value=36500 * DAY))
def test_what_is_said_is_the_length_within_a_twentieth_or_half_a_unit(length: timedelta):
    number, unit = interval(length).en.split()
    size = {"min": MINUTE, "h": HOUR, "d": DAY, "mo": 30 * DAY, "y": 365 * DAY}[unit]
    half = 0.05 if "." in number else 0.5
    assert abs(length / size - float(number)) <= half + 1e-9
    assert length >= 0.95 * size


@given(st.timedeltas(min_value=timedelta(0), max_value=36500 * DAY))
def test_no_number_is_large_enough_for_the_next_unit(length: timedelta):
    said = interval(length).en
    limits = {"min": 60, "h": 24, "d": 30, "mo": 12.2}
    number, unit = said.removeprefix("< ").split()
    assert float(number) <= limits.get(unit, 200)
