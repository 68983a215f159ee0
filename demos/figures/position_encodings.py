"""The figures of `position_encodings`."""

from typing import TYPE_CHECKING

import torch

from demos.kit import charts
from demos.kit.charts import BLUE, GREEN, GREY, ORANGE, Axis, Guide, Line
from demos.kit.contract import Picture
from demos.kit.position_schemes import SCHEMES
from language import Text

if TYPE_CHECKING:
    from demos.position_encodings import Result

BACK = 3
BANDS = ((3, 8), (8, 16), (16, 32), (32, 40), (40, 64), (64, 128), (128, 256))


def pictures(result: "Result") -> list[Picture]:
    """Accuracy beyond the training length, the shift test, and what the scheme makes of a distance."""
    made = [accuracy_picture(result), shift_picture(result)]
    if result.params.scheme == "rope":
        made += [distance_picture(result), angle_picture(result)]
    if result.params.scheme in ("alibi", "t5"):
        made.append(bias_picture(result))
    return made


def accuracy_picture(result: "Result") -> Picture:
    """Accuracy by position after training on 32 positions; RoPE stays as a reference."""
    params, name = result.params, SCHEMES[result.params.scheme]
    divided = params.scheme == "rope" and params.interpolation > 1
    if divided:
        name = Text(f"RoPE, positions ÷ {params.interpolation}", f"RoPE，位置 ÷ {params.interpolation}")
    middle = [(start * stop) ** 0.5 for start, stop in BANDS]

    def by_band(accuracy: torch.Tensor) -> list[float]:
        return [accuracy[start - BACK : stop - BACK].mean().item() for start, stop in BANDS]

    series = [Line(name, middle, by_band(result.accuracy), BLUE, markers=True)]
    if divided or params.scheme != "rope":
        series.append(Line("RoPE", middle, by_band(result.rope_accuracy), GREY, dash="dot"))
    if params.scheme == "rope" and not divided:
        window = Text("RoPE, last 32 tokens only", "RoPE，只看最近 32 个")
        series.append(Line(window, middle, by_band(result.rope_in_window), GREEN, dash="dash"))
    inside, far = result.accuracy[: 32 - BACK].mean().item(), result.accuracy[128 - BACK :].mean().item()
    ticks = (4, 8, 16, 32, 64, 128, 256)
    return Picture(
        "accuracy",
        Text(
            f"{name.en}: {inside:.0%} right within the training length, {far:.0%} at positions 128 to 255",
            f"{name.zh}：训练长度以内正确率 {inside:.0%}，第 128 到 255 个位置 {far:.0%}",
        ),
        Text(
            f"Accuracy at naming the symbol 3 back: {inside:.3f} before position 32, {far:.3f} from position 128 on.",
            f"输出 3 个位置之前的符号，各位置的正确率：第 32 个之前 {inside:.3f}，第 128 个之后 {far:.3f}。",
        ),
        charts.lines(
            series,
            Axis(Text("position", "位置"), log=True, ticks=ticks),
            Axis(Text("accuracy", "正确率"), range=(0, 1.2), ticks=(0, 0.25, 0.5, 0.75, 1)),
            (
                Guide(1 / 16, Text("chance", "瞎猜")),
                Guide(32, Text("training length", "训练长度"), vertical=True),
            ),
        ),
    )


def shift_picture(result: "Result") -> Picture:
    """Scores before and after both tokens move, with the diagonal."""
    shift, one_head = result.params.shift, slice(None, None, 5)
    before, after = result.before[0, one_head], result.after[0, one_head]
    change = (result.after - result.before).abs().max().item()
    ends = torch.stack([before.min(), before.max()])
    relative = result.params.scheme not in ("learned", "sinusoidal")
    kind = Text("Relative", "相对位置") if relative else Text("Absolute", "绝对位置")
    if result.params.scheme == "none":
        kind = Text("No encoding", "不加位置编码")
    moved = Text(f"{kind.en}: moving both tokens by {shift}", f"{kind.zh}：两个 token 同时平移 {shift}")
    title = (
        Text(f"{moved.en} leaves every score on the diagonal", f"{moved.zh}，分数都还在对角线上")
        if relative
        else Text(f"{moved.en} changes scores by up to {change:.2g}", f"{moved.zh}，分数最多变 {change:.2g}")
    )
    return Picture(
        "shift",
        title,
        Text(
            f"Scores before and after the shift; the largest change is {change:.2g}.",
            f"平移前后的分数，最大变化 {change:.2g}。",
        ),
        charts.scatter(
            [Line(Text("scores of one head", "一个头的分数"), before, after, BLUE if relative else ORANGE)],
            Axis(Text("score before the shift", "平移前的分数")),
            Axis(Text("score after the shift", "平移后的分数")),
            [Line(Text("no change", "不变"), ends, ends, GREY, dash="dot")],
        ),
    )


def distance_picture(result: "Result") -> Picture:
    """RoPE and distance: random vectors do not notice it, equal vectors do."""
    shown = torch.cat([torch.arange(1, 64), torch.arange(64, len(result.same_vector), 8)])
    places = [max(offset, 0.8) for offset in result.offsets]  # a log axis has no 0
    low, high = result.spreads.min().item(), result.spreads.max().item()
    return Picture(
        "distance",
        Text(
            "RoPE does not shrink scores with distance; only vectors that agree lose their agreement, in waves",
            "RoPE 不会让分数随距离变小；只有原本一致的向量会起伏着失去一致",
        ),
        Text(
            f"Spread of random scores by offset, between {low:.3f} and {high:.3f} of √dₕ; the score of equal vectors "
            f"falls in waves to {result.same_vector[-1]:.3f} of its start.",
            f"各偏移下随机分数的离散程度，在 √dₕ 的 {low:.3f} 到 {high:.3f} 倍之间；"
            f"相同向量的分数起伏着降到起点的 {result.same_vector[-1]:.3f}。",
        ),
        charts.lines(
            [
                Line(
                    Text("random q, k: std ÷ √dₕ", "随机 q、k：标准差 ÷ √dₕ"),
                    places,
                    result.spreads,
                    BLUE,
                    markers=True,
                ),
                Line(Text("q = k: score ÷ dₕ", "q = k：分数 ÷ dₕ"), shown, result.same_vector[shown], ORANGE),
            ],
            Axis(Text("offset (left end: 0)", "偏移（最左为 0）"), log=True, ticks=(1, 10, 100, 1000)),
            Axis(Text("score, normalised", "归一化的分数")),
        ),
    )


def angle_picture(result: "Result") -> Picture:
    """Turns of each pair in training, and in a context 8 times as long with divided positions."""
    params, pairs = result.params, torch.arange(len(result.turns))
    unseen, ratio = int((result.turns < 1).sum()), 8 / params.interpolation
    later = Text("8 times the length takes them to angles never seen", "长度变成 8 倍，它们就会转到没见过的角度")
    if not unseen:
        later = Text("longer inputs bring no new angles, only new distances", "再长也没有新的角度，只有新的距离")
    elif ratio <= 1:
        later = Text(
            "dividing by 8 keeps 8 times the length within them", "位置除以 8，长度 8 倍也不会超出训练过的角度"
        )
    figure = charts.lines(
        [
            Line(Text("in training", "训练时"), pairs, result.turns, BLUE),
            Line(Text("8 × as long", "长度 8 倍"), pairs, result.turns * ratio, ORANGE, dash="dash"),
        ],
        Axis(Text("pair i", "第 i 对")),
        Axis(Text("turns", "圈数"), log=True),
        (Guide(1, Text("one full turn", "一整圈")),),
    )
    figure["layout"]["annotations"][0] |= {"x": 0, "xanchor": "left"}  # the curves leave the left end free
    return Picture(
        "angles",
        Text(
            f"{unseen} of {len(pairs)} pairs have not completed a turn in training; {later.en}",
            f"{len(pairs)} 对里有 {unseen} 对在训练中没转满一圈；{later.zh}",
        )
        if unseen
        else Text(
            f"All {len(pairs)} pairs complete a turn in training: {later.en}",
            f"{len(pairs)} 对在训练中都转满了一圈：{later.zh}",
        ),
        Text(
            f"Turns by pair on a log scale at length {params.length}; at 8 times the length {ratio:g} times as many.",
            f"各对坐标转过的圈数（对数坐标）：长度 {params.length} 时，以及长度 8 倍时（圈数为 {ratio:g} 倍）。",
        ),
        figure,
    )


def bias_picture(result: "Result") -> Picture:
    """What is added to the score at each distance, for a few heads."""
    biases, trained = result.biases[:, :161], result.params.scheme == "t5"
    chosen = [0, len(biases) // 2, len(biases) - 1]
    series = [
        Line(Text(f"head {head + 1}", f"第 {head + 1} 个头"), torch.arange(161), biases[head], color)
        for head, color in zip(chosen, (BLUE, GREEN, ORANGE), strict=True)
    ]
    title = (
        Text(
            "The T5 bias learned a peak at distance 3; from distance 35 on its buckets were never trained",
            "T5 偏置在距离 3 学出了一个峰；距离 35 以后的桶从未训练过",
        )
        if trained
        else Text(
            "ALiBi's penalty is a straight line per head: steep heads see only their neighbours",
            "ALiBi 的惩罚是每个头一条直线：斜率大的头只看得见近处",
        )
    )
    return Picture(
        "bias",
        title,
        Text(
            f"Bias; at distance 100 it is {biases[0, 100]:.3g} in the first head, {biases[-1, 100]:.3g} in the last.",
            f"各距离的偏置；距离 100 时，第一个头 {biases[0, 100]:.3g}，最后一个头 {biases[-1, 100]:.3g}。",
        ),
        charts.lines(
            series,
            Axis(Text("distance (query − key)", "距离（query − key）")),
            Axis(Text("added to the score", "加到分数上的值"), range=None if trained else (-12, 0.5)),
        ),
    )
