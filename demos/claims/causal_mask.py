"""The claims of `causal_mask`."""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from demos.kit.contract import Claim
from language import Text, same

if TYPE_CHECKING:
    from demos.causal_mask import Result

EPSILON = torch.finfo(torch.float32).eps
SUMMED = 128  # the longest sum behind a logit: the inner width of the feed-forward network
LEAKY = ("none", "one_open", "zero_after")


def claims(result: "Result") -> list[Claim]:
    """What a correct mask guarantees, what a leak looks like, and what each mistake does."""
    mask, made = result.params.mask, [*causal_claims(result), *rule_claims(result)]
    if mask in LEAKY and result.params.length > 1:
        made += leak_claims(result)
    if mask == "one_open" and result.params.length > 1:
        sentence = Text("One open layer of two: pairs of positions with influence", "两层里漏掉一层：有影响的位置对数")
        made.append(pairs_claim("one_open_layer_connects_all_pairs", sentence, result))
    if mask == "none" and result.params.length > 1:
        sentence = Text("Without a mask: pairs of positions with influence", "不加掩码：有影响的位置对数")
        made.append(pairs_claim("all_pairs_without_a_mask", sentence, result))
    if mask == "no_shift":
        made += no_shift_claims(result)
    return made


def no_key_left(nan_rows: int, length: int) -> Text:
    """Why a mask that hides the diagonal cannot be trained with."""
    return Text(
        "A mask that hides the diagonal too leaves the first position without a key: its softmax is 0/0 = NaN. The "
        f"second layer carries the NaN to every later position: {nan_rows} of {length} outputs are NaN, and so would "
        "be the loss. The diagonal may stay visible because the input there is already the previous symbol.",
        "如果连对角线也屏蔽，第一个位置就没有 key 可看，softmax 变成 0/0 = NaN；第二层再把 NaN 带到后面所有位置："
        f"{length} 个输出里有 {nan_rows} 个是 NaN，损失也会是 NaN。对角线可以保留，因为那里的输入已经是前一个符号。",
    )


def excess(losses: Tensor, truth: Tensor) -> tuple[float, float]:
    """How much more a model pays than the chain itself on the same texts: the mean, and its standard error."""
    by_text = (losses - truth).double().flatten(1).mean(1)  # (text,)
    return by_text.mean().item(), by_text.std().item() / math.sqrt(len(by_text))


def causal_claims(result: "Result") -> list[Claim]:
    """The model with the causal mask, whatever the knob says."""
    causal, length = result.causal, result.params.length
    more, error = excess(causal.honest, causal.truth)
    rounding = SUMMED * EPSILON * causal.largest_logit
    future = Text(
        "Causal mask: replacing a symbol moves earlier outputs by at most",
        "有因果掩码：替换一个符号，更早的输出最多变化",
    )
    pairs = Text("Causal mask: pairs (output, input) with influence", "有因果掩码：有影响的（输出，输入）对数")
    parallel = Text(
        "Causal mask: one parallel pass and prefix after prefix give the same logits (largest difference)",
        "有因果掩码：一次并行前向与逐个前缀计算的 logits 相同（最大差）",
    )
    cache = Text(
        "Decoding with a KV cache and no mask gives the logits of the causal pass (largest difference)",
        "用 KV 缓存逐步解码、不加掩码，logits 与带因果掩码的并行前向相同（最大差）",
    )
    honest = Text(
        "Causal mask: loss on new texts minus that of the true chain, in nats",
        "有因果掩码：新文本上的损失减去真实马尔可夫链的损失（nat）",
    )
    near = Text("The same excess after 300 steps is small", "训练 300 步之后，这个差已经很小")
    exact = Text("the weight is $e^{-\\infty}=0$ in both layers", "两层的权重都是 $e^{-\\infty}=0$")
    triangle = Text("1 + 2 + … + T = T(T+1)/2", "1 + 2 + … + T = T(T+1)/2")
    sums = Text("the same function; ± rounding of sums of 128 terms", "是同一个函数；± 128 项求和的舍入误差")
    gibbs = Text("Gibbs' inequality; ± 5 standard errors over 256 texts", "Gibbs 不等式；± 256 段文本的 5 个标准误")
    lenient = Text("each symbol depends on the last one only; a lenient bound", "每个符号只取决于前一个；宽松的上限")
    upper, reached = causal.influence.triu(1).max().item(), int((causal.influence > 0).sum())
    return [
        Claim("future_has_no_influence", future, upper, "=", 0.0, exact),
        Claim("visible_pairs", pairs, reached, "=", length * (length + 1) / 2, triangle),
        Claim("parallel_equals_stepwise", parallel, causal.gap, "=", 0.0, sums, rounding),
        Claim("cached_step_needs_no_mask", cache, causal.cached_gap, "=", 0.0, sums, rounding),
        Claim("causal_loss_respects_entropy", honest, more, ">=", 0.0, gibbs, 5 * error),
        Claim("causal_loss_nears_entropy", near, more, "<", 0.1, lenient, 5 * error),
    ]


def rule_claims(result: "Result") -> list[Claim]:
    """Where the mask belongs, shown on the trained causal model."""
    causal, length = result.causal, result.params.length
    zeroed = Text(
        "Zeroing after the softmax: the largest row sum of all rows but the last",
        "softmax 之后清零：除最后一行外，各行权重之和的最大值",
    )
    renormalised = Text(
        "Weights zeroed after the softmax, then divided by their row's sum, are the causal mask's (largest difference)",
        "softmax 之后清零的权重，每行再除以自己的和，就等于因果掩码的权重（最大差）",
    )
    nan = Text("With the diagonal hidden too: outputs that are NaN", "连对角线也屏蔽：NaN 的输出个数")
    future = Text("the future keeps its share of the denominator", "未来的那一份还在分母里")
    ratio = same(r"$e^{s_j}/Z\div\sum_{k\le i}e^{s_k}/Z$")
    spreads = Text("row 1 is 0/0, and layer 2 sums over it: all T", "第 1 行是 0/0，第 2 层又对它求和：全部 T 个")
    made = [
        Claim("renormalised_is_the_same_mask", renormalised, causal.renormalised, "=", 0.0, ratio, length * EPSILON)
    ]
    if length > 1:
        lost = causal.zeroed[:, :-1].max().item()
        made.append(Claim("zeroed_rows_lose_mass", zeroed, lost, "<", 1.0, future))
    return [*made, Claim("strict_mask_is_nan", nan, causal.nan_rows, "=", length, spreads)]


def leak_claims(result: "Result") -> list[Claim]:
    """The symptoms: too good on whole texts, worse on prefixes, honest only where nothing is left to copy."""
    chosen, causal = result.chosen, result.causal
    _, error = excess(chosen.truth, torch.zeros_like(chosen.truth))
    last, last_error = excess(chosen.given[:, -1:], chosen.truth[:, -1:])
    below = Text(
        "With the leak: loss on new texts, whole text given, in nats", "有泄漏：整段输入时，新文本上的损失（nat）"
    )
    worse = Text(
        "With the leak: loss on prefixes minus that of the causal model, in nats",
        "有泄漏：只给前缀时的损失减去因果模型的损失（nat）",
    )
    end = Text(
        "With the leak: loss at the last position minus that of the true chain",
        "有泄漏：最后一个位置的损失减去真实链的损失",
    )
    gap = Text(
        "With the leak: whole text and prefix give different logits (largest difference)",
        "有泄漏：整段输入与只给前缀的 logits 不同（最大差）",
    )
    moved = Text(
        "With the leak: replacing a symbol moves an earlier output by", "有泄漏：替换一个符号，更早的输出最多变化"
    )
    entropy = Text(
        "entropy rate $H$ less 5 standard errors; no honest predictor gets there",
        "熵率 $H$ 减 5 个标准误；诚实的预测到不了",
    )
    lenient = Text("it learned to copy, not to predict; a lenient bound", "它学的是照抄，不是预测；宽松的下限")
    honest = Text(
        "it has no right neighbour: Gibbs, ± 5 standard errors", "右边没有邻居可抄：Gibbs 不等式，± 5 个标准误"
    )
    one = Text("to change an answer, logits move by whole nats", "要改变答案，logits 得变动若干 nat")
    more = chosen.honest.mean().item() - causal.honest.mean().item()
    upper = chosen.influence.triu(1).max().item()
    return [
        Claim("leak_beats_entropy", below, chosen.given.mean().item(), "<", result.entropy - 5 * error, entropy),
        Claim("prefix_only_is_worse", worse, more, ">", 0.1, lenient),
        Claim("last_position_cannot_leak", end, last, ">=", 0.0, honest, 5 * last_error),
        Claim("whole_and_prefix_disagree", gap, chosen.gap, ">", 1.0, one),
        Claim("future_has_influence", moved, upper, ">", 1.0, one),
    ]


def pairs_claim(name: str, sentence: Text, result: "Result") -> Claim:
    """All T² pairs are connected."""
    reached = int((result.chosen.influence > 0).sum())
    why = Text("every output reads every input: T²", "每个输出都读得到每个输入：T²")
    return Claim(name, sentence, reached, "=", result.params.length**2, why)


def no_shift_claims(result: "Result") -> list[Claim]:
    """Without the shift the label is the input: a perfect score for nothing."""
    chosen, causal = result.chosen, result.causal
    copies = Text("No shift: loss on its own labels, in nats", "没右移：按它自己的标签算的损失（nat）")
    useless = Text(
        "No shift: loss on the next symbol minus that of the causal model, in nats",
        "没右移：预测下一个符号的损失减去因果模型的损失（nat）",
    )
    given = Text("the label is the input at the same position: entropy 0", "标签就是同一位置的输入，条件熵为 0")
    never = Text("it was never asked for the next symbol; a lenient bound", "从没要求它预测下一个符号；宽松的下限")
    more = chosen.honest.mean().item() - causal.honest.mean().item()
    return [
        Claim("no_shift_copies", copies, chosen.given.mean().item(), "<", 0.05, given),
        Claim("no_shift_cannot_predict", useless, more, ">", 0.5, never),
    ]
