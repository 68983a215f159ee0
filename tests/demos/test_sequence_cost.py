"""What a sequence costs: the layers against PyTorch's, the counts against its counter and the paper's table."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from demos import sequence_cost as demo
from demos.claims.sequence_cost import formulas
from demos.kit.counting import chain
from demos.kit.lab import Lab
from demos.kit.measured import Measured
from demos.sequence_cost import Params, Result

LAB = Lab(torch.device("cpu"))


def result(**knobs: Any) -> Result:
    return demo.compute(Params(**knobs), LAB)


def claimed(**knobs: Any) -> dict[str, float]:
    return {claim.id: claim.measured for claim in demo.claims(result(**knobs))}


def drawn(length: int, width: int, gates: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x, matrix = demo.draw(LAB, length, width)
    return x, matrix(width, gates * width), matrix(width, gates * width)


def test_attention_is_pytorchs_attention():
    query, key, value = torch.randn(3, 7, 16, generator=LAB.generator(1))
    expected = F.scaled_dot_product_attention(query[None], key[None], value[None])[0]
    torch.testing.assert_close(demo.attention_core(query, key, value), expected)


def test_the_recurrent_layers_are_pytorchs():
    x, *weights = drawn(9, 8, 1)
    start, batched = torch.zeros(1, 1, 8), x.unsqueeze(1)

    def options(matrices: list[torch.Tensor]) -> tuple[Any, ...]:
        return [each.mT.contiguous() for each in matrices], False, 1, 0.0, False, False, False

    torch.testing.assert_close(demo.rnn(x, *weights), torch.rnn_tanh(batched, start, *options(weights))[0].squeeze(1))
    x, *weights = drawn(9, 8, 4)
    torch.testing.assert_close(demo.lstm(x, *weights), demo.fused_lstm(x, *weights))
    x, *weights = drawn(9, 8, 3)
    torch.testing.assert_close(demo.gru(x, *weights), torch.gru(batched, start, *options(weights))[0].squeeze(1))


@pytest.mark.parametrize(("length", "width"), [(32, 64), (64, 64), (128, 64), (64, 128)])
def test_counts_are_those_of_pytorchs_flop_counter_and_of_the_formulas(length: int, width: int):
    counted = demo.count_flops(LAB, length, width)
    made = demo.layers(LAB, length, width)
    for name, flops in counted.items():
        with FlopCounterMode(display=False) as oracle:
            made[name]()
        assert flops == oracle.get_total_flops() == formulas(length, width)[name], name


def test_break_even_lengths_are_d_and_2d_and_6d():
    assert claimed(length=64)["core_over_rnn"] == 1
    assert claimed(length=128)["layer_over_lstm"] == 1
    assert claimed(length=384)["core_share_of_block"] == 0.5
    assert claimed(length=768, width=128)["core_share_of_block"] == 0.5


def test_an_attention_layer_never_has_fewer_flops_than_a_vanilla_rnn():
    for length in demo.LENGTHS:
        for width in demo.WIDTHS:
            theory = formulas(length, width)
            assert theory["layer"] > 2 * theory["rnn"]


def test_only_the_recurrence_and_the_generation_wait_longer_in_longer_sequences():
    lengths = (4, 16, 64, 100)
    assert demo.count_chains(LAB, lengths) == {
        "rnn": [2 * length + 2 for length in lengths],
        "scan": [3 * math.ceil(math.log2(length)) + 1 for length in lengths],
        "layer": [6] * 4,
        "generation": [7 * length for length in lengths],
    }


def test_the_lstm_waits_three_times_as_long_as_the_rnn():
    x, *weights = drawn(16, 8, 4)
    assert chain(lambda: demo.lstm(x, *weights)) == 6 * 16 + 2


@pytest.mark.parametrize("length", [1, 2, 3, 8, 13])
def test_the_scan_computes_the_loop(length: int):
    decay, entering = torch.rand(2, length, 4, generator=LAB.generator(2))
    state, states = torch.zeros(4), []
    for keep, new in zip(decay, entering, strict=True):
        state = keep * state + new
        states.append(state)
    torch.testing.assert_close(demo.scan(decay, entering), torch.stack(states))


def test_a_cached_token_costs_more_at_every_position_and_an_lstm_token_never():
    generation = result().generation
    assert generation.positions == [1, 64, 256]
    assert generation.attention == [8 * 64**2 + 4 * position * 64 for position in generation.positions]
    assert generation.recurrent == [16 * 64**2] * 3
    assert (generation.cache_bytes, generation.state_bytes) == (32_768, 512)


def test_without_the_clock_nothing_is_timed():
    assert result().here is None
    assert [picture.id for picture in demo.pictures(result())] == ["flops", "chains", "generation"]


def test_the_clock_shows_milliseconds_and_claims_only_a_ratio():
    timed = result(clock=True)
    assert demo.pictures(timed)[-1].id == "clock"
    extra = {claim.id: claim for claim in demo.claims(timed) if claim.id not in claimed()}
    assert {name: (claim.relation, claim.expected) for name, claim in extra.items()} == {
        "allocator_sees_the_square": (">=", 8 * 64**2),
        "large_products_run_faster": (">", 1.0),
    }
    assert all(claim.holds for claim in extra.values())
    wide = {claim.id for claim in demo.claims(replace(timed, params=Params(width=256, clock=True)))}
    assert wide == {*claimed(), "allocator_sees_the_square"}


def test_a_noisy_machine_is_named():
    quiet, noisy = torch.tensor([1.0, 1.0, 1.1, 1.1, 1.2]) / 1e3, torch.tensor([1.0, 1.0, 3.0, 3.0, 5.0]) / 1e3
    for seconds, named in ((quiet, False), (noisy, True)):
        peaks = {"rnn": 1, "fused": 1, "layer": 1}
        timed = replace(result(), here=Measured({"rnn": quiet, "fused": quiet, "layer": seconds}, peaks))
        title = demo.pictures(timed)[-1].title
        assert ("noisy" in title.en, "干扰" in title.zh) == (named, named)


def test_the_prediction_is_counted():
    assert demo.right_option(result(length=8)) == "three"
    assert demo.right_option(replace(result(), asked=0.2)) == "quarter"
    assert demo.right_option(replace(result(), asked=1.1)) == "same"
