"""Theory and oracles for the comparison of position encodings."""

from types import SimpleNamespace
from typing import cast

import pytest
import torch

from demos import position_encodings as demo
from demos.kit.contract import Impossible
from demos.kit.lab import Lab
from demos.position_encodings import Params

LAB = Lab(torch.device("cpu"))


def test_a_learned_table_has_no_row_beyond_its_end():
    assert not demo.has_row(torch.zeros(8, 2), 8)
    assert demo.has_row(torch.zeros(8, 2), 7)
    with pytest.raises(Impossible, match="512 rows"):
        demo.shift_test(Params(scheme="learned", shift=450), LAB)
    demo.shift_test(Params(scheme="learned", shift=440), LAB)


@pytest.mark.parametrize(("accuracy", "option"), [(0.07, "chance"), (0.5, "part"), (1.0, "all")])
def test_the_prediction_answers_from_the_measured_accuracy(accuracy: float, option: str):
    measured = SimpleNamespace(rope_accuracy=torch.full((253,), accuracy))
    assert demo.right_option(cast(demo.Result, measured)) == option
