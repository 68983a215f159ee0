"""The figures of `causal_mask`."""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from demos.kit import charts
from demos.kit.charts import BLUE, GREEN, GREY, ORANGE, Axis, Guide, Line
from demos.kit.contract import Picture
from language import Text

if TYPE_CHECKING:
    from demos.causal_mask import Result

MASKS = {
    "causal": Text("causal", "因果掩码"),
    "none": Text("no mask", "不加掩码"),
    "one_open": Text("layer 2 open", "第 2 层漏掉"),
    "zero_after": Text("zeroed after softmax", "softmax 后清零"),
    "no_shift": Text("causal, no shift", "因果但没右移"),
    "strict": Text("diagonal hidden too", "连对角线也屏蔽"),
}
SMOOTH = 10  # training steps per point of the curve
FAINTEST = 1e-3  # influence drawn as nothing
NATS = Text("nats per symbol", "nat / 符号")


def pictures(result: "Result") -> list[Picture]:
    """Training, two ways of testing, who influences whom, and one text seen closely."""
    return [curve_picture(result), loss_picture(result), influence_picture(result), chance_picture(result)]


def is_open(result: "Result") -> bool:
    """Whether the future can be seen: some mask is open and there is a future."""
    return result.params.mask in ("none", "one_open", "zero_after") and result.params.length > 1


def curve_picture(result: "Result") -> Picture:
    """Training loss of both models against the entropy of the texts."""
    name, entropy = MASKS[result.params.mask], result.entropy
    steps = torch.arange(len(result.chosen.curve) // SMOOTH) * SMOOTH + SMOOTH / 2

    def smooth(curve: Tensor) -> Tensor:
        return curve.view(-1, SMOOTH).mean(1)

    series = [Line(name, steps, smooth(result.chosen.curve), ORANGE)]
    if result.params.mask == "causal":
        series = [Line(name, steps, smooth(result.chosen.curve), BLUE)]
    else:
        series.append(Line(MASKS["causal"], steps, smooth(result.causal.curve), BLUE, dash="dash"))
    end, honest = result.chosen.curve[-50:].mean().item(), result.causal.curve[-50:].mean().item()
    where = Text("far below", "远低于") if end < 0.9 * entropy else Text("close to", "接近")
    return Picture(
        "curve",
        Text(
            f"Training loss, {name.en}: it ends at {end:.2f}, {where.en} the entropy {entropy:.2f} of the texts",
            f"训练损失（{name.zh}）：最后是 {end:.2f}，{where.zh}文本本身的熵 {entropy:.2f}",
        ),
        Text(
            f"Training loss over 300 steps, mean of the last 50: {end:.3f}; with the causal mask {honest:.3f}; entropy "
            f"rate {entropy:.3f}; uniform guessing 2.079.",
            f"300 步训练损失，最后 50 步平均 {end:.3f}；加因果掩码时 {honest:.3f}；"
            f"熵率 {entropy:.3f}；均匀瞎猜 2.079。",
        ),
        charts.lines(
            series,
            Axis(Text("training step", "训练步数")),
            Axis(NATS, range=(0, 2.6)),
            (Guide(entropy, Text("entropy H", "熵 H")), Guide(math.log(8), Text("uniform guess", "均匀瞎猜"))),
        ),
    )


def loss_picture(result: "Result") -> Picture:
    """Loss on new texts, as in training and as in generation, for both models."""
    chosen, causal, mask = result.chosen, result.causal, result.params.mask
    own = Text("own labels", "自己的标签") if mask == "no_shift" else Text("whole text", "整段")
    rows = [
        (Text(f"{MASKS[mask].en}: {own.en}", f"{MASKS[mask].zh}：{own.zh}"), chosen.given, ORANGE),
        (Text(f"{MASKS[mask].en}: prefix", f"{MASKS[mask].zh}：前缀"), chosen.honest, ORANGE),
    ]
    if mask != "causal":
        rows.append((Text("causal: whole text", "因果掩码：整段"), causal.given, BLUE))
        rows.append((Text("causal: prefix", "因果掩码：前缀"), causal.honest, BLUE))
    names = [*[name for name, _, _ in rows], Text("the chain itself", "马尔可夫链本身")]
    losses = [*[loss.mean().item() for _, loss, _ in rows], causal.truth.mean().item()]
    colors = [*[BLUE if mask == "causal" else color for _, _, color in rows], GREY]
    given, honest = losses[:2]
    differ = abs(honest - given) > 0.1
    return Picture(
        "losses",
        Text(
            f"On new texts it scores {given:.2f} as in training, but {honest:.2f} when it sees only the prefix"
            if differ
            else f"On new texts it scores {given:.2f} as in training and {honest:.2f} from the prefix: what training "
            "measures is what generation gets",
            f"在新文本上，按训练的方式测是 {given:.2f}，只给前缀却是 {honest:.2f}"
            if differ
            else f"在新文本上，按训练的方式测是 {given:.2f}，只给前缀是 {honest:.2f}：训练时量到的，就是生成时得到的",
        ),
        Text(
            "Loss in nats: "
            + "; ".join(f"{name.en} {loss:.3f}" for name, loss in zip(names, losses, strict=True))
            + ".",
            "损失（nat）："
            + "；".join(f"{name.zh} {loss:.3f}" for name, loss in zip(names, losses, strict=True))
            + "。",
        ),
        charts.named_bars(names, losses, NATS, colors),
    )


def influence_picture(result: "Result") -> Picture:
    """Which input symbols move which outputs, on a log scale."""
    influence, length = result.chosen.influence, result.params.length
    reached, above = int((influence > 0).sum()), influence.triu(1).max().item()
    decades = influence.clamp(min=FAINTEST).log10()
    ticks = sorted({0, length // 2, length - 1})
    axis = {"ticks": ticks, "tick_texts": [str(tick + 1) for tick in ticks]}
    figure = charts.heatmap(
        decades - math.log10(FAINTEST),
        Axis(Text("input replaced at", "替换第几个输入"), **axis),
        Axis(Text("output at", "第几个输出"), **axis),
        limits=(0, 4.5),
    )
    figure["data"][0]["colorbar"] |= {"tickvals": [0, 1, 2, 3, 4], "ticktext": ["0", ".01", ".1", "1", "10"]}
    figure["data"][0]["hovertemplate"] = "%{x} → %{y}<extra></extra>"
    count = f"{reached} = {length}²" if reached == length**2 else f"{reached} = T(T+1)/2"
    return Picture(
        "influence",
        Text(
            f"The future moves the past: {count} pairs of positions are connected"
            if is_open(result)
            else f"Nothing above the diagonal: {count} pairs are connected, none of them backwards in time",
            f"未来影响了过去：有影响的位置对共 {count} 个"
            if is_open(result)
            else f"对角线以上什么也没有：有影响的位置对共 {count} 个，没有一个从后往前",
        ),
        Text(
            f"Heatmap {length} × {length}: how far each output's logits move when one input symbol is replaced; "
            f"{reached} cells are not 0; above the diagonal the largest is {above:.3g}.",
            f"{length} × {length} 热图：替换一个输入符号，各位置输出的 logits 变化多少；"
            f"{reached} 格不为 0，对角线以上最大 {above:.3g}。",
        ),
        figure,
    )


def chance_picture(result: "Result") -> Picture:
    """The probability of the symbol that really comes next, all along one text."""
    chosen, number, length = result.chosen, result.params.text, result.params.length
    losses = (chosen.truth, chosen.given, chosen.honest)
    chain, whole, prefix = ((-loss[number - 1]).exp() for loss in losses)  # (position,) each
    places = torch.arange(1, length + 1)
    before, last, alone = whole[:-1].mean().item(), whole[-1].item(), prefix.mean().item()
    what = Text("its label", "标签") if result.params.mask == "no_shift" else Text("the next symbol", "下一个符号")
    if is_open(result):
        title = Text(
            f"Whole text given: the next symbol gets {before:.0%} on average, but {last:.0%} at the end, where "
            f"there is nothing to copy; from prefixes {alone:.0%}",
            f"整段输入：下一个符号平均得到 {before:.0%}，结尾没有可抄的，是 {last:.0%}；只给前缀时平均 {alone:.0%}",
        )
    else:
        title = Text(
            f"Whole text given: {what.en} gets {whole.mean():.0%} on average; from prefixes the next symbol gets "
            f"{alone:.0%}, as against {chain.mean():.0%} from the chain itself",
            f"整段输入：{what.zh}平均得到 {whole.mean():.0%}；只给前缀时，下一个符号得到 {alone:.0%}，"
            f"链本身是 {chain.mean():.0%}",
        )
    return Picture(
        "chances",
        title,
        Text(
            f"Text {number}, positions 1 to {length}: probability of what comes next. Whole text given: "
            f"{whole.mean():.3f} on average, {last:.3f} at the end; prefix {alone:.3f}; chain {chain.mean():.3f}.",
            f"第 {number} 段文本，第 1 到 {length} 个位置，实际的下一个符号得到的概率："
            f"整段输入平均 {whole.mean():.3f}，结尾 {last:.3f}；前缀 {alone:.3f}；链本身 {chain.mean():.3f}。",
        ),
        charts.lines(
            [
                Line(Text("chain", "链"), places, chain, GREY, dash="dot", markers=True),
                Line(Text("whole text", "整段"), places, whole, ORANGE, markers=True),
                Line(Text("prefix", "前缀"), places, prefix, GREEN, dash="dash", markers=True),
            ],
            Axis(Text("position", "位置"), ticks=sorted({1, (length + 1) // 2, length})),
            Axis(Text("probability", "概率"), range=(-0.02, 1.05)),
        ),
    )
