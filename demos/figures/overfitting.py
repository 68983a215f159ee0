"""The figures of `overfitting`."""

import math
from typing import TYPE_CHECKING

import torch

from demos.kit import charts
from demos.kit.charts import BLUE, GREEN, GREY, ORANGE, PURPLE, Axis, Guide, Line
from demos.kit.contract import Picture
from language import Text

if TYPE_CHECKING:
    from demos.overfitting import Result, Run

FLOOR = 0.4227  # nats: entropy of a label of which 15% are flipped
STEP = Axis(Text("step", "步数"))
SHARES = Axis(Text("share", "比例"), range=(0, 1.05), ticks=(0, 0.25, 0.5, 0.75, 1))
BINS = 10


def pictures(result: "Result") -> list[Picture]:
    """Losses, accuracies, how sure the model is; and what decay or smoothing does when it is chosen."""
    made = [loss_picture(result), accuracy_picture(result), certainty_picture(result)]
    if result.params.decay:
        made.append(decay_picture(result))
    if result.params.smoothing:
        made.append(smoothing_picture(result))
    return made


def viewed(result: "Result") -> int:
    """Index of the checkpoint that the learner looks at."""
    return int((result.chosen.steps == result.params.look).nonzero()[0])


def loss_picture(result: "Result") -> Picture:
    """Training loss against validation loss, with what guessing and the true rule would score."""
    run, time = result.chosen, viewed(result)
    train, validation = run.train_loss[time].item(), run.validation_loss[time].item()
    low, at = run.validation_loss[run.best].item(), int(run.steps[run.best])
    series = [
        Line(Text("training", "训练"), run.steps, run.train_loss, BLUE),
        Line(Text("validation", "验证"), run.steps, run.validation_loss, ORANGE),
    ]
    params = result.params
    if params.examples != 256 or params.dropout or params.decay or params.smoothing:
        name = Text("validation, N = 256, plain", "验证，N = 256，无正则")
        series.append(Line(name, run.steps, result.plain.validation_loss, GREY, dash="dot"))
    if params.dropout or params.smoothing:
        series.append(Line(Text("training as logged", "训练日志里的损失"), run.steps, run.logged, PURPLE, dash="dot"))
    guides = (
        Guide(math.log(2), Text("always 50 : 50", "永远 50 : 50")),
        Guide(FLOOR, Text("the true rule", "真规则")),
        Guide(result.params.look, "", vertical=True),
    )
    figure = charts.lines(series, STEP, Axis(Text("loss (nats)", "损失（nat）")), guides)
    for label in figure["layout"]["annotations"][:2]:
        label["x"] = 0.97  # clear of the vertical line at the last step
    step = params.look
    return Picture(
        "loss",
        Text(
            f"Step {step}: training loss {train:.3f}, validation loss {validation:.2f}; its minimum was {low:.2f} "
            f"at step {at}",
            f"第 {step} 步：训练损失 {train:.3f}，验证损失 {validation:.2f}；验证的最低点是第 {at} 步的 {low:.2f}",
        ),
        Text(
            f"Cross-entropy in nats, measured in evaluation mode. At step {step}: training {train:.3f}, validation "
            f"{validation:.3f}. Validation minimum {low:.3f} at step {at}; guessing 0.693; the true rule {FLOOR}.",
            f"交叉熵，单位 nat，均在评估模式下测量。第 {step} 步：训练 {train:.3f}，验证 {validation:.3f}。"
            f"验证最低 {low:.3f}，在第 {at} 步；瞎猜 0.693；真规则 {FLOOR}。",
        ),
        figure,
    )


def accuracy_picture(result: "Result") -> Picture:
    """Accuracy, and how many of the wrong training labels are known by heart."""
    run, time = result.chosen, viewed(result)
    validation, clean = run.right.float().mean(-1), run.right_clean.float().mean(-1)
    memorised, step = run.memorised[time].item(), result.params.look
    return Picture(
        "accuracy",
        Text(
            f"Step {step}: the model gives back {memorised:.0%} of the wrong training labels, and the true label of "
            f"{clean[time]:.0%} of new sequences",
            f"第 {step} 步：错误的训练标签，模型照样给出了 {memorised:.0%}；新序列的真标签，答对 {clean[time]:.0%}",
        ),
        Text(
            f"At step {step}: validation accuracy {validation[time]:.3f}, on unflipped labels {clean[time]:.3f}, "
            f"training accuracy {run.train_accuracy[time]:.3f}, wrong labels given back {memorised:.3f}.",
            f"第 {step} 步：验证正确率 {validation[time]:.3f}，按翻转前的标签 {clean[time]:.3f}，"
            f"训练正确率 {run.train_accuracy[time]:.3f}，背下的错误标签 {memorised:.3f}。",
        ),
        charts.lines(
            [
                Line(Text("new, true labels", "新数据，真标签"), run.steps, clean, GREEN),
                Line(Text("validation", "验证"), run.steps, validation, ORANGE),
                Line(Text("training", "训练"), run.steps, run.train_accuracy, BLUE, dash="dash"),
                Line(Text("wrong labels memorised", "背下的错误标签"), run.steps, run.memorised, PURPLE, dash="dot"),
            ],
            STEP,
            SHARES,
            (Guide(result.params.look, "", vertical=True),),
        ),
    )


def shares(run: "Run", time: int) -> torch.Tensor:
    """How the probabilities of the validation labels spread over ten bins."""
    counts = torch.histc((-run.losses[time]).exp(), BINS, 0, 1)
    return counts / run.losses.shape[-1]


def certainty_picture(result: "Result") -> Picture:
    """Why loss and accuracy part: the probability that each validation label receives."""
    run, time = result.chosen, viewed(result)
    now, then = (((-run.losses[at]).exp() < 0.05).float().mean().item() for at in (time, run.best))
    step, middle = result.params.look, (torch.arange(BINS) + 0.5) / BINS
    return Picture(
        "certainty",
        Text(
            f"Step {step} gives {now:.0%} of the validation labels a probability below 5%; the best "
            f"checkpoint {then:.0%}",
            f"第 {step} 步，{now:.0%} 的验证标签得到的概率不到 5%；最佳检查点是 {then:.0%}",
        ),
        Text(
            f"Histogram of the probability given to the validation label. Below 5%: {now:.3f} at step "
            f"{step}, {then:.3f} at the best checkpoint.",
            f"验证标签所得概率的直方图。低于 5% 的比例：第 {step} 步 {now:.3f}，最佳检查点 {then:.3f}。",
        ),
        charts.bars(
            [
                Line(Text("best checkpoint", "最佳检查点"), middle, shares(run, run.best), GREEN),
                Line(Text(f"step {step}", f"第 {step} 步"), middle, shares(run, time), ORANGE),
            ],
            Axis(Text("probability of the label", "标签得到的概率"), range=(0, 1), ticks=(0, 0.25, 0.5, 0.75, 1)),
            Axis(Text("share", "比例")),
        ),
    )


def decay_picture(result: "Result") -> Picture:
    """The same λ in AdamW and in Adam, when the data have no say."""
    forms, decay = result.forms, result.params.decay
    steps, ends = torch.arange(len(forms.decoupled)), (forms.decoupled[-1].item(), forms.coupled[-1].item())
    return Picture(
        "decay",
        Text(
            f"λ = {decay:g} without data: AdamW shrinks a weight of 10 to {ends[0]:.3f}, Adam + L2 to {ends[1]:.3f} "
            "whatever λ is",
            f"只有衰减，λ = {decay:g}：AdamW 把权重 10 缩到 {ends[0]:.3f}；Adam + L2 到 {ends[1]:.3f}，与 λ 无关",
        ),
        Text(
            f"A weight of 10 over 100 steps at learning rate 0.001: {ends[0]:.4f} and {ends[1]:.4f}.",
            f"权重 10，学习率 0.001，走 100 步：分别到 {ends[0]:.4f} 和 {ends[1]:.4f}。",
        ),
        charts.lines(
            [
                Line("AdamW", steps, forms.decoupled, BLUE),
                Line("Adam + L2", steps, forms.coupled, ORANGE, dash="dash"),
            ],
            STEP,
            Axis(Text("weight", "权重")),
        ),
    )


def smoothing_picture(result: "Result") -> Picture:
    """The smoothed loss of two classes against the logit margin: it has a minimum."""
    epsilon = result.params.smoothing
    margin = torch.linspace(0, 8, 161)
    plain = torch.nn.functional.softplus(-margin)
    smoothed = plain + epsilon / 2 * margin  # −(1 − ε/2) ln σ(m) − ε/2 ln σ(−m)
    best = math.log((1 - epsilon / 2) / (epsilon / 2))
    return Picture(
        "smoothing",
        Text(
            f"ε = {epsilon:g}, two classes: beyond a margin of {best:.2f} more confidence costs more",
            f"ε = {epsilon:g}，两类：logit 差距超过 {best:.2f} 之后，越自信损失越大",
        ),
        Text(
            f"Smoothed and plain loss against the margin; the smoothed one is lowest, {smoothed.min():.3f}, "
            f"at {best:.2f}.",
            f"平滑与普通损失随差距的变化；平滑损失在 {best:.2f} 处最低，为 {smoothed.min():.3f}。",
        ),
        charts.lines(
            [
                Line(Text("smoothed", "平滑后"), margin, smoothed, BLUE),
                Line(Text("plain", "普通"), margin, plain, GREY, dash="dash"),
            ],
            Axis(Text("margin of the right class", "正确类的 logit 差距")),
            Axis(Text("loss (nats)", "损失（nat）")),
            (Guide(best, Text("best", "最优"), vertical=True),),
        ),
    )
