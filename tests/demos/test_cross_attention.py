"""Theory and oracles for cross-attention."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from demos import cross_attention as demo
from demos.cross_attention import DEMO, DIGITS, LONGEST, WIDTH, Model, Params
from demos.kit import runner
from demos.kit.lab import Lab, Stopped
from language import Text

LAB = Lab(torch.device("cpu"))
SMALL = Model("reverse", 4, "rows", "none", 0)


def untrained() -> demo.Weights:
    generator = LAB.generator(7)
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("source", "target"), (DIGITS + 1, WIDTH))
    shapes |= {f"{side}_places": (LONGEST, WIDTH) for side in ("source", "target")}
    shapes |= dict.fromkeys(("encoder", "decoder", "cross"), (4, WIDTH, WIDTH))
    shapes |= {f"{side}_rise": (WIDTH, 2 * WIDTH) for side in ("encoder", "decoder")}
    shapes |= {f"{side}_fall": (2 * WIDTH, WIDTH) for side in ("encoder", "decoder")}
    shapes["names"] = (WIDTH, DIGITS)
    return {name: torch.randn(*shape, generator=generator) / 5 for name, shape in shapes.items()}


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=LAB.generator(2))


def open_mask(rows: int, columns: int) -> Tensor:
    return torch.zeros(rows, columns, dtype=torch.bool)


def result(**knobs: object) -> demo.Result:
    return demo.compute(Params(**{"length": 4, **knobs}), LAB)  # type: ignore[arg-type]


def broken(seen: demo.Result) -> list[str]:
    return [claim.id for claim in DEMO.claims(runner.on_cpu(seen)) if not claim.holds]


def test_attention_is_pytorchs_multi_head_attention_with_queries_from_one_side_and_keys_from_the_other():
    asking, read, matrices = normal(2, 3, WIDTH), normal(2, 5, WIDTH) + 1, normal(4, WIDTH, WIDTH) / 5
    theirs = nn.MultiheadAttention(WIDTH, 1, bias=False, batch_first=True, device="meta")
    state = {
        "in_proj_weight": torch.cat([matrix.mT for matrix in matrices[:3]]),
        "out_proj.weight": matrices[3].mT.contiguous(),
    }
    theirs.load_state_dict(state, assign=True)
    with torch.no_grad():
        wanted, their_weights = theirs(asking, read, read)
    ours, weights = demo.attend(asking, read, matrices, open_mask(3, 5))
    assert weights.shape == (2, 3, 5)
    torch.testing.assert_close(weights, their_weights)
    torch.testing.assert_close(ours, wanted)


def test_a_mask_of_attend_hides_what_it_marks():
    asking, matrices = normal(1, 4, WIDTH), normal(4, WIDTH, WIDTH) / 5
    ours, weights = demo.attend(asking, asking, matrices, demo.future(4))
    query, key, value = (asking @ matrix for matrix in matrices[:3])
    wanted = F.scaled_dot_product_attention(query, key, value, is_causal=True) @ matrices[3]
    assert weights.triu(1).max() == 0
    torch.testing.assert_close(ours, wanted)


def test_permuting_the_memory_with_its_mask_changes_nothing():
    weights, written = untrained(), torch.tensor([[10, 1, 2]])
    memory, hidden, order = normal(1, 6, WIDTH), demo.future(6)[:3], torch.randperm(6, generator=LAB.generator(4))
    straight, _ = demo.decode(weights, written, memory, hidden)
    shuffled, _ = demo.decode(weights, written, memory[:, order], hidden[:, order])
    torch.testing.assert_close(shuffled, straight)
    without_its_mask, _ = demo.decode(weights, written, memory[:, order], hidden)
    assert (without_its_mask - straight).abs().max() > 1e-3


def test_the_encoders_gradient_comes_through_the_memory_alone():
    weights = {name: weight.requires_grad_() for name, weight in untrained().items()}
    source, written = torch.tensor([[1, 2, 3, 4]]), torch.tensor([[10, 4, 3, 2]])
    memory = demo.remember(weights, source, SMALL)
    demo.decode(weights, written, memory.detach(), open_mask(4, 4))[0].sum().backward()
    encoder = ("source", "source_places", "encoder", "encoder_rise", "encoder_fall")
    assert all(weights[name].grad is None for name in encoder)
    assert weights["cross"].grad is not None
    demo.decode(weights, written, memory, open_mask(4, 4))[0].sum().backward()
    assert all(weights[name].grad is not None for name in encoder)


def test_decoder_self_attention_cannot_see_later_targets_but_cross_attention_sees_the_whole_source():
    weights, memory = untrained(), normal(1, 4, WIDTH)
    first, second = torch.tensor([[10, 1, 2, 3]]), torch.tensor([[10, 1, 9, 9]])
    one, _ = demo.decode(weights, first, memory, open_mask(4, 4))
    two, looks = demo.decode(weights, second, memory, open_mask(4, 4))
    assert torch.equal(one[:, :2], two[:, :2])
    assert (one[:, 2:] != two[:, 2:]).any()
    assert (looks[0, 0] > 0).all()


def test_the_memory_can_be_causal():
    weights, causal = untrained(), Model("reverse", 4, "rows", "both", 0)
    before, after = (demo.remember(weights, torch.tensor([[1, 2, 3, last]]), causal) for last in (4, 5))
    assert torch.equal(before[:, :3], after[:, :3])
    assert (before[:, 3] != after[:, 3]).any()


def test_answers_are_those_of_python():
    source = torch.tensor([[3, 1, 4, 1]])
    assert demo.answer_to(source, "reverse").tolist() == [[1, 4, 1, 3]]
    assert demo.answer_to(source, "sort").tolist() == [[1, 1, 3, 4]]
    assert demo.answer_to(source, "copy").tolist() == [[3, 1, 4, 1]]


@pytest.mark.parametrize("length", [4, 8, 12])
def test_shuffling_moves_every_row_once(length: int):
    order = demo.shuffle(length)
    assert sorted(order.tolist()) == list(range(length))
    assert order.tolist() != list(range(length))


@pytest.mark.parametrize(
    "knobs",
    [
        {},
        {"mask": "after"},
        {"mask": "training"},
        {"mask": "both"},
        {"reads": "other"},
        {"reads": "zeros"},
        {"reads": "shuffled", "mask": "after"},
    ],
    ids=str,
)
def test_claims_hold_for_short_sentences(knobs: dict[str, object]):
    assert broken(result(**knobs)) == []


def test_the_neighbours_memory_makes_the_neighbours_answer():
    seen = result(reads="other")
    assert seen.answer == seen.read[::-1]
    assert seen.answer != seen.wanted


def test_shuffled_rows_give_the_same_answer_from_other_columns():
    straight, shuffled = result(), result(reads="shuffled")
    assert straight.answer == shuffled.answer == straight.wanted
    torch.testing.assert_close(shuffled.weights, straight.weights[:, demo.shuffle(4)], atol=1e-5, rtol=0)


def test_repeated_digits_are_told_apart_by_their_place():
    seen = result(digits="7")
    assert seen.answer == [7, 7, 7, 7]
    assert seen.weights.argmax(-1).tolist() == [3, 2, 1, 0]


def test_the_weights_grow_with_the_target_and_not_with_the_source():
    assert result(written=1).weights.shape == (1, 4)
    assert result(written=3).weights.shape == (3, 4)
    assert result(written=12).weights.shape == (4, 4)


@pytest.mark.parametrize(("digits", "reason"), [("", "no key"), ("12a", "vocabulary"), ("１２", "vocabulary")])
def test_what_is_not_made_of_digits_is_refused_with_the_reason(digits: str, reason: str):
    problem = runner.run(DEMO, Params(length=4, digits=digits), LAB).problem
    assert problem is not None
    assert reason in problem.en


@pytest.mark.parametrize(("share", "option"), [(1.0, "all"), (0.55, "half"), (0.1, "chance")])
def test_the_prediction_answers_from_the_measured_share(share: float, option: str):
    seen = result()
    measured = demo.Result(**{**vars(seen), "asked": torch.full((4,), share)})
    assert demo.right_option(measured) == option


def test_training_stops_when_the_learner_leaves():
    def leave(_fraction: float, _note: Text | None) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        demo.train(Lab(torch.device("cpu"), leave), Model("copy", 4, "rows", "none", 3))
