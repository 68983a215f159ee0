"""The figures of `model_variants`."""

from typing import TYPE_CHECKING

from demos.kit import charts
from demos.kit.charts import BLUE, GREEN, GREY, ORANGE, PURPLE, Axis, Guide, Line
from demos.kit.contract import Picture
from demos.kit.published import MODELS
from language import Text

if TYPE_CHECKING:
    from demos.model_variants import Result

COUNTED = Text("counted", "实测")
HEADS = (1, 2, 4, 8, 16, 32)


def pictures(result: "Result") -> list[Picture]:
    """Parameters, reach, shared heads, experts."""
    return [parameter_picture(result), reach_picture(result), shared_picture(result), expert_picture(result)]


def parameter_picture(result: "Result") -> Picture:
    """Parameters by part; of a mixture, the experts that one token uses and the others apart."""
    config = MODELS[result.params.model]
    total, active = result.total, result.active
    whole, used = sum(total.values()), sum(active.values())
    unit, letter, name = (1e9, "B", Text("billions", "十亿")) if whole >= 1e9 else (1e6, "M", Text("millions", "百万"))
    sizes = {part: count / unit for part, count in active.items()}
    waiting = (total["ffn"] - active["ffn"]) / unit
    rows = [
        (Text("embeddings", "嵌入"), sizes["embedding"], PURPLE),
        (Text("attention", "注意力"), sizes["attention"], BLUE),
        (Text("FFN, in use", "FFN，用到的") if waiting else Text("FFN", "FFN"), sizes["ffn"], ORANGE),
        *([(Text("FFN, waiting", "FFN，闲置的"), waiting, GREY)] if waiting else []),
        (Text("rest", "其余"), sizes["rest"], GREEN),
    ]
    share = total["embedding"] / whole
    title = Text(
        f"{config.name} has {whole / unit:.3g}{letter} parameters; {share:.0%} are embeddings",
        f"{config.name} 有 {whole / unit:.3g}{letter} 参数，其中嵌入占 {share:.0%}",
    )
    if waiting:
        title = Text(
            f"{config.name} holds {whole / 1e9:.1f}B parameters; one token uses {used / 1e9:.1f}B of them",
            f"{config.name} 要装下 {whole / 1e9:.1f}B 参数，一个 token 只用其中 {used / 1e9:.1f}B",
        )
    spoken = [", ".join(f"{row[0].in_(language)} {row[1]:.4g}" for row in rows) for language in ("en", "zh")]
    return Picture(
        "parameters",
        title,
        Text(
            f"Bars, in {name.en}: {spoken[0]}; total {whole:,}.", f"条形图（{name.zh}）：{spoken[1]}；合计 {whole:,}。"
        ),
        charts.named_bars(
            [row[0] for row in rows],
            [row[1] for row in rows],
            Text(f"parameters ({name.en})", f"参数（{name.zh}，{letter}）"),
            [row[2] for row in rows],
        ),
    )


def reach_picture(result: "Result") -> Picture:
    """Which outputs react when a token is poked."""
    n, family = result.params.length, result.params.family
    reacts = (result.reach > 0).float()
    pairs, size, p = int(reacts.sum()), len(reacts), result.params.prefix
    kinds = (
        Text("the same as the decoder", "与解码器一样")
        if p < 2
        else Text("the same as the encoder", "与编码器一样")
        if p == n
        else Text("both ways inside the prefix only", "只有前缀内部是双向的")
    )
    titles = {
        "encoder": Text(
            f"Encoder: all {pairs} pairs react, to the left and to the right",
            f"编码器：{pairs} 对全部有反应，左右都看得到",
        ),
        "decoder": Text(
            f"Decoder: {pairs} of {size * size} pairs react; no output notices a later token",
            f"解码器：{size * size} 对里有 {pairs} 对有反应，没有一个输出感知到后面的 token",
        ),
        "prefix": Text(
            f"Prefix of {p}: {pairs} of {size * size} pairs react; {kinds.en}",
            f"前缀长 {p}：{size * size} 对里有 {pairs} 对有反应，{kinds.zh}",
        ),
        "both": Text(
            f"{n} source and {n} target tokens: the source reaches all, the target only itself and later targets",
            f"源端 {n} 个、目标端 {n} 个 token：源端影响所有位置，目标端只影响自己和后面的目标",
        ),
    }
    ticks = list(range(0, size, 2 if size <= 12 else 4))
    figure = charts.heatmap(
        reacts,
        Axis(Text("poked token", "被改动的 token"), ticks=ticks),
        Axis(Text("output that reacts", "有反应的输出"), ticks=ticks),
        limits=(0, 1),
    )
    figure["data"][0]["showscale"] = False  # a cell reacts or does not
    return Picture(
        "reach",
        titles[family],
        Text(
            f"Grid of {size} outputs by {size} poked tokens; {pairs} cells are filled.",
            f"{size} 个输出乘 {size} 个被改动的 token 的网格，{pairs} 格有反应。",
        ),
        figure,
    )


def shared_picture(result: "Result") -> Picture:
    """Cache and FLOPs against the number of key and value heads."""
    shared, kv = result.shared, result.params.kv_heads
    cache, flops = shared.cache / shared.full_cache, shared.flops / shared.full_flops
    series = [
        Line(Text("FLOPs", "FLOPs"), HEADS, [1.0] * len(HEADS), BLUE, dash="dot"),
        Line(Text("cache", "缓存"), HEADS, [heads / HEADS[-1] for heads in HEADS], ORANGE, dash="dot"),
        Line(COUNTED, [kv], [flops], BLUE, markers=True),
        Line(COUNTED, [kv], [cache], ORANGE, markers=True),
    ]
    figure = charts.lines(
        series,
        Axis(Text("K/V heads (1: MQA, 32: MHA)", "K/V 头数（1：MQA，32：MHA）"), log=True, ticks=HEADS),
        Axis(Text("relative to MHA", "相对 MHA"), range=(0, 1.1)),
    )
    figure["data"][-1]["showlegend"] = False  # it shares its name with the one before
    return Picture(
        "shared",
        Text(
            f"{kv} K/V head{'s' if kv > 1 else ''} for 32 query heads: {cache:.0%} of MHA's cache, "
            f"{flops:.0%} of the FLOPs of its products",
            f"32 个 query 头配 {kv} 个 K/V 头：缓存是 MHA 的 {cache:.0%}，乘积的 FLOPs 是 {flops:.0%}",
        ),
        Text(
            f"Cache and FLOPs relative to 32 K/V heads; at {kv}: {cache:.4f} and {flops:.4f}.",
            f"相对 32 个 K/V 头的缓存和 FLOPs；{kv} 个时为 {cache:.4f} 和 {flops:.4f}。",
        ),
        figure,
    )


def expert_picture(result: "Result") -> Picture:
    """Experts that a batch needs against its size."""
    params, sizes = result.params, result.batches
    e, k, t = params.experts, params.active, params.tokens
    touched = result.mixture.touched[sizes.index(t)].item()
    theory = [e * (1 - (1 - k / e) ** size) for size in sizes]
    series = [
        Line(Text("formula", "公式"), sizes, theory, GREY, dash="dot"),
        Line(Text("counted", "实测"), sizes, result.mixture.touched, ORANGE, markers=True),
    ]
    return Picture(
        "experts",
        Text(
            f"One token needs {k} of {e} experts, a batch of {t} needs {touched:.2f} on average",
            f"一个 token 用 {e} 个专家中的 {k} 个，{t} 个 token 的 batch 平均用到 {touched:.2f} 个",
        ),
        Text(
            f"Experts needed against batch size; at {t} tokens {touched:.3f} of {e}.",
            f"用到的专家数随 batch 大小的变化；{t} 个 token 时为 {touched:.3f}，共 {e} 个。",
        ),
        charts.lines(
            series,
            Axis(Text("tokens in the batch T", "batch 里的 token 数 T"), log=True, ticks=(1, 4, 16, 64, 256)),
            Axis(Text("experts needed", "用到的专家数"), range=(0, 1.1 * e)),
            [Guide(t, "", vertical=True)],
        ),
    )
