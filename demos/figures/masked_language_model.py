"""The figures of `masked_language_model`."""

from typing import TYPE_CHECKING

import torch

from demos.claims.masked_language_model import CHANCE, KEPT, answering, floor, leaks, paths, standard_error
from demos.kit import charts
from demos.kit.charts import BLUE, GREEN, GREY, ORANGE, Axis, Guide, Line
from demos.kit.contract import Picture
from language import Text, same

if TYPE_CHECKING:
    from demos.masked_language_model import Result

METHODS = {
    "column": Text("mask its key's scores", "屏蔽它的 key 的分数"),
    "no_residual": Text("the same, without residual", "同上，再去掉残差"),
    "diagonal": Text("everyone but oneself", "除自己之外都能看"),
    "raw": Text("the same, keys and values from the input", "同上，key、value 只来自输入"),
    "causal": Text("causal: name the next word", "因果：说出下一个词"),
    "mask": Text("replace it by [MASK]", "换成 [MASK]"),
    "bert": same("BERT: 80/10/10"),
}
DATA = {
    "noise": Text("random", "随机"),
    "pattern": Text("progression", "等差数列"),
}


def pictures(result: "Result") -> list[Picture]:
    """The loss, the paths to the hidden word's row, the prediction for it, and the prediction for visible words."""
    made = [loss_picture(result), reach_picture(result), prediction_picture(result)]
    return [*made, visible_picture(result)] if result.params.method in ("mask", "bert") else made


def loss_picture(result: "Result") -> Picture:
    """Training loss, ten steps to a point, with what an honest guess costs."""
    loss, lowest = result.trial.losses.mean().item(), floor(result.params)
    steps = torch.arange(5, len(result.curve), 10)
    series = [Line(METHODS[result.params.method], steps, result.curve.view(-1, 10).mean(-1), BLUE)]
    reference = (result.params.method, result.params.layers, result.params.data) != ("column", 2, "noise")
    if reference:
        name = Text("key masked, random words", "屏蔽 key，随机词")
        series.append(Line(name, steps, result.leak_curve.view(-1, 10).mean(-1), GREY, dash="dot"))
    guide = Guide(CHANCE, Text("ln 16: knows nothing", "ln 16：一无所知"))
    if lowest < CHANCE and result.params.data == "noise":  # under 80/10/10 a fifth of the chosen words can be seen
        guide = Guide(lowest, Text(f"{lowest:.2f}: honest guess", f"{lowest:.2f}：老实猜"))
    y = Axis(Text("loss (nats)", "损失（nat）"), range=(0, 3.6))
    return Picture(
        "loss",
        loss_title(result, loss, lowest),
        Text(
            f"Training loss against steps; on fresh words it is {loss:.3f}, the dashed line is at {guide.at:.3f}.",
            f"训练损失随步数的变化；在新的词上是 {loss:.3f}，虚线在 {guide.at:.3f} 处。",
        ),
        charts.lines(series, Axis(Text("training step", "训练步数")), y, [guide]),
    )


def loss_title(result: "Result", loss: float, lowest: float) -> Text:
    """What the loss proves: a leak, no leak, a path that training did not find, or nothing at all."""
    if result.params.data == "pattern":
        return Text(
            f"The loss ends at {loss:.2g}, but these words can be inferred: the loss alone does not tell how",
            f"损失最后是 {loss:.2g}；但这些词可以推断出来，单看损失不知道它是怎么做到的",
        )
    if loss < lowest - 5 * standard_error(result.trial.losses):
        return Text(
            f"The words are random, yet the loss falls to {loss:.2g}: the hidden word leaks",
            f"词是随机的，损失却降到 {loss:.2g}：被遮住的词泄漏了",
        )
    if leaks(result.params):
        return Text(
            f"The loss stays at {loss:.2f}: a path to the hidden word exists, this training has not found it",
            f"损失停在 {loss:.2f}：通向被遮住的词的通路存在，只是这次训练没有找到",
        )
    return Text(
        f"The loss stays at {loss:.2f}, the price of an honest guess is {lowest:.2f}: nothing leaks",
        f"损失停在 {loss:.2f}，老实猜的代价是 {lowest:.2f}：没有泄漏",
    )


def reach_picture(result: "Result") -> Picture:
    """Which words the row that names the hidden word depends on, after each layer; 0 marks what cannot reach it."""
    row, hidden = answering(result.params), result.params.position
    moved = result.moved[:, row]  # (layer, word)
    first, last = moved[0, hidden].item(), moved[-1, hidden].item()
    if not leaks(result.params):
        title = Text(
            f"No path: word {hidden} cannot reach the row that has to name it (0 in every layer)",
            f"没有通路：第 {hidden} 个词到不了要说出它的那一行（每层都是 0）",
        )
    elif not paths(result.params)[0, row, hidden]:
        title = Text(
            f"Word {hidden} comes back: row {row} is blind to it after layer 1, and sees it later, through the others",
            f"第 {hidden} 个词绕了回来：第 1 层之后第 {row} 行还看不到它，之后经别的词看到了",
        )
    else:
        title = Text(
            f"Word {hidden} is in its own row from layer 1 on, although nobody may attend to it",
            f"谁都不能关注第 {hidden} 个词，可从第 1 层起它就在自己那一行里",
        )
    cells = [["0" if value == 0 else "" for value in values] for values in moved.tolist()]
    layers = [Text(f"layer {layer}", f"第 {layer} 层") for layer in range(1, len(moved) + 1)]
    figure = charts.heatmap(
        moved.clamp_max(1),
        Axis(Text("word that is swapped", "被换掉的词"), ticks=[0, hidden, 11] if hidden < 11 else [0, hidden]),
        Axis("", ticks=range(len(layers)), tick_texts=layers),
        limits=(0, 1),
        texts=cells,
    )
    figure["layout"]["height"] = 130 + 50 * len(layers)
    return Picture(
        "paths",
        title,
        Text(
            f"How far row {row} moves, relative to its size, when one word is swapped; for word {hidden} itself "
            f"{first:.2g} after layer 1 and {last:.2g} after the last layer.",
            f"换掉一个词时第 {row} 行的相对变化；换第 {hidden} 个词本身，第 1 层之后是 {first:.2g}，"
            f"最后一层之后是 {last:.2g}。",
        ),
        figure,
    )


def prediction_picture(result: "Result") -> Picture:
    """The probabilities for the hidden word of one sequence: the planted word, the word of the pattern, the others."""
    planted, truth, predicted = result.params.planted, result.truth, result.predicted
    guessable = result.params.data == "pattern" and truth != planted
    words = torch.arange(len(predicted))
    rest = (words != planted) & ((words != truth) | (not guessable))
    under, other = predicted[planted].item(), predicted[truth].item()
    series = [
        Line(Text("others", "其他词"), words[rest], predicted[rest], GREY),
        Line(Text("under the cover", "遮住的词"), [planted], [under], ORANGE),
    ]
    title = Text(
        f"The word under the cover gets {under:.0%}; chance is {1 / 16:.0%}",
        f"遮住的词得到 {under:.0%} 的概率；瞎猜是 {1 / 16:.0%}",
    )
    if guessable:
        series.append(Line(Text("fits the pattern", "符合规律的词"), [truth], [other], GREEN))
        title = Text(
            f"The word under the cover gets {under:.0%}, the word that the others ask for {other:.0%}",
            f"遮住的词得到 {under:.0%} 的概率，由其他词推出的词得到 {other:.0%}",
        )
    ticks = (0, 4, 8, 12, 15)
    return Picture(
        "prediction",
        title,
        Text(
            f"Predicted probabilities of the 16 words; word {planted} is under the cover and gets {under:.3f}, "
            f"the word that stood there before, {truth}, gets {other:.3f}.",
            f"16 个词的预测概率；遮住的是词 {planted}，得到 {under:.3f}；原来的词是 {truth}，得到 {other:.3f}。",
        ),
        charts.bars(
            series,
            Axis(Text("word", "词"), ticks=ticks),
            Axis(Text("probability", "概率"), range=(0, 1)),
            touching=True,
        ),
    )


def visible_picture(result: "Result") -> Picture:
    """What comes out at words that are not hidden, by distance from the word that stands there."""
    visible = result.trial.visible
    shown = visible[0].item()
    distances = torch.arange(len(visible))
    return Picture(
        "visible",
        Text(
            f"Where nothing is hidden, the output gives the word that stands there {shown:.0%}",
            f"没有遮住的位置上，输出给摆在那里的词 {shown:.0%} 的概率",
        ),
        Text(
            f"Mean probability at visible words by distance from the word shown; {shown:.3f} for the word itself.",
            f"可见的词的位置上，各个词的平均概率（按与所示词的距离）；所示词自己是 {shown:.3f}。",
        ),
        charts.bars(
            [
                Line(Text("word shown", "所示的词"), distances[:1], visible[:1], ORANGE),
                Line(Text("other words", "其他词"), distances[1:], visible[1:], GREY),
            ],
            Axis(Text("distance from the word shown (mod 16)", "与所示词的距离（模 16）"), ticks=(0, 4, 8, 12, 15)),
            Axis(Text("probability", "概率"), range=(0, 1)),
            (Guide(KEPT, Text("best under 80/10/10", "80/10/10 下的最优")),),
            touching=True,
        ),
    )
