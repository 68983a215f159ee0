"""Who sees whom, against Boolean algebra, autograd and PyTorch's attention; and two learners who share one training."""

import math
import threading
from types import SimpleNamespace
from typing import cast

import pytest
import torch
import torch.nn.functional as F

from demos import masked_language_model as demo
from demos.claims.masked_language_model import KEPT, floor, leaks, path_claims, paths
from demos.figures.masked_language_model import METHODS
from demos.kit.lab import Lab, Stopped
from demos.kit.stage import forget
from demos.masked_language_model import DEMO, LENGTH, MASK, Params, Result, compute, encode, fresh_weights

LAB = Lab(torch.device("cpu"))
HIDDEN = torch.arange(LENGTH) == 5


def untrained(layers: int) -> demo.Weights:
    return {name: weight.detach() for name, weight in fresh_weights(layers, LAB.generator(4)).items()}


def words(count: int = 1, data: str = "noise") -> torch.Tensor:
    return demo.draw(data, count, LAB.generator(9))


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("method", METHODS)
def test_a_row_depends_on_a_word_exactly_where_the_boolean_product_has_a_path(method: str, layers: int):
    for position in range(1, LENGTH):
        hidden = torch.arange(LENGTH) == position
        moved = demo.reach(untrained(layers), words()[0], hidden, method)
        assert torch.equal(moved > 0, paths(Params(method=method, layers=layers, position=position)))


@pytest.mark.parametrize("method", METHODS)
def test_swapping_a_word_agrees_with_the_gradient_with_respect_to_its_embedding(method: str):
    """Autograd as an oracle: the gradient is 0 where the swap moves nothing, and only there."""
    weights = untrained(2)
    sentence, row = words()[0], 5 - (method == "causal")
    table = torch.eye(MASK + 1)[demo.cover(sentence, HIDDEN, method)] @ weights["words"]  # (position, width)
    content = table.detach().requires_grad_()
    by_position = {**weights, "words": content}
    states = encode(by_position, torch.arange(LENGTH)[None], HIDDEN[None], method)
    gradient = torch.autograd.grad(states[-1][0, row].sum() + states[-1][0, row].norm(), content)[0].norm(dim=-1)
    expected = paths(Params(method=method))[-1, row]
    if method in demo.REWRITES:
        expected[5] = True  # the [MASK] standing there is read; the word is gone
    assert torch.equal(gradient > 0, expected)


def test_attention_is_that_of_pytorch():
    query, key, value = torch.randn(3, 2, LENGTH, demo.WIDTH, generator=LAB.generator(1))
    allowed = demo.who_sees_whom(HIDDEN.expand(2, -1), "column")
    heads = (x.unflatten(-1, (demo.HEADS, -1)).transpose(1, 2) for x in (query, key, value))
    theirs = F.scaled_dot_product_attention(*heads, attn_mask=allowed.unsqueeze(1))
    torch.testing.assert_close(demo.attend(query, key, value, allowed), theirs.transpose(1, 2).flatten(-2))


def test_hiding_every_key_leaves_a_softmax_of_nothing():
    everything = torch.ones(1, LENGTH, dtype=torch.bool)
    assert encode(untrained(1), words(), everything, "column")[0].isnan().all()


def test_a_progression_is_fixed_by_two_neighbours():
    progression = words(200, "pattern")
    steps = progression.diff(dim=1) % 16
    assert (steps == steps[:, :1]).all()
    assert set(steps.unique().tolist()) == {1, 2, 3, 4}


def test_bert_replaces_80_10_10_and_touches_nothing_else():
    many, generator = words(20_000), LAB.generator(2)
    chosen = torch.rand(many.shape, generator=generator) < 0.15
    given = demo.corrupt(many, chosen, "bert", generator)
    assert torch.equal(given[~chosen], many[~chosen])
    shares = [(given[chosen] == MASK), (given[chosen] == many[chosen])]
    assert [share.float().mean().item() for share in shares] == pytest.approx([0.8, 0.1 + 0.1 / 16], abs=0.01)
    assert (demo.corrupt(many, chosen, "mask", generator) == MASK).equal(chosen)
    assert torch.equal(demo.corrupt(many, chosen, "column", generator), many)


def test_the_floor_is_the_entropy_of_the_best_answer():
    """Against the cross-entropy that the optimal answer has on many draws."""
    many, generator = words(50_000), LAB.generator(6)
    chosen = torch.rand(many.shape, generator=generator) < 0.15
    given = demo.corrupt(many, chosen, "bert", generator)[chosen]
    best = torch.full((len(given), 16), 1 / 16)
    shown = given != MASK
    best[shown] = (1 - KEPT) / 15
    best[shown] = best[shown].scatter(1, given[shown].unsqueeze(1), KEPT)
    assert F.nll_loss(best.log(), many[chosen]).item() == pytest.approx(floor(Params(method="bert")), abs=0.01)
    assert floor(Params(method="bert")) == pytest.approx(2.6102, abs=1e-4)
    assert floor(Params()) == math.log(16)


def test_only_hidden_columns_and_the_diagonal_of_two_layers_leak():
    leaking = {(method, layers) for method in METHODS for layers in (1, 2) if leaks(Params(method, layers))}
    columns = {(method, layers) for method in ("column", "no_residual") for layers in (1, 2)}
    assert leaking == columns | {("diagonal", 2)}


def test_a_causal_row_names_the_word_to_its_right():
    sentence = words()
    weights = untrained(2)
    logits = demo.predict(weights, sentence, HIDDEN[None], "causal")
    states = demo.norm(encode(weights, sentence, HIDDEN[None], "causal")[-1]) @ weights["unembed"]
    assert torch.equal(logits[:, 1:], states[:, :-1])
    assert not demo.asked(HIDDEN[None], "causal")[0, 0]


def test_the_default_training_copies_words_that_nobody_can_guess():
    shown = compute(Params(layers=1), LAB)
    assert shown.trial.losses.mean().item() < 0.1
    assert shown.trial.echo > 0.95
    assert shown.predicted.argmax().item() == Params().planted
    assert not [claim for claim in DEMO.claims(shown) if not claim.holds]


def test_a_mask_that_hides_nothing_from_the_input_is_noticed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(demo, "cover", lambda words, *_: words)
    moved = demo.reach(untrained(1), words()[0], HIDDEN, "mask")
    broken = SimpleNamespace(params=Params(method="mask", layers=1), moved=moved)
    failed = {claim.id for claim in path_claims(cast(Result, broken)) if not claim.holds}
    assert failed == {"no_path_no_influence", "hidden_word_has_no_path"}


def test_a_column_that_is_not_hidden_is_noticed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(demo, "who_sees_whom", lambda *_: torch.ones(LENGTH, LENGTH, dtype=torch.bool))
    moved = demo.reach(untrained(1), words()[0], HIDDEN, "column")
    broken = SimpleNamespace(params=Params(layers=1), moved=moved)
    failed = {claim.id for claim in path_claims(cast(Result, broken)) if not claim.holds}
    assert failed == {"no_path_no_influence", "others_cannot_read_it"}


def test_a_training_stops_when_the_learner_leaves_and_is_not_remembered():
    forget()
    seen = []

    def leave(fraction: float, *_: object) -> None:
        seen.append(fraction)
        if fraction > 0.02:
            raise Stopped

    with pytest.raises(Stopped):
        demo.train(Lab(torch.device("cpu"), leave), "column", 1, "noise", 0)
    assert max(seen) < 0.05
    seen.clear()
    with pytest.raises(Stopped):
        demo.train(Lab(torch.device("cpu"), leave), "column", 1, "noise", 0)
    assert seen[0] == 0


def test_two_learners_share_one_training(monkeypatch: pytest.MonkeyPatch):
    forget()
    monkeypatch.setattr(demo, "STEPS", 20)
    reports: list[float] = []
    lab = Lab(torch.device("cpu"), lambda fraction, _: reports.append(fraction))
    learners = [threading.Thread(target=demo.train, args=(lab, "raw", 1, "noise", 0)) for _ in range(2)]
    for learner in learners:
        learner.start()
    for learner in learners:
        learner.join()
    forget()
    assert reports == [0, 0.25, 0.5, 0.75]


@pytest.mark.parametrize(("loss", "option"), [(0.01, "nothing"), (1.4, "part"), (2.77, "chance")])
def test_the_prediction_answers_from_the_measured_loss(loss: float, option: str):
    measured = SimpleNamespace(leak_curve=torch.full((400,), loss))
    assert demo.right_option(cast(Result, measured)) == option
