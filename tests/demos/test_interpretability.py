"""Theory and oracles for the demo of explanations: PyTorch for the model, Captum for the attributions."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from captum.attr import FeatureAblation, InputXGradient, IntegratedGradients
from torch import Tensor, nn

from demos import interpretability as demo
from demos.interpretability import DEMO, Params
from demos.kit import causes, runner
from demos.kit.causes import CLS, TOKENS, VALUES
from demos.kit.lab import Lab, Stopped
from demos.kit.layers import HEADS, WIDTH, feed_forward, look, merge
from language import Text

LAB = Lab(torch.device("cpu"))


@pytest.fixture(scope="module")
def model() -> causes.Model:
    """Two untrained networks; the numerics of a method do not need a trained one."""
    generator = LAB.generator(5)
    pair = zip(causes.draw(LAB, generator), causes.draw(LAB, generator), strict=True)
    return causes.assemble([torch.cat(both) for both in pair])


@pytest.fixture(scope="module")
def sentences() -> causes.Sentences:
    return causes.write(6, LAB.generator(9))


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch, model: causes.Model, sentences: causes.Sentences) -> causes.Model:
    """The demo's own methods on these networks, with nothing remembered."""
    x = causes.embed(model, sentences.tokens)
    named = causes.answer(model, x).argmax(-1)
    monkeypatch.setattr(demo, "train", lambda *_: model)
    monkeypatch.setattr(demo, "examples", lambda *_: (sentences, x, named))
    return model


def margin_of_the_first(model: causes.Model, named: Tensor) -> Callable[[Tensor], Tensor]:
    """F as Captum wants it: (example, position, feature) → (example,); it may repeat the examples."""

    def f(x: Tensor) -> Tensor:
        return demo.margin(causes.answer(model.first(), x.unsqueeze(0)), named.repeat(len(x) // len(named))[None])[0]

    return f


def test_the_model_is_a_pre_norm_encoder_layer_of_pytorch(model: causes.Model, sentences: causes.Sentences):
    one, x = model.first(), causes.embed(model.first(), sentences.tokens)
    block = one.blocks[0]
    theirs = nn.MultiheadAttention(WIDTH, HEADS, bias=False, batch_first=True, device="meta")
    state = {"in_proj_weight": block.projections[0].mT, "out_proj.weight": block.output[0].mT}
    theirs.load_state_dict({name: weight.contiguous() for name, weight in state.items()}, assign=True)
    normed = F.layer_norm(x[0], (WIDTH,))
    with torch.no_grad():
        attended, weights = theirs(normed, normed, normed, average_attn_weights=False)
    y = x[0] + attended
    y = y + F.relu(F.layer_norm(y, (WIDTH,)) @ block.rise[0]) @ block.fall[0]
    reading = causes.run(one, x)
    torch.testing.assert_close(reading.weights[0][0], weights)
    torch.testing.assert_close(reading.states[1][0], y)


def test_masking_a_token_is_a_key_mask_before_the_softmax(model: causes.Model, sentences: causes.Sentences):
    x, keep = causes.embed(model, sentences.tokens), torch.ones(1 + TOKENS)
    keep[3] = 0
    block, normed = model.blocks[0], causes.norm(x)
    weights, value = look(normed, block)
    masked = weights.log().masked_fill(keep == 0, -math.inf).softmax(-1)
    wanted = x + merge(masked @ value, block)
    reading = causes.run(model, x, keep=keep)
    torch.testing.assert_close(reading.weights[0], masked)
    torch.testing.assert_close(reading.states[1], wanted + feed_forward(causes.norm(wanted), block))


def test_answers_are_the_sum_of_the_two_causes_and_the_distractor_plays_no_part():
    written = causes.write(200, LAB.generator(3))
    a, b, distractor, filler = written.tokens.gather(1, written.places).unbind(-1)
    assert torch.equal((a + b) % VALUES, written.answers)
    assert [set((each // VALUES).tolist()) for each in (a, b, distractor, filler)] == [{1}, {2}, {3}, {0}]
    assert ((written.tokens // VALUES).sort(-1).values == torch.tensor([0, 0, 0, 0, 0, 1, 2, 3])).all()
    assert written.tokens.max() < CLS


@pytest.mark.parametrize("role", range(4))
def test_a_changed_value_keeps_the_role_and_every_other_token(role: int):
    written = causes.write(50, LAB.generator(4))
    changed, place = written.changed(role), written.places[:, role : role + 1]
    assert (changed != written.tokens).sum(-1).tolist() == [1] * 50
    old, new = written.tokens.gather(1, place), changed.gather(1, place)
    assert torch.equal(old // VALUES, new // VALUES)
    assert torch.equal((old + 1) % VALUES, new % VALUES)


def test_a_shift_of_all_logits_does_not_move_the_margin():
    logits, named = torch.randn(1, 7, VALUES, generator=LAB.generator(1)), torch.zeros(1, 7, dtype=torch.long)
    torch.testing.assert_close(demo.margin(logits + 3, named), demo.margin(logits, named))
    wanted = logits[..., 0] - logits[..., 1:].mean(-1)
    torch.testing.assert_close(demo.margin(logits, named), wanted)


@pytest.mark.parametrize("baseline", ["filler", "zero"])
@pytest.mark.parametrize("steps", [4, 16])
def test_integrated_gradients_are_captums_with_the_midpoint_rule(untrained: causes.Model, baseline: str, steps: int):
    _, x, named = demo.examples(LAB, 0)
    blank = demo.absent(untrained, x, baseline)
    oracle = IntegratedGradients(margin_of_the_first(untrained, named[0]))
    wanted, delta = oracle.attribute(
        x[0], blank[0], n_steps=steps, method="riemann_middle", return_convergence_delta=True
    )
    ours, error = demo.integrate.__wrapped__(LAB, 0, baseline, steps)  # type: ignore[attr-defined]
    torch.testing.assert_close(ours[0], wanted.sum(-1)[:, 1:], atol=1e-5, rtol=1e-4)
    f = margin_of_the_first(untrained, named[0])
    change = f(x[0]) - f(blank[0])
    assert error == pytest.approx((delta.abs().mean() / change.abs().mean()).item(), abs=1e-5)


def test_gradient_times_input_is_captums(untrained: causes.Model):
    _, x, named = demo.examples(LAB, 0)
    wanted = InputXGradient(margin_of_the_first(untrained, named[0])).attribute(x[0].clone().requires_grad_())
    ours = demo.read_attention.__wrapped__(LAB, 0)["gradient"][0]  # type: ignore[attr-defined]
    torch.testing.assert_close(ours, wanted.sum(-1)[:, 1:], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("replacement", ["filler", "zero"])
def test_ablation_is_captums_feature_ablation_token_by_token(untrained: causes.Model, replacement: str):
    _, x, named = demo.examples(LAB, 0)
    blank, mask = (
        demo.absent(untrained, x, replacement)[0],
        torch.arange(1 + TOKENS).view(1, -1, 1).expand(1, -1, WIDTH),
    )
    oracle = FeatureAblation(margin_of_the_first(untrained, named[0]))
    wanted = oracle.attribute(x[0], blank, feature_mask=mask)[:, 1:, 0]
    ours = demo.ablate.__wrapped__(LAB, 0, replacement)[0]  # type: ignore[attr-defined]
    torch.testing.assert_close(ours, wanted, atol=1e-5, rtol=1e-4)


def test_ablation_by_value_is_the_mean_effect_of_the_three_other_values(untrained: causes.Model):
    sentences, x, named = demo.examples(LAB, 0)
    ours = demo.ablate.__wrapped__(LAB, 0, "value")[0, 0, 2]  # type: ignore[attr-defined]
    token, effects = int(sentences.tokens[0, 2]), []
    for other in {*range(token // VALUES * VALUES, token // VALUES * VALUES + VALUES)} - {token}:
        tokens = sentences.tokens[:1].clone()
        tokens[0, 2] = other
        f = margin_of_the_first(untrained, named[0, :1])
        effects.append(f(x[0, :1]) - f(causes.embed(untrained.first(), tokens)[0]))
    torch.testing.assert_close(ours, torch.cat(effects).mean())


def test_what_tokens_add_to_cls_is_the_attention_output_in_parts(model: causes.Model, sentences: causes.Sentences):
    x = causes.embed(model, sentences.tokens)
    reading = causes.run(model, x)
    weights, value = reading.weights[0], reading.values[0]
    parts = merge(weights[..., 0, :].unsqueeze(-1) * value, model.blocks[0])  # (…, key, feature)
    whole = merge(weights @ value, model.blocks[0])[:, :, 0]
    torch.testing.assert_close(parts.sum(-2), whole)
    torch.testing.assert_close(demo.added(reading, model, 0), parts.norm(dim=-1))


def test_rollout_of_attention_to_oneself_is_the_identity_and_rows_always_sum_to_one():
    itself = torch.eye(5).expand(1, 2, 3, 5, 5)
    assert torch.equal(demo.rollout([itself, itself])[0, 0], torch.eye(5))
    weights = [torch.randn(1, 2, 3, 5, 5, generator=LAB.generator(layer)).softmax(-1) for layer in range(3)]
    rolled = demo.rollout(weights)
    torch.testing.assert_close(rolled.sum(-1), torch.ones(1, 2, 5))
    first, second = ((each.mean(2) + torch.eye(5)) / 2 for each in weights[:2])
    torch.testing.assert_close(demo.rollout(weights[:2]), second @ first)


def test_a_probe_reads_what_is_there_and_guesses_what_is_not():
    labels = torch.randint(4, (400,), generator=LAB.generator(1))
    states = F.one_hot(labels, 4).float() @ torch.randn(4, 8, generator=LAB.generator(2))
    noise = torch.randn(400, 8, generator=LAB.generator(3))
    assert demo.probe(states[:300], labels[:300], states[300:], labels[300:]) == 1
    assert demo.probe(noise[:300], labels[:300], noise[300:], labels[300:]) < 0.5


def test_precision_counts_causes_among_the_two_largest_scores_whatever_their_sign():
    places = torch.tensor([[0, 1, 2, 3]])
    one = causes.Sentences(torch.zeros(1, TOKENS, dtype=torch.long), places, torch.zeros(1))
    scores = torch.zeros(3, 1, TOKENS)
    scores[0, 0, :2] = torch.tensor([-5.0, 4.0])
    scores[1, 0, [1, 6]] = 1.0
    scores[2, 0, 4:6] = 2.0
    assert demo.precision(scores, one).tolist() == [1.0, 0.5, 0.0]


def test_a_token_with_value_zero_keeps_its_attention_and_adds_nothing():
    weight, change, growth = demo.sink(LAB)
    assert weight == pytest.approx(0.8)
    assert change == 0
    assert growth == pytest.approx(1 / (1 - 0.8), rel=1e-5)


@pytest.fixture(scope="module")
def seen() -> demo.Result:
    return demo.compute(Params(), LAB)


def test_claims_hold_at_the_defaults(seen: demo.Result):
    assert [claim.id for claim in DEMO.claims(runner.on_cpu(seen)) if not claim.holds] == []


def test_attention_of_some_layer_is_far_from_the_interventions(seen: demo.Result):
    assert seen.precision["ablation"][0] > 0.97
    assert min(seen.precision["attention1"][0], seen.precision["attention2"][0]) < 0.9


@pytest.mark.parametrize(("share", "option"), [(0.98, "most"), (0.59, "some"), (0.25, "chance")])
def test_the_prediction_answers_from_the_measured_share(seen: demo.Result, share: float, option: str):
    measured = {**seen.precision, "attention2": torch.tensor([share, 0.25])}
    assert demo.right_option(replace(seen, precision=measured)) == option


def test_patching_both_ends_is_exact_and_the_middle_is_not(seen: demo.Result):
    patching, place = seen.patching, 1 + int(seen.places[0])
    assert patching.restored[0, place].item() == pytest.approx(patching.before, abs=1e-3)
    assert patching.restored[-1, 0].item() == pytest.approx(patching.before, abs=1e-3)
    assert patching.restored[1, 0].item() > patching.after + 1


def test_the_second_network_is_the_first_before_training():
    model, generator = demo.train(LAB, 0), LAB.generator(0)
    fresh = causes.assemble(causes.draw(LAB, generator))
    assert torch.equal(model.symbols[1:], fresh.symbols)
    assert torch.equal(model.blocks[1].fall[1:], fresh.blocks[1].fall)
    assert not torch.equal(model.symbols[:1], fresh.symbols)


def test_training_stops_when_the_learner_leaves():
    def leave(_fraction: float, _note: Text | None) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        demo.train(Lab(torch.device("cpu"), leave), 99)
