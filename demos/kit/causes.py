"""A small Transformer with a task whose causes are known, so that an explanation of it can be right or wrong.

Eight tokens follow CLS. Each has a value from 0 to 3 and a role: one is A, one is B, one is a distractor, the others
are fillers. The answer, read at CLS, is (value of A + value of B) mod 4; the distractor is marked but plays no part.
"""

import dataclasses
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.kit.lab import Lab
from demos.kit.layers import WIDTH, Block, draw_blocks, feed_forward, look, merge
from language import Text

VALUES, TOKENS, CLS, LAYERS = 4, 8, 16, 2  # a token is 4 · role + value; 16 is CLS
STEPS, BATCH, PEAK = 300, 64, 1.2e-2


@dataclass(frozen=True)
class Sentences:
    """Sentences with their answers, and where A, B, the distractor and one filler stand in each."""

    tokens: Tensor  # (example, token)
    places: Tensor  # (example, 4)
    answers: Tensor  # (example,)

    def changed(self, role: int, by: int = 1) -> Tensor:
        """The tokens with the value of A (0), B (1), the distractor (2) or a filler (3) raised, modulo 4."""
        place = self.places[:, role : role + 1]
        return self.tokens.scatter(1, place, raised(self.tokens.gather(1, place), by))

    def to(self, device: torch.device) -> "Sentences":
        """The same on another device."""
        return Sentences(self.tokens.to(device), self.places.to(device), self.answers.to(device))


@dataclass(frozen=True)
class Model:
    """Networks side by side; `teach` returns two: the trained one, and the weights it began with."""

    symbols: Tensor  # (network, symbol, feature)
    places: Tensor  # (network, 1, position, feature)
    readout: Tensor  # (network, feature, answer)
    blocks: list[Block]

    def first(self) -> "Model":
        """The first network alone."""
        blocks = [Block(b.projections[:1], b.output[:1], b.rise[:1], b.fall[:1]) for b in self.blocks]
        return Model(self.symbols[:1], self.places[:1], self.readout[:1], blocks)


@dataclass(frozen=True)
class Reading:
    """What a run leaves behind."""

    states: list[Tensor]  # before the first block and after each: (network, example, position, feature)
    weights: list[Tensor]  # of each block: (network, example, head, query, key)
    values: list[Tensor]  # of each block: (network, example, head, key, head width)


def raised(tokens: Tensor, by: int = 1) -> Tensor:
    """Tokens of the same roles whose values are higher, modulo 4."""
    return tokens - tokens % VALUES + (tokens + by) % VALUES


def write(count: int, generator: torch.Generator) -> Sentences:
    """Random values everywhere; A, B and the distractor at random places."""
    values = torch.randint(VALUES, (count, TOKENS), generator=generator)
    places = torch.rand(count, TOKENS, generator=generator).argsort(-1)  # (example, token)
    roles = torch.zeros_like(values).scatter(1, places[:, :3], torch.tensor([[1, 2, 3]]).expand(count, -1))
    causes = values.gather(1, places[:, :2])  # (example, 2)
    return Sentences(VALUES * roles + values, places[:, :4], causes.sum(-1) % VALUES)


def embed(model: Model, tokens: Tensor) -> Tensor:
    """CLS and the tokens, each with its place."""
    return model.symbols[:, F.pad(tokens, (1, 0), value=CLS)] + model.places  # (network, example, position, feature)


def norm(stream: Tensor) -> Tensor:
    """LayerNorm, in front of every sub-layer (Pre-LN)."""
    return F.layer_norm(stream, (WIDTH,))


def run(model: Model, x: Tensor, start: int = 0, keep: Tensor | None = None) -> Reading:
    """The blocks from `start` on. Where `keep` (position,) is 0, weights are masked and the rest renormalised."""
    states, weights, values = [x], [], []
    for block in model.blocks[start:]:
        attention, value = look(norm(x), block)
        if keep is not None:
            attention = attention * keep / (attention * keep).sum(-1, keepdim=True)
        x = x + merge(attention @ value, block)
        x = x + feed_forward(norm(x), block)
        states, weights, values = [*states, x], [*weights, attention], [*values, value]
    return Reading(states, weights, values)


def lens(model: Model, state: Tensor) -> Tensor:
    """The final norm and the readout at CLS; on the last state this is the model's output."""
    return norm(state[:, :, 0]) @ model.readout  # (network, example, answer)


def answer(model: Model, x: Tensor, keep: Tensor | None = None) -> Tensor:
    """The logits (network, example, answer) for embedded sentences."""
    return lens(model, run(model, x, keep=keep).states[-1])


def assemble(tensors: list[Tensor]) -> Model:
    """A model from its tensors: symbols, places, readout, then four for each block."""
    symbols, places, readout, *rest = tensors
    return Model(symbols, places, readout, [Block(*rest[at : at + 4]) for at in range(0, len(rest), 4)])


def draw(lab: Lab, generator: torch.Generator) -> list[Tensor]:
    """The tensors of one network before training."""
    drawn = [
        lab.normal(1, CLS + 1, WIDTH, generator=generator) / 2,
        lab.normal(1, 1, 1 + TOKENS, WIDTH, generator=generator) / 10,
        lab.normal(1, WIDTH, VALUES, generator=generator) / WIDTH**0.5,
    ]
    for block in draw_blocks(lab, generator, networks=1, layers=LAYERS):
        drawn += [block.projections, block.output, block.rise, block.fall]
    return drawn


def teach(lab: Lab, seed: int) -> Model:
    """300 steps on fresh sentences; on the CPU, so that all devices show the same."""
    generator = lab.generator(seed)
    fresh = draw(dataclasses.replace(lab, device=torch.device("cpu")), generator)
    tensors = [tensor.clone().requires_grad_() for tensor in fresh]
    model, optimizer = assemble(tensors), torch.optim.AdamW(tensors, PEAK)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, total_steps=STEPS, pct_start=0.1)
    for step in range(STEPS):
        if step % 5 == 0:
            lab.progress(step / STEPS, Text(f"Training, step {step} of {STEPS}", f"训练中，第 {step}/{STEPS} 步"))
        batch = write(BATCH, generator)
        loss = F.cross_entropy(answer(model, embed(model, batch.tokens))[0], batch.answers)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return assemble([torch.cat([a.detach(), b]).to(lab.device) for a, b in zip(tensors, fresh, strict=True)])
