"""Theory and oracles for the demo of LayerNorm, BatchNorm and their place in the block."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from demos import layer_vs_batch_norm as demo
from demos.kit.lab import Lab
from demos.layer_vs_batch_norm import Params, Result, normalise

LAB = Lab(torch.device("cpu"))


def result(**knobs: Any) -> Result:
    return demo.compute(Params(**knobs), LAB)


def claimed(**knobs: Any) -> dict[str, float]:
    return {claim.id: claim.measured for claim in demo.claims(result(**knobs))}


def test_batch_norm_gives_every_feature_mean_zero_and_variance_one_over_the_batch():
    x = normalise(3 + 2 * torch.randn(8, 16, 32, generator=LAB.generator(1)), "batch")
    torch.testing.assert_close(x.mean((0, 1)), torch.zeros(32), atol=1e-6, rtol=0)
    torch.testing.assert_close(x.var((0, 1), correction=0), torch.ones(32), atol=1e-4, rtol=0)


def test_layer_norm_gives_every_token_mean_zero_and_rms_norm_gives_mean_square_one():
    x = 3 + 2 * torch.randn(8, 16, 32, generator=LAB.generator(1))
    torch.testing.assert_close(normalise(x, "layer").mean(-1), torch.zeros(8, 16), atol=1e-6, rtol=0)
    torch.testing.assert_close(normalise(x, "rms").square().mean(-1), torch.ones(8, 16), atol=1e-4, rtol=0)
    assert normalise(x, "rms").mean() > 0.5  # RMSNorm does not centre


def test_a_constant_token_becomes_zero_and_two_features_become_plus_and_minus_one():
    assert normalise(torch.full((1, 1, 8), 3.75), "layer").abs().max() == 0
    two = normalise(torch.randn(1, 20, 2, generator=LAB.generator(0)) * 50, "layer")
    torch.testing.assert_close(two.abs(), torch.ones_like(two), atol=1e-3, rtol=0)


def test_batch_of_one_and_batch_of_eight_agree_under_layer_norm_only():
    inputs = result().inputs
    assert torch.equal(normalise(inputs[:1], "layer"), normalise(inputs, "layer")[:1])
    assert (normalise(inputs[:1], "batch") - normalise(inputs, "batch")[:1]).abs().max() > 0.1


@pytest.mark.parametrize(
    ("padding", "mean", "deviation"), [(0.25, 0.2582, 1.033), (0.5, 0.5774, 1.155), (0.75, 1.1339, 1.512)]
)
def test_padding_moves_real_tokens_where_the_mixture_says(padding: float, mean: float, deviation: float):
    measured = claimed(padding=padding, batch=32, length=64, width=64)
    assert measured["padding_shifts_mean"] == pytest.approx(mean, abs=0.02)
    assert measured["padding_inflates_std"] == pytest.approx(deviation, abs=0.02)


def test_the_influence_map_is_the_known_jacobian_of_batch_norm():
    """∂y_i/∂x_j = (δ_ij − (1 + y_i y_j) / N) / σ for each feature."""
    got = result(seed=3)
    outputs, inputs, probe = got.outputs, got.inputs, got.params.probe
    direction = torch.randn(32, generator=LAB.generator(13))
    deviation = (inputs.var((0, 1), correction=0) + demo.EPSILON).sqrt()
    jacobian = -(1 + outputs[0, probe] * outputs) / (8 * 16)
    jacobian[0, probe] += 1
    torch.testing.assert_close(got.influence, (direction * jacobian / deviation).norm(dim=-1), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("normaliser", ["layer", "rms"])
def test_only_the_token_itself_influences_its_output_without_batch_statistics(normaliser: str):
    got = result(normaliser=normaliser)
    assert [tuple(cell) for cell in got.influence.nonzero().tolist()] == [(0, got.params.probe)]


def test_an_outlier_squashes_batch_norm_and_leaves_layer_norm_alone():
    for normaliser, ratio in (("batch", 0.113), ("layer", 1.0)):
        before = result(normaliser=normaliser, padding=0.0).outputs[0].std()
        after = result(normaliser=normaliser, padding=0.0, outlier=True).outputs[0].std()
        assert (after / before).item() == pytest.approx(ratio, rel=0.1)


def test_the_only_token_of_a_padded_sample_has_no_influence_to_claim():
    """One real token among T−1 zeros is ±√(T−1) whatever its value, so nothing leaks into it."""
    got = result(batch=1, length=4, padding=0.75)
    torch.testing.assert_close(got.outputs[0, 0].abs(), torch.full((32,), math.sqrt(3)), atol=0.05, rtol=0)
    assert "leaks_from_future" not in {claim.id for claim in demo.claims(got)}


@pytest.mark.parametrize("wiring", demo.WIRINGS)
def test_the_gradient_by_depth_is_the_one_of_a_whole_network_of_that_depth(wiring: str):
    """The same weights in one network of three layers, written out and differentiated by autograd."""
    generator = LAB.generator(4)
    weights = torch.randn(24, 12, 6, 32, 32, generator=generator) / math.sqrt(32)
    stream = torch.randn(12, 16, 32, generator=generator)
    head = torch.randn(12, 32, 64, generator=generator) / math.sqrt(32)
    targets = torch.randint(64, (12, 16), generator=generator)
    last = weights[2, :, 5].clone().requires_grad_()
    for layer in range(3):
        q, k, v, out, rise, fall = weights[layer].unbind(1)
        fall = last if layer == 2 else fall

        def attention(x: torch.Tensor, q=q, k=k, v=v, out=out) -> torch.Tensor:
            return F.scaled_dot_product_attention(x @ q, x @ k, x @ v) @ out

        def ffn(x: torch.Tensor, rise=rise, fall=fall) -> torch.Tensor:
            return F.relu(x @ rise) @ fall

        if wiring == "post":
            stream = F.layer_norm(stream + attention(stream), (32,))
            stream = F.layer_norm(stream + ffn(stream), (32,))
        else:
            stream = stream + attention(F.layer_norm(stream, (32,)))
            stream = stream + ffn(F.layer_norm(stream, (32,)))
    final = stream if wiring == "post" else F.layer_norm(stream, (32,))
    F.cross_entropy((final @ head).flatten(0, 1), targets.flatten(), reduction="sum").div(16).backward()
    assert last.grad is not None
    expected = last.grad.norm(dim=(-2, -1)).mean().item()
    assert demo.by_depth(LAB, 4)[0][demo.WIRINGS.index(wiring), 2].item() == pytest.approx(expected, rel=1e-4)


def test_pre_norm_variance_stays_within_the_bounds_of_xiong_et_al():
    """Lemma 2: between 1 + l/2 and 1 + 3l/2 after l layers; five standard errors of slack."""
    _, variances = demo.by_depth(LAB, 0)
    layers = torch.arange(1, 25)
    assert (variances[1] > 0.9 * (1 + layers / 2)).all()
    assert (variances[1] < 1.1 * (1 + 3 * layers / 2)).all()


def test_the_prediction_answers_the_fixed_question_whatever_the_knobs_say():
    got = result(normaliser="layer", padding=0.0, batch=1)
    assert demo.right_option(got) == "half"
    assert demo.right_option(replace(got, asked_mean=0.02)) == "zero"


def test_the_depth_experiment_runs_again_only_for_a_new_seed():
    assert demo.by_depth(LAB, 2)[0] is demo.by_depth(LAB, 2)[0]
