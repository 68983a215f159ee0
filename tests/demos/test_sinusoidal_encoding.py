"""Sinusoidal position encoding against its formula, the algebra of rotations and double precision."""

import math

import pytest
import torch
import torch.nn.functional as F

from demos.kit import runner
from demos.kit.lab import Lab
from demos.sinusoidal_encoding import (
    BASES,
    DEMO,
    LAYOUTS,
    Params,
    Result,
    angular_frequencies,
    attend,
    compute,
    encode,
    explained_by_offset,
    mean_explained,
    shift_matrix,
    theoretical_similarity,
)

LAB = Lab(torch.device("cpu"))


def result(**knobs) -> Result:
    return compute(Params(**knobs), LAB)


def made(**knobs) -> set[str]:
    return {claim.id for claim in DEMO.claims(result(**knobs))}


def test_each_entry_is_the_papers_formula():
    encoding = result(width=128).encoding
    for position, pair in ((0, 0), (1, 0), (7, 5), (200, 40), (255, 63)):
        angle = position / 10000 ** (2 * pair / 128)
        assert encoding[position, 2 * pair].item() == pytest.approx(math.sin(angle), abs=3e-5)
        assert encoding[position, 2 * pair + 1].item() == pytest.approx(math.cos(angle), abs=3e-5)


def test_layouts_hold_the_same_columns_in_another_order():
    interleaved, concatenated = (result(layout=layout).encoding for layout in LAYOUTS)
    assert torch.equal(torch.cat([interleaved[:, 0::2], interleaved[:, 1::2]], dim=-1), concatenated)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_shifts_are_orthogonal_and_compose(layout):
    frequencies = angular_frequencies(16, 10_000).double()
    three, five, eight = (shift_matrix(offset, frequencies, layout) for offset in (3, 5, 8))
    torch.testing.assert_close(three @ three.T, torch.eye(16).double())
    torch.testing.assert_close(three @ five, eight)
    here, there = encode(torch.tensor([40, 48]).double(), frequencies, layout)
    torch.testing.assert_close(eight @ here, there)


def test_similarity_has_the_known_values_and_first_rises_at_offset_12():
    similarity = result().similarity
    assert similarity[[1, 4, 16, 64, 128]].tolist() == pytest.approx([0.970, 0.759, 0.620, 0.477, 0.333], abs=1e-3)
    rises = (similarity.diff() > 0).nonzero().flatten() + 1
    assert rises[0] == 12
    assert len(rises) == 114


def test_monotone_similarity_is_not_called_otherwise():
    assert "similarity_is_not_monotone" not in made(width=512, length=16, base=1_000_000)
    assert DEMO.prediction.right(result(width=512, length=16, base=1_000_000)) == "never"
    assert DEMO.prediction.right(result(length=16)) == "rarely"
    assert DEMO.prediction.right(result()) == "often"


def test_r_squared_is_one_for_stripes_and_zero_for_scores_without_any():
    position = torch.arange(20.0)
    assert explained_by_offset((position - position.unsqueeze(-1)).sin()).item() == pytest.approx(1, abs=1e-5)
    assert explained_by_offset(position + position.unsqueeze(-1)).item() == pytest.approx(0, abs=1e-5)


def test_r_squared_over_random_projections_averages_to_theory():
    shares = torch.stack([result(projection="random", length=128, seed=seed).explained for seed in range(10)])
    error = 5 * shares.std().item() / math.sqrt(10)
    assert shares.mean().item() == pytest.approx(mean_explained(Params(length=128)), abs=error)
    assert error < 0.15


def test_projected_scores_pass_through_two_independent_projections():
    params = Params(width=6, length=16, projection="random", seed=5)
    generator = LAB.generator(5)
    w_query, w_key = (LAB.normal(6, 6, generator=generator) for _ in range(2))
    seen = compute(params, LAB)
    expected = seen.encoding @ (w_query / math.sqrt(6)) @ (w_key / math.sqrt(6)).T @ seen.encoding.T / math.sqrt(6)
    torch.testing.assert_close(seen.scores, expected, rtol=1e-4, atol=1e-5)


def test_projection_decides_which_claim_is_made():
    assert "offset_explains_scores" in made()
    assert "projection_breaks_invariance" in made(projection="random")
    assert "offset_explains_scores" not in made(projection="random")


def test_causal_attention_is_pytorchs():
    tokens = LAB.normal(12, 32, generator=LAB.generator(1))
    projections = LAB.normal(3, 32, 32, generator=LAB.generator(2))
    query, key, value = tokens @ projections
    oracle = F.scaled_dot_product_attention(query[None], key[None], value[None], is_causal=True)[0]
    torch.testing.assert_close(attend(tokens, projections, True)[1], oracle, rtol=1e-4, atol=1e-4)


def test_order_is_invisible_until_positions_or_a_causal_mask_show_it():
    for seed in range(10):
        plain, placed, causal = result(seed=seed, length=16).order.tolist()
        assert plain < 1e-5
        assert min(placed, causal) > 0.3


def test_one_pair_of_columns_nearly_repeats_a_position():
    frequencies = angular_frequencies(2, 10_000)
    first, last = encode(torch.tensor([0.0, 710.0]), frequencies, "interleaved")
    assert (first - last).norm().item() < 1e-3


def test_theory_uses_double_precision_and_starts_at_one():
    similarity = theoretical_similarity(Params(), 3)
    assert similarity.dtype == torch.float64
    assert similarity[0].item() == 1


def test_heatmaps_stay_within_128_cells_and_count_in_positions():
    for picture in DEMO.pictures(result(width=512, length=512, projection="random")):
        cells = picture.figure["data"][0]
        if cells["type"] == "heatmap":
            assert max(cells["z"].shape) == 128
            assert cells["dy"] == 4
            assert "1 in 4 shown" in picture.figure["layout"]["yaxis"]["title"]["text"].en


@pytest.mark.parametrize("projection", ["identity", "random"])
@pytest.mark.parametrize("base", BASES)
def test_claims_hold_in_every_corner(base, projection):
    for width, length, offset in ((2, 16, 128), (4, 512, 0), (62, 64, 1), (128, 512, 128), (512, 16, 128)):
        for layout in LAYOUTS:
            params = Params(width, length, base, offset, layout, projection, seed=3)
            broken = [claim for claim in runner.run(DEMO, params, LAB).claims if not claim.holds]
            assert not broken, (params, broken)
