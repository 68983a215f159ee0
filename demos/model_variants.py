"""Transformer variants: who sees whom, shared key and value heads, mixtures of experts, and parameters counted."""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.claims.model_variants import claims
from demos.figures.model_variants import pictures
from demos.kit.contract import Demo, Prediction, Preset
from demos.kit.counting import count
from demos.kit.knobs import Choice, Range, Spaced, powers_of_two
from demos.kit.lab import Lab
from demos.kit.published import MODELS, Config
from demos.kit.stage import stage
from language import Text, same

LAYERS, WIDTH = 2, 16  # the small stack whose tokens are poked
QUERY_HEADS, HEAD_WIDTH, POSITIONS = 32, 8, 16  # the attention whose key and value heads are shared
EXPERT_WIDTH, TRIALS = 16, 64
BATCHES = powers_of_two(1, 256)
FAMILIES = {
    "encoder": Text("encoder (BERT)", "编码器（BERT）"),
    "decoder": Text("decoder (GPT)", "解码器（GPT）"),
    "prefix": Text("prefix LM", "前缀 LM"),
    "both": Text("encoder–decoder (T5)", "编码器加解码器（T5）"),
}


@dataclass(frozen=True)
class Params:
    """The knobs."""

    model: Annotated[
        str, Choice({name: same(config.name) for name, config in MODELS.items()}, label=Text("Model", "模型"))
    ] = "mixtral"
    family: Annotated[str, Choice(FAMILIES, label=Text("Skeleton", "骨架"))] = "decoder"
    length: Annotated[int, Range(4, 12, label=Text("Tokens n", "token 数 n"))] = 8
    prefix: Annotated[int, Range(0, 4, label=Text("Prefix p", "前缀 p"), when=("family", ("prefix",)))] = 3
    kv_heads: Annotated[
        int, Spaced(powers_of_two(1, QUERY_HEADS), label=Text("K/V heads, of 32", "K/V 头数（共 32 个头）"))
    ] = 8
    experts: Annotated[int, Spaced(powers_of_two(8, 64), label=Text("Experts E", "专家数 E"))] = 8
    active: Annotated[int, Spaced((1, 2, 4, 8), label=Text("Experts per token k", "每个 token 的专家数 k"))] = 2
    tokens: Annotated[int, Spaced(BATCHES, label=Text("Tokens in the batch T", "batch 里的 token 数 T"))] = 16
    seed: Annotated[int, Range(0, 9, label=Text("Random seed", "随机种子"))] = 0


@dataclass(frozen=True)
class Shared:
    """Attention with shared key and value heads."""

    cache: int  # bytes of keys and values
    full_cache: int  # bytes with as many K/V heads as query heads
    flops: int  # of the products
    full_flops: int
    repeated: float  # largest difference from PyTorch's attention with every K/V head repeated for its group
    cycled: float  # the same with the heads in the wrong order


@dataclass(frozen=True)
class Mixture:
    """A layer of experts."""

    touched: Tensor  # (batch size,) mean number of experts that a batch needs, over the trials
    flops: int  # of the layer on T tokens
    dense: float  # largest difference from the mixture of all experts


@dataclass(frozen=True)
class Result:
    """What was measured and counted."""

    params: Params
    reach: Tensor  # (output, poked): largest change of that output when that token is poked; source first
    shared: Shared
    mixture: Mixture
    total: dict[str, int]  # parameters by part
    active: dict[str, int]  # those that one token uses
    asked: int  # the prediction: parameters of Mixtral-8x7B
    batches: tuple[int, ...] = BATCHES


def visible(family: str, length: int, prefix: int) -> Tensor:
    """(query, key): may this query look at this key?"""
    mask = torch.ones(length, length, dtype=torch.bool)
    if family == "encoder":
        return mask
    mask = mask.tril()
    if family == "prefix":
        mask[:, :prefix] = True
    return mask


def attend(x: Tensor, memory: Tensor, weights: Tensor, mask: Tensor) -> Tensor:
    """One head: x asks, `memory` answers where the mask allows."""
    query, key, value = x @ weights[0], memory @ weights[1], memory @ weights[2]  # (…, position, feature)
    scores = (query @ key.mT / math.sqrt(WIDTH)).masked_fill(~mask, -math.inf)
    return scores.softmax(-1) @ value


def run_stack(x: Tensor, weights: Tensor, mask: Tensor, source: Tensor | None = None) -> Tensor:
    """Pre-LN layers of attention, cross-attention if there is a source, and a small FFN."""
    for layer in weights:  # (matrix, feature, feature)
        y = F.layer_norm(x, (WIDTH,))
        x = x + attend(y, y, layer[0:3], mask)
        if source is not None:
            x = x + attend(F.layer_norm(x, (WIDTH,)), source, layer[3:6], mask.new_ones(len(mask), source.shape[-2]))
        x = x + F.gelu(F.layer_norm(x, (WIDTH,)) @ layer[6]) @ layer[7]
    return F.layer_norm(x, (WIDTH,))


def run_family(x: Tensor, encoder: Tensor, decoder: Tensor, params: Params) -> Tensor:
    """One stack; or, with a source as long as the target, an encoder and a decoder that looks at its output."""
    n = params.length
    if params.family != "both":
        return run_stack(x, decoder, visible(params.family, n, params.prefix).to(x.device))
    source = run_stack(x[..., :n, :], encoder, visible("encoder", n, 0).to(x.device))
    target = run_stack(x[..., n:, :], decoder, visible("decoder", n, 0).to(x.device), source)
    return torch.cat([source, target], dim=-2)


@stage(keep=32)
def poke(lab: Lab, family: str, length: int, prefix: int, seed: int) -> Tensor:
    """Poke each token in a random direction and see which outputs move."""
    params = Params(family=family, length=length, prefix=prefix)
    generator = lab.generator(seed)
    encoder, decoder = lab.normal(2, LAYERS, 8, WIDTH, WIDTH, generator=generator) / math.sqrt(WIDTH)
    tokens = 2 * length if family == "both" else length
    x, direction = lab.normal(2, tokens, WIDTH, generator=generator)  # (position, feature) each
    # a constant vector would not do: LayerNorm removes it, and nothing else would see the poke
    poked = x + torch.eye(tokens, device=x.device).unsqueeze(-1) * direction  # (poked, position, feature)
    each = [x, *poked]  # one by one, since rows of one large product may be rounded differently
    outputs = torch.stack([run_family(sequence, encoder, decoder, params) for sequence in each])
    return (outputs[1:] - outputs[0]).abs().amax(-1).mT  # (output, poked)


def grouped_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Each K/V head serves a group of neighbouring query heads; nothing is copied."""
    groups = query.unflatten(0, (len(key), -1))  # (K/V head, head of the group, position, feature)
    scores = groups @ key.unsqueeze(1).mT / math.sqrt(HEAD_WIDTH)
    return (scores.softmax(-1) @ value.unsqueeze(1)).flatten(0, 1)  # (query head, position, feature)


@stage(keep=16)
def share_heads(lab: Lab, kv_heads: int, seed: int) -> Shared:
    """What sharing saves, and what it equals."""
    generator = lab.generator(seed)
    query, all_keys, all_values = lab.normal(3, QUERY_HEADS, POSITIONS, HEAD_WIDTH, generator=generator)
    key, value = all_keys[:kv_heads].clone(), all_values[:kv_heads].clone()  # (K/V head, position, feature)
    group = QUERY_HEADS // kv_heads
    output = grouped_attention(query, key, value)
    repeated = F.scaled_dot_product_attention(query, key.repeat_interleave(group, 0), value.repeat_interleave(group, 0))
    cycled = F.scaled_dot_product_attention(query, key.repeat(group, 1, 1), value.repeat(group, 1, 1))
    return Shared(
        cache=key.nbytes + value.nbytes,
        full_cache=all_keys.nbytes + all_values.nbytes,
        flops=count(lambda: grouped_attention(query, key, value)).flops,
        full_flops=count(lambda: grouped_attention(query, all_keys, all_values)).flops,
        repeated=(output - repeated).abs().max().item(),
        cycled=(output - cycled).abs().max().item(),
    )


def mix_experts(x: Tensor, router: Tensor, experts: Tensor, active: int) -> Tensor:
    """Each token goes through its `active` best experts only; softmax over their scores weighs them."""
    scores, chosen = (x @ router).topk(active, dim=-1)  # (token, choice) each
    weights = scores.softmax(-1)
    output = torch.zeros_like(x)
    for expert, (gate, rise, fall) in enumerate(experts):
        token, choice = (chosen == expert).nonzero(as_tuple=True)
        hidden = F.silu(x[token] @ gate) * (x[token] @ rise)  # (token of this expert, feature)
        output.index_add_(0, token, weights[token, choice, None] * (hidden @ fall))
    return output


@stage(keep=16)
def route(lab: Lab, experts: int, active: int, tokens: int, seed: int) -> Mixture:
    """Run a layer of experts, and count how many experts batches of independent tokens need."""
    generator = lab.generator(seed)
    x = lab.normal(tokens, EXPERT_WIDTH, generator=generator)
    router = lab.normal(EXPERT_WIDTH, experts, generator=generator)
    matrices = lab.normal(experts, 3, EXPERT_WIDTH, EXPERT_WIDTH, generator=generator) / math.sqrt(EXPERT_WIDTH)
    everyone = F.silu(torch.einsum("td,edf->tef", x, matrices[:, 0])) * torch.einsum("td,edf->tef", x, matrices[:, 1])
    dense = torch.einsum("te,tef,efd->td", (x @ router).softmax(-1), everyone, matrices[:, 2])
    scores = lab.normal(TRIALS, BATCHES[-1], experts, generator=generator)  # independent of everything: uniform
    hits = F.one_hot(scores.topk(active, dim=-1).indices, experts).sum(2)  # (trial, token, expert)
    touched = [(hits[:, :size].sum(1) > 0).sum(-1).float().mean() for size in BATCHES]
    return Mixture(
        touched=torch.stack(touched),
        flops=count(lambda: mix_experts(x, router, matrices, active)).flops,
        dense=(mix_experts(x, router, matrices, active) - dense).abs().max().item(),
    )


def count_parameters(config: Config, experts: int) -> dict[str, int]:
    """Make every tensor of the model on the meta device, where tensors have a shape and no bytes, and add up."""

    def size(*shapes: tuple[int, ...]) -> int:
        return sum(torch.empty(shape, device="meta").numel() for shape in shapes)

    d, kv, f, layers = config.width, config.kv_heads * config.head_width, config.hidden, config.layers
    table, attention = (config.vocabulary, d), [(d, d), (d, kv), (d, kv), (d, d)]
    biases = [(d,)] * 4 + [(f,), (d,)]
    if config.family == "llama":  # RMSNorm, no biases, an output matrix of its own
        router = size((d, config.experts)) if config.experts > 1 else 0
        ffn = experts * size((d, f), (d, f), (f, d)) + router
        rest = layers * size((d,), (d,)) + size((d,))
        return {
            "embedding": size(table, table),
            "attention": layers * size(*attention),
            "ffn": layers * ffn,
            "rest": rest,
        }
    if config.family == "t5":  # RMSNorm, no biases; the decoder attends twice; 32 distances for each head, twice
        rest = layers * size(*[(d,)] * 5) + size((d,), (d,), *[(32, config.heads)] * 2)
        ffn = 2 * layers * size((d, f), (f, d))
        return {"embedding": size(table), "attention": 3 * layers * size(*attention), "ffn": ffn, "rest": rest}
    rest = layers * size(*biases, *[(d,)] * 4) + size((d,), (d,))  # LayerNorms have a gain and a bias
    rest += size((2, d), (d, d), (d,)) if config.family == "bert" else 0  # segments and pooler
    ffn = layers * size((d, f), (f, d))
    embedding = size(table, (config.positions, d))
    return {"embedding": embedding, "attention": layers * size(*attention), "ffn": ffn, "rest": rest}


def compute(params: Params, lab: Lab) -> Result:
    """Poke tokens, share heads, route to experts, count parameters."""
    config, mixtral = MODELS[params.model], MODELS["mixtral"]
    prefix = params.prefix if params.family == "prefix" else 0
    return Result(
        params,
        reach=poke(lab, params.family, params.length, prefix, params.seed),
        shared=share_heads(lab, params.kv_heads, params.seed),
        mixture=route(lab, params.experts, params.active, params.tokens, params.seed),
        total=count_parameters(config, config.experts),
        active=count_parameters(config, config.active),
        asked=sum(count_parameters(mixtral, mixtral.experts).values()),
    )


def right_option(result: Result) -> str:
    """The option nearest to the number just counted."""
    return min(BILLIONS, key=lambda name: abs(BILLIONS[name] - result.asked / 1e9))


BILLIONS = {"active": 13, "total": 47, "named": 56}  # the options of the prediction

DEMO = Demo(
    title=Text("Transformer variants", "Transformer 变体"),
    summary=Text(
        "Poke a token and see who notices; share heads; route tokens to experts; count the parameters.",
        "改动一个 token，看影响到谁；让头共用 K/V；把 token 分给专家；再数参数。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "Mixtral-8x7B has 8 experts in each layer. How many parameters does it have in total?",
            "Mixtral-8x7B 每层有 8 个专家。它总共有多少参数？",
        ),
        options={name: Text(f"about {size}B", f"约 {size}B") for name, size in BILLIONS.items()},
        right=right_option,
        because=Text(
            "Only the FFN exists eight times; the rest is shared. A token uses 2 of the 8 FFNs: 12.9B in all.",
            "只有 FFN 有八份，注意力和词嵌入是共用的。一个 token 只用 8 个 FFN 里的 2 个，合计 12.9B。",
        ),
    ),
    presets=(
        Preset(Text("Mixtral and GPT's mask", "Mixtral 与 GPT 的掩码"), Params()),
        Preset(Text("BERT", "BERT"), Params(model="bert_base", family="encoder")),
        Preset(Text("T5", "T5"), Params(model="t5_base", family="both")),
        Preset(Text("Prefix LM, one K/V head", "前缀 LM，1 个 K/V 头"), Params(family="prefix", kv_heads=1)),
        Preset(Text("64 experts", "64 个专家"), Params(experts=64, active=8, tokens=64)),
    ),
)
