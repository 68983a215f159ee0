"""Seven ways to hide padding, against SDPA, the unpadded run and theory."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from demos.attention_masks import DEMO, DTYPES, METHODS, POSITIONS, SIDES, WIDTH, Params, Result, attend, compute
from demos.kit import runner
from demos.kit.lab import Lab

LAB = Lab(torch.device("cpu"))


def result(**knobs) -> Result:
    return compute(Params(**knobs), LAB)


def content(seed: int = 0) -> torch.Tensor:
    return LAB.normal(3, 2, POSITIONS, WIDTH, generator=LAB.generator(seed))


@pytest.mark.parametrize(("method", "causal"), [*itertools.product(("minus_infinity", "finite"), (False, True))])
def test_a_correct_mask_computes_what_pytorch_computes_from_a_boolean_mask(method, causal):
    tokens, real = content(), torch.arange(POSITIONS) < 5
    allowed = real.expand(POSITIONS, -1)
    allowed = allowed.tril() if causal else allowed
    ours = attend(tokens, real, causal, method)[2]
    torch.testing.assert_close(ours, F.scaled_dot_product_attention(*tokens, attn_mask=allowed))


def test_weights_zeroed_after_the_softmax_lose_the_paddings_share_of_every_row():
    sums = result().weights[:, :5].sum(-1)
    assert sums.mean().item() == pytest.approx(0.592, abs=5e-4)
    assert sums.min().item() == pytest.approx(0.355, abs=5e-4)


def test_renormalising_zeroed_weights_gives_the_weights_of_a_correct_mask():
    zeroed = result().weights
    correct = result(method="minus_infinity").weights
    torch.testing.assert_close(zeroed / zeroed.sum(-1, keepdim=True), correct)


def test_a_score_of_zero_gives_padding_a_weight_that_its_content_cannot_change():
    small, large = (result(method="zero_score", pad_scale=scale).weights[:, :5, 5:] for scale in (1.0, 10.0))
    assert small.sum(-1).mean().item() == pytest.approx(0.344, abs=5e-4)
    assert torch.equal(small, large)


def test_masking_the_query_axis_leaves_real_rows_alone_and_makes_padded_rows_uniform():
    masked, unmasked = result(method="wrong_axis").weights, result(method="none").weights
    assert torch.equal(masked[:, :5], unmasked[:, :5])
    assert torch.equal(masked[:, 5:], torch.full_like(masked[:, 5:], 1 / POSITIONS))


def test_minus_ten_scales_the_odds_of_padding_by_e_to_the_minus_ten():
    def odds(method: str) -> torch.Tensor:
        weights = result(method=method).weights[:, :5].double()
        return weights[..., 5:].sum(-1) / weights[..., :5].sum(-1)

    torch.testing.assert_close(
        odds("minus_ten") / odds("none"), torch.full((2, 5), math.exp(-10)).double(), rtol=1e-5, atol=0
    )


def test_left_padding_with_a_causal_mask_makes_padded_rows_nan_and_then_all_rows():
    broken = result(pad_side="left", causal=True, method="minus_infinity").nan_rows
    assert broken[0].tolist() == [True] * 3 + [False] * 5
    assert broken[1].all()


@pytest.mark.parametrize("method", METHODS)
def test_right_padding_is_invisible_to_real_queries_once_there_is_a_causal_mask(method):
    seen = result(causal=True, method=method)
    assert seen.mask_effect.item() == 0
    assert seen.leaks.tolist() == [0] * len(METHODS)


def test_without_padding_all_methods_agree():
    seen = result(length=POSITIONS)
    assert seen.errors.abs().max() < 1e-6
    assert seen.leaks.tolist() == [0] * len(METHODS)


def test_float16_refuses_minus_a_billion_and_the_picture_says_so():
    seen = result(method="finite", dtype="float16")
    assert "overflow" in seen.refusal
    assert seen.fill == torch.finfo(torch.float16).min
    assert "−10⁹" in DEMO.pictures(seen)[0].title.en
    assert result(method="finite", dtype="bfloat16").refusal == ""


@pytest.mark.parametrize("method", METHODS)
def test_with_nothing_but_padding_no_error_is_drawn_and_nothing_crashes(method):
    outcome = runner.run(DEMO, Params(length=0, method=method), LAB)
    drawn = [picture.id for picture in outcome.pictures]
    assert drawn == (["scores", "weights", "nan"] if method == "minus_infinity" else ["scores", "weights"])
    assert {claim.id for claim in outcome.claims} == {
        "finite_row_is_uniform",
        "minus_infinity_row_is_nan",
        "sdpa_row_is_zero",
    }


@pytest.mark.parametrize(("method", "dtype"), [*itertools.product(METHODS, DTYPES)])
def test_claims_hold_in_every_corner(method, dtype):
    for length, side, causal, scale in itertools.product((0, 1, 5, 7, 8), SIDES, (False, True), (0.0, 1.0, 10.0)):
        params = Params(length, side, causal, method, scale, dtype)
        broken = [claim for claim in DEMO.claims(runner.on_cpu(compute(params, LAB))) if not claim.holds]
        assert not broken, (params, broken)


def test_the_prediction_is_about_a_fixed_mask_whatever_the_knobs_say():
    for knobs in ({}, {"length": 0}, {"length": 8, "method": "none"}, {"pad_scale": 10.0, "dtype": "bfloat16"}):
        assert result(**knobs).zeroed_row_sum.item() == pytest.approx(0.592, abs=5e-4)
    assert DEMO.prediction.right(result()) == "share"
