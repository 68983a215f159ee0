"""The figures of `causal_mask`."""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from demos.kit import charts
from demos.kit.charts import BLUE, GREEN, ORANGE, Axis, Guide, Line
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
    """Training, two ways of testing, who influences whom, and one symbol replaced."""
    return [curve_picture(result), loss_picture(result), influence_picture(result), replaced_picture(result)]


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
    """Loss on new texts at each position, as in training and as in generation."""
    chosen, causal, length = result.chosen, result.causal, result.params.length
    places = torch.arange(1, length + 1)
    given, honest, reference = (
        losses.mean(0) for losses in (chosen.given, chosen.honest, causal.honest)
    )  # (position,)
    names = Text("whole text", "整段输入"), Text("prefix only", "只给前缀")
    if result.params.mask == "no_shift":
        names = Text("own labels", "自己的标签"), Text("next symbol", "下一个符号")
    series = [Line(names[0], places, given, ORANGE, markers=True)]
    series.append(Line(names[1], places, honest, GREEN, dash="dash", markers=True))
    if result.params.mask != "causal":
        series.append(Line(Text("causal, prefix", "因果掩码，前缀"), places, reference, BLUE, dash="dot"))
    whole, prefix = given.mean().item(), honest.mean().item()
    high = max(2.6, given.max().item(), honest.max().item())
    return Picture(
        "losses",
        loss_title(result.params.mask, whole, prefix),
        Text(
            f"Loss in nats by position, mean of 256 texts; {names[0].en}: {whole:.3f} on average, {given[-1]:.3f} at "
            f"the last position; {names[1].en}: {prefix:.3f}; causal model, prefix only: {reference.mean():.3f}; the "
            f"chain itself: {chosen.truth.mean():.3f}.",
            f"各位置的损失（nat），256 段文本平均。{names[0].zh}：平均 {whole:.3f}，最后一个位置 {given[-1]:.3f}。"
            f"{names[1].zh}：{prefix:.3f}。因果模型只给前缀：{reference.mean():.3f}。链本身：{chosen.truth.mean():.3f}。",
        ),
        charts.lines(
            series,
            Axis(Text("position", "位置"), ticks=ends(length)),
            Axis(NATS, range=(-0.05, 1.05 * high)),
            (Guide(result.entropy, Text("entropy H", "熵 H")), Guide(math.log(8), Text("uniform guess", "均匀瞎猜"))),
        ),
    )


def loss_title(mask: str, whole: float, prefix: float) -> Text:
    """What the two ways of testing say about each other."""
    if mask == "no_shift":
        return Text(
            f"On new texts it scores {whole:.3f} on its own labels, but {prefix:.2f} on the next symbol",
            f"在新文本上，按它自己的标签算是 {whole:.3f}，预测下一个符号却是 {prefix:.2f}",
        )
    if abs(prefix - whole) > 0.1:
        return Text(
            f"On new texts it scores {whole:.2f} as in training, but {prefix:.2f} when it sees only the prefix",
            f"在新文本上，按训练的方式测是 {whole:.2f}，只给前缀却是 {prefix:.2f}",
        )
    return Text(
        f"On new texts it scores {whole:.2f} as in training and {prefix:.2f} from the prefix: what training measures "
        "is what generation gets",
        f"在新文本上，按训练的方式测是 {whole:.2f}，只给前缀是 {prefix:.2f}：训练时量到的，就是生成时得到的",
    )


def ends(length: int) -> list[int]:
    """The first, the middle and the last position."""
    return sorted({1, (length + 1) // 2, length})


def influence_picture(result: "Result") -> Picture:
    """Which input symbols move which outputs, on a log scale."""
    influence, length = result.chosen.influence, result.params.length
    reached, above = int((influence > 0).sum()), influence.triu(1).max().item()
    decades = influence.clamp(min=FAINTEST).log10()
    axis = {"ticks": [place - 1 for place in ends(length)], "tick_texts": list(map(str, ends(length)))}
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


def replaced_picture(result: "Result") -> Picture:
    """How far each output moves when one input symbol is replaced."""
    length = result.params.length
    place = min(result.params.replaced, length)
    moved = result.chosen.influence[:, place - 1]  # (output,)
    before, after = moved[: place - 1], moved[place - 1 :].max().item()
    if place == 1:
        title = Text(
            f"Replace symbol 1: there is no output before it; from there on they move by up to {after:.2g}",
            f"替换第 1 个符号：它前面没有输出；从它开始最多变化 {after:.2g}",
        )
    elif before.max() > 0:
        title = Text(
            f"Replace symbol {place}: the {place - 1} outputs before it move as well, by up to {before.max():.2g}",
            f"替换第 {place} 个符号：前面的 {place - 1} 个输出也变了，最多变化 {before.max():.2g}",
        )
    else:
        title = Text(
            f"Replace symbol {place}: the {place - 1} outputs before it do not move at all",
            f"替换第 {place} 个符号：前面的 {place - 1} 个输出丝毫不变",
        )
    largest = before.max().item() if place > 1 else 0.0
    return Picture(
        "replaced",
        title,
        Text(
            f"Largest change of a logit at each of {length} outputs when symbol {place} is replaced: before it at most "
            f"{largest:.3g}, from there on at most {after:.3g}.",
            f"替换第 {place} 个符号时，{length} 个输出各自 logits 的最大变化："
            f"在它之前最多 {largest:.3g}，从它开始最多 {after:.3g}。",
        ),
        charts.bars(
            [Line(Text("change", "变化"), torch.arange(1, length + 1), moved, ORANGE if largest else BLUE)],
            Axis(Text("output at", "第几个输出"), ticks=ends(length)),
            Axis(Text("largest change of a logit", "logits 的最大变化")),
            (Guide(place, Text("replaced", "被替换"), vertical=True),),
        ),
    )
