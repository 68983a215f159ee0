"""The claims of `norm_and_residual`."""

import math
from typing import TYPE_CHECKING

import torch

from demos.kit.contract import Claim
from demos.kit.layers import WIDTH
from language import Text, same

if TYPE_CHECKING:
    from demos.norm_and_residual import Result

EPSILON, ROUNDING = 1e-5, torch.finfo(torch.float32).eps
LAST = 15  # steps whose accuracy is averaged


def claims(result: "Result") -> list[Claim]:
    """The stack taken apart, one LayerNorm, and what training makes of each wiring."""
    return [*part_claims(result), *norm_claims(result), *start_claims(result), *training_claims(result)]


def part_claims(result: "Result") -> list[Claim]:
    """What the input leaves in the output along the skips, and what reaches it on the way back."""
    layers, scale, networks = result.params.layers, result.params.scale, result.pre.sizes.shape[-1]
    pre, post = (stack.sizes[0].log().mean().exp().item() for stack in (result.pre, result.post))
    total = Text("Input and branches, followed along the skips, sum to the output", "沿残差跟踪的各部分之和等于输出")
    exact = Text(
        "given σ, LayerNorm is linear; ± rounding of every sub-layer", "σ 给定时 LayerNorm 是线性的；± 各子层的舍入"
    )
    kept = Text(
        r"Pre-LN: the input keeps at least $a/\sqrt{a^2+2L}$ of the output",
        r"Pre-LN：输入在输出中至少占 $a/\sqrt{a^2+2L}$",
    )
    each = Text(
        "each branch adds at most 1 to the variance; ± 5 standard errors over 8 networks",
        "每个分支给方差至多加 1；± 8 个网络的 5 个标准误",
    )
    # sizes 7/d of the FFNs and at most as much of attention; overlaps 4v/d with a stream of variance v up to a² + 2L
    spread = math.sqrt((14 * layers + 8 * layers * (scale**2 + layers)) / (WIDTH * networks)) / (scale**2 + 2 * layers)
    bound = scale / math.sqrt(scale**2 + 2 * layers)
    faded = Text(
        r"Post-LN: along the skips a layer leaves at most $1/\sqrt2$ of the input (mean factor)",
        r"Post-LN：沿残差每过一层，输入至多剩 $1/\sqrt2$（平均倍数）",
    )
    halves = Text(
        r"its FFN makes $\sigma=\sqrt2$, its attention only adds; ± 5 standard errors over 8 networks",
        r"其中 FFN 使 $\sigma=\sqrt2$，注意力只会更大；± 8 个网络的 5 个标准误",
    )
    # log σ² of one FFN varies by (7/d + 4/d)/4: size and overlap of the branch; Jensen shifts its mean by half of that
    log_error = 5 * math.sqrt(11 / (16 * WIDTH * networks * layers)) + 11 / (16 * WIDTH)
    root = math.sqrt(0.5)
    slack = 16 * ROUNDING * (2 * layers + 1)
    made = [
        Claim("parts_sum_to_output", total, max(result.pre.mismatch, result.post.mismatch), "<=", 0.0, exact, slack),
        Claim("pre_norm_keeps_input", kept, pre, ">=", bound, each, bound * 5 * spread / 2),
        Claim("post_norm_forgets_input", faded, post ** (1 / layers), "<=", root, halves, math.expm1(log_error) * root),
    ]
    if layers > 1:
        detours = Text(
            "Post-LN: whole gradient at the input over what comes along the skips alone",
            "Post-LN：到达输入的全部梯度，是只走残差通路的多少倍",
        )
        paths = Text("the paths through the branches carry the rest", "其余的走经过分支的路径")
        made.append(Claim("post_norm_gradient_detours", detours, result.whole_gradient / post, ">", 1.0, paths))
    return made


def norm_claims(result: "Result") -> list[Claim]:
    """What LayerNorm does to its input and to the gradient."""
    probe = result.probe
    share = EPSILON / probe.spread**2  # how much of σ² is ε
    defined = Text(
        "One token at 33 scales: largest difference of LayerNorm from PyTorch's own",
        "同一个 token 取 33 种尺度，LayerNorm 与 PyTorch 自带的最大差",
    )
    each = Text(
        "mean and biased variance over each token's features; ± rounding",
        "每个 token 对特征求均值和有偏方差；± 舍入误差",
    )
    same_output = Text("LayerNorm returns the same for $x$ and $10x+3$", "对 $x$ 和 $10x+3$，LayerNorm 的输出相同")
    invariant = Text("invariant for ε = 0; ± half of ε/σ² times |x̂| < 4", "ε = 0 时严格不变；± ε/σ² 的一半乘以 |x̂| < 4")
    divided = Text("Input × 100: the gradient is divided by", "输入 × 100，梯度除以")
    jacobian = Text("the Jacobian is 1/σ times a projection; ± ε/σ²", "雅可比是 1/σ 乘一个投影；± ε/σ²")
    formula = Text(
        r"Autograd agrees with $\frac1\sigma[g-\bar g-\hat x\,\overline{g\hat x}]$ (relative difference)",
        r"自动求导与 $\frac1\sigma[g-\bar g-\hat x\,\overline{g\hat x}]$ 一致（相对差）",
    )
    removed = Text(
        r"Nothing is left of the gradient along $\mathbf 1$ and $\hat x$ (share)",
        r"梯度沿 $\mathbf 1$ 和 $\hat x$ 的分量不剩（占比）",
    )
    rounding = Text("rounding of sums over 32 features", "32 个特征求和的舍入误差")
    null = Text("both are in its null space for ε = 0; ± ε/σ² and rounding", "ε = 0 时两者都在零空间里；± ε/σ² 与舍入")
    capped = Text("However small the input, the gradient stays below", "输入再小，梯度也不超过")
    ratio = (probe.gradients[16] / probe.gradients[24]).item()  # at 1 and at 100
    roof = probe.upstream / math.sqrt(EPSILON)
    ulps = 32 * ROUNDING
    return [
        Claim("norm_is_layer_norm", defined, probe.oracle, "<=", 0.0, each, 4 * ulps),
        Claim("norm_ignores_scale_and_shift", same_output, probe.moved, "<=", 0.0, invariant, 2 * share + 4 * ulps),
        Claim("norm_divides_gradient", divided, ratio, "=", 100.0, jacobian, 100 * (share + ulps)),
        Claim("norm_jacobian_matches_autograd", formula, probe.mismatch, "<=", 0.0, rounding, ulps),
        Claim("norm_removes_two_directions", removed, probe.removed, "<=", 0.0, null, share + ulps),
        Claim(
            "epsilon_caps_gradient", capped, probe.gradients.max().item(), "<=", roof, same(r"$\|g\|/\sqrt\varepsilon$")
        ),
    ]


def start_claims(result: "Result") -> list[Claim]:
    """What is wrong before the first step."""
    training = result.training
    sizes, apart = (
        dict(zip(result.wirings, values[:, -1].tolist(), strict=True)) for values in (training.sizes, training.apart)
    )
    grown = Text(
        "Without norm the stream grows larger than in Pre-LN (ratio)", "没有归一化时，残差流比 Pre-LN 的大（比值）"
    )
    doubling = Text("each FFN doubles the variance instead of adding 1", "每个 FFN 让方差翻倍，而不是加 1")
    made = [Claim("without_norm_stream_outgrows", grown, sizes["no_norm"] / sizes["pre"], ">", 1.0, doubling)]
    if result.params.trained >= 4:
        merged = Text("Without skips, 1 − cosine between tokens is", "没有残差时，token 之间的 1 − 余弦是")
        collapse = Text(
            "rank collapse is doubly exponential in depth (Dong et al.); a thousandth is a lenient bound",
            "秩坍缩随深度以双指数速度进行（Dong 等人）；千分之一是宽松的上界",
        )
        made.append(Claim("without_skips_tokens_merge", merged, apart["no_skip"], "<", 1e-3, collapse))
    return made


def training_claims(result: "Result") -> list[Claim]:
    """Accuracy at the end. With 2 layers nearly everything trains, and a slow warm-up at the low rate needs longer."""
    params = result.params
    ends = dict(zip(result.wirings, result.training.accuracy[:, -LAST:].mean(-1).tolist(), strict=True))
    made = []
    if params.rate > 0.002 or (params.trained >= 4 and not params.warm_up):
        both = Text("With norm and skips (Pre-LN), accuracy at the end", "归一化和残差都有（Pre-LN），最后的正确率")
        zero = Text("Without norm, but with branches that start at 0", "没有归一化，但分支从 0 开始")
        learnable = Text(
            "one attention layer can reverse a sequence; 0.9 is a lenient bound after 150 steps",
            "一层注意力就能反转序列；150 步之后，0.9 是宽松的下限",
        )
        identity = Text("the stack starts as the identity: scale is under control", "整个网络从恒等映射开始，尺度受控")
        made += [
            Claim("both_train", both, ends["pre"], ">", 0.9, learnable),
            Claim("zero_branches_need_no_norm", zero, ends["zero"], ">", 0.9, identity),
        ]
    if params.trained >= 4:
        skipless = Text("With norm but without skips", "有归一化，没有残差")
        normless = Text("With skips but without norm", "有残差，没有归一化")
        merged = Text(
            "tokens have merged before the first step; half is a lenient bound",
            "第一步之前 token 就已相同；一半是宽松的上界",
        )
        scale = Text(
            "scale is out of control before the first step; half is a lenient bound",
            "第一步之前尺度就已失控；一半是宽松的上界",
        )
        made += [
            Claim("fails_without_skips", skipless, ends["no_skip"], "<", 0.5, merged),
            Claim("fails_without_norm", normless, ends["no_norm"], "<", 0.5, scale),
        ]
    return made
