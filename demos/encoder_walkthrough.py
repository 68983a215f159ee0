"""One encoder layer, step by step: which steps mix tokens, and what the residual holds apart."""

import functools
import math
from dataclasses import dataclass, fields
from typing import Annotated

import torch
from torch import Tensor, nn

from demos.claims.encoder_walkthrough import claims
from demos.figures.encoder_walkthrough import pictures
from demos.kit.contract import Demo, Impossible, Prediction, Preset
from demos.kit.knobs import Choice, Range, Spaced, Switch
from demos.kit.lab import Lab
from demos.kit.stage import stage
from language import Text, same

VOCABULARY, EPSILON = 20, 1e-5
MOVED = 1e-6  # a larger change is no rounding
NETWORKS, DEEP_TOKENS, DEEP_WIDTH, DEPTH = 3, 32, 64, 12  # the depth experiment
WIRINGS = {"post": same("Post-LN"), "pre": same("Pre-LN")}


@dataclass(frozen=True)
class Params:
    """The knobs."""

    step: Annotated[int, Range(1, 9, label=Text("Step of the walk", "第几步"))] = 6
    tokens: Annotated[int, Range(4, 32, label=Text("Number of tokens n", "token 数 n"))] = 12
    model_width: Annotated[int, Spaced((32, 64, 128), label=Text("Model width d_model", "模型宽度 d_model"))] = 64
    heads: Annotated[int, Spaced((1, 2, 4, 8), label=Text("Number of heads h", "头数 h"))] = 4
    padding: Annotated[int, Range(0, 4, label=Text("Padding at the end", "末尾的 padding 数"))] = 0
    changed: Annotated[
        int, Range(1, 32, label=Text("Token that is changed (at most n)", "改动第几个 token（不超过 n）"))
    ] = 3
    wiring: Annotated[str, Choice(WIRINGS, label=Text("LayerNorm sits", "LayerNorm 的位置"))] = "post"
    residual: Annotated[bool, Switch(label=Text("Residual connections", "残差连接"))] = True
    positions: Annotated[bool, Switch(label=Text("Position encodings", "位置编码"))] = True
    depth: Annotated[int, Range(1, DEPTH, label=Text("Number of layers looked at", "看第几层之后"))] = 2
    seed: Annotated[int, Range(0, 9, label=Text("Random seed", "随机种子"))] = 0


@dataclass(frozen=True)
class Layer:
    """The parameters of one layer; a leading `network` dimension is allowed. Norms have γ = 1 and β = 0."""

    qkv: Tensor  # (feature, 3 × feature)
    qkv_bias: Tensor  # (3 × feature,)
    out: Tensor  # (feature, feature)
    out_bias: Tensor  # (feature,)
    rise: Tensor  # (feature, 4 × feature)
    rise_bias: Tensor  # (4 × feature,)
    fall: Tensor  # (4 × feature, feature)
    fall_bias: Tensor  # (feature,)


@dataclass(frozen=True)
class Trace:
    """Every tensor on the way through one layer."""

    query: Tensor  # (head, token, head width)
    scores: Tensor  # (head, query, key)
    weights: Tensor  # (head, query, key)
    attended: Tensor  # (token, feature) after W_O
    middle: Tensor  # (token, feature) after the first sub-layer with its residual
    output: Tensor  # (token, feature)


@dataclass(frozen=True)
class Result:
    """The walk, what one changed token changes, the oracle's difference, and similarity by depth."""

    params: Params
    steps: list[Tensor]  # the nine tensors of the walk; of several heads, the first
    trace: Trace
    moved: Tensor  # (attention / FFN / LayerNorm, token) largest change of any feature
    asked: tuple[int, int]  # the prediction: tokens changed by the FFN and by attention, 12 tokens
    oracle: float  # largest difference from nn.TransformerEncoderLayer at real tokens
    reversed_without: float  # |Enc(reversed x) − reversed Enc(x)| without position encodings
    reversed_with: float  # the same with them
    base_parameters: dict[str, int]  # nn.TransformerEncoderLayer(512, 8, 2048) by part
    parameters: dict[str, int]  # this layer by part
    similarity: Tensor  # (residual off / on, depth) mean cosine of two tokens


def draw_layer(width: int, generator: torch.Generator, lab: Lab, networks: tuple[int, ...] = ()) -> Layer:
    """Random parameters with the bounds of PyTorch's encoder layer."""

    def uniform(*shape: int, bound: float) -> Tensor:
        return bound * (2 * torch.rand(*networks, *shape, generator=generator) - 1).to(lab.device)

    hidden, root = 4 * width, 1 / math.sqrt(width)
    return Layer(
        qkv=uniform(width, 3 * width, bound=math.sqrt(6 / (4 * width))),  # Xavier for Q, K, V stacked
        qkv_bias=uniform(3 * width, bound=0),
        out=uniform(width, width, bound=root),
        out_bias=uniform(width, bound=0),
        rise=uniform(width, hidden, bound=root),
        rise_bias=uniform(hidden, bound=root),
        fall=uniform(hidden, width, bound=root / 2),
        fall_bias=uniform(width, bound=root / 2),
    )


def position_encoding(tokens: int, width: int) -> Tensor:
    """Sine and cosine of every position at width / 2 frequencies."""
    position = torch.arange(tokens).unsqueeze(1)
    angle = position * 10_000 ** (-torch.arange(0, width, 2) / width)  # (token, frequency)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)  # (token, feature)


def norm(x: Tensor) -> Tensor:
    """LayerNorm: mean 0 and variance 1 over the features of each token."""
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + EPSILON).sqrt()


def attend(x: Tensor, layer: Layer, heads: int, real: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Self-attention: queries, scores, weights, outputs. `real` is False at padded keys."""
    *batch, tokens, width = x.shape
    projected = x @ layer.qkv + layer.qkv_bias.unsqueeze(-2)  # (token, 3 × feature)
    split = projected.view(*batch, tokens, 3, heads, width // heads).movedim(-3, 0)
    query, key, value = split.transpose(-3, -2)  # (head, token, head width) each
    scores = query @ key.mT / math.sqrt(width // heads)  # (head, query, key)
    weights = scores.masked_fill(~real, -math.inf).softmax(-1)
    joined = (weights @ value).transpose(-3, -2).flatten(-2)  # (token, feature)
    return query, scores, weights, joined @ layer.out + layer.out_bias.unsqueeze(-2)


def feed_forward(x: Tensor, layer: Layer) -> Tensor:
    """Two linear maps with a ReLU between, the same at every token."""
    hidden = (x @ layer.rise + layer.rise_bias.unsqueeze(-2)).relu()  # (token, 4 × feature)
    return hidden @ layer.fall + layer.fall_bias.unsqueeze(-2)  # (token, feature)


def encode(x: Tensor, layer: Layer, params: Params, real: Tensor) -> Trace:
    """One encoder layer."""
    skip = float(params.residual)
    if params.wiring == "post":
        query, scores, weights, attended = attend(x, layer, params.heads, real)
        middle = norm(skip * x + attended)
        output = norm(skip * middle + feed_forward(middle, layer))
    else:
        query, scores, weights, attended = attend(norm(x), layer, params.heads, real)
        middle = skip * x + attended
        output = skip * middle + feed_forward(norm(middle), layer)
    return Trace(query, scores, weights, attended, middle, output)


def similarity(x: Tensor) -> Tensor:
    """Mean cosine between two different tokens, averaged over networks."""
    unit = nn.functional.normalize(x, dim=-1)
    cosines, count = unit @ unit.mT, x.shape[-2]  # (network, token, token)
    return (cosines.sum((-2, -1)) - count).mean() / (count * (count - 1))


@stage(keep=20)
def by_depth(lab: Lab, wiring: str, seed: int) -> Tensor:
    """Twelve random layers with and without residuals: similarity of tokens after each."""
    generator, rows = lab.generator(seed), []
    tokens = lab.normal(NETWORKS, DEEP_TOKENS, DEEP_WIDTH, generator=generator)  # (network, token, feature)
    layers = [draw_layer(DEEP_WIDTH, generator, lab, (NETWORKS,)) for _ in range(DEPTH)]
    everything = torch.ones(DEEP_TOKENS, dtype=torch.bool, device=lab.device)
    for residual in (False, True):
        params, x, row = Params(heads=4, wiring=wiring, residual=residual), tokens, []
        for layer in layers:
            x = encode(x, layer, params, everything).output
            row.append(similarity(x))
        rows.append(torch.stack(row))
    return torch.stack(rows).cpu()  # (residual, depth)


def oracle_difference(x: Tensor, layer: Layer, params: Params, real: Tensor) -> float:
    """Our layer with residuals against PyTorch's with the same parameters, at real tokens."""
    with_skips = Params(heads=params.heads, wiring=params.wiring)
    ours = encode(x, layer, with_skips, real).output
    width, pre = x.shape[-1], params.wiring == "pre"
    theirs = nn.TransformerEncoderLayer(
        width, params.heads, 4 * width, 0.0, batch_first=True, norm_first=pre, device="meta"
    )
    one, zero = torch.ones_like(x[0]), torch.zeros_like(x[0])
    ordered = [p.mT.contiguous() if p.ndim == 2 else p for p in as_list(layer)] + [one, zero] * 2
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ordered, strict=True)), assign=True)
    with torch.no_grad():
        wanted = theirs.eval()(x.unsqueeze(0), src_key_padding_mask=~real.unsqueeze(0))[0]
    return (ours - wanted)[real].abs().max().item()


def as_list(layer: Layer) -> list[Tensor]:
    """The parameters in their order."""
    return [getattr(layer, field.name) for field in fields(layer)]


def move_one(x: Tensor, at: int, layer: Layer, params: Params, real: Tensor, lab: Lab) -> Tensor:
    """Change one token and see which outputs of attention, FFN and LayerNorm move."""
    changed = x.clone()
    changed[at] = lab.normal(x.shape[-1], generator=lab.generator(params.seed + 50))
    sub_layers = (lambda t: attend(t, layer, params.heads, real)[-1], lambda t: feed_forward(t, layer), norm)
    changes = [sub_layer(changed) - sub_layer(x) for sub_layer in sub_layers]
    return torch.stack(changes).abs().amax(-1)  # (sub-layer, token)


def reversal_error(x: Tensor, encoding: Tensor | float, layer: Layer, params: Params, real: Tensor) -> float:
    """Encode the sentence backwards, turn the output round: how far from encoding it forwards?"""
    forwards = encode(x + encoding, layer, params, real).output
    backwards = encode(x.flip(0) + encoding, layer, params, real.flip(0)).output
    return (backwards.flip(0) - forwards).abs().max().item()


@functools.cache
def parameters_by_part(width: int, heads: int) -> dict[str, int]:
    """Of PyTorch's encoder layer, on the meta device: shapes without numbers."""
    layer = nn.TransformerEncoderLayer(width, heads, 4 * width, device="meta")
    parts = {"attention": [layer.self_attn], "ffn": [layer.linear1, layer.linear2], "norms": [layer.norm1, layer.norm2]}
    return {name: sum(p.numel() for part in some for p in part.parameters()) for name, some in parts.items()}


def compute(params: Params, lab: Lab) -> Result:
    """Embed random tokens, walk through one layer, and try what each part does."""
    n, d = params.tokens, params.model_width
    if params.padding >= n:
        raise Impossible(
            Text(
                "Every key is padding: each row of scores is −∞ throughout, its softmax 0/0, and all outputs are NaN.",
                "所有 key 都是 padding：每一行分数全是 −∞，softmax 是 0/0，输出全部变成 NaN。",
            )
        )
    generator = lab.generator(params.seed)
    table = lab.normal(VOCABULARY, d, generator=generator) / math.sqrt(d)  # (word, feature)
    words = torch.randint(VOCABULARY, (n,), generator=generator).to(lab.device)
    layer = draw_layer(d, generator, lab)
    real = torch.arange(n, device=lab.device) < n - params.padding  # (token,)

    looked_up = table[words]  # (token, feature)
    scaled, encoding = math.sqrt(d) * looked_up, position_encoding(n, d).to(lab.device)
    x = scaled + encoding if params.positions else scaled
    trace = encode(x, layer, params, real)
    after = [trace.attended, trace.middle, trace.output]
    moved = move_one(x, min(params.changed, n) - 1, layer, params, real, lab)
    twelve = lab.normal(12, d, generator=lab.generator(params.seed + 60))  # the prediction's sentence
    counts = (move_one(twelve, 2, layer, Params(), torch.ones_like(twelve[:, 0]).bool(), lab) > MOVED).sum(-1)
    return Result(
        params,
        steps=[looked_up, scaled, x, trace.query[0], trace.scores[0], trace.weights[0], *after],
        trace=trace,
        moved=moved,
        asked=(int(counts[1]), int(counts[0])),
        oracle=oracle_difference(x, layer, params, real),
        reversed_without=reversal_error(scaled, 0.0, layer, params, real),
        reversed_with=reversal_error(scaled, encoding, layer, params, real),
        base_parameters=parameters_by_part(512, 8),
        parameters=parameters_by_part(d, params.heads),
        similarity=by_depth(lab, params.wiring, params.seed),
    )


def right_option(result: Result) -> str:
    """How many of twelve tokens moved after the FFN, and after attention."""
    return "_".join({1: "one", 12: "all"}.get(count, "some") for count in result.asked)


DEMO = Demo(
    title=Text("Walk through an encoder layer", "走一遍编码器层"),
    summary=Text(
        "Follow a sentence through nine tensors, change one token, and see which steps let it reach the others.",
        "跟着一句话走过九个张量，改动一个 token，看它在哪一步影响到别的 token。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "12 tokens; only token 3 is changed. How many tokens' outputs change after the FFN alone, and how many "
            "after self-attention alone?",
            "共 12 个 token，只改动第 3 个。单看 FFN，有几个 token 的输出会变？单看自注意力呢？",
        ),
        options={
            "one_all": Text("FFN 1, attention 12", "FFN 1 个，自注意力 12 个"),
            "one_one": Text("FFN 1, attention 1", "FFN 1 个，自注意力 1 个"),
            "all_all": Text("FFN 12, attention 12", "FFN 12 个，自注意力 12 个"),
            "one_some": Text("FFN 1, attention only the neighbours of token 3", "FFN 1 个，自注意力只有相邻的几个"),
        },
        right=right_option,
        because=Text(
            "The FFN maps each row on its own. In attention every query takes a weighted sum over all values, and no "
            "softmax weight is zero, so all 12 outputs move: there is no mask and no neighbourhood.",
            "FFN 对每一行单独计算。在自注意力里，每个 query 都对所有 value 加权求和，而 softmax 的权重都不为零，"
            "所以 12 个输出都会变：这里没有因果掩码，也不分远近。",
        ),
    ),
    presets=(
        Preset(Text("No residuals", "去掉残差"), Params(step=9, residual=False)),
        Preset(Text("No positions", "去掉位置编码"), Params(step=3, positions=False)),
        Preset(Text("Change a padded token", "改动一个 padding token"), Params(padding=4, changed=12)),
        Preset(Text("Pre-LN, 12 layers", "Pre-LN，12 层"), Params(step=9, wiring="pre", depth=12)),
    ),
)
