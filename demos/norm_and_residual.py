"""What LayerNorm and skip connections each do in a Transformer: take one away, move the other, and train."""

from dataclasses import dataclass, replace
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.claims.norm_and_residual import claims
from demos.figures.norm_and_residual import pictures
from demos.kit.contract import Demo, Prediction, Preset
from demos.kit.knobs import Range, Spaced, Switch
from demos.kit.lab import Lab
from demos.kit.layers import WIDTH, Block, Branch, attend, draw_blocks, feed_forward, linear
from demos.kit.stage import stage
from language import Text

WIRINGS = ("pre", "post", "no_skip", "no_norm", "zero")  # zero: no norm, but branches that start at 0
NETWORKS, TOKENS, DEEPEST, SYMBOLS, SENTENCE, BATCH, STEPS = 8, 16, 12, 12, 6, 16, 150  # untrained; reversing 6
EPSILON, SCALES = 1e-5, tuple(10 ** (power / 4) for power in range(-16, 17))  # of LayerNorm; of its one token


@dataclass(frozen=True)
class Params:
    """The knobs."""

    layers: Annotated[int, Range(1, DEEPEST, label=Text("Layers, untrained stack", "层数（未训练的网络）"))] = 12
    scale: Annotated[
        float, Spaced((0.1, 0.3, 1.0, 3.0, 10.0), label=Text("Scale of the stack's input", "网络输入的尺度"))
    ] = 1.0
    trained: Annotated[int, Spaced((2, 4, 6), label=Text("Layers, training", "层数（训练）"))] = 4
    rate: Annotated[float, Spaced((0.001, 0.003), label=Text("Learning rate", "学习率"))] = 0.003
    warm_up: Annotated[bool, Switch(label=Text("Warm-up over the first half", "前一半步数做预热"))] = False
    seed: Annotated[int, Range(0, 9, label=Text("Random seed", "随机种子"))] = 0


@dataclass(frozen=True)
class Wiring:
    """Which networks have what: masks of shape (network, 1, 1, 1)."""

    norm_before: Tensor
    norm_after: Tensor
    skip: Tensor
    zero: Tensor  # branches start at 0


@dataclass(frozen=True)
class Stack:
    """An untrained stack, its output taken apart along the skips."""

    sizes: Tensor  # (part, network) root mean square of what the input (part 0) and every branch left in the output
    mismatch: float  # largest difference between the output and the sum of its parts
    squares: Tensor  # (network,) mean square of the stream before any final norm


@dataclass(frozen=True)
class Probe:
    """One token, multiplied by each of `SCALES`, through one LayerNorm."""

    outputs: Tensor  # (scale,) root mean square
    gradients: Tensor  # (scale,) size of the gradient with respect to the token
    oracle: float  # largest difference of an output from PyTorch's own layer norm
    moved: float  # largest change of the output when the token is multiplied by 10 and 3 is added
    mismatch: float  # largest difference between autograd and the formula, relative to the gradient
    removed: float  # what is left of the gradient along 1 and along x̂, relative to its size
    upstream: float  # size of the gradient that was sent back
    spread: float  # σ of the token itself


@dataclass(frozen=True)
class Training:
    """Five networks with the same first weights and data, wired differently."""

    accuracy: Tensor  # (wiring, step)
    sizes: Tensor  # (wiring, layer) root mean square of the stream before training
    apart: Tensor  # (wiring, layer) how much the tokens of a sequence differ before training


@dataclass(frozen=True)
class Result:
    """The stacks taken apart, one LayerNorm, and the trainings."""

    params: Params
    pre: Stack
    post: Stack
    whole_gradient: float  # Post-LN: gradient at the input over that at the output, along all paths
    asked: float  # the prediction: what Post-LN leaves of the input after 12 layers
    probe: Probe
    training: Training
    wirings: tuple[str, ...] = WIRINGS
    scales: tuple[float, ...] = SCALES


def normalise(x: Tensor) -> Tensor:
    """LayerNorm with γ = 1, β = 0: mean and biased variance over the features of each token."""
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + EPSILON).sqrt()  # (…, token, feature)


def sublayer(x: Tensor, branch: Branch, block: Block, wiring: Wiring, gain: Tensor | float = 1.0) -> Tensor:
    """Every wiring in three lines: what the branch sees, the sum, and what the next sub-layer gets."""
    seen = torch.where(wiring.norm_before, normalise(x), x)
    total = wiring.skip * x + gain * branch(seen, block)
    return torch.where(wiring.norm_after, normalise(total), total)  # (network, sequence, token, feature)


def wire(*names: str) -> Wiring:
    """The masks of the named wirings, one per network."""

    def mask(*chosen: str) -> Tensor:
        return torch.tensor([name in chosen for name in names]).view(-1, 1, 1, 1)  # (network, 1, 1, 1)

    return Wiring(mask("pre", "no_skip"), mask("post"), mask("pre", "post", "no_norm", "zero"), mask("zero"))


@stage(keep=4)
def untrained(lab: Lab, seed: int) -> tuple[list[Block], Tensor]:
    """Twelve layers for every network, and the tokens that go in."""
    generator = lab.generator(seed)
    return draw_blocks(lab, generator, NETWORKS, DEEPEST), lab.normal(NETWORKS, 1, TOKENS, WIDTH, generator=generator)


@stage(keep=16)
def take_apart(lab: Lab, name: str, layers: int, scale: float, seed: int) -> Stack:
    """Run Pre-LN or Post-LN and follow, along the skips, what the input and every branch leave in the output."""
    blocks, tokens = untrained(lab, seed)
    x = scale * tokens  # (network, sequence, token, feature)
    parts = x[None]  # (part, network, sequence, token, feature), always summing to x
    for block in blocks[:layers]:
        for branch in (attend, feed_forward):
            added = branch(normalise(x) if name == "pre" else x, block)
            x, parts = x + added, torch.cat([parts, added[None]])
            if name == "post":
                x, parts = normalise(x), share_norm(parts)
    squares = x.square().mean((-3, -2, -1))  # (network,)
    if name == "pre":  # the final norm
        x, parts = normalise(x), share_norm(parts)
    sizes = parts.square().mean((-3, -2, -1)).sqrt()  # (part, network)
    return Stack(sizes, (parts.sum(0) - x).abs().max().item(), squares)


def share_norm(parts: Tensor) -> Tensor:
    """What LayerNorm does to a sum, done to its parts: each is centred and divided by the σ of the sum."""
    variance = parts.sum(0).var(-1, correction=0, keepdim=True)
    return (parts - parts.mean(-1, keepdim=True)) / (variance + EPSILON).sqrt()


@stage(keep=16)
def whole_gradient(lab: Lab, layers: int, scale: float, seed: int) -> float:
    """Post-LN: size of a random gradient at the input over that at the output, along skips and branches together."""
    blocks, tokens = untrained(lab, seed)
    start = (scale * tokens).requires_grad_()
    x = start
    for block in blocks[:layers]:
        for branch in (attend, feed_forward):
            x = normalise(x + branch(x, block))
    upstream = lab.normal(*x.shape, generator=lab.generator(seed + 10))
    (gradient,) = torch.autograd.grad(x, start, upstream)
    return (scale * gradient.norm() / upstream.norm()).item()


@stage(keep=10)
def probe(lab: Lab, seed: int) -> Probe:
    """Multiply one token by all `SCALES`, look at what LayerNorm returns, and send a random gradient back."""
    token, upstream = lab.normal(2, WIDTH, generator=lab.generator(seed + 20))  # (feature,) each
    inputs = (torch.tensor(SCALES, device=lab.device).unsqueeze(-1) * token).requires_grad_()  # (scale, feature)
    outputs = normalise(inputs)
    (gradients,) = torch.autograd.grad((outputs * upstream).sum(), inputs)  # (scale, feature)
    unit, spread = normalise(token), (token.var(correction=0) + EPSILON).sqrt()
    formula = (upstream - upstream.mean() - unit * (unit * upstream).mean()) / spread  # J g, see the answer
    gradient = gradients[len(SCALES) // 2]  # of the token itself: its scale is 1
    along = torch.stack([gradient.sum(), gradient @ unit]).abs().max() / WIDTH**0.5
    return Probe(
        outputs.detach().square().mean(-1).sqrt(),
        gradients.norm(dim=-1),
        oracle=(outputs - F.layer_norm(inputs, (WIDTH,), eps=EPSILON)).abs().max().item(),
        moved=(normalise(10 * token + 3) - unit).abs().max().item(),
        mismatch=((gradient - formula).abs().max() / formula.abs().max()).item(),
        removed=(along / gradient.norm()).item(),
        upstream=upstream.norm().item(),
        spread=spread.item(),
    )


def apart(x: Tensor) -> Tensor:
    """How much the tokens of a sequence differ: 1 − the mean cosine between two of them."""
    units = F.normalize(x, dim=-1)
    tokens, spread = x.shape[-2], (units - units.mean(-2, keepdim=True)).square().sum(-1)
    return tokens / (tokens - 1) * spread.mean((-2, -1))  # (network,)


def copies(weight: Tensor) -> Tensor:
    """The same first weight for every wiring, to be trained apart."""
    return weight.repeat(len(WIRINGS), 1, 1).requires_grad_()  # (network, …)


def forward(x: Tensor, blocks: list[Block], wiring: Wiring, gains: Tensor) -> list[Tensor]:
    """The stream before the first layer and after each one."""
    stream = [x]
    for block, pair in zip(blocks, gains, strict=True):
        for branch, gain in zip((attend, feed_forward), pair, strict=True):
            x = sublayer(x, branch, block, wiring, gain)
        stream.append(x)
    return stream  # (network, sequence, token, feature) each


@stage(keep=24)
def train(lab: Lab, layers: int, rate: float, warm_up: bool, seed: int) -> Training:
    """Five Transformers learn to reverse 6 symbols: the same first weights and data, wired differently."""
    lab = replace(lab, device=torch.device("cpu"))  # the same curves on every device
    generator, wiring = lab.generator(seed + 30), wire(*WIRINGS)
    drawn = draw_blocks(lab, generator, 1, layers)
    blocks = [Block(*(copies(weight) for weight in vars(block).values())) for block in drawn]
    symbols, positions, readout = (
        copies(scale * lab.normal(1, rows, columns, generator=generator))
        for rows, columns, scale in ((SYMBOLS, WIDTH, 1.0), (SENTENCE, WIDTH, 1.0), (WIDTH, SYMBOLS, WIDTH**-0.5))
    )
    learned = torch.zeros(layers, 2, len(WIRINGS), 1, 1, 1, requires_grad=True)  # a gain per sub-layer and network
    weights = [*(weight for block in blocks for weight in vars(block).values()), symbols, positions, readout, learned]
    optimizer, accuracy, before = torch.optim.Adam(weights, rate), [], []
    for trained in range(STEPS):
        if trained % 5 == 0:
            lab.progress(trained / STEPS, Text("Training five Transformers", "训练 5 个 Transformer"))
        optimizer.param_groups[0]["lr"] = rate * min(1.0, 2 * (trained + 1) / STEPS) if warm_up else rate
        text = torch.randint(SYMBOLS, (BATCH, SENTENCE), generator=generator)  # (sequence, token)
        gains = torch.where(wiring.zero, learned, 1.0)
        stream = forward(symbols[:, text] + positions.unsqueeze(1), blocks, wiring, gains)
        last = torch.where(wiring.norm_before, normalise(stream[-1]), stream[-1])  # the final norm of Pre-LN
        logits = linear(last, readout)  # (network, sequence, token, symbol)
        answer = text.flip(-1).expand(len(WIRINGS), -1, -1)  # (network, sequence, token)
        loss = F.cross_entropy(logits.flatten(0, 2), answer.flatten()) * len(WIRINGS)  # a mean for every network
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        accuracy.append((logits.argmax(-1) == answer).float().mean((-2, -1)))
        before = before or [x.detach() for x in stream]
    sizes = torch.stack([x.square().mean((-3, -2, -1)).sqrt() for x in before], dim=-1)  # (wiring, layer)
    return Training(torch.stack(accuracy, dim=-1), sizes, torch.stack([apart(x) for x in before], dim=-1))


def compute(params: Params, lab: Lab) -> Result:
    """Take untrained stacks apart, probe one LayerNorm, and train with either ingredient taken away."""
    layers, scale, seed = params.layers, params.scale, params.seed
    training = train(lab, params.trained, params.rate, params.warm_up, seed)
    return Result(
        params,
        pre=take_apart(lab, "pre", layers, scale, seed),
        post=take_apart(lab, "post", layers, scale, seed),
        whole_gradient=whole_gradient(lab, layers, scale, seed),
        asked=take_apart(lab, "post", DEEPEST, 1.0, seed).sizes[0].log().mean().exp().item(),
        probe=probe(lab, seed),
        training=training,
    )


def right_option(result: Result) -> str:
    """Which option the part of the input just measured falls into."""
    return "fifth" if result.asked > 0.1 else "equal" if result.asked > 0.01 else "tiny"


DEMO = Demo(
    title=Text("LayerNorm and residuals together", "层归一化与残差的配合"),
    summary=Text(
        "Take one of them away and training fails. Move the norm onto the skip, and the skip forgets the input.",
        "去掉其中一个，训练就失败；把归一化放到残差通路上，残差就会忘掉输入。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "A Post-LN stack at initialisation: 12 layers, a skip around each of the 24 sub-layers. Follow the input "
            "along the skips to the end: how large is it there, relative to the whole output?",
            "初始化时的 Post-LN：12 层，24 个子层都有残差。沿着残差把输入一路跟到最后：它还占输出的多大比例？",
        ),
        options={
            "fifth": Text("about a fifth, one of 25 parts whose squares add up", "约五分之一：25 个部分，平方相加"),
            "equal": Text("about 4%, one of 25 equal parts", "约 4%：25 个相等部分中的一个"),
            "tiny": Text("far below 1%", "远低于 1%"),
        },
        right=right_option,
        because=Text(
            r"Every LayerNorm divides the whole sum by its σ, the old parts included. An FFN branch as large as the "
            r"stream makes $\sigma\approx\sqrt2$, so 12 of them alone leave $2^{-6}\approx1.6\%$; attention takes "
            r"more. In Pre-LN nothing on the skip divides before the end: about a quarter is left.",
            r"每个 LayerNorm 都把整个和除以 σ，旧的部分也不例外。FFN 分支和残差流一样大时 $\sigma\approx\sqrt2$，"
            r"光是 12 个 FFN 就只剩 $2^{-6}\approx1.6\%$，注意力还要再除。Pre-LN 的残差通路上直到最后才除一次，"
            r"约剩四分之一。",
        ),
    ),
    presets=(
        Preset(Text("Shallow: 2 layers", "浅：2 层"), Params(layers=2, trained=2)),
        Preset(Text("Deeper: 6 layers trained", "更深：训练 6 层"), Params(trained=6)),
        Preset(Text("6 layers with warm-up", "6 层加预热"), Params(trained=6, warm_up=True)),
        Preset(Text("Large input", "输入很大"), Params(scale=10.0)),
    ),
)
