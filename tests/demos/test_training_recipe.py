"""Oracles for the training recipe: PyTorch's own optimisers, clipping, layers and losses."""

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest
import torch
import torch.nn.functional as F

from demos import training_recipe as demo
from demos.claims.training_recipe import target_entropy
from demos.kit import stacked_encoder
from demos.kit.lab import Lab, Stopped
from demos.training_recipe import Params, Recipe

LAB = Lab(torch.device("cpu"))


def torch_path(kind: type[torch.optim.Optimizer], scale: float, decay: float) -> list[float]:
    """One weight that starts at 1, under PyTorch's optimiser, with the demo's gradients."""
    noise = torch.randn(demo.TOY_STEPS, 1, generator=LAB.generator(0)) + 0.5
    weight = torch.ones(1, requires_grad=True)
    optimizer = kind([weight], lr=demo.TOY_RATE, betas=demo.BETAS, eps=demo.EPSILON, weight_decay=decay)  # pyright: ignore[reportCallIssue]
    path = [1.0]
    for gradient in noise:
        weight.grad = gradient * scale
        optimizer.step()
        path.append(weight.item())
    return path


@pytest.mark.parametrize(("rule", "kind"), [(0, torch.optim.AdamW), (1, torch.optim.Adam)])
@pytest.mark.parametrize(("place", "scale"), [(0, demo.SMALL), (1, 10.0), (2, 0.0)])
def test_the_handwritten_adam_is_pytorchs(rule: int, kind: type[torch.optim.Optimizer], place: int, scale: float):
    decayed, undecayed = demo.two_weights(LAB, 10.0, 0.1)
    torch.testing.assert_close(decayed[:, rule, place], torch.tensor(torch_path(kind, scale, 0.1)), atol=2e-5, rtol=0)
    torch.testing.assert_close(undecayed[:, place], torch.tensor(torch_path(kind, scale, 0.0)), atol=2e-5, rtol=0)


def test_clipping_is_pytorchs_clip_grad_norm_for_every_seed():
    weights = {"a": torch.zeros(2, 3), "b": torch.zeros(2, 4, 5)}
    generator = LAB.generator(3)
    for weight in weights.values():
        weight.grad = 10 * torch.randn(*weight.shape, generator=generator)
    oracle = []
    for seed in range(2):
        alone = [torch.zeros_like(weight[seed]) for weight in weights.values()]
        for one, weight in zip(alone, weights.values(), strict=True):
            one.grad = cast(torch.Tensor, weight.grad)[seed].clone()
        oracle.append((torch.nn.utils.clip_grad_norm_(alone, 1.0), alone))
    before, after = demo.clip(weights, 1.0)
    torch.testing.assert_close(before, torch.stack([norm for norm, _ in oracle]))
    torch.testing.assert_close(after, torch.ones(2))
    for seed, (_, alone) in enumerate(oracle):
        for one, weight in zip(alone, weights.values(), strict=True):
            torch.testing.assert_close(cast(torch.Tensor, weight.grad)[seed], one.grad, atol=1e-5, rtol=1e-4)


def test_a_small_gradient_is_not_clipped():
    weight = torch.zeros(1, 4)
    weight.grad = torch.full((1, 4), 0.1)
    before, after = demo.clip({"weight": weight}, 1.0)
    assert torch.equal(before, after)
    assert torch.equal(weight.grad, torch.full((1, 4), 0.1))


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_one_seed_of_the_stacked_network_is_pytorchs_encoder(norm: str):
    """Layer by layer with nn.TransformerEncoderLayer, which has the same equations once its biases are 0."""
    weights = {name: weight.detach() for name, weight in stacked_encoder.new_weights(LAB, 2).items()}
    symbols = torch.randint(stacked_encoder.SYMBOLS, (2, 3, stacked_encoder.LENGTH), generator=LAB.generator(9))
    seed, width = 1, stacked_encoder.WIDTH
    stream = F.embedding(symbols[seed], weights["symbols"][seed]) + weights["positions"][seed]
    for layer in range(stacked_encoder.LAYERS):
        oracle = torch.nn.TransformerEncoderLayer(
            width,
            stacked_encoder.HEADS,
            stacked_encoder.HIDDEN,
            dropout=0.0,
            batch_first=True,
            norm_first=norm == "pre",
        )
        with torch.no_grad():
            for parameter in oracle.parameters():
                parameter.zero_()
            oracle.norm1.weight.fill_(1.0)
            oracle.norm2.weight.fill_(1.0)
            oracle.self_attn.in_proj_weight.copy_(weights["projections"][seed, layer].T)
            oracle.self_attn.out_proj.weight.copy_(weights["output"][seed, layer].T)
            oracle.linear1.weight.copy_(weights["wide"][seed, layer].T)
            oracle.linear2.weight.copy_(weights["narrow"][seed, layer].T)
            stream = oracle(stream)
    if norm == "pre":
        stream = F.layer_norm(stream, (width,))
    expected = stream @ weights["symbols_out"][seed]
    torch.testing.assert_close(stacked_encoder.network(weights, symbols, norm)[seed], expected, atol=1e-4, rtol=1e-4)


def test_warm_up_is_linear_and_the_cosine_ends_near_zero():
    recipe = Recipe(rate=0.02, warmup=20)
    rates = [demo.rate_at(step, recipe) for step in range(demo.STEPS)]
    assert rates[:3] == pytest.approx([0.001, 0.002, 0.003])
    assert max(rates) == pytest.approx(0.02)
    assert rates[20 + (demo.STEPS - 20) // 2] == pytest.approx(0.01)
    assert rates[-1] < 1e-4
    assert demo.rate_at(0, Recipe(rate=0.02)) == pytest.approx(0.02)


def test_the_smoothed_loss_is_pytorchs():
    gaps = torch.linspace(0, 20, 5, dtype=torch.float64)
    logits = torch.cat([gaps.unsqueeze(-1), torch.zeros(5, 11, dtype=torch.float64)], dim=-1)
    oracle = F.cross_entropy(logits, torch.zeros(5, dtype=torch.long), label_smoothing=0.1, reduction="none")
    torch.testing.assert_close(demo.smoothed_loss(gaps, 12, 0.1), oracle)


def test_the_entropy_of_smoothed_labels_of_ten_classes_is_half_a_nat():
    assert target_entropy(10, 0.1) == pytest.approx(0.5003, abs=1e-4)
    assert target_entropy(12, 0.0) == 0.0


def test_the_original_schedule_peaks_at_seven_ten_thousandths(monkeypatch: pytest.MonkeyPatch):
    """d_model = 512 and w = 4000: 6.99e-4, Vaswani et al. §5.3."""
    monkeypatch.setattr(demo, "train", lambda *_: None)
    result = demo.compute(Params(view="schedule"), LAB)
    assert result.noam.max().item() == pytest.approx(6.9877e-4, rel=1e-4)
    assert result.cosine.max().item() == pytest.approx(6.9877e-4, rel=1e-4)
    assert result.cosine[-1].item() == pytest.approx(0.0, abs=1e-9)


def test_training_stops_when_the_learner_leaves():
    reports = []

    def leave(fraction: float, _note: object) -> None:
        reports.append(fraction)
        if len(reports) == 3:
            raise Stopped

    with pytest.raises(Stopped):
        demo.train(Lab(torch.device("cpu"), leave), Recipe(seeds=1, rate=0.0123))
    assert len(reports) == 3


def test_the_comparison_changes_one_thing():
    assert demo.one_change(Recipe()) == Recipe(warmup=20)
    assert demo.one_change(Recipe(warmup=60)) == Recipe(warmup=0)
    chosen = Recipe(norm="pre", optimiser="l2", warmup=60)
    assert demo.one_change(chosen) == replace(chosen, optimiser="adamw")


@pytest.mark.parametrize(("gain", "option"), [(-0.2, "worse"), (0.0, "none"), (0.3, "some"), (0.9, "all")])
def test_the_prediction_answers_from_the_measured_accuracy(gain: float, option: str):
    cold, warm = (SimpleNamespace(accuracy=torch.full((3,), value)) for value in (0.3, 0.3 + gain))
    assert demo.right_option(cast(demo.Result, SimpleNamespace(cold=cold, warm=warm))) == option


def test_random_answers_cost_the_logarithm_of_the_number_of_symbols():
    assert math.log(stacked_encoder.SYMBOLS) == pytest.approx(2.4849, abs=1e-4)
