"""Theory and oracles for the choice of a model."""

from dataclasses import replace

import pytest
import torch

from demos import model_choice as demo
from demos.kit.lab import Lab, Stopped
from demos.model_choice import DEMO, WIDTH, Params
from language import Text

LAB = Lab(torch.device("cpu"))


def untrained(kind: str, task: str) -> demo.Weights:
    return {name: weight.detach() for name, weight in demo.fresh_weights(kind, task, LAB.generator(1)).items()}


def result(task: str, **accuracies: float) -> demo.Result:
    """A scoreboard without training."""
    sizes = {"cnn": 3362, "gru": 6594, "transformer": 26_000}
    scores = {
        kind: demo.Score(sizes[kind], 1.0, torch.full((60 if task == "parity" else 1,), value))
        for kind, value in accuracies.items()
    }
    return demo.Result(Params(task=task), scores, demo.token_cost(LAB, 4096, 64))


def broken(seen: demo.Result) -> set[str]:
    return {claim.id for claim in DEMO.claims(seen) if not claim.holds}


def test_half_of_the_sequences_contain_the_motif_and_the_labels_say_which():
    symbols, answers = demo.motif(400, LAB.generator(2))
    contains = (symbols.unfold(1, 3, 1) == torch.tensor([3, 1, 4])).all(-1).any(1)
    assert torch.equal(contains.long(), answers.squeeze(-1))
    assert answers.sum() == 200


def test_parity_counts_the_ones_so_far():
    bits, answers = demo.parity(4, 12, LAB.generator(3))
    expected = [sum(row[: place + 1]) % 2 for row in bits.tolist() for place in range(12)]
    assert answers.flatten().tolist() == expected


def test_the_answer_of_a_lookup_is_the_value_stored_with_the_key():
    symbols, answers = demo.recall(50, LAB.generator(4))
    for row, answer in zip(symbols.tolist(), answers.flatten().tolist(), strict=True):
        stored = {symbol // 9: symbol % 9 for symbol in row[:-1]}
        assert len(stored) == 8
        assert row[-1] % 9 == 8  # the query carries no value
        assert stored[row[-1] // 9] == answer


def test_the_gru_is_pytorchs():
    weights, stream = untrained("gru", "motif"), torch.randn(2, 7, WIDTH, generator=LAB.generator(5))
    oracle = torch.nn.GRU(WIDTH, WIDTH, batch_first=True, device="meta")  # draws no random numbers
    ours = {
        "weight_ih_l0": weights["incoming"].mT.contiguous(),
        "weight_hh_l0": weights["recurrent"].mT.contiguous(),
        "bias_ih_l0": weights["incoming_bias"],
        "bias_hh_l0": weights["recurrent_bias"],
    }
    oracle.load_state_dict(ours, assign=True)
    torch.testing.assert_close(demo.recur(weights, stream), oracle(stream)[0])


def test_no_causal_model_reads_the_future():
    bits = torch.randint(2, (1, 10), generator=LAB.generator(6))
    changed = bits.clone()
    changed[0, 5] = 1 - changed[0, 5]
    for kind in ("cnn", "gru", "transformer"):
        weights = untrained(kind, "parity")
        moved = demo.model(weights, kind, "parity", bits) - demo.model(weights, kind, "parity", changed)
        assert moved[0, :5].abs().max() == 0, kind
        assert moved[0, 5].abs().max() > 0, kind


def test_the_cnn_sees_three_tokens():
    bits = torch.zeros(1, 10, dtype=torch.long)
    changed = bits.clone()
    changed[0, 2] = 1
    weights = untrained("cnn", "parity")
    moved = (demo.model(weights, "cnn", "parity", bits) - demo.model(weights, "cnn", "parity", changed)).abs().sum(-1)
    assert moved[0].nonzero().flatten().tolist() == [2, 3, 4]


@pytest.mark.parametrize(("context", "width"), [(16, 32), (4096, 64), (65_536, 1024)])
def test_pytorch_counts_the_operations_of_the_formula(context: int, width: int):
    cost = demo.token_cost(LAB, context, width)
    assert cost.attention_flops == 24 * width**2 + 4 * context * width
    assert cost.recurrent_flops == 12 * width**2
    assert (cost.cached, cost.state) == (2 * context * width, width)


def test_reading_the_cache_costs_as_much_as_the_rest_at_six_widths():
    cost = demo.token_cost(LAB, 6 * 64, 64)
    assert cost.attention_flops == 2 * 24 * 64**2


def test_a_cnn_that_knows_more_than_its_window_breaks_the_claims():
    good = result("recall", cnn=0.3, gru=0.4, transformer=1.0)
    assert broken(good) == set()
    assert broken(result("recall", cnn=0.6, gru=0.4, transformer=1.0)) == {"window_limits_cnn"}
    assert broken(result("parity", cnn=0.8, gru=1.0, transformer=0.5)) == {"cnn_cannot_see_parity"}
    assert broken(result("parity", cnn=0.5, gru=0.5, transformer=0.9)) == {"gru_extrapolates", "transformer_does_not"}


def test_a_winning_transformer_breaks_the_claims_of_the_motif():
    assert broken(result("motif", cnn=1.0, gru=0.9, transformer=0.6)) == set()
    assert broken(result("motif", cnn=0.6, gru=0.9, transformer=0.99)) == {
        "cnn_beats_transformer",
        "transformer_memorises",
    }


def test_a_wrong_operation_count_breaks_a_claim():
    seen = result("motif", cnn=1.0, gru=0.9, transformer=0.6)
    assert broken(replace(seen, cost=replace(seen.cost, attention_flops=1))) == {"attention_token_cost"}


def test_the_prediction_answers_from_the_run():
    assert demo.right_option(result("motif", cnn=1.0, gru=0.9, transformer=0.6)) == "cnn"
    assert demo.right_option(result("motif", cnn=1.0, gru=1.0, transformer=0.6)) == "cnn"
    assert demo.right_option(result("motif", cnn=0.7, gru=0.9, transformer=0.6)) == "gru"


def test_training_stops_when_the_learner_leaves():
    def leave(_fraction: float, _note: Text | None) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        demo.train(Lab(torch.device("cpu"), leave), "cnn", "motif", 100, 4)
