"""The claims of `cross_attention`."""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from demos.kit.contract import Claim, Impossible
from language import Text, same

if TYPE_CHECKING:
    from demos.cross_attention import Result

EPSILON = torch.finfo(torch.float32).eps
SUMMED, TESTS, CHANCE = 64, 256, 0.1  # longest sum behind a logit; test sentences; ten digits
MOST = Text("the loss asks for it; a lenient bound", "损失要求它做到；宽松的下限")


def claims(result: "Result") -> list[Claim]:
    """What holds for any cross-attention, then what each mask, memory and swap does to this one."""
    params, made = result.params, [*shape_claims(result), *channel_claims(result)]
    if params.memory == "mean":
        made += mean_claims(result)
    elif params.reads == "zeros":
        made += zero_claims(result)
    elif params.reads == "own":
        regimes = {"none": plain_claims, "after": late_mask_claims, "training": early_mask_claims}
        made += regimes[params.mask](result) if params.mask in regimes else []
    if params.memory == "rows" and params.mask == "both":
        made += causal_encoder_claims(result)
    return made


def refuse_unreadable(digits: str) -> None:
    """Raise `Impossible` for a text that is not made of digits."""
    if not digits.strip():
        reason = Text(
            "An empty source has no key: the softmax would run over nothing, 0/0. The same happens when every source "
            "token is masked as padding. Type at least one digit.",
            "空的源句没有 key，softmax 没有东西可以归一，结果是 0/0；整句都被当作 padding 屏蔽时也一样。"
            "请至少输入一个数字。",
        )
        raise Impossible(reason)
    if not (digits.isascii() and digits.isdigit()):
        reason = Text(
            "This model's vocabulary holds the ten digits and a begin token. Anything else has no row in the embedding "
            "table; real systems use subwords so that every text has tokens. Type digits only.",
            "这个模型的词表里只有十个数字和一个起始符，其他字符在词嵌入表里没有对应的行；"
            "真实系统用子词，保证任何文本都能切成 token。请只输入数字。",
        )
        raise Impossible(reason)


def hidden_steps(result: "Result") -> Tensor:
    """Steps whose source position lies to the right of them, so that a causal mask hides it."""
    length = result.params.length
    none = torch.zeros(length, dtype=torch.bool)
    return none if result.needed is None else result.needed > torch.arange(length)


def guessing(answers: int) -> float:
    """Five standard errors of a share of 0.1."""
    return 5 * math.sqrt(CHANCE * (1 - CHANCE) / answers)


def shape_claims(result: "Result") -> list[Claim]:
    """The weights: shape, sums, and no sense of order."""
    params, facts = result.params, result.facts
    steps = min(params.written, params.length)
    rows = params.length if params.memory == "rows" else 1
    sums = facts.looks.double().sum(-1).flatten()
    farthest = sums[(sums - 1).abs().argmax()].item()
    rounding = SUMMED * EPSILON * facts.largest_logit
    cells = Text(
        f"Weights for {steps} target tokens and {rows} memory rows",
        f"{steps} 个目标 token、{rows} 行 memory 的权重个数",
    )
    total = Text("Each step's weights sum to 1 (the farthest from it)", "每一步的权重之和为 1（离 1 最远的）")
    shuffled = Text(
        "Shuffling the rows of the memory, with their mask, changes no logit (largest change)",
        "把 memory 的各行连同掩码一起打乱，logits 不变（最大变化）",
    )
    reordered = Text(
        "Shuffling the source tokens before the encoder changes logits (largest change)",
        "在进编码器之前打乱源 token，logits 会变（最大变化）",
    )
    ulps = Text(f"rounding of {rows} weights", f"{rows} 个权重的舍入误差")
    commutes = Text(
        "softmax commutes with a permutation; ± rounding of sums of 64", "softmax 与置换可交换；± 64 项求和的舍入误差"
    )
    one = Text("the right answer changes, so logits move by whole nats", "正确答案变了，logits 要变动若干 nat")
    made = [
        Claim("weights_are_target_by_source", cells, result.weights.numel(), "=", steps * rows, same("T × S")),
        Claim("rows_sum_to_one", total, farthest, "=", 1.0, ulps, rows * EPSILON),
        Claim("memory_is_a_set", shuffled, facts.shuffled, "=", 0.0, commutes, rounding),
    ]
    if params.task != "sort":
        made.append(Claim("order_is_in_the_memory", reordered, facts.reordered, ">", 1.0, one))
    return made


def channel_claims(result: "Result") -> list[Claim]:
    """Everything the decoder knows of the source comes through the memory."""
    params, (own, other) = result.params, result.swapped
    follows = Text(
        "Given another sentence's memory it answers that sentence (share of digits)",
        "换成另一句的 memory，它回答的就是那一句（数字正确的比例）",
    )
    forgets = Text(
        "… and its own sentence only by chance (share of digits)", "……对自己的那一句只剩碰巧（数字正确的比例）"
    )
    independent = Text(
        "the answer cannot depend on a sentence it never saw; ± 5 standard errors",
        "没见过的句子影响不了答案；± 5 个标准误",
    )
    made = []
    if params.memory == "rows" and params.mask in ("none", "training"):
        made.append(Claim("swapped_memory_swaps_answer", follows, other.mean().item(), ">", 0.9, MOST))
    if params.task != "sort":
        slack = guessing(TESTS * params.length)
        made.append(Claim("own_sentence_is_forgotten", forgets, own.mean().item(), "=", CHANCE, independent, slack))
    return made


def plain_claims(result: "Result") -> list[Claim]:
    """No mask, its own memory."""
    right = Text("Digits of new sentences that are right", "新句子里正确的数字比例")
    made = [Claim("learns_the_task", right, result.right.mean().item(), ">", 0.9, MOST)]
    if result.needed is not None:
        hits = (result.facts.looks.argmax(-1) == result.needed).float().mean().item()
        aligned = Text("Steps whose largest weight is on the digit they need", "权重最大处正是所需数字的步数比例")
        made.append(Claim("looks_where_needed", aligned, hits, ">", 0.5, MOST))
    return made


def late_mask_claims(result: "Result") -> list[Claim]:
    """A causal mask put into a trained model."""
    hidden, made = hidden_steps(result), []
    if result.needed is None:
        return made
    lost = Text(
        "Mask put in after training: right where it hides the digit", "训练后才加掩码：所需数字被挡住的那些步的正确率"
    )
    spared = Text("… and right where it does not", "……没被挡住的那些步的正确率")
    blind = Text(
        "the row with the digit is gone; half is a lenient bound", "带着这个数字的行看不到了；以一半为宽松的上限"
    )
    if hidden.any():
        made.append(Claim("late_mask_blinds", lost, result.right[hidden].mean().item(), "<", 0.5, blind))
    return [*made, Claim("late_mask_spares_the_rest", spared, result.right[~hidden].mean().item(), ">", 0.9, MOST)]


def early_mask_claims(result: "Result") -> list[Claim]:
    """The same mask, but the model was trained with it."""
    right = Text("Trained with the mask: digits that are right", "带着掩码训练：正确的数字比例")
    made = [Claim("trained_mask_recovers", right, result.right.mean().item(), ">", 0.9, MOST)]
    hidden = hidden_steps(result)
    if result.needed is None or not hidden.any():
        return made
    steps = hidden.nonzero().flatten()
    blind = steps[result.facts.looks[:, steps, result.needed[steps]].amax(0) == 0]
    carried = min(result.facts.knows[: step + 1, result.needed[step]].max().item() for step in steps.tolist())
    unseen = Text(
        "… right answers at steps whose weight on their digit's own row is exactly 0",
        "……对所需数字那一行的权重恰好为 0 的那些步，正确率",
    )
    moves = Text(
        "… because an earlier row carries it: change of that row with the digit (smallest)",
        "……因为更早的行里有它：换掉这个数字，那一行的相对变化（最小的）",
    )
    route = Text("the only way left; a lenient bound", "只剩这条路；宽松的下限")
    return [
        *made,
        Claim("right_without_looking_there", unseen, result.right[blind].mean().item(), ">", 0.9, MOST),
        Claim("encoder_copies_words_forward", moves, carried, ">", 0.1, route),
    ]


def causal_encoder_claims(result: "Result") -> list[Claim]:
    """With a causal encoder as well, no row can carry a later digit."""
    later = result.facts.knows.triu(1).max().item()
    blind = Text(
        "Causal encoder: change of a memory row when a later digit is replaced",
        "因果编码器：换掉后面的数字，前面的行的变化",
    )
    made = [
        Claim("causal_rows_know_no_later_digit", blind, later, "=", 0.0, Text("masked in every layer", "每层都屏蔽了"))
    ]
    hidden = hidden_steps(result)
    if hidden.any() and result.params.reads == "own":
        share = result.right[hidden].mean().item()
        chance = Text("… so steps that need one can only guess (right)", "……需要后面数字的步就只能猜（正确率）")
        why = Text("ten equally likely digits; ± 5 standard errors", "十个数字等可能；± 5 个标准误")
        slack = guessing(TESTS * int(hidden.sum()))
        made.append(Claim("causal_encoder_leaves_chance", chance, share, "=", CHANCE, why, slack))
    return made


def mean_claims(result: "Result") -> list[Claim]:
    """One vector for a whole sentence, as in the first sequence-to-sequence models."""
    params, share = result.params, result.right.mean().item()
    only = Text("With one row there is nothing to choose: the smallest weight", "只有一行就没得选：最小的权重")
    made = [Claim("one_row_gets_all_weight", only, result.facts.looks.min().item(), "=", 1.0, same("$e^s/e^s$"))]
    if params.task == "sort" and params.reads in ("own", "shuffled"):
        sorts = Text("Yet sorting survives one vector (right)", "但排序不受影响（正确率）")
        counts = Text("it needs counts only, and a mean keeps counts", "排序只需要个数，平均保留了个数")
        made.append(Claim("counts_survive_the_mean", sorts, share, ">", 0.9, counts))
    if params.task != "sort" and params.length >= 8 and params.reads in ("own", "shuffled"):
        narrow = Text("One vector for the whole sentence: digits that are right", "整句只有一个向量：正确的数字比例")
        budget = Text("for this model and 400 steps; a lenient bound", "针对这个模型和 400 步训练；宽松的上限")
        made.append(Claim("one_vector_is_a_bottleneck", narrow, share, "<", 0.7, budget))
    return made


def zero_claims(result: "Result") -> list[Claim]:
    """A memory without content."""
    params, made = result.params, []
    if params.mask == "none":
        uneven = (result.weights - 1 / params.length).abs().max().item()
        uniform = Text(
            "Equal rows get equal weights (largest difference from 1/n)", "各行相同，权重就相同（与 1/n 的最大差）"
        )
        made.append(Claim("equal_rows_get_equal_weights", uniform, uneven, "=", 0.0, same("$e^0/ne^0$"), EPSILON))
    if params.task != "sort":
        guess = Text("Without content it can only guess (right)", "没有内容就只能猜（正确率）")
        why = Text("ten equally likely digits; ± 5 standard errors", "十个数字等可能；± 5 个标准误")
        slack = guessing(TESTS * params.length)
        made.append(Claim("zero_memory_is_chance", guess, result.right.mean().item(), "=", CHANCE, why, slack))
    return made
