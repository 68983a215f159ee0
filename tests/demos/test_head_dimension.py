"""Theory and oracles for the demo of the head width."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from demos import head_dimension as demo
from demos.claims.head_dimension import quarter_circle
from demos.head_dimension import Params, Result
from demos.kit.contract import Impossible
from demos.kit.lab import Lab

LAB = Lab(torch.device("cpu"))


def result(**knobs: Any) -> Result:
    return demo.compute(Params(**knobs), LAB)


def claimed(**knobs: Any) -> dict[str, float]:
    return {claim.id: claim.measured for claim in demo.claims(result(**knobs))}


@pytest.mark.parametrize("heads", [1, 8, 32])
def test_split_heads_have_the_weights_of_the_multi_head_attention_of_pytorch(heads: int):
    layer = torch.nn.MultiheadAttention(512, heads, bias=False, device="meta")
    assert demo.pay(512, heads, 512 // heads, 64).weights == sum(p.numel() for p in layer.parameters()) == 1_048_576


@pytest.mark.parametrize(("heads", "width"), [(1, 64), (8, 8), (4, 64), (16, 2)])
def test_multiply_adds_are_those_that_the_flop_counter_of_pytorch_counts(heads: int, width: int):
    bill = demo.pay(64, heads, width, 16)
    with FlopCounterMode(display=False) as counter:
        demo.pay(64, heads, width, 16)
    assert counter.get_total_flops() == 2 * (bill.projections + bill.mixing)
    assert (bill.projections, bill.mixing) == (4 * 16 * 64 * heads * width, 2 * 16 * 16 * heads * width)


def test_eight_full_width_heads_cost_eight_times_and_the_prediction_says_so():
    assert demo.pay(512, 8, 512, 64).weights == 8_388_608
    assert demo.right_option(result(heads=1, tokens=8, model_width=64)) == "8"


def test_widths_that_do_not_divide_are_refused_only_when_they_are_split():
    with pytest.raises(Impossible, match="embed_dim must be divisible by num_heads"):
        result(heads=12, tokens=8)
    with pytest.raises(AssertionError, match="embed_dim must be divisible by num_heads"):
        torch.nn.MultiheadAttention(512, 12, device="meta")
    assert claimed(heads=12, policy="full", tokens=8)["full_width_costs_h_times"] == 12


@pytest.mark.parametrize("width", [1, 2, 8])
def test_scores_have_the_rank_of_the_head_by_the_rule_of_pytorch(width: int):
    knobs: dict[str, Any] = {"policy": "custom", "custom_width": width, "tokens": 16}
    scores, _, _ = demo.one_head(Params(**knobs), LAB)
    assert torch.linalg.matrix_rank(scores) == claimed(**knobs)["scores_have_the_rank_of_the_head"] == width
    assert torch.linalg.matrix_rank(scores.softmax(-1)) > width


def test_divergence_is_the_one_of_pytorch_and_zero_times_log_zero_is_zero():
    target = (2 * torch.randn(5, 7, generator=LAB.generator(0))).softmax(-1)
    scores = torch.randn(5, 7, generator=LAB.generator(1))
    expected = F.kl_div(scores.log_softmax(-1), target, reduction="batchmean")
    torch.testing.assert_close(demo.divergence(target, scores), expected)
    assert demo.divergence(torch.eye(4), torch.zeros(4, 4)).item() == pytest.approx(math.log(4))


def test_a_head_of_width_n_minus_1_reproduces_any_pattern_and_n_minus_2_does_not():
    wanted = demo.random_scores(16, 3, LAB)
    x = torch.randn(16, 64, generator=LAB.generator(5), dtype=torch.float64)
    target = wanted.double().softmax(-1)
    assert demo.divergence(target, demo.build_for_pattern(wanted, x, 15)).abs() < 1e-9
    assert demo.divergence(target, demo.build_for_pattern(wanted, x, 14)) > 1e-6


def test_the_quarter_circle_law_gives_what_a_large_random_matrix_has():
    values = torch.linalg.svdvals(torch.randn(500, 500, generator=LAB.generator(2))).square()
    for share in (0.1, 0.25, 0.5, 0.9):
        measured = values[: int(500 * share)].sum() / values.sum()
        assert measured.item() == pytest.approx(quarter_circle(share), abs=0.01)


def test_the_simplex_bound_is_what_a_real_simplex_reaches():
    """The n corners are unit vectors with pairwise cosine −1/(n−1), at a cap of 8."""
    n, cap = 16, 8
    corners = F.normalize(torch.eye(n) - 1 / n, dim=-1)
    reached = (cap * corners @ corners.T).softmax(-1).diagonal()
    fit = demo.fit_pattern(LAB, "permutation", n, cap, 0)
    torch.testing.assert_close(reached, torch.full((n,), 1 / (1 + (n - 1) * math.exp(-cap * n / (n - 1)))))
    assert (fit.fitted <= reached[0] + 1e-5).all()
    assert reached[0] - fit.fitted[-1] < 0.01


def test_a_narrow_head_leaks_probability_at_a_limited_score():
    fit = demo.fit_pattern(LAB, "permutation", 32, 8, 0)
    reached = dict(zip(fit.widths, fit.fitted.tolist(), strict=True))
    assert reached[2] < 0.3 < 0.7 < reached[4] < 0.85 < 0.95 < reached[8]


def test_a_head_wider_than_the_sequence_is_no_better_than_one_as_wide():
    assert claimed(heads=1, tokens=8)["scores_have_the_rank_of_the_head"] == 8
