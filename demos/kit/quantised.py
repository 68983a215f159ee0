"""Numbers in few bits: rounding to a grid, packing, and matrix products of int8 numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Product = Callable[[Tensor, Tensor], Tensor]


def quantise(weight: Tensor, bits: int, dim: int | tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Round w to s·q, q whole, with one scale s = max |w| / (2^(b−1) − 1) for all that lies along `dim`."""
    scale = weight.abs().amax(dim, keepdim=True) / (2 ** (bits - 1) - 1)
    scale = scale.where(scale > 0, 1)  # nothing but zeros
    return (weight / scale).round(), scale


def pack(integers: Tensor, bits: int) -> Tensor:
    """Store b bits for each integer, eight bits to the byte."""
    offset = integers.to(torch.int64).flatten() + 2 ** (bits - 1)  # (number,) from 1 to 2^b − 1
    digits = (offset.unsqueeze(-1) >> torch.arange(bits, device=integers.device)) & 1  # (number, bit)
    padded = F.pad(digits.flatten(), (0, -digits.numel() % 8)).view(-1, 8)
    return (padded << torch.arange(8, device=integers.device)).sum(-1).to(torch.uint8)  # (byte,)


def unpack(packed: Tensor, bits: int, count: int) -> Tensor:
    """The integers that were packed."""
    digits = (packed.to(torch.int64).unsqueeze(-1) >> torch.arange(8, device=packed.device)) & 1  # (byte, bit)
    numbers = digits.flatten()[: count * bits].view(count, bits) << torch.arange(bits, device=packed.device)
    return numbers.sum(-1) - 2 ** (bits - 1)  # (number,)


def by_kernel(x: Tensor, weight: Tensor) -> Tensor:
    """int8 × int8 → int32 in PyTorch's kernel. On CUDA it wants more than 16 rows."""
    missing = max(0, 32 - len(x)) if x.is_cuda else 0
    return torch._int_mm(F.pad(x, (0, 0, 0, missing)), weight)[: len(x)]  # type: ignore[attr-defined]


def by_hand(x: Tensor, weight: Tensor) -> Tensor:
    """The same sums in fp32: exact up to 1040 terms, since 127² · 1040 < 2²⁴."""
    return x.float() @ weight.float()


def int8_product(device: torch.device) -> Product:
    """The int8 kernel of this device, or our own arithmetic where there is none."""
    # torch 2.13 still has torch.ao.quantization.quantize_dynamic, but deprecates it, and qint8 tensors with it, in
    # favour of torchao. torchao's int8 layers on the CPU call this kernel, so we need neither it nor what goes away.
    try:
        by_kernel(*torch.ones(2, 32, 32, dtype=torch.int8, device=device))
    except (AttributeError, NotImplementedError, RuntimeError):
        return by_hand
    return by_kernel


def times_int8(x: Tensor, integers: Tensor, scale: Tensor, product: Product) -> Tensor:
    """Multiply x W in int8: a scale for every row of x, found as it arrives, and one for every column of W."""
    rounded, step = quantise(x, 8, -1)  # (row, inner), (row, 1)
    return product(rounded.to(torch.int8), integers) * step * scale  # (row, column)


@dataclass(frozen=True)
class Int8:
    """Matrices of several networks in int8. `x @ matrices` works, so a network runs on them unchanged."""

    integers: Tensor  # (network, …, row, column) int8
    scale: Tensor  # (network, …, 1, column)
    product: Product

    def __getitem__(self, index: Any) -> "Int8":
        return Int8(self.integers[index], self.scale[index], self.product)

    def __rmatmul__(self, x: Tensor) -> Tensor:
        each = zip(x, self.integers, self.scale, strict=True)
        return torch.stack([times_int8(*matrices, self.product) for matrices in each])
