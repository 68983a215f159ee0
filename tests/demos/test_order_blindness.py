"""Theory and oracles for what an encoder without positions cannot see."""

import math
from typing import Any

import pytest
import torch
from torch.nn import TransformerEncoderLayer

from demos import order_blindness as demo
from demos.kit.contract import Impossible
from demos.kit.lab import Lab, Stopped
from demos.order_blindness import Params, Result
from language import Text

LAB = Lab(torch.device("cpu"))


def normal(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=LAB.generator(seed))


def result(*args: Any, **knobs: Any) -> Result:
    return demo.compute(Params(*args, **knobs), LAB)


def claimed(*args: Any, **knobs: Any) -> dict[str, float]:
    return {claim.id: claim.measured for claim in demo.claims(result(*args, **knobs))}


@pytest.mark.parametrize("causal", [False, True])
def test_a_layer_is_pytorchs_pre_norm_encoder_layer(causal: bool):
    layers = demo.draw_layers(1, LAB.generator(0), LAB)
    into, back, up, down = layers[0]
    theirs = TransformerEncoderLayer(32, 1, 64, dropout=0.0, norm_first=True, batch_first=True, bias=False)
    with torch.no_grad():
        theirs.self_attn.in_proj_weight.copy_(into.mT)
        for linear, weight in ((theirs.self_attn.out_proj, back), (theirs.linear1, up), (theirs.linear2, down)):
            linear.weight.copy_(weight.mT)
        x = normal(2, 7, 32)
        mask = torch.ones(7, 7, dtype=torch.bool).triu(1) if causal else None
        torch.testing.assert_close(demo.encoder(layers, x, causal), theirs(x, mask), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("layers", [1, 6])
def test_every_permutation_of_an_encoder_without_positions_comes_back(layers: int):
    weights = [[w.double() for w in layer] for layer in demo.draw_layers(layers, LAB.generator(0), LAB)]
    x = normal(9, 32).double()
    for seed in range(5):
        order = torch.randperm(9, generator=LAB.generator(seed))
        moved, plain = demo.encoder(weights, x[order], False), demo.encoder(weights, x, False)
        torch.testing.assert_close(moved, plain[order], atol=1e-12, rtol=1e-12)


def test_sinusoids_are_those_of_the_paper():
    added = demo.encodings("sinusoidal", 5, LAB.generator(0), LAB)
    assert added[3, 4].item() == pytest.approx(math.sin(3 / 10_000 ** (4 / 32)), abs=1e-6)
    assert added[3, 5].item() == pytest.approx(math.cos(3 / 10_000 ** (4 / 32)), abs=1e-6)


def test_words_are_split_at_spaces_and_chinese_at_characters():
    assert demo.split(Params("dog bites man")) == ("dog", "bites", "man")
    assert demo.split(Params("狗咬人")) == ("狗", "咬", "人")
    assert demo.split(Params("GPT 写 诗")) == ("GPT", "写", "诗")
    assert len(demo.split(Params("a b c d e f g h i j k l"))) == 10


def test_one_word_has_no_other_order_and_a_table_has_an_end():
    with pytest.raises(Impossible, match="no other order"):
        demo.split(Params("dog"))
    with pytest.raises(Impossible, match="position 8 has no row"):
        demo.split(Params("a b c d e f g h i", positions="learned"))
    assert len(demo.split(Params("a b c d e f g h", positions="learned"))) == 8


def test_three_words_have_six_orders_and_a_repeated_word_makes_them_three():
    ids = torch.tensor([0, 1, 2])
    assert demo.all_orders(ids, LAB.generator(0)).tolist()[0] == [0, 1, 2]
    assert len(demo.all_orders(ids, LAB.generator(0))) == 6
    assert demo.all_orders(torch.tensor([0, 1, 0]), LAB.generator(0)).tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert len(demo.all_orders(torch.arange(10), LAB.generator(0))) == 24


def test_a_bag_of_words_has_one_vector_until_positions_or_a_mask_come():
    assert result().distinct == 1
    assert result(positions="sinusoidal").distinct == 6
    assert result(causal=True, layers=1).distinct == 6
    assert result(positions="sinusoidal", strength=0.0).distinct == 1


def test_the_outputs_brought_back_stand_beside_their_words():
    seen = result("a b c d", "shuffle", "sinusoidal")
    order = demo.new_order(4, seen.params, generator_after_vocabulary(seen.params.seed))
    assert seen.broken > 1000 * seen.rounding
    assert sorted(order.tolist()) == [0, 1, 2, 3]
    blind = result("a b c d", "shuffle")
    torch.testing.assert_close(blind.reordered, blind.outputs, atol=blind.rounding, rtol=0)


def generator_after_vocabulary(seed: int) -> torch.Generator:
    generator = LAB.generator(seed)
    torch.randn(10, 32, generator=generator)
    return generator


def test_positions_that_travel_with_the_words_break_nothing():
    seen = result(positions="sinusoidal", reorder="reverse")
    assert seen.carried <= seen.rounding < seen.broken


def test_nothing_moved_makes_no_claim_about_moving():
    made = claimed("no no no", positions="sinusoidal")
    assert "encoding_breaks_the_symmetry" not in made
    assert made["equal_words_differ"] > 0.1


def test_a_repeated_word_stays_without_a_place_even_under_the_mask():
    seen = result("no no no", causal=True)
    assert seen.twins <= seen.rounding
    assert "repetition_has_no_positions" in claimed("no no no", causal=True)


def test_one_causal_layer_sees_the_words_before_as_a_set_and_two_see_their_order():
    one, two = (result("a b c d e", causal=True, layers=layers) for layers in (1, 2))
    assert one.last <= one.rounding
    assert two.last > 1000 * two.rounding


def test_each_pair_of_the_order_task_is_one_bag_with_both_labels():
    symbols, labels = demo.order_task(torch.combinations(torch.arange(8)), LAB.generator(0))
    first, second = symbols.chunk(2)
    assert torch.equal(first.sort(-1).values, second.sort(-1).values)
    place_of_a, place_of_b = (symbols == 0).float().argmax(-1), (symbols == 1).float().argmax(-1)
    assert torch.equal((place_of_a < place_of_b).float(), labels)
    assert ((symbols == 0).sum(-1) == 1).all()


def test_a_model_that_ignores_order_is_right_half_the_time_and_pays_ln_two():
    labels = torch.tensor([1.0, 0.0]).repeat_interleave(50)
    same = normal(50).repeat(2)
    trial = demo.examine(same, labels)
    assert trial.accuracy == 0.5
    assert trial.loss >= math.log(2)
    assert demo.examine(torch.zeros(100), labels).loss == pytest.approx(math.log(2))
    assert demo.examine(20 * (2 * labels - 1), labels).accuracy == 1.0


@pytest.mark.parametrize("seed", [0, 7])
def test_who_learns_the_order_task(seed: int):
    trials = {name: demo.train(LAB, name, seed).accuracy for name in demo.MODELS}
    assert trials["blind"] == 0.5
    assert min(trials["sinusoids"], trials["causal"], trials["causal_last_two"]) > 0.95
    assert trials["causal_last"] == pytest.approx(5 / 8, abs=0.01)


def test_the_mask_model_is_not_told_positions_by_anything_else():
    """With the mask taken away, the trained answer is the same for a sequence and its exchange."""
    symbols, _ = demo.order_task(torch.combinations(torch.arange(8)), LAB.generator(3))
    layers, vocabulary = demo.draw_layers(1, LAB.generator(0), LAB), normal(12, 32)
    means = demo.encoder(layers, vocabulary[symbols], False).mean(-2)
    torch.testing.assert_close(*means.chunk(2), atol=1e-5, rtol=0)
    masked = demo.encoder(layers, vocabulary[symbols], True).mean(-2)
    one, other = masked.chunk(2)
    assert (one - other).norm(dim=-1).min().item() > 1e-3


def test_training_is_remembered_and_stops_when_the_learner_leaves():
    assert demo.train(LAB, "causal", 0) is demo.train(LAB, "causal", 0)

    def leave(_fraction: float, _note: Text | None) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        demo.train(Lab(torch.device("cpu"), leave), "causal", 77)


def test_the_prediction_answers_from_the_measured_accuracies():
    seen = result()
    assert demo.right_option(seen) == "causal"
    for blind, causal, option in ((1.0, 1.0, "all"), (0.5, 0.5, "neither"), (1.0, 0.5, "both_ways")):
        trials = {
            **seen.trials,
            "blind": demo.Trial(blind, 0.0, 0.0),
            "causal": demo.Trial(causal, 0.0, 0.0),
        }
        assert demo.right_option(Result(**{**vars(seen), "trials": trials})) == option
