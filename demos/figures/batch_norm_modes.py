"""The figures of `batch_norm_modes`."""

from typing import TYPE_CHECKING

import numpy as np
import torch

from demos.kit import charts
from demos.kit.charts import BLUE, GREEN, ORANGE, PURPLE, Axis, Guide, Line
from demos.kit.contract import Picture
from language import Text

if TYPE_CHECKING:
    from demos.batch_norm_modes import Result

POINTS = 150
BINS = 49


def pictures(result: "Result") -> list[Picture]:
    """Inputs and outputs in both modes, the running statistics, a forgotten eval(), and the batch size."""
    return [output_picture(result), running_picture(result), test_picture(result), size_picture(result)]


def output_picture(result: "Result") -> Picture:
    """Training outputs of one feature against its inputs, with the line that inference uses."""
    size = result.params.batch
    x, trained, evaluated = (v[..., 0].flatten() for v in (result.batches, result.outputs, result.evaluated))
    every = -(-len(x) // POINTS)  # thin out evenly, rounding up
    gap = (trained - evaluated).abs().mean().item()
    title = Text(
        f"With {size} samples per batch, training and inference differ by {gap:.2f} on average for the same input",
        f"每批 {size} 个样本时，同样的输入，训练与推理的输出平均相差 {gap:.2f}",
    )
    if size == 2 and trained.abs().median() > 0.99:
        title = Text(
            "Two samples per batch: training gives −1 or +1 whatever the input; inference is a straight line",
            "每批两个样本：无论输入是什么，训练的输出只有 −1 和 +1；推理则是一条直线",
        )
    ends = torch.stack([x.argmin(), x.argmax()])
    dots = Line(Text("training", "训练"), x[::every], trained[::every], ORANGE)
    line = Line(Text("inference", "推理"), x[ends], evaluated[ends], BLUE)
    alt = Text(
        f"Scatter of outputs over inputs of one feature, batches of {size}; mean gap to the inference line {gap:.3f}.",
        f"一个特征的输出随输入变化的散点图，每批 {size} 个样本；与推理直线平均相差 {gap:.3f}。",
    )
    axes = Axis(Text("input", "输入")), Axis(Text("output before γ and β", "输出（γ、β 之前）"))
    return Picture("outputs", title, alt, charts.scatter([dots], *axes, along=[line]))


def running_picture(result: "Result") -> Picture:
    """Running mean and variance over the steps, of one feature and averaged over all, with the truth."""
    params = result.params
    steps = torch.arange(1, params.steps + 1)
    mean, variance = result.running.mean(-1)  # (step,) each, averaged over features
    one_mean, one_variance = result.running[:, :, 0]
    dots, truth = params.steps == 1, (params.mean, params.deviation**2)
    series = [
        Line(Text("mean, 1 feature", "均值，单个特征"), steps, one_mean, ORANGE, "dot", dots),
        Line(Text("mean, all 64", "均值，64 个平均"), steps, mean, ORANGE, markers=dots),
        Line(Text("var., 1 feature", "方差，单个特征"), steps, one_variance, BLUE, "dot", dots),
        Line(Text("var., all 64", "方差，64 个平均"), steps, variance, BLUE, markers=dots),
    ]
    guides = Guide(truth[0], Text("true mean", "真实均值")), Guide(truth[1], Text("true variance", "真实方差"))
    figure = charts.lines(series, Axis(Text("step", "步数")), Axis(Text("running statistic", "滑动统计量")), guides)
    for label in figure["layout"]["annotations"]:
        label |= {"x": 0, "xanchor": "left"}  # the averages start low, so the left end is free
    last = f"{mean[-1]:.3g}", f"{variance[-1]:.3g}"
    return Picture(
        "running",
        Text(
            f"After {params.steps} steps from (0, 1), the running mean is {last[0]} (true {truth[0]:.3g}) and the "
            f"running variance {last[1]} (true {truth[1]:.3g})",
            f"从 (0, 1) 出发走 {params.steps} 步，滑动均值为 {last[0]}（真实值 {truth[0]:.3g}），"
            f"滑动方差为 {last[1]}（真实值 {truth[1]:.3g}）",
        ),
        Text(
            f"Running statistics over the steps, one feature and the average of 64; they end at {last[0]} and "
            f"{last[1]}.",
            f"滑动统计量随步数的变化，单个特征与 64 个特征的平均；最后为 {last[0]} 和 {last[1]}。",
        ),
        figure,
    )


def test_picture(result: "Result") -> Picture:
    """The shifted test batch with and without eval()."""
    both = torch.stack([result.test_training.flatten(), result.test_inference.flatten()])  # (mode, value)
    means = [f"{mean:z.2f}" for mean in both.mean(1).tolist()]
    tails = np.quantile(both, (0.002, 0.998), axis=1)  # (end, mode); numpy sorts much faster than torch
    low, high = tails[0].min().item(), tails[1].max().item()
    width = (high - low) / BINS
    middles = low + width * (torch.arange(BINS) + 0.5)
    heights = [torch.histc(values, BINS, low, high) / len(values) / width for values in both]
    series = [
        Line(Text("eval() forgotten", "忘了 eval()"), middles, heights[0], ORANGE),
        Line(Text("inference", "推理"), middles, heights[1], BLUE),
    ]
    shift = result.params.shift
    data = Text("Test data like the training data", "测试数据与训练数据同分布")
    if shift:
        data = Text(f"Test data shifted by {shift:g}σ", f"测试数据偏移 {shift:g}σ")
    return Picture(
        "test",
        Text(
            f"{data.en}: without eval() the mean of the outputs is {means[0]}, at inference {means[1]}",
            f"{data.zh}：忘了 eval()，输出的均值为 {means[0]}；推理模式下为 {means[1]}",
        ),
        Text(
            f"Two densities of test outputs, batch statistics (mean {means[0]}) and running statistics (mean "
            f"{means[1]}).",
            f"测试输出的两条密度曲线：用批统计量（均值 {means[0]}）与用滑动统计量（均值 {means[1]}）。",
        ),
        charts.lines(series, Axis(Text("output before γ and β", "输出（γ、β 之前）")), Axis(charts.DENSITY)),
    )


def size_picture(result: "Result") -> Picture:
    """What the batch size costs: noise, and gradient that does not arrive."""
    sweep, sizes = result.sweep, torch.tensor(result.sizes)
    place = result.sizes.index(result.params.batch)
    noise, share = sweep.output_noise[place].item(), sweep.gradient[place].item()
    series = [
        Line(Text("gradient that arrives", "传到输入的梯度"), sizes, sweep.gradient, GREEN, markers=True),
        Line(Text("noise of one output", "单个输出的噪声"), sizes, sweep.output_noise, ORANGE),
        Line(Text("noise of the mean ≈ σ/√m", "批均值的噪声 ≈ σ/√m"), sizes, sweep.mean_noise, PURPLE, dash="dot"),
    ]
    x = Axis(Text("batch size m", "批大小 m"), log=True, ticks=(*result.sizes[::2], 256))
    y = Axis(Text("share, or noise", "占比或噪声"), range=(0, 1.05))
    return Picture(
        "sizes",
        Text(
            f"At m = {result.params.batch}, {share:.0%} of the squared gradient reaches the input, and one sample's "
            f"output varies by ±{noise:.2f} with its batch-mates",
            f"m = {result.params.batch} 时，梯度平方的 {share:.0%} 能传到输入；"
            f"同一样本的输出随同批样本波动 ±{noise:.2f}",
        ),
        Text(
            f"Against batch size: gradient share {share:.3f}, output noise {noise:.3f}, noise of the batch mean "
            f"{sweep.mean_noise[place]:.3f} at the chosen size.",
            f"随批大小的变化；当前大小下梯度占比 {share:.3f}，输出噪声 {noise:.3f}，"
            f"批均值的噪声 {sweep.mean_noise[place]:.3f}。",
        ),
        charts.lines(series, x, y, (Guide(result.params.batch, "", vertical=True),)),
    )
