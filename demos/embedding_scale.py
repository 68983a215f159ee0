"""Why token embeddings are multiplied by √d_model before positions are added."""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.claims.embedding_scale import claims
from demos.figures.embedding_scale import pictures
from demos.kit.contract import Demo, Prediction, Preset
from demos.kit.knobs import Choice, Range, Spaced, Switch, powers_of_two
from demos.kit.lab import Lab
from language import Text, same

VOCABULARY, STATES = 1000, 256
WIDTHS = powers_of_two(16, 1024)
INITS = {
    "reference": same("N(0, 1/d)"),
    "normal": Text("N(0, 1), PyTorch's default", "N(0, 1)，PyTorch 默认"),
    "small": Text("N(0, 0.02²), as in GPT-2", "N(0, 0.02²)，如 GPT-2"),
    "xavier": Text("Xavier, 2/(V + d)", "Xavier，2/(V + d)"),
}


@dataclass(frozen=True)
class Params:
    """The knobs."""

    model_width: Annotated[int, Spaced(WIDTHS, label=Text("Model width d", "模型宽度 d"))] = 512
    init: Annotated[str, Choice(INITS, label=Text("Initial embeddings", "词嵌入的初始化"))] = "reference"
    multiply: Annotated[bool, Switch(label=Text("Multiply by √d", "乘以 √d"))] = False
    positions: Annotated[int, Spaced((8, 16, 32, 64, 128, 256), label=Text("Sequence length", "序列长度"))] = 128
    seed: Annotated[int, Range(0, 9, label=Text("Random seed", "随机种子"))] = 0

    @property
    def scale(self) -> float:
        """What the lookups are multiplied by."""
        return math.sqrt(self.model_width) if self.multiply else 1.0

    @property
    def variance(self) -> float:
        """Of an entry of the embedding table."""
        width = self.model_width
        return {"reference": 1 / width, "normal": 1.0, "small": 0.02**2, "xavier": 2 / (VOCABULARY + width)}[self.init]


@dataclass(frozen=True)
class Result:
    """Token and position in the input, what can be recovered from their sum, and the tied output head."""

    params: Params
    token_energy: Tensor  # (position,) squared norm of the scaled embedding
    position_energy: Tensor  # (position,) squared norm of the encoding
    shares: Tensor  # (without / with the factor, width) the token's share of energy for every width, N(0, 1/d)
    asked: float  # the prediction: that share at d = 512 without the factor
    token_found: float  # share of positions whose own embedding is the most similar row
    position_found: float  # share of positions whose own encoding is the nearest
    constant_share: float  # share of the encoding's energy in its mean over the positions
    logits: Tensor  # (state, word) of a normalised state and the tied table
    loss: float  # cross-entropy of those logits
    moves: Tensor  # (SGD / Adam,) how much farther one step moves the input with the factor than without
    norm_change: float  # relative change of LayerNorm(E) when E is multiplied by √d
    vocabulary: int = VOCABULARY
    widths: tuple[int, ...] = WIDTHS


def position_encoding(positions: int, width: int) -> Tensor:
    """Sine and cosine of every position at width / 2 frequencies."""
    position = torch.arange(positions).unsqueeze(1)
    angle = position * 10_000 ** (-torch.arange(0, width, 2) / width)  # (position, frequency)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)  # (position, feature)


def energy(x: Tensor) -> Tensor:
    """Squared norm of each row."""
    return x.square().sum(-1)


def shares_by_width(rows: Tensor, positions: int) -> Tensor:
    """The token's share of the input's energy for every width. `rows` are standard normal, (position, 1024)."""
    shares = []
    for width in WIDTHS:
        token = energy(rows[:, :width] / math.sqrt(width)).mean().cpu()  # of N(0, 1/d)
        position = energy(position_encoding(positions, width)).mean()
        shares.append(torch.stack([token, width * token]) / (torch.stack([token, width * token]) + position))
    return torch.stack(shares, dim=1)  # (without / with, width)


def recover(x: Tensor, table: Tensor, encoding: Tensor, words: Tensor) -> tuple[float, float]:
    """From token + position: is the token the row of E with the largest cosine, the position the nearest encoding?"""
    cosine = x @ F.normalize(table, dim=-1).T  # (position, word); the norm of x does not change the order
    distance = torch.cdist(x, encoding)  # (position, position)
    own = torch.arange(len(x), device=x.device)
    token = (cosine.argmax(-1) == words).float().mean().item()
    return token, (distance.argmin(-1) == own).float().mean().item()


def steps_with_and_without(row: Tensor, direction: Tensor) -> Tensor:
    """One optimiser step on the table: how far the layer input s·E moves with s = √d, relative to s = 1."""
    ratios = []
    for optimiser in (torch.optim.SGD, torch.optim.Adam):
        moved = []
        for scale in (1.0, math.sqrt(len(row))):
            weight = row.clone().requires_grad_()
            (scale * weight @ direction).backward()  # a loss whose gradient at the input is `direction`
            optimiser([weight], lr=1e-3).step()
            moved.append(scale * (weight.detach() - row).norm())
        ratios.append(moved[1] / moved[0])
    return torch.stack(ratios)  # (SGD / Adam,)


def compute(params: Params, lab: Lab) -> Result:
    """Look up tokens, scale them, add positions; then use the same table as output head."""
    d, length = params.model_width, params.positions
    generator = lab.generator(params.seed)
    unit = lab.normal(VOCABULARY, d, generator=generator)  # (word, feature)
    table = math.sqrt(params.variance) * unit
    words = torch.randint(VOCABULARY, (length,), generator=generator).to(lab.device)
    encoding = position_encoding(length, d).to(lab.device)  # (position, feature)
    token = params.scale * table[words]  # (position, feature)
    x = token + encoding
    token_found, position_found = recover(x, table, encoding, words)

    state = F.layer_norm(lab.normal(STATES, d, generator=generator), (d,))  # (state, feature), norm √d
    logits = state @ table.T  # (state, word): the tied head, never scaled
    target = torch.randint(VOCABULARY, (STATES,), generator=generator).to(lab.device)
    rows = lab.normal(length, WIDTHS[-1], generator=generator)  # (position, 1024)
    shares = shares_by_width(rows, length)
    plain, scaled = F.layer_norm(table, (d,)), F.layer_norm(math.sqrt(d) * table, (d,))
    return Result(
        params,
        token_energy=energy(token),
        position_energy=energy(encoding),
        shares=shares,
        asked=shares[0, WIDTHS.index(512)].item(),
        token_found=token_found,
        position_found=position_found,
        constant_share=(energy(encoding.mean(0)) / energy(encoding).mean()).item(),
        logits=logits,
        loss=F.cross_entropy(logits, target).item(),
        moves=steps_with_and_without(table[0], unit[1]),
        norm_change=((plain - scaled).norm() / scaled.norm()).item(),
    )


def right_option(result: Result) -> str:
    """The option nearest to the measured share, by ratio."""
    values = {"half": 0.5, "tenth": 0.1, "tiny": 0.004, "two_thirds": 0.667}
    return min(values, key=lambda name: abs(math.log(values[name] / result.asked)))


DEMO = Demo(
    title=Text("Embeddings times √d", "词嵌入乘以 √d"),
    summary=Text(
        "Add a position to a token and see which of the two survives, before and after multiplying by √d.",
        "把位置加到 token 上，看乘以 √d 之前和之后，两者谁盖过谁。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "$d=512$, embeddings from $N(0,1/d)$, sinusoidal positions, no factor. What share of the input's energy "
            "(squared norm) comes from the token?",
            "$d=512$，词嵌入按 $N(0,1/d)$ 初始化，正弦位置编码，不乘系数。输入的能量（范数的平方）有多少来自 token？",
        ),
        options={
            "half": Text("about a half", "约一半"),
            "two_thirds": Text("about two thirds", "约三分之二"),
            "tenth": Text("about a tenth", "约十分之一"),
            "tiny": Text("about 0.4%", "约 0.4%"),
        },
        right=right_option,
        because=Text(
            r"A row of $E$ has squared norm 1 on average; the encoding has $d/2=256$ at every position. The "
            r"token's share is $1/257\approx0.39\%$. Multiplied by $\sqrt d$ it is $512/768=2/3$.",
            r"$E$ 的一行范数平方平均为 1，位置编码在每个位置都是 $d/2=256$，token 只占 $1/257\approx0.39\%$。"
            r"乘以 $\sqrt d$ 之后是 $512/768=2/3$。",
        ),
    ),
    presets=(
        Preset(Text("No factor", "不乘"), Params()),
        Preset(Text("Times √d", "乘以 √d"), Params(multiply=True)),
        Preset(Text("PyTorch's default, times √d", "PyTorch 默认再乘 √d"), Params(init="normal", multiply=True)),
        Preset(Text("PyTorch's default, no factor", "PyTorch 默认，不乘"), Params(init="normal")),
    ),
)
