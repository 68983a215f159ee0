"""A small decoder-only Transformer over characters: the model that the decoding demo asks for distributions.

Pre-LayerNorm, learned positions, output matrix tied to the embedding; it can keep its keys and values.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

WIDTH, HEADS, LAYERS, CONTEXT = 64, 4, 2, 64
Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Reader:
    """A trained model with its alphabet."""

    weights: Weights
    alphabet: str
    passage: Tensor  # (position,) a piece of what it read, as symbols

    def encode(self, words: str) -> Tensor:
        """`words` as symbols (position,)."""
        return torch.tensor([self.alphabet.index(character) for character in words])


def new_weights(symbols: int, generator: torch.Generator) -> Weights:
    """Random weights, drawn from `generator`, that want a gradient."""

    def matrix(fan_in: int, fan_out: int) -> Tensor:
        return torch.randn(LAYERS, fan_in, fan_out, generator=generator) / math.sqrt(fan_in)

    weights = {
        "symbols": 0.1 * torch.randn(symbols, WIDTH, generator=generator),
        "positions": 0.02 * torch.randn(CONTEXT, WIDTH, generator=generator),
        "projections": matrix(WIDTH, 3 * WIDTH),
        "output": matrix(WIDTH, WIDTH),
        "wide": matrix(WIDTH, 4 * WIDTH),
        "narrow": matrix(4 * WIDTH, WIDTH),
        "final_gain": torch.ones(WIDTH),
    }
    return {name: weight.requires_grad_() for name, weight in weights.items()}


def visible(new: int, old: int) -> Tensor:
    """The causal mask of `new` queries over `old` cached keys and their own: True where a query may look."""
    return torch.ones(new, old + new, dtype=torch.bool).tril(old)  # (query, key)


def logits(weights: Weights, symbols: Tensor, cache: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Scores of the next symbol at every position of `symbols` (batch, new), and the cache with them added.

    The cache holds keys and values: (layer, 2, batch, head, position, width of a head).
    """
    old, new = 0 if cache is None else cache.shape[-2], symbols.shape[-1]
    mask, kept = visible(new, old), []
    stream = weights["symbols"][symbols] + weights["positions"][old : old + new]  # (batch, new, width)
    for layer in range(LAYERS):
        projected = F.layer_norm(stream, (WIDTH,)) @ weights["projections"][layer]  # (batch, new, 3·width)
        query, *pair = projected.unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)  # (batch, head, new, head width)
        memory = torch.stack(pair)  # (2, batch, head, new, head width)
        if cache is not None:
            memory = torch.cat([cache[layer], memory], dim=-2)
        kept.append(memory)
        attended = F.scaled_dot_product_attention(query, *memory, attn_mask=mask)  # (batch, head, new, head width)
        stream = stream + attended.transpose(1, 2).flatten(-2) @ weights["output"][layer]
        hidden = F.gelu(F.layer_norm(stream, (WIDTH,)) @ weights["wide"][layer])  # (batch, new, 4·width)
        stream = stream + hidden @ weights["narrow"][layer]
    return F.layer_norm(stream, (WIDTH,)) * weights["final_gain"] @ weights["symbols"].T, torch.stack(kept)
