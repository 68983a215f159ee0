"""The claims of `masked_language_model`."""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from demos.kit.contract import Claim
from language import Text, same

if TYPE_CHECKING:
    from demos.masked_language_model import Params, Result

WORDS, LENGTH, CHOSEN = 16, 12, 0.15
KEPT = 0.5 + 0.5 / WORDS  # a chosen word that is shown is right: half unchanged, half random, right one time in 16
CHANCE = math.log(WORDS)
TESTED, COUNT = 2048, 16_384 * LENGTH  # sequences with one hidden word; words in which replacements are counted
REWRITES = ("mask", "bert")


def paths(params: "Params") -> Tensor:
    """Theory: whether each row can depend on each word, layer by layer (products of Boolean matrices)."""
    hidden, method = params.position, params.method
    identity = torch.eye(LENGTH, dtype=torch.bool)  # (row, word)
    allowed = torch.ones(LENGTH, LENGTH, dtype=torch.bool)  # (query, key)
    if method in ("column", "no_residual"):
        allowed[:, hidden] = False
    if method in ("diagonal", "raw"):
        allowed = ~identity
    if method == "causal":
        allowed = allowed.tril()
    content = identity.clone()
    if method in REWRITES:
        content[:, hidden] = False  # gone at the source
    stream = torch.zeros_like(content) if method in ("diagonal", "raw") else content
    reached = []
    for layer in range(params.layers):
        source = content if layer == 0 or method == "raw" else stream
        stream = (allowed.float() @ source.float() > 0) | stream  # the query, or the residual, carries the row's own
        reached.append(stream)
    return torch.stack(reached)  # (layer, row, word)


def answering(params: "Params") -> int:
    """The row that names the hidden word: its own, or in a causal model the one before."""
    return params.position - (params.method == "causal")


def leaks(params: "Params") -> bool:
    """Theory: whether the hidden word can reach the row that names it."""
    return bool(paths(params)[-1, answering(params), params.position])


def learns_slowly(params: "Params") -> bool:
    """Three layers without residual connections: a path exists, but 400 steps find it with some seeds only."""
    return params.method == "no_residual" and params.layers == 3


def floor(params: "Params") -> float:
    """The lowest expected loss on random words for who cannot see the hidden one."""
    if params.method != "bert":
        return CHANCE
    others = (1 - KEPT) / (WORDS - 1)  # each of the 15 words not shown
    entropy = -KEPT * math.log(KEPT) - (1 - KEPT) * math.log(others)
    return 0.8 * CHANCE + 0.2 * entropy


def standard_error(losses: Tensor) -> float:
    """Of the mean of `losses`."""
    return losses.std().item() / math.sqrt(len(losses))


def claims(result: "Result") -> list[Claim]:
    """Where paths run, what the loss says on random words, and what a planted word does."""
    made = path_claims(result)
    if result.params.data == "noise":
        made += loss_claims(result) + visible_claims(result)
    elif result.params.method in REWRITES and result.params.layers > 1:
        sentence = Text(
            "Share of single hidden words that the context lets it name", "只遮住一个词时，靠上下文说对的比例"
        )
        why = Text(
            "two neighbours fix the progression; half is a lenient bound",
            "两个邻居就能确定等差数列；以一半为宽松的下限",
        )
        made.append(Claim("context_is_enough", sentence, result.trial.right, ">", 0.5, why))
    return made + echo_claims(result) + share_claims(result)


def path_claims(result: "Result") -> list[Claim]:
    """What moves when a word is swapped, against the Boolean product of the layers."""
    params = result.params
    row, hidden = answering(params), params.position
    closed = ~paths(params)
    influences = int((result.moved[closed] != 0).sum())
    cells = Text(
        f"Of {int(closed.sum())} triples (layer, row, swapped word) without a path, those where the row moves",
        f"{int(closed.sum())} 个没有通路的（层，行，被换的词）组合里，那一行变了的个数",
    )
    product = Text("Boolean product of who sees whom: exactly 0", "“谁能看谁”的布尔矩阵乘积：恰好为 0")
    swap = Text(
        "Swapping the hidden word moves its row, after the last layer, by", "换掉被遮住的词，它那一行最后一层的变化"
    )
    moved = result.moved[-1, row, hidden].item()
    made = [Claim("no_path_no_influence", cells, influences, "=", 0, product)]
    if leaks(params) and not learns_slowly(params):
        path = Text("a path from the word to its own row exists", "存在从这个词到自己那一行的通路")
        name = "hidden_word_comes_back" if params.method == "diagonal" else "hidden_word_gets_through"
        made.append(Claim(name, swap, moved, ">", 0.0, path))
    elif not leaks(params):
        none = Text("no path from the word to its row: exactly 0", "没有从这个词到那一行的通路：恰好为 0")
        made.append(Claim("hidden_word_has_no_path", swap, moved, "=", 0.0, none))
    if params.method in ("column", "no_residual"):
        others = Text("Swapping the hidden word moves any other row by at most", "换掉被遮住的词，其他各行的最大变化")
        unread = Text("nobody may attend to it, in any layer: exactly 0", "每一层谁都不能关注它：恰好为 0")
        largest = result.moved[:, torch.arange(LENGTH) != hidden, hidden].max().item()
        made.append(Claim("others_cannot_read_it", others, largest, "=", 0.0, unread))
    if params.method == "diagonal" and params.layers > 1:
        first = Text(
            "After the first layer, swapping the hidden word moves its row by",
            "第一层之后，换掉被遮住的词，它那一行的变化",
        )
        two = Text("the way back needs a second layer: exactly 0", "绕回来要靠第二层：恰好为 0")
        made.append(Claim("first_layer_is_blind", first, result.moved[0, row, hidden].item(), "=", 0.0, two))
    return made


def loss_claims(result: "Result") -> list[Claim]:
    """On random words only a leak gets the loss below the floor."""
    if learns_slowly(result.params):
        return []
    losses, lowest = result.trial.losses, floor(result.params)
    sentence = Text("Loss on fresh random words", "在新的随机词上的损失")
    slack = 5 * standard_error(losses)
    if leaks(result.params):
        why = Text(
            f"who cannot see the word cannot beat ln 16 = {CHANCE:.2f}; less 5 standard errors",
            f"看不到这个词就低不过 ln 16 = {CHANCE:.2f}；再减 5 个标准误",
        )
        return [Claim("loss_proves_the_leak", sentence, losses.mean().item(), "<", lowest - slack, why)]
    why = Text("entropy of the hidden word; ± 5 standard errors", "被遮住的词的熵；± 5 个标准误")
    if result.params.method == "bert":
        why = Text(
            "0.8 ln 16 + 0.2 × entropy where a word is shown; ± 5 standard errors",
            "0.8 ln 16 + 0.2 × 有词可看时的熵；± 5 个标准误",
        )
    return [Claim("loss_not_below_the_floor", sentence, losses.mean().item(), ">=", lowest, why, slack)]


def visible_claims(result: "Result") -> list[Claim]:
    """What the two [MASK] trainings know about words that are not hidden."""
    method, shown = result.params.method, result.trial.visible[0].item()
    if method not in REWRITES:
        return []
    sentence = Text("Probability given to a word that stands there, not hidden", "给没有被遮住、就摆在那里的词的概率")
    halfway = (KEPT + 1 / WORDS) / 2
    if method == "bert":
        why = Text(
            f"the best answer is ½ + 1/32 = {KEPT:.3f}; at least halfway there from 1/16",
            f"最优是 ½ + 1/32 = {KEPT:.3f}；从 1/16 出发至少走完一半",
        )
        return [Claim("visible_word_is_known", sentence, shown, ">", halfway, why)]
    why = Text(
        "the loss never asks there, so nothing tells it apart from 15 others; below halfway to ½ + 1/32",
        "损失从不问这里，它与另外 15 个词没有区别；不到去 ½ + 1/32 的半路",
    )
    return [Claim("visible_word_is_not_known", sentence, shown, "<", halfway, why)]


def echo_claims(result: "Result") -> list[Claim]:
    """A random word planted under the cover: copied, or no more likely than any other."""
    sentence = Text("Share of planted random words that it names", "说出随机植入的词的比例")
    if result.params.method == "column":
        why = Text(
            "copying is the shortest way to a low loss; half is a lenient bound",
            "照抄是降低损失的捷径；以一半为宽松的下限",
        )
        return [Claim("copies_the_planted_word", sentence, result.trial.echo, ">", 0.5, why)]
    if leaks(result.params):
        return []
    why = Text(
        "it does not depend on the planted word: 1/16; ± 5 standard errors", "与植入的词无关：1/16；± 5 个标准误"
    )
    slack = 5 * math.sqrt((1 - 1 / WORDS) / WORDS / TESTED)
    return [Claim("cannot_copy", sentence, result.trial.echo, "=", 1 / WORDS, why, slack)]


def share_claims(result: "Result") -> list[Claim]:
    """How many words the two [MASK] trainings replace."""
    trial, method = result.trial, result.params.method
    if method not in REWRITES:
        return []
    masked = Text("Share of all words that become [MASK]", "全部词中变成 [MASK] 的比例")
    share = CHOSEN * (0.8 if method == "bert" else 1.0)
    product = same("0.15 × 0.8" if method == "bert" else "0.15")
    made = [share_claim("masked_share", masked, trial.masked, share, product, COUNT)]
    if method == "bert":
        other = Text("Share of all words that become another word", "全部词中变成另一个词的比例")
        right = Text(
            "Share of right words among the chosen ones that still show a word",
            "选中而仍显示着词的位置上，词是对的比例",
        )
        wrong, shown = CHOSEN * 0.1 * (1 - 1 / WORDS), round(COUNT * CHOSEN * 0.2)
        made.append(share_claim("replaced_share", other, trial.replaced, wrong, same("0.15 × 0.1 × 15/16"), COUNT))
        made.append(share_claim("shown_word_is_right", right, trial.kept, KEPT, same("½ + ½ · 1/16"), shown))
    return made


def share_claim(name: str, sentence: Text, measured: float, share: float, formula: Text, count: int) -> Claim:
    """A share of `count` independent draws."""
    why = Text(f"{formula.en}; ± 5 standard errors", f"{formula.zh}；± 5 个标准误")
    return Claim(name, sentence, measured, "=", share, why, 5 * math.sqrt(share * (1 - share) / count))
