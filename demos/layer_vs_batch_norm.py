"""Which numbers share a statistic in LayerNorm and BatchNorm, and what the place of the norm does to a deep stack."""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.claims.layer_vs_batch_norm import claims
from demos.figures.layer_vs_batch_norm import pictures
from demos.kit.contract import Demo, Prediction, Preset
from demos.kit.knobs import Choice, Range, Spaced, Switch
from demos.kit.lab import Lab
from demos.kit.stage import stage
from language import Text, same

EPSILON = 1e-5
OUTLIER = 100.0
WIRINGS = ("post", "pre")
NETWORKS, DEPTH, TOKENS, MODEL, VOCABULARY = 12, 24, 16, 32, 64  # the stacks of the depth experiment


@dataclass(frozen=True)
class Params:
    """The knobs."""

    normaliser: Annotated[
        str,
        Choice(
            {"layer": same("LayerNorm"), "batch": same("BatchNorm"), "rms": same("RMSNorm")},
            label=Text("Normaliser", "归一化方式"),
        ),
    ] = "batch"
    change_mates: Annotated[bool, Switch(label=Text("Change the other samples", "改动其他样本"))] = True
    outlier: Annotated[bool, Switch(label=Text("One outlier token (+100)", "一个异常 token（+100）"))] = False
    padding: Annotated[float, Range(0, 0.75, 0.25, label=Text("Share of padding", "padding 占比"))] = 0.5
    batch: Annotated[int, Range(1, 32, label=Text("Batch size B", "批大小 B"))] = 8
    length: Annotated[int, Range(4, 64, 4, label=Text("Length T", "序列长度 T"))] = 16
    width: Annotated[int, Range(8, 64, 8, label=Text("Features d", "特征维度 d"))] = 32
    wiring: Annotated[
        str,
        Choice({"post": same("Post-LN"), "pre": same("Pre-LN")}, label=Text("Place of LayerNorm", "LayerNorm 的位置")),
    ] = "post"
    layers: Annotated[int, Spaced((6, 12, 24), label=Text("Layers L", "层数 L"))] = 12
    seed: Annotated[int, Range(0, 9, label=Text("Random seed", "随机种子"))] = 0

    @property
    def real_length(self) -> int:
        """How many tokens at the start of every sample are real; the rest is zero padding."""
        return round(self.length * (1 - self.padding))

    @property
    def probe(self) -> int:
        """The position in sample 0 whose output is traced back to the inputs."""
        return self.real_length // 2


@dataclass(frozen=True)
class Result:
    """One batch before and after the norm, and the stacks of both wirings by depth."""

    params: Params
    inputs: Tensor  # (sample, position, feature)
    outputs: Tensor  # (sample, position, feature)
    outputs_after: Tensor  # (sample, position, feature) once the other samples have changed
    influence: Tensor  # (sample, position) size of the gradient of the probed output with respect to each token
    outlier: float  # what was added to the outlier token
    asked_mean: float  # the prediction: mean of the real tokens after BatchNorm, half of each sample padded
    gradients: Tensor  # (wiring, depth) size of the last FFN's weight gradient when the stack ends there
    variances: Tensor  # (wiring, depth) variance of the residual stream there


def draw_batch(params: Params, lab: Lab) -> Tensor:
    """Real tokens from N(1, 1), then zero padding; an outlier goes to the start of the last sample."""
    generator = lab.generator(params.seed)
    shape = (params.batch, params.length, params.width)
    inputs = 1 + lab.normal(*shape, generator=generator)  # (sample, position, feature)
    inputs[:, params.real_length :] = 0
    if params.outlier:
        inputs[-1, 0] += OUTLIER
    return inputs


def change_other_samples(inputs: Tensor, params: Params) -> Tensor:
    """The real tokens x of every sample but the first become 3x + 1."""
    changed = inputs.clone()
    if params.change_mates:
        changed[1:, : params.real_length] = 3 * inputs[1:, : params.real_length] + 1
    return changed


def normalise(x: Tensor, normaliser: str) -> Tensor:
    """Centre and divide by the standard deviation; the axes say which numbers share one statistic."""
    # BatchNorm: all tokens of one feature; LayerNorm and RMSNorm: all features of one token
    axes = (0, 1) if normaliser == "batch" else (-1,)
    centred = x if normaliser == "rms" else x - x.mean(axes, keepdim=True)
    return centred / (centred.square().mean(axes, keepdim=True) + EPSILON).sqrt()


def trace_back(inputs: Tensor, params: Params, lab: Lab) -> Tensor:
    """How strongly one output token of sample 0 depends on every input token."""
    direction = lab.normal(params.width, generator=lab.generator(params.seed + 10))  # (feature,)
    inputs = inputs.detach().requires_grad_()
    output = normalise(inputs, params.normaliser)[0, params.probe]  # (feature,)
    (gradient,) = torch.autograd.grad(output @ direction, inputs)  # (sample, position, feature)
    return gradient.norm(dim=-1)  # (sample, position)


def attend(x: Tensor, query: Tensor, key: Tensor, value: Tensor, output: Tensor) -> Tensor:
    """One head of self-attention in every network."""
    scores = (x @ query) @ (x @ key).mT / math.sqrt(MODEL)  # (network, token, token)
    return scores.softmax(-1) @ (x @ value) @ output  # (network, token, feature)


def run_stack(stream: Tensor, weights: Tensor, wiring: str) -> tuple[Tensor, Tensor]:
    """In each layer: the stream as it meets the FFN, and the FFN's hidden activations."""
    streams, hiddens = [], []
    for *attention, rise, fall in (layer.unbind(1) for layer in weights):
        if wiring == "post":
            stream = normalise(stream + attend(stream, *attention), "layer")
            hidden = (stream @ rise).relu()
            following = normalise(stream + hidden @ fall, "layer")
        else:
            stream = stream + attend(normalise(stream, "layer"), *attention)
            hidden = (normalise(stream, "layer") @ rise).relu()
            following = stream + hidden @ fall
        streams.append(stream)
        hiddens.append(hidden)
        stream = following  # (network, token, feature)
    return torch.stack(streams), torch.stack(hiddens)  # (layer, network, token, feature) each


@stage(keep=10)
def by_depth(lab: Lab, seed: int) -> tuple[Tensor, Tensor]:
    """End the stack after each layer in turn: gradient of its last FFN matrix, and variance of the stream."""
    generator = lab.generator(seed)
    weights = lab.normal(DEPTH, NETWORKS, 6, MODEL, MODEL, generator=generator) / math.sqrt(MODEL)  # Xavier
    stream = lab.normal(NETWORKS, TOKENS, MODEL, generator=generator)
    head = lab.normal(NETWORKS, MODEL, VOCABULARY, generator=generator) / math.sqrt(MODEL)
    targets = torch.randint(VOCABULARY, (NETWORKS, TOKENS), generator=generator).to(lab.device)
    last = weights[:, :, 5].clone().requires_grad_()  # (layer, network, feature, feature)

    gradients, variances = [], []
    for wiring in WIRINGS:
        streams, hiddens = run_stack(stream, weights, wiring)  # nothing before the last matrix depends on it
        sums = streams + hiddens @ last  # (layer, network, token, feature)
        logits = normalise(sums, "layer") @ head  # (layer, network, token, word): both wirings end in a norm
        wanted = targets.expand(DEPTH, NETWORKS, TOKENS)
        loss = F.cross_entropy(logits.flatten(0, 2), wanted.flatten(), reduction="sum") / TOKENS
        (gradient,) = torch.autograd.grad(loss, last)  # (layer, network, feature, feature)
        gradients.append(gradient.norm(dim=(-2, -1)).mean(-1))  # (layer,)
        variances.append(sums.detach().square().mean((1, 2, 3)))  # (layer,)
    return torch.stack(gradients).cpu(), torch.stack(variances).cpu()


def compute(params: Params, lab: Lab) -> Result:
    """Normalise a batch, change the other samples, normalise again; then the depth experiment."""
    inputs = draw_batch(params, lab)  # (sample, position, feature)
    changed = change_other_samples(inputs, params)
    asked = Params(length=64, seed=params.seed)
    half_padded = normalise(draw_batch(asked, lab), "batch")[:, : asked.real_length]
    gradients, variances = by_depth(lab, params.seed)
    return Result(
        params,
        inputs,
        outputs=normalise(inputs, params.normaliser),
        outputs_after=normalise(changed, params.normaliser),
        influence=trace_back(inputs, params, lab),
        outlier=OUTLIER,
        asked_mean=half_padded.mean().item(),
        gradients=gradients,
        variances=variances,
    )


def right_option(result: Result) -> str:
    """The option nearest to the mean just measured."""
    values = {"zero": 0.0, "quarter": 0.25, "half": 0.58, "one": 1.0}
    return min(values, key=lambda name: abs(values[name] - result.asked_mean))


DEMO = Demo(
    title=Text("LayerNorm and BatchNorm", "LayerNorm 与 BatchNorm"),
    summary=Text(
        "Change other samples, add padding, look for the future: see whose numbers end up in one token's output.",
        "改动其他样本、加入 padding、检查未来信息：看看一个 token 的输出里混进了谁的数。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "Real values come from $N(1,1)$; the second half of every sample is zero padding. BatchNorm takes its "
            "statistics over all positions. What is the mean of the REAL tokens afterwards?",
            "真实 token 的数值来自 $N(1,1)$，每个样本的后一半是零 padding。BatchNorm 在所有位置上求统计量，"
            "归一化后真实 token 的均值是多少？",
        ),
        options={"zero": same("0"), "quarter": same("0.25"), "half": same("0.58"), "one": same("1")},
        right=right_option,
        because=Text(
            r"The zeros pull the mean to $\mu=\tfrac12$ and the variance is $\tfrac12+\tfrac14=\tfrac34$, so a real "
            r"value lands at $(1-\tfrac12)/\sqrt{3/4}\approx0.58$ on average. Only the mixture has mean 0.",
            r"零把均值拉到 $\mu=\tfrac12$，方差为 $\tfrac12+\tfrac14=\tfrac34$，真实数值平均落在 "
            r"$(1-\tfrac12)/\sqrt{3/4}\approx0.58$。均值为 0 的只是两者的混合。",
        ),
    ),
    presets=(
        Preset(Text("BatchNorm, half padding", "BatchNorm，一半 padding"), Params()),
        Preset(Text("LayerNorm, same batch", "LayerNorm，同一批"), Params(normaliser="layer")),
        Preset(Text("One outlier", "一个异常 token"), Params(outlier=True, change_mates=False, padding=0.0)),
        Preset(Text("Pre-LN, 24 layers", "Pre-LN，24 层"), Params(normaliser="layer", wiring="pre", layers=24)),
    ),
)
