"""The claims of `encoder_walkthrough`."""

from typing import TYPE_CHECKING

import torch

from demos.kit.contract import Claim
from language import Text, same

if TYPE_CHECKING:
    from demos.encoder_walkthrough import Result

ROUNDING = 2e-5  # of a layer whose activations stay below 10 in fp32
MOVED = 1e-6


def claims(result: "Result") -> list[Claim]:
    """The layer is PyTorch's, only attention mixes, order enters by positions only, and skips keep tokens apart."""
    layer = [*layer_claims(result), *parameter_claims(result)]
    return [*layer, *mixing_claims(result), *order_claims(result), *depth_claims(result)]


def layer_claims(result: "Result") -> list[Claim]:
    """Against the oracle, and in numbers."""
    params = result.params
    sums = result.trace.weights.double().sum(-1).flatten()
    farthest = sums[(sums - 1).abs().argmax()].item()
    made = [
        Claim(
            "matches_pytorch",
            Text(
                "This layer (with residuals) against `nn.TransformerEncoderLayer`: largest difference",
                "本层（含残差）与 `nn.TransformerEncoderLayer` 的最大差",
            ),
            result.oracle,
            "=",
            0.0,
            Text("the same parameters and padding mask; fp32 rounding", "参数与 padding 掩码相同；fp32 舍入"),
            ROUNDING,
        ),
        Claim(
            "attention_rows_sum_to_one",
            Text("Each query's weights sum to 1", "每个 query 的权重之和为 1"),
            farthest,
            "=",
            1.0,
            Text("softmax; rounding of n weights", "softmax；n 个权重的舍入"),
            params.tokens * torch.finfo(torch.float32).eps,
        ),
    ]
    if params.wiring == "post":
        sentence = Text("Post-LN: each output row has variance 1", "Post-LN：输出的每一行方差为 1")
        why = Text(
            "the last step is LayerNorm; ε counts where its input is small", "最后一步是 LayerNorm；输入很小时 ε 有影响"
        )
        variances = result.trace.output.var(-1, correction=0)
        variance = variances[(variances - 1).abs().argmax()].item()  # the row that is farthest off
        made.append(Claim("post_norm_rows_are_normalised", sentence, variance, "=", 1.0, why, 2e-3))
    if params.padding:
        sentence = Text("Largest weight on a padded key", "padding 的 key 得到的最大权重")
        why = Text("its score is −∞ before the softmax", "它的分数在 softmax 之前是 −∞")
        heaviest = result.trace.weights[..., -params.padding :].max().item()
        made.append(Claim("padded_keys_get_no_weight", sentence, heaviest, "=", 0.0, why))
    return made


def parameter_claims(result: "Result") -> list[Claim]:
    """How many numbers a layer of the base model holds, and where."""
    base, d = result.base_parameters, 512
    total = sum(base.values())
    return [
        Claim(
            "base_layer_parameters",
            Text("Parameters of one layer of the base model", "base 模型一层的参数量"),
            total,
            "=",
            12 * d * d + 13 * d,
            same("$12d^2+13d$, $d=512$"),
        ),
        Claim(
            "two_thirds_in_the_ffn",
            Text("Share of them in the FFN", "其中 FFN 所占的比例"),
            base["ffn"] / total,
            "=",
            (8 * d * d + 5 * d) / (12 * d * d + 13 * d),
            same("$(8d^2+5d)/(12d^2+13d)$"),
            1e-12,
        ),
    ]


def mixing_claims(result: "Result") -> list[Claim]:
    """How many tokens' outputs move when one token is changed."""
    params = result.params
    attention, feed, norm = (result.moved > MOVED).sum(-1).tolist()
    padded = min(params.changed, params.tokens) > params.tokens - params.padding
    every = Text("every query gives it a positive weight", "每个 query 都给它正的权重")
    none = Text(
        "as a padded key it has weight 0; only its own query moves",
        "它是 padding，作为 key 权重为 0，只有它自己的 query 变了",
    )
    alone = Text("it maps every row on its own", "它对每一行单独计算")
    return [
        Claim(
            "attention_moves_every_token",
            Text(
                "Tokens whose attention output moves when one token changes",
                "改动一个 token，自注意力输出跟着变的 token 数",
            ),
            attention,
            "=",
            1 if padded else params.tokens,
            none if padded else every,
        ),
        Claim(
            "ffn_moves_one_token",
            Text("Tokens whose FFN output moves", "FFN 输出跟着变的 token 数"),
            feed,
            "=",
            1,
            alone,
        ),
        Claim(
            "norm_moves_one_token",
            Text("Tokens whose LayerNorm output moves", "LayerNorm 输出跟着变的 token 数"),
            norm,
            "=",
            1,
            alone,
        ),
    ]


def order_claims(result: "Result") -> list[Claim]:
    """Reversing the sentence."""
    return [
        Claim(
            "reversal_passes_through_without_positions",
            Text(
                "Without positions, the reversed sentence gives the reversed output: difference",
                "没有位置编码时，句子倒过来，输出也只是倒过来：差",
            ),
            result.reversed_without,
            "=",
            0.0,
            Text(
                "$\\mathrm{Enc}(\\Pi X)=\\Pi\\,\\mathrm{Enc}(X)$; fp32 rounding",
                "$\\mathrm{Enc}(\\Pi X)=\\Pi\\,\\mathrm{Enc}(X)$；fp32 舍入",
            ),
            ROUNDING,
        ),
        Claim(
            "positions_break_the_symmetry",
            Text("With position encodings it does not", "有位置编码时就不是了"),
            result.reversed_with,
            ">",
            100 * ROUNDING,
            Text("a hundred times the rounding", "舍入误差的一百倍"),
        ),
    ]


def depth_claims(result: "Result") -> list[Claim]:
    """Mean cosine between two tokens after the chosen number of layers."""
    depth = result.params.depth
    without, with_skips = result.similarity[:, depth - 1].tolist()
    made = [
        Claim(
            "residuals_keep_tokens_apart",
            Text("With residuals: mean cosine between two tokens", "有残差：两个 token 的平均余弦"),
            with_skips,
            "<",
            without,
            Text("its value without residuals", "没有残差时的值"),
        )
    ]
    if depth >= 2:
        sentence = Text(
            "Without residuals, from layer 2 on: mean cosine between two tokens",
            "没有残差，从第 2 层起：两个 token 的平均余弦",
        )
        why = Text(
            "it tends to 1 with depth (Dong et al. for pure attention)", "随深度趋于 1（纯注意力的情形见 Dong 等人）"
        )
        made.append(Claim("tokens_merge_without_residuals", sentence, without, ">", 0.99, why))
    return made
