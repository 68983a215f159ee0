"""The claims of `order_blindness`."""

import math
from typing import TYPE_CHECKING

import torch

from demos.kit.contract import Claim
from language import Text, same

if TYPE_CHECKING:
    from demos.order_blindness import Result, Trial

ROUNDING = Text("± rounding, measured against double precision", "± 舍入误差（与双精度对比测得）")


def claims(result: "Result") -> list[Claim]:
    """What the symmetry says about this sentence, and about the five trained models."""
    made = symmetry_claims(result) if result.moved else []
    made += sentence_claims(result)
    if len(set(result.words)) < len(result.words):
        made += twin_claims(result)
    if result.params.causal and not encoded(result):
        made += prefix_claims(result)
    return [*made, *trial_claims(result)]


def encoded(result: "Result") -> bool:
    """Whether anything is added to the tokens."""
    return result.params.positions != "none" and result.params.strength > 0


def zero(name: str, sentence: Text, measured: float, why: str, result: "Result") -> Claim:
    """A difference that theory says is none."""
    because = Text(f"{why}; {ROUNDING.en}", f"{why}；{ROUNDING.zh}")
    return Claim(name, sentence, measured, "=", 0.0, because, result.rounding)


def seen(name: str, sentence: Text, measured: float, why: Text, result: "Result") -> Claim:
    """A difference that rounding cannot explain."""
    return Claim(name, sentence, measured, ">", result.rounding, why)


def symmetry_claims(result: "Result") -> list[Claim]:
    """Reordered words: the outputs follow, unless something stays in place."""
    broken, causal = result.broken, result.params.causal
    if result.params.blind:
        sentence = Text("Reordered words give the same outputs, reordered", "打乱词序，输出只是跟着换了顺序")
        return [zero("outputs_follow_their_words", sentence, broken, "$f(PX)=P\\,f(X)$", result)]
    made = []
    if encoded(result):
        changed = Text("The words move, the encodings stay: outputs change", "词动了，位置编码没动：输出改变")
        why = Text("$PE\\ne E$; more than rounding can add", "$PE\\ne E$；大于舍入误差")
        made.append(seen("encoding_breaks_the_symmetry", changed, broken, why, result))
    else:
        changed = Text(
            "Without any encoding, the causal mask alone makes outputs change",
            "不加位置编码，单靠因果掩码，输出也会改变",
        )
        why = Text("$PMP^\\top\\ne M$; more than rounding can add", "$PMP^\\top\\ne M$；大于舍入误差")
        made.append(seen("mask_breaks_the_symmetry", changed, broken, why, result))
    if encoded(result) and not causal:
        follow = Text("If the encodings move with the words, nothing changes", "位置编码跟着词一起动，就什么都没变")
        made.append(zero("carried_positions_change_nothing", follow, result.carried, "$f(P(X+E))=P\\,f(X+E)$", result))
    return made


def sentence_claims(result: "Result") -> list[Claim]:
    """How many sentence vectors the orders of the words give."""
    count = len(result.orders)
    if count == 1:
        return []
    if result.params.blind:
        sentence = Text("All orders of these words give this many sentence vectors", "这些词的所有词序给出的句向量个数")
        why = same("$\\tfrac1n\\mathbf 1^\\top P\\,Y=\\tfrac1n\\mathbf 1^\\top Y$")
        return [Claim("bag_of_words", sentence, result.distinct, "=", 1, why)]
    sentence = Text("Every order of these words has a sentence vector of its own", "每种词序都有自己的句向量")
    why = Text(f"{count} different orders, no symmetry left", f"共 {count} 种不同的词序，对称已被打破")
    return [Claim("every_order_has_its_vector", sentence, result.distinct, "=", count, why)]


def twin_claims(result: "Result") -> list[Claim]:
    """Equal words at different places."""
    if result.params.blind:
        sentence = Text("Equal words at different places get equal outputs", "同一个词出现在不同位置，输出相同")
        return [zero("equal_words_equal_outputs", sentence, result.twins, "$PX=X\\Rightarrow P\\,f(X)=f(X)$", result)]
    if encoded(result):
        sentence = Text(
            "With the encoding, equal words at different places differ", "加了位置编码，不同位置的同一个词输出不同"
        )
        why = Text("$x_i=x_j$ but $x_i+p_i\\ne x_j+p_j$", "$x_i=x_j$，但 $x_i+p_i\\ne x_j+p_j$")
        return [seen("equal_words_differ", sentence, result.twins, why, result)]
    if len(set(result.words)) == 1:
        sentence = Text(
            "One word repeated: under the mask all outputs are still equal",
            "同一个词重复多次：有因果掩码，各处输出仍然相同",
        )
        why = "$\\sum_ja_{ij}v=v$"
        return [zero("repetition_has_no_positions", sentence, result.twins, why, result)]
    return []


def prefix_claims(result: "Result") -> list[Claim]:
    """What the last output knows of the order before it, under a causal mask and nothing else."""
    before = result.words[:-1]
    if before == before[::-1]:
        return []
    if result.params.layers == 1:
        sentence = Text(
            "One causal layer: reversing the words before the last leaves the last output alone",
            "只有一层因果注意力：把前面的词倒过来，最后一个输出不变",
        )
        why = "$\\sum_ja_{nj}v_j$"
        return [zero("one_causal_layer_sees_a_set", sentence, result.last, why, result)]
    sentence = Text(
        "From the second causal layer on, the last output notices their order",
        "从第二层起，最后一个输出能察觉前面的词序",
    )
    why = Text("layer 1 gave each word its own prefix", "第一层的输出已经因各自的前缀而不同")
    return [seen("second_layer_sees_the_order", sentence, result.last, why, result)]


def trial_claims(result: "Result") -> list[Claim]:
    """The order task: what cannot be learned, and what is."""
    trials = result.trials
    enough = Text("order is visible and the loss asks for it", "顺序看得到，损失也要求学会")
    sinusoids = Text("Accuracy with sinusoids", "加正弦编码的正确率")
    mask = Text("Accuracy with a causal mask and no encoding", "只加因果掩码、不加位置编码的正确率")
    return [
        *blind_claims(trials["blind"]),
        Claim("sinusoids_learn_order", sinusoids, trials["sinusoids"].accuracy, ">", 0.9, enough),
        Claim("mask_learns_order", mask, trials["causal"].accuracy, ">", 0.9, enough),
        *last_output_claims(trials["causal_last"], trials["causal_last_two"]),
    ]


def blind_claims(blind: "Trial") -> list[Claim]:
    """Two sequences that look the same with opposite labels: a coin, and a loss of ln 2."""
    guess = Text("Accuracy on the order task, no positions and no mask", "顺序任务的正确率，不加位置也不加掩码")
    bags = Text("every bag of tokens occurs with both labels", "每一袋 token 都以两种标签各出现一次")
    loss = Text("… and the loss cannot fall below $\\ln 2$", "……损失也降不到 $\\ln 2$ 以下")
    mean, slack = same("$-\\tfrac12(\\ln p+\\ln(1-p))\\ge\\ln2$"), 100 * torch.finfo(torch.float32).eps
    return [
        Claim("blind_encoder_guesses", guess, blind.accuracy, "=", 0.5, bags, blind.undecided / 2),
        Claim("blind_loss_is_ln_two", loss, blind.loss, ">=", math.log(2), mean, slack),
    ]


def last_output_claims(one: "Trial", two: "Trial") -> list[Claim]:
    """What the last output knows: in one layer a set, from two layers on the order."""
    expected = 0.5 + 0.5 * 7 / 28
    single = Text(
        "Accuracy with the mask if only the last output of one layer is read: at most 5/8",
        "有掩码、但只读一层的最后一个输出时的正确率：至多 5/8",
    )
    why = Text(
        "A or B stands last in 7 of 28 placements; else both orders are one set, and one of two answers is wrong; "
        "+ pairs that rounding may decide",
        "28 种放法里有 7 种末位是 A 或 B；其余的，两种顺序是同一个集合，两个答案必有一个错；+ 可能由舍入误差决定的",
    )
    double, more = Text("… and with two layers", "……换成两层"), Text("more than one layer can reach", "超过一层的上限")
    return [
        Claim("last_output_of_one_layer", single, one.accuracy, "<=", expected, why, one.undecided / 2),
        Claim("second_layer_reads_the_order", double, two.accuracy, ">", expected, more),
    ]
