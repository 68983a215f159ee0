"""Theory and oracles for the demo of the factor √d on the embeddings."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from demos import embedding_scale as demo
from demos.embedding_scale import Params, Result
from demos.kit.lab import Lab

LAB = Lab(torch.device("cpu"))


def result(**knobs: Any) -> Result:
    return demo.compute(Params(**knobs), LAB)


def claimed(**knobs: Any) -> dict[str, float]:
    return {claim.id: claim.measured for claim in demo.claims(result(**knobs))}


@pytest.mark.parametrize("width", [16, 512])
def test_every_encoding_has_squared_norm_half_the_width_and_the_sines_of_the_paper(width: int):
    encoding = demo.position_encoding(10, width)
    torch.testing.assert_close(demo.energy(encoding), torch.full((10,), width / 2))
    assert encoding[7, 6].item() == pytest.approx(math.sin(7 / 10_000 ** (6 / width)), abs=1e-6)
    assert encoding[7, 7].item() == pytest.approx(math.cos(7 / 10_000 ** (6 / width)), abs=1e-6)


@pytest.mark.parametrize(
    ("init", "multiply", "ratio"),
    [("reference", False, 2 / 512), ("reference", True, 2), ("normal", False, 2), ("normal", True, 1024)],
)
def test_token_to_position_energy_is_twice_the_scaled_variance(init: str, multiply: bool, ratio: float):
    assert claimed(init=init, multiply=multiply)["token_to_position_energy"] == pytest.approx(ratio, rel=0.03)


def test_the_share_is_two_thirds_at_every_width_only_with_the_factor():
    without, with_factor = result(positions=256).shares
    widths = torch.tensor(demo.WIDTHS)
    torch.testing.assert_close(with_factor, torch.full_like(with_factor, 2 / 3), atol=0.03, rtol=0)
    torch.testing.assert_close(without, 2 / (widths + 2), atol=0, rtol=0.1)


def test_recovery_counts_the_rows_and_positions_that_are_nearest():
    table, encoding = torch.eye(4), 0.1 * torch.eye(4)
    words = torch.tensor([2, 0, 1, 3])
    assert demo.recover(table[words] + encoding, table, encoding, words) == (1.0, 0.25)
    assert demo.recover(table[words] + encoding, table, encoding, words.flip(0))[0] == 0.0


@pytest.mark.parametrize("seed", range(3))
def test_the_factor_saves_the_token_and_on_a_unit_table_drowns_the_position(seed: int):
    assert result(seed=seed).token_found < 0.1
    assert result(seed=seed, multiply=True).token_found == 1.0
    assert result(seed=seed, init="normal").position_found > 0.9
    assert result(seed=seed, init="normal", multiply=True).position_found < 0.05


def test_the_output_head_never_sees_the_factor():
    plain, scaled = result(), result(multiply=True)
    assert torch.equal(plain.logits, scaled.logits)
    assert plain.loss == scaled.loss


@pytest.mark.parametrize("width", [64, 512])
def test_one_step_moves_the_input_d_times_under_sgd_and_root_d_times_under_adam(width: int):
    generator = LAB.generator(0)
    row, direction = torch.randn(width, generator=generator), torch.randn(width, generator=generator)
    sgd, adam = demo.steps_with_and_without(row / math.sqrt(width), direction).tolist()
    assert sgd == pytest.approx(width, rel=1e-3)
    assert adam == pytest.approx(math.sqrt(width), rel=1e-3)


def test_xavier_variance_depends_on_the_vocabulary_and_not_on_the_width_alone():
    table = torch.empty(1000, 512)
    torch.nn.init.xavier_normal_(table, generator=LAB.generator(0))
    assert table.var().item() == pytest.approx(Params(init="xavier").variance, rel=0.02)
    assert math.sqrt(2 / (37_000 + 512)) == pytest.approx(0.00730, abs=1e-5)


def test_at_width_16_even_the_factor_does_not_save_every_token():
    assert 0.5 < result(model_width=16, multiply=True).token_found < 0.99


def test_the_prediction_is_about_512_whatever_the_knobs_say():
    got = result(model_width=16, init="normal", multiply=True)
    assert demo.right_option(got) == "tiny"
    assert demo.right_option(replace(got, asked=0.48)) == "half"
