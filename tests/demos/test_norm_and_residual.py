"""Theory and oracles for the demo of LayerNorm and residual connections together."""

import math
from types import SimpleNamespace
from typing import cast

import pytest
import torch
import torch.nn.functional as F

from demos import norm_and_residual as demo
from demos.kit.lab import Lab
from demos.kit.layers import HEADS, WIDTH, Block, attend, draw_blocks, feed_forward

LAB = Lab(torch.device("cpu"))


def block(seed: int = 0, networks: int = 3) -> Block:
    return draw_blocks(LAB, LAB.generator(seed), networks, 1)[0]


def stream(networks: int = 3) -> torch.Tensor:
    return torch.randn(networks, 2, 5, WIDTH, generator=LAB.generator(1))


def test_normalise_is_pytorchs_layer_norm():
    x = 3 * stream() + 2
    torch.testing.assert_close(demo.normalise(x), F.layer_norm(x, (WIDTH,), eps=1e-5))


def test_a_constant_token_becomes_zero_and_its_gradient_is_capped():
    x = torch.full((1, WIDTH), 7.0, requires_grad=True)
    upstream = torch.randn(1, WIDTH, generator=LAB.generator(0))
    (gradient,) = torch.autograd.grad(demo.normalise(x), x, upstream)
    assert demo.normalise(x).abs().max() == 0
    assert 0 < gradient.norm() <= upstream.norm() / math.sqrt(1e-5)


def test_attention_is_pytorchs_in_every_network_and_head():
    weights, x = block(), stream()
    for network in range(len(x)):
        projected = x[network] @ weights.projections[network]  # (sequence, token, 3 × feature)
        query, key, value = projected.view(2, 5, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(2, 5, WIDTH)
        torch.testing.assert_close(attend(x, weights)[network], mixed @ weights.output[network])


def test_the_feed_forward_branch_keeps_the_mean_square():
    x = torch.randn(1, 1, 200, WIDTH, generator=LAB.generator(3))
    sizes = [feed_forward(x, block(seed, networks=1)).square().mean() for seed in range(40)]
    assert torch.stack(sizes).mean().item() == pytest.approx(1, rel=0.1)


def test_every_wiring_is_its_formula():
    names, weights = demo.WIRINGS, block(networks=len(demo.WIRINGS))
    x = stream(len(names))
    made = dict(zip(names, demo.sublayer(x, feed_forward, weights, demo.wire(*names)), strict=True))
    branch = dict(zip(names, feed_forward(x, weights), strict=True))
    inputs = dict(zip(names, x, strict=True))
    of_norm = dict(zip(names, feed_forward(demo.normalise(x), weights), strict=True))
    torch.testing.assert_close(made["pre"], inputs["pre"] + of_norm["pre"])
    torch.testing.assert_close(made["post"], demo.normalise(inputs["post"] + branch["post"]))
    torch.testing.assert_close(made["no_skip"], of_norm["no_skip"])
    torch.testing.assert_close(made["no_norm"], inputs["no_norm"] + branch["no_norm"])
    still = demo.sublayer(x, feed_forward, weights, demo.wire(*names), gain=0.0)
    assert torch.equal(still[names.index("zero")], inputs["zero"])


def test_a_part_of_a_sum_is_normalised_as_the_sum_is():
    parts = torch.randn(4, 1, 1, 5, WIDTH, generator=LAB.generator(4))
    torch.testing.assert_close(demo.share_norm(parts).sum(0), demo.normalise(parts.sum(0)))
    alone = demo.share_norm(torch.stack([parts[0], torch.zeros_like(parts[0])]))
    torch.testing.assert_close(alone[0], demo.normalise(parts[0]))


def test_in_post_norm_the_input_is_divided_by_every_sigma():
    blocks, x = demo.untrained(LAB, 0)
    left = x - x.mean(-1, keepdim=True)
    for weights in blocks[:3]:
        for branch in (attend, feed_forward):
            total = x + branch(x, weights)
            left = left / (total.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
            x = demo.normalise(total)
    sizes = left.square().mean((-3, -2, -1)).sqrt()
    torch.testing.assert_close(demo.take_apart(LAB, "post", 3, 1.0, 0).sizes[0], sizes)


def test_a_branch_as_large_as_the_stream_leaves_one_over_root_two():
    x = torch.randn(1, 1, 400, WIDTH, generator=LAB.generator(5))
    left = []
    for seed in range(30):
        parts = torch.stack([x, feed_forward(demo.normalise(x), block(seed, networks=1))])
        left.append((demo.share_norm(parts)[0].square().mean() / x.square().mean()).sqrt())
    assert torch.stack(left).mean().item() == pytest.approx(math.sqrt(0.5), rel=0.05)


@pytest.mark.parametrize("seed", range(10))
def test_pre_norm_keeps_a_quarter_of_the_input_and_post_norm_a_thousandth(seed: int):
    pre, post = (demo.take_apart(LAB, name, 12, 1.0, seed).sizes[0].mean().item() for name in ("pre", "post"))
    assert 1 / 5 < pre < 1 / math.sqrt(1 + 12)
    assert 2**-12 < post < 2**-8


def test_a_larger_input_stays_in_pre_norm_and_is_forgotten_in_post_norm():
    pre = [demo.take_apart(LAB, "pre", 12, scale, 0).sizes[0].mean() for scale in (0.1, 1.0, 10.0)]
    post = [demo.take_apart(LAB, "post", 12, scale, 0).sizes[0].mean() for scale in (0.1, 1.0, 10.0)]
    assert pre[0] < 0.03 < pre[1] < 0.3 < 0.9 < pre[2]
    assert max(post) < 2 * min(post)


def test_every_seed_draws_its_own_stack_and_token():
    one, two = (demo.take_apart(LAB, "pre", 2, 1.0, seed).sizes for seed in (0, 1))
    assert not torch.equal(one, two)
    assert demo.probe(LAB, 0).spread != demo.probe(LAB, 1).spread
    assert demo.whole_gradient(LAB, 2, 1.0, 0) != demo.whole_gradient(LAB, 2, 1.0, 1)


def test_tokens_that_are_equal_do_not_differ_and_orthogonal_ones_differ_by_one():
    assert demo.apart(torch.ones(1, 1, 4, WIDTH)).item() == pytest.approx(0, abs=1e-12)
    assert demo.apart(torch.eye(WIDTH)[None, None]).item() == pytest.approx(1)
    x = stream()
    cosines = F.cosine_similarity(x.unsqueeze(-2), x.unsqueeze(-3), dim=-1)  # (network, sequence, token, token)
    off_diagonal = (cosines.sum((-2, -1)) - 5) / 20
    torch.testing.assert_close(demo.apart(x), 1 - off_diagonal.mean(-1))


def test_two_layers_train_even_without_norm_and_the_curves_are_those_of_their_own_seed():
    shallow = demo.train(LAB, 2, 0.003, False, 0)
    ends = dict(zip(demo.WIRINGS, shallow.accuracy[:, -15:].mean(-1).tolist(), strict=True))
    assert min(ends["pre"], ends["post"], ends["no_norm"], ends["zero"]) > 0.9
    assert not torch.equal(shallow.accuracy, demo.train(LAB, 2, 0.003, False, 1).accuracy)


def test_all_wirings_start_from_the_same_tokens():
    training = demo.train(LAB, 2, 0.003, False, 0)
    assert (training.sizes[:, 0] == training.sizes[0, 0]).all()
    assert (training.apart[:, 0] == training.apart[0, 0]).all()


@pytest.mark.parametrize(("left", "option"), [(0.25, "fifth"), (0.04, "equal"), (0.0012, "tiny")])
def test_the_prediction_answers_from_the_measured_part(left: float, option: str):
    assert demo.right_option(cast(demo.Result, SimpleNamespace(asked=left))) == option
