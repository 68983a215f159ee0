"""One head by hand: against arithmetic on paper, PyTorch, and PyTorch's own count of FLOPs."""

import dataclasses
import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from demos import attention_steps as demo
from demos.attention_steps import DEMO, HEADS, MASKS, MODEL, Params, Result, attend, compute, count_cost, split
from demos.kit import runner
from demos.kit.contract import Impossible
from demos.kit.lab import Lab

LAB = Lab(torch.device("cpu"))


def result(**knobs) -> Result:
    return compute(Params(**knobs), LAB)


def broken(seen: Result) -> set[str]:
    return {claim.id for claim in DEMO.claims(seen) if not claim.holds}


def test_the_worked_example_is_what_one_gets_on_paper():
    """Query (1, 1) sees keys (1, 1), (1, 0), (1, −1): scores 2, 1, 0, divided by √2; values (1, 0), (0, 1), (−1, 0)."""
    steps = result(edit=True).steps
    assert steps.scores[2, :3].tolist() == [2, 1, 0]
    powers = [math.exp(score / math.sqrt(2)) for score in (2, 1, 0)]
    weights = [power / sum(powers) for power in powers]
    assert steps.weights[2].tolist() == pytest.approx([*weights, 0, 0])
    assert weights == pytest.approx([0.576, 0.284, 0.140], abs=5e-4)
    assert steps.output[2].tolist() == pytest.approx([weights[0] - weights[2], weights[1]])
    assert steps.output[2].tolist() == pytest.approx([0.436, 0.284], abs=5e-4)


@pytest.mark.parametrize(("mask", "scale"), [*itertools.product(MASKS, (True, False))])
def test_the_steps_compute_what_pytorch_computes(mask, scale):
    seen = result(mask=mask, scale=scale, key_width=16)
    query, key, value = seen.steps.query, seen.steps.key, seen.steps.value
    oracle = F.scaled_dot_product_attention(query, key, value, attn_mask=seen.allowed, scale=None if scale else 1.0)
    torch.testing.assert_close(seen.steps.output, oracle)


@pytest.mark.parametrize(
    ("sentence", "tokens"),
    [
        ("the cat saw the dog", ("the", "cat", "saw", "the", "dog")),
        ("one two three four five six", ("one", "two", "three", "four", "five")),
        ("猫看见了狗", ("猫", "看", "见", "了", "狗")),
        ("GPT 很强", ("GPT", "很", "强")),
        ("  ", ("?",)),
        ("<b>don't</b>", ("b", "don", "t", "b")),
    ],
)
def test_a_sentence_becomes_at_most_five_tokens_without_markup(sentence, tokens):
    assert split(sentence) == tokens


def test_the_same_word_gets_the_same_vectors_and_without_a_causal_mask_the_same_output():
    steps = result(mask="none").steps
    for rows in (steps.query, steps.key, steps.value, steps.output):
        torch.testing.assert_close(rows[0], rows[3])
    masked = result(mask="causal").steps
    assert not torch.allclose(masked.output[0], masked.output[3])


def test_a_word_keeps_its_vectors_when_another_word_is_edited():
    one, other = (result(sentence=f"the cat {verb}").steps.value for verb in ("saw", "ate"))
    assert torch.equal(one[:2], other[:2])
    assert not torch.equal(one[2], other[2])


@pytest.mark.parametrize(("slid", "still"), [("key", ("weights", "output")), ("value", ("scores", "weights"))])
def test_what_does_not_move_when_a_matrix_is_slid(slid, still):
    seen = result()
    for name in still:
        values = getattr(seen.slides[slid], name)
        torch.testing.assert_close(values, values[:1].expand_as(values), atol=1e-5, rtol=0)
    assert (seen.slides["query"].weights[0] - seen.slides["query"].weights[-1]).abs().max() > 0.1


def test_pytorch_counts_the_same_flops():
    n, width = 96, MODEL // HEADS
    layer = [torch.zeros(MODEL, MODEL) for _ in range(4)]
    with FlopCounterMode(display=False) as counted:
        query, key, value = (
            (torch.zeros(n, MODEL) @ weight).view(n, HEADS, width).transpose(0, 1) for weight in layer[:3]
        )
        heads = attend(query, key, value, torch.ones(n, n, dtype=torch.bool), 1.0).output  # (head, token, width)
        torch.mm(heads.transpose(0, 1).flatten(1), layer[3])
    assert sum(count_cost(n).values()) == counted.get_total_flops() == 8 * n * MODEL**2 + 4 * n**2 * MODEL


def test_a_lone_token_that_is_padding_has_nothing_to_look_at():
    with pytest.raises(Impossible, match="0/0"):
        result(sentence="attention", mask="padding")
    assert runner.run(DEMO, Params(sentence="attention", mask="padding"), LAB).problem is not None


def test_the_followed_token_is_the_last_one_when_the_sentence_is_short():
    seen = result(sentence="two words", query=5, key=4)
    assert (seen.query, seen.key) == (1, 1)
    assert len(DEMO.pictures(seen)) == 4


def test_claims_hold_in_every_corner():
    far = tuple((5.0, -5.0) for _ in range(5))
    for sentence, mask, scale in itertools.product(("the cat saw the dog", "a a", "我", ""), MASKS, (True, False)):
        plain = Params(sentence=sentence, mask=mask, scale=scale)
        own, extreme = {"edit": True}, {"edit": True, "q": far, "k": far, "v": far}
        for knobs in ({}, {"key_width": 64, "seed": 9}, own, extreme):
            params = dataclasses.replace(plain, **knobs)
            outcome = runner.run(DEMO, params, LAB)
            assert [claim.id for claim in outcome.claims if not claim.holds] == [], params


def test_the_prediction_answers_from_the_run():
    assert DEMO.prediction.right(result()) == "score"
    opposite = tuple((1.0, -1.0) for _ in range(5))  # its numbers sum to 0, so that even the score stays
    assert DEMO.prediction.right(result(edit=True, q=opposite)) == "none"


def test_a_softmax_along_the_queries_breaks_claims(monkeypatch):
    def wrong(query, key, value, allowed, scale):
        right = attend(query, key, value, allowed, scale)
        weights = right.masked.softmax(-2)
        return dataclasses.replace(right, weights=weights, output=weights @ value)

    monkeypatch.setattr(demo, "attend", wrong)
    assert broken(result()) >= {"matches_pytorch", "rows_sum_to_one", "key_slide_changes_no_weight"}


def test_a_mask_after_the_softmax_breaks_claims(monkeypatch):
    def wrong(query, key, value, allowed, scale):
        right = attend(query, key, value, allowed, scale)
        weights = right.scaled.softmax(-1) * allowed
        return dataclasses.replace(right, weights=weights, output=weights @ value)

    monkeypatch.setattr(demo, "attend", wrong)
    assert broken(result()) >= {"matches_pytorch", "rows_sum_to_one", "first_token_copies_its_value"}


def test_a_forgotten_scale_breaks_the_comparison_with_pytorch(monkeypatch):
    def wrong(query, key, value, allowed, _scale):
        return attend(query, key, value, allowed, 1.0)

    monkeypatch.setattr(demo, "attend", wrong)
    assert broken(result()) == {"matches_pytorch"}
