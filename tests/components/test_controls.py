"""How wide a choice is drawn, so that its options stand beside each other without wrapping."""

import pytest

from components.controls import is_wide
from demos.kit.knobs import Choice, Switch
from language import Text, same


def choice(*options: Text) -> Choice:
    return Choice({str(place): option for place, option in enumerate(options)}, label=same("Choice"))


@pytest.mark.parametrize(
    ("knob", "wide"),
    [
        (choice(same("Q"), same("K"), same("V")), False),
        (choice(same("zeros"), same("fewer bits"), same("fewer channels")), True),
        (
            choice(Text("a", "清晨，河水流过安静的村庄"), Text("b", "猫头鹰说，夜里很长")),
            True,
        ),  # the longer language counts
        (choice(*(same("a rather long name of an option") for _ in range(3))), False),  # a select box
        (choice(*(same("zeros") for _ in range(5))), False),  # a select box
        (Switch(label=same("Switch")), False),
    ],
)
def test_a_choice_takes_two_cells_when_its_options_need_them(knob: Choice | Switch, wide: bool):
    assert is_wide(knob) == wide
