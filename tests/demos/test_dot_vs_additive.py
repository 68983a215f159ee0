"""Theory and oracles for the demo of dot-product and additive scores."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from demos import dot_vs_additive as demo
from demos.dot_vs_additive import Params, Result, additive_scores, dot_scores, share_of_query
from demos.kit.lab import Lab

LAB = Lab(torch.device("cpu"))


def result(**knobs: Any) -> Result:
    return demo.compute(Params(**knobs), LAB)


def claimed(**knobs: Any) -> dict[str, float]:
    return {claim.id: claim.measured for claim in demo.claims(result(**knobs))}


def pair(tokens: int, width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = LAB.generator(1)
    shape = (tokens, width)
    return (
        torch.randn(shape, generator=generator),
        torch.randn(shape, generator=generator),
        torch.randn(width, generator=generator),
    )


def test_the_dot_product_is_that_of_pytorchs_attention():
    query, key, _ = pair(10, 16)
    value = torch.eye(10)
    oracle = F.scaled_dot_product_attention(query, key, value)
    torch.testing.assert_close(dot_scores(query, key)[0].softmax(-1), oracle)


def test_the_additive_score_is_a_small_network_applied_to_each_pair():
    query, key, v = pair(5, 8)
    scores = additive_scores(query, key, v, "tanh")[0]
    for i in range(5):
        for j in range(5):
            torch.testing.assert_close(scores[i, j], v @ torch.tanh(query[i] + key[j]))


@pytest.mark.parametrize(("activation", "largest"), [("identity", 1e-6), ("tanh", 1.0), ("relu", 1.0)])
def test_rows_agree_only_without_a_nonlinearity(activation: str, largest: float):
    weights = result(activation=activation).additive_weights
    gap = (weights - weights[0]).abs().max().item()
    assert gap < largest
    assert gap > 1e-3 or activation == "identity"


def test_work_is_what_the_tensors_say():
    """256 tokens of width 64: 16 MiB against 0.25 MiB, twice the operations."""
    got = result(activation="tanh", tokens=256, width=64)
    assert got.additive_work.temporary == 16 * 2**20
    assert got.dot_work.temporary == 2**20 // 4
    assert got.dot_work.operations == 2 * 256 * 256 * 64
    assert got.additive_work.operations == 2 * got.dot_work.operations
    assert got.additive_work.nonlinear == 256 * 256 * 64


def test_the_share_is_zero_for_a_common_ranking_and_one_for_opposite_ones():
    common = torch.arange(4.0).expand(3, 4) + torch.tensor([[0.0], [5.0], [-2.0]])
    assert share_of_query(common).item() == pytest.approx(0, abs=1e-6)
    ranking = torch.arange(4.0)
    assert share_of_query(torch.stack([ranking, -ranking])).item() == pytest.approx(1)


@pytest.mark.parametrize("seed", range(4))
def test_small_inputs_leave_the_query_a_share_of_four_s_to_the_fourth(seed: int):
    shares = demo.shares_over_scales(LAB, "tanh", seed)[0]
    slope = ((shares[1] / shares[0]).log() / math.log(2)).item()
    assert slope == pytest.approx(4, abs=0.02)
    assert shares[0].item() == pytest.approx(demo.cubic_share(LAB, seed), rel=0.002)
    assert (shares.diff() > 0).all()


def test_the_cubic_terms_have_four_s_to_the_sixth_of_variance():
    """Less 1/16 for the mean over 16 queries; 30 draws of 192 keys, each a square with a relative variance of 2."""
    mean = sum(demo.cubic_share(LAB, seed) for seed in range(30)) / 30
    assert mean == pytest.approx(4e-8 * 15 / 16, rel=5 * math.sqrt(2 / (30 * 192)))


def test_without_a_nonlinearity_the_query_has_no_share_at_any_scale():
    assert demo.shares_over_scales(LAB, "identity", 0)[0].max() < 1e-25


def test_large_inputs_saturate_the_dot_product_and_not_the_additive_score():
    got = result(activation="tanh", scale=10.0)
    assert got.additive_scores.abs().max().item() <= got.bound
    assert got.dot_scores.softmax(-1).amax(-1).mean() > 0.9
    assert got.additive_weights.amax(-1).mean() < 0.2


def test_only_the_unscaled_dot_product_spreads_with_width():
    additive, raw, scaled = demo.spreads_over_widths(LAB, 0)
    assert raw[-1] / raw[0] == pytest.approx(8, rel=0.15)
    assert scaled[-1] / scaled[0] == pytest.approx(1, rel=0.15)
    assert additive[-1] / additive[0] == pytest.approx(1, rel=0.15)


def test_bounds_are_claimed_for_tanh_only():
    assert "additive_bounded" in claimed(activation="tanh")
    assert "additive_bounded" not in claimed(activation="relu")
    assert "query_cancels" not in claimed(activation="tanh")


def test_the_prediction_answers_its_own_question_in_every_state():
    assert demo.right_option(result(activation="relu", scale=10.0)) == "same"
    assert demo.right_option(replace(result(), asked_spread=0.07)) == "very"
