"""One causal attention layer with rotary positions (RoPE), at angles of one's own choice."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.kit.linear_time import hidden


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """RoPE, with each pair of coordinates as one complex number."""
    pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())  # (…, position, pair)
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(-2)


def name_symbols(weights: dict[str, Tensor], symbols: Tensor, theta: Tensor, heads: int, window: int) -> Tensor:
    """Logits at every position. A step of one position turns pair i by θ_i; keys are at most `window` − 1 back."""
    positions = torch.arange(symbols.shape[-1])
    angles = positions.unsqueeze(-1) * theta  # (position, pair)
    stream = weights["symbols"][symbols]  # (batch, position, model)
    projected = F.layer_norm(stream, stream.shape[-1:]) @ weights["projections"]  # (batch, position, 3·model)
    query, key, value = projected.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    logits = rotate(query, angles) @ rotate(key, angles).mT / math.sqrt(query.shape[-1])
    attended = logits.masked_fill(hidden(len(positions), window), -math.inf).softmax(-1) @ value
    stream = stream + attended.transpose(1, 2).flatten(-2) @ weights["output"]
    return F.layer_norm(stream, stream.shape[-1:]) @ weights["symbols_out"]  # (batch, position, symbol)
