"""The figures of `sequence_cost`."""

from typing import TYPE_CHECKING

import numpy as np

from demos.claims.sequence_cost import formulas
from demos.kit import charts
from demos.kit.charts import BLUE, GREEN, GREY, ORANGE, PURPLE, Axis, Line
from demos.kit.contract import Picture
from language import Text, same

if TYPE_CHECKING:
    from demos.kit.measured import Measured
    from demos.sequence_cost import Result

LAYERS = {
    "layer": (Text("attention layer", "注意力层"), BLUE, "solid"),
    "core": (Text("its core", "其中的核心"), BLUE, "dot"),
    "lstm": (same("LSTM"), ORANGE, "solid"),
    "rnn": (same("RNN"), GREEN, "solid"),
}
CHAINS = {
    "generation": (Text("attention, generating", "注意力，生成"), PURPLE),
    "rnn": (same("RNN"), GREEN),
    "scan": (Text("linear RNN, scan", "线性 RNN，扫描"), GREY),
    "layer": (Text("attention", "注意力"), BLUE),
}
CLOCKED = {
    "rnn": Text("RNN, step by step", "RNN，逐步"),
    "fused": Text("LSTM, one fused call", "LSTM，一个融合 kernel"),
    "layer": Text("attention layer", "注意力层"),
}


def pictures(result: "Result") -> list[Picture]:
    """FLOPs, waiting, generation, and the clock when asked for."""
    made = [flops_picture(result), chain_picture(result), generation_picture(result)]
    return [*made, clock_picture(result.here)] if result.here else made


def times(ratio: float) -> str:
    """A factor as a reader would say it: 3, 0.75 or 18."""
    return f"{ratio:.3g}"


def flops_picture(result: "Result") -> Picture:
    """The formulas as lines, what was counted as points."""
    length, width, counted = result.params.length, result.params.width, result.flops
    lengths = np.geomspace(8, 4096, 28)
    along = [
        Line(name, lengths, [formulas(n, width)[layer] for n in lengths], color, dash)
        for layer, (name, color, dash) in LAYERS.items()
    ]
    points = Line(Text("counted", "实测计数"), [length] * len(LAYERS), [counted[layer] for layer in LAYERS], GREY)
    rnn, lstm = times(counted["layer"] / counted["rnn"]), times(counted["layer"] / counted["lstm"])
    figure = charts.scatter(
        [points],
        Axis(Text("sequence length n", "序列长度 n"), log=True, ticks=(8, 64, 512, 4096)),
        Axis(Text("FLOPs of one layer", "一层的 FLOPs"), log=True),
        along,
    )
    figure["data"][-1] |= {"marker": {"size": 10, "color": GREY}, "opacity": 1}
    figure["layout"]["yaxis"] |= {"dtick": 2, "exponentformat": "power"}
    return Picture(
        "flops",
        Text(
            f"At n = {length}, d = {width} the attention layer takes {rnn} times the FLOPs of an RNN and {lstm} times "
            "those of an LSTM",
            f"n = {length}、d = {width} 时，注意力层的 FLOPs 是 RNN 的 {rnn} 倍、LSTM 的 {lstm} 倍",
        ),
        Text(
            f"FLOPs by length, log axes. Counted at n = {length}: "
            + ", ".join(f"{name.en} {counted[layer]:,}" for layer, (name, _, _) in LAYERS.items()),
            f"FLOPs 随长度的变化（对数坐标）。n = {length} 时实测计数："
            + "，".join(f"{name.zh} {counted[layer]:,}" for layer, (name, _, _) in LAYERS.items()),
        ),
        figure,
    )


def chain_picture(result: "Result") -> Picture:
    """Operations that wait for one another, by length."""
    length, chains = result.params.length, result.chains
    rnn, layer, scan = chains["rnn"][-1], chains["layer"][-1], chains["scan"][-1]
    generated = [each for each in result.lengths if each <= result.generated]
    series = [
        Line(name, result.lengths[: len(shown)], shown, color, markers=True)
        for key, (name, color) in CHAINS.items()
        for shown in [chains[key][: len(generated)] if key == "generation" else chains[key]]
    ]
    return Picture(
        "chains",
        Text(
            f"{length} tokens: {rnn:,} operations of the RNN have to wait for one another, {layer} of attention in "
            "training",
            f"{length} 个 token：RNN 有 {rnn:,} 步运算要前后等待，训练时的注意力只有 {layer} 步",
        ),
        Text(
            f"Longest chain of dependent operations by length, log axes. At {length}: RNN {rnn}, linear recurrence by "
            f"scan {scan}, attention {layer}; generating with attention, {chains['generation'][len(generated) - 1]} at "
            f"{generated[-1]} tokens.",
            f"最长的前后依赖运算链随长度的变化（对数坐标）。长度 {length}：RNN {rnn}，线性递推用扫描 {scan}，"
            f"注意力 {layer}；用注意力生成 {generated[-1]} 个 token 是 {chains['generation'][len(generated) - 1]}。",
        ),
        charts.lines(
            series,
            Axis(Text("tokens", "token 数"), log=True, ticks=[4**power for power in range(1, 6)]),
            Axis(Text("operations in a row", "前后依赖的运算数"), log=True),
        ),
    )


def generation_picture(result: "Result") -> Picture:
    """FLOPs of one more token by position."""
    made, width = result.generation, result.params.width
    _, here, _ = made.positions
    places = np.geomspace(1, made.positions[-1], 28)
    ratio = times(made.attention[1] / made.recurrent[1])
    known = [
        Line(Text("attention, KV cache", "注意力，KV 缓存"), places, 8 * width**2 + 4 * places * width, BLUE),
        Line(same("LSTM"), places, 16 * width**2 + 0 * places, ORANGE),
    ]
    counted = Line(Text("counted", "实测计数"), [*made.positions] * 2, [*made.attention, *made.recurrent], GREY)
    figure = charts.scatter(
        [counted],
        Axis(Text("position of the token", "token 的位置"), log=True, ticks=made.positions),
        Axis(Text("FLOPs of this token", "这个 token 的 FLOPs"), range=(0, 1.1 * max(made.attention + made.recurrent))),
        known,
    )
    figure["data"][-1] |= {"marker": {"size": 10, "color": GREY}, "opacity": 1}
    return Picture(
        "generation",
        Text(
            f"Generating token {here} costs attention {ratio} times what it costs an LSTM, every further token more",
            f"生成第 {here} 个 token，注意力的运算量是 LSTM 的 {ratio} 倍，之后每个都更多",
        ),
        Text(
            f"FLOPs of one token by position. Attention: {made.attention[0]:,} at 1, {made.attention[1]:,} at {here}, "
            f"{made.attention[2]:,} at {made.positions[2]}; LSTM {made.recurrent[0]:,} everywhere. Kept: "
            f"{made.cache_bytes:,} bytes of cache at {here}, {made.state_bytes:,} of state.",
            f"各位置一个 token 的 FLOPs。注意力：位置 1 为 {made.attention[0]:,}，{here} 为 {made.attention[1]:,}，"
            f"{made.positions[2]} 为 {made.attention[2]:,}；LSTM 处处 {made.recurrent[0]:,}。"
            f"要保存：位置 {here} 处缓存 {made.cache_bytes:,} 字节，状态 {made.state_bytes:,} 字节。",
        ),
        figure,
    )


def clock_picture(here: "Measured") -> Picture:
    """Milliseconds of this machine, shown and not claimed; the peaks of its allocator in the words."""
    middle, (noisy, noisy_zh) = here.middle, here.warning
    quickest = min(middle, key=lambda name: middle[name])
    told = [(CLOCKED[name], f"{value:.3g}") for name, value in middle.items()]
    peaks = [(CLOCKED[name], f"{size:,}") for name, size in here.peaks.items()]
    return Picture(
        "clock",
        Text(
            f"On this device, just now, the quickest was: {CLOCKED[quickest].en}, {middle[quickest]:.3g} ms{noisy}",
            f"本机刚才的计时，最快的是：{CLOCKED[quickest].zh}，{middle[quickest]:.3g} ms{noisy_zh}",
        ),
        Text(
            "Median milliseconds of five passes: "
            + ", ".join(f"{name.en} {value}" for name, value in told)
            + "; peak bytes by the allocator: "
            + ", ".join(f"{name.en} {value}" for name, value in peaks),
            "五次的中位数（毫秒）："
            + "，".join(f"{name.zh} {value}" for name, value in told)
            + "；分配器的峰值字节："
            + "，".join(f"{name.zh} {value}" for name, value in peaks),
        ),
        charts.named_bars([CLOCKED[name] for name in middle], list(middle.values()), Text("milliseconds", "毫秒")),
    )
