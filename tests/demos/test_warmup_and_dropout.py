"""PyTorch's Adam, scheduler and dropout as oracles for the schedule, Adam's steps and the modes."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from demos import warmup_and_dropout as demo
from demos.kit.lab import Lab
from demos.warmup_and_dropout import DEMO, Params, Result, adam_on_noise, compute, learning_rate

LAB = Lab(torch.device("cpu"))


def result(**knobs) -> Result:
    return compute(Params(**knobs), LAB)


def broken(shown: Result) -> set[str]:
    return {claim.id for claim in DEMO.claims(shown) if not claim.holds}


def paper(step: int, width: int, warmup: int) -> float:
    """Vaswani et al. 2017, Eq. 3, in double precision."""
    return width**-0.5 * min(step**-0.5, step * warmup**-1.5)


def test_the_schedule_is_equation_3_of_the_paper():
    steps = [1, 2, 1999, 4000, 4001, 100_000]
    expected = [paper(step, 512, 4000) for step in steps]
    torch.testing.assert_close(learning_rate(torch.tensor(steps), 512, 4000), torch.tensor(expected))
    assert paper(4000, 512, 4000) == pytest.approx(6.988e-4, rel=1e-4)
    assert paper(16_000, 512, 16_000) == pytest.approx(3.494e-4, rel=1e-4)


def test_the_formula_has_no_value_at_step_0_so_a_scheduler_must_count_from_1():
    with pytest.raises(ZeroDivisionError):
        paper(0, 512, 4000)
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=1.0)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: paper(epoch + 1, 512, 4000))
    assert optimizer.param_groups[0]["lr"] == pytest.approx(learning_rate(torch.tensor(1), 512, 4000).item())


def test_the_rate_is_at_least_half_the_peak_from_half_the_warm_up_to_four_times_it():
    rates = result(warmup=4000).rates
    above = (rates >= rates.max() * (0.5 - 1e-6)).nonzero().flatten() + 1
    assert (above.min().item(), above.max().item()) == (2000, 16_000)


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e3])
def test_adam_on_noise_takes_the_steps_of_torch_optim_adam(size: float):
    parameter = nn.Parameter(torch.zeros(demo.COORDINATES))
    optimizer = torch.optim.Adam([parameter], lr=1.0, betas=(0.9, 0.98), eps=1e-9)
    sizes = []
    for gradient in size * LAB.normal(demo.UPDATES, demo.COORDINATES, generator=LAB.generator(3)):
        before, parameter.grad = parameter.detach().clone(), gradient.clone()
        optimizer.step()
        sizes.append((parameter.detach() - before).square().mean().sqrt())
    torch.testing.assert_close(adam_on_noise(LAB, size, 3)[2], torch.stack(sizes), rtol=1e-4, atol=1e-6)


def test_a_gradient_as_small_as_epsilon_takes_half_a_step():
    first, _, _ = adam_on_noise(LAB, 1e-9, 0)
    gradient = 1e-9 * LAB.normal(demo.UPDATES, demo.COORDINATES, generator=LAB.generator(0))[0]
    torch.testing.assert_close(first, -gradient / (gradient.abs() + 1e-9), rtol=1e-4, atol=1e-6)


def test_dropout_multiplies_with_0_or_with_what_pytorch_multiplies_with():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = F.dropout(torch.ones(1000), 0.3).unique()
    torch.testing.assert_close(result(dropout=0.3).kept.unique(), theirs)


def test_the_functions_of_pytorch_that_need_no_luck_draw_no_random_numbers():
    state = torch.get_rng_state()
    zeroed = demo.what_is_zeroed()
    assert torch.equal(torch.get_rng_state(), state)
    assert zeroed == {"train": 1, "no_grad": 1, "eval": 0, "functional": 1, "attention": 1}


def test_the_mean_over_masks_is_the_eval_pass_in_a_linear_network_and_lies_above_it_after_a_relu():
    linear, relu = (result(dropout=0.5, activation=activation) for activation in ("linear", "relu"))
    assert linear.passes.mean().item() == pytest.approx(linear.evaluated, abs=0.01)
    assert relu.passes.mean().item() > relu.evaluated + 0.05


def test_nothing_is_dropped_at_rate_0():
    shown = result(dropout=0.0)
    assert torch.equal(shown.kept, torch.ones_like(shown.kept))
    assert shown.passes.unique().numel() == 1
    assert not broken(shown)


def test_claims_hold_for_every_seed_and_rate():
    for seed in range(10):
        for rate in (0.0, 0.05, 0.5, 0.9):
            for activation in ("relu", "linear"):
                params = Params(seed=seed, dropout=rate, activation=activation)
                assert not broken(compute(params, LAB)), params


def test_a_schedule_without_the_minimum_a_missing_scale_and_a_leaking_eval_are_noticed():
    fine = result()
    steps = torch.arange(1, demo.HORIZON + 1)
    assert "peak_at_warmup" in broken(replace(fine, rates=512**-0.5 * steps * 4000**-1.5))
    assert "tail_ignores_warmup" in broken(replace(fine, longer=fine.longer * 2))
    assert broken(replace(fine, kept=fine.kept * 0.9)) == {"dropout_keeps_the_mean", "dropout_variance"}
    assert "eval_is_identity" in broken(replace(fine, zeroed={**fine.zeroed, "eval": 1.0}))
    assert "mean_differs_from_eval" in broken(replace(fine, evaluated=fine.passes.mean().item()))
    assert "later_steps_are_smaller" in broken(replace(fine, step_sizes=torch.ones(demo.UPDATES)))


@pytest.mark.parametrize(("peak", "last", "option"), [(0.5, 1.0, "half"), (0.25, 1.0, "quarter"), (0.5, 0.5, "both")])
def test_the_prediction_answers_from_the_two_schedules(peak: float, last: float, option: str):
    measured = SimpleNamespace(rates=torch.tensor([4.0, 1.0]), longer=torch.tensor([4.0 * peak, last]))
    assert demo.right_option(cast(Result, measured)) == option
