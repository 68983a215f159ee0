"""How padding is kept out of attention, and what each shortcut leaves behind."""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.figures.attention_masks import pictures
from demos.kit.contract import Claim, Demo, Prediction, Preset
from demos.kit.knobs import Choice, Range, Switch
from demos.kit.lab import Lab
from language import Text, same

HEADS, POSITIONS, WIDTH = 2, 8, 16
REPLACED = 7.0  # how large the other padding is that tests for leaks
METHODS = {
    "minus_infinity": Text("score ← −∞", "分数 ← −∞"),
    "finite": Text("score ← −10⁹", "分数 ← −10⁹"),
    "minus_ten": Text("score − 10", "分数 − 10"),
    "zero_score": Text("score × 0", "分数 × 0"),
    "zero_after": Text("weight × 0 after softmax", "softmax 之后权重 × 0"),
    "wrong_axis": Text("query axis, not key axis", "掩码加在 query 维"),
    "none": Text("no mask", "不加掩码"),
}
SIDES = {"right": Text("right", "右侧"), "left": Text("left", "左侧")}
DTYPES = {"float32": same("float32"), "float16": same("float16"), "bfloat16": same("bfloat16")}


@dataclass(frozen=True)
class Params:
    """The knobs."""

    length: Annotated[int, Range(0, POSITIONS, label=Text("Real tokens (of 8)", "真实 token 数（共 8 个位置）"))] = 5
    pad_side: Annotated[str, Choice(SIDES, label=Text("Padding on the", "padding 在哪一侧"))] = "right"
    causal: Annotated[bool, Switch(label=Text("Causal mask too", "同时加因果掩码"))] = False
    method: Annotated[str, Choice(METHODS, label=Text("Padding is hidden by", "怎样屏蔽 padding"))] = "zero_after"
    pad_scale: Annotated[float, Range(0, 10, 0.5, label=Text("Size of the padding", "padding 的数值大小"))] = 1.0
    dtype: Annotated[str, Choice(DTYPES, label=Text("Number format", "数值格式"))] = "float32"
    seed: Annotated[int, Range(0, 9, label=Text("Random seed", "随机种子"))] = 0


@dataclass(frozen=True)
class Result:
    """One attention layer under the chosen method, every method's error, and a second layer on top."""

    params: Params
    real: Tensor  # (position,)
    raw_scores: Tensor  # (head, query, key) before any mask
    scores: Tensor  # (head, query, key) as the softmax gets them
    weights: Tensor  # (head, query, key)
    nan_rows: Tensor  # (layer, position) whether a position is NaN after layer 1 and after layer 2
    errors: Tensor  # (method,) largest difference from the unpadded run at real positions
    leaks: Tensor  # (method,) largest change at real positions when the padding's content is replaced
    mask_effect: Tensor  # largest difference the padding mask makes at real positions
    nothing_allowed: Tensor  # of fully masked rows: weight under −10⁹, weight under −∞, PyTorch's output
    zeroed_row_sum: Tensor  # mean row sum with 3 of 8 keys zeroed after the softmax, whatever the knobs
    fill: float  # what "finite" filled with, 0 for the others
    refusal: str  # why it was not −10⁹, or ""
    methods: tuple[tuple[str, Text], ...] = tuple(METHODS.items())


def real_positions(params: Params) -> Tensor:
    """True where there is a token, False where there is padding."""
    position = torch.arange(POSITIONS)
    return position < params.length if params.pad_side == "right" else position >= POSITIONS - params.length


def finite_fill(dtype: torch.dtype) -> tuple[float, str]:
    """−10⁹ where the format can hold it, else its lowest number and PyTorch's complaint."""
    try:
        torch.zeros(1, dtype=dtype).masked_fill(torch.ones(1, dtype=torch.bool), -1e9)
    except RuntimeError as error:
        return torch.finfo(dtype).min, str(error)
    return -1e9, ""


def mask_padding(scores: Tensor, real: Tensor, method: str) -> Tensor:
    """Scores after the method's mask. `real` is (key,), so it broadcasts over heads and queries."""
    match method:
        case "minus_infinity":
            return scores.masked_fill(~real, -math.inf)
        case "finite":
            return scores.masked_fill(~real, finite_fill(scores.dtype)[0])
        case "minus_ten":
            return scores - 10 * ~real
        case "zero_score":
            return scores * real  # zero is a score like any other: e⁰ = 1
        case "wrong_axis":
            return scores.masked_fill(~real.unsqueeze(-1), torch.finfo(scores.dtype).min)  # (query, 1): rows
        case _:
            return scores


def raw_scores(query: Tensor, key: Tensor) -> Tensor:
    """Q Kᵀ / √d."""
    return query @ key.mT / math.sqrt(WIDTH)  # (head, query, key)


def attend(tokens: Tensor, real: Tensor, causal: bool, method: str) -> tuple[Tensor, Tensor, Tensor]:
    """Scores as the softmax gets them, weights, outputs."""
    query, key, value = tokens  # each (head, position, width)
    scores = mask_padding(raw_scores(query, key), real, method)  # (head, query, key)
    if causal:
        future = torch.ones_like(scores[0], dtype=torch.bool).triu(1)  # (query, key)
        scores = scores.masked_fill(future, -math.inf)
    weights = scores.softmax(-1)
    if method == "zero_after":
        weights = weights * real  # too late: padding is still in the denominator
    return scores, weights, weights @ value  # (head, query, width)


def compare(tokens: Tensor, other: Tensor, real: Tensor, causal: bool) -> tuple[Tensor, Tensor]:
    """Every method against the run without padding, and against itself with other padding; real positions only."""
    short = tokens[:, :, real]  # (3, head, real position, width)
    unpadded = attend(short, real[real], causal, "none")[2]
    errors, leaks = [], []
    for method in METHODS:
        output = attend(tokens, real, causal, method)[2][:, real]  # (head, real position, width)
        replaced = attend(other, real, causal, method)[2][:, real]
        errors.append(largest(output - unpadded))
        leaks.append(largest(replaced - output))
    return torch.stack(errors), torch.stack(leaks)


def largest(difference: Tensor) -> Tensor:
    """The largest size in `difference`; NaN when there is no real position to look at."""
    return difference.abs().amax().float() if difference.numel() else torch.tensor(math.nan)


def fully_masked(tokens: Tensor) -> Tensor:
    """Rows without any allowed key: a weight under −10⁹, a weight under −∞, and the output of PyTorch's kernel."""
    query, key, value = tokens.float().cpu()
    nothing = torch.zeros(POSITIONS, dtype=torch.bool)  # (key,)
    scores = raw_scores(query, key)
    finite = mask_padding(scores, nothing, "finite").softmax(-1)
    infinite = mask_padding(scores, nothing, "minus_infinity").softmax(-1)
    fused = F.scaled_dot_product_attention(query, key, value, attn_mask=nothing.expand(POSITIONS, -1))
    return torch.stack([finite.amax(), infinite.amax(), fused.abs().amax()])


def compute(params: Params, lab: Lab) -> Result:
    """Attention over eight positions of which `length` are real; the rest must not matter."""
    dtype = getattr(torch, params.dtype)
    real = real_positions(params).to(lab.device)  # (position,)
    generator, shape = lab.generator(params.seed), (3, HEADS, POSITIONS, WIDTH)
    content = lab.normal(*shape, generator=generator)  # (3, head, position, width): queries, keys, values
    replacement = REPLACED * lab.normal(*shape, generator=generator)  # what the padding could have held instead
    seen = real.view(-1, 1)  # (position, 1)
    tokens = torch.where(seen, content, params.pad_scale * content).to(dtype)
    other = torch.where(seen, content, replacement).to(dtype)

    scores, weights, output = attend(tokens, real, params.causal, params.method)
    layer_2 = attend(output.expand(3, -1, -1, -1), real, params.causal, params.method)[2]
    nan_rows = torch.stack([output, layer_2]).isnan().any(-1).any(1)  # (layer, position)

    errors, leaks = compare(tokens, other, real, params.causal)
    unmasked = attend(tokens, real, params.causal, "none")[2]
    five = real_positions(Params()).to(lab.device)
    zeroed = attend(content, five, False, "zero_after")[1].sum(-1)[:, five]  # (head, real query)
    observed = (real, raw_scores(tokens[0], tokens[1]), scores, weights, nan_rows, errors, leaks)
    fill, refusal = finite_fill(dtype) if params.method == "finite" else (0.0, "")
    effect = largest((output - unmasked)[:, real])
    return Result(params, *observed, effect, fully_masked(tokens), zeroed.mean(), fill, refusal)


def claims(result: Result) -> list[Claim]:
    """What a correct mask guarantees, what each shortcut leaves, and what happens when nothing is allowed."""
    params, made = result.params, fully_masked_claims(result)
    if params.length and params.method in ("minus_infinity", "finite"):
        made += correct_mask_claims(result)
    if params.length and params.method in SHORTCUTS:
        made.append(shortcut_claim(result))
    if params.causal and params.pad_side == "right" and params.length:
        sentence = Text("The causal mask alone already hides right padding", "padding 在右侧，单靠因果掩码就能挡住")
        why = Text("padding lies in every real query's future", "对每个真实 query 来说，padding 都在未来")
        made.append(Claim("right_padding_needs_no_mask", sentence, result.mask_effect.item(), "=", 0.0, why))
    if params.causal and params.pad_side == "left" and params.length < POSITIONS and params.method == "minus_infinity":
        sentence = Text("After a second layer all 8 positions are NaN", "再过一层，8 个位置全是 NaN")
        why = Text("0 × NaN = NaN, and every row sums over every value", "0 × NaN = NaN，而每一行都对所有 value 求和")
        made.append(Claim("nan_spreads", sentence, int(result.nan_rows[1].sum()), "=", POSITIONS, why))
    if result.refusal:
        sentence = Text("float16 refuses −10⁹; its lowest number is −65504", "float16 装不下 −10⁹，最低只到 −65504")
        why = same("−(2 − 2⁻¹⁰) · 2¹⁵ (IEEE 754)")
        made.append(Claim("half_precision_overflow", sentence, result.fill, "=", -(2 - 2**-10) * 2**15, why))
    return made


def correct_mask_claims(result: Result) -> list[Claim]:
    """The four tests a padding mask has to pass, at real positions."""
    real, chosen = result.real, list(METHODS).index(result.params.method)
    rows = result.weights[:, real].double()  # (head, real query, key)
    on_padding, sums = rows[..., ~real].sum(-1), rows.sum(-1).flatten()
    farthest = sums[(sums - 1).abs().argmax()].item()
    epsilon = torch.finfo(result.weights.dtype).eps
    slack = epsilon * (POSITIONS + 2 * result.raw_scores[:, real][..., real].abs().max().item()) * 5
    weight = Text("No real query puts weight on padding", "真实 query 给 padding 的权重为 0")
    total = Text("Rows of real queries sum to 1", "真实 query 的每一行权重之和为 1")
    match = Text("Real positions get what they get without padding", "真实位置的输出与不加 padding 时一致")
    leak = Text("Replacing the padding changes no real position", "换掉 padding 的内容，真实位置的输出不变")
    ulps = Text("rounding of 8 weights", "8 个权重的舍入误差")
    rounding = Text("rounding of scores and weights, values below 5", "分数与权重的舍入误差，value 小于 5")
    underflow, absent = same("$e^{-\\infty}=0$"), Text("0 times any finite value", "0 乘任何有限值都是 0")
    return [
        Claim("padding_weight_is_zero", weight, on_padding.max().item(), "=", 0.0, underflow),
        Claim("rows_sum_to_one", total, farthest, "=", 1.0, ulps, POSITIONS * epsilon),
        Claim("matches_unpadded", match, result.errors[chosen].item(), "=", 0.0, rounding, slack),
        Claim("padding_does_not_leak", leak, result.leaks[chosen].item(), "=", 0.0, absent),
    ]


SHORTCUTS = {
    "zero_after": ("rows_lose_mass", Text("A row keeps only $Z_{real}/Z$ of its weight", "行和只剩 $Z_{real}/Z$")),
    "zero_score": ("zero_score_still_attends", Text("A score of 0 counts as $e^0=1$", "分数为 0，仍按 $e^0=1$ 计入")),
    "minus_ten": ("minus_ten_leaks", Text("Padding keeps $e^{-10}$ of its $Z$", "padding 的 $Z$ 还剩 $e^{-10}$")),
    "wrong_axis": (
        "wrong_axis_still_attends",
        Text("Padding still takes $Z_{pad}/Z$", "padding 仍占 $Z_{pad}/Z$"),
    ),
    "none": ("unmasked_padding_takes_weight", Text("Padding takes $Z_{pad}/Z$", "padding 分走 $Z_{pad}/Z$")),
}


def shortcut_claim(result: Result) -> Claim:
    """How much weight a method leaves on padding, or takes from the row; theory from the unmasked scores."""
    method, real = result.params.method, result.real
    logits = result.raw_scores.double()  # (head, query, key)
    if method == "zero_score":
        logits = logits.masked_fill(~real, 0.0)
    if method == "minus_ten":
        logits = logits - 10.0 * ~real
    if result.params.causal:
        logits = logits + torch.full_like(logits, -math.inf).triu(1)
    logits = logits[:, real]  # (head, real query, key)
    kept = (logits[..., real].logsumexp(-1) - logits.logsumexp(-1)).exp().mean().item()
    rows = result.weights[:, real].double()
    loses = method == "zero_after"
    measured = (rows.sum(-1) if loses else rows[..., ~real].sum(-1)).mean().item()
    largest_score = logits[logits.isfinite()].abs().max().item()
    slack = torch.finfo(result.weights.dtype).eps * (1 + largest_score)
    why = Text("$Z=\\sum e^s$ of the raw scores; ± their rounding", "由原始分数算 $Z=\\sum e^s$；± 舍入误差")
    return Claim(*SHORTCUTS[method], measured, "=", kept if loses else 1 - kept, why, slack)


def fully_masked_claims(result: Result) -> list[Claim]:
    """A row with no allowed key has no right answer; three ways to be wrong, one of them loud."""
    finite, infinite, fused = result.nothing_allowed.tolist()
    uniform = Text("Nothing allowed, −10⁹: the row is uniform", "全部屏蔽、填 −10⁹：该行是均匀分布")
    nan = Text("Nothing allowed, −∞: the row is NaN", "全部屏蔽、填 −∞：该行是 NaN")
    zero = Text("Nothing allowed, PyTorch's SDPA on the CPU: the output is 0", "全部屏蔽、CPU 上的 SDPA：输出为 0")
    equal = Text("8 equal scores: 1/8 each", "8 个分数相同，各占 1/8")
    safe = Text("PyTorch's safe softmax returns 0 for such a row", "PyTorch 的 safe softmax 让这样的行为 0")
    return [
        Claim("finite_row_is_uniform", uniform, finite, "=", 1 / POSITIONS, equal, torch.finfo(torch.float32).eps),
        Claim("minus_infinity_row_is_nan", nan, infinite, "=", math.nan, same("0/0")),
        Claim("sdpa_row_is_zero", zero, fused, "=", 0.0, safe),
    ]


def right_option(result: Result) -> str:
    """Which option the measured row sum falls into."""
    total = result.zeroed_row_sum.item()
    return "nan" if math.isnan(total) else "zero" if total < 0.01 else "one" if total > 0.99 else "share"


DEMO = Demo(
    title=Text("Masking padding", "屏蔽 padding"),
    summary=Text("Seven ways to hide padding; only two of them work.", "屏蔽 padding 的七种办法，只有两种管用。"),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "3 of 8 keys are padding. You set their weights to 0 *after* the softmax. What do rows sum to on average?",
            "8 个 key 里有 3 个是 padding。在 softmax *之后*把它们的权重清零，一行之和平均是多少？",
        ),
        options={
            "one": Text("still 1", "仍是 1"),
            "share": Text("clearly less, around 0.6", "明显小于 1，0.6 上下"),
            "zero": same("0"),
            "nan": same("NaN"),
        },
        right=right_option,
        because=Text(
            "The denominator still counts the padding, so the real keys keep their share, about $5/8$ on average.",
            "分母里已经算进了 padding，清零后只剩真实 key 的那一份，平均约 $5/8$。",
        ),
    ),
    presets=(
        Preset(Text("Correct", "正确做法"), Params(method="minus_infinity")),
        Preset(Text("Score × 0", "分数 × 0"), Params(method="zero_score")),
        Preset(Text("NaN spreads", "NaN 扩散"), Params(method="minus_infinity", pad_side="left", causal=True)),
        Preset(Text("−10⁹ in float16", "float16 里的 −10⁹"), Params(method="finite", dtype="float16")),
    ),
)
