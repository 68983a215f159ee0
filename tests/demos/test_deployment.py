"""Compression against theory, the fallback without an int8 kernel, and what a chip allows."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch

from demos import deployment as demo
from demos.deployment import MATRICES, Params, Result
from demos.kit import runner
from demos.kit.lab import Lab, Stopped
from demos.kit.stacked_encoder import network
from language import Text

LAB = Lab(torch.device("cpu"))
SYMBOLS = torch.randint(12, (1, 30, 10), generator=LAB.generator(3))


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    return demo.train(LAB, 0)


def result(**knobs: Any) -> Result:
    return demo.compute(Params(**knobs), LAB)


def broken(got: Result) -> list[str]:
    return [claim.id for claim in demo.claims(got) if not claim.holds]


def titles(got: Result) -> dict[str, str]:
    return {picture.id: picture.title.en for picture in demo.pictures(got)}


def test_the_network_learns_its_task(weights: dict[str, torch.Tensor]):
    answer = network(weights, SYMBOLS, "pre").argmax(-1)
    assert (answer == SYMBOLS.flip(-1)).float().mean() > 0.99


def test_another_seed_is_another_network(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(demo, "STEPS", 2)
    one, same, other = (demo.train.__wrapped__(LAB, seed) for seed in (1, 1, 2))  # type: ignore[attr-defined]
    assert torch.equal(one["wide"], same["wide"])
    assert (one["wide"] - other["wide"]).std() > 0.1


@pytest.mark.parametrize("share", [0, 0.3, 0.9, 1])
def test_pruning_zeroes_the_smallest_weights(share: float):
    weight = LAB.normal(20, 50, generator=LAB.generator(0))
    pruned = demo.prune(weight, share)
    gone = pruned == 0
    assert gone.float().mean().item() == pytest.approx(share)
    assert torch.equal(pruned[~gone], weight[~gone])
    if 0 < share < 1:
        assert weight[gone].abs().max() <= weight[~gone].abs().min()


def test_removing_channels_computes_what_zeroing_them_computes(weights: dict[str, torch.Tensor]):
    slim = demo.slim(weights["wide"], weights["narrow"], 16)
    assert slim["wide"].shape == (1, 4, 32, 16)
    kept = (weights["wide"].unsqueeze(-1) == slim["wide"].unsqueeze(-2)).all(-3).any(-1)  # (1, layer, channel)
    zeroed = weights | {"wide": weights["wide"] * kept.unsqueeze(-2), "narrow": weights["narrow"] * kept.unsqueeze(-1)}
    made, expected = (network(weights | each, SYMBOLS, "pre") for each in (slim, zeroed))
    torch.testing.assert_close(made, expected, atol=1e-4, rtol=1e-4)


def test_keeping_all_channels_changes_nothing(weights: dict[str, torch.Tensor]):
    runs, _ = demo.compress(weights, "channels", 64)
    expected = network(weights, SYMBOLS, "pre")
    torch.testing.assert_close(network(runs, SYMBOLS, "pre"), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("method", "setting"), [("zeros", 0.9), ("channels", 8), ("bits", 2), ("one_scale", 4), ("int8", 8), ("bf16", 16)]
)
def test_compressing_leaves_the_trained_network_alone(method: str, setting: float, weights: dict[str, torch.Tensor]):
    before = {name: weight.clone() for name, weight in weights.items()}
    demo.compress(weights, method, setting)
    assert all(torch.equal(weights[name], before[name]) for name in before)


def test_only_linear_layers_are_compressed(weights: dict[str, torch.Tensor]):
    runs, _ = demo.compress(weights, "bits", 2)
    assert {name for name in weights if not torch.equal(runs[name], weights[name])} == set(MATRICES)


def test_int8_computes_nearly_what_fp32_computes(weights: dict[str, torch.Tensor]):
    runs, _ = demo.compress(weights, "int8", 8)
    exact, rounded = (network(each, SYMBOLS, "pre") for each in (weights, runs))
    assert 0 < (rounded - exact).norm() / exact.norm() < 0.03


def test_fewer_bits_make_smaller_files_and_zeros_do_not():
    got = result().formats
    assert got["zeros"].file == got["fp32"].file
    assert got["fp32"].file > got["half"].file > got["bf16"].file > got["int8"].file > got["int4"].file


def test_without_an_int8_kernel_the_numbers_stay_and_a_note_appears(monkeypatch: pytest.MonkeyPatch):
    native = result()
    assert native.native
    assert "int8 kernel" not in titles(native)["files"]
    monkeypatch.delattr(torch, "_int_mm")
    emulated = demo.measure.__wrapped__(LAB, "int8", 8, 0)  # type: ignore[attr-defined]
    assert torch.equal(emulated.logits, native.formats["int8"].logits)
    got = result()
    assert not got.native
    assert got.int8_gap == 0
    assert "no int8 kernel here" in titles(got)["files"]
    assert broken(got) == []


def test_a_file_that_shrinks_with_zeros_or_an_inexact_kernel_breaks_a_claim():
    got = result()
    smaller = replace(got.formats["zeros"], file=got.formats["zeros"].file // 10)
    assert broken(replace(got, formats=got.formats | {"zeros": smaller})) == ["zeros_keep_the_file"]
    assert broken(replace(got, int8_gap=1.0)) == ["int8_sums_are_exact"]


def test_an_outlier_that_spoils_nothing_breaks_a_claim():
    got = result()
    _, own, *steps = got.outlier
    assert broken(replace(got, outlier=(own, own, *steps))) == ["outlier_spoils_a_shared_scale"]


def test_errors_that_are_not_uniform_break_a_claim():
    got = result(method="bits", bits=6)
    assert broken(got) == []
    assert broken(replace(got, rounding=0.8 * got.rounding)) == ["error_is_uniform"]
    assert broken(replace(got, rounding=1.5 * got.rounding)) == ["error_is_half_a_step", "error_is_uniform"]


@pytest.mark.parametrize("chip", ["t4", "a100", "h100", "own"])
def test_the_claims_of_a_chip_hold_for_every_model_and_format(chip: str):
    for model, bits, batch, context in product(demo.REAL, (4, 8, 16), (1, 64, 1024), (512, 32_768)):
        assert broken(result(chip=chip, model=model, weight_bits=bits, batch=batch, context=context)) == []


@pytest.mark.parametrize("peak", [0.1, 1000.0])
@pytest.mark.parametrize("bandwidth", [25.0, 4000.0])
def test_the_claims_hold_on_lopsided_chips(peak: float, bandwidth: float):
    assert broken(result(chip="own", peak=peak, bandwidth=bandwidth, weight_bits=4)) == []


def test_what_does_not_fit_says_how_much_is_missing():
    assert "sequences fit" in titles(result(batch=64))["batch"]
    assert "DOES NOT FIT" in titles(result(batch=1024))["batch"]
    assert "DOES NOT FIT, 0.1 GB short" in titles(result(chip="t4", model="llama3_8b"))["batch"]  # 16.06 + 0.07 GB


def test_sixty_four_sequences_gain_what_the_answer_says():
    def gain(**knobs: Any) -> float:
        return next(claim.measured for claim in demo.claims(result(**knobs)) if claim.id == "batching_gain")

    assert gain() == pytest.approx(28.4, abs=0.05)
    assert gain(context=8192) == pytest.approx(3.89, abs=0.005)


def test_the_accuracies_of_the_answer():
    curves = result(method="bits", bits=2).curves
    assert [round(100 * curve[0].item()) for curve in curves] == pytest.approx([74, 17], abs=3)
    assert min(curve[2].item() for curve in curves) > 0.999  # 4 bits
    assert 100 * result().formats["zeros"].accuracy == pytest.approx(15, abs=3)


def test_the_prediction_would_tell_other_files():
    got = result()
    assert demo.right_option(got) == "all"
    for share, option in ((0.1, "tenth"), (0.5, "half")):
        zeros = replace(got.formats["zeros"], file=int(share * got.formats["fp32"].file))
        assert demo.right_option(replace(got, formats=got.formats | {"zeros": zeros})) == option


def test_the_clock_is_read_only_when_asked_and_a_noisy_machine_is_named():
    assert result().times is None
    assert "clock" not in titles(result())
    quiet = torch.tensor([[1.0, 2.0, 4.0], [1.0, 2.0, 4.0], [0.5, 1.0, 2.0]]).unsqueeze(-1).repeat(1, 1, 9) / 1e3
    noisy = quiet.clone()
    noisy[0, 1, ::2] *= 3
    assert not titles(replace(result(), times=quiet))["clock"].startswith("NOISY")
    assert titles(replace(result(), times=noisy))["clock"].startswith("NOISY MACHINE")
    skipping = quiet.clone()
    skipping[1] /= 10  # a kernel that skips zeros
    assert broken(replace(result(), times=skipping)) == ["zeros_save_no_time"]


def test_timing_measures_three_formats_at_three_batches():
    got = runner.on_cpu(result(timed=True))
    assert got.times.shape == (3, 3, 9)
    assert (got.times > 0).all()
    assert broken(got) == []


def test_training_stops_when_the_learner_leaves():
    def leave(_fraction: float, _note: Text | None) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        demo.train(Lab(torch.device("cpu"), leave), 3)
