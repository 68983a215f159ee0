"""The claims of `interpretability`."""

import math
from typing import TYPE_CHECKING

import torch

from demos.kit.contract import Claim
from language import Text, same

if TYPE_CHECKING:
    from demos.interpretability import Result

EPSILON = torch.finfo(torch.float32).eps
TOKENS, CAUSES, VALUES, EXAMPLES = 8, 2, 4, 128
TRAINED = Text("the loss asks for it; a lenient bound", "损失要求它做到；宽松的下限")
EXACT = Text("the rest of the run is the same computation; ± rounding", "其余计算完全相同；± 舍入误差")


def claims(result: "Result") -> list[Claim]:
    """The task, each family of methods on it, and how each is checked."""
    return [
        *task_claims(result),
        *attention_claims(result),
        *ablation_claims(result),
        *gradient_claims(result),
        *inside_claims(result),
        *patching_claims(result),
    ]


def chance(share: float, answers: float) -> float:
    """Five standard errors of a share."""
    return 5 * math.sqrt(share * (1 - share) / answers)


def task_claims(result: "Result") -> list[Claim]:
    """The model is right, and what counts as guessing."""
    right = Text("Answers of the trained model that are right", "训练后的模型答对的比例")
    guess = Text("Share of causes among two tokens drawn at random", "随机取两个 token，其中原因的比例")
    # hypergeometric: 2 of 8 drawn without replacement, so a little less spread than two independent draws
    spread = chance(CAUSES / TOKENS, 2 * EXAMPLES) * math.sqrt((TOKENS - 2) / (TOKENS - 1))
    drawn = result.precision["random"][0].item()
    errors = Text("2 causes among 8; ± 5 standard errors", "8 个里有 2 个原因；± 5 个标准误")
    return [
        Claim("model_is_right", right, result.facts.accuracy[-1].item(), ">", 0.97, TRAINED),
        Claim("random_order_is_a_quarter", guess, drawn, "=", CAUSES / TOKENS, errors, spread),
    ]


def attention_claims(result: "Result") -> list[Claim]:
    """Attention as a hypothesis, and what is exact about it."""
    weight, change, growth = result.sink
    low, high = result.facts.row_sums
    farthest = max(low, high, key=lambda total: abs(total - 1))
    layers = [result.precision[f"attention{layer}"][0].item() for layer in (1, 2)]
    heads = [scores[0].item() for name, scores in result.precision.items() if name.startswith("head")]
    miss = Text(
        "Causes among the two tokens that CLS attends to most, in the worse of the two layers",
        "CLS 注意力最大的两个 token 里原因的比例，取两层中较差的",
    )
    once = Text("CLS has to read A and B in one layer only; a lenient bound", "CLS 只需在一层里读到 A 和 B；宽松的上限")
    spread = Text("… in the best of the 8 heads minus the worst", "……8 个头里最好的减去最差的")
    shared = Text("nothing makes heads share the work evenly; a lenient bound", "没有什么让各头平分工作；宽松的下限")
    held = Text("A head made by hand: attention on a token with $v=0$", "手工构造的头：$v=0$ 的 token 得到的注意力")
    nothing = Text("… and what the output changes without its term", "……去掉它那一项，输出的变化")
    masked = Text("… but masking it makes the output longer by this factor", "……但掩掉它再归一，输出变长的倍数")
    rows = Text("Rows of rollout sum to 1 (the farthest from it)", "rollout 每行之和为 1（离 1 最远的）")
    softmax, zero = same("$16/(16+4)$; ± ε"), same("$0.8\\cdot0=0$")
    rest = Text("$1/(1-0.8)$; ± rounding", "$1/(1-0.8)$；± 舍入误差")
    stochastic = Text(
        "products of row-stochastic matrices; ± rounding of sums of 9", "行随机矩阵之积；± 9 项求和的舍入"
    )
    return [
        Claim("one_layer_of_attention_misses", miss, min(layers), "<", 0.9, once),
        Claim("heads_differ", spread, max(heads) - min(heads), ">", 0.1, shared),
        Claim("sink_gets_the_attention", held, weight, "=", 0.8, softmax, 4 * EPSILON),
        Claim("attention_without_effect", nothing, change, "=", 0.0, zero),
        Claim("masking_is_another_question", masked, growth, "=", 5.0, rest, 64 * EPSILON),
        Claim("rollout_rows_sum_to_one", rows, farthest, "=", 1.0, stochastic, 32 * EPSILON),
    ]


def ablation_claims(result: "Result") -> list[Claim]:
    """Changing tokens and watching the answer."""
    params, facts, made = result.params, result.facts, []
    found, fresh = result.precision["ablation"].tolist()
    if params.method != "ablation" or params.replacement == "value":
        finds = Text(
            "Ablation with other values: causes among the two largest effects",
            "用其他值做消融：影响最大的两个里原因的比例",
        )
        theory = Text(
            "a new value of A or B always changes the answer, no other does; the model is right",
            "A 或 B 换值，答案必变，别的 token 换值则不变；而模型全对",
        )
        made.append(Claim("ablation_finds_causes", finds, found, ">", 0.97, theory))
    else:
        finds = Text(
            "Ablation, this replacement: causes among the two largest effects", "这种替换下，影响最大的两个里原因的比例"
        )
        lenient = Text("out of distribution nothing is guaranteed; a lenient bound", "分布之外没有保证；宽松的下限")
        made.append(Claim("ablation_out_of_distribution", finds, found, ">", 0.7, lenient))
    cause = Text("Answers that change when A or B is raised by 1 (the fewer)", "A 或 B 加 1 时改变的答案比例（较小的）")
    other = Text(
        "… when the distractor or a filler is raised by 1 (the more)", "……干扰项或填充 token 加 1 时（较大的）"
    )
    label = Text("the right answer changes and the model is right", "正确答案变了，而模型答对")
    still = Text("the right answer stays and the model is right", "正确答案不变，而模型答对")
    random = Text("… minus the same without training", "……减去未训练网络上的同一数字")
    depends = Text("an explanation of the weights must depend on them", "解释权重的方法，必须随权重而变")
    return [
        *made,
        Claim("weights_matter_to_ablation", random, found - fresh, ">", 0.1, depends),
        Claim("causes_flip_the_answer", cause, facts.flips[:2].min().item(), ">", 0.97, label),
        Claim("distractor_flips_nothing", other, facts.flips[2:].max().item(), "<", 0.03, still),
    ]


def gradient_claims(result: "Result") -> list[Claim]:
    """Completeness, and what it needs."""
    params, (coarse, error), made = result.params, result.errors, []
    steps = params.steps if params.method == "ig" else 64
    gap = Text(
        f"Integrated gradients with {steps} steps: mean gap of completeness over mean $|F(x)-F(x')|$",
        f"积分梯度，{steps} 步：完备性的平均误差，除以 $|F(x)-F(x')|$ 的均值",
    )
    fine = Text("the midpoint rule converges; a lenient bound for 64 steps", "中点法收敛；64 步的宽松上限")
    if steps == 64:
        made.append(Claim("ig_is_nearly_complete", gap, error, "<", 0.25, fine))
    if steps > 4:
        less = Text("… as a share of the gap with 4 steps", "……与 4 步时的误差之比")
        converges = Text("the midpoint rule converges; a lenient bound", "中点法收敛；宽松的上限")
        made.append(Claim("more_steps_close_the_gap", less, error / coarse, "<", 0.6, converges))
    if len(result.by_baseline) == 2:
        apart = Text(
            "Precision of integrated gradients: difference between the two baselines",
            "积分梯度的命中率：两种基线之差（取绝对值）",
        )
        path = Text("another baseline is another path; not the same number", "基线不同，路径就不同；不会是同一个数")
        difference = abs(result.by_baseline["filler"] - result.by_baseline["zero"])
        made.append(Claim("baseline_changes_the_answer", apart, difference, ">", 0.0, path))
    return made


def inside_claims(result: "Result") -> list[Claim]:
    """The logit lens and the probes."""
    facts = result.facts
    lens = Text("Different answers the logit lens reads before block 1", "第 1 层之前，logit lens 读出的不同答案数")
    early = Text("CLS has seen no token yet", "CLS 还没看过任何 token")
    guess = Text("… so it is right for this share of sentences", "……所以答对的句子比例")
    four = Text("four answers, equally likely; ± 5 standard errors", "四个答案等可能；± 5 个标准误")
    share = f"{facts.accuracy[1].item():.0%}"
    later = Text(
        f"Different answers it reads after block 1, where it is right for {share} of the sentences",
        f"第 1 层之后读出的不同答案数，此时答对 {share} 的句子",
    )
    read = Text("CLS has now read tokens, and they differ", "CLS 已经读过 token，而各句的 token 不同")
    reads = Text("A linear probe reads the distractor's value where it stands", "线性探针在干扰项处读出它的值，正确率")
    kept = Text("the residual path carries the embedding along; a lenient bound", "残差通路一直带着词嵌入；宽松的下限")
    labels = Text("The probe for shuffled labels", "标签打乱后探针的正确率")
    nothing = Text("nothing to learn; ± 5 standard errors", "没有东西可学；± 5 个标准误")
    slack = chance(1 / VALUES, EXAMPLES)
    return [
        Claim("lens_before_block_one_is_blind", lens, facts.named[0], "=", 1, early),
        Claim("lens_before_block_one_guesses", guess, facts.accuracy[0].item(), "=", 1 / VALUES, four, slack),
        Claim("lens_after_block_one", later, facts.named[1], ">", 1, read),
        Claim("distractor_is_decodable", reads, facts.decoded[0, 2].item(), ">", 0.9, kept),
        Claim("shuffled_labels_are_chance", labels, facts.shuffled, "=", 1 / VALUES, nothing, slack),
    ]


def patching_claims(result: "Result") -> list[Claim]:
    """What is exact at both ends of the network."""
    params, patching = result.params, result.patching
    place = 1 + int(result.places[("A", "B", "distractor", "filler").index(params.changed)])
    first = patching.restored[0, place].item() - patching.before
    final = patching.restored[-1, 0].item() - patching.before
    elsewhere = (patching.restored[-1, 1:] - patching.after).abs().max().item()
    scale = max(abs(patching.before), abs(patching.after), 1.0)
    rounding = 1024 * EPSILON * scale
    token = Text(
        "Put back the changed token in the input: margin still missing", "在输入处换回改动的 token：还差的 logit 差"
    )
    cls = Text("Put back CLS after the last block: margin still missing", "在最后一层之后换回 CLS：还差的 logit 差")
    other = Text(
        "Put back any other position after the last block: margin gained", "在最后一层之后换回别的位置：恢复的 logit 差"
    )
    made = [
        Claim("patched_input_is_the_clean_run", token, first, "=", 0.0, EXACT, rounding),
        Claim("patched_cls_is_the_clean_answer", cls, final, "=", 0.0, EXACT, rounding),
        Claim("other_positions_come_too_late", other, elsewhere, "=", 0.0, EXACT, rounding),
    ]
    if params.changed in ("A", "B"):
        lost = Text("Margin lost by changing the value of this cause", "改动这个原因的值，损失的 logit 差")
        why = Text("another answer is now right, and the model gives it", "正确答案变了，模型也跟着变")
        made.append(Claim("cause_costs_margin", lost, patching.before - patching.after, ">", 1.0, why))
    return made
