"""Theory and oracles for the demo of separate and shared projections."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from demos import query_key_projection as demo
from demos.kit.lab import Lab
from demos.query_key_projection import Params, Result, best_on_ring

LAB = Lab(torch.device("cpu"))


def result(**knobs: Any) -> Result:
    return demo.compute(Params(**knobs), LAB)


def claimed(**knobs: Any) -> dict[str, float]:
    return {claim.id: claim.measured for claim in demo.claims(result(**knobs))}


@pytest.mark.parametrize("tokens", range(4, 25))
def test_one_cosine_is_the_optimum_of_the_convex_problem(tokens: int):
    """No other frequency, raised from 0, lowers the loss: its slope E_A[cos f] − cos f(1) is not negative."""
    away = torch.arange(tokens, dtype=torch.float64)
    cosines = (2 * math.pi / tokens * torch.outer(away[: tokens // 2 + 1], away)).cos()  # (frequency, steps away)
    slopes = cosines @ best_on_ring(tokens) - cosines[:, 1]
    assert slopes.min() > -1e-9
    assert slopes[1].abs() < 1e-9 or tokens == 4


def test_the_optimum_falls_to_half_the_log_of_two_pi_e_over_long_rings():
    losses = [-best_on_ring(tokens)[1].log().item() for tokens in (5, 8, 12, 16, 32, 500)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] == pytest.approx(0.5 + 0.5 * math.log(2 * math.pi), abs=1e-3)
    assert best_on_ring(12)[[0, 1, 11]].tolist() == pytest.approx([0.406, 0.236, 0.236], abs=5e-4)


def test_four_tokens_on_a_ring_leave_nothing_but_uniform_attention():
    torch.testing.assert_close(best_on_ring(4), torch.full((4,), 0.25, dtype=torch.float64))
    assert result(tokens=4).loss == pytest.approx(math.log(4), abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_every_seed_ends_at_the_same_bounds(seed: int):
    assert result(seed=seed).loss == pytest.approx(1.4457, abs=1e-3)
    assert result(projection="symmetric", seed=seed).loss == pytest.approx(math.log(2), abs=2e-3)
    assert result(projection="separate", seed=seed).loss < 1e-3


def test_separate_projections_of_rank_one_cannot_turn_the_ring():
    assert result(projection="separate", key_width=1).loss > 1
    assert result(projection="separate", key_width=4).loss < 0.01


def test_hiding_the_diagonal_leaves_only_the_bound_of_symmetry():
    hidden = result(mask_self=True)
    assert hidden.weights.diagonal().abs().max() == 0
    assert math.log(2) <= hidden.loss < math.log(2) + 0.01
    assert "tied_bound" not in claimed(mask_self=True)


def test_on_a_line_norms_fall_and_the_shared_projection_learns():
    line = result(layout="line")
    assert line.loss < 0.01
    norms = line.scores.diagonal()
    assert (norms[:-1] > norms[1:]).all()
    assert claimed(layout="line")["direction_needs_norms"] > 0


def test_a_pronoun_may_attend_to_its_antecedent_with_one_projection():
    """Scores 1, 5, 26 are semidefinite, and the pronoun puts 0.98 on the antecedent."""
    scores = torch.tensor([[1.0, 5.0], [5.0, 26.0]])
    assert torch.linalg.eigvalsh(scores).min() > 0
    assert scores[0].softmax(0)[1].item() == pytest.approx(0.982, abs=1e-3)


def test_the_loss_is_the_mean_log_weight_of_the_previous_token():
    weights = torch.rand(6, 6, generator=LAB.generator(0)).softmax(-1)
    ring = -sum(weights[i, i - 1].log() for i in range(6)) / 6
    line = -sum(weights[i, i - 1].log() for i in range(1, 6)) / 5
    torch.testing.assert_close(demo.previous_token_loss(weights.log(), "ring"), ring)
    torch.testing.assert_close(demo.previous_token_loss(weights.log(), "line"), line)


def test_raw_inputs_attend_to_themselves_and_two_random_projections_do_not():
    untrained = result(seed=4).untrained
    assert untrained.raw_diagonal.tolist() == pytest.approx([math.sqrt(d) for d in untrained.widths], rel=1e-4)
    assert untrained.raw[2] > 0.98
    assert untrained.tied[2] > 0.95
    torch.testing.assert_close(untrained.separate, torch.full((6,), 1 / 16), atol=0.02, rtol=0)


def test_the_step_slider_only_changes_the_view():
    args = ("tied", "ring", 12, 24, False, 0)
    assert demo.train(LAB, *args)[0] is demo.train(LAB, *args)[0]
    early, late = result(steps=0), result(steps=300)
    assert torch.equal(early.losses, late.losses)
    assert early.loss > late.loss


def test_the_prediction_follows_the_best_weight():
    assert demo.right_option(result(projection="separate", tokens=24)) == "quarter"
    assert demo.right_option(replace(result(), asked_weight=0.98)) == "all"
