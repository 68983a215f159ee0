"""What narrow heads save, and what they can no longer express."""

import functools
import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.claims.head_dimension import claims
from demos.figures.head_dimension import pictures
from demos.kit.contract import Demo, Impossible, Prediction, Preset
from demos.kit.knobs import Choice, Range, Spaced, powers_of_two
from demos.kit.lab import Lab
from demos.kit.stage import stage
from language import Text

HEAD_COUNTS = (1, 2, 4, 8, 12, 16, 32, 64, 128)
HEAD_WIDTHS = (1, 2, 4, 8, 16, 32, 48, 64)  # tried for the pattern, up to the number of tokens
SHARPNESS = 2.0  # standard deviation of the scores behind a random pattern
STEPS, RATE = 300, 0.1
CIRCLE_SCALE = 1000.0  # size of the scores that two dimensions need
POLICIES = {
    "split": Text("d_model ÷ heads", "d_model ÷ 头数"),
    "full": Text("d_model for every head", "每个头都用 d_model"),
    "custom": Text("my own", "自定义"),
}
PATTERNS = {
    "random": Text("random weights", "随机权重"),
    "permutation": Text("one key per query", "每个 query 只看一个 key"),
}


@dataclass(frozen=True)
class Params:
    """The knobs."""

    model_width: Annotated[
        int, Spaced((64, 128, 256, 512, 1024), label=Text("Model width d_model", "模型宽度 d_model"))
    ] = 512
    heads: Annotated[int, Spaced(HEAD_COUNTS, label=Text("Number of heads h", "头数 h"))] = 32
    policy: Annotated[str, Choice(POLICIES, label=Text("Width of a head", "每个头的宽度"))] = "split"
    custom_width: Annotated[
        int, Spaced(powers_of_two(1, 256), label=Text("Head width dₖ", "头宽 dₖ"), when=("policy", ("custom",)))
    ] = 8
    tokens: Annotated[int, Spaced((8, 16, 32, 64), label=Text("Number of tokens n", "token 数 n"))] = 64
    pattern: Annotated[str, Choice(PATTERNS, label=Text("Attention to reproduce", "要复现的注意力"))] = "random"
    cap: Annotated[
        int, Range(2, 16, label=Text("Largest score allowed", "分数上限"), when=("pattern", ("permutation",)))
    ] = 8
    seed: Annotated[int, Range(0, 9, label=Text("Random seed", "随机种子"))] = 0

    @property
    def head_width(self) -> int:
        """d_k, which is also d_v here."""
        return {"split": self.model_width // self.heads, "full": self.model_width, "custom": self.custom_width}[
            self.policy
        ]


@dataclass(frozen=True)
class Bill:
    """What one attention layer costs."""

    weights: int
    projections: int  # multiply-adds of the four projections
    mixing: int  # multiply-adds of Q Kᵀ and of weights times V


@dataclass(frozen=True)
class Fit:
    """The best attention found for each head width."""

    widths: tuple[int, ...]
    truncated: Tensor  # (width,) KL in nats when the target's scores keep their largest singular values
    fitted: Tensor  # (width,) after training: KL in nats, or probability of the wanted keys (geometric mean)
    target: Tensor  # (query, key)
    weights: Tensor  # (width, query, key)


@dataclass(frozen=True)
class Result:
    """Costs for every number of heads, the rank of one head, and the pattern it can reach."""

    params: Params
    bills: dict[str, dict[int, Bill]]  # policy → number of heads → cost
    bill: Bill  # at the knobs
    single: Bill  # one head of full width
    asked: tuple[Bill, Bill]  # the prediction: 8 heads at 512, split and full
    reached_features: int  # input features that one head's query depends on
    score_spectrum: Tensor  # (token,) singular values of Q Kᵀ / √d_k, largest first
    weight_spectrum: Tensor  # (token,) singular values of the softmax of those scores
    energy: float  # share of the random pattern's squared scores in its d_k largest singular values
    built: float  # KL of the random pattern when W_Q and W_K of width n − 1 are built for it on the actual tokens
    circle: float  # probability of the wanted key with d_k = 2 and scores of 1000
    fit: Fit
    head_counts: tuple[int, ...] = HEAD_COUNTS


def pay(model_width: int, heads: int, head_width: int, tokens: int) -> Bill:
    """Run the layer on meta tensors, which have shapes but no numbers, and count."""

    def empty(*shape: int) -> Tensor:
        return torch.empty(*shape, device="meta")

    x = empty(tokens, model_width)
    into = [empty(model_width, heads * head_width) for _ in range(3)]  # W_Q, W_K, W_V of all heads
    back = empty(heads * head_width, model_width)  # W_O
    projected = [x @ w for w in into]  # (token, heads × head width) each
    query, key, value = (p.view(tokens, heads, head_width).transpose(0, 1) for p in projected)
    weights = query @ key.mT  # (head, query, key)
    mixed = weights @ value  # (head, query, head width)
    output = mixed.transpose(0, 1).flatten(1) @ back  # (token, model width)
    projections = sum(p.numel() for p in projected) * model_width + output.numel() * len(back)
    return Bill(
        weights=sum(w.numel() for w in [*into, back]),
        projections=projections,
        mixing=weights.numel() * head_width + mixed.numel() * tokens,
    )


@functools.cache
def pay_for_all(width: int, tokens: int) -> dict[str, dict[int, Bill]]:
    """Both policies at every number of heads that divides the model width."""
    fair = [heads for heads in HEAD_COUNTS if width % heads == 0]
    return {
        "split": {heads: pay(width, heads, width // heads, tokens) for heads in fair},
        "full": {heads: pay(width, heads, width, tokens) for heads in fair},
    }


def one_head(params: Params, lab: Lab) -> tuple[Tensor, Tensor, int]:
    """The scores of one head with random weights in float64, the tokens, and how many features its query reads."""
    generator = lab.generator(params.seed)
    n, d, width = params.tokens, params.model_width, params.head_width
    x = lab.normal(n, d, generator=generator).cpu().double().requires_grad_()  # (token, feature)
    to_query = lab.normal(d, width, generator=generator).cpu().double() / math.sqrt(d)  # (feature, head width)
    to_key = lab.normal(d, width, generator=generator).cpu().double() / math.sqrt(d)
    query = x @ to_query  # (token, head width)
    (gradient,) = torch.autograd.grad(query[0].sum(), x)  # (token, feature)
    scores = (query @ (x @ to_key).T / math.sqrt(width)).detach()  # (query, key)
    return scores, x.detach(), int(gradient[0].count_nonzero())


def random_scores(tokens: int, seed: int, lab: Lab) -> Tensor:
    """Scores of the random pattern; a constant per row does not matter to the softmax, so rows are centred."""
    scores = SHARPNESS * lab.normal(tokens, tokens, generator=lab.generator(seed + 100)).cpu()  # (query, key)
    return scores - scores.mean(-1, keepdim=True)


def divergence(target: Tensor, scores: Tensor) -> Tensor:
    """KL(target ‖ softmax(scores)) in nats, averaged over queries."""
    return (torch.special.xlogy(target, target) - target * scores.log_softmax(-1)).sum(-1).mean(-1)


def build_for_pattern(scores: Tensor, x: Tensor, head_width: int) -> Tensor:
    """The theorem's construction: W_Q = X⁺ U √S and W_K = X⁺ V √S give the wanted scores on these tokens."""
    left, values, right = torch.linalg.svd(scores.double())
    kept, inverse = values[:head_width].sqrt(), torch.linalg.pinv(x)  # X⁺: (feature, token)
    to_query = inverse @ (left[:, :head_width] * kept)  # (feature, head width)
    to_key = inverse @ (right[:head_width].T * kept)  # (feature, head width)
    return (x @ to_query) @ (x @ to_key).T  # (query, key)


def circle_probability(tokens: int) -> float:
    """Keys evenly on a circle, each query on top of its key: the weight it gets."""
    angle = 2 * math.pi * torch.arange(tokens, dtype=torch.float64) / tokens
    points = torch.stack([angle.cos(), angle.sin()], dim=1)  # (key, 2)
    return (CIRCLE_SCALE * points @ points.T).softmax(-1).diagonal().mean().item()


@stage(keep=12)
def fit_pattern(lab: Lab, pattern: str, tokens: int, cap: int, seed: int) -> Fit:
    """Train queries and keys of every width at once, on the CPU: hundreds of tiny steps, identical on every machine."""
    widths = tuple(width for width in HEAD_WIDTHS if width <= tokens)
    room = torch.arange(tokens) < torch.tensor(widths)[:, None, None]  # (width, 1, component)
    generator = lab.generator(seed + 100)
    scores = random_scores(tokens, seed, lab)
    left, values, right = torch.linalg.svd(scores)
    if pattern == "random":
        target, start = scores.softmax(-1), (left * values.sqrt(), right.T * values.sqrt())
    else:
        target = torch.eye(tokens)[torch.randperm(tokens, generator=generator)]  # (query, key)
        start = torch.randn(2, tokens, tokens, generator=generator).unbind()
    query, key = ((part * room).requires_grad_() for part in start)  # (width, token, component)

    def reached() -> Tensor:
        q, k = query * room, key * room
        if pattern == "permutation":
            return cap * F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT  # cosines times the cap
        return q @ k.mT  # (width, query, key)

    truncated = divergence(target, reached().detach())
    optimiser = torch.optim.Adam([query, key], lr=RATE)
    for step in range(STEPS):
        optimiser.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
        optimiser.zero_grad()
        divergence(target, reached()).sum().backward()
        optimiser.step()
        if step % 20 == 0:
            lab.progress(step / STEPS, Text("training heads of every width", "正在训练各种宽度的头"))
    final = reached().detach()
    left_over = divergence(target, final)  # (width,)
    fitted = left_over if pattern == "random" else (-left_over).exp()
    return Fit(widths, truncated, fitted, target, final.softmax(-1))


def compute(params: Params, lab: Lab) -> Result:
    """What the heads cost, what rank one head has, and which attention it can reproduce."""
    d, n, width = params.model_width, params.tokens, params.head_width
    if params.policy == "split" and d % params.heads:
        raise Impossible(
            Text(
                f"{d} does not divide into {params.heads} equal heads. PyTorch refuses it too: “embed_dim must be "
                "divisible by num_heads”. That is a rule of splitting, not of attention: give the heads a width "
                "of their own and it works.",
                f"{d} 维分不成 {params.heads} 个等宽的头，PyTorch 也会报错：embed_dim must be divisible by "
                "num_heads。这是“平分”的要求，不是注意力的要求：给头单独指定宽度就可以。",
            )
        )
    scores, x, features = one_head(params, lab)
    wanted = random_scores(n, params.seed, lab)  # (query, key)
    strengths = torch.linalg.svdvals(wanted).square()  # (component,)
    built = build_for_pattern(wanted, x, n - 1)  # (query, key)
    return Result(
        params,
        bills=pay_for_all(d, n),
        bill=pay(d, params.heads, width, n),
        single=pay(d, 1, d, n),
        asked=(pay(512, 8, 64, n), pay(512, 8, 512, n)),
        reached_features=features,
        score_spectrum=torch.linalg.svdvals(scores),
        weight_spectrum=torch.linalg.svdvals(scores.softmax(-1)),
        energy=(strengths[:width].sum() / strengths.sum()).item(),
        built=divergence(wanted.double().softmax(-1), built).item(),
        circle=circle_probability(n),
        fit=fit_pattern(lab, params.pattern, n, params.cap, params.seed),
    )


def right_option(result: Result) -> str:
    """The factor between the two bills."""
    split, full = result.asked
    return str(full.weights // split.weights)


DEMO = Demo(
    title=Text("The width of a head", "头的宽度"),
    summary=Text(
        "Add heads at no cost, then find the width at which a head can no longer attend as you ask.",
        "头数加倍而成本不变；再找出头窄到什么程度，就做不出想要的注意力。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "$d_{\\text{model}}=512$ and 8 heads of width 64. You give every head the full width 512. "
            "How many times as many "
            "attention weights does the layer have?",
            "$d_{\\text{model}}=512$，8 个 64 维的头。若每个头都改用 512 维，注意力的权重数变为原来的几倍？",
        ),
        options={factor: Text(f"{factor} times", f"{factor} 倍") for factor in ("1", "2", "8", "64")},
        right=right_option,
        because=Text(
            "The four matrices have $4\\,d_{\\text{model}}\\cdot h\\,d_k$ entries. "
            "Split heads have $h\\,d_k=d_{\\text{model}}$, so the number of heads drops out; "
            "with $d_k=d_{\\text{model}}$ it stays as a factor: 1,048,576 becomes 8,388,608.",
            "四个矩阵共有 $4\\,d_{\\text{model}}\\cdot h\\,d_k$ 个元素。"
            "平分时 $h\\,d_k=d_{\\text{model}}$，头数消掉了；"
            "取 $d_k=d_{\\text{model}}$ 时头数就是倍数：1,048,576 变成 8,388,608。",
        ),
    ),
    presets=(
        Preset(Text("8 full-width heads", "8 个全宽的头"), Params(heads=8, policy="full")),
        Preset(Text("8 heads of width 64", "8 个 64 维的头"), Params(heads=8)),
        Preset(
            Text("One key per query, dₖ = 4", "每个 query 只看一个 key，dₖ = 4"),
            Params(heads=8, policy="custom", custom_width=4, tokens=32, pattern="permutation"),
        ),
        Preset(
            Text("The widths of T5-11B", "T5-11B 的宽度"),
            Params(model_width=1024, heads=128, policy="custom", custom_width=128),
        ),
    ),
)
