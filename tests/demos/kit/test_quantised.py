"""Rounding, packing and int8 products, against exact integers and PyTorch's own dynamic quantisation."""

import warnings

import pytest
import torch

from demos.kit.lab import Lab
from demos.kit.quantised import Int8, by_hand, by_kernel, int8_product, pack, quantise, times_int8, unpack

CPU = torch.device("cpu")
LAB = Lab(CPU)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return LAB.normal(*shape, generator=LAB.generator(seed))


def integers(*shape: int) -> torch.Tensor:
    return torch.randint(-127, 128, shape, generator=LAB.generator(1)).to(torch.int8)


@pytest.mark.parametrize("bits", range(2, 9))
def test_integers_stay_in_range_and_errors_below_half_a_step(bits: int):
    weight = drawn(40, 30)
    for dim in (0, 1, (0, 1)):
        q, scale = quantise(weight, bits, dim)
        assert torch.equal(q, q.round())
        assert q.abs().max() == 2 ** (bits - 1) - 1
        assert ((weight - q * scale).abs() / scale).max() <= 0.5 + 1e-5


def test_a_channel_of_zeros_stays_zero_and_spoils_nothing():
    weight = drawn(8, 4)
    weight[:, 2] = 0
    q, scale = quantise(weight, 8, 0)
    assert torch.isfinite(q).all()
    assert (q * scale)[:, 2].abs().max() == 0
    torch.testing.assert_close(q * scale, weight, atol=0.02, rtol=0)


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("count", [1, 7, 8, 33])
def test_packed_integers_come_back_and_take_b_bits_each(bits: int, count: int):
    largest = 2 ** (bits - 1) - 1
    q = torch.randint(-largest, largest + 1, (count,), generator=LAB.generator(2))
    packed = pack(q, bits)
    assert packed.nbytes == -(-count * bits // 8)
    assert torch.equal(unpack(packed, bits, count), q)


def test_the_kernel_and_our_arithmetic_give_the_exact_integer_product():
    x, weight = integers(5, 1040), integers(1040, 8)
    exact = x.long() @ weight.long()
    assert torch.equal(by_kernel(x, weight).long(), exact)
    assert torch.equal(by_hand(x, weight).long(), exact)


def test_1040_largest_terms_are_still_exact_in_fp32():
    x = torch.full((1, 1040), 127, dtype=torch.int8)
    assert by_hand(x, x.mT).item() == 1040 * 127**2


@pytest.mark.parametrize("failure", [AttributeError, NotImplementedError, RuntimeError])
def test_where_there_is_no_kernel_our_own_arithmetic_gives_the_same(
    failure: type[Exception], monkeypatch: pytest.MonkeyPatch
):
    q, scale = quantise(drawn(1, 2, 16, 8), 8, -2)
    x = drawn(1, 6, 16, seed=3)

    def product() -> torch.Tensor:
        return x @ Int8(q.to(torch.int8), scale, int8_product(CPU))[:, 1]

    def absent(*_args: object) -> None:
        raise failure

    native = product()
    monkeypatch.setattr(torch, "_int_mm", absent)
    assert int8_product(CPU) is by_hand
    assert torch.equal(product(), native)


def test_without_the_name_in_torch_there_is_a_fallback_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(torch, "_int_mm")
    assert int8_product(CPU) is by_hand


def test_our_int8_is_at_least_as_close_to_fp32_as_pytorchs_deprecated_quantize_dynamic():
    dynamic = getattr(torch.ao.quantization, "quantize_dynamic", None)
    if dynamic is None or torch.backends.quantized.engine == "none":
        pytest.skip("this build has no dynamic quantisation; the exact products above are still checked")
    layer = torch.nn.Linear(256, 64, bias=False)
    x, weight = drawn(50, 256, seed=4), drawn(256, 64, seed=5)
    layer.weight.data = weight.mT.contiguous()
    with warnings.catch_warnings():  # deprecated in favour of torchao: this call, and the qint8 tensors it makes
        warnings.filterwarnings("ignore", "torch.ao.quantization is deprecated", DeprecationWarning)
        warnings.filterwarnings("ignore", "torch.quantize_per_tensor", UserWarning)
        theirs = dynamic(torch.nn.Sequential(layer), {torch.nn.Linear}, dtype=torch.qint8)(x)
    q, scale = quantise(weight, 8, 0)
    ours, exact = times_int8(x, q.to(torch.int8), scale, int8_product(CPU)), x @ weight

    def off(y: torch.Tensor) -> float:
        return ((y - exact).norm() / exact.norm()).item()

    assert off(theirs.detach()) < 0.03
    assert off(ours) < off(theirs.detach())


def test_a_network_of_several_matrices_multiplies_each_with_its_own():
    weights, x = drawn(2, 3, 16, 8), drawn(2, 5, 16, seed=6)
    q, scale = quantise(weights, 8, -2)
    made = x @ Int8(q.to(torch.int8), scale, by_hand)[:, 2]
    torch.testing.assert_close(made, x @ weights[:, 2], atol=0.15, rtol=0)
