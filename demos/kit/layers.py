"""A small Transformer layer for several networks at once: tensors are (network, sequence, token, feature)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from demos.kit.lab import Lab

WIDTH, HEADS = 32, 4


@dataclass(frozen=True)
class Block:
    """The weights of one Transformer layer for several networks at once."""

    projections: Tensor  # (network, feature, 3 × feature): query, key, value
    output: Tensor  # (network, feature, feature)
    rise: Tensor  # (network, feature, 4 × feature)
    fall: Tensor  # (network, 4 × feature, feature)


Branch = Callable[[Tensor, Block], Tensor]


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """Multiply by W, which every network has its own of."""
    return (x.flatten(1, 2) @ weight).unflatten(1, x.shape[1:3])  # (network, sequence, token, feature)


def look(x: Tensor, block: Block, unseen: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """What every head looks at, and what it would take from there: weights (…, head, query, key) and values.

    `unseen` (query, key) marks the keys that a query must not look at.
    """
    heads = linear(x, block.projections).unflatten(-1, (3, HEADS, WIDTH // HEADS)).transpose(2, 4)
    query, key, value = heads.unbind(3)  # (network, sequence, head, token, feature) each
    scores = query @ key.mT / math.sqrt(WIDTH // HEADS)  # (…, head, query, key)
    if unseen is not None:
        scores = scores.masked_fill(unseen, -math.inf)
    return scores.softmax(-1), value


def merge(taken: Tensor, block: Block) -> Tensor:
    """The heads (network, sequence, head, token, feature) side by side, times W_O."""
    return linear(taken.transpose(2, 3).flatten(-2), block.output)


def attend(x: Tensor, block: Block, unseen: Tensor | None = None) -> Tensor:
    """Multi-head self-attention."""
    weights, value = look(x, block, unseen)
    return merge(weights @ value, block)


def feed_forward(x: Tensor, block: Block) -> Tensor:
    """ReLU(x W₁) W₂ at every token."""
    return linear(linear(x, block.rise).relu(), block.fall)


def draw_blocks(lab: Lab, generator: torch.Generator, networks: int, layers: int) -> list[Block]:
    """Independent weights that keep variances; the first FFN matrix at He scale, because ReLU halves them."""

    def matrix(rows: int, columns: int, gain: float = 1.0) -> Tensor:
        return lab.normal(networks, rows, columns, generator=generator) * math.sqrt(gain / rows)

    def block() -> Block:
        projections, output = matrix(WIDTH, 3 * WIDTH), matrix(WIDTH, WIDTH)
        return Block(projections, output, matrix(WIDTH, 4 * WIDTH, gain=2.0), matrix(4 * WIDTH, WIDTH))

    return [block() for _ in range(layers)]
