"""Theory and oracles for the demo of the feed-forward network."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from demos import feed_forward as demo
from demos.feed_forward import Params, Result
from demos.kit.lab import Lab

LAB = Lab(torch.device("cpu"))


def result(**knobs: Any) -> Result:
    return demo.compute(Params(**knobs), LAB)


def claimed(**knobs: Any) -> dict[str, float]:
    return {claim.id: claim.measured for claim in demo.claims(result(**knobs))}


def test_the_base_model_has_the_parameters_of_the_paper():
    counts = demo.count_parameters(Params())
    assert counts == {"attention": 1_050_624, "ffn": 2_099_712, "norms": 2_048}
    assert sum(p.numel() for p in nn.MultiheadAttention(512, 8, device="meta").parameters()) == 1_050_624
    assert demo.count_parameters(Params(layer="decoder"))["attention"] == 2_101_248


def test_swiglu_at_two_thirds_has_the_weights_of_relu():
    assert 2 * 768 * 3072 == 3 * 768 * Params(gated=True, model=768).hidden == 4_718_592
    assert Params(gated=True, model=4096).hidden == 10_923
    assert demo.count_parameters(Params(gated=True))["ffn"] == 2_096_640  # 1365 is two thirds of 2048, rounded


@pytest.mark.parametrize("gated", [False, True])
def test_the_flops_are_those_that_torch_counts(gated: bool):
    params, length = Params(gated=gated, model=64), 48
    x = torch.zeros(length, 64)
    query = torch.zeros(1, 8, length, 8)
    attention = FlopCounterMode(display=False)
    with attention:
        for _ in range(4):
            _ = x @ torch.zeros(64, 64)
        _ = (query @ query.mT) @ query
    ffn = FlopCounterMode(display=False)
    with ffn:
        hidden = x @ torch.zeros(64, params.hidden)
        if gated:
            hidden = hidden * (x @ torch.zeros(64, params.hidden))
        _ = hidden @ torch.zeros(params.hidden, 64)
    projections, products, mine = demo.count_flops(params, length)
    assert projections + products == attention.get_total_flops()
    assert mine == ffn.get_total_flops()


@pytest.mark.parametrize(("length", "share"), [(512, 0.571), (1024, 0.5), (2048, 0.4)])
def test_flop_shares_at_width_512(length: int, share: float):
    assert claimed(length=length)["ffn_flop_share"] == pytest.approx(share, abs=5e-4)


@pytest.mark.parametrize(("bias", "dead"), [(-2.0, 0.0), (-3.0, 0.063), (-3.5, 0.62), (-4.0, 0.937)])
def test_relu_units_die_as_the_power_of_phi_says(bias: float, dead: float):
    for seed in range(3):
        assert result(bias=bias, tokens=2048, seed=seed).dead == pytest.approx(dead, abs=0.08)


@pytest.mark.parametrize("activation", ["none", "leaky", "gelu", "silu"])
def test_no_other_unit_dies_at_any_bias(activation: str):
    assert all(result(activation=activation, bias=bias).dead == 0 for bias in (-5.0, 0.0, 2.0))


def test_half_of_the_outputs_are_zero_at_initialisation_and_no_unit_is_dead():
    got = result(bias=0.0)
    assert got.zeros == pytest.approx(0.5, abs=0.01)
    assert got.dead == 0


def test_gelu_in_fp32_underflows_on_the_cpu_but_keeps_a_gradient():
    z = torch.tensor([-6.0], requires_grad=True)
    assert F.gelu(z) == 0
    assert F.gelu(z.double()).item() == pytest.approx(-5.9e-9, rel=0.01)
    assert torch.autograd.grad(F.gelu(z).sum(), z)[0] < 0


def test_only_the_poked_position_moves():
    for knobs in ({}, {"activation": "silu", "gated": True}, {"activation": "none"}):
        moved = result(**knobs).moved
        assert moved.nonzero().flatten().tolist() == [demo.POKED]


def test_the_network_is_the_torch_layer():
    network, params = demo.draw_network(LAB, 0), Params(activation="gelu")
    x = torch.randn(5, 64, generator=LAB.generator(1))
    up, down = nn.Linear(64, 256), nn.Linear(256, 64)
    up.load_state_dict({"weight": network.rise.T, "bias": network.rise_bias})
    down.load_state_dict({"weight": network.fall.T, "bias": network.fall_bias})
    torch.testing.assert_close(demo.feed_forward(x, network, params), down(F.gelu(up(x))), atol=1e-5, rtol=1e-5)
    assert torch.linalg.matrix_rank(network.rise @ network.fall) == 64


def test_without_an_activation_the_network_is_linear_unless_a_gate_multiplies():
    assert result(activation="none").superposed < 1e-4
    assert result(activation="none").merged < 1e-4
    bilinear = result(activation="none", gated=True)
    assert bilinear.superposed > 0.1
    assert bilinear.growth == pytest.approx(4, abs=1e-3)


def test_the_lowest_values_of_gelu_and_silu_are_the_known_ones():
    assert claimed(activation="gelu")["lowest_value"] == pytest.approx(-0.170, abs=5e-4)
    assert claimed(activation="silu")["lowest_value"] == pytest.approx(-0.278, abs=5e-4)


def test_the_prediction_answers_the_fixed_question_whatever_the_knobs_say():
    got = result(activation="gelu", bias=2.0, tokens=64)
    assert demo.right_option(got) == "quarter"
    assert demo.right_option(replace(got, asked=0.9)) == "most"
