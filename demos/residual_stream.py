"""What a skip connection does to gradients, to the scale of the stream, to the rank of attention, and to training."""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.claims.residual_stream import claims
from demos.figures.residual_stream import pictures
from demos.kit.contract import Demo, Prediction, Preset
from demos.kit.knobs import Choice, Range, Spaced
from demos.kit.lab import Lab
from demos.kit.stage import stage
from language import Text, same

WIRINGS = ("plain", "skip", "pre", "post")
NETWORKS, TOKENS, WIDTH, DEEPEST = 12, 6, 48, 64
ATTENTION_LAYERS, ATTENTION_TOKENS, ATTENTION_WIDTH = 12, 32, 64
TRAINED_DEPTHS, TRAINED_WIDTH, SAMPLES, STEPS, LEARNING_RATE = (2, 24), 32, 256, 150, 1e-3
ASKED_DEPTH, ASKED_GAIN = 32, 0.8  # the prediction
BRANCHES = {
    "one": Text("not scaled", "不缩放"),
    "root": same("1/√L"),
    "zero": Text("0 at the start", "初始为 0"),
}


@dataclass(frozen=True)
class Params:
    """The knobs."""

    depth: Annotated[int, Spaced((4, 8, 16, 32, 64), label=Text("Blocks L", "块数 L"))] = 32
    gain: Annotated[float, Range(0.5, 1.5, 0.1, label=Text("Weight gain g (1 = He)", "权重增益 g（1 为 He）"))] = 0.8
    branch: Annotated[str, Choice(BRANCHES, label=Text("Branches scaled by", "分支的缩放"))] = "one"
    activation: Annotated[
        str,
        Choice({"relu": same("ReLU"), "tanh": same("tanh")}, label=Text("Activation (training)", "激活函数（训练）")),
    ] = "relu"
    seed: Annotated[int, Range(0, 9, label=Text("Random seed", "随机种子"))] = 0

    @property
    def scale(self) -> float:
        """What every branch is multiplied by."""
        return {"one": 1.0, "root": self.depth**-0.5, "zero": 0.0}[self.branch]


@dataclass(frozen=True)
class Result:
    """Gradients and stream of four wirings, the collapse of attention, and eight small trainings."""

    params: Params
    gradients: Tensor  # (wiring, network, layer) size of ∂L/∂x_l relative to the output
    streams: Tensor  # (wiring, network, layer) root mean square of x_l
    variances: Tensor  # (network, token, block) what LayerNorm divides by in Pre-LN
    asked: float  # the prediction: gradient ratio with skips alone, 32 blocks, g = 0.8
    collapse: Tensor  # (skip, layer) share of the tokens that differs from their mean
    losses: Tensor  # (skip, norm, depth) training loss after 150 steps
    start: float  # first over last weight gradient of the deep plain network before training
    wirings: tuple[str, ...] = WIRINGS
    networks: int = NETWORKS
    width: int = WIDTH


@stage(keep=4)
def draw(lab: Lab, seed: int) -> tuple[Tensor, Tensor]:
    """Weights of 64 FFN blocks for every network: the first matrix at He scale, the second keeps the variance."""
    generator = lab.generator(seed)
    weights = lab.normal(DEEPEST, 2, NETWORKS, WIDTH, WIDTH, generator=generator) / math.sqrt(WIDTH)
    return weights[:, 0] * math.sqrt(2), weights[:, 1]  # (block, network, feature, feature) each


def ffn(x: Tensor, rise: Tensor, fall: Tensor) -> Tensor:
    """F(x) = ReLU(x W₁) W₂, which keeps the mean square of x on average."""
    return (x @ rise).relu() @ fall  # (network, token, feature)


def step(x: Tensor, rise: Tensor, fall: Tensor, wiring: str, scale: float) -> Tensor:
    """One block under each wiring."""
    match wiring:
        case "plain":
            return ffn(x, rise, fall)
        case "skip":
            return x + scale * ffn(x, rise, fall)
        case "pre":
            return x + scale * ffn(F.layer_norm(x, (WIDTH,)), rise, fall)
        case _:
            return F.layer_norm(x + scale * ffn(x, rise, fall), (WIDTH,))


def size(x: Tensor) -> Tensor:
    """Root mean square per network; dividing by the largest entry first keeps the squares within fp32."""
    largest = x.abs().amax((-2, -1), keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
    return (x / largest).square().mean((-2, -1)).sqrt() * largest.flatten()  # (network,)


@stage(keep=80)
def propagate(lab: Lab, params: Params, wiring: str) -> tuple[Tensor, Tensor, Tensor]:
    """Run the blocks forward, send a random gradient back: sizes of both at every layer, variances of the tokens."""
    rises, falls = draw(lab, params.seed)
    generator = lab.generator(params.seed + 10)
    x, gradient = lab.normal(2, NETWORKS, TOKENS, WIDTH, generator=generator)  # (network, token, feature) each
    stream = [x.requires_grad_()]
    for rise, fall in zip(rises[: params.depth], params.gain * falls, strict=False):
        stream.append(step(stream[-1], rise, fall, wiring, params.scale))
    gradients = torch.autograd.grad(stream[-1], stream, gradient)
    sizes = torch.stack([size(each) for each in gradients], dim=-1)  # (network, layer)
    streams = [each.detach() for each in stream]
    variances = torch.stack([x.var(-1, correction=0) for x in streams[:-1]], dim=-1)  # (network, token, block)
    return sizes / sizes[:, -1:], torch.stack([size(x) for x in streams], dim=-1), variances


@stage(keep=10)
def collapse(lab: Lab, seed: int) -> Tensor:
    """Attention layers alone, without and with skips: how far the tokens are from all being the same."""
    generator, width = lab.generator(seed + 20), ATTENTION_WIDTH
    tokens = lab.normal(ATTENTION_TOKENS, width, generator=generator)
    weights = lab.normal(ATTENTION_LAYERS, 3, width, width, generator=generator) / math.sqrt(width)
    shares = []
    for skip in (False, True):
        x, row = tokens, [difference(tokens)]
        for projections in weights:
            query, key, value = F.layer_norm(x, (width,)) @ projections  # (token, feature) each
            attended = F.scaled_dot_product_attention(query[None], key[None], value[None])[0]
            x = x + attended if skip else attended
            row.append(difference(x))
        shares.append(torch.stack(row))
    return torch.stack(shares)  # (skip, layer)


def difference(x: Tensor) -> Tensor:
    """‖X − 1x̄ᵀ‖ / ‖X‖: 0 when all tokens are the same."""
    return (x - x.mean(0)).norm() / x.norm()


def forward(x: Tensor, weights: list[Tensor], activation: str, skip: bool, norm: bool) -> Tensor:
    """A small deep network; branches beside a skip are scaled by 1/√L."""
    nonlinear = {"relu": torch.relu, "tanh": torch.tanh}[activation]
    for weight in weights:
        branch = nonlinear((F.layer_norm(x, (TRAINED_WIDTH,)) if norm else x) @ weight)
        x = x + branch / math.sqrt(len(weights)) if skip else branch  # (sample, feature)
    return x


def fit(lab: Lab, activation: str, seed: int, skip: bool, norm: bool, depth: int) -> tuple[float, float]:
    """Training loss after 150 Adam steps, and first over last weight gradient before them."""
    generator, width = lab.generator(seed + 30), TRAINED_WIDTH
    inputs, teacher = (torch.randn(rows, width, generator=generator) for rows in (SAMPLES, width))
    targets = (2 * inputs @ teacher / math.sqrt(width)).sin()  # (sample, feature)
    std = math.sqrt((2 if activation == "relu" else 1) / width)  # He, or Xavier for tanh
    weights = [(torch.randn(width, width, generator=generator) * std).requires_grad_() for _ in range(depth)]
    readout = (torch.randn(width, width, generator=generator) / math.sqrt(width) / 10).requires_grad_()
    optimizer, loss, start = torch.optim.Adam([*weights, readout], LEARNING_RATE), torch.zeros(()), 0.0
    for trained in range(STEPS):
        loss = F.mse_loss(forward(inputs, weights, activation, skip, norm) @ readout, targets)
        optimizer.zero_grad()
        loss.backward()
        if trained == 0:
            first, last = weights[0].grad, weights[-1].grad
            start = (first.norm() / last.norm()).item() if first is not None and last is not None else 0.0
        optimizer.step()
    return loss.item(), start


@stage(keep=20)
def train(lab: Lab, activation: str, seed: int) -> tuple[Tensor, float]:
    """All eight: with and without skip, with and without LayerNorm, shallow and deep. On the CPU, on any device."""
    losses, starts = [], []
    for skip in (False, True):
        for norm in (False, True):
            for depth in TRAINED_DEPTHS:
                lab.progress(len(losses) / 8, Text("Training eight small networks", "训练 8 个小网络"))
                loss, start = fit(lab, activation, seed, skip, norm, depth)
                losses.append(loss)
                starts.append(start)
    return torch.tensor(losses).view(2, 2, 2), starts[1]  # (skip, norm, depth); deep and plain


@stage(keep=10)
def asked_ratio(lab: Lab, seed: int) -> float:
    """The gradient ratio that the prediction asks for, whatever the knobs say."""
    gradients, _, _ = propagate(lab, Params(depth=ASKED_DEPTH, gain=ASKED_GAIN, seed=seed), "skip")
    return gradients[:, 0].log().mean().exp().item()


def compute(params: Params, lab: Lab) -> Result:
    """Propagate through four wirings, let attention collapse, then train."""
    passes = [propagate(lab, params, wiring) for wiring in WIRINGS]
    losses, start = train(lab, params.activation, params.seed)
    return Result(
        params,
        gradients=torch.stack([gradients for gradients, _, _ in passes]),
        streams=torch.stack([streams for _, streams, _ in passes]),
        variances=passes[WIRINGS.index("pre")][2],
        asked=asked_ratio(lab, params.seed),
        collapse=collapse(lab, params.seed),
        losses=losses,
        start=start,
    )


def right_option(result: Result) -> str:
    """Which option the gradient just measured falls into."""
    return "shrinks" if result.asked < 0.1 else "keeps" if result.asked < 10 else "grows"


DEMO = Demo(
    title=Text("Residual connections", "残差连接"),
    summary=Text(
        "A skip keeps gradients from vanishing. Alone it lets them explode: see what has to come with it.",
        "残差让梯度不会消失；只有残差，梯度又会爆炸。看看还需要什么来配合。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "32 FFN blocks with a skip around each, no normalisation, weights 20% below the variance-keeping scale. "
            "How large is the gradient at the input, relative to the output?",
            "32 个 FFN 块，每块都有残差，没有归一化，权重比保持方差的尺度小 20%。输入处的梯度是输出处的多少倍？",
        ),
        options={
            "shrinks": Text("about a thousandth, as without skips", "约千分之一，和没有残差时一样"),
            "keeps": Text("about the same, thanks to the identity path", "差不多，因为有恒等通路"),
            "grows": Text("more than a thousand times larger", "大一千倍以上"),
        },
        right=right_option,
        because=Text(
            r"Each block multiplies the gradient's mean square by $1+g^2=1.64$: identity plus branch. "
            r"$1.64^{32/2}\approx2700$. Without the skips it would be $0.8^{32}\approx0.0008$.",
            r"每个块把梯度的均方乘以 $1+g^2=1.64$：恒等项加上分支。$1.64^{32/2}\approx2700$。"
            r"没有残差则是 $0.8^{32}\approx0.0008$。",
        ),
    ),
    presets=(
        Preset(Text("Branches × 1/√L", "分支 × 1/√L"), Params(branch="root")),
        Preset(Text("Branches start at 0", "分支从 0 开始"), Params(branch="zero")),
        Preset(Text("Variance doubles (g = 1)", "方差翻倍（g = 1）"), Params(gain=1.0)),
        Preset(Text("Training with tanh", "用 tanh 训练"), Params(activation="tanh")),
    ),
)
