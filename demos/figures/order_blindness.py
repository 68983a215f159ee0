"""The figures of `order_blindness`."""

from typing import TYPE_CHECKING

import torch

from demos.kit import charts
from demos.kit.charts import BLUE, GREY, ORANGE, Axis
from demos.kit.contract import Picture
from language import Text

if TYPE_CHECKING:
    from demos.order_blindness import Result

SCHEMES = {
    "none": Text("none", "不加"),
    "sinusoidal": Text("sinusoids", "正弦"),
    "learned": Text("a table with 8 rows", "8 行的表"),
}
REORDERINGS = {
    "swap": Text("swap first and last", "首尾对调"),
    "reverse": Text("reverse", "整句倒序"),
    "shuffle": Text("shuffle", "随机打乱"),
}
NAMES = {
    "blind": Text("no positions", "不加位置"),
    "sinusoids": Text("sinusoids", "正弦编码"),
    "causal": Text("causal mask", "因果掩码"),
    "causal_last": Text("mask, last output", "掩码，读末位"),
    "causal_last_two": Text("the same, 2 layers", "同上，2 层"),
}
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
FEATURES = Axis(Text("feature", "特征"), ticks=(0, 8, 16, 24))


def pictures(result: "Result") -> list[Picture]:
    """The words of two orders, the sentence vectors of all orders, and who learns the order task."""
    return [word_picture(result), sentence_picture(result), accuracy_picture(result)]


def shown(difference: float) -> str:
    """A difference for a title: 0, 1.4×10⁻⁶, 1.3."""
    digits, _, exponent = f"{difference:.1e}".partition("e-")
    if difference >= 1e-3 or difference == 0:
        return f"{difference:.2g}"
    return f"{digits}×10⁻{exponent.lstrip('0').translate(SUPERSCRIPTS)}"


def word_picture(result: "Result") -> Picture:
    """Every word's output in the sentence, and right below it its output in the reordered sentence."""
    count, gap = len(result.words), torch.full_like(result.outputs, float("nan"))
    rows = torch.stack([result.outputs, result.reordered, gap], dim=1).flatten(0, 1)[:-1]  # (3 · word − 1, width)
    centres = [3 * place + 0.5 for place in range(count)]
    figure = charts.heatmap(rows, FEATURES, Axis(ticks=centres, tick_texts=result.words), diverging=True)
    figure["data"][0]["ygap"] = 2  # so that two equal rows still look like two
    figure["layout"]["height"] = 110 + 20 * len(rows)
    apart = shown(result.broken)
    if not result.moved:
        title = Text("Nothing moved: the reordered sentence is the same sentence", "什么都没动：打乱之后还是同一句话")
    elif result.params.blind:
        title = Text(
            f"Blind: in both orders every word gets the same output (largest difference {apart})",
            f"看不到顺序：两种词序下，每个词的输出都一样（最大相差 {apart}）",
        )
    else:
        title = Text(
            f"Not blind: the same word gets another output in the other order (difference up to {apart})",
            f"看得到顺序：换了词序，同一个词的输出就变了（最大相差 {apart}）",
        )
    return Picture(
        "words",
        title,
        Text(
            f"Heat map, two rows for each of {count} words, one for each order; largest difference {apart}.",
            f"热力图，{count} 个词各两行，每行对应一种词序；最大相差 {apart}。",
        ),
        figure,
    )


def sentence_picture(result: "Result") -> Picture:
    """The mean output of every order of the words, one order per row."""
    count, distinct = len(result.orders), result.distinct
    short = count <= 6 and max(map(len, result.orders)) <= 20
    y = Axis(ticks=range(count), tick_texts=result.orders) if short else Axis(Text("order", "词序"))
    figure = charts.heatmap(result.vectors, FEATURES, y, diverging=True)
    figure["layout"]["height"] = 110 + (26 if short else 14) * max(count, 3)
    return Picture(
        "sentences",
        Text(
            f"{count} {'order' if count == 1 else 'orders'} of these words, {distinct} sentence "
            f"{'vector' if distinct == 1 else 'vectors'}",
            f"这些词的 {count} 种词序，得到 {distinct} 个句向量",
        ),
        Text(
            f"Heat map of the mean outputs of {count} orders; {distinct} of them differ.",
            f"{count} 种词序的平均输出热力图，其中不同的有 {distinct} 个。",
        ),
        figure,
    )


def accuracy_picture(result: "Result") -> Picture:
    """Accuracy of the five trained models."""
    shares = {name: trial.accuracy for name, trial in result.trials.items()}
    colors = [GREY if name == "blind" else BLUE if name == "sinusoids" else ORANGE for name in shares]
    listed = [f"{share:.3f}" for share in shares.values()]
    figure = charts.named_bars(
        [NAMES[name] for name in shares], list(shares.values()), Text("accuracy", "正确率"), colors
    )
    figure["layout"]["xaxis"] |= {"range": [0, 1.05], "tickvals": [0, 0.5, 1]}
    return Picture(
        "accuracy",
        Text(
            f"Did A come before B? No positions: {shares['blind']:.0%}. A causal mask alone: {shares['causal']:.0%}",
            f"A 在 B 之前吗？不加位置：{shares['blind']:.0%}；只加因果掩码：{shares['causal']:.0%}",
        ),
        Text(f"Bars of accuracy, from the top: {', '.join(listed)}.", f"正确率条形图，自上而下：{'、'.join(listed)}。"),
        figure,
    )
