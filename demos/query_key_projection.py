"""Why queries and keys have projections of their own: what a shared one makes impossible."""

import math
from dataclasses import dataclass, replace
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.claims.query_key_projection import claims
from demos.figures.query_key_projection import pictures
from demos.kit.contract import Demo, Prediction, Preset
from demos.kit.knobs import Choice, Range, Spaced, Switch
from demos.kit.lab import Lab
from demos.kit.stage import stage
from language import Text

STEPS, ASKED = 300, 12
RANDOM_TOKENS, DRAWS, KEY_WIDTH = 16, 50, 64  # of the layers that are not trained
MODEL_WIDTHS = (16, 32, 64, 128, 256, 512)
PROJECTIONS = {
    "separate": Text("separate W_Q and W_K", "W_Q、W_K 各自独立"),
    "tied": Text("one W for both", "共用一个 W"),
    "symmetric": Text("any symmetric scores", "只要求分数对称"),
}
LAYOUTS = {"ring": Text("on a ring", "排成环"), "line": Text("on a line", "排成线")}


@dataclass(frozen=True)
class Params:
    """The knobs."""

    projection: Annotated[str, Choice(PROJECTIONS, label=Text("Projections", "投影方式"))] = "tied"
    layout: Annotated[str, Choice(LAYOUTS, label=Text("Positions are", "位置排列"))] = "ring"
    tokens: Annotated[int, Range(4, 24, label=Text("Tokens n", "token 数 n"))] = ASKED
    key_width: Annotated[
        int,
        Spaced(
            (1, 2, 4, 8, 12, 24), label=Text("Key width dₖ", "key 维度 dₖ"), when=("projection", ("separate", "tied"))
        ),
    ] = 24
    mask_self: Annotated[bool, Switch(label=Text("No token may see itself", "不许看自己"))] = False
    steps: Annotated[int, Range(0, STEPS, 10, label=Text("Training steps shown", "显示到第几步"))] = STEPS
    seed: Annotated[int, Range(0, 9, label=Text("Random seed", "随机种子"))] = 0


@dataclass(frozen=True)
class Untrained:
    """Layers with random tokens and weights: mean weight of a token on itself, by model width."""

    raw: Tensor  # (width,) scores X Xᵀ / √d
    tied: Tensor  # (width,) one random projection
    separate: Tensor  # (width,) two random projections
    raw_diagonal: Tensor  # (width,) score of a token with itself, without projections
    tied_scores: Tensor  # (query, key) of one tied layer at d = 64
    widths: tuple[int, ...] = MODEL_WIDTHS
    tokens: int = RANDOM_TOKENS


@dataclass(frozen=True)
class Result:
    """The task “attend to the previous token” at the chosen step, its whole training, and untrained layers."""

    params: Params
    scores: Tensor  # (query, key) before any mask
    weights: Tensor  # (query, key)
    losses: Tensor  # (step,) from 0 to the last
    untrained: Untrained
    tied_optimum: float  # the lowest loss of positive semidefinite scores on a ring of n tokens
    asked_weight: float  # the weight on the previous token at that optimum for 12 tokens

    @property
    def loss(self) -> float:
        """The loss at the chosen step."""
        return self.losses[self.params.steps].item()


def draw_weights(lab: Lab, projection: str, tokens: int, key_width: int, seed: int) -> list[Tensor]:
    """Features are one-hot positions, so row i of W is what position i is projected to."""
    generator = lab.generator(seed)
    if projection == "symmetric":
        return [0.1 * lab.normal(tokens, tokens, generator=generator)]
    count = 2 if projection == "separate" else 1
    drawn = lab.normal(count, tokens, key_width, generator=generator) / math.sqrt(key_width)
    return list(drawn)  # each (position, key width)


def score(weights: list[Tensor], projection: str) -> Tensor:
    """Queries times keys; with one projection both are the same vectors."""
    if projection == "symmetric":
        return weights[0] + weights[0].mT  # (query, key)
    return weights[0] @ weights[-1].mT  # (query, key): W_Q W_Kᵀ, or W Wᵀ


def hide_self(scores: Tensor, mask_self: bool) -> Tensor:
    """−∞ on the diagonal where a token may not see itself."""
    diagonal = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    return scores.masked_fill(diagonal, -math.inf) if mask_self else scores


def previous_token_loss(scores: Tensor, layout: str) -> Tensor:
    """Mean −ln of the weight on the previous token; on a line the first token has none."""
    position = torch.arange(len(scores), device=scores.device)
    asked = position[1:] if layout == "line" else position
    return F.cross_entropy(scores[asked], (asked - 1) % len(scores))


@stage(keep=24)
def train(
    lab: Lab, projection: str, layout: str, tokens: int, key_width: int, mask_self: bool, seed: int
) -> tuple[Tensor, Tensor]:
    """Learn to attend to the previous token; keep the scores and the loss of every step."""
    lab = replace(lab, device=torch.device("cpu"))  # the same curves on every device
    weights = [part.clone().requires_grad_() for part in draw_weights(lab, projection, tokens, key_width, seed)]
    optimiser = torch.optim.Adam(weights, lr=0.1)
    history, losses = [], []
    for step in range(STEPS + 1):
        if step % 10 == 0:
            lab.progress(step / STEPS, Text(f"Training, step {step} of {STEPS}", f"训练中，第 {step}/{STEPS} 步"))
        scores = score(weights, projection)  # (query, key)
        loss = previous_token_loss(hide_self(scores, mask_self), layout)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        history.append(scores.detach())
        losses.append(loss.detach())
    return torch.stack(history), torch.stack(losses)  # (step, query, key), (step,)


def best_on_ring(tokens: int) -> Tensor:
    """The best scores that are positive semidefinite: c · cos(2πk/n) for a key k steps away, with the best c ≥ 0.

    At the best c the weights' mean cosine equals the target's; the mean rises with c, so bisection finds it.
    """
    cosine = (2 * math.pi / tokens * torch.arange(tokens, dtype=torch.float64)).cos()  # (steps away,)
    low, high = 0.0, float(tokens**2)
    for _ in range(60):
        middle = (low + high) / 2
        mean = ((middle * cosine).softmax(0) @ cosine).item()
        low, high = (middle, high) if mean < cosine[1].item() else (low, middle)
    return (low * cosine).softmax(0)  # (steps away,)


@stage(keep=10)
def look_at_untrained(lab: Lab, seed: int) -> Untrained:
    """How much of its weight a random token gives to itself, with no projection, one, and two."""
    generator = lab.generator(seed + 50)
    rows, tied_scores = [], torch.empty(0)
    for width in MODEL_WIDTHS:
        x = F.layer_norm(lab.normal(DRAWS, RANDOM_TOKENS, width, generator=generator), (width,))
        first, second = lab.normal(2, width, KEY_WIDTH, generator=generator) / math.sqrt(width)
        raw = x @ x.mT / math.sqrt(width)  # (draw, query, key)
        tied = (x @ first) @ (x @ first).mT / math.sqrt(KEY_WIDTH)
        separate = (x @ first) @ (x @ second).mT / math.sqrt(KEY_WIDTH)
        own = [scores.softmax(-1).diagonal(dim1=-2, dim2=-1).mean() for scores in (raw, tied, separate)]
        rows.append(torch.stack([*own, raw.diagonal(dim1=-2, dim2=-1).mean()]))
        tied_scores = tied[0] if width == KEY_WIDTH else tied_scores
    return Untrained(*torch.stack(rows, dim=1), tied_scores=tied_scores)


def compute(params: Params, lab: Lab) -> Result:
    """Train on the previous token, show one step of it, and compare with the best that theory allows."""
    key_width = 0 if params.projection == "symmetric" else params.key_width
    setting = (params.projection, params.layout, params.tokens, key_width, params.mask_self, params.seed)
    history, losses = train(lab, *setting)  # (step, query, key), (step,)
    scores = history[params.steps]  # (query, key)
    return Result(
        params,
        scores,
        weights=hide_self(scores, params.mask_self).softmax(-1),
        losses=losses,
        untrained=look_at_untrained(lab, params.seed),
        tied_optimum=-best_on_ring(params.tokens)[1].log().item(),
        asked_weight=best_on_ring(ASKED)[1].item(),
    )


def right_option(result: Result) -> str:
    """The option nearest to the best weight."""
    values = {"all": 1.0, "half": 0.5, "quarter": 0.24, "uniform": 1 / 12}
    return min(values, key=lambda name: abs(values[name] - result.asked_weight))


DEMO = Demo(
    title=Text("One projection or two", "一个投影还是两个"),
    summary=Text(
        "Ask every token to look at the one before it, and share the projection of Q and K.",
        "让每个 token 看它前面的那一个，再让 Q 和 K 共用一个投影。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "12 positions on a ring, no mask, $W_Q=W_K$. Every token should attend to the previous one. "
            "How much of its weight can training put there?",
            "12 个位置排成环，不加掩码，$W_Q=W_K$。要让每个 token 看前一个，训练最多能把多少权重放过去？",
        ),
        options={
            "all": Text("nearly all", "几乎全部"),
            "half": Text("a half", "一半"),
            "quarter": Text("about a quarter", "约四分之一"),
            "uniform": Text("1/12: no preference", "1/12：没有偏好"),
        },
        right=right_option,
        because=Text(
            r"Scores $WW^\top$ are symmetric, so the next token gets as much as the previous one. They are positive "
            "semidefinite too, so the token itself gets even more. The best that is left is 0.236.",
            r"分数 $WW^\top$ 对称，所以后一个和前一个拿到的一样多；它又是半正定的，所以自己拿得更多。"
            "剩下最好的结果是 0.236。",
        ),
    ),
    presets=(
        Preset(Text("Shared projection", "共用投影"), Params()),
        Preset(Text("Separate projections", "独立投影"), Params(projection="separate")),
        Preset(Text("Shared, self hidden", "共用，不许看自己"), Params(mask_self=True)),
        Preset(Text("Shared, on a line", "共用，排成线"), Params(layout="line")),
    ),
)
