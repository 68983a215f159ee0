"""Oracles for the decoders: brute force on tables one can enumerate, and worked examples."""

import itertools
import math
from types import SimpleNamespace
from typing import cast

import pytest
import torch

from demos import decoding_strategies as demo
from demos.claims.decoding_strategies import normalised
from demos.kit import character_model
from demos.kit.lab import Lab, Stopped
from demos.kit.prefixes import Search
from demos.texts import END, OPENINGS, tale

LAB = Lab(torch.device("cpu"))
SYMBOLS, STEPS = 5, 4


@pytest.fixture
def weights() -> character_model.Weights:
    """An untrained model over five symbols, with sharper distributions than at initialisation."""
    drawn = character_model.new_weights(SYMBOLS, LAB.generator(4))
    return {name: weight.detach() * (6 if name == "symbols" else 1) for name, weight in drawn.items()}


def log_probability(weights: character_model.Weights, start: torch.Tensor, ending: tuple[int, ...]) -> float:
    """By one forward pass over the whole sequence, without a cache."""
    whole = torch.cat([start, torch.tensor(ending)])
    scores = character_model.logits(weights, whole.unsqueeze(0))[0][0].log_softmax(-1)
    return sum(scores[len(start) - 1 + i, symbol].item() for i, symbol in enumerate(ending))


def beam(weights: character_model.Weights, width: int) -> Search:
    return demo.search(weights, torch.tensor([0, 1]), STEPS, lambda total: demo.best(total, width))


def test_a_beam_that_prunes_nothing_is_exhaustive_search(weights: character_model.Weights):
    found = beam(weights, SYMBOLS**STEPS)
    every = {
        ending: log_probability(weights, torch.tensor([0, 1]), ending)
        for ending in itertools.product(range(SYMBOLS), repeat=STEPS)
    }
    first = max(every, key=lambda ending: every[ending])
    assert tuple(found.winner(STEPS).symbols) == first
    assert found.scores[-1][0].item() == pytest.approx(every[first], abs=1e-4)
    assert sorted(found.scores[-1].tolist()) == pytest.approx(sorted(every.values()), abs=1e-3)


def test_exact_search_with_a_floor_finds_what_exhaustive_search_finds(weights: character_model.Weights):
    everything, greedy = beam(weights, SYMBOLS**STEPS), beam(weights, 1)
    floor = greedy.scores[-1][0].item() - 1e-4
    pruned = demo.search(weights, torch.tensor([0, 1]), STEPS, lambda total: demo.above(total, floor))
    assert pruned.winner(STEPS).symbols == everything.winner(STEPS).symbols
    assert len(pruned.scores[-1]) == int((everything.scores[-1] >= floor).sum())


def test_greedy_takes_the_argmax_of_every_step(weights: character_model.Weights):
    prefix = torch.tensor([0, 1])
    for symbol in beam(weights, 1).winner(STEPS).symbols:
        assert symbol == character_model.logits(weights, prefix.unsqueeze(0))[0][0, -1].argmax().item()
        prefix = torch.cat([prefix, torch.tensor([symbol])])


def test_the_cache_gives_the_logits_of_the_whole_sequence(weights: character_model.Weights):
    symbols = torch.randint(SYMBOLS, (3, 9), generator=LAB.generator(1))
    whole, _ = character_model.logits(weights, symbols)
    first, cache = character_model.logits(weights, symbols[:, :4])
    second, cache = character_model.logits(weights, symbols[:, 4:7], cache)
    third, cache = character_model.logits(weights, symbols[:, 7:], cache)
    torch.testing.assert_close(torch.cat([first, second, third], dim=1), whole, atol=1e-4, rtol=1e-4)
    assert cache.shape == (2, 2, 3, 4, 9, 16)


def test_the_model_cannot_see_the_future(weights: character_model.Weights):
    symbols = torch.randint(SYMBOLS, (1, 8), generator=LAB.generator(2))
    changed = symbols.clone()
    changed[0, 5] = (changed[0, 5] + 1) % SYMBOLS
    before, after = (character_model.logits(weights, each)[0] for each in (symbols, changed))
    assert (before != after).any(-1)[0].nonzero().flatten().tolist() == [5, 6, 7]


def test_the_worked_example_greedy_gets_thirty_hundredths_and_a_beam_of_two_thirty_six():
    first, second = torch.tensor([[0.6, 0.4]]).log(), torch.tensor([[0.5, 0.5], [0.9, 0.1]]).log()

    def total(width: int) -> float:
        parents, symbols = demo.best(first, width)
        scores = first[parents, symbols].unsqueeze(-1) + second[symbols]
        return scores[demo.best(scores, width)].max().exp().item()

    assert total(1) == pytest.approx(0.30)
    assert total(2) == pytest.approx(0.36)


@pytest.mark.parametrize(
    ("top_k", "top_p", "expected"),
    [
        (0, 1.0, [0.5, 0.25, 0.125, 0.125]),
        (2, 1.0, [2 / 3, 1 / 3, 0, 0]),
        (0, 0.5, [1.0, 0, 0, 0]),
        (0, 0.6, [2 / 3, 1 / 3, 0, 0]),
        (0, 0.05, [1.0, 0, 0, 0]),
        (3, 0.9, [4 / 7, 2 / 7, 1 / 7, 0]),
        (20, 0.8, [4 / 7, 2 / 7, 1 / 7, 0]),
    ],
)
def test_truncation_keeps_and_renormalises(top_k: int, top_p: float, expected: list[float]):
    scores = torch.tensor([0.5, 0.25, 0.125, 0.125]).log()
    torch.testing.assert_close(demo.truncate(scores, 1.0, top_k, top_p), torch.tensor(expected))


def test_temperature_two_takes_square_roots_and_zero_the_argmax():
    scores = torch.tensor([0.64, 0.36]).log()
    torch.testing.assert_close(demo.truncate(scores, 2.0, 0, 1.0), torch.tensor([0.8, 0.6]) / 1.4)
    assert demo.truncate(scores, 0.0, 0, 1.0).tolist() == [1.0, 0.0]


def test_truncation_follows_the_order_of_the_symbols_not_of_the_probabilities():
    scores = torch.tensor([[0.1, 0.7, 0.2], [0.6, 0.1, 0.3]]).log()
    kept = demo.truncate(scores, 1.0, 1, 1.0)
    assert kept.tolist() == [[0, 1, 0], [1, 0, 0]]


def test_the_length_penalty_of_gnmt_divides_seven_by_two_at_seven_tokens_and_alpha_one():
    assert normalised(-7.0, 7, 1.0) == pytest.approx(-3.5)
    assert normalised(-7.0, 7, 0.0) == -7.0


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_tale_can_be_continued_from_every_opening_and_fits_the_model(language: str):
    lines = tale(language).splitlines()[1:]
    for words in OPENINGS.values():
        assert sum(line.startswith(words[language]) for line in lines) >= 3
        assert 1 + len(words[language]) + demo.LONGEST_SENTENCE <= character_model.CONTEXT
    assert all(line.endswith(END[language]) for line in lines)
    assert len(lines) % demo.BATCH == 0  # an epoch uses every line


def test_four_of_nineteen_dawns_are_the_herons_and_the_foxs_nine_all_differ():
    lines = [line for line in tale("en").splitlines() if line.startswith("at dawn the ")]
    fox, heron = ([line for line in lines if line.split()[3] == who] for who in ("fox", "heron"))
    assert (len(lines), len(fox), len(set(fox)), len(heron), len(set(heron))) == (19, 9, 9, 4, 1)


def test_training_stops_when_the_learner_leaves():
    reports = []

    def leave(fraction: float, _note: object) -> None:
        reports.append(fraction)
        if len(reports) == 2:
            raise Stopped

    with pytest.raises(Stopped):
        demo.train.__wrapped__(Lab(torch.device("cpu"), leave), "zh")  # pyright: ignore[reportFunctionMemberAccess]
    assert len(reports) == 2


@pytest.mark.parametrize(("ratio", "option"), [(1.0, "same"), (2.0, "little"), (4.0, "times"), (100.0, "hundred")])
def test_the_prediction_answers_from_the_measured_ratio(ratio: float, option: str):
    exact = Search([], [], [torch.tensor([-1.0])])
    greedy = Search([], [], [torch.tensor([-1.0 - math.log(ratio)])])
    result = SimpleNamespace(params=SimpleNamespace(length=1), exact=exact, beams={1: greedy})
    assert demo.right_option(cast(demo.Result, result)) == option
