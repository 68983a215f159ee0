"""A small Transformer encoder, several seeds at once: every weight begins with a seed dimension.

Its task is to output a sequence of symbols reversed. Post-LN or Pre-LN; LayerNorm has gains and no biases.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.kit.lab import Lab

SYMBOLS, LENGTH = 12, 8
WIDTH, HEADS, LAYERS, HIDDEN = 32, 4, 4, 64
Weights = dict[str, Tensor]


def new_weights(lab: Lab, seeds: int, length: int = LENGTH) -> Weights:
    """One network per seed for sequences of `length`, stacked: every weight begins with a seed dimension."""

    def one(generator: torch.Generator) -> Weights:
        def matrix(*shape: int) -> Tensor:  # variance 1 / (3 · inputs), PyTorch's default for a linear layer
            return torch.randn(*shape, generator=generator) / math.sqrt(3 * shape[-2])

        return {
            "symbols": torch.randn(SYMBOLS, WIDTH, generator=generator),
            "positions": torch.randn(length, WIDTH, generator=generator) / 2,
            "projections": matrix(LAYERS, WIDTH, 3 * WIDTH),
            "output": matrix(LAYERS, WIDTH, WIDTH),
            "wide": matrix(LAYERS, WIDTH, HIDDEN),
            "narrow": matrix(LAYERS, HIDDEN, WIDTH),
            "gains": torch.ones(LAYERS, 2, WIDTH),
            "symbols_out": matrix(WIDTH, SYMBOLS),
        }

    drawn = [one(lab.generator(seed)) for seed in range(seeds)]
    return {name: torch.stack([each[name] for each in drawn]).requires_grad_() for name in drawn[0]}


def network(weights: Weights, symbols: Tensor, norm: str) -> Tensor:
    """An encoder for every seed; `symbols` (seed, sequence, position) → logits (seed, sequence, position, symbol)."""
    length = symbols.shape[-1]
    one_hot = F.one_hot(symbols, SYMBOLS).float().flatten(1, 2)  # (seed, token, symbol)
    stream = (one_hot @ weights["symbols"]).unflatten(1, (-1, length)) + weights["positions"].unsqueeze(1)
    stream = stream.flatten(1, 2)  # (seed, token, width)

    def attend(x: Tensor, layer: int) -> Tensor:
        projected = (x @ weights["projections"][:, layer]).unflatten(1, (-1, length)).unflatten(-1, (3, HEADS, -1))
        query, key, value = projected.permute(3, 0, 1, 4, 2, 5)  # (seed, sequence, head, position, head width)
        attention = (query @ key.mT / math.sqrt(WIDTH // HEADS)).softmax(-1)
        return (attention @ value).transpose(2, 3).flatten(-2).flatten(1, 2) @ weights["output"][:, layer]

    def feed_forward(x: Tensor, layer: int) -> Tensor:
        return F.relu(x @ weights["wide"][:, layer]) @ weights["narrow"][:, layer]

    for layer in range(LAYERS):
        for place, sublayer in enumerate((attend, feed_forward)):
            gain = weights["gains"][:, layer, place].unsqueeze(1)  # (seed, 1, width)
            if norm == "pre":
                stream = stream + sublayer(F.layer_norm(stream, (WIDTH,)) * gain, layer)
            else:
                stream = F.layer_norm(stream + sublayer(stream, layer), (WIDTH,)) * gain
    if norm == "pre":
        stream = F.layer_norm(stream, (WIDTH,))
    return (stream @ weights["symbols_out"]).unflatten(1, (-1, length))
