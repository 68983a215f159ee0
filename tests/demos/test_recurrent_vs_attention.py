"""Layers against PyTorch's, gradients against theory, and counts against PyTorch's own."""

import dataclasses
import math

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from demos import recurrent_vs_attention as demo
from demos.kit.lab import Lab
from demos.kit.stage import forget
from demos.recurrent_vs_attention import (
    DEMO,
    WIDTH,
    Params,
    Result,
    attend,
    compute,
    draw_weights,
    gradient,
    last_output,
    longest_chain,
    lstm,
    multiply_adds,
    recall,
    rnn,
)

LAB = Lab(torch.device("cpu"))
KINDS = ("default", "lstm", "attention")


@pytest.fixture
def untrained(monkeypatch):
    """Results without the trainings, which take a second each."""
    known = {"rnn": 0.125, "lstm_0": 0.125, "lstm_4": 1.0, "attention": 1.0}
    monkeypatch.setattr(demo, "train", lambda *inputs: known[inputs[1]])
    forget()
    yield lambda **knobs: compute(Params(**knobs), LAB)
    forget()


def broken(result: Result) -> set[str]:
    return {claim.id for claim in DEMO.claims(result) if not claim.holds}


def sequence(length: int = 7, width: int = WIDTH) -> torch.Tensor:
    return torch.randn(3, length, width, generator=LAB.generator(5))


@pytest.mark.parametrize(("kind", "module"), [("default", nn.RNN), ("lstm", nn.LSTM)])
def test_the_recurrent_layers_are_pytorchs(kind, module):
    x, weights = sequence(), draw_weights(kind, 1.0, WIDTH, LAB.generator(0))
    theirs = module(WIDTH, WIDTH, batch_first=True)
    with torch.no_grad():
        for parameter, weight in zip(theirs.parameters(), weights, strict=True):
            parameter.copy_(weight)
    torch.testing.assert_close(last_output(kind, x, weights), theirs(x)[0][:, -1])


@pytest.mark.parametrize("kind", KINDS)
def test_the_fused_kernels_of_the_training_compute_the_formulas_on_show(kind):
    x, weights = sequence(width=demo.SMALL), draw_weights(kind, 4.0, demo.SMALL, LAB.generator(0))
    torch.testing.assert_close(recall(kind, x, weights), last_output(kind, x, weights))


def test_attention_is_pytorchs_at_the_last_token():
    x, weights = sequence(), draw_weights("attention", 0.0, WIDTH, LAB.generator(0))
    query, key, value = (x @ weight.mT for weight in weights[:3])
    oracle = x + F.scaled_dot_product_attention(query, key, value, is_causal=True) @ weights[3].mT
    torch.testing.assert_close(attend(x, weights), oracle[:, -1])


def test_only_the_forget_gates_bias_is_set():
    closed, opened = (draw_weights("lstm", bias, 4, LAB.generator(0)) for bias in (0.0, 3.0))
    assert (opened[2] - closed[2]).tolist() == [0.0] * 4 + [3.0] * 4 + [0.0] * 8
    assert closed[3][4:8].tolist() == [0.0] * 4


def test_with_gates_that_hear_nothing_the_cell_path_is_the_product_of_the_gates():
    """No weights at all: f = σ(b) at every step, and c_T depends on c_0 by σ(b)^T."""
    x = torch.zeros(1, 50, 2, requires_grad=True)
    weights = [torch.zeros(8, 2), torch.zeros(8, 2), torch.tensor([0.0] * 2 + [3.0] * 2 + [0.0] * 4), torch.zeros(8)]
    weights[0][4:6] = torch.eye(2)  # the candidate g hears the input
    (slope,) = torch.autograd.grad(lstm(x, weights).sum(), x)
    reached = slope[0, :, 0].flip(0)
    torch.testing.assert_close(reached[49] / reached[0], torch.sigmoid(torch.tensor(3.0)) ** 49)
    assert (reached[49] / reached[0]).item() == pytest.approx(0.092, abs=1e-3)


@pytest.mark.parametrize("rho", [0.5, 0.9, 1.0, 1.2])
def test_a_linear_rnn_multiplies_the_gradient_by_rho_at_every_step(rho):
    sizes = gradient(LAB, "linear", rho, 51, 0)
    expected = sizes[0] * rho ** torch.arange(51, dtype=torch.float64)
    torch.testing.assert_close(sizes, expected, rtol=1e-4, atol=0)


def test_the_gradient_is_the_one_that_autograd_finds_for_a_whole_jacobian():
    """Averaged over all directions, the size is the Jacobian's Frobenius norm."""
    x, weights = sequence()[:1], draw_weights("default", 0.0, WIDTH, LAB.generator(0))
    jacobian = torch.autograd.functional.jacobian(lambda given: rnn(given, weights, linear=False), x)
    back = torch.as_tensor(jacobian)[0, :, 0, 3]  # (output, input) of the token 3 back
    state = torch.zeros(1, WIDTH)
    states = [
        state := (token @ weights[0].mT + state @ weights[1].mT + weights[2] + weights[3]).tanh() for token in x[0]
    ]
    product = torch.eye(WIDTH)
    for late in reversed(states[4:]):
        product = product @ torch.diag(1 - late[0] ** 2) @ weights[1]
    torch.testing.assert_close(back, product @ torch.diag(1 - states[3][0] ** 2) @ weights[0])


def test_the_longest_chain_counts_operations_that_wait():
    x = torch.ones(2, requires_grad=True)
    start = longest_chain(x * 2)
    assert longest_chain((x * 2) * 3 * 4) == start + 2
    assert longest_chain(x * 2 + x * 3) == start + 1, "side by side they do not wait for each other"


@pytest.mark.parametrize("kind", KINDS)
def test_pytorch_counts_the_same_multiply_adds(kind):
    """The demo's attention asks one query; a whole layer asks n."""
    n, d = 12, WIDTH
    weights, x = draw_weights(kind, 0.0, d, LAB.generator(0)), sequence(n)[:1]
    with FlopCounterMode(display=False) as counted:
        if kind == "attention":
            query, key, value = (x @ weight.mT for weight in weights[:3])
            torch.matmul((query @ key.mT).softmax(-1) @ value, weights[3].mT)
        else:
            last_output(kind, x, weights)
    assert counted.get_total_flops() == 2 * multiply_adds(kind, n, d)


def test_an_lstm_layer_has_about_twice_the_parameters_of_attention():
    d = WIDTH
    assert sum(p.numel() for p in nn.LSTM(d, d).parameters()) == 8 * d * d + 8 * d == 33_280
    assert sum(p.numel() for p in nn.MultiheadAttention(d, 4).parameters()) == 4 * d * d + 4 * d == 16_640


def test_attention_does_not_decay_with_distance_but_is_diluted_by_length():
    means = [gradient(LAB, "attention", 0.0, length, 0)[1:].mean().item() * length for length in demo.LENGTHS]
    assert max(means) / min(means) < 1.05
    sizes = gradient(LAB, "attention", 0.0, 401, 0)[1:]
    assert sizes[200:].mean() / sizes[:200].mean() == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("seed", range(10))
def test_claims_hold_for_every_seed(untrained, seed):
    for knobs in ({}, {"bias": 5.0, "length": 401}, {"recurrence": "orthogonal", "rho": 1.2}, {"length": 26}):
        assert broken(untrained(seed=seed, **knobs)) == set(), knobs


def test_the_longest_exploding_sequence_stays_finite(untrained):
    result = untrained(recurrence="linear", rho=1.2, length=401)
    assert result.rnn.isfinite().all()
    assert result.rnn[-1] > 1e30
    assert broken(result) == set()
    assert len(DEMO.pictures(result)) == 4


@pytest.mark.parametrize(("fall", "option"), [(9, "few"), (26, "tens"), (80, "many"), (None, "never")])
def test_the_prediction_answers_from_the_measured_fall(untrained, fall, option):
    assert DEMO.prediction.right(dataclasses.replace(untrained(), fall=fall)) == option


def test_the_prediction_is_about_bias_0_whatever_the_knobs_say(untrained):
    assert untrained(bias=5.0, length=26).fall == untrained().fall == 26


def test_gates_that_are_always_open_break_the_claim_about_closed_ones(untrained, monkeypatch):
    monkeypatch.setattr(demo, "draw_weights", lambda kind, _, *rest: draw_weights(kind, 5.0, *rest))
    assert "closed_gates_forget" in broken(untrained())


def attention_with(weigh):
    """Attention whose weights are `weigh(scores)` instead of the softmax."""

    def changed(x: torch.Tensor, weights: list[torch.Tensor]) -> torch.Tensor:
        query, key, value = (x @ weight.mT for weight in weights[:3])
        scores = query[:, -1:] @ key.mT / math.sqrt(x.shape[-1])
        return x[:, -1] + (weigh(scores) @ value @ weights[3].mT)[:, 0]

    return changed


def test_a_preference_for_near_tokens_breaks_the_claim_about_distance(untrained, monkeypatch):
    def recent(scores: torch.Tensor) -> torch.Tensor:
        return (scores - 0.05 * torch.arange(scores.shape[-1]).flip(0)).softmax(-1)

    monkeypatch.setattr(demo, "attend", attention_with(recent))
    assert "attention_has_no_trend" in broken(untrained())


def test_weights_that_do_not_share_a_sum_break_the_claim_about_length(untrained, monkeypatch):
    monkeypatch.setattr(demo, "attend", attention_with(torch.sigmoid))
    assert broken(untrained()) == {"attention_is_diluted"}
