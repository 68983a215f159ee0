"""The figures of `sinusoidal_encoding`."""

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from demos.kit import charts
from demos.kit.charts import BLUE, GREY, ORANGE, Axis, Guide, Line
from demos.kit.contract import Picture
from language import Text

if TYPE_CHECKING:
    from demos.sinusoidal_encoding import Result

CELLS = 128  # a heatmap shows at most this many rows and columns


def pictures(result: "Result") -> list[Picture]:
    """The encoding, its similarity over distance, the scores it gives, and why it is needed."""
    return [encoding_picture(result), similarity_picture(result), score_picture(result), order_picture(result)]


def every(count: int, name: Text) -> tuple[int, Text]:
    """How many of `count` rows to step over so that at most `CELLS` remain, and the axis title that says so."""
    step = math.ceil(count / CELLS)
    return step, name if step == 1 else Text(f"{name.en} (1 in {step} shown)", f"{name.zh}（每 {step} 个画 1 个）")


def thinned(values: Tensor, x: Text, y: Text) -> dict[str, Any]:
    """A diverging heatmap of at most 128 × 128 cells whose axes still count in the original units."""
    (down, y), (across, x) = every(values.shape[0], y), every(values.shape[1], x)
    figure = charts.heatmap(values[::down, ::across], Axis(x), Axis(y), diverging=True)
    figure["data"][0] |= {"x0": 0, "dx": across, "y0": 0, "dy": down}
    return figure


def encoding_picture(result: "Result") -> Picture:
    """The encoding itself: fast columns, slow columns."""
    length, pairs = len(result.encoding), len(result.frequencies)
    slow = int((2 * math.pi / result.frequencies > length).sum())
    longest = 2 * math.pi / result.frequencies.min().item()
    return Picture(
        "encoding",
        Text(
            f"Each pair of columns is a clock; {slow} of {pairs} are too slow to finish a turn in {length} positions",
            f"每对列像一只钟：{pairs} 只里有 {slow} 只太慢，{length} 个位置内转不满一圈",
        ),
        Text(
            f"Heatmap of {length} positions by {2 * pairs} columns; wavelengths run from 6.28 to {longest:.4g}.",
            f"热图，{length} 个位置、{2 * pairs} 列；波长从 6.28 到 {longest:.4g}。",
        ),
        thinned(result.encoding, Text("column", "列"), Text("position", "位置")),
    )


def similarity_picture(result: "Result") -> Picture:
    """Similarity against distance, with every rise marked."""
    curve, offset = result.similarity, result.params.offset
    rising = torch.cat([torch.tensor([False]), curve.diff() > 0])  # (offset,)
    count, steps = int(rising.sum()), len(curve) - 1
    distance = torch.arange(len(curve))
    series = [Line(Text("similarity", "相似度"), distance, curve)]
    if count:
        ends = rising.nonzero() + torch.tensor([-1, 0])  # (rise, 2)
        gap = torch.full((count, 1), torch.nan)
        across, up = (torch.hstack([values[ends], gap]).flatten() for values in (distance.float(), curve))
        series.append(Line(Text("rising", "回升"), across, up, ORANGE))
    finding = (
        Text(
            f"Similarity rises at {count} of {steps} steps: nearer is not always more similar",
            f"{steps} 步里有 {count} 步相似度在回升：并非越近就越相似",
        )
        if count
        else Text(
            f"Over {steps} steps similarity only falls: no cosine has had time to turn it",
            f"{steps} 步之内相似度一直下降：还没有余弦来得及让它回头",
        )
    )
    here = curve[offset].item()
    axes = Axis(Text("offset k", "偏移 k")), Axis(Text("PE_p · PE_p+k, over d/2", "PE_p · PE_p+k，除以 d/2"))
    figure = charts.lines(series, *axes, [Guide(offset, f"k = {offset}", vertical=True)])
    return Picture(
        "similarity",
        finding,
        Text(
            f"Similarity against offset; it is {here:.3f} at offset {offset} and rises at {count} of {steps} steps.",
            f"相似度随偏移的变化；偏移 {offset} 处为 {here:.3f}，{steps} 步中有 {count} 步上升。",
        ),
        figure,
    )


def score_picture(result: "Result") -> Picture:
    """Scores between bare positions: stripes, or not."""
    share = result.explained.item()
    striped = result.params.projection == "identity"
    title = (
        Text(
            f"Without projections every diagonal has one score: the offset explains {share:.0%} of the variance",
            f"没有投影时，每条对角线上分数相同：偏移解释了 {share:.0%} 的方差",
        )
        if striped
        else Text(
            f"With random W_Q and W_K in between, the offset explains only {share:.0%} of the variance",
            f"隔着随机的 W_Q、W_K，条纹被打乱，偏移只能解释 {share:.0%} 的方差",
        )
    )
    return Picture(
        "scores",
        title,
        Text(f"Heatmap of scores between positions. {title.en}.", f"位置之间的分数热图。{title.zh}。"),
        thinned(result.scores, Text("key position", "key 的位置"), Text("query position", "query 的位置")),
    )


def order_picture(result: "Result") -> Picture:
    """What shuffling the words changes."""
    plain, placed, causal = result.order.tolist()
    names = [
        Text("no positions", "无位置编码"),
        Text("with positions", "有位置编码"),
        Text("causal, no positions", "因果掩码，无位置编码"),
    ]
    axis = Text("largest change of an output", "输出的最大变化")
    return Picture(
        "order",
        Text(
            f"Shuffle 12 words: without positions each output changes by {plain:.1g}, with them by up to {placed:.2f}",
            f"打乱 12 个词：没有位置编码，每个词的输出只变 {plain:.1g}；有位置编码，最多变 {placed:.2f}",
        ),
        Text(
            f"Three bars: {plain:.1g} without positions, {placed:.2f} with them, {causal:.2f} under a causal mask.",
            f"三条：无位置编码 {plain:.1g}，有位置编码 {placed:.2f}，因果掩码 {causal:.2f}。",
        ),
        charts.named_bars(names, result.order, axis, [GREY, BLUE, ORANGE]),
    )
