"""What a chip can do at most, by its data sheet, and what one decoding step of a language model asks of it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from demos.kit.counting import count
from demos.kit.published import Config
from language import Text, same

CACHE_BYTES = 2  # of a key or value: 16 bits


@dataclass(frozen=True)
class Chip:
    """Peak FLOP/s of dense 16-bit matrix products, bytes per second from memory, and bytes of memory."""

    name: Text
    peak: float
    bandwidth: float
    memory: float

    @property
    def ridge(self) -> float:
        """FLOPs per byte from which on arithmetic, not memory, is the limit."""
        return self.peak / self.bandwidth

    def attainable(self, intensity: float) -> float:
        """The roofline of Williams et al. (2009): FLOP/s at so many FLOPs per byte."""
        return min(self.peak, intensity * self.bandwidth)

    def seconds(self, flops: float, size: float) -> float:
        """The least time for `flops` of arithmetic on `size` bytes from memory: the two overlap at best."""
        return max(flops / self.peak, size / self.bandwidth)


CHIPS = {  # SXM modules where there are several; dense rates, half of those quoted "with sparsity"
    "t4": Chip(same("T4"), 65e12, 320e9, 16e9),
    "a100": Chip(same("A100 80GB"), 312e12, 2039e9, 80e9),
    "h100": Chip(same("H100"), 989.4e12, 3350e9, 80e9),
}


@dataclass(frozen=True)
class Step:
    """One decoding step for a batch: one new token for every sequence."""

    flops: int  # of its matrix products
    weights: int  # numbers that it reads; of the input embedding only a row per token, which is left out
    cache: int  # bytes of the keys and values that it reads

    def size(self, bits: int) -> float:
        """Bytes from memory with so many bits per weight; scales and activations are left out."""
        return self.weights * bits / 8 + self.cache


def decode(config: Config, batch: int, cached: int) -> Step:
    """Run the step of a Llama model on tensors that have shapes and no numbers, and count."""
    d, width, kv = config.width, config.head_width, config.kv_heads

    def new(*shape: int) -> Tensor:
        return torch.empty(*shape, device="meta", dtype=torch.bfloat16)

    x, keys, values = new(batch, d), new(batch, kv, cached, width), new(batch, kv, cached, width)
    to_query, to_output = new(d, d), new(d, d)
    to_key, to_value = new(d, kv * width), new(d, kv * width)
    gate, up, down = new(d, config.hidden), new(d, config.hidden), new(config.hidden, d)
    norms, unembedding = new(2, d), new(d, config.vocabulary)

    def layer() -> None:
        _ = x @ to_key, x @ to_value
        query = (x @ to_query).view(batch, kv, -1, width)  # (batch, kv head, query head, feature)
        attended = (query @ keys.mT).softmax(-1) @ values
        y = attended.reshape(batch, d) @ to_output
        _ = ((y @ gate) * (y @ up)) @ down

    per_layer = sum(matrix.numel() for matrix in (to_query, to_key, to_value, to_output, gate, up, down, norms))
    return Step(
        flops=config.layers * count(layer).flops + count(lambda: x @ unembedding).flops,
        weights=config.layers * per_layer + unembedding.numel() + d,  # d: the last norm
        cache=config.layers * (keys.numel() + values.numel()) * CACHE_BYTES,
    )
