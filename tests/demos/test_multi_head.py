"""Theory and oracles for the demo of several attention heads."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from demos import multi_head as demo
from demos.kit.lab import Lab
from demos.multi_head import Params, Result

LAB = Lab(torch.device("cpu"))


def result(**knobs: Any) -> Result:
    return demo.compute(Params(**knobs), LAB)


def claimed(**knobs: Any) -> dict[str, float]:
    return {claim.id: claim.measured for claim in demo.claims(result(**knobs))}


@pytest.mark.parametrize("weights", ["hand", "learned"])
def test_every_row_of_every_head_is_a_distribution(weights: str):
    maps = result(heads=3, targets=4, weights=weights).maps
    assert maps.shape == (3, 16, 16)
    assert maps.min() >= 0
    torch.testing.assert_close(maps.sum(-1), torch.ones(3, 16))


def test_a_sharp_head_copies_its_neighbour():
    content = torch.randn(2, 16, 8, generator=LAB.generator(0))
    copied = demo.read(demo.set_by_hand(Params(heads=1, targets=1, sharpness=12.0), LAB), content)
    torch.testing.assert_close(copied[:, 5], content[:, 4], atol=1e-3, rtol=0)  # offset −1


def test_the_wanted_vector_stands_at_the_offset():
    content = torch.randn(2, 16, 8, generator=LAB.generator(0))
    target = demo.wanted(content, 3)
    assert torch.equal(target[:, 5], torch.cat([content[:, 4], content[:, 6], content[:, 3]], -1))


@pytest.mark.parametrize(("heads", "targets"), [(1, 4), (2, 4), (3, 4), (3, 7), (4, 4), (8, 3)])
@pytest.mark.parametrize("lean", [0.0, 0.5, 1.0])
def test_sharp_heads_miss_one_minus_h_over_k_however_they_lean(heads: int, targets: int, lean: float):
    errors = result(heads=heads, targets=targets, lean=lean).errors
    assert errors.mean().item() == pytest.approx(max(0.0, 1 - heads / targets), abs=0.01)


def test_leaning_moves_error_from_one_target_to_the_other():
    """Weights 1 : 1/2 explain 4/5 and 1/5."""
    errors = result(lean=0.5).errors
    torch.testing.assert_close(errors, torch.tensor([0.2, 0.8]), atol=0.01, rtol=0)


def test_the_readout_is_least_squares():
    features = torch.randn(4, 16, 8, generator=LAB.generator(1))
    target = torch.randn(4, 16, 5, generator=LAB.generator(2))
    oracle = torch.linalg.lstsq(features.flatten(0, 1), target.flatten(0, 1)).solution
    torch.testing.assert_close(demo.fit_readout(features, target), oracle, atol=1e-4, rtol=0)


def test_scores_that_depend_on_content_do_not_beat_the_floor():
    """The bound holds for any weights: here each sequence has weights of its own."""
    generator = LAB.generator(3)
    content = torch.randn(4000, 16, 8, generator=generator)
    logits = content @ torch.randn(8, 16, generator=generator)  # (sequence, query, key)
    averages = logits.softmax(-1) @ content
    target = demo.wanted(content, 2)
    missed = averages @ demo.fit_readout(averages, target) - target
    assert missed.square().mean().item() > 0.5


def test_training_is_remembered_and_a_new_seed_trains_again():
    first = demo.train(LAB, 1, 1, 5)
    assert demo.train(LAB, 1, 1, 5)[0] is first[0]
    assert not torch.equal(demo.train(LAB, 1, 1, 6)[1], first[1])


def test_learned_heads_take_one_target_each():
    aligned = result(heads=2, targets=2, weights="learned").maps.mean(1)
    assert aligned.shape == (2, 16)
    maps = result(heads=2, targets=2, weights="learned").maps
    offsets = {int((head.argmax(-1) - torch.arange(16)).remainder(16).mode().values) for head in maps}
    assert offsets == {1, 15}


def test_the_layer_is_pytorchs_multi_head_attention():
    generator = LAB.generator(7)
    x, matrices = torch.randn(20, 64, generator=generator), torch.randn(4, 64, 64, generator=generator) / 8
    for heads in (1, 4, 16):
        query, key, value = ((x @ m).unflatten(-1, (heads, -1)).transpose(0, 1) for m in matrices[:3])
        by_hand = F.scaled_dot_product_attention(query, key, value).transpose(0, 1).flatten(1) @ matrices[3]
        torch.testing.assert_close(demo.layer(x, matrices, heads, [])[0], by_hand, atol=1e-5, rtol=1e-5)


def test_only_the_number_of_attention_weights_grows():
    cost = result().cost
    assert cost.weights.tolist() == [32 * 32 * heads for heads in demo.HEAD_COUNTS]
    assert len(set(cost.flops.tolist())) == len(set(cost.parameters.tolist())) == 1


def test_at_score_zero_four_heads_are_one_blur():
    assert claimed(heads=4, targets=4, sharpness=0.0)["identical_heads_do_not_help"] == pytest.approx(15 / 16, abs=0.01)
    assert "sharp_heads_reach_floor" not in claimed(sharpness=4.0)


def test_the_prediction_answers_its_own_question_in_every_state():
    assert demo.right_option(result(heads=8, targets=8)) == "half"
    uneven = Result(**{**vars(result()), "mixture": torch.tensor([[0.0, 0.0], [0.5, 0.5]])})
    assert demo.right_option(uneven) == "depends"


def test_weights_on_nothing_but_the_first_target_are_finite():
    errors = result(heads=1, targets=8, lean=1.0).errors
    assert math.isfinite(errors.sum().item())
    assert errors[0].item() < 0.01
