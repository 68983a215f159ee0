"""The layer that learns to copy from 3 back, and the same layer at angles of one's own choice."""

import pytest
import torch

from demos.kit import position_schemes
from demos.kit.copying_task import model, train
from demos.kit.lab import Lab, Stopped
from demos.kit.rotary import name_symbols, rotate
from language import Text

LAB = Lab(torch.device("cpu"))
THETA = position_schemes.frequencies(16, 10_000)


def weights() -> dict[str, torch.Tensor]:
    generator = LAB.generator(5)
    shapes = {"symbols": (16, 64), "projections": (64, 192), "output": (64, 64), "symbols_out": (64, 16)}
    drawn = {name: torch.randn(*shape, generator=generator) / 8 for name, shape in shapes.items()}
    return drawn | {"table": torch.zeros(512, 64), "bias": torch.zeros(4, 32)}


def test_the_layer_cannot_see_the_future_or_past_its_window():
    symbols = torch.randint(16, (1, 20), generator=LAB.generator(6))
    changed = symbols.clone()
    changed[0, 10] = (changed[0, 10] + 1) % 16
    before, after = (model(weights(), each, "rope", window=4) for each in (symbols, changed))
    assert (before != after).any(-1)[0].nonzero().flatten().tolist() == [10, 11, 12, 13]


def test_rotating_complex_numbers_is_the_rope_of_the_formulas():
    x, positions = torch.randn(7, 16, generator=LAB.generator(1)), torch.arange(7)
    turned = rotate(x, positions.unsqueeze(-1) * THETA)
    torch.testing.assert_close(turned, position_schemes.rotate(x, positions))


@pytest.mark.parametrize("interpolation", [1, 4])
def test_the_layer_at_given_angles_is_the_layer_that_was_trained(interpolation: int):
    symbols = torch.randint(16, (2, 40), generator=LAB.generator(6))
    expected = model(weights(), symbols, "rope", interpolation, 20)
    named = name_symbols(weights(), symbols, THETA / interpolation, 4, 20)
    torch.testing.assert_close(named, expected, atol=1e-4, rtol=1e-4)


def test_a_training_stops_when_the_learner_leaves():
    def leave(_fraction: float, _note: Text | None) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        train(Lab(torch.device("cpu"), leave), "rope", 77)
