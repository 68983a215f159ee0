"""How heads share one layer: what is cut, what every head can read, and what is gone when one is removed."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.claims.head_subspaces import claims
from demos.figures.head_subspaces import LAYOUTS, pictures
from demos.kit.contract import Demo, Prediction, Preset
from demos.kit.knobs import Choice, Range, Spaced
from demos.kit.lab import Lab
from demos.kit.stage import stage
from language import Text

SYMBOLS, LENGTH, MODEL, STEPS, BATCH, LEARNING_RATE = 8, 12, 32, 300, 32, 2e-2  # name the symbols 1 and 2 back
Split = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Params:
    """The knobs."""

    layout: Annotated[str, Choice(LAYOUTS, label=Text("How heads are made", "怎样分出各个头"))] = "view"
    heads: Annotated[int, Spaced((1, 2, 4, 8, 16), label=Text("Heads h", "头数 h"))] = 4
    head: Annotated[int, Range(1, 16, label=Text("Head to look at", "看第几个头"))] = 1
    width: Annotated[int, Spaced((16, 32, 64), label=Text("Model width d_model", "模型宽度 d_model"))] = 32
    tokens: Annotated[int, Range(1, 16, label=Text("Tokens n", "token 数 n"))] = 8
    trained: Annotated[int, Spaced((1, 2, 4), label=Text("Heads of the trained layer", "训练的那一层有几个头"))] = 2
    seed: Annotated[int, Range(0, 9, label=Text("Random seed", "随机种子"))] = 0

    @property
    def shown(self) -> int:
        """The head looked at, counted from 0; the last one if there are fewer."""
        return min(self.head, self.heads) - 1


@dataclass(frozen=True)
class Trained:
    """One attention layer that learned both targets, whole and with one head removed at a time."""

    intact: Tensor  # (target,) accuracy
    ablated: Tensor  # (head, target) accuracy without that head
    looks: Tensor  # (head, offset) mean weight on the symbols 0, 1, 2 and 3 back
    leftover: float  # largest difference between the logits and the sum of what each head adds
    rounding: float  # what rounding may add to that


@dataclass(frozen=True)
class Result:
    """What one head reads, how its output compares with PyTorch's, and the layer that was trained."""

    params: Params
    reads: Tensor  # (token, feature) size of the derivative of the head's output
    stands: Tensor  # (head, row) the token that stands there
    seen: int  # pairs of head and token, in the right layout, where the head's output depends on the token
    wrong: float  # largest difference of the chosen layout from PyTorch's layer
    fused: float  # the same for the fused layout
    loop: float  # largest difference between fused and loop
    rounding: float  # what rounding may add to these
    overlap: Tensor  # (head, head) how much of one head's query subspace lies in another's
    outside: float  # largest change of any head's queries when x moves outside its query subspace
    input_weights: int  # numbers in W_Q, W_K and W_V as the chosen layout uses them
    trained: Trained
    forgotten: Tensor  # (token, feature) what head 1 of 4 reads of 8 tokens without the transpose


def attend(query: Tensor, key: Tensor, value: Tensor, causal: bool = False) -> tuple[Tensor, Tensor]:
    """All heads at once: a batch of matrix products."""
    scores = query @ key.mT / math.sqrt(query.shape[-1])  # (…, head, query, key)
    if causal:
        scores = scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), -math.inf)
    weights = scores.softmax(-1)
    return weights @ value, weights  # (…, head, query, head width)


def fused(x: Tensor, into: Tensor, heads: int) -> Split:
    """One product for all heads. Then `view` cuts every row into heads and `transpose` puts heads before tokens."""
    projected = (x @ into).chunk(3, dim=-1)  # Q, K and V: (…, token, model) each
    query, key, value = (part.unflatten(-1, (heads, -1)).transpose(-3, -2) for part in projected)
    return query, key, value  # (…, head, token, head width) each


def loop(x: Tensor, into: Tensor, heads: int) -> Split:
    """A small product for every head, with its own columns of W_Q, W_K and W_V."""
    query, key, value = (
        torch.stack([x @ columns for columns in matrix.chunk(heads, dim=-1)])  # (head, token, head width)
        for matrix in into.chunk(3, dim=-1)
    )
    return query, key, value


def view(x: Tensor, into: Tensor, heads: int) -> Split:
    """The bug: no transpose. The shape is right, but `view` moves no number, and they stand token after token."""
    query, key, value = ((x @ matrix).view(heads, len(x), -1) for matrix in into.chunk(3, dim=-1))
    return query, key, value  # (head, token, head width) each


def slices(x: Tensor, into: Tensor, heads: int) -> Split:
    """The misreading: head i gets only slice i of the input, so each matrix keeps only its diagonal blocks."""
    return fused(x, diagonal_blocks(into, heads), heads)


def diagonal_blocks(into: Tensor, heads: int) -> Tensor:
    """W_Q, W_K, W_V with 0 wherever a feature of one slice would meet a column of another head."""
    block = torch.ones(len(into) // heads, len(into) // heads)
    return into * torch.block_diag(*[block] * heads).repeat(1, 3).to(into.device)  # (model, 3 · model)


SPLITS = {"fused": fused, "loop": loop, "view": view, "slices": slices}


def merge(mixed: Tensor, back: Tensor) -> Tensor:
    """Heads side by side again, then W_O, which is what mixes them."""
    return mixed.transpose(-3, -2).flatten(-2) @ back  # (…, token, model)


def pytorch(x: Tensor, into: Tensor, back: Tensor, heads: int) -> Tensor:
    """The oracle: PyTorch's own multi-head attention with the same matrices."""
    tokens, width = x.unsqueeze(1), len(back)  # (token, batch, model)
    inputs = (tokens, tokens, tokens, width, heads, into.mT, None, None, None, False, 0.0, back.mT, None)
    return F.multi_head_attention_forward(*inputs, training=False, need_weights=False)[0].squeeze(1)


def what_is_read(split: Callable[..., Split], x: Tensor, into: Tensor, heads: int, head: int, lab: Lab) -> Tensor:
    """How strongly one head's output depends on each number of X: a random mix of it, differentiated."""
    x = x.clone().requires_grad_()
    output = attend(*split(x, into, heads))[0][head]  # (token, head width)
    blend = lab.normal(*output.shape, generator=lab.generator(100))
    return torch.autograd.grad((blend * output).sum(), x)[0].abs()  # (token, feature)


def forget_transpose(lab: Lab) -> Tensor:
    """The case of the prediction, whatever the knobs: what head 1 of 4 reads of 8 tokens of width 32."""
    x, into = lab.normal(8, 32, generator=lab.generator(0)), lab.normal(32, 96, generator=lab.generator(1))
    return what_is_read(view, x, into / math.sqrt(32), 4, 0, lab)  # (token, feature)


def what_stands_where(params: Params) -> Tensor:
    """Send token numbers through the layout instead of features: which token stands in each row of each head?"""
    numbers = torch.arange(params.tokens).unsqueeze(-1).expand(-1, params.width).float()  # (token, feature)
    unchanged = torch.eye(params.width).repeat(1, 3)  # W_Q = W_K = W_V = 1
    return SPLITS[params.layout](numbers, unchanged, params.heads)[0][..., 0]  # (head, row)


def name_symbols(layer: dict[str, Tensor], symbols: Tensor, heads: int, keep: Tensor) -> tuple[Tensor, Tensor]:
    """Logits for the symbols 1 and 2 back, no FFN, no residual. Queries and keys read positions, values symbols."""
    query, key, _ = fused(layer["positions"], layer["into"], heads)  # (head, token, head width)
    _, _, value = fused(layer["symbols"][symbols], layer["into"], heads)  # (…, head, token, head width)
    mixed, weights = attend(query, key, value, causal=True)
    kept = mixed * keep.view(-1, 1, 1)  # a head that is not kept adds nothing
    logits = merge(kept, layer["back"]) @ layer["readout"] + layer["bias"]
    return logits[..., 2:, :].unflatten(-1, (2, SYMBOLS)), weights  # (…, token, target, symbol), (head, query, key)


@stage(keep=30)
def train(lab: Lab, heads: int, seed: int) -> dict[str, Tensor]:
    """Teach the layer both targets with Adam; on the CPU, so that all devices show the same."""
    generator = lab.generator(seed)

    def matrix(*shape: int) -> Tensor:
        return (torch.randn(*shape, generator=generator) / math.sqrt(MODEL)).requires_grad_()

    layer = {
        "symbols": torch.randn(SYMBOLS, MODEL, generator=generator).requires_grad_(),
        "positions": matrix(LENGTH, MODEL),
        "into": matrix(MODEL, 3 * MODEL),
        "back": matrix(MODEL, MODEL),
        "readout": matrix(MODEL, 2 * SYMBOLS),
        "bias": torch.zeros(2 * SYMBOLS, requires_grad=True),
    }
    optimizer = torch.optim.Adam(layer.values(), LEARNING_RATE)
    for step in range(STEPS):
        if step % 10 == 0:
            lab.progress(step / STEPS, Text(f"Training, step {step} of {STEPS}", f"训练中，第 {step}/{STEPS} 步"))
        symbols = torch.randint(SYMBOLS, (BATCH, LENGTH), generator=generator)
        targets = torch.stack([symbols[:, 1:-1], symbols[:, :-2]], dim=-1)  # (sequence, token, target)
        logits, _ = name_symbols(layer, symbols, heads, torch.ones(heads))
        loss = F.cross_entropy(logits.flatten(0, 2), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {name: weight.detach() for name, weight in layer.items()}


@stage(keep=30)
def ablate(lab: Lab, heads: int, seed: int) -> Trained:
    """Remove one head at a time and look at the accuracy: all 64 pairs of symbols, at every place, in 8 contexts."""
    layer, places = train(lab, heads, seed), LENGTH - 2
    pairs = torch.cartesian_prod(torch.arange(SYMBOLS), torch.arange(SYMBOLS))  # (pair, target)
    context = torch.randint(SYMBOLS, (places, 8, 1, LENGTH), generator=lab.generator(1000 + seed))
    symbols = context.repeat(1, 1, len(pairs), 1)  # (place, context, pair, token)
    for place in range(places):
        symbols[place, :, :, place : place + 2] = pairs.flip(-1)

    def logits_with(keep: Tensor) -> Tensor:
        return name_symbols(layer, symbols, heads, keep)[0].diagonal(0, 0, 3)  # (context, pair, target, symbol, place)

    kept = [torch.ones(heads), *(1 - torch.eye(heads))]  # all heads; all but one
    logits = torch.stack([logits_with(keep) for keep in kept])  # (kept, context, pair, target, symbol, place)
    accuracy = (logits.argmax(-2) == pairs.unsqueeze(-1)).float().mean((1, 2, 4))  # (kept, target)
    added = (logits[0] - logits[1:]).sum(0) + layer["bias"].view(2, SYMBOLS, 1)  # what the heads add, one by one
    weights = name_symbols(layer, symbols[0, 0, 0], heads, torch.ones(heads))[1]  # (head, query, key)
    looks = [weights.diagonal(-back, -2, -1)[:, max(2 - back, 0) :].mean(-1) for back in range(4)]
    return Trained(
        intact=accuracy[0],
        ablated=accuracy[1:],
        looks=torch.stack(looks, dim=-1),
        leftover=(added - logits[0]).abs().max().item(),
        rounding=(heads + 2) * MODEL * torch.finfo(torch.float32).eps * logits[0].abs().max().item(),
    )


def compute(params: Params, lab: Lab) -> Result:
    """Run one layer in the chosen layout and in the right one; then take a trained layer apart."""
    generator, width, heads = lab.generator(params.seed), params.width, params.heads
    x = lab.normal(params.tokens, width, generator=generator)  # (token, model)
    into = lab.normal(width, 3 * width, generator=generator) / math.sqrt(width)  # W_Q, W_K, W_V side by side
    back = lab.normal(width, width, generator=generator) / math.sqrt(width)  # W_O

    output = merge(attend(*fused(x, into, heads))[0], back)  # (token, model)
    chosen = merge(attend(*SPLITS[params.layout](x, into, heads))[0], back)
    looped = merge(attend(*loop(x, into, heads))[0], back)
    oracle = pytorch(x, into, back, heads)
    x64, into64, back64 = (part.cpu().double() for part in (x, into, back))
    slip = (output.cpu() - merge(attend(*fused(x64, into64, heads))[0], back64)).abs().max().item()

    used = diagonal_blocks(into, heads) if params.layout == "slices" else into
    columns = used.chunk(3, dim=-1)[0].unflatten(-1, (heads, -1)).transpose(0, 1)  # (head, model, head width): W_i^Q
    bases = torch.linalg.qr(columns.cpu())[0].to(lab.device)  # orthonormal, spanning the same subspaces
    between = bases.unsqueeze(1).mT @ bases  # (head, head, head width, head width)
    move = lab.normal(width, 1, generator=generator)
    outside = move - bases @ (bases.mT @ move)  # (head, model, 1): what no query of the head can see
    return Result(
        params,
        reads=what_is_read(SPLITS[params.layout], x, into, heads, params.shown, lab),
        stands=what_stands_where(params),
        seen=sum(int(what_is_read(fused, x, into, heads, head, lab).any(1).sum()) for head in range(heads)),
        wrong=(chosen - oracle).abs().max().item(),
        fused=(output - oracle).abs().max().item(),
        loop=(output - looped).abs().max().item(),
        rounding=8 * slip,
        overlap=between.square().sum((-2, -1)) / (width // heads),
        outside=(columns.mT @ outside).abs().max().item(),
        input_weights=int(used.count_nonzero()),
        trained=ablate(lab, params.trained, params.seed),
        forgotten=forget_transpose(lab),
    )


def right_option(result: Result) -> str:
    """What head 1 was just found to read."""
    tokens, features = (int(result.forgotten.any(axis).sum()) for axis in (1, 0))
    return {2: "two", 8: "all" if features == 32 else "slice"}.get(tokens, "some")


DEMO = Demo(
    title=Text("Heads and subspaces, taken apart", "拆开看：多头与子空间"),
    summary=Text(
        "Four ways to make heads, one of them a popular bug; then a trained layer loses its heads one by one.",
        "分出多个头的四种写法，其中一种是常见的 bug；再把训练好的头逐个拿掉。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "8 tokens, width 32, 4 heads; q, k and v come from three linear layers. Instead of `view(B, n, h, "
            "d_k).transpose(1, 2)` somebody writes `view(B, h, n, d_k)`. Nothing raises. What does head 1 read?",
            "8 个 token、宽度 32、4 个头，q、k、v 来自三个线性层。有人把 `view(B, n, h, d_k).transpose(1, 2)` "
            "写成了 `view(B, h, n, d_k)`，并不报错。第 1 个头读到的是什么？",
        ),
        options={
            "all": Text("all 8 tokens, as before", "全部 8 个 token，和原来一样"),
            "slice": Text("all 8 tokens, a quarter of the input features", "全部 8 个 token，但只有四分之一的输入特征"),
            "two": Text("only the first 2 tokens", "只有前 2 个 token"),
            "some": Text("every second token", "隔一个读一个 token"),
        },
        right=right_option,
        because=Text(
            "In memory the numbers stand token after token. The first quarter of them is tokens 1 and 2 with all their "
            "features, each cut into 4 rows that pose as 4 tokens.",
            "内存里的数是一个 token 接一个 token 排的。前四分之一正是第 1、2 个 token 的全部特征，"
            "每个 token 又被切成 4 行，冒充 4 个 token。",
        ),
    ),
    presets=(
        Preset(Text("As it should be", "正确的写法"), Params("fused")),
        Preset(Text("Input cut into slices", "把输入切片"), Params("slices")),
        Preset(Text("One trained head", "只训练一个头"), Params("fused", trained=1)),
        Preset(Text("Four trained heads", "训练四个头"), Params("fused", trained=4)),
    ),
)
