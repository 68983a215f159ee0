"""Who finds the cause: attention, gradients and interventions on a model whose true causes are known."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.claims.interpretability import claims
from demos.figures.interpretability import ASK, BASELINES, BECAUSE, CHANGED, METHODS, OPTIONS, REPLACEMENTS, pictures
from demos.kit.causes import TOKENS, VALUES, Model, Reading, Sentences, answer, embed, lens, raised, run, teach, write
from demos.kit.contract import Demo, Prediction, Preset
from demos.kit.knobs import Choice, Range, Spaced
from demos.kit.lab import Lab
from demos.kit.layers import HEADS, merge
from demos.kit.stage import stage
from language import Text

EXAMPLES, PROBED = 128, 512  # explained; read to fit a probe
LAYERED, HEAD = ("method", ("attention", "head", "norm")), ("method", ("head",))
IG, ABLATION = ("method", ("ig",)), ("method", ("ablation",))


@dataclass(frozen=True)
class Params:
    """The knobs."""

    example: Annotated[int, Range(1, EXAMPLES, label=Text("Example", "第几个样例"))] = 1
    method: Annotated[str, Choice(METHODS, label=Text("Explanation", "解释方法"))] = "attention"
    layer: Annotated[int, Range(1, 2, label=Text("Layer", "层"), when=LAYERED)] = 2
    head: Annotated[int, Range(1, HEADS, label=Text("Head", "头"), when=HEAD)] = 1
    steps: Annotated[int, Spaced((4, 16, 64), label=Text("Steps of the integral", "积分步数"), when=IG)] = 64
    baseline: Annotated[str, Choice(BASELINES, label=Text("Baseline x′", "基线 x′"), when=IG)] = "filler"
    replacement: Annotated[str, Choice(REPLACEMENTS, label=Text("Replaced by", "替换成"), when=ABLATION)] = "value"
    changed: Annotated[str, Choice(CHANGED, label=Text("Token changed for patching", "修补实验改动的 token"))] = "A"
    seed: Annotated[int, Range(0, 3, label=Text("Training seed", "训练种子"))] = 0


@dataclass(frozen=True)
class Patching:
    """One token is changed, then one state at a time is put back as it was. All numbers are margins F."""

    before: float
    after: float
    restored: Tensor  # (state, position)


@dataclass(frozen=True)
class Facts:
    """What holds for the trained model whatever is looked at."""

    accuracy: Tensor  # (state,) of the logit lens
    named: tuple[int, int]  # different answers that the lens gives before block 1, after it
    flips: Tensor  # (4,) share of answers that change with the value of A, B, the distractor, a filler
    decoded: Tensor  # (place, 4) accuracy of linear probes for these values: at the token itself, at CLS
    shuffled: float  # of the same probe for A at CLS, fitted to shuffled labels
    row_sums: tuple[float, float]  # smallest and largest sum of a row of rollout


@dataclass(frozen=True)
class Result:
    """One example explained, all examples scored, and the model taken apart."""

    params: Params
    tokens: Tensor  # (token,)
    places: Tensor  # (4,) of A, B, the distractor, a filler
    answer: int  # the right one
    named: int  # the model's
    scores: dict[str, Tensor]  # by method: (network, token), the trained network first
    precision: dict[str, Tensor]  # by method: (network,) share of the two highest scores that are causes
    errors: tuple[float, float]  # mean |ΣIG − ΔF| over mean |ΔF|: with 4 steps, with the steps chosen
    by_baseline: dict[str, float]  # precision of IG
    facts: Facts
    patching: Patching
    sink: tuple[float, float, float]  # of a head made by hand: weight, change without the token, growth if masked


def margin(logits: Tensor, named: Tensor) -> Tensor:
    """F: the logit of the answer `named` minus the mean of the other three; a shift of all logits changes nothing."""
    chosen = logits.gather(-1, named.unsqueeze(-1)).squeeze(-1)
    return (VALUES * chosen - logits.sum(-1)) / (VALUES - 1)  # (network, example)


def rollout(weights: list[Tensor]) -> Tensor:
    """Product over layers of half the mean attention, half the identity."""
    itself = rolled = torch.eye(weights[0].shape[-1], device=weights[0].device)
    for attention in weights:  # (network, example, head, query, key)
        rolled = (attention.mean(-3) + itself) / 2 @ rolled
    return rolled  # (network, example, query, key)


def gradient(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """∂F/∂x for every example."""
    x = x.clone().requires_grad_()
    return torch.autograd.grad(f(x).sum(), x)[0]  # (network, example, position, feature)


def probe(states: Tensor, labels: Tensor, tested: Tensor, truth: Tensor) -> float:
    """Accuracy of a linear probe: ridge regression to one-hot labels, in fp64 on the CPU."""
    seen, new = (F.pad(rows.cpu().double(), (0, 1), value=1.0) for rows in (states, tested))  # a bias
    ridge = 1e-3 * torch.eye(seen.shape[-1], dtype=torch.float64)
    weights = torch.linalg.solve(seen.mT @ seen + ridge, seen.mT @ F.one_hot(labels.cpu()).double())
    return ((new @ weights).argmax(-1) == truth.cpu()).double().mean().item()


def added(reading: Reading, model: Model, layer: int) -> Tensor:
    """‖Σ A v W_O‖ over heads: the length of what each token adds to CLS in one layer."""
    taken = reading.weights[layer][..., 0, :].unsqueeze(-1) * reading.values[layer]  # (…, head, key, head width)
    return merge(taken, model.blocks[layer]).norm(dim=-1)  # (network, example, key)


def absent(model: Model, x: Tensor, baseline: str) -> Tensor:
    """The sentences without information: every token becomes the mean filler, or zero; CLS and places stay."""
    content = model.symbols[:, :VALUES].mean(1) if baseline == "filler" else torch.zeros_like(model.symbols[:, 0])
    blank = content.unsqueeze(1) + model.places[:, 0, 1:]  # (network, token, feature)
    return torch.cat([x[:, :, :1], blank.unsqueeze(1).expand_as(x[:, :, 1:])], dim=2)


@stage(keep=8)
def train(lab: Lab, seed: int) -> Model:
    """The trained network, and the same one before training."""
    return teach(lab, seed)


@stage(keep=8)
def examples(lab: Lab, seed: int) -> tuple[Sentences, Tensor, Tensor]:
    """Sentences to explain, embedded, and what each network answers (network, example)."""
    model, sentences = train(lab, seed), write(EXAMPLES, lab.generator(100 + seed)).to(lab.device)
    x = embed(model, sentences.tokens)
    return sentences, x, answer(model, x).argmax(-1)


@stage(keep=8)
def read_attention(lab: Lab, seed: int) -> dict[str, Tensor]:
    """Scores from one forward pass, and gradient × input from one backward pass: (network, example, token) each."""
    model, (_, x, named) = train(lab, seed), examples(lab, seed)
    reading = run(model, x)
    scores = {"rollout": rollout(reading.weights)[..., 0, 1:]}
    for layer, weights in enumerate(reading.weights):
        scores[f"attention{layer + 1}"] = weights.mean(2)[..., 0, 1:]
        scores[f"norm{layer + 1}"] = added(reading, model, layer)[..., 1:]
        scores |= {f"head{layer + 1}{head + 1}": weights[:, :, head, 0, 1:] for head in range(HEADS)}
    slope = gradient(lambda x: margin(answer(model, x), named), x)
    order = torch.rand(2, EXAMPLES, TOKENS, generator=lab.generator(200 + seed))
    return scores | {"gradient": (slope * x).sum(-1)[..., 1:], "random": order.to(lab.device)}


@stage(keep=32)
def integrate(lab: Lab, seed: int, baseline: str, steps: int) -> tuple[Tensor, float]:
    """Integrated gradients by the midpoint rule, and how far their sum is from F(x) − F(x′), relatively."""
    model, (_, x, named) = train(lab, seed), examples(lab, seed)
    blank, total = absent(model, x, baseline), torch.zeros_like(x)

    def f(x: Tensor) -> Tensor:
        return margin(answer(model, x), named)

    for step in range(steps):
        lab.progress(step / steps, Text("Integrating gradients", "正在积分梯度"))
        total += gradient(f, blank + (step + 0.5) / steps * (x - blank)) / steps
    scores = ((x - blank) * total).sum(-1)  # (network, example, position)
    change = (f(x) - f(blank))[0]  # (example,) of the trained network
    return scores[..., 1:], ((scores[0].sum(-1) - change).abs().mean() / change.abs().mean()).item()


@stage(keep=32)
def ablate(lab: Lab, seed: int, replacement: str) -> Tensor:
    """F(x) − F(x without token j), one token at a time: (network, example, token)."""
    model, (sentences, x, named) = train(lab, seed), examples(lab, seed)

    def without(token: int) -> Tensor:
        lab.progress(token / TOKENS, Text("Removing one token at a time", "逐个去掉 token"))
        place = torch.arange(1 + TOKENS, device=lab.device) == token + 1  # (position,)
        if replacement == "mask":
            return margin(answer(model, x, keep=(~place).float()), named)
        if replacement == "value":  # the mean over the three other values
            others = [torch.where(place[1:], raised(sentences.tokens, by), sentences.tokens) for by in (1, 2, 3)]
            return torch.stack([margin(answer(model, embed(model, tokens)), named) for tokens in others]).mean(0)
        return margin(answer(model, torch.where(place.unsqueeze(-1), absent(model, x, replacement), x)), named)

    return torch.stack([margin(answer(model, x), named) - without(token) for token in range(TOKENS)], dim=-1)


def precision(scores: Tensor, sentences: Sentences) -> Tensor:
    """The share of the two largest scores, in size, that sit on A or B."""
    top = scores.abs().topk(2).indices  # (network, example, 2)
    return (top.unsqueeze(-1) == sentences.places[:, None, :2]).any(-1).float().mean((-2, -1))  # (network,)


def decodable(taught: Tensor, more: Sentences, last: Tensor, sentences: Sentences) -> Tensor:
    """Accuracy of probes for the values of A, B, the distractor and a filler: (place, 4)."""
    found = torch.zeros(2, 4)
    for role in range(4):
        seen, new = more.places[:, role : role + 1], sentences.places[:, role : role + 1]  # (example, 1)
        labels, truth = (each.tokens.gather(1, at)[:, 0] % VALUES for each, at in ((more, seen), (sentences, new)))
        own, there = (rows.take_along_dim(1 + at.unsqueeze(-1), 1)[:, 0] for rows, at in ((taught, seen), (last, new)))
        found[0, role] = probe(own, labels, there, truth)
        found[1, role] = probe(taught[:, 0], labels, last[:, 0], truth)
    return found


@stage(keep=8)
def examine(lab: Lab, seed: int) -> Facts:
    """The lens at every depth, what probes can decode, and what a change of value does to the answer."""
    model, (sentences, x, named) = train(lab, seed), examples(lab, seed)
    more, states = write(PROBED, lab.generator(300 + seed)).to(lab.device), run(model, x).states
    taught, last = run(model, embed(model, more.tokens)).states[-1][0], states[-1][0]  # (example, position, feature)
    # the lens: final norm and readout of any state at CLS
    lensed = torch.stack([lens(model, state)[0].argmax(-1) for state in states])  # (state, example)
    moved = torch.stack([answer(model, embed(model, sentences.changed(role)))[0].argmax(-1) for role in range(4)])
    shuffled = torch.randint(VALUES, (PROBED + EXAMPLES,), generator=lab.generator(400 + seed))
    sums = rollout(run(model, x).weights)[0].sum(-1)
    return Facts(
        accuracy=(lensed == sentences.answers).float().mean(-1),
        named=(len(lensed[0].unique()), len(lensed[1].unique())),
        flips=(moved != named[0]).float().mean(-1),
        decoded=decodable(taught, more, last, sentences),
        shuffled=probe(taught[:, 0], shuffled[:PROBED], last[:, 0], shuffled[PROBED:]),
        row_sums=(sums.min().item(), sums.max().item()),
    )


def patch(lab: Lab, params: Params) -> Patching:
    """Change one token, then put back one state of the unchanged run at a time."""
    model, (sentences, _, named) = train(lab, params.seed), examples(lab, params.seed)
    at, role = params.example - 1, list(CHANGED).index(params.changed)
    pair = torch.stack([sentences.tokens[at], sentences.changed(role)[at]])
    trained = model.first()
    states = run(trained, embed(trained, pair)).states  # (1, clean or corrupted, position, feature) each
    explained = named[:1, at : at + 1]
    before, after = margin(lens(trained, states[-1]), explained.expand(1, 2))[0]
    diagonal = torch.eye(1 + TOKENS, dtype=torch.bool, device=lab.device).unsqueeze(-1)
    restored = []
    for depth, state in enumerate(states):
        patched = torch.where(diagonal, state[:, :1], state[:, 1:])  # (1, place put back, position, feature)
        final = run(trained, patched, start=depth).states[-1]
        restored.append(margin(lens(trained, final), explained.expand(1, 1 + TOKENS))[0])
    return Patching(before.item(), after.item(), torch.stack(restored))


def sink(lab: Lab) -> tuple[float, float, float]:
    """A head made by hand: attention on a token whose value is 0, what the token adds, what masking it does."""
    value = lab.normal(5, 8, generator=lab.generator(0))
    value[1] = 0
    weights = torch.tensor([1.0, 16.0, 1.0, 1.0, 1.0], device=lab.device).log().softmax(-1)
    rest = weights * (weights < 0.5)  # without the token
    output, without, masked = weights @ value, rest @ value, rest / rest.sum() @ value
    return weights[1].item(), (output - without).norm().item(), (masked.norm() / output.norm()).item()


def compute(params: Params, lab: Lab) -> Result:
    """Train once; then score every token by every method, take the model apart, and show one example."""
    seed, at = params.seed, params.example - 1
    steps, baseline = (params.steps, params.baseline) if params.method == "ig" else (64, "filler")
    replacement = params.replacement if params.method == "ablation" else "value"
    (sentences, _, named), scores = examples(lab, seed), dict(read_attention(lab, seed))
    scores["ig"], error = integrate(lab, seed, baseline, steps)
    scores["ablation"] = ablate(lab, seed, replacement)
    baselines = BASELINES if params.method == "ig" else [baseline]
    return Result(
        params,
        tokens=sentences.tokens[at],
        places=sentences.places[at],
        answer=int(sentences.answers[at]),
        named=int(named[0, at]),
        scores={name: table[:, at] for name, table in scores.items()},
        precision={name: precision(table, sentences) for name, table in scores.items()},
        errors=(integrate(lab, seed, baseline, 4)[1], error),
        by_baseline={name: precision(integrate(lab, seed, name, steps)[0], sentences)[0].item() for name in baselines},
        facts=examine(lab, seed),
        patching=patch(lab, params),
        sink=sink(lab),
    )


def right_option(result: Result) -> str:
    """Which option the precision just measured falls into."""
    found = result.precision["attention2"][0].item()
    return "most" if found > 0.85 else "some" if found > 0.35 else "chance"


DEMO = Demo(
    title=Text("Explanations that can be checked", "能验证的解释"),
    summary=Text("The true causes are known: which explanation finds them?", "真实原因已知，哪种解释找得到？"),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(ask=ASK, options=OPTIONS, right=right_option, because=BECAUSE),
    presets=(
        Preset(Text("Ablation: another value", "消融：换成别的值"), Params(method="ablation")),
        Preset(Text("Integrated gradients, zero baseline", "积分梯度，零基线"), Params(method="ig", baseline="zero")),
        Preset(Text("Seed 2: as right, another map", "种子 2：同样全对，图却变了"), Params(seed=2)),
        Preset(Text("Patch the distractor", "修补干扰项"), Params(changed="distractor")),
    ),
)
