"""Published language models: their configurations, and the parameters that follow from them."""

from dataclasses import dataclass
from typing import Literal

Family = Literal["bert", "gpt2", "t5", "llama"]


@dataclass(frozen=True)
class Config:
    """What the authors or their checkpoint say. `published` is what the released model counts.

    `bert` is the encoder with its pooler, `gpt2` and `t5` share one matrix for input and output embeddings.
    """

    name: str
    family: Family
    layers: int  # T5: this many in the encoder and again in the decoder
    width: int
    hidden: int
    heads: int
    kv_heads: int
    vocabulary: int
    published: int
    positions: int = 0  # learned position vectors
    experts: int = 1
    active: int = 1  # experts that a token goes through

    @property
    def head_width(self) -> int:
        """Features of one head."""
        return self.width // self.heads


def parameters(config: Config, experts: int | None = None) -> dict[str, int]:
    """Parameters by part. With `experts`, only that many of every layer: what one token uses."""
    d, kv, layers = config.width, config.kv_heads * config.head_width, config.layers
    experts = experts or config.experts
    router = d * config.experts if config.experts > 1 else 0  # it scores all of them in any case
    embedding = (config.vocabulary + config.positions) * d
    attention, two, gated = 2 * d * d + 2 * d * kv, 2 * d * config.hidden, 3 * d * config.hidden
    if config.family == "llama":  # no biases, RMSNorm, its own output matrix
        parts = (embedding + config.vocabulary * d, attention, experts * gated + router, 2 * d, d)
    elif config.family == "gpt2":  # biases, two norms a layer and one at the end
        parts = (embedding, attention + 4 * d, two + config.hidden + d, 4 * d, 2 * d)
    elif config.family == "bert":  # two segment vectors and a norm with the embeddings, a pooler at the end
        parts = (embedding + 2 * d, attention + 4 * d, two + config.hidden + d, 4 * d, 2 * d)
        return _sum(layers, *parts) | {"pooler": d * d + d}
    else:  # T5: no biases; the decoder attends twice; 32 distances for each head of encoder and decoder
        parts = (embedding, 3 * attention, 2 * two, 5 * d, 2 * d)
        return _sum(layers, *parts) | {"positions": 2 * 32 * config.heads}
    return _sum(layers, *parts)


def _sum(layers: int, embedding: int, attention: int, ffn: int, norms: int, last_norm: int) -> dict[str, int]:
    return {
        "embedding": embedding,
        "attention": layers * attention,
        "ffn": layers * ffn,
        "norms": layers * norms + last_norm,
    }


MODELS = {
    "bert_base": Config("BERT-base", "bert", 12, 768, 3072, 12, 12, 30522, 109_482_240, positions=512),
    "bert_large": Config("BERT-large", "bert", 24, 1024, 4096, 16, 16, 30522, 335_141_888, positions=512),
    "gpt2": Config("GPT-2 small", "gpt2", 12, 768, 3072, 12, 12, 50257, 124_439_808, positions=1024),
    "gpt2_xl": Config("GPT-2 XL", "gpt2", 48, 1600, 6400, 25, 25, 50257, 1_557_611_200, positions=1024),
    "t5_base": Config("T5-base", "t5", 12, 768, 3072, 12, 12, 32128, 222_903_552),
    "llama2_7b": Config("Llama-2-7B", "llama", 32, 4096, 11008, 32, 32, 32000, 6_738_415_616),
    "llama2_70b": Config("Llama-2-70B", "llama", 80, 8192, 28672, 64, 8, 32000, 68_976_648_192),
    "llama3_8b": Config("Llama-3-8B", "llama", 32, 4096, 14336, 32, 8, 128256, 8_030_261_248),
    "mistral_7b": Config("Mistral-7B", "llama", 32, 4096, 14336, 32, 8, 32000, 7_241_732_096),
    "mixtral": Config("Mixtral-8x7B", "llama", 32, 4096, 14336, 32, 8, 32000, 46_702_792_704, experts=8, active=2),
}
