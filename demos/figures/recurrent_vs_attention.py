"""The figures of `recurrent_vs_attention`."""

import math
from typing import TYPE_CHECKING

import torch

from demos.kit import charts
from demos.kit.charts import BLUE, GREEN, GREY, ORANGE, Axis, Guide, Line
from demos.kit.contract import Picture
from language import Text, same

if TYPE_CHECKING:
    from demos.recurrent_vs_attention import Result

FLOOR = 1e-20  # where a curve is drawn that has fallen below it
LEARNERS = {
    "rnn": same("RNN"),
    "lstm_0": Text("LSTM, bias 0", "LSTM，偏置 0"),
    "lstm_4": Text("LSTM, bias 4", "LSTM，偏置 4"),
    "attention": Text("attention", "注意力"),
}
LAYERS = {"default": same("RNN"), "lstm": same("LSTM"), "attention": Text("attention", "注意力")}
COLORS = {"default": ORANGE, "lstm": BLUE, "attention": GREEN}
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def pictures(result: "Result") -> list[Picture]:
    """The gradient over distance, what is learned over distance, what waits for what, and the bill."""
    return [gradient_picture(result), recall_picture(result), chain_picture(result), cost_picture(result)]


def written(value: float) -> str:
    """A positive number: 0.93, 4,200, or a power of ten where it is tiny or huge."""
    if value == 0:
        return "0"
    if 0.01 <= value < 1e6:
        return f"{value:,.2f}" if value < 10 else f"{value:,.0f}"
    digit, power = f"{value:.0e}".split("e")  # rounds 9.7e-18 up to 1e-17
    return f"{digit}×10{str(int(power)).translate(SUPERSCRIPT)}"


def gradient_picture(result: "Result") -> Picture:
    """How much gradient reaches an input so many tokens back."""
    params = result.params
    far = min(50, params.length - 1)
    curves = {"default": result.rnn, "lstm": result.lstm, "attention": result.attention}
    kept = [written((curve[far] / curve[1]).item()) for curve in curves.values()]
    distance = torch.arange(params.length)
    series = [
        Line(LAYERS[kind], distance, curve.float().clamp_min(FLOOR), COLORS[kind]) for kind, curve in curves.items()
    ]
    top = max(curve.max().item() for curve in curves.values())
    reach = (FLOOR, 10.0 ** math.ceil(math.log10(top) + 0.5))
    powers = [power for power in range(-20, 40, 10) if power <= math.log10(reach[1])]
    y = Axis(
        Text("size of the gradient", "梯度的大小"),
        log=True,
        range=reach,
        ticks=[10.0**power for power in powers],
        tick_texts=[f"10{str(power).translate(SUPERSCRIPT)}" if power else "1" for power in powers],
    )
    return Picture(
        "gradient",
        Text(
            f"From 1 to {far} tokens back the gradient changes by a factor of {kept[0]} in the RNN, {kept[1]} in the "
            f"LSTM with forget bias {params.bias:g}, {kept[2]} in attention",
            f"从往回 1 个 token 到往回 {far} 个，梯度变为原来的：RNN {kept[0]} 倍，遗忘门偏置 {params.bias:g} 的 LSTM "
            f"{kept[1]} 倍，注意力 {kept[2]} 倍",
        ),
        Text(
            f"Gradient of the last output by distance, log scale, {params.length} tokens. At {far}: RNN "
            f"{written(result.rnn[far].item())}, LSTM {written(result.lstm[far].item())}, attention "
            f"{written(result.attention[far].item())}; below 10⁻²⁰ curves lie on the lower edge.",
            f"最后一个输出对各距离输入的梯度（对数坐标，{params.length} 个 token）。往回 {far} 个："
            f"RNN {written(result.rnn[far].item())}，LSTM {written(result.lstm[far].item())}，"
            f"注意力 {written(result.attention[far].item())}；小于 10⁻²⁰ 的画在下边缘。",
        ),
        charts.lines(series, Axis(Text("tokens back from the output", "离输出多少个 token")), y),
    )


def recall_picture(result: "Result") -> Picture:
    """Accuracy at recalling the first token after the same number of steps."""
    shown = {name: f"{share:.0%}" for name, share in result.accuracy.items()}
    length = result.params.distance
    colors = (ORANGE, BLUE, BLUE, GREEN)
    figure = charts.named_bars(
        list(LEARNERS.values()), list(result.accuracy.values()), Text("accuracy", "正确率"), colors
    )
    figure["layout"]["xaxis"]["range"] = [0, 1.08]
    guide = {"type": "line", "x0": 0.125, "x1": 0.125, "y0": 0, "y1": 1, "yref": "paper"}
    figure["layout"]["shapes"].append(guide | {"line": {"color": GREY, "width": 1.5, "dash": "dot"}})
    listed = [f"{LEARNERS[name].en} {share}" for name, share in shown.items()]
    listed_zh = [f"{LEARNERS[name].zh} {share}" for name, share in shown.items()]
    return Picture(
        "recall",
        Text(
            f"Naming the first of {length} tokens after 200 training steps: RNN {shown['rnn']}, LSTM "
            f"{shown['lstm_0']}, with open gates {shown['lstm_4']}, attention {shown['attention']}",
            f"训练 200 步后说出 {length} 个 token 里的第一个：RNN {shown['rnn']}，LSTM {shown['lstm_0']}，"
            f"打开遗忘门 {shown['lstm_4']}，注意力 {shown['attention']}",
        ),
        Text(
            f"Bars of accuracy: {', '.join(listed)}; a dotted line marks chance, one in eight.",
            f"正确率的条形图：{'；'.join(listed_zh)}；虚线是瞎猜的八分之一。",
        ),
        figure,
    )


def chain_picture(result: "Result") -> Picture:
    """The longest chain of operations that wait for one another."""
    series = [
        Line(LAYERS[kind], result.chained, [float(count) for count in counts], COLORS[kind], markers=True)
        for kind, counts in result.chains.items()
    ]
    last = {kind: counts[-1] for kind, counts in result.chains.items()}
    most = result.chained[-1]
    return Picture(
        "chain",
        Text(
            f"Operations that wait for one another, {most} tokens: RNN {last['default']}, LSTM {last['lstm']}, "
            f"attention {last['attention']}, as at any length",
            f"{most} 个 token 时必须依次进行的运算：RNN {last['default']} 个，LSTM {last['lstm']} 个，"
            f"注意力 {last['attention']} 个，与长度无关",
        ),
        Text(
            f"Longest dependency chain against length, counted in autograd's graph: RNN {result.chains['default']}, "
            f"LSTM {result.chains['lstm']}, attention {result.chains['attention']}.",
            f"autograd 计算图中最长依赖链随长度的变化：RNN {result.chains['default']}，"
            f"LSTM {result.chains['lstm']}，注意力 {result.chains['attention']}。",
        ),
        charts.lines(
            series,
            Axis(Text("tokens", "token 数"), ticks=result.chained),
            Axis(Text("longest chain of operations", "最长的依赖链"), range=(0, 1.08 * max(last.values()))),
        ),
    )


def cost_picture(result: "Result") -> Picture:
    """Multiply-adds against the length, at the chosen width."""
    n, d = result.params.tokens, result.params.width
    here = {kind: counts[result.costed.index(n)] for kind, counts in result.multiply_adds.items()}
    series = [
        Line(LAYERS[kind], result.costed, [float(count) for count in counts], COLORS[kind], markers=True)
        for kind, counts in result.multiply_adds.items()
    ]
    to_lstm, to_rnn = here["attention"] / here["lstm"], here["attention"] / here["default"]
    ticks = result.costed[::2]
    guides = (Guide(2 * d, "n = 2d", vertical=True),)
    return Picture(
        "cost",
        Text(
            f"At {n:,} tokens and width {d:,}, attention takes {to_lstm:.3g} times the multiply-adds of an LSTM and "
            f"{to_rnn:.3g} times those of a simple RNN",
            f"{n:,} 个 token、宽度 {d:,} 时，注意力的乘加是 LSTM 的 {to_lstm:.3g} 倍、普通 RNN 的 {to_rnn:.3g} 倍",
        ),
        Text(
            f"Multiply-adds of one layer against length, both log; here RNN {here['default']:.3g}, LSTM "
            f"{here['lstm']:.3g}, attention {here['attention']:.3g}. Attention and LSTM meet at n = {2 * d:,}.",
            f"一层的乘加次数随长度的变化（双对数）；此处 RNN {here['default']:.3g}，LSTM {here['lstm']:.3g}，"
            f"注意力 {here['attention']:.3g}。注意力与 LSTM 在 n = {2 * d:,} 处相等。",
        ),
        charts.lines(
            series,
            Axis(Text("tokens n", "token 数 n"), log=True, ticks=ticks, tick_texts=[f"{tick:,}" for tick in ticks]),
            Axis(Text("multiply-adds", "乘加次数"), log=True),
            guides,
        ),
    )
