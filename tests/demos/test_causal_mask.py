"""Theory and oracles for the causal mask."""

import math

import pytest
import torch
import torch.nn.functional as F

from demos import causal_mask as demo
from demos.causal_mask import DEMO, HEADS, LONGEST, SYMBOLS, WIDTH, Params
from demos.kit import runner
from demos.kit.lab import Lab, Stopped
from language import Text

LAB = Lab(torch.device("cpu"))


def untrained() -> demo.Weights:
    generator = LAB.generator(7)
    shapes = {
        "symbols": (SYMBOLS, WIDTH),
        "places": (LONGEST, WIDTH),
        "projections": (2, WIDTH, 3 * WIDTH),
        "output": (2, WIDTH, WIDTH),
        "rise": (2, WIDTH, 4 * WIDTH),
        "fall": (2, 4 * WIDTH, WIDTH),
        "names": (WIDTH, SYMBOLS),
    }
    return {name: torch.randn(*shape, generator=generator) / 5 for name, shape in shapes.items()}


def texts(length: int, count: int = 4) -> torch.Tensor:
    return torch.randint(SYMBOLS, (count, length), generator=LAB.generator(8))


def heads(length: int = 6) -> tuple[torch.Tensor, ...]:
    return torch.randn(3, 2, HEADS, length, WIDTH // HEADS, generator=LAB.generator(9)).unbind()


def outcome(**knobs: object) -> runner.Outcome:
    return runner.run(DEMO, Params(**knobs), LAB)  # type: ignore[arg-type]


def test_the_causal_mask_is_pytorchs():
    query, key, value = heads()
    ours = demo.attend(query, key, value, "causal")[1]
    torch.testing.assert_close(ours, F.scaled_dot_product_attention(query, key, value, is_causal=True))


def test_without_a_mask_attention_is_pytorchs_too():
    query, key, value = heads()
    torch.testing.assert_close(
        demo.attend(query, key, value, "none")[1], F.scaled_dot_product_attention(query, key, value)
    )


def test_zeroing_after_the_softmax_keeps_the_future_in_the_denominator():
    query, key, value = heads()
    full, zeroed = (demo.attend(query, key, value, mask)[0] for mask in ("none", "zero_after"))
    torch.testing.assert_close(zeroed, full.tril())
    assert (zeroed.sum(-1)[..., :-1] < 1).all()
    torch.testing.assert_close(zeroed.sum(-1)[..., -1], torch.ones(2, HEADS))


def test_a_strict_mask_gives_nan_in_the_first_row_and_then_everywhere():
    query, key, value = heads()
    _, attended = demo.attend(query, key, value, "strict")
    assert attended.isnan().any(-1)[0, 0].tolist() == [True] + [False] * 5
    assert demo.model(untrained(), texts(5), "strict").isnan().all()


def test_with_the_mask_no_gradient_reaches_a_later_input():
    """∂ logits_t / ∂ x_j = 0 for j > t, and T(T+1)/2 pairs are left."""
    weights, length = untrained(), 6
    places = weights["places"].clone().requires_grad_()
    logits = demo.model({**weights, "places": places}, texts(length, 1), "causal")[0]  # (position, symbol)
    rows = [torch.autograd.grad(logits[t].norm(), places, retain_graph=True)[0][:length] for t in range(length)]
    jacobian = torch.stack(rows).norm(dim=-1)  # (output, input)
    assert jacobian.triu(1).max() == 0
    assert int((jacobian > 0).sum()) == length * (length + 1) // 2


def test_decoding_with_a_cache_and_no_mask_is_the_causal_pass():
    weights, some = untrained(), texts(9)
    torch.testing.assert_close(
        demo.model_step_by_step(weights, some), demo.model(weights, some, "causal"), atol=1e-5, rtol=0
    )
    assert (demo.model_step_by_step(weights, some) - demo.model(weights, some, "none")).abs().max() > 1e-2


@pytest.mark.parametrize(("mask", "agree"), [("causal", True), ("none", False), ("one_open", False)])
def test_a_prefix_alone_gives_the_same_logits_only_under_the_causal_mask(mask: str, agree: bool):
    weights, some = untrained(), texts(7)
    apart = (demo.prefix_only(weights, some, mask) - demo.model(weights, some, mask)).abs().amax((0, 2))
    assert bool(apart[:-1].max() < 1e-5) is agree
    assert apart[-1] < 1e-5  # the last position sees the same under either


def test_influence_finds_exactly_the_pairs_that_a_mask_leaves():
    weights, some = untrained(), texts(5)
    assert torch.equal(demo.influence(weights, some, "causal") > 0, torch.ones(5, 5, dtype=torch.bool).tril())
    assert (demo.influence(weights, some, "one_open") > 0).all()


def test_the_entropy_rate_of_a_chain_is_the_loss_of_its_own_probabilities():
    """Against the definition on 20,000 symbols (Cover and Thomas, chapter 4), and the stationary distribution."""
    source = demo.chain(3)
    torch.testing.assert_close(source.stationary @ source.transition, source.stationary)
    long = demo.write(source, 1000, 21, LAB.generator(1))
    losses = -source.transition.log()[long[:, :-1], long[:, 1:]]
    assert losses.mean().item() == pytest.approx(source.entropy, abs=5 * losses.std().item() / math.sqrt(20_000))


def test_labels_are_the_next_symbols_unless_the_shift_is_missing():
    some = texts(5)
    assert torch.equal(demo.labels(some, "causal"), some[:, 1:])
    assert torch.equal(demo.labels(some, "no_shift"), some[:, :-1])


def test_a_text_of_one_symbol_has_no_future_to_leak():
    open_, masked = (demo.score(LAB, mask, 1, 0) for mask in ("none", "causal"))
    assert torch.equal(open_.given, masked.given)
    assert "leak_beats_entropy" not in {claim.id for claim in outcome(length=1).claims}


def test_hiding_the_diagonal_is_refused_with_the_reason():
    seen = outcome(mask="strict", length=4)
    assert seen.problem is not None
    assert "4 of 4 outputs are NaN" in seen.problem.en


def test_the_prediction_answers_from_the_run_and_not_from_the_knobs():
    none, causal = demo.score(LAB, "none", 4, 0), demo.score(LAB, "causal", 4, 0)
    measured = demo.Result(Params(), 0.7, causal, causal, (none, causal))
    assert demo.right_option(measured) == "lower_higher"
    swapped = demo.Result(Params(), 0.7, causal, causal, (causal, none))
    assert demo.right_option(swapped) == "higher_lower"


@pytest.mark.parametrize("mask", ["causal", "none", "one_open", "zero_after", "no_shift"])
def test_claims_hold_for_short_texts(mask: str):
    source, chosen, causal = demo.chain(1), demo.score(LAB, mask, 4, 1), demo.score(LAB, "causal", 4, 1)
    result = demo.Result(Params(mask=mask, length=4, seed=1), source.entropy, chosen, causal, (chosen, causal))
    assert [claim for claim in DEMO.claims(result) if not claim.holds] == []


def test_a_leaky_model_passed_off_as_causal_breaks_the_claims():
    leaky = demo.score(LAB, "none", 4, 1)
    result = demo.Result(Params(mask="causal", length=4, seed=1), demo.chain(1).entropy, leaky, leaky, (leaky, leaky))
    broken = {claim.id for claim in DEMO.claims(result) if not claim.holds}
    assert broken >= {
        "future_has_no_influence",
        "visible_pairs",
        "parallel_equals_stepwise",
        "causal_loss_nears_entropy",
    }


def test_training_stops_when_the_learner_leaves():
    def leave(_fraction: float, _note: Text | None) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        demo.train(Lab(torch.device("cpu"), leave), "causal", 4, 4)
