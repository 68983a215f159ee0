"""The claims of `residual_stream`."""

import math
from typing import TYPE_CHECKING

import torch

from demos.kit.contract import Claim
from language import Text

if TYPE_CHECKING:
    from demos.residual_stream import Result


def claims(result: "Result") -> list[Claim]:
    """Gradients and stream against theory, the collapse of attention, and what training adds."""
    return [*plain_claims(result), *skip_claims(result), *pre_norm_claims(result), *other_claims(result)]


def by_wiring(result: "Result", values: torch.Tensor, wiring: str) -> torch.Tensor:
    """(network, layer) of one wiring."""
    return values[result.wirings.index(wiring)]


def per_block(ratios: torch.Tensor, blocks: int) -> float:
    """The factor per block whose power is the geometric mean of `ratios`."""
    return math.exp(ratios.log().mean().item() / blocks)


def factor_slack(result: "Result", variance: float) -> float:
    """Relative slack of a factor per block of a mean square, whose logarithm has `variance` / d in each block."""
    per = variance / result.width
    return per / 2 + 5 * math.sqrt(per / (result.params.depth * result.networks))  # bias of the log, 5 standard errors


def plain_claims(result: "Result") -> list[Claim]:
    """Without skips the gradient is a product."""
    gain, blocks = result.params.gain, result.params.depth
    measured = per_block(by_wiring(result, result.gradients, "plain")[:, 0], blocks)
    sentence = Text("Without skips every block multiplies the gradient by $g$", "没有残差时，每个块把梯度乘以 $g$")
    why = Text(
        "He scale keeps the mean square; ± width 48 and 5 standard errors over 12 networks",
        "He 尺度保持均方；± 宽度 48 的偏差和 12 个网络的 5 个标准误",
    )
    return [Claim("plain_gradient_per_block", sentence, measured, "=", gain, why, gain * factor_slack(result, 7) / 2)]


def skip_claims(result: "Result") -> list[Claim]:
    """With skips alone nothing vanishes, and everything grows."""
    blocks, b = result.params.depth, result.params.gain * result.params.scale
    variance = (4 * b**2 + 7 * b**4) / (1 + b**2) ** 2
    streams = by_wiring(result, result.streams, "skip")
    gradient = per_block(by_wiring(result, result.gradients, "skip")[:, 0], blocks)
    stream = per_block((streams[:, -1] / streams[:, 0]).square(), blocks)
    why = Text(
        "branches uncorrelated with the stream, b = g × branch scale; ± width 48 and 5 standard errors",
        "分支与残差流不相关，b = g × 分支缩放；± 宽度 48 的偏差和 5 个标准误",
    )
    backward = Text(
        r"With skips alone every block multiplies the gradient by $\sqrt{1+b^2}$",
        r"只有残差时，每个块把梯度乘以 $\sqrt{1+b^2}$",
    )
    forward = Text(
        "With skips alone every block multiplies the variance of the stream by $1+b^2$",
        "只有残差时，每个块把残差流的方差乘以 $1+b^2$",
    )
    root, slack = math.sqrt(1 + b**2), factor_slack(result, variance)
    return [
        Claim("skip_gradient_per_block", backward, gradient, "=", root, why, root * slack / 2 + 1e-6),
        Claim("skip_stream_per_block", forward, stream, "=", 1 + b**2, why, (1 + b**2) * slack + 1e-6),
    ]


def pre_norm_claims(result: "Result") -> list[Claim]:
    """With LayerNorm before the branch the variance of the stream grows linearly, and the gradient like its root."""
    blocks, b = result.params.depth, result.params.gain * result.params.scale
    squares = by_wiring(result, result.streams, "pre").square()
    added = squares[:, -1] - squares[:, 0]  # (network,)
    # per network: branch sizes 7b⁴/d each, their overlap with the stream 4b²v/d averaged over 6 tokens
    variance = (7 * b**4 * blocks + (4 * b**2 * blocks + 2 * b**4 * blocks**2) / 6) / result.width
    error = 5 * math.sqrt(variance / result.networks)
    stream = Text(
        "In Pre-LN all branches together add $b^2L$ to the variance", "Pre-LN 中，所有分支一共给方差加上 $b^2L$"
    )
    each = Text(
        "each branch adds $b^2$; ± 5 standard errors over 12 networks", "每个分支加 $b^2$；± 12 个网络的 5 个标准误"
    )
    return [
        Claim("pre_norm_stream_is_linear", stream, added.mean().item(), "=", b**2 * blocks, each, error + 1e-6),
        pre_norm_gradient_claim(result, b),
    ]


def pre_norm_gradient_claim(result: "Result", b: float) -> Claim:
    """Every branch adds to the gradient what LayerNorm lets through: the larger the stream, the less."""
    ratios = b**2 * (1 - 2 / result.width) / result.variances  # (network, token, block)
    expected = math.sqrt((1 + ratios).prod(-1).mean().item())
    # relative, of the square: a block's overlap of branch and identity 4r/d, and the branch's own size 7r²/d
    variance = ((4 * ratios + 7 * ratios**2) / (1 + ratios) ** 2).sum(-1).mean().item() / result.width
    error = math.sqrt(variance / (result.networks * result.variances.shape[1]))
    measured = math.sqrt(by_wiring(result, result.gradients, "pre")[:, 0].square().mean().item())
    sentence = Text(
        r"In Pre-LN the gradient at the input, relative to the output: about $\sqrt{1+b^2L}$",
        r"Pre-LN 中，输入处的梯度是输出处的几倍：约 $\sqrt{1+b^2L}$",
    )
    why = Text(
        r"$\prod_l(1+b^2(1-\frac2d)/v_l)$ for each token's own variances $v_l$; with $v_l=1+b^2l$ it telescopes; "
        "± 5 standard errors over 12 networks of 6 tokens",
        r"$\prod_l(1+b^2(1-\frac2d)/v_l)$，$v_l$ 为每个 token 自己的方差；若 $v_l=1+b^2l$ 就逐项相消；"
        "± 12 个网络、6 个 token 的 5 个标准误",
    )
    slack = 5 * expected * error / 2 + 1e-6
    return Claim("pre_norm_gradient_is_mild", sentence, measured, "=", expected, why, slack)


def other_claims(result: "Result") -> list[Claim]:
    """Zero branches, attention without skips, and the small trainings."""
    made = []
    if result.params.branch == "zero":
        sentence = Text("Branches that start at 0 leave the gradient unchanged", "分支从 0 开始，梯度原样传回")
        why = Text("every block is the identity", "每个块都是恒等映射")
        ratio = by_wiring(result, result.gradients, "pre")[:, 0].mean().item()
        made.append(Claim("zero_branch_is_identity", sentence, ratio, "=", 1.0, why, 1e-6))
    alone, skip = result.collapse[0, 6].item(), result.collapse[1, -1].item()
    collapse = Text(
        "Six attention layers without skips make all tokens the same", "6 层没有残差的注意力让所有 token 变得一样"
    )
    kept = Text("With skips twelve layers keep the tokens apart", "有残差时，12 层之后 token 仍各不相同")
    doubly = Text(
        "the collapse is doubly exponential in depth (Dong et al.)", "坍缩随深度以双指数速度进行（Dong 等人）"
    )
    share = Text(
        "every layer keeps its input in the sum; a tenth is a lenient bound", "每层的输入都留在和里；一成是宽松的下限"
    )
    shallow, deep = result.losses[0, 0].tolist()
    cured = (result.losses[1, 1, 1] / result.losses[1, 1, 0]).item()
    worse = Text(
        "The deep plain network ends with a higher training loss than the shallow one (ratio)",
        "深的普通网络训练损失反而高于浅的（比值）",
    )
    healthy = Text(
        "Yet its gradients were healthy at the start (first over last weight)",
        "但它开始时的梯度是正常的（首层与末层权重梯度之比）",
    )
    cure = Text(
        "With skip and LayerNorm, deep ends lower than shallow (ratio)",
        "有残差和 LayerNorm 时，深的损失低于浅的（比值）",
    )
    he = Text("He et al. 2015: degradation is not overfitting", "何恺明等人 2015：退化不是过拟合")
    scale = Text("weights at the scale that keeps gradients; far from vanishing", "权重在保持梯度的尺度上，远没有消失")
    trainable = Text("depth helps once it can be trained", "能训练之后，深度就有好处")
    return [
        *made,
        Claim("attention_alone_collapses", collapse, alone, "<", 1e-3, doubly),
        Claim("skips_prevent_collapse", kept, skip, ">", 0.1, share),
        Claim("deeper_plain_trains_worse", worse, deep / shallow, ">", 1.0, he),
        Claim("degraded_gradients_are_healthy", healthy, result.start, ">", 0.1, scale),
        Claim("skip_and_norm_train_deep", cure, cured, "<", 1.0, trainable),
    ]
