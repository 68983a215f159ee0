"""Theory and oracles for the demo of one encoder layer."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from demos import encoder_walkthrough as demo
from demos.encoder_walkthrough import Layer, Params, Result
from demos.kit.contract import Impossible
from demos.kit.lab import Lab

LAB = Lab(torch.device("cpu"))


def result(**knobs: Any) -> Result:
    return demo.compute(Params(**knobs), LAB)


def layer(width: int = 32) -> Layer:
    return demo.draw_layer(width, LAB.generator(1), LAB)


def tokens(count: int, width: int = 32) -> torch.Tensor:
    return torch.randn(count, width, generator=LAB.generator(2))


@pytest.mark.parametrize("wiring", ["post", "pre"])
@pytest.mark.parametrize("padding", [0, 3])
def test_the_layer_is_the_encoder_layer_of_pytorch(wiring: str, padding: int):
    x, real = tokens(7), torch.arange(7) < 7 - padding
    theirs = torch.nn.TransformerEncoderLayer(32, 4, 128, 0.0, batch_first=True, norm_first=wiring == "pre").eval()
    ours = layer()
    own = dict(zip(theirs.state_dict(), [p.mT if p.ndim == 2 else p for p in demo.as_list(ours)], strict=False))
    theirs.load_state_dict(own, strict=False)  # its norms start with γ = 1, β = 0
    with torch.no_grad():
        expected = theirs(x.unsqueeze(0), src_key_padding_mask=~real.unsqueeze(0))[0]
    got = demo.encode(x, ours, Params(wiring=wiring), real).output
    torch.testing.assert_close(got[real], expected[real], atol=2e-5, rtol=0)
    assert demo.oracle_difference(x, ours, Params(wiring=wiring), real) < 2e-5


def test_the_oracle_notices_another_layer():
    x, real, ours = tokens(7), torch.ones(7, dtype=torch.bool), layer()
    wanted = demo.encode(x, ours, Params(), real).output
    other = demo.encode(x, replace(ours, rise_bias=ours.rise_bias + 0.1), Params(), real).output
    assert (wanted - other).abs().max() > 1e-2


def test_the_weights_are_those_of_scaled_dot_product_attention_over_real_keys():
    x, ours, real = tokens(6), layer(), torch.arange(6) < 4
    _, _, weights, attended = demo.attend(x, ours, 4, real)
    query, key, value = (x @ ours.qkv).view(6, 3, 4, 8).permute(1, 2, 0, 3)
    expected = F.scaled_dot_product_attention(query, key, value, attn_mask=real.expand(6, -1))
    torch.testing.assert_close(attended, expected.transpose(0, 1).flatten(1) @ ours.out, atol=1e-5, rtol=1e-5)
    assert weights[..., 4:].abs().max() == 0


def test_norm_is_layer_norm():
    x = 3 + 2 * tokens(5)
    torch.testing.assert_close(demo.norm(x), F.layer_norm(x, (32,)), atol=1e-5, rtol=0)


def test_the_ffn_without_its_relu_would_be_one_linear_map():
    """Two points on one side of every kink add up; through the kink they do not."""
    ours = replace(layer(), rise_bias=torch.zeros(128), fall_bias=torch.zeros(32))
    x = tokens(3)
    one_map = x @ ours.rise @ ours.fall
    assert (demo.feed_forward(x, ours) - one_map).abs().max() > 0.1
    torch.testing.assert_close(demo.feed_forward(x, ours) - demo.feed_forward(-x, ours), one_map, atol=1e-5, rtol=0)


def test_similarity_is_one_for_equal_tokens_and_zero_for_orthogonal_ones():
    assert demo.similarity(torch.ones(1, 4, 8)).item() == pytest.approx(1)
    assert demo.similarity(torch.eye(8).unsqueeze(0)).item() == pytest.approx(0, abs=1e-6)


def test_a_changed_padding_token_reaches_nobody():
    moved = result(padding=4, changed=12).moved
    assert (moved[0] > 0).tolist() == [False] * 11 + [True]


def test_the_prediction_is_about_twelve_tokens_whatever_the_knobs_say():
    got = result(tokens=4, wiring="pre", residual=False)
    assert got.asked == (1, 12)
    assert demo.right_option(got) == "one_all"
    assert demo.right_option(replace(got, asked=(12, 12))) == "all_all"


def test_a_sentence_of_padding_is_refused_with_a_reason():
    with pytest.raises(Impossible, match="0/0"):
        result(tokens=4, padding=4)


def test_the_nine_steps_have_the_shapes_of_the_walk():
    shapes = [tuple(step.shape) for step in result().steps]
    assert shapes == [(12, 64)] * 3 + [(12, 16), (12, 12), (12, 12)] + [(12, 64)] * 3


@pytest.mark.parametrize("wiring", ["post", "pre"])
def test_two_layers_without_residuals_make_all_tokens_alike_for_every_seed(wiring: str):
    for seed in range(10):
        without, with_skips = demo.by_depth(LAB, wiring, seed)
        assert without[1] > 0.99
        assert with_skips[-1] < 0.7
