"""Theory and oracles for the demo of residual connections."""

import math
from types import SimpleNamespace
from typing import cast

import pytest
import torch

from demos import residual_stream as demo
from demos.kit.lab import Lab
from demos.residual_stream import Params, propagate

LAB = Lab(torch.device("cpu"))


def test_one_block_of_each_wiring_is_its_formula():
    x, rise, fall = torch.randn(3, demo.NETWORKS, demo.WIDTH, demo.WIDTH, generator=LAB.generator(1))

    def norm(value: torch.Tensor) -> torch.Tensor:
        centred = value - value.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()

    def branch(value: torch.Tensor) -> torch.Tensor:
        return torch.einsum("ntf,nfg->ntg", torch.einsum("ntf,nfg->ntg", value, rise).clamp(min=0), fall)

    expected = {
        "plain": branch(x),
        "skip": x + 0.5 * branch(x),
        "pre": x + 0.5 * branch(norm(x)),
        "post": norm(x + 0.5 * branch(x)),
    }
    for wiring in demo.WIRINGS:
        torch.testing.assert_close(demo.step(x, rise, fall, wiring, 0.5), expected[wiring], atol=1e-3, rtol=1e-4)


def test_the_gradient_of_the_first_layer_is_the_one_of_the_whole_network():
    """A finite difference along the direction of the gradient, in double precision."""
    params = Params(depth=4, seed=2)
    rises, falls = (weights[:4].double() for weights in demo.draw(LAB, 2))
    generator = LAB.generator(12)
    x, upstream = torch.randn(2, demo.NETWORKS, demo.TOKENS, demo.WIDTH, generator=generator).double()

    def output(start: torch.Tensor) -> torch.Tensor:
        for rise, fall in zip(rises, params.gain * falls, strict=True):
            start = demo.step(start, rise, fall, "pre", 1.0)
        return start

    start = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((output(start) * upstream).sum(), start)
    nudge = 1e-7 * gradient
    change = ((output(x + nudge) - output(x - nudge)) * upstream).sum() / 2e-7
    assert change.item() == pytest.approx(gradient.square().sum().item(), rel=1e-4)
    ratio = gradient.square().mean((-2, -1)).sqrt() / upstream.square().mean((-2, -1)).sqrt()
    torch.testing.assert_close(propagate(LAB, params, "pre")[0][:, 0].double(), ratio, rtol=1e-3, atol=0)


def test_sizes_survive_squares_beyond_fp32():
    tiny, huge = torch.full((1, 2, 3), 1e-30), torch.full((1, 2, 3), 1e30)
    assert demo.size(tiny).item() == pytest.approx(1e-30)
    assert demo.size(huge).item() == pytest.approx(1e30)
    assert demo.size(torch.zeros(1, 2, 3)).item() == 0


def test_with_unit_gain_the_variance_doubles_per_block():
    """Averaged over ten seeds: 2^8 after eight blocks, where a plain network stays at 1."""
    ends = {
        wiring: torch.stack([propagate(LAB, Params(depth=8, gain=1.0, seed=seed), wiring)[1] for seed in range(10)])
        for wiring in ("plain", "skip", "pre")
    }
    squares = {wiring: streams[..., -1].square().mean().item() for wiring, streams in ends.items()}
    assert squares["skip"] == pytest.approx(2**8, rel=0.15)
    assert squares["pre"] == pytest.approx(1 + 8, rel=0.05)
    assert squares["plain"] == pytest.approx(1, rel=0.3)


@pytest.mark.parametrize("depth", [8, 16, 32, 64])
def test_root_scaled_pre_norm_gradients_do_not_depend_on_depth(depth: int):
    ratio = propagate(LAB, Params(depth=depth, branch="root"), "pre")[0][:, 0].mean().item()
    assert ratio == pytest.approx(math.sqrt(1 + 0.8**2), rel=0.06)


def test_zero_branches_make_every_block_the_identity():
    gradients, streams, _ = propagate(LAB, Params(branch="zero"), "skip")
    assert torch.equal(gradients, torch.ones_like(gradients))
    assert torch.equal(streams, streams[:, :1].expand_as(streams))


def test_identical_tokens_have_no_difference_and_opposite_ones_only_difference():
    assert demo.difference(torch.ones(5, 3)).item() == 0
    assert demo.difference(torch.tensor([[1.0, 2.0], [-1.0, -2.0]])).item() == 1


@pytest.mark.parametrize(("ratio", "option"), [(8e-4, "shrinks"), (1.3, "keeps"), (2151.0, "grows")])
def test_the_prediction_answers_from_the_measured_ratio(ratio: float, option: str):
    assert demo.right_option(cast(demo.Result, SimpleNamespace(asked=ratio))) == option
