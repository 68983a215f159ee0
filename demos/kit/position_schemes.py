"""Position encodings by their formulas: what each adds to the tokens, or does to the scores."""

import math

import torch
from torch import Tensor

from language import Text, same

BUCKETS, FARTHEST = 32, 128  # T5: buckets, and the distance up to which they are spaced
SCHEMES = {
    "rope": same("RoPE"),
    "alibi": same("ALiBi"),
    "t5": Text("T5 bias", "T5 偏置"),
    "sinusoidal": Text("sinusoidal", "正弦"),
    "learned": Text("learned table", "可学习的表"),
    "none": Text("none (NoPE)", "无（NoPE）"),
}


def frequencies(width: int, base: int) -> Tensor:
    """θ_i = b^(−2i/d), one for each pair of coordinates."""
    return base ** (-torch.arange(0, width, 2) / width)  # (pair,)


def rotate(x: Tensor, positions: Tensor, base: int = 10_000) -> Tensor:
    """RoPE: turn pair i of a query or key at position p by the angle p·θ_i."""
    angles = positions.unsqueeze(-1) * frequencies(x.shape[-1], base).to(x.device)  # (position, pair)
    even, odd = x[..., 0::2], x[..., 1::2]  # (…, position, pair)
    turned = even * angles.cos() - odd * angles.sin(), even * angles.sin() + odd * angles.cos()
    return torch.stack(turned, dim=-1).flatten(-2)  # (…, position, width)


def sinusoids(positions: Tensor, width: int) -> Tensor:
    """The encoding of the original Transformer."""
    angles = positions.unsqueeze(-1) * frequencies(width, 10_000).to(positions.device)  # (position, pair)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)  # (position, width)


def slopes(heads: int) -> Tensor:
    """ALiBi: 2^(−8h/H) for head h = 1 … H."""
    return 2.0 ** (-8 * torch.arange(1, heads + 1) / heads)  # (head,)


def bucket(distance: Tensor) -> Tensor:
    """T5, causal: a bucket for each of the distances 0 to 15, then 16 more on a log scale up to 128."""
    exact = BUCKETS // 2
    ratio = (distance.clamp(min=exact) / exact).log() / math.log(FARTHEST / exact)
    far = exact + (ratio * (BUCKETS - exact)).long()
    return torch.where(distance < exact, distance.clamp(min=0), far.clamp(max=BUCKETS - 1))


def embed(tokens: Tensor, positions: Tensor, scheme: str, table: Tensor) -> Tensor:
    """Absolute schemes add a vector to each token, once, at the input."""
    if scheme == "learned":
        return tokens + table[positions]  # (…, position, width)
    if scheme == "sinusoidal":
        return tokens + sinusoids(positions, tokens.shape[-1])
    return tokens


def scores(query: Tensor, key: Tensor, positions: Tensor, scheme: str, bias: Tensor, base: int = 10_000) -> Tensor:
    """Relative schemes act on the scores: RoPE turns query and key, T5 and ALiBi add a number per distance."""
    if scheme == "rope":
        query, key = rotate(query, positions, base), rotate(key, positions, base)
    logits = query @ key.mT / math.sqrt(query.shape[-1])  # (…, head, query, key)
    distance = positions.unsqueeze(-1) - positions  # (query, key)
    if scheme == "alibi":
        logits = logits - slopes(logits.shape[-3]).to(distance.device).view(-1, 1, 1) * distance
    if scheme == "t5":
        logits = logits + bias[:, bucket(distance)]
    return logits
