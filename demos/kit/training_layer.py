"""A layer as it is trained, with dropout, to see what its backward pass needs. Two passes can drop the same."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.kit.lab import Lab

TYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}
KEPT = 0.9  # what dropout keeps


@dataclass(frozen=True)
class Block:
    """The matrices of one layer, and what its dropout keeps."""

    weights: tuple[Tensor, ...]  # query, key and value in one: (feature, 3 · feature); output; rise, fall of the FFN
    keep: tuple[Tensor, ...]  # bool: (head, query, key), (position, feature), (position, feature)


def dropped(x: Tensor, keep: Tensor) -> Tensor:
    """Dropout. Each pass makes a mask of its own; ours is a copy, so that a second pass drops the same."""
    return x * keep.clone() / KEPT


def run_block(x: Tensor, block: Block) -> Tensor:
    """A Pre-LN layer with dropout where the original has it, and on the attention weights."""
    to_qkv, to_output, rise, fall = block.weights
    keep_weights, keep_attention, keep_ffn = block.keep
    heads, n, d = len(keep_weights), *x.shape
    projected = F.layer_norm(x, (d,)) @ to_qkv  # (position, 3 · feature)
    query, key, value = projected.view(n, 3, heads, -1).permute(1, 2, 0, 3)  # (head, position, feature) each
    weights = (torch.bmm(query, key.mT) / math.sqrt(d // heads)).softmax(-1)  # (head, query, key)
    mixed = torch.bmm(dropped(weights, keep_weights), value).transpose(0, 1).reshape(n, d)  # (position, feature)
    x = x + dropped(mixed @ to_output, keep_attention)
    hidden = F.gelu(F.layer_norm(x, (d,)) @ rise)  # (position, 4 · feature)
    return x + dropped(hidden @ fall, keep_ffn)


def run_all(x: Tensor, blocks: list[Block]) -> Tensor:
    """One layer after another."""
    for block in blocks:
        x = run_block(x, block)
    return x


def draw(lab: Lab, length: int, width: int, heads: int, precision: str, layers: int) -> tuple[Tensor, list[Block]]:
    """Tokens, and layers of random weights."""
    generator, kind = lab.generator(0), TYPES[precision]

    def block() -> Block:
        shapes = [(width, 3 * width), (width, width), (width, 4 * width), (4 * width, width)]
        weights = [lab.normal(*shape, generator=generator) / math.sqrt(shape[0]) for shape in shapes]
        kept = [(heads, length, length), (length, width), (length, width)]
        keep = [(torch.rand(shape, generator=generator) < KEPT).to(lab.device) for shape in kept]
        return Block(tuple(weight.to(kind).requires_grad_() for weight in weights), tuple(keep))

    x = lab.normal(length, width, generator=generator).to(kind)  # (position, feature)
    return x, [block() for _ in range(layers)]
