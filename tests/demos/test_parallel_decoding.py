"""One decoder in three schedules, against PyTorch's layer, its FLOP counter and theory."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from demos import parallel_decoding as demo
from demos.kit import runner
from demos.kit.lab import Lab
from demos.parallel_decoding import Params, Result, Tally, Weights

LAB = Lab(torch.device("cpu"))
START = torch.zeros(1, dtype=torch.long)


def result(**knobs: Any) -> Result:
    return demo.compute(Params(**knobs), LAB)


def tokens(*shape: int) -> torch.Tensor:
    return torch.randint(demo.SYMBOLS, shape, generator=LAB.generator(7))


def by_pytorch(weights: Weights, given: torch.Tensor) -> torch.Tensor:
    """The same decoder built from nn.TransformerEncoderLayer with a causal mask."""
    stream = weights.embeddings[given] + weights.positions[: given.shape[-1]]
    mask = torch.nn.Transformer.generate_square_subsequent_mask(given.shape[-1])
    for matrices in weights.layers:
        layer = torch.nn.TransformerEncoderLayer(
            demo.WIDTH, 1, 4 * demo.WIDTH, 0.0, F.relu, batch_first=True, norm_first=True, bias=False
        ).eval()
        names = ("self_attn.in_proj_weight", "self_attn.out_proj.weight", "linear1.weight", "linear2.weight")
        layer.load_state_dict({name: m.mT for name, m in zip(names, matrices.values(), strict=True)}, strict=False)
        stream = layer(stream, src_mask=mask)
    return F.layer_norm(stream, (demo.WIDTH,)) @ weights.unembedding


def test_a_call_is_what_pytorchs_own_layers_compute():
    weights, given = demo.draw(LAB, 3), tokens(2, 20)
    with torch.no_grad():
        expected = by_pytorch(weights, given)
    torch.testing.assert_close(demo.call(weights, given, Tally()), expected, atol=2e-5, rtol=0)


def test_a_cache_of_several_tokens_continues_where_the_prompt_ended():
    """Prefill five tokens in one call, then three more in another: the logits of one pass over all eight."""
    weights, given, cache = demo.draw(LAB, 0), tokens(8), {}
    parts = [demo.call(weights, part, Tally(), cache) for part in given.split([5, 3], dim=-1)]
    torch.testing.assert_close(torch.cat(parts, -2), demo.call(weights, given, Tally()), atol=2e-5, rtol=0)


def test_the_tally_counts_what_pytorchs_flop_counter_counts():
    weights, given = demo.draw(LAB, 0), tokens(12)
    for schedule in (lambda: demo.in_parallel(weights, given), lambda: demo.recomputed(weights, given)):
        with FlopCounterMode(display=False) as counter:
            run = schedule()
        assert 2 * run.tally.multiply_adds == counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        run = demo.generate(weights, START, 12)[1]
    assert 2 * run.tally.multiply_adds == counter.get_total_flops()


def test_without_a_cache_greedy_decoding_chooses_the_same_tokens():
    weights, text = demo.draw(LAB, 0), START
    for _ in range(39):
        text = torch.cat([text, demo.call(weights, text, Tally())[-1:].argmax(-1)])
    assert torch.equal(text, demo.generate(weights, START, 40)[0])


def test_another_seed_is_another_decoder():
    one, other = demo.draw(LAB, 0), demo.draw(LAB, 1)
    assert not torch.equal(one.embeddings, other.embeddings)
    assert not torch.equal(result(seed=0).runs.tokens, result(seed=1).runs.tokens)


def test_each_jacobi_pass_settles_at_least_one_more_token():
    settled = result(seed=4).runs.settled
    for done, row in enumerate(settled, start=1):
        assert row[:done].all()
    assert torch.equal(settled[-1], settled[-2])


def test_a_draft_is_accepted_as_often_as_the_two_distributions_overlap():
    weights, given = demo.draw(LAB, 0), tokens(30)
    logits = demo.call(weights, given, Tally())
    small = replace(weights, layers=weights.layers[:1])
    draft = demo.call(small, given, Tally()).softmax(-1)
    apart = (logits.softmax(-1) - draft).abs().sum(-1) / 2  # total variation
    assert demo.speculate(weights, given, logits)[0].item() == pytest.approx(1 - apart.mean().item(), abs=1e-5)


def test_accepting_and_redrawing_samples_the_target():
    """The rule of Leviathan et al. played a hundred thousand times over three symbols."""
    generator, rounds = LAB.generator(0), 100_000
    target, draft = torch.tensor([0.6, 0.3, 0.1]), torch.tensor([0.2, 0.3, 0.5])
    drawn = torch.multinomial(draft, rounds, replacement=True, generator=generator)
    accept = torch.rand(rounds, generator=generator) < (target / draft)[drawn]
    rest = (target - draft).clamp_min(0)
    again = torch.multinomial(rest / rest.sum(), rounds, replacement=True, generator=generator)
    share = torch.bincount(torch.where(accept, drawn, again), minlength=3) / rounds
    torch.testing.assert_close(share, target, atol=5 * (0.25 / rounds) ** 0.5, rtol=0)
    assert accept.float().mean().item() == pytest.approx(0.6, abs=5 * (0.25 / rounds) ** 0.5)


@pytest.mark.parametrize("step", ["lost_position", "is_causal"])
def test_a_broken_step_is_right_for_the_first_token_only(step: str):
    got = result(step=step)
    assert got.wrong is not None
    off = (got.wrong - got.runs.parallel.logits).abs().amax(-1)
    assert off[0] < 1e-4
    assert off[1:].min() > 0.1


def test_is_causal_with_one_query_and_many_keys_returns_the_first_value():
    assert result(length=64).first_key_only == 0


def test_training_sees_a_gap_when_the_prefix_passes_differ(monkeypatch: pytest.MonkeyPatch):
    assert demo.gradient_gap(LAB, 0) < 1e-5
    shifted = demo.recomputed
    monkeypatch.setattr(demo, "recomputed", lambda weights, given: shifted(weights, given.roll(1, -1)))
    assert demo.gradient_gap(LAB, 77) > 0.1


def test_logits_are_equal_only_up_to_rounding_when_a_position_is_lost():
    got = result(step="lost_position")
    assert got.wrong is not None
    broken = replace(got, runs=replace(got.runs, cached=replace(got.runs.cached, logits=got.wrong)))
    assert [claim.id for claim in demo.claims(broken) if not claim.holds] == ["cache_keeps_logits"]


@pytest.mark.parametrize("seed", range(10))
def test_claims_hold_for_every_seed_and_length(seed: int):
    for length in (1, 2, 8, 32, 128):
        got = runner.on_cpu(result(length=length, seed=seed))
        assert [claim for claim in demo.claims(got) if not claim.holds] == []
        assert demo.right_option(got) == "same"


def test_the_prediction_would_tell_other_amounts_of_work():
    got = result()
    for times, option in ((1, "same"), (16, "half"), (32, "all")):
        work = times * got.runs.parallel.tally.multiply_adds
        tally = replace(got.runs.cached.tally, multiply_adds=work)
        told = replace(got, runs=replace(got.runs, cached=replace(got.runs.cached, tally=tally)))
        assert demo.right_option(told) == option


def test_a_7b_shaped_cache_takes_two_gib_and_grouped_heads_a_quarter_of_it():
    titles = [picture.title.en for picture in demo.pictures(result()) if picture.id == "cache"]
    assert "2 GiB with 32 KV heads, 512 MiB with 8, 64 MiB with 1" in titles[0]


def test_the_clock_is_read_only_when_asked():
    assert result(length=2).times == ()
    assert len(result(length=2, timed=True).times) == 4
