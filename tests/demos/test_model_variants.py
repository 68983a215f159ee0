"""Masks, shared heads, experts and parameter counts against theory, PyTorch and published totals."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from demos import model_variants as demo
from demos.kit.lab import Lab
from demos.kit.published import MODELS, parameters
from demos.model_variants import Params, Result

LAB = Lab(torch.device("cpu"))


def result(**knobs: Any) -> Result:
    return demo.compute(Params(**knobs), LAB)


def claimed(**knobs: Any) -> dict[str, float]:
    return {claim.id: claim.measured for claim in demo.claims(result(**knobs))}


@pytest.mark.parametrize("name", list(MODELS))
def test_tensors_and_formula_give_the_published_total(name: str):
    config = MODELS[name]
    assert sum(demo.count_parameters(config, config.experts).values()) == config.published
    assert sum(parameters(config).values()) == config.published


def test_pytorchs_own_layers_have_the_parameters_of_bert_and_gpt2():
    d = 768
    layers = [nn.TransformerEncoderLayer(d, 12, 4 * d, device="meta") for _ in range(12)]
    stack = sum(p.numel() for layer in layers for p in layer.parameters())
    bert = stack + (30522 + 512 + 2) * d + 2 * d + d * d + d
    gpt2 = stack + (50257 + 1024) * d + 2 * d
    assert (bert, gpt2) == (MODELS["bert_base"].published, MODELS["gpt2"].published)


def test_one_token_of_mixtral_uses_12_9_of_46_7_billion():
    got = claimed(model="mixtral")
    assert got["parameters_are_published"] == 46_702_792_704
    assert got["parameters_per_token"] == 12_879_925_248
    assert got["parameters_per_token"] / got["parameters_are_published"] == pytest.approx(0.276, abs=5e-4)
    assert 8 * MODELS["mistral_7b"].published / 1e9 == pytest.approx(57.9, abs=0.04)


def test_embeddings_are_22_percent_of_bert_base():
    assert claimed(model="bert_base")["embedding_share"] == pytest.approx(0.22, abs=5e-3)


@pytest.mark.parametrize(("family", "pairs"), [("encoder", 64), ("decoder", 36), ("prefix", 39), ("both", 164)])
def test_the_pairs_of_eight_tokens(family: str, pairs: int):
    assert claimed(family=family, prefix=3)["pairs_that_react"] == pairs


def test_reach_is_what_the_mask_allows():
    for family in ("encoder", "decoder", "prefix"):
        reach = demo.poke(LAB, family, 9, 3, 4)
        assert torch.equal(reach > 0, demo.visible(family, 9, 3))


def test_a_prefix_of_one_is_the_causal_mask_and_of_everything_the_full_one():
    assert torch.equal(demo.visible("prefix", 6, 1), demo.visible("decoder", 6, 0))
    assert torch.equal(demo.visible("prefix", 6, 0), demo.visible("decoder", 6, 0))
    assert torch.equal(demo.visible("prefix", 6, 6), demo.visible("encoder", 6, 0))


def test_a_constant_poke_would_be_noticed_by_nobody_else():
    """LayerNorm removes it; so the demo pokes in a random direction."""
    generator = LAB.generator(0)
    weights = torch.randn(2, 8, demo.WIDTH, demo.WIDTH, generator=generator) / 4
    x = torch.randn(8, demo.WIDTH, generator=generator)
    poked = x.clone()
    poked[5] += 1
    mask = demo.visible("encoder", 8, 0)
    moved = (demo.run_stack(poked, weights, mask) - demo.run_stack(x, weights, mask)).abs().amax(-1)
    assert moved.max() < 1e-4


@pytest.mark.parametrize("kv_heads", [1, 2, 8, 32])
def test_grouped_attention_is_pytorchs(kv_heads: int):
    query = torch.randn(32, 5, 8, generator=LAB.generator(1))
    key, value = torch.randn(2, kv_heads, 5, 8, generator=LAB.generator(2))
    expected = F.scaled_dot_product_attention(query[None], key[None], value[None], enable_gqa=True)[0]
    torch.testing.assert_close(demo.grouped_attention(query, key, value), expected, atol=1e-5, rtol=1e-5)


def test_one_expert_is_an_ordinary_gated_network_and_all_are_the_dense_mixture():
    x = torch.randn(6, 16, generator=LAB.generator(3))
    router, experts = torch.zeros(16, 1), torch.randn(1, 3, 16, 16, generator=LAB.generator(4))
    gate, rise, fall = experts[0]
    expected = (F.silu(x @ gate) * (x @ rise)) @ fall
    torch.testing.assert_close(demo.mix_experts(x, router, experts, 1), expected)
    assert demo.route(LAB, 8, 8, 16, 0).dense < 1e-4
    assert demo.route(LAB, 8, 2, 16, 0).dense > 1e-2


def test_experts_of_the_answer():
    touched = demo.route(LAB, 8, 2, 1, 0).touched
    assert touched[0] == 2
    assert touched[demo.BATCHES.index(16)] == pytest.approx(7.92, abs=0.15)
    assert touched[-1] == 8


def test_the_prediction_is_counted():
    assert demo.right_option(result(model="bert_base")) == "total"
