"""The figures of `training_recipe`: each view has its own."""

import math
from typing import TYPE_CHECKING

import torch

from demos.claims.training_recipe import target_entropy
from demos.kit import charts
from demos.kit.charts import BLUE, GREEN, GREY, ORANGE, Axis, Guide, Line
from demos.kit.contract import Picture
from demos.kit.stacked_encoder import SYMBOLS
from language import Text, same

if TYPE_CHECKING:
    from demos.training_recipe import Result, Run

VIEWS = {
    "run": Text("a training run", "一次训练"),
    "schedule": Text("schedule", "学习率调度"),
    "adam": Text("Adam and decay", "Adam 与衰减"),
    "smoothing": Text("label smoothing", "标签平滑"),
}
SOLVED = 0.99


def pictures(result: "Result") -> list[Picture]:
    """A run: loss, accuracy, gradient norm. Otherwise: the schedule, two weights, or the smoothed loss."""
    made = {
        "run": lambda: [loss_picture(result), accuracy_picture(result), norm_picture(result)],
        "schedule": lambda: [schedule_picture(result)],
        "adam": lambda: [first_steps_picture(result), decay_picture(result)],
        "smoothing": lambda: [smoothing_picture(result)],
    }
    return made[result.params.view]()


def name_of(run: "Run", other: "Run") -> Text:
    """What sets `run` apart from `other`."""
    recipe = run.recipe
    if recipe.optimiser != other.recipe.optimiser:
        return same("AdamW") if recipe.optimiser == "adamw" else same("Adam + L2")
    if recipe.warmup:
        return Text(f"warm-up {recipe.warmup}", f"预热 {recipe.warmup} 步")
    return Text("no warm-up", "不预热")


def solved(run: "Run") -> int:
    """How many seeds learnt the task."""
    return int((run.accuracy > SOLVED).sum())


def loss_picture(result: "Result") -> Picture:
    """Loss by step, a line for each seed; the compared recipe in grey."""
    run, other, seeds = result.run, result.other, result.run.recipe.seeds
    steps = torch.arange(1, len(run.losses) + 1)
    names = name_of(run, other), name_of(other, run)
    figure = charts.lines(
        [
            *[Line(names[1], steps, other.losses[:, seed], GREY, dash="dot") for seed in range(seeds)],
            *[Line(names[0], steps, run.losses[:, seed], BLUE) for seed in range(seeds)],
        ],
        Axis(Text("step", "步数")),
        Axis(Text("training loss", "训练 loss"), range=(0, 5)),
        (Guide(math.log(SYMBOLS), Text("ln 12: guessing", "ln 12：瞎猜")),),
    )
    for place, trace in enumerate(figure["data"]):
        trace["showlegend"] = place % seeds == 0
        trace["line"]["width"] = 1.5
    counts = solved(run), solved(other)
    last = run.losses[-20:].mean().item(), other.losses[-20:].mean().item()
    return Picture(
        "loss",
        Text(
            f"Seeds that learn: {counts[0]} of {seeds} with {names[0].en}, {counts[1]} of {seeds} with {names[1].en}",
            f"{seeds} 个种子里学会的个数：{names[0].zh} {counts[0]} 个，{names[1].zh} {counts[1]} 个",
        ),
        Text(
            f"Loss of the last 20 steps: {last[0]:.3f} with {names[0].en}, {last[1]:.3f} with {names[1].en}.",
            f"最后 20 步的 loss：{names[0].zh} {last[0]:.3f}，{names[1].zh} {last[1]:.3f}。",
        ),
        figure,
    )


def accuracy_picture(result: "Result") -> Picture:
    """Accuracy of each seed, under both recipes."""
    run, other, seeds = result.run, result.other, result.run.recipe.seeds
    places = torch.arange(1, seeds + 1)
    low, high = run.accuracy.min().item(), run.accuracy.max().item()
    spread = high - low
    title = (
        Text("One seed: draw no conclusion from it", "只有一个种子：不要据此下结论")
        if seeds == 1
        else Text("The seed decides: one run would prove nothing", "成败取决于种子：单次实验说明不了什么")
        if spread > 0.5
        else Text(
            f"The {seeds} seeds {'differ' if spread > 0.1 else 'agree'}: accuracy {low:.2f} to {high:.2f}",
            f"{seeds} 个种子结果{'有差别' if spread > 0.1 else '接近'}：正确率 {low:.2f} 到 {high:.2f}",
        )
    )
    listed = ", ".join(f"{value:.3f}" for value in run.accuracy.tolist())
    confidence = run.confidence.mean().item()
    return Picture(
        "accuracy",
        title,
        Text(
            f"Accuracy by seed: {listed}; mean largest probability {confidence:.3f}.",
            f"各种子的正确率：{listed}；最大概率的均值 {confidence:.3f}。",
        ),
        charts.bars(
            [
                Line(name_of(run, other), places, run.accuracy, BLUE),
                Line(name_of(other, run), places, other.accuracy, GREY),
            ],
            Axis(Text("seed", "种子"), ticks=places.tolist()),
            Axis(Text("accuracy (dotted: chance)", "正确率（点线：瞎猜）"), range=(0, 1.08)),
            (Guide(1 / SYMBOLS, ""),),
        ),
    )


def norm_picture(result: "Result") -> Picture:
    """The gradient norm before and after clipping, and the learning rate."""
    run = result.run
    steps = torch.arange(1, len(run.norms) + 1)
    first = run.norms[:, 0]
    touched = (first > run.recipe.clip).float().mean().item() if run.recipe.clip else 0.0
    series = [Line(Text("before clipping", "裁剪前"), steps, run.norms[:, 0].clamp(min=1e-4), ORANGE)]
    if run.recipe.clip:
        series.append(Line(Text("after", "裁剪后"), steps, run.clipped[:, 0].clamp(min=1e-4), GREEN))
    series.append(Line(Text("learning rate", "学习率"), steps, run.rates.clamp(min=1e-5), BLUE, dash="dash"))
    return Picture(
        "norm",
        Text(
            f"First seed: clipping at {run.recipe.clip:g} acts in {touched:.0%} of the steps",
            f"第一个种子：裁剪到 {run.recipe.clip:g}，在 {touched:.0%} 的步里起了作用",
        )
        if run.recipe.clip
        else Text(
            f"First seed, no clipping: the gradient norm goes up to {first.max():.2g}",
            f"第一个种子，不裁剪：梯度范数最大到 {first.max():.2g}",
        ),
        Text(
            f"Gradient norm of the first seed: largest {run.norms[:, 0].max():.2f}, last {run.norms[-1, 0]:.3f}.",
            f"第一个种子的梯度范数：最大 {run.norms[:, 0].max():.2f}，最后 {run.norms[-1, 0]:.3f}。",
        ),
        charts.lines(
            series, Axis(Text("step", "步数")), Axis(Text("norm, rate", "范数、学习率"), log=True, range=(1e-4, 30))
        ),
    )


def schedule_picture(result: "Result") -> Picture:
    """Inverse square root and cosine, same warm-up and peak."""
    peak, peak_at = result.noam.max().item(), result.params.peak_at
    end = result.noam[-1].item()
    return Picture(
        "schedule",
        Text(
            f"Both rise to {peak:.3g} at step {peak_at:,}; at 40,000 one is at {end:.3g}, the other at 0",
            f"两者都在第 {peak_at} 步升到 {peak:.3g}；到第 40000 步，一个是 {end:.3g}，另一个是 0",
        ),
        Text(
            f"Learning rates by step; peak {peak:.3g} at {peak_at}; inverse square root ends at {end:.3g}.",
            f"各步的学习率；峰值 {peak:.3g}，在第 {peak_at} 步；平方根倒数一支最后是 {end:.3g}。",
        ),
        charts.lines(
            [
                Line(Text("inverse square root", "平方根倒数"), result.steps, result.noam, BLUE),
                Line(Text("cosine", "余弦"), result.steps, result.cosine, ORANGE, dash="dash"),
            ],
            Axis(
                Text("step", "步数"),
                ticks=(0, 10_000, 20_000, 30_000, 40_000),
                tick_texts=("0", "10k", "20k", "30k", "40k"),
            ),
            Axis(Text("learning rate", "学习率")),
        ),
    )


def first_steps_picture(result: "Result") -> Picture:
    """Two gradients of different scale, no decay: Adam takes the same steps."""
    small, large = result.undecayed[:, 0], result.undecayed[:, 1]
    steps, scale = torch.arange(len(small)), result.params.large
    apart = (small - large).abs().max().item()
    off = Text(f" (apart by at most {apart:.1g})", f"（最多相差 {apart:.1g}）") if apart else same("")
    return Picture(
        "steps",
        Text(
            f"Gradients of scale 0.1 and {scale:g}: Adam moves both weights alike" + off.en,
            f"梯度尺度 0.1 和 {scale:g}：Adam 让两个权重走得一样" + off.zh,
        ),
        Text(
            f"Both weights by step, without decay; the first step is {(large[0] - large[1]).abs():.4f}.",
            f"两个权重随步数的变化，不加衰减；第一步是 {(large[0] - large[1]).abs():.4f}。",
        ),
        charts.lines(
            [
                Line(Text("gradient 0.1", "梯度 0.1"), steps, small, BLUE),
                Line(Text(f"gradient {scale:g}", f"梯度 {scale:g}"), steps, large, ORANGE, dash="dot"),
            ],
            Axis(Text("step", "步数")),
            Axis(Text("weight", "权重")),
        ),
    )


def decay_picture(result: "Result") -> Picture:
    """What decay alone did to both weights, outside and inside the moments."""
    moved = result.decayed - result.undecayed.unsqueeze(1)  # (step, rule, weight)
    steps, scale = torch.arange(len(moved)), result.params.large
    ends = moved[-1, :, :2]
    return Picture(
        "decay",
        Text(
            f"AdamW: decay moves both weights by {ends[0, 0]:.2g}; an L2 term by {ends[1, 0]:.2g} and {ends[1, 1]:.2g}",
            f"AdamW 的衰减使两个权重都移动 {ends[0, 0]:.2g}；作为 L2 项则是 {ends[1, 0]:.2g} 和 {ends[1, 1]:.2g}",
        ),
        Text(
            f"Displacement due to decay after 100 steps: AdamW {ends[0, 0]:.4f} and {ends[0, 1]:.4f}, "
            f"L2 {ends[1, 0]:.4f} and {ends[1, 1]:.4f}.",
            f"100 步之后由衰减引起的位移：AdamW {ends[0, 0]:.4f} 和 {ends[0, 1]:.4f}，"
            f"L2 {ends[1, 0]:.4f} 和 {ends[1, 1]:.4f}。",
        ),
        charts.lines(
            [
                Line(same("AdamW"), steps, moved[:, 0, 0], BLUE),
                Line(Text("L2, gradient 0.1", "L2，梯度 0.1"), steps, moved[:, 1, 0], ORANGE, dash="dash"),
                Line(Text(f"L2, gradient {scale:g}", f"L2，梯度 {scale:g}"), steps, moved[:, 1, 1], GREEN, dash="dot"),
            ],
            Axis(Text("step", "步数")),
            Axis(Text("moved by decay", "衰减引起的位移")),
        ),
    )


def smoothing_picture(result: "Result") -> Picture:
    """Loss against the gap of the logits: with hard labels it falls forever, with smoothed ones it has a minimum."""
    classes, epsilon = result.params.classes, result.params.epsilon
    gap, floor = math.log(1 + classes * (1 - epsilon) / epsilon), target_entropy(classes, epsilon)
    hard = (1 + (classes - 1) * (-result.gaps).exp()).log()
    return Picture(
        "smoothing",
        Text(
            f"Smoothed labels want a gap of {gap:.2f}, not infinity; the loss cannot go below {floor:.3f}",
            f"平滑标签要的差距是 {gap:.2f}，不是无穷大；loss 不可能低于 {floor:.3f}",
        ),
        Text(
            f"Loss by logit gap; with smoothing the minimum is {floor:.3f} at {gap:.3f}.",
            f"loss 随 logit 差距的变化；平滑后在 {gap:.3f} 处取最小值 {floor:.3f}。",
        ),
        charts.lines(
            [
                Line(Text("smoothed", "平滑标签"), result.gaps, result.smoothed, BLUE),
                Line(same("one-hot"), result.gaps, hard, GREY, dash="dash"),
            ],
            Axis(Text("logit gap of the right class", "正确类的 logit 差距")),
            Axis("loss"),
            (Guide(gap, Text("optimum", "最优"), vertical=True),),
        ),
    )
