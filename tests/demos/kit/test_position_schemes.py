"""The formulas of position encodings, each against its paper."""

import math

import pytest
import torch

from demos.kit.lab import Lab
from demos.kit.position_schemes import bucket, frequencies, rotate, scores, sinusoids, slopes

LAB = Lab(torch.device("cpu"))
NO_BIAS = torch.zeros(4, 32)


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=LAB.generator(1))


def test_rotating_is_multiplying_complex_numbers():
    """RoFormer: the pair (2i, 2i+1) times e^(i·p·θ_i)."""
    x, positions = normal(7, 8), torch.arange(7)
    angles = positions.unsqueeze(-1) * 10_000 ** (-torch.arange(0, 8, 2) / 8)
    expected = torch.view_as_real(torch.view_as_complex(x.view(7, 4, 2)) * torch.polar(torch.ones(7, 4), angles))
    torch.testing.assert_close(rotate(x, positions), expected.flatten(-2))


def test_turning_one_vector_by_the_offset_is_turning_both():
    query, key = normal(2, 1, 64)
    both = (rotate(query, torch.tensor([300])) * rotate(key, torch.tensor([310]))).sum()
    one = (query * rotate(key, torch.tensor([10]))).sum()
    torch.testing.assert_close(both, one, atol=1e-3, rtol=0)


def test_sinusoids_start_at_zero_and_have_constant_norm():
    table = sinusoids(torch.arange(100), 64)
    torch.testing.assert_close(table[0], torch.tensor([0.0, 1.0]).repeat(32))
    torch.testing.assert_close(table.square().sum(-1), torch.full((100,), 32.0))


def test_slopes_of_eight_heads_are_halves_down_to_one_256th():
    assert slopes(8).tolist() == [2.0**-h for h in range(1, 9)]
    assert slopes(4).tolist() == [1 / 4, 1 / 16, 1 / 64, 1 / 256]


def test_buckets_are_those_of_the_t5_formula():
    for distance in range(300):
        expected = distance if distance < 16 else min(16 + int(math.log(distance / 16) / math.log(8) * 16), 31)
        assert bucket(torch.tensor(distance)).item() == expected, distance
    assert bucket(torch.tensor([16, 18, 19])).tolist() == [16, 16, 17]
    assert bucket(torch.tensor(-5)).item() == 0


def test_alibi_takes_slope_times_distance_from_every_score():
    query, key, positions = normal(4, 6, 16), normal(4, 6, 16), torch.arange(6)
    taken = scores(query, key, positions, "none", NO_BIAS) - scores(query, key, positions, "alibi", NO_BIAS)
    torch.testing.assert_close(taken[0, 5, 1], torch.tensor(1.0))  # 4 back, slope 1/4
    torch.testing.assert_close(taken[3, 5, 1], torch.tensor(4 / 256), atol=1e-6, rtol=0)


def test_t5_adds_the_same_number_wherever_the_pair_stands():
    bias, nothing = normal(4, 32), torch.zeros(4, 40, 16)
    added = scores(nothing, nothing, torch.arange(40), "t5", bias)
    assert torch.equal(added[:, 30, 20], bias[:, 10])
    assert torch.equal(added[:, 35, 25], bias[:, 10])


@pytest.mark.parametrize(("length", "base", "pairs"), [(4096, 10_000, 18), (8192, 500_000, 29)])
def test_slow_pairs_never_finish_a_turn(length: int, base: int, pairs: int):
    turns = frequencies(128, base) * length / (2 * math.pi)
    assert int((turns < 1).sum()) == pairs
