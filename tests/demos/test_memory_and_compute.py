"""Theory, published numbers and PyTorch's own checkpoints for the demo of memory and compute."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop
from torch.utils.flop_counter import FlopCounterMode

from demos import memory_and_compute as demo
from demos.kit.lab import Lab
from demos.kit.measured import Measured
from demos.kit.memory import Memory
from demos.kit.published import MODELS, parameters
from demos.memory_and_compute import Params, Result

LAB = Lab(torch.device("cpu"))


def result(**knobs: Any) -> Result:
    return demo.compute(Params(**knobs), LAB)


def claimed(**knobs: Any) -> dict[str, float]:
    return {claim.id: claim.measured for claim in demo.claims(result(**knobs))}


def test_gpt2_proportions_give_the_shares_of_the_answer():
    layer = demo.measure_layer(LAB, 128, 96, 12, "bf16")
    assert demo.measure_tiles(LAB, 128, 96, 12).flops[0] / layer.flops == pytest.approx(2 / 11)
    assert layer.square_kept / layer.kept == pytest.approx(80 / 114, abs=1e-3)


@pytest.mark.parametrize("heads", [1, 3, 12])
def test_heads_change_the_bytes_and_not_the_flops(heads: int):
    layer = demo.measure_layer(LAB, 128, 96, heads, "bf16")
    assert layer.flops == 24 * 128 * 96**2 + 4 * 128**2 * 96
    assert layer.square_kept == 5 * heads * 128**2


def test_at_six_widths_the_products_are_half_of_the_flops():
    layer = demo.measure_layer(LAB, 288, 48, 4, "fp32")
    assert demo.measure_tiles(LAB, 288, 48, 4).flops[0] * 2 == layer.flops


def test_sixteen_bits_nearly_halve_the_activations_but_not_the_state():
    kept = {name: demo.measure_layer(LAB, 128, 96, 12, name).kept for name in ("bf16", "fp32")}
    assert kept["bf16"] / kept["fp32"] == pytest.approx((34 + 80) / (66 + 144), abs=2e-3)
    assert {sum(demo.measure_state(LAB, name).values()) for name in ("bf16", "fp32")} == {16.0}


@pytest.mark.parametrize("length", [31, 32, 33, 100])
def test_tiles_give_softmax_attention_also_when_the_last_tile_is_short(length: int):
    query, key, value = torch.randn(3, 2, length, 8, generator=LAB.generator(1)) * 4
    expected = F.scaled_dot_product_attention(query, key, value)
    torch.testing.assert_close(demo.tiled_attention(query, key, value), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(demo.attention(query, key, value), expected, atol=1e-5, rtol=1e-5)


def test_checkpoints_agree_with_those_of_pytorch():
    x, blocks = demo.draw(LAB, *demo.STACK, 2)
    weights = [weight for block in blocks for weight in block.weights]

    def flops(stop_early: bool | None) -> int:
        start = x.detach().requires_grad_()
        with FlopCounterMode(display=False) as counter:
            y = start
            if stop_early is None:
                y = demo.run_all(start, blocks)
            else:
                with set_checkpoint_early_stop(stop_early):
                    for block in blocks:
                        y = checkpoint(demo.run_block, y, block, use_reentrant=False, preserve_rng_state=False)
            y.sum().backward()
        return counter.get_total_flops()

    plain = flops(None)
    assert flops(False) / plain == pytest.approx(4 / 3)
    assert flops(True) / plain == pytest.approx(4 / 3)  # a layer ends with dropout, whose mask is needed: no early stop
    for weight in weights:
        weight.grad = None
    flops(False)
    theirs = [weight.grad for weight in weights]
    for weight in weights:
        weight.grad = None
    demo.train_with_checkpoints(x, blocks, 1, Memory())
    for weight, grad in zip(weights, theirs, strict=True):
        assert weight.grad is not None
        assert grad is not None
        assert torch.equal(weight.grad, grad)


@pytest.mark.parametrize(("layers", "group"), [(12, 1), (12, 3), (8, 3), (2, 6)])
def test_checkpoints_keep_one_input_a_group(layers: int, group: int):
    step = demo.measure_step(LAB, layers, group)
    n, d, *_ = demo.STACK
    assert step.kept == math.ceil(layers / group) * n * d * 4
    assert step.peak <= demo.measure_step(LAB, layers, 0).peak


def test_with_few_layers_a_checkpoint_at_every_layer_is_best():
    peaks = {group: demo.measure_step(LAB, 12, group).peak for group in (1, 2, 3, 4, 6)}
    assert sorted(peaks, key=lambda group: peaks[group]) == [1, 2, 3, 4, 6]


def test_the_bills_of_the_answer():
    xl = MODELS["gpt2_xl"]
    assert sum(parameters(xl).values()) == 1_557_611_200
    assert 16 * xl.published / 1e9 == pytest.approx(24.9, abs=0.03)
    assert claimed(model="llama2_7b")["cache_per_token"] == 512 * 1024
    assert claimed(model="llama2_70b")["cache_per_token"] == 320 * 1024


def test_the_prediction_asks_about_fixed_proportions():
    assert {demo.right_option(result(heads=heads, precision="fp32")) for heads in (1, 12)} == {"most"}


def test_unless_asked_nothing_is_measured_by_the_device():
    assert result().here is None
    assert "times_here" not in {picture.id for picture in demo.pictures(result())}


def test_the_device_confirms_what_was_counted_and_only_ratios_are_claimed():
    seen = result(measured=True)
    extra = {claim.id: claim for claim in demo.claims(seen) if claim.id not in claimed()}
    assert set(extra) == {"allocator_agrees", "allocator_sees_checkpoints", "fused_needs_less"}
    assert all(claim.holds for claim in extra.values())
    assert extra["allocator_agrees"].measured == pytest.approx(seen.tiles.naive[1], abs=64)  # PyTorch's scalar for √d
    assert [picture.id for picture in demo.pictures(seen)][-2:] == ["peaks_here", "times_here"]


def test_a_kernel_that_keeps_all_scores_breaks_a_claim():
    seen = result(measured=True)
    assert seen.here is not None
    greedy = Measured(seen.here.seconds, {**seen.here.peaks, "fused": seen.here.peaks["naive"]})
    assert [claim.id for claim in demo.claims(replace(seen, here=greedy)) if not claim.holds] == ["fused_needs_less"]
