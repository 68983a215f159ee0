"""What a small Transformer does with 256 examples, 15% of them labelled wrongly, and what holds it back."""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.claims.overfitting import claims
from demos.figures.overfitting import pictures
from demos.kit.contract import Demo, Prediction, Preset
from demos.kit.knobs import Range, Spaced
from demos.kit.lab import Lab
from demos.kit.stage import stage
from language import Text

SYMBOLS, LENGTH, FLIPPED = 16, 12, 0.15  # the task: 12 of 16 symbols; 15% of the labels are wrong
WIDTH, HEADS, LAYERS = 32, 4, 2
STEPS, BATCH, LEARNING_RATE, EVERY = 200, 64, 2e-3, 10  # measured every 10 steps
PROBES, HELD_OUT = 256, 1024  # training examples that are measured, and validation examples
CLASSES, DRAWS, FREE_STEPS, FREE_RATE = 10, 100_000, 100, 1e-3  # of the three closed forms
Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Params:
    """The knobs."""

    examples: Annotated[
        int, Spaced((64, 128, 256, 512, 1024, 4096), label=Text("Training examples N", "训练样本数 N"))
    ] = 256
    dropout: Annotated[float, Spaced((0, 0.1, 0.3, 0.5), label=Text("Dropout p", "dropout p"))] = 0.0
    decay: Annotated[float, Spaced((0, 0.1, 1, 3), label=Text("AdamW weight decay λ", "AdamW 权重衰减 λ"))] = 0.0
    smoothing: Annotated[float, Spaced((0, 0.1, 0.2, 0.3), label=Text("Label smoothing ε", "标签平滑 ε"))] = 0.0
    look: Annotated[int, Range(0, STEPS, EVERY, label=Text("Look at step", "查看第几步"))] = STEPS
    seed: Annotated[int, Range(0, 4, label=Text("Random seed", "随机种子"))] = 0


@dataclass(frozen=True)
class Run:
    """One training, measured along the way. All but `logged` in evaluation mode, with plain cross-entropy."""

    steps: Tensor  # (time,)
    logged: Tensor  # (time,) the training objective itself: with dropout and smoothed labels
    train_loss: Tensor  # (time,)
    losses: Tensor  # (time, example) on validation
    right: Tensor  # (time, example) whether the validation label is predicted
    right_clean: Tensor  # (time, example) the same for the label before it was flipped
    train_accuracy: Tensor  # (time,)
    memorised: Tensor  # (time,) share of the flipped training labels that the model gives back
    flipped: float  # share of flipped labels among the measured training examples

    @property
    def validation_loss(self) -> Tensor:
        """Mean over the validation examples, (time,)."""
        return self.losses.mean(-1)

    @property
    def best(self) -> int:
        """Index of the checkpoint that early stopping keeps."""
        return int(self.validation_loss.argmin())

    def gap(self, time: int = -1) -> float:
        """Validation minus training loss."""
        return (self.validation_loss[time] - self.train_loss[time]).item()


@dataclass(frozen=True)
class Forms:
    """Dropout, decay and smoothing taken alone, where algebra says what must come out."""

    dropped: Tensor  # (draw,) ones after dropout
    decoupled: Tensor  # (step,) a weight of 10 under AdamW with no gradient from data
    coupled: Tensor  # (step,) the same weight under Adam with the decay added to the gradient
    smooth_loss: float  # smoothed loss of 10 classes at the best margin
    smooth_slope: float  # largest gradient there
    double_loss: float  # and at twice that margin


@dataclass(frozen=True)
class Result:
    """The chosen training, the same without more data or regularisers, and the closed forms."""

    params: Params
    chosen: Run
    plain: Run  # 256 examples, no regulariser
    forms: Forms


def examples(count: int, seed: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Sequences, their labels with 15% flipped, and which were. Label 1: the hidden values sum to more than 0."""
    hidden = torch.randn(SYMBOLS, generator=torch.Generator().manual_seed(seed))
    hidden = hidden - hidden.mean()  # so that both labels are about equally frequent
    sequences = torch.randint(SYMBOLS, (count, LENGTH), generator=generator)  # (example, position)
    clean = hidden[sequences].sum(-1) > 0  # (example,)
    flip = torch.rand(count, generator=generator) < FLIPPED
    return sequences, (clean ^ flip).long(), flip


def drop(x: Tensor, p: float, generator: torch.Generator | None) -> Tensor:
    """Inverted dropout: x·m/(1 − p) with m ~ Bernoulli(1 − p). Without a generator we evaluate: the identity."""
    if generator is None or p == 0:
        return x
    kept = torch.rand(x.shape, generator=generator) >= p
    return x * kept / (1 - p)


def model(weights: Weights, sequences: Tensor, p: float = 0.0, noise: torch.Generator | None = None) -> Tensor:
    """A pre-norm encoder; dropout on the embedding sum and on every sublayer output, before the residual addition."""
    stream = drop(weights["symbols"][sequences] + weights["places"], p, noise)  # (batch, position, width)
    for layer in range(LAYERS):
        projected = F.layer_norm(stream, (WIDTH,)) @ weights["projections"][layer]  # (batch, position, 3 × width)
        query, key, value = projected.unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value)  # (batch, head, position, head width)
        stream = stream + drop(attended.transpose(1, 2).flatten(-2) @ weights["output"][layer], p, noise)
        risen = F.gelu(F.layer_norm(stream, (WIDTH,)) @ weights["rise"][layer])  # (batch, position, 4 × width)
        stream = stream + drop(risen @ weights["fall"][layer], p, noise)
    return F.layer_norm(stream, (WIDTH,)).mean(-2) @ weights["classes"]  # (batch, class)


@stage(keep=64)
def train(lab: Lab, count: int, p: float, decay: float, smoothing: float, seed: int) -> Run:
    """200 steps of AdamW, measured every 10; on the CPU, so that all devices show the same."""
    sequences, labels, flip = examples(count, seed, lab.generator(100 + seed))
    held_out, answers, wrong = examples(HELD_OUT, seed, lab.generator(200 + seed))
    weights, noise = fresh_weights(lab.generator(300 + seed)), lab.generator(400 + seed)
    optimizer = torch.optim.AdamW(weights.values(), LEARNING_RATE, betas=(0.9, 0.98), weight_decay=decay)
    shown = torch.cat([sequences[:PROBES], held_out])
    seen, logged = [], []
    for step in range(STEPS + 1):
        picked = torch.randint(count, (BATCH,), generator=noise)
        logits = model(weights, sequences[picked], p, noise)  # (batch, class)
        loss = F.cross_entropy(logits, labels[picked], label_smoothing=smoothing)
        if step % EVERY == 0:
            lab.progress(step / STEPS, Text(f"Training on {count} examples", f"用 {count} 个样本训练"))
            with torch.no_grad():
                seen.append(model(weights, shown))  # (measured example, class), evaluation mode
            logged.append(loss.detach())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return measure(torch.stack(seen), torch.stack(logged), labels[:PROBES], flip[:PROBES], answers, wrong)


def fresh_weights(generator: torch.Generator) -> Weights:
    """About 25 000 parameters; the layer norms have none and nothing has a bias, so decay meets matrices only."""

    def normal(*shape: int, scale: float) -> Tensor:
        return (torch.randn(*shape, generator=generator) * scale).requires_grad_()

    return {
        "symbols": normal(SYMBOLS, WIDTH, scale=1),
        "places": normal(LENGTH, WIDTH, scale=0.02),
        "projections": normal(LAYERS, WIDTH, 3 * WIDTH, scale=WIDTH**-0.5),
        "output": normal(LAYERS, WIDTH, WIDTH, scale=WIDTH**-0.5),
        "rise": normal(LAYERS, WIDTH, 4 * WIDTH, scale=WIDTH**-0.5),
        "fall": normal(LAYERS, 4 * WIDTH, WIDTH, scale=(4 * WIDTH) ** -0.5),
        "classes": normal(WIDTH, 2, scale=WIDTH**-0.5),
    }


def measure(seen: Tensor, logged: Tensor, labels: Tensor, flip: Tensor, answers: Tensor, wrong: Tensor) -> Run:
    """Losses and accuracies from the logits seen along the way, (time, training examples then validation, class)."""
    times, known = len(seen), len(labels)
    targets = torch.cat([labels, answers]).expand(times, -1)  # (time, example)
    losses = F.cross_entropy(seen.mT, targets, reduction="none")
    right = seen.argmax(-1) == targets
    return Run(
        steps=torch.arange(times) * EVERY,
        logged=logged,
        train_loss=losses[:, :known].mean(-1),
        losses=losses[:, known:],
        right=right[:, known:],
        right_clean=right[:, known:] ^ wrong,  # two classes: missing a flipped label is hitting the clean one
        train_accuracy=right[:, :known].float().mean(-1),
        memorised=right[:, :known][:, flip].float().mean(-1),
        flipped=flip.float().mean().item(),
    )


@stage(keep=64)
def closed_forms(lab: Lab, p: float, decay: float, smoothing: float, seed: int) -> Forms:
    """The three regularisers alone: dropped ones, a weight without gradient, and the smoothed loss of 10 classes."""
    margin = best_margin(smoothing, CLASSES)
    logits = torch.zeros(1, CLASSES)  # (1, class)
    logits[0, 0] = margin if math.isfinite(margin) else 0.0
    logits.requires_grad_()
    label = torch.tensor([0])
    loss = F.cross_entropy(logits, label, label_smoothing=smoothing)
    (slope,) = torch.autograd.grad(loss, logits)
    return Forms(
        dropped=drop(torch.ones(DRAWS), p, lab.generator(500 + seed)),
        decoupled=without_gradient(torch.optim.AdamW, decay),
        coupled=without_gradient(torch.optim.Adam, decay),
        smooth_loss=loss.item(),
        smooth_slope=slope.abs().max().item(),
        double_loss=F.cross_entropy(2 * logits.detach(), label, label_smoothing=smoothing).item(),
    )


def best_margin(smoothing: float, classes: int) -> float:
    """ln(q_y / q_k) with q_y = 1 − ε + ε/K and q_k = ε/K: where the smoothed loss is smallest."""
    other = smoothing / classes
    return math.log((1 - smoothing + other) / other) if smoothing else math.inf


def without_gradient(optimizer_class: type[torch.optim.Optimizer], decay: float) -> Tensor:
    """A weight of 10 while the data give no gradient, (step,)."""
    weight = torch.tensor(10.0, requires_grad=True)
    optimizer = optimizer_class([weight], lr=FREE_RATE, weight_decay=decay)  # type: ignore[call-arg]
    path = [weight.detach().clone()]
    for _ in range(FREE_STEPS):
        weight.grad = torch.zeros(())
        optimizer.step()
        path.append(weight.detach().clone())
    return torch.stack(path)


def compute(params: Params, lab: Lab) -> Result:
    """Train with the chosen data and regularisers, and once without any, on the same task."""
    regularisers = params.dropout, params.decay, params.smoothing
    return Result(
        params,
        chosen=train(lab, params.examples, *regularisers, params.seed),
        plain=train(lab, 256, 0.0, 0.0, 0.0, params.seed),
        forms=closed_forms(lab, *regularisers, params.seed),
    )


def right_option(result: Result) -> str:
    """Where the validation loss of 256 examples without regulariser just went, beside that of guessing."""
    losses = result.plain.validation_loss
    if losses.min() >= math.log(2):
        return "never"
    return "above" if losses[-1] > math.log(2) else "below"


DEMO = Demo(
    title=Text("Overfitting, and what holds it back", "过拟合，以及怎样抑制"),
    summary=Text(
        "A small Transformer memorises 256 examples, wrong labels included. Give it more data or a regulariser.",
        "一个小 Transformer 把 256 个样本背了下来，连错误的标签也背。给它更多数据，或加一种正则化试试。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "With 256 examples and no regulariser, training loss falls almost to 0, and at the end the model still "
            "predicts most validation labels correctly. Compare its validation *loss* with that of a guesser that "
            r"always says 50 : 50 ($\ln 2\approx0.693$).",
            "256 个样本，不加任何正则化，训练损失几乎降到 0；训练结束时，验证集上多数标签仍能预测对。"
            r"它的验证*损失*，和永远输出 50 : 50 的瞎猜（$\ln 2\approx0.693$）相比如何？",
        ),
        options={
            "below": Text("below at the end: most labels are right", "最后仍更低：多数标签都对了"),
            "above": Text("first below, at the end above", "先是更低，最后反而更高"),
            "never": Text("above all along: nothing was learned", "一直更高：什么也没学到"),
        },
        right=right_option,
        because=Text(
            "Fitting the wrong labels too makes the model ever more certain, also where it errs. A confident mistake "
            r"costs $-\ln p$ without bound; accuracy counts it like any other.",
            "把错误的标签也拟合进去，模型就越来越自信，错的地方也一样自信。自信地犯错，代价 "
            r"$-\ln p$ 没有上限；而准确率只把它算作一次错误。",
        ),
    ),
    presets=(
        Preset(Text("4096 examples", "4096 个样本"), Params(examples=4096)),
        Preset(Text("Dropout 0.3", "dropout 0.3"), Params(dropout=0.3)),
        Preset(Text("Weight decay 3", "权重衰减 3"), Params(decay=3.0)),
        Preset(Text("Label smoothing 0.1", "标签平滑 0.1"), Params(smoothing=0.1)),
    ),
)
