"""The softmax Jacobian and the sweep over widths, against PyTorch's norms and its autograd."""

import math
from typing import Any

import pytest
import torch

from demos import softmax_scaling as demo
from demos.kit.lab import Lab
from demos.softmax_scaling import WIDTHS, Params, Result

LAB = Lab(torch.device("cpu"))


def result(**knobs: Any) -> Result:
    return demo.compute(Params(**knobs), LAB)


@pytest.mark.parametrize("spread", [0.1, 1, 8, 32, 320])
def test_spectral_norms_are_largest_singular_values_even_of_saturated_weights(spread: float):
    for seed in range(20):
        weights = (spread * torch.randn(8, 64, generator=LAB.generator(seed))).softmax(-1)
        jacobian = torch.diag_embed(weights) - weights.unsqueeze(-1) * weights.unsqueeze(-2)
        expected = torch.linalg.matrix_norm(jacobian, ord=2).double()
        torch.testing.assert_close(demo.spectral_norms(weights), expected, atol=1e-6, rtol=0)


def test_two_equal_weights_have_a_jacobian_of_norm_one_half():
    assert demo.spectral_norms(torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])).tolist() == pytest.approx([0.5, 0.0])


@pytest.mark.parametrize("scaled", [False, True])
def test_gradients_of_the_sweep_are_those_of_autograd(scaled: bool):
    query, key, readout = demo.draw(LAB, 16, 0.2, 3)
    sweep = demo.sweeps(LAB, 16, 0.2, 3)[scaled]
    for place, width in enumerate(WIDTHS):
        q = query[..., :width].clone().requires_grad_()
        scores = q @ key[..., :width].mT * (1 / math.sqrt(width) if scaled else 1.0)
        (scores.softmax(-1) * readout).sum().backward()
        assert q.grad is not None
        size = q.grad.norm(dim=-1)
        torch.testing.assert_close(sweep.mean_gradient[place], size.mean(), rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(sweep.median_gradient[place], size.median(), rtol=1e-4, atol=1e-6)


def test_the_same_numbers_are_drawn_for_every_view_of_them():
    assert demo.draw(LAB, 8, 0.0, 1)[0] is demo.draw(LAB, 8, 0.0, 1)[0]
    assert not torch.equal(result(seed=1).raw_scores, result(seed=2).raw_scores)
