"""The claims of `decoding_strategies`: each view has its own."""

import math
from typing import TYPE_CHECKING

import torch

from demos.kit.character_model import visible
from demos.kit.contract import Claim
from language import Text, same

if TYPE_CHECKING:
    from demos.decoding_strategies import Result

EPSILON = torch.finfo(torch.float32).eps


def claims(result: "Result") -> list[Claim]:
    """What theory says about the decoder in view."""
    made = {"search": search_claims, "next": sampling_claims, "stop": stopping_claims, "cost": cache_claims}
    return made[result.params.view](result)


def rounding(result: "Result") -> float:
    """What rounding may change in a sum of log-probabilities."""
    return 64 * EPSILON * result.cached.abs().max().item() * result.params.length


def search_claims(result: "Result") -> list[Claim]:
    """Greedy is beam search of width 1; nothing beats the exact search; a beam that is wide enough finds its answer."""
    length, beams = result.params.length, result.beams
    last = length - 1
    same_symbols = sum(int(a) == int(b) for a, b in zip(beams[1].winner(length).symbols, greedy(result), strict=True))
    one = Text(
        "Beam search of width 1 and greedy decoding agree at this many characters", "束宽 1 与贪心解码一致的字符数"
    )
    every = Text("all of them: both take the argmax", "全部：两者都取 argmax")
    made = [Claim("beam_one_is_greedy", one, same_symbols, "=", length, every)]
    if not result.exact.complete:
        return made
    top = result.exact.scores[last][0].item()
    lead = max(search.scores[last][0].item() for search in beams.values()) - top
    beat = Text(
        r"Best $\sum\log p$ of any beam width minus that of the exact search",
        r"各种束宽中最好的 $\sum\log p$ 减去精确搜索的结果",
    )
    mode = Text("nothing is above the maximum; ± rounding", "没有谁能超过最大值；± 舍入误差")
    made.append(Claim("nothing_beats_the_mode", beat, lead, "<=", 0.0, mode, rounding(result)))
    needed = max(result.exact.ranks(length)) + 1
    wide = [width for width in beams if width >= needed]
    if wide:
        reached = beams[wide[0]].scores[last][0].item() - top
        enough = Text(
            f"Width {wide[0]} falls short of the best continuation by",
            f"束宽 {wide[0]} 与最优续写的 $\\sum\\log p$ 之差",
        )
        rank = Text(
            f"its prefixes never rank below {needed} among all prefixes; ± rounding",
            f"它的前缀在所有前缀里从未排到第 {needed} 名之后；± 舍入误差",
        )
        made.append(Claim("wide_enough_beam_finds_it", enough, reached, "=", 0.0, rank, rounding(result)))
    if (result.params.text, result.params.opening) == ("en", "dawn") and length >= 16:
        ratio = math.exp(top - beams[1].scores[last][0].item())
        missed = Text(
            "The best continuation is this many times as probable as greedy's", "最优续写的概率是贪心结果的多少倍"
        )
        counted = Text(
            "the tale has one sentence four times, and greedy's beginning with a different end each time",
            "小故事里有一句重复了四次；贪心选的开头则每次结尾都不同",
        )
        made.append(Claim("greedy_is_not_optimal", missed, ratio, ">", 1.0, counted))
    return made


def greedy(result: "Result") -> list[int]:
    """The symbols that greedy decoding chose."""
    return result.cached[: result.params.length].argmax(-1).tolist()


def sampling_claims(result: "Result") -> list[Claim]:
    """What truncation keeps along a passage of the text, and whether the draws follow it."""
    params, kept = result.params, result.passage_kept > 0
    top = int(result.kept.argmax())
    chance, drawn = result.kept[top].item(), result.drawn[top].item()
    often = Text("How often the most probable character is drawn", "概率最大的字符被抽到的频率")
    error = Text("its renormalised probability; ± 5 standard errors", "它重新归一化后的概率；± 5 个标准误")
    slack = 5 * math.sqrt(chance * (1 - chance) / 4096) + 1e-6
    made = [Claim("draws_follow_the_kept", often, drawn, "=", chance, error, slack)]
    if params.temperature == 0:
        sentence, limit = Text("At temperature 0 the argmax has", "温度为 0 时，argmax 的概率"), same(r"$\tau\to0$")
        return [*made, Claim("zero_is_argmax", sentence, chance, "=", 1.0, limit)]
    mass = (result.passage * kept).sum(-1)  # (position,)
    smallest = (result.passage.masked_fill(~kept, 1.0)).amin(-1)  # (position,)
    if params.top_k == 0 and params.top_p < 1:
        least = Text("The least mass that top-p keeps", "top-p 保留的最小概率质量")
        fewer = Text(
            "The most mass left when the least probable kept character goes too",
            "再去掉保留者中最小的一个，剩下质量的最大值",
        )
        why = Text("the smallest set that reaches p; ± rounding", "达到 p 的最小集合；± 舍入误差")
        made += [
            Claim("kept_mass_reaches_p", least, mass.min().item(), ">=", params.top_p, why, 32 * EPSILON),
            Claim("kept_set_is_smallest", fewer, (mass - smallest).max().item(), "<", params.top_p, why, 32 * EPSILON),
        ]
    if params.top_k:
        most = Text("The most characters kept", "保留字符数的最大值")
        made.append(Claim("top_k_keeps_at_most_k", most, kept.sum(-1).max().item(), "<=", params.top_k, same("k")))
    if params.temperature != 1:
        now, plain = entropy(result.distribution), entropy(result.cached[0].softmax(-1))
        sentence = Text("Entropy at this temperature minus that at 1", "此温度下的熵减去温度 1 的熵")
        relation = ">" if params.temperature > 1 else "<"
        rises = Text(
            r"$dH/d\tau=\operatorname{Var}(z)/\tau^3>0$ unless all logits are equal",
            r"只要 logits 不全相等，$dH/d\tau=\operatorname{Var}(z)/\tau^3>0$",
        )
        made.append(Claim("temperature_raises_entropy", sentence, now - plain, relation, 0.0, rises))
    return made


def entropy(probabilities: torch.Tensor) -> float:
    """-Σ p ln p."""
    return torch.special.entr(probabilities).sum().item()


def stopping_claims(result: "Result") -> list[Claim]:
    """Sums only fall, so that short sentences lead; a length penalty never picks a shorter one."""
    sums = torch.tensor([0.0, *result.exact.winner(len(result.exact.scores)).scores])  # (step + 1,)
    largest = sums.diff().max().item()
    rise = Text(r"The largest change of $\sum\log p$ by one more character", r"多生成一个字符，$\sum\log p$ 的最大变化")
    below = Text("no probability exceeds 1; ± rounding", "概率不超过 1；± 舍入误差")
    plain, chosen, full = (len(winner(result, alpha)[1]) for alpha in (0.0, result.params.alpha, 1.0))
    longer = Text("Length of the winner at α = 1 minus at α = 0", "α = 1 的胜者长度减去 α = 0 的胜者长度")
    between = Text("Length of the winner at this α minus at α = 0", "此 α 的胜者长度减去 α = 0 的胜者长度")
    grows = Text("raising α favours the longer of any two sentences", "α 越大，任意两句中较长的一句越有利")
    return [
        Claim("sums_only_fall", rise, largest, "<=", 0.0, below, rounding(result)),
        Claim("penalty_never_shortens", longer, full - plain, ">=", 0.0, grows),
        Claim("penalty_lengthens", between, chosen - plain, ">=", 0.0, grows),
    ]


def normalised(score: float, length: int, alpha: float) -> float:
    """GNMT: Σ log p over ((5 + length) / 6)^α."""
    return score / ((5 + length) / 6) ** alpha


def winner(result: "Result", alpha: float) -> tuple[float, str]:
    """Which finished sentence wins at `alpha`."""
    return max(result.finished, key=lambda sentence: normalised(sentence[0], len(sentence[1]), alpha))


def cache_claims(result: "Result") -> list[Claim]:
    """The cache changes the work and not the result; one query over a cache has nothing to hide."""
    prompt, new = result.prompt, result.params.length
    drift = (result.cached[:new] - result.uncached[:new]).abs().max().item()
    equal = Text("Largest difference of a logit with and without the cache", "有无缓存，logits 的最大差别")
    order = Text("the same sums in another order; ± rounding", "同样的求和，次序不同；± 舍入误差")
    with_cache = Text("Positions processed with the cache", "有缓存时处理的位置数")
    without = Text("Positions processed without it", "无缓存时处理的位置数")
    one = Text(
        "Keys hidden by the causal mask from one query over the cache", "单个 query 面对缓存时，因果掩码遮住的 key 数"
    )
    many = Text("Keys hidden in the prefill of the prompt", "prefill 提示词时被遮住的 key 数")
    past = Text("all cached keys are in its past", "缓存里的 key 都在它之前")
    counted = tuple(counts[new - 1] for counts in result.positions)
    again = new * prompt + new * (new - 1) / 2
    slack = 64 * EPSILON * result.uncached.abs().max().item()
    parallel = (result.cached[:new] - result.at_once[:new]).abs().max().item()
    once = Text(
        "Largest difference of a logit between one pass over the finished text and step by step",
        "对写完的文本做一次前向，与逐步生成相比，logits 的最大差别",
    )
    prefixes = Text(
        "with a causal mask each position sees its own prefix only, as in training; ± rounding",
        "有因果掩码，每个位置只看到自己的前缀，训练时就是这样；± 舍入误差",
    )
    return [
        Claim("cache_keeps_the_logits", equal, drift, "=", 0.0, order, slack),
        Claim("one_pass_gives_all_steps", once, parallel, "=", 0.0, prefixes, slack),
        Claim("positions_with_cache", with_cache, counted[0], "=", prompt + new - 1, same("$P+N-1$")),
        Claim("positions_without_cache", without, counted[1], "=", again, same("$NP+N(N-1)/2$")),
        Claim("mask_is_idle", one, float((~visible(1, prompt + new - 2)).sum()), "=", 0.0, past),
        Claim(
            "prefill_needs_mask",
            many,
            float((~visible(prompt, 0)).sum()),
            "=",
            prompt * (prompt - 1) / 2,
            same("$P(P-1)/2$"),
        ),
    ]
