"""Causal attention of one head over n tokens: in full, through a sliding window, and linearised.

The last two take time linear in n. They run on any device, also on `meta`, where tensors have shapes and no numbers.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def hidden(length: int, window: int) -> Tensor:
    """Which keys a query must not see: the future, and what is `window` or more back."""
    distance = torch.arange(length).unsqueeze(-1) - torch.arange(length)  # (query, key)
    return (distance < 0) | (distance >= window)


def full(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Causal softmax attention."""
    future = torch.ones(len(query), len(key), dtype=torch.bool, device=query.device).triu(1)
    scores = query @ key.mT / math.sqrt(query.shape[-1])  # (query, key)
    return scores.masked_fill(future, -math.inf).softmax(-1) @ value  # (query, feature)


def windowed(query: Tensor, key: Tensor, value: Tensor, window: int) -> Tensor:
    """Each query sees itself and the `window` − 1 tokens before: blocks of w queries against 2w keys."""
    if window >= len(query):
        return full(query, key, value)
    blocks = -(-len(query) // window)
    padded = [F.pad(x, (0, 0, 0, blocks * window - len(x))).unflatten(0, (blocks, window)) for x in (query, key, value)]
    before = [F.pad(x, (0, 0, 0, 0, 1, 0))[:-1] for x in padded[1:]]  # the block to the left; zeros before the first
    keys, values = (torch.cat(both, 1) for both in zip(before, padded[1:], strict=True))  # (block, 2w, feature)
    here, there = (torch.arange(size, device=query.device) for size in (window, 2 * window))
    age = window + here.unsqueeze(-1) - there  # (query, key)
    start = torch.arange(blocks, device=query.device).view(-1, 1, 1) * window - window  # the block's first key
    unseen = (age < 0) | (age >= window) | (start + there < 0)  # (block, query, key)
    scores = padded[0] @ keys.mT / math.sqrt(query.shape[-1])  # (block, query, key)
    weights = scores.masked_fill(unseen, -math.inf).softmax(-1)
    return (weights @ values).flatten(0, 1)[: len(query)]  # (query, feature)


def feature_map(x: Tensor) -> Tensor:
    """φ(x) = elu(x) + 1 of Katharopoulos et al.: positive, and as wide as x."""
    return F.elu(x) + 1


def linear_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """φ(q)ᵀS / φ(q)ᵀz with S = Σ φ(k)vᵀ and z = Σ φ(k) over the past, in chunks as long as d."""
    length, d = query.shape
    chunks = -(-length // d)
    value = torch.cat([value, torch.ones_like(value[:, :1])], -1)  # its last column adds up z
    query, key, value = (
        F.pad(x, (0, 0, 0, chunks * d - length)).unflatten(0, (chunks, d))
        for x in (feature_map(query), feature_map(key), value)
    )
    sums = (key.mT @ value).cumsum(0)  # (chunk, feature, feature + 1)
    state = F.pad(sums, (0, 0, 0, 0, 1, 0))[:-1]  # of the chunks before
    both = query @ state + (query @ key.mT).tril() @ value  # (chunk, query, feature + 1)
    return (both[..., :-1] / both[..., -1:]).flatten(0, 1)[:length]  # (query, feature)


def linear_at_once(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """The same with all n × n products."""
    weights = (feature_map(query) @ feature_map(key).mT).tril()  # (query, key)
    return weights / weights.sum(-1, keepdim=True) @ value
