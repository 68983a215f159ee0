"""The claims of `layer_vs_batch_norm`."""

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from demos.kit.contract import Claim
from language import Text

if TYPE_CHECKING:
    from demos.layer_vs_batch_norm import Result


def claims(result: "Result") -> list[Claim]:
    """Whose numbers a token's output depends on, what padding does, and how depth shows."""
    made = [torch_claim(result), *depth_claims(result)]
    if result.params.normaliser == "batch":
        return [*mates_claims(result), *leak_claims(result), *padding_claims(result), *outlier_claims(result), *made]
    return [*mates_claims(result), *leak_claims(result), *made]


def rounding(result: "Result") -> float:
    """How far rounding can move an output: that of a sum over n inputs, over the smallest deviation."""
    batch = result.params.normaliser == "batch"
    terms = result.inputs[..., 0].numel() if batch else result.params.width
    spread = result.inputs.std((0, 1) if batch else (-1,), correction=0)
    smallest = spread[spread > 0].min().item()
    return 8 * torch.finfo(torch.float32).eps * math.sqrt(terms) * result.inputs.abs().max().item() / smallest


def mates_claims(result: "Result") -> list[Claim]:
    """Made when there are other samples and they were changed."""
    params = result.params
    if params.batch == 1 or not params.change_mates:
        return []
    moved = (result.outputs_after[0] - result.outputs[0]).abs().max().item()
    if params.normaliser == "batch":
        sentence = Text(
            "Sample 0 is untouched, yet its outputs move when the other samples change",
            "样本 0 没有改动，其他样本一变，它的输出也跟着变",
        )
        why = Text("they share μ and σ; the bound is what rounding could do", "它们共用 μ 和 σ；界限是舍入误差的大小")
        return [Claim("depends_on_batch_mates", sentence, moved, ">", rounding(result), why)]
    sentence = Text(
        "Changing the other samples moves no output of sample 0, not by one bit",
        "改动其他样本，样本 0 的输出一位都不变",
    )
    why = Text("no number of another sample enters its statistics", "它的统计量里没有其他样本的数")
    return [Claim("independent_of_batch_mates", sentence, moved, "=", 0.0, why)]


def leak_claims(result: "Result") -> list[Claim]:
    """Whether the probed output depends on later tokens of its own sample."""
    params = result.params
    if params.batch * params.real_length == 1:  # one real token among zeros is always ±√(T−1), whatever the inputs
        return []
    leak = result.influence[0, params.probe + 1 :].max().item()
    if params.normaliser == "batch":
        sentence = Text(
            "The gradient of one output token with respect to later tokens is not zero: the future leaks in",
            "一个输出 token 对其后 token 的梯度不为零：未来的信息泄漏了",
        )
        why = Text(
            "every token enters μ and σ with weight $1/BT$; the bound is rounding",
            "每个 token 都以 $1/BT$ 的权重进入 μ 和 σ；界限是舍入误差",
        )
        tokens = params.batch * params.length
        return [Claim("leaks_from_future", sentence, leak, ">", rounding(result) / tokens, why)]
    sentence = Text(
        "The gradient of one output token with respect to later tokens is exactly zero",
        "一个输出 token 对其后 token 的梯度恰好为零",
    )
    why = Text("its statistics come from its own features only", "它的统计量只来自它自己的特征")
    return [Claim("no_leak_from_future", sentence, leak, "=", 0.0, why)]


def padding_claims(result: "Result") -> list[Claim]:
    """Zeros mixed into the statistics of N(1, 1): made without an outlier and with enough real tokens."""
    params, real_share = result.params, 1 - result.params.padding
    tokens = params.batch * params.real_length
    if params.padding == 0 or params.outlier or tokens < 8:
        return []
    real = result.outputs[:, : params.real_length]  # (sample, position, feature)
    spread = math.sqrt(real_share + real_share * params.padding)  # of the mixture
    # by the delta method, from var(mean) = 1/n and var(variance) = 2/n; the bias of small samples is below 1/n
    error = real_share * params.padding / spread**3 * math.sqrt(1.5 / (tokens * params.width))
    slack = 5 * error + 1 / tokens
    shift = Text(
        "With zero padding in the statistics, real tokens no longer have mean 0",
        "零 padding 混进统计量后，真实 token 的均值不再是 0",
    )
    swell = Text("… and their standard deviation is above 1", "……它们的标准差也大于 1")
    mean = Text(
        r"$(1-p)/\sqrt{p+p(1-p)}$, $p$ = real share; ± 5 standard errors + 1/n",
        r"$(1-p)/\sqrt{p+p(1-p)}$，$p$ 为真实 token 占比；± 5 个标准误 + 1/n",
    )
    deviation = Text(
        r"$1/\sqrt{p+p(1-p)}$, $p$ = real share; ± 5 standard errors + 1/n",
        r"$1/\sqrt{p+p(1-p)}$，$p$ 为真实 token 占比；± 5 个标准误 + 1/n",
    )
    inflated = real.std((0, 1), correction=0).mean().item()
    return [
        Claim("padding_shifts_mean", shift, real.mean().item(), "=", params.padding / spread, mean, slack),
        Claim("padding_inflates_std", swell, inflated, "=", 1 / spread, deviation, slack),
    ]


def outlier_claims(result: "Result") -> list[Claim]:
    """One token +100 in the batch: what BatchNorm leaves of all others. Made with enough real tokens."""
    params, share = result.params, 1 - result.params.padding
    ordinary = result.outputs[:, 1 : params.real_length].flatten(0, 1)  # (token, feature), the outlier is at 0
    if not params.outlier or len(ordinary) < 8:
        return []
    size, weight = result.outlier, 1 / (params.batch * params.length)  # of the outlier in the statistics
    mean = share + size * weight
    spread = math.sqrt(2 * share + (2 * size + size**2) * weight - mean**2)
    measured = ordinary.std(0, correction=0).mean().item()
    # relative errors: of a standard deviation over n tokens and d features, its bias, and the outlier's own noise
    tokens = len(ordinary)
    error = 5 * math.sqrt((0.5 / tokens + 1 / size**2) / params.width) + 1 / tokens
    return [
        Claim(
            "one_outlier_squashes_all",
            Text(
                "One outlier token inflates σ and squashes every other token of the batch",
                "一个异常 token 抬高 σ，把整批其他 token 都压扁了",
            ),
            measured,
            "=",
            1 / spread,
            Text("1/σ of the mixture; ± 5 standard errors + 1/n", "混合分布的 1/σ；± 5 个标准误 + 1/n"),
            error / spread,
        )
    ]


def torch_claim(result: "Result") -> Claim:
    """The hand-written norm against PyTorch's."""
    inputs, width = result.inputs, result.params.width
    oracle = {
        "layer": lambda: F.layer_norm(inputs, (width,), eps=1e-5),
        "rms": lambda: F.rms_norm(inputs, (width,), eps=1e-5),
        "batch": lambda: F.batch_norm(inputs.flatten(0, 1), None, None, training=True, eps=1e-5).view_as(inputs),
    }[result.params.normaliser]()
    difference = (result.outputs - oracle).abs().max().item()
    sentence = Text("`normalise`, written out by hand, agrees with PyTorch", "手写的 `normalise` 与 PyTorch 一致")
    why = Text(
        "rounding of a sum over n: 8 ε √n · largest |x| / smallest σ", "n 项求和的舍入误差：8 ε √n · 最大 |x| / 最小 σ"
    )
    return Claim("matches_torch", sentence, difference, "<=", 0.0, why, rounding(result))


def depth_claims(result: "Result") -> list[Claim]:
    """How the gradient of the last FFN and the residual stream change from one layer to L."""
    depth, pre = result.params.layers, result.params.wiring == "pre"
    gradients, variances = result.gradients[int(pre), :depth], result.variances[int(pre), :depth]
    if not pre:
        sentence = Text(
            "Post-LN: the last FFN's gradient does not depend on depth (exponent 0)",
            "Post-LN：最后一层 FFN 的梯度与深度无关（指数为 0）",
        )
        why = Text(
            "Xiong et al. 2020, Theorem 1: a bound without L; 0.2 is under half the way to Pre-LN's −½",
            "Xiong 等 2020 定理 1：上界与 L 无关；0.2 不到 Pre-LN 指数 −½ 的一半",
        )
        return [Claim("post_norm_gradient_flat", sentence, exponent(gradients), "=", 0.0, why, 0.2)]
    fall = (gradients[-1] / gradients[0]).item()
    expected = (variances[0] / variances[-1]).sqrt().item()
    shrinks = Text(
        "Pre-LN: the last FFN's gradient shrinks with depth as 1/σ of the stream, about $1/\\sqrt L$",
        "Pre-LN：最后一层 FFN 的梯度随深度按残差流的 1/σ 缩小，约为 $1/\\sqrt L$",
    )
    grows = Text("Pre-LN: the variance of the residual stream grows with depth", "Pre-LN：残差流的方差随深度增长")
    jacobian = Text(
        "the final norm's Jacobian is 1/σ; 5 standard errors over 12 networks are a third",
        "最后一个归一化的雅可比为 1/σ；12 个网络的 5 个标准误约为三分之一",
    )
    bound = Text("each FFN alone adds ½: at least $1+L/2$", "仅 FFN 每层就增加 ½：至少 $1+L/2$")
    return [
        Claim("pre_norm_gradient_shrinks", shrinks, fall, "=", expected, jacobian, expected / 3),
        Claim("stream_variance_grows", grows, variances[-1].item(), ">=", 1 + depth / 2, bound),
    ]


def exponent(values: torch.Tensor) -> float:
    """The a of the power law depth^a fitted to `values` at depths 1 to L."""
    depth = torch.arange(1, len(values) + 1).log()
    centred = depth - depth.mean()
    return ((centred @ values.log()) / centred.square().sum()).item()
