"""A task that needs positions, and one attention layer that learns it: name the symbol 3 back, on 32 tokens."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.kit.lab import Lab
from demos.kit.linear_time import hidden
from demos.kit.position_schemes import BUCKETS, SCHEMES, embed, scores
from demos.kit.stage import stage
from language import Text

SYMBOLS, MODEL, HEADS, BACK = 16, 64, 4, 3  # the task: output the symbol 3 back
TRAINED, TESTED, ROWS = 32, 256, 512  # lengths in training and in tests; rows of the learned table
STEPS, BATCH, LEARNING_RATE = 250, 32, 3e-3
Weights = dict[str, Tensor]


def model(weights: Weights, symbols: Tensor, scheme: str, interpolation: int = 1, window: int = TESTED) -> Tensor:
    """One causal attention layer with four heads that names a symbol at every position."""
    positions = torch.arange(symbols.shape[-1])
    stream = embed(weights["symbols"][symbols], positions, scheme, weights["table"])  # (batch, position, model)
    projected = F.layer_norm(stream, (MODEL,)) @ weights["projections"]  # (batch, position, 3·model)
    query, key, value = projected.unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)  # (batch, head, position, width)
    stretched = positions / interpolation if interpolation > 1 else positions
    logits = scores(query, key, stretched, scheme, weights["bias"])  # (batch, head, query, key)
    unseen = hidden(len(positions), window)  # (query, key)
    attended = logits.masked_fill(unseen, -math.inf).softmax(-1) @ value  # (batch, head, position, width)
    stream = stream + attended.transpose(1, 2).flatten(-2) @ weights["output"]
    return F.layer_norm(stream, (MODEL,)) @ weights["symbols_out"]  # (batch, position, symbol)


@stage(keep=24)
def train(lab: Lab, scheme: str, seed: int) -> Weights:
    """Teach the model to name the symbol 3 back on sequences of 32; on the CPU, so that all devices show the same."""
    generator = lab.generator(seed)

    def matrix(*shape: int) -> Tensor:
        return (torch.randn(*shape, generator=generator) / math.sqrt(3 * MODEL)).requires_grad_()

    weights = {
        "symbols": torch.randn(SYMBOLS, MODEL, generator=generator).requires_grad_(),
        "projections": matrix(MODEL, 3 * MODEL),
        "output": matrix(MODEL, MODEL),
        "symbols_out": matrix(MODEL, SYMBOLS),
        "table": torch.randn(ROWS, MODEL, generator=generator).requires_grad_(),
        "bias": torch.zeros(HEADS, BUCKETS, requires_grad=True),
    }
    optimizer = torch.optim.Adam(weights.values(), LEARNING_RATE)
    for step in range(STEPS):
        symbols = torch.randint(SYMBOLS, (BATCH, TRAINED), generator=generator)
        logits = model(weights, symbols, scheme)[:, BACK:]  # (batch, position, symbol)
        loss = F.cross_entropy(logits.flatten(0, 1), symbols[:, :-BACK].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 0:
            lab.progress(step / STEPS, Text(f"Training: {SCHEMES[scheme].en}", f"训练中：{SCHEMES[scheme].zh}"))
    return {name: weight.detach() for name, weight in weights.items()}
