"""The figures of `warmup_and_dropout`."""

from typing import TYPE_CHECKING

import numpy as np
import torch

from demos.kit import charts
from demos.kit.charts import BLUE, GREEN, GREY, ORANGE, PURPLE, Axis, Guide, Line
from demos.kit.contract import Picture
from language import Text, same

if TYPE_CHECKING:
    from demos.warmup_and_dropout import Result

ACTIVATIONS = {"relu": same("ReLU"), "linear": Text("linear", "线性")}
CALLS = {
    "train": Text("nn.Dropout, train()", "nn.Dropout，train()"),
    "no_grad": Text("… and no_grad()", "……加上 no_grad()"),
    "eval": Text("nn.Dropout, eval()", "nn.Dropout，eval()"),
    "functional": Text("F.dropout in eval()", "eval() 里的 F.dropout"),
    "attention": Text("SDPA in eval()", "eval() 里的 SDPA"),
}


def pictures(result: "Result") -> list[Picture]:
    """The schedule, Adam's steps, the passes through a network with dropout, and what stops it."""
    return [schedule_picture(result), adam_picture(result), passes_picture(result), mode_picture(result)]


def schedule_picture(result: "Result") -> Picture:
    """The learning rate with the chosen warm-up and with four times as much."""
    warmup, rates, longer = result.params.warmup, result.rates, result.longer
    shown = torch.cat(
        [torch.arange(0, 20_000, 250), torch.arange(20_000, len(rates), 1000), torch.tensor([len(rates) - 1])]
    )
    shown = torch.cat([shown, torch.tensor([warmup - 1, 4 * warmup - 1])]).unique()
    thousands = (shown + 1) / 1000
    top, lower, last = rates.max().item(), longer.max().item(), rates[-1].item()
    series = [
        Line(Text(f"w = {warmup:,}", f"w = {warmup:,}"), thousands, rates[shown] * 1e4, BLUE),
        Line(Text(f"w = {4 * warmup:,}", f"w = {4 * warmup:,}"), thousands, longer[shown] * 1e4, ORANGE, dash="dash"),
    ]
    return Picture(
        "schedule",
        Text(
            f"Four times the warm-up halves the peak, {top:.2g} to {lower:.2g}; at step 100,000 both are at {last:.2g}",
            f"预热变成 4 倍，峰值减半（{top:.2g} 到 {lower:.2g}）；到第 100,000 步，两者都是 {last:.2g}",
        ),
        Text(
            f"Learning rate against step: peak {top:.3g} at step {warmup:,} and {lower:.3g} at step {4 * warmup:,}; "
            f"{last:.3g} at step 100,000 for both.",
            f"学习率随步数的变化：第 {warmup:,} 步达到峰值 {top:.3g}，第 {4 * warmup:,} 步达到峰值 {lower:.3g}；"
            f"第 100,000 步都是 {last:.3g}。",
        ),
        charts.lines(
            series,
            Axis(Text("step (thousands)", "步数（千）"), ticks=(0, 25, 50, 75, 100)),
            Axis(Text("learning rate (× 10⁻⁴)", "学习率（× 10⁻⁴）")),
        ),
    )


def adam_picture(result: "Result") -> Picture:
    """Adam's step sizes on noise at a constant rate, and with warm-up, over the peak rate."""
    sizes, warmup = result.step_sizes, result.params.warmup
    steps = torch.arange(1, len(sizes) + 1)
    warmed = sizes * result.rates[: len(sizes)] / result.rates.max()
    later = sizes[100:].square().mean().sqrt().item()
    first = sizes[0].item()
    return Picture(
        "adam",
        Text(
            f"Adam's first step is {first:.2g} × the learning rate, later ones {later:.2g} ×; warm-up divides the "
            f"first by {warmup:,}",
            f"Adam 的第一步是学习率的 {first:.2g} 倍，之后降到 {later:.2g} 倍；预热把第一步除以 {warmup:,}",
        ),
        Text(
            f"RMS of Adam's steps on pure noise, over the peak learning rate: {first:.3f} at step 1 and {later:.3f} "
            f"after step 100 at a constant rate; {warmed[0]:.2g} and {warmed[-1]:.2g} with warm-up.",
            f"纯噪声梯度下 Adam 步长的均方根与峰值学习率之比：学习率恒定时，第 1 步 {first:.3f}，"
            f"第 100 步之后 {later:.3f}；有预热时，第 1 步 {warmed[0]:.2g}，最后 {warmed[-1]:.2g}。",
        ),
        charts.lines(
            [
                Line(Text("constant rate", "学习率恒定"), steps, sizes, ORANGE),
                Line(Text("with warm-up", "有预热"), steps, warmed, BLUE, dash="dash"),
            ],
            Axis(Text("step", "步数"), log=True, ticks=(1, 10, 100)),
            Axis(Text("step size ÷ peak rate", "步长 ÷ 峰值学习率"), log=True, ticks=(1e-4, 1e-3, 0.01, 0.1, 1)),
            (Guide(0.2294, Text("0.23 if |g| ≫ ε", "|g| ≫ ε 时：0.23")),),
        ),
    )


def passes_picture(result: "Result") -> Picture:
    """Many passes in training mode, their mean, the eval pass, and the eval pass scaled once more."""
    passes, evaluated, p = result.passes, result.evaluated, result.params.dropout
    mean, spread = passes.mean().item(), passes.std().item()
    wrong = evaluated * (1 - p)
    reach = max(4 * spread, 0.02)
    density, edges = np.histogram(passes.numpy(), bins=41, range=(mean - reach, mean + reach), density=True)
    top = float(density.max())
    x = Axis(Text("output of the network", "网络的输出"))
    figure = charts.bars(
        [Line(Text("passes in train()", "train() 的各次前向"), (edges[1:] + edges[:-1]) / 2, density, BLUE)],
        x,
        Axis(charts.DENSITY),
        touching=True,
    )
    marks = [
        Line(Text("their mean", "它们的平均"), [mean, mean], [0, top * 1.15], GREEN),
        Line(Text("eval()", "eval()"), [evaluated, evaluated], [0, top * 1.15], ORANGE, dash="dash"),
        Line(Text("eval() × (1 − p)", "eval() × (1 − p)"), [wrong, wrong], [0, top * 1.15], PURPLE, dash="dot"),
    ]
    figure["data"] += charts.lines(marks, x, Axis())["data"]
    figure["layout"] |= {"showlegend": True, "margin": {**figure["layout"]["margin"], "t": 62}}
    return Picture(
        "passes",
        passes_title(result, mean, spread),
        Text(
            f"Outputs of one input under {len(passes)} dropout masks: mean {mean:.3f}, standard deviation "
            f"{spread:.3f}; eval gives {evaluated:.3f}, scaled once more {wrong:.3f}.",
            f"同一输入在 {len(passes)} 个 dropout 掩码下的输出：均值 {mean:.3f}，标准差 {spread:.3f}；"
            f"eval 得到 {evaluated:.3f}，再缩放一次得到 {wrong:.3f}。",
        ),
        figure,
    )


def passes_title(result: "Result", mean: float, spread: float) -> Text:
    """What the passes show: nothing dropped, an exact mean, or one that is off."""
    evaluated = result.evaluated
    if result.params.dropout == 0:
        return Text(
            f"Nothing is dropped: every pass gives {evaluated:.3f}", f"什么都没丢：每次前向都是 {evaluated:.3f}"
        )
    if result.params.activation == "linear":
        return Text(
            f"train() varies by ±{spread:.2g}; in a linear network eval() gives exactly the mean, {evaluated:.3f}",
            f"train() 的输出上下波动 ±{spread:.2g}；线性网络里 eval() 正好给出平均值 {evaluated:.3f}",
        )
    return Text(
        f"train() varies by ±{spread:.2g}; after a ReLU eval() is {mean - evaluated:.2g} below the mean",
        f"train() 的输出上下波动 ±{spread:.2g}；经过 ReLU，eval() 比平均值低 {mean - evaluated:.2g}",
    )


def mode_picture(result: "Result") -> Picture:
    """Share of values set to zero with p = 1, by what was called."""
    zeroed = result.zeroed
    names = [CALLS[called] for called in zeroed]
    colors = [GREY if share == 0 else ORANGE for share in zeroed.values()]
    quiet = [called for called, share in zeroed.items() if share == 0]
    listed = Text(", ".join(CALLS[called].en for called in quiet), "、".join(CALLS[called].zh for called in quiet))
    figure = charts.named_bars(
        names, list(zeroed.values()), Text("share set to zero, p = 1", "被置零的比例，p = 1"), colors
    )
    figure["layout"]["xaxis"] |= {"range": [0, 1.1], "tickvals": [0, 0.5, 1]}
    return Picture(
        "modes",
        Text(f"Of these calls only one drops nothing: {listed.en}", f"这几种写法里只有一种不丢：{listed.zh}"),
        Text(
            "Share of values set to zero: "
            + ", ".join(f"{CALLS[c].en} {share:.0%}" for c, share in zeroed.items())
            + ".",
            "被置零的比例：" + "，".join(f"{CALLS[c].zh} {share:.0%}" for c, share in zeroed.items()) + "。",
        ),
        figure,
    )
