"""The figures of `model_choice`."""

from typing import TYPE_CHECKING

import numpy as np
import torch

from demos.kit import charts
from demos.kit.charts import BLUE, GREEN, ORANGE, Axis, Guide, Line
from demos.kit.contract import Picture
from language import Text, same

if TYPE_CHECKING:
    from demos.model_choice import Result, Score

MODELS = {"cnn": same("CNN"), "gru": same("GRU"), "transformer": same("Transformer")}
COLORS = {"cnn": GREEN, "gru": ORANGE, "transformer": BLUE}
TASKS = {
    "motif": Text("find a motif", "找局部模式"),
    "parity": Text("track a state: parity", "跟踪状态：奇偶"),
    "recall": Text("look up a value by key", "按 key 查 value"),
}
SMALL = 0.05  # a gap that is not worth a title
FAR = 20  # parity: positions 21 to 60, twice the training length and more
SHARE = Axis(Text("accuracy", "正确率"), range=(0, 1.05), ticks=(0, 0.25, 0.5, 0.75, 1))


def pictures(result: "Result") -> list[Picture]:
    """Who wins the task, a closer look at why, and what one more token costs."""
    made = [score_picture(result)]
    if result.params.task == "motif":
        made.append(seen_picture(result))
    if result.params.task == "parity":
        made.append(position_picture(result))
    return [*made, flops_picture(result), memory_picture(result)]


def final(score: "Score", task: str) -> float:
    """The number on the scoreboard."""
    return score.accuracy[FAR if task == "parity" else 0 :].mean().item()


def score_picture(result: "Result") -> Picture:
    """Accuracy on new examples, with the number of parameters beside the name."""
    task, scores = result.params.task, result.scores
    values = {kind: final(score, task) for kind, score in scores.items()}
    best = max(values, key=lambda kind: values[kind])
    names = [same(f"{MODELS[kind].en} · {score.parameters:,}") for kind, score in scores.items()]
    each = ", ".join(f"{MODELS[kind].en} {value:.3f}" for kind, value in values.items())
    told = {
        "motif": Text("new sequences with or without 3-1-4", "含或不含 3-1-4 的新序列"),
        "parity": Text("positions 21 to 60, trained on 10", "第 21 到 60 位，训练长度 10"),
        "recall": Text("values of 8 stored pairs", "从 8 对里查 value"),
    }[task]
    return Picture(
        "score",
        Text(
            f"{MODELS[best].en} is best with {values[best]:.0%} ({told.en})",
            f"{MODELS[best].zh} 最好，{values[best]:.0%}（{told.zh}）",
        ),
        Text(
            f"Accuracy on new examples: {each}. Beside each name its number of parameters.",
            f"新样本上的正确率：{each}。名字旁边是参数量。",
        ),
        charts.named_bars(
            names, list(values.values()), Text("accuracy · parameters", "正确率 · 参数量"), list(COLORS.values())
        ),
    )


def seen_picture(result: "Result") -> Picture:
    """How much of the accuracy on training examples carries over."""
    scores, places = result.scores, np.arange(3.0)
    gaps = {kind: score.train_accuracy - final(score, "motif") for kind, score in scores.items()}
    widest, least = max(gaps, key=lambda kind: gaps[kind]), min(scores, key=lambda kind: scores[kind].train_accuracy)
    fitted = scores[least].train_accuracy
    each = ", ".join(f"{MODELS[kind].en} {gap:+.3f}" for kind, gap in gaps.items())
    return Picture(
        "seen",
        Text(
            f"{MODELS[widest].en} loses most from training to new examples: {100 * gaps[widest]:.0f} points",
            f"从训练样本到新样本，{MODELS[widest].zh} 掉得最多：{100 * gaps[widest]:.0f} 个百分点",
        )
        if gaps[widest] > SMALL
        else Text(
            f"None loses much from training to new examples; {MODELS[least].en} has fitted only {fitted:.0%} of its "
            "training examples so far",
            f"从训练样本到新样本都没怎么掉；但 {MODELS[least].zh} 连训练样本也只拟合了 {fitted:.0%}，还没训练够",
        ),
        Text(
            f"Training accuracy minus accuracy on new examples: {each}.",
            f"训练正确率减去新样本上的正确率：{each}。",
        ),
        charts.bars(
            [
                Line(Text("training", "训练"), places, [score.train_accuracy for score in scores.values()], BLUE),
                Line(Text("new", "新样本"), places, [final(score, "motif") for score in scores.values()], ORANGE),
            ],
            Axis(
                range=(-0.5, 3.0), ticks=(0, 1, 2), tick_texts=list(MODELS.values())
            ),  # room for the label at the right
            SHARE,
            (Guide(0.5, Text("chance", "瞎猜")),),
        ),
    )


def position_picture(result: "Result") -> Picture:
    """Parity by position: within the training length, and beyond it."""
    far = {kind: final(score, "parity") for kind, score in result.scores.items()}
    places = torch.arange(len(result.scores["gru"].accuracy)) + 1
    series = [Line(MODELS[kind], places, score.accuracy, COLORS[kind]) for kind, score in result.scores.items()]
    return Picture(
        "positions",
        Text(
            f"Beyond the training length: GRU {far['gru']:.0%}, Transformer {far['transformer']:.0%}, "
            f"CNN {far['cnn']:.0%}",
            f"超出训练长度之后：GRU {far['gru']:.0%}，Transformer {far['transformer']:.0%}，CNN {far['cnn']:.0%}",
        ),
        Text(
            f"Accuracy at saying whether the number of ones so far is odd. Positions 21 to 60: GRU {far['gru']:.3f}, "
            f"Transformer {far['transformer']:.3f}, CNN {far['cnn']:.3f}.",
            f"判断到目前为止 1 的个数是奇是偶，各位置的正确率。第 21 到 60 位：GRU {far['gru']:.3f}，"
            f"Transformer {far['transformer']:.3f}，CNN {far['cnn']:.3f}。",
        ),
        charts.lines(
            series,
            Axis(Text("position", "位置"), ticks=(1, 10, 20, 40, 60)),
            Axis(Text("accuracy", "正确率"), range=(0.4, 1.05), ticks=(0.5, 0.75, 1)),
            (Guide(10, Text("training length", "训练长度"), vertical=True),),
        ),
    )


def flops_picture(result: "Result") -> Picture:
    """Operations for one more token in one layer."""
    width, context, cost = result.params.width, result.params.context, result.cost
    n = np.geomspace(16, 65_536, 61)
    ratio = cost.attention_flops / cost.recurrent_flops
    return Picture(
        "flops",
        Text(
            f"Token {context:,}: a Transformer layer does {ratio:.1f} times the work of a GRU layer of width {width}",
            f"第 {context:,} 个 token：宽度 {width} 时，一层 Transformer 的计算量是一层 GRU 的 {ratio:.1f} 倍",
        ),
        Text(
            f"Floating-point operations for one token: {cost.attention_flops:,} against {cost.recurrent_flops:,}; "
            f"reading the cache costs more than the rest of the layer from {6 * width} tokens on.",
            f"一个 token 的浮点运算：{cost.attention_flops:,} 对 {cost.recurrent_flops:,}；"
            f"从 {6 * width} 个 token 起，读缓存的计算超过该层的其余部分。",
        ),
        charts.lines(
            [
                Line("Transformer", n, 24 * width**2 + 4 * n * width, BLUE),
                Line("GRU", n, np.full_like(n, 12 * width**2), ORANGE, dash="dash"),
            ],
            Axis(Text("tokens so far n", "已处理的 token 数 n"), log=True, ticks=(100, 1000, 10_000)),
            Axis("FLOPs", log=True),
            (Guide(context, "", vertical=True),),
        ),
    )


def memory_picture(result: "Result") -> Picture:
    """Numbers that must be kept for the next token in one layer."""
    width, context, cost = result.params.width, result.params.context, result.cost
    n = np.geomspace(16, 65_536, 61)
    return Picture(
        "memory",
        Text(
            f"After {context:,} tokens: {cost.cached:,} cached numbers per layer against a state of {cost.state:,}",
            f"{context:,} 个 token 之后：每层缓存 {cost.cached:,} 个数，而 GRU 的状态只有 {cost.state:,} 个",
        ),
        Text(
            f"Numbers kept per layer: key–value cache {cost.cached:,}, GRU state {cost.state:,} at any length.",
            f"每层保留的数：KV 缓存 {cost.cached:,} 个；GRU 状态不论多长都是 {cost.state:,} 个。",
        ),
        charts.lines(
            [
                Line(Text("KV cache", "KV 缓存"), n, 2 * n * width, BLUE),
                Line(Text("GRU state", "GRU 状态"), n, np.full_like(n, width), ORANGE, dash="dash"),
            ],
            Axis(Text("tokens so far n", "已处理的 token 数 n"), log=True, ticks=(100, 1000, 10_000)),
            Axis(Text("numbers", "个数"), log=True),
            (Guide(context, "", vertical=True),),
        ),
    )
