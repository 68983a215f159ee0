"""What limits the context: RoPE against its formula, counts against theory, memories against linear algebra."""

import math
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from demos import long_context as demo
from demos.kit.lab import Lab, Stopped
from demos.long_context import Params
from language import Text

LAB = Lab(torch.device("cpu"))


def claimed(**knobs: Any) -> dict[str, float]:
    return {claim.id: claim.measured for claim in demo.claims(demo.compute(Params(**knobs), LAB))}


@pytest.mark.parametrize("view", ["recall", "cost", "reach"])
def test_only_the_view_of_positions_trains_a_model(view: str):
    """So the demo opens at once. A training would report its progress, and be told to stop."""

    def leave(_fraction: float, _note: Text | None) -> None:
        raise Stopped

    watched = Lab(torch.device("cpu"), leave)
    assert demo.compute(Params(view=view, seed=9), watched).params.view == view
    with pytest.raises(Stopped):
        demo.compute(Params("positions", seed=9), watched)


def test_only_pairs_that_never_turned_are_slowed_by_parts():
    trained, parts = (demo.angles_per_step(fix, 8) for fix in ("as_is", "by_parts"))
    assert (parts[:2] == trained[:2]).all()
    torch.testing.assert_close(parts[2:], trained[2:] / 8)
    assert (2 * math.pi / trained[:2] <= 32).all()
    assert (2 * math.pi / trained[2:] > 32).all()


def test_divided_angles_stay_within_the_trained_range():
    trained = demo.angles_per_step("as_is", 8) * 32
    torch.testing.assert_close(demo.angles_per_step("interpolated", 8) * 256, trained)


@pytest.mark.parametrize(("layers", "window", "tokens"), [(4, 8, 29), (1, 8, 8), (2, 4, 7), (6, 4, 19), (3, 1, 1)])
def test_a_stack_of_windows_reaches_l_times_w_minus_1_plus_1_tokens(layers: int, window: int, tokens: int):
    assert claimed(view="reach", layers=layers, sight=window)["reach_is_exact"] == tokens


def test_the_first_layers_do_not_depend_on_how_many_follow():
    assert torch.equal(demo.influence(LAB, 2, 8, 0), demo.reach_view(Params(layers=5), LAB).influence[1])


def test_the_bill_of_a_real_length():
    """131,072 tokens, window 4096, width 128: 16 times fewer FLOPs, 32 times fewer bytes, and 64.5 KiB of state."""
    shown = demo.cost_view(Params(view="cost"), LAB)
    (full, full_kept), (window, window_kept), (_, state) = (
        shown.bills[name][shown.lengths.index(131_072)] for name in ("full", "window", "linear")
    )
    assert full == 4 * 131_072**2 * 128 == 16 * window
    assert full_kept == 32 * window_kept == 128 * 2**20
    assert state == 4 * 128 * 129


def test_a_window_as_long_as_the_sequence_saves_nothing():
    assert demo.bill(LAB, "window", 1024, 4096, 64) == demo.bill(LAB, "full", 1024, 4096, 64)


def test_a_window_half_as_long_as_the_sequence_saves_bytes_but_no_flops_in_blocks():
    """Each block meets twice its length; the title says so and does not promise 1/1."""
    (window, kept), (full, all_kept) = (demo.bill(LAB, name, 8192, 4096, 64) for name in ("window", "full"))
    assert window == full
    assert 2 * kept == all_kept
    title = demo.pictures(demo.compute(Params(view="cost", length=8192), LAB))[0].title
    assert "needs as many" in title.en


def test_orthogonal_keys_come_back_exactly_up_to_d_and_not_beyond():
    """What the rank promises: d orthonormal keys read out without noise."""
    keys, values = torch.eye(8), torch.randn(8, 8, generator=LAB.generator(2))
    torch.testing.assert_close(keys @ (keys.mT @ values), values)
    shown = demo.recall_view(Params(view="recall", state=8), LAB)
    assert shown.ranks == [4, 8, 8, 8, 8, 8, 8, 8]


def test_recall_of_a_fixed_state_falls_with_the_pairs_and_rises_with_the_width():
    by_width = [demo.recall_view(Params(view="recall", state=width), LAB).recalled["linear"] for width in (16, 64)]
    for shares in by_width:
        assert shares[0] > 0.9
        assert shares[-1] < 0.35
    assert (by_width[1] >= by_width[0]).all()


def test_a_cache_of_the_last_pairs_returns_those_and_no_others():
    """With a logit lead of 32, half of d among m."""
    shown = demo.recall_view(Params(view="recall", state=64, scale=32), LAB)
    expected = torch.tensor([min(1.0, 32 / pairs) for pairs in shown.stored])
    torch.testing.assert_close(shown.recalled["window"], expected, atol=0.01, rtol=0)


def test_flat_logits_recall_little_even_from_everything():
    assert demo.recall(LAB, 512, 32, 1, 0)[0]["full"] < 0.1
    assert demo.recall(LAB, 512, 32, 16, 0)[0]["full"] > 0.99


@pytest.mark.parametrize("gap", [1, 16])
def test_a_match_is_diluted_as_the_softmax_says(gap: int):
    expected = torch.tensor([1 / (1 + (n - 1) * math.exp(-gap)) for n in demo.CROWDS], dtype=torch.float64)
    torch.testing.assert_close(demo.diluted(LAB, gap), expected)


def test_dilution_is_shown_for_three_leads_and_for_the_chosen_one():
    assert set(demo.recall_view(Params(view="recall", scale=32), LAB).weights) == {4, 8, 16, 32}
    assert set(demo.recall_view(Params(view="recall"), LAB).weights) == {4, 8, 16}


def test_the_lead_needed_for_half_the_weight_grows_by_6_9_per_factor_of_a_thousand():
    assert math.log(999_999) - math.log(999) == pytest.approx(6.91, abs=0.005)


@pytest.mark.parametrize(("share", "option"), [(1.0, "all"), (0.47, "half"), (0.26, "rank"), (0.12, "cache")])
def test_the_prediction_answers_from_the_measured_share(share: float, option: str):
    assert demo.right_option(cast(demo.Result, SimpleNamespace(asked=share))) == option


@pytest.mark.parametrize("seed", range(10))
def test_a_state_of_32_returns_almost_half_of_128_pairs_whatever_is_drawn(seed: int):
    """What the texts say: 44 to 48%, where a cache as large returns 12.5% and softmax everything."""
    share, _, _ = demo.recall(LAB, 128, 32, 16, seed)
    assert share["linear"] == pytest.approx(0.46, abs=0.025)
    assert (share["window"], share["full"]) == (1 / 8, 1)


@pytest.mark.parametrize("seed", range(10))
def test_the_far_end_of_four_windows_is_faint_whatever_is_drawn(seed: int):
    """What the texts say of 4 layers with a window of 8: between 1/35,000 and 1/3,000 of the token itself."""
    reached = demo.influence(LAB, 4, 8, seed)[:29]
    assert 1 / 35_000 < reached[-1] / reached[0] < 1 / 3_000


def test_another_seed_draws_other_pairs_and_another_stack():
    assert not torch.equal(demo.recall(LAB, 16, 8, 16, 0)[1], demo.recall(LAB, 16, 8, 16, 1)[1])
    assert not torch.equal(demo.influence(LAB, 1, 4, 0), demo.influence(LAB, 1, 4, 1))


def test_few_pairs_of_unit_length_add_the_noise_that_theory_says():
    """Without unit length the pair itself would come back distorted, which 4 pairs show best."""
    claims = {claim.id: claim for claim in demo.claims(recall_result(pairs=4))}
    assert claims["noise_grows_with_pairs"].holds
    assert claims["noise_grows_with_pairs"].tolerance < 0.02


def recall_result(pairs: int) -> demo.Result:
    params = Params(view="recall", pairs=pairs)
    return demo.Result(params, demo.recall_view(params, LAB), 0.5)
