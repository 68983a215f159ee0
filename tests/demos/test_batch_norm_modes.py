"""Theory and oracles for the demo of BatchNorm in training and at inference."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from demos import batch_norm_modes as demo
from demos.batch_norm_modes import Params, Result, normalise
from demos.kit.contract import Impossible
from demos.kit.lab import Lab

LAB = Lab(torch.device("cpu"))


def result(**knobs: Any) -> Result:
    return demo.compute(Params(**knobs), LAB)


def claimed(**knobs: Any) -> dict[str, float]:
    return {claim.id: claim.measured for claim in demo.claims(result(**knobs))}


def test_the_forward_pass_divides_by_the_biased_variance():
    x = torch.randn(8, 4, generator=LAB.generator(0)) * 3 + 2
    outputs, mean, variance = normalise(x)
    torch.testing.assert_close(variance, x.var(0, correction=0))
    torch.testing.assert_close(outputs, F.batch_norm(x, None, None, training=True))
    unbiased = (x - mean) / (x.var(0) + demo.EPSILON).sqrt()
    torch.testing.assert_close(unbiased / outputs, torch.full_like(x, math.sqrt(7 / 8)), atol=1e-4, rtol=0)


@pytest.mark.parametrize("momentum", [0.1, 1.0])
def test_running_statistics_are_those_of_a_torch_layer_trained_on_the_same_batches(momentum: float):
    got = result(batch=8, momentum=momentum)
    layer = nn.BatchNorm1d(64, momentum=momentum)
    for batch in got.batches:
        layer(batch)
    assert layer.running_mean is not None
    assert layer.running_var is not None
    torch.testing.assert_close(got.running[0, -1], layer.running_mean)
    torch.testing.assert_close(got.running[1, -1], layer.running_var)


def test_cumulative_averaging_is_momentum_none():
    got = result(batch=8, averaging="cumulative")
    layer = nn.BatchNorm1d(64, momentum=None)
    for batch in got.batches:
        layer(batch)
    torch.testing.assert_close(got.running[0, -1], layer.running_mean)
    torch.testing.assert_close(got.running[0, -1], got.batches.mean((0, 1)))


def test_inference_is_the_torch_layer_in_eval_mode():
    got = result(batch=16)
    expected = F.batch_norm(got.test, got.running[0, -1], got.running[1, -1])
    torch.testing.assert_close(got.test_inference, expected)


def test_after_44_steps_99_percent_of_the_way_is_done():
    assert 1 - 0.9**43 < 0.99 < 1 - 0.9**44
    assert claimed(batch=256, steps=44, mean=10.0)["running_mean_follows_theory"] == pytest.approx(9.9, abs=0.05)


def test_one_sample_in_training_is_refused_with_the_words_of_pytorch():
    with pytest.raises(Impossible) as refusal:
        result(batch=1)
    with pytest.raises(ValueError, match="Expected more than 1 value per channel when training") as torch_says:
        nn.BatchNorm1d(3)(torch.zeros(1, 3))
    assert str(torch_says.value).split(",")[0] in refusal.value.reason.en
    assert nn.BatchNorm2d(3)(torch.ones(1, 3, 4, 4)).shape == (1, 3, 4, 4)
    assert nn.BatchNorm1d(3).eval()(torch.zeros(1, 3)).shape == (1, 3)


def test_two_samples_pass_back_almost_no_gradient_and_many_almost_all():
    for batch, share in ((2, 0.0), (4, 0.5), (8, 0.75), (256, 0.992)):
        assert claimed(batch=batch)["gradient_share"] == pytest.approx(share, abs=0.02)


def test_the_gradient_has_no_mean_and_no_component_along_the_outputs():
    got = result(batch=32)
    torch.testing.assert_close(got.gradient.mean(0), torch.zeros(64), atol=1e-6, rtol=0)
    torch.testing.assert_close((got.gradient * got.outputs[-1]).mean(0), torch.zeros(64), atol=1e-5, rtol=0)


def test_a_tiny_spread_is_swallowed_by_epsilon():
    assert result(batch=32, deviation=0.001).outputs.std() < 0.4
    assert result(batch=32, deviation=0.1).outputs.std() > 0.97


def test_the_prediction_answers_the_fixed_question_whatever_the_knobs_say():
    got = result(batch=64, deviation=0.001)
    assert demo.right_option(got) == "signs"
    assert demo.right_option(replace(got, asked=torch.linspace(-1, 1, 101))) == "between"
    assert demo.right_option(replace(got, asked=torch.linspace(-3, 3, 101))) == "normal"


def test_the_sweep_runs_again_only_for_a_new_seed():
    assert result(batch=4, mean=-1.0).sweep is result(batch=64).sweep
