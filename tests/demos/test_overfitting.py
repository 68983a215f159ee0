"""Theory and oracles for overfitting and the regularisers."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from demos import overfitting as demo
from demos.claims.overfitting import FLOOR
from demos.kit.lab import Lab, Stopped
from demos.overfitting import DEMO, Params
from language import Text

LAB = Lab(torch.device("cpu"))


def untrained() -> demo.Weights:
    return {name: weight.detach() for name, weight in demo.fresh_weights(LAB.generator(1)).items()}


def a_run(logits: torch.Tensor) -> demo.Run:
    """What is measured when a model gives these logits to 4 training and 4 validation examples, label 2 flipped."""
    labels, flip = torch.tensor([0, 1, 1, 0]), torch.tensor([False, False, True, False])
    return demo.measure(logits, torch.zeros(len(logits)), labels, flip, labels, flip)


def result(params: Params) -> demo.Result:
    """Without training: a memoriser beside one that knows the rule."""
    labels = torch.tensor([0, 1, 1, 0])
    right = F.one_hot(labels, 2).float() * 8  # (example, class)
    unsure = torch.zeros(4, 2)
    memoriser = a_run(torch.stack([torch.cat([unsure, right / 8]), torch.cat([right, -right])]))
    modest = a_run(torch.stack([torch.cat([unsure, unsure])] * 2))
    forms = demo.closed_forms(LAB, params.dropout, params.decay, params.smoothing, 0)
    return demo.Result(params, memoriser, modest, forms)


def claimed(params: Params, **changes: object) -> dict[str, bool]:
    return {claim.id: claim.holds for claim in DEMO.claims(replace(result(params), **changes))}


def test_fifteen_percent_of_labels_are_flipped_and_the_rest_follow_the_rule():
    sequences, labels, flip = demo.examples(20_000, 3, LAB.generator(5))
    hidden = torch.randn(16, generator=LAB.generator(3))
    rule = (hidden - hidden.mean())[sequences].sum(-1) > 0
    assert torch.equal(labels.bool() != rule, flip)
    assert flip.float().mean().item() == pytest.approx(0.15, abs=5 * math.sqrt(0.15 * 0.85 / 20_000))
    assert (labels ^ flip.long()).float().mean().item() == pytest.approx(0.5, abs=0.1)


def test_the_same_sequence_has_the_same_true_label_in_training_and_validation():
    one, first, flipped = demo.examples(50, 3, LAB.generator(5))
    two, second, wrong = demo.examples(50, 3, LAB.generator(5))
    assert torch.equal(one, two)
    assert torch.equal(first ^ flipped.long(), second ^ wrong.long())


def test_the_floor_is_the_entropy_of_a_label():
    logits = torch.tensor([[math.log(0.85 / 0.15), 0.0]])
    soft = torch.tensor([[0.85, 0.15]])
    assert F.cross_entropy(logits, soft).item() == pytest.approx(FLOOR, abs=1e-6)


def test_dropout_keeps_the_mean_in_training_and_does_nothing_in_evaluation():
    ones = torch.ones(100_000)
    dropped = demo.drop(ones, 0.3, LAB.generator(2))
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert dropped.mean().item() == pytest.approx(1, abs=5 * math.sqrt(0.3 / 0.7 / 100_000))
    assert demo.drop(ones, 0.3, None) is ones


def test_evaluation_ignores_dropout_and_training_does_not():
    weights, (sequences, _, _) = untrained(), demo.examples(8, 0, LAB.generator(3))
    torch.testing.assert_close(demo.model(weights, sequences, 0.5), demo.model(weights, sequences))
    noisy = demo.model(weights, sequences, 0.5, LAB.generator(4))
    assert (noisy - demo.model(weights, sequences)).abs().max() > 0.01


def test_the_best_margin_gives_the_smoothed_targets_back():
    """Szegedy et al., section 7: softmax of the best logits is (1 − ε)·one-hot + ε/K; 10 classes, ε = 0.1."""
    margin = demo.best_margin(0.1, 10)
    assert margin == pytest.approx(4.511, abs=5e-4)
    logits = torch.tensor([margin] + [0.0] * 9)
    torch.testing.assert_close(logits.softmax(-1), torch.tensor([0.91] + [0.01] * 9))
    assert demo.closed_forms(LAB, 0.0, 0.0, 0.1, 0).smooth_loss == pytest.approx(0.5003, abs=5e-5)
    assert math.isinf(demo.best_margin(0.0, 10))


def test_adam_with_l2_takes_the_same_path_for_every_strength_and_adamw_does_not():
    """Loshchilov and Hutter, Algorithm 2: only the decoupled decay is a factor 1 − ηλ per step."""
    weak, strong = (demo.without_gradient(torch.optim.Adam, decay) for decay in (0.1, 3.0))
    torch.testing.assert_close(weak, strong, atol=1e-4, rtol=0)
    for decay in (0.1, 3.0):
        path = demo.without_gradient(torch.optim.AdamW, decay)
        torch.testing.assert_close(path, 10 * (1 - 1e-3 * decay) ** torch.arange(101.0), atol=1e-4, rtol=0)


def test_losses_and_shares_are_read_from_the_logits():
    run = result(Params()).chosen
    assert run.train_loss.tolist() == pytest.approx([math.log(2), math.log1p(math.exp(-8))], abs=1e-6)
    assert run.validation_loss.tolist() == pytest.approx([math.log1p(math.exp(-1)), 8 + math.log1p(math.exp(-8))])
    assert run.memorised[-1] == 1
    assert run.best == 0
    assert run.right_clean[-1].tolist() == [False, False, True, False]  # wrong everywhere, so right where flipped


def test_a_model_below_the_floor_without_memorising_would_break_a_claim():
    """If the training loss is 0, every flipped label must have been given back."""
    honest = result(Params()).chosen
    assert claimed(Params())["low_loss_means_memorised"]
    assert not claimed(Params(), chosen=replace(honest, memorised=torch.zeros(2)))["low_loss_means_memorised"]


def test_a_gap_as_large_as_the_plain_one_breaks_the_claim_of_a_regulariser():
    seen = claimed(Params(decay=3.0))
    assert not seen["gap_shrinks"]  # the memoriser stands for the regularised run here
    assert seen["adamw_decays_exponentially"]
    assert seen["adam_l2_ignores_strength"]


def test_the_prediction_answers_from_the_run():
    seen = result(Params())
    assert demo.right_option(replace(seen, plain=seen.chosen)) == "above"
    assert demo.right_option(seen) == "never"
    calm = replace(seen.chosen, losses=torch.tensor([[0.5], [0.6]]))
    assert demo.right_option(replace(seen, plain=calm)) == "below"


def test_one_training_of_64_examples_memorises_their_wrong_labels():
    run = demo.train(LAB, 64, 0.0, 0.0, 0.0, 0)
    assert run.train_loss[-1] < FLOOR
    assert run.memorised[-1] > 0.9
    assert run.validation_loss[-1] > run.validation_loss[run.best]


def test_training_stops_when_the_learner_leaves():
    def leave(_fraction: float, _note: Text | None) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        demo.train(Lab(torch.device("cpu"), leave), 128, 0.1, 0.0, 0.0, 4)
