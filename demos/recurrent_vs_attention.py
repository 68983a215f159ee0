"""What a recurrent layer and an attention layer do with distance: to the gradient, to learning, and to the bill."""

import math
from dataclasses import dataclass
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.claims.recurrent_vs_attention import claims
from demos.figures.recurrent_vs_attention import LAYERS, LEARNERS, pictures
from demos.kit.contract import Demo, Prediction, Preset
from demos.kit.knobs import Choice, Range, Spaced, powers_of_two
from demos.kit.lab import Lab
from demos.kit.stage import stage
from language import Text

WIDTH, SMALL = 64, 32  # of the layers whose gradient is measured, and of the models that are trained
DIRECTIONS = 8  # random directions of the output whose gradients are averaged
CHAINED = (8, 16, 32, 64)  # lengths at which dependent operations are counted
SYMBOLS, STEPS, BATCH, LEARNING_RATE, TESTED = 8, 200, 64, 5e-3, 1000  # the recall task
ASKED, LONG, MILLION = 101, 401, 1e6  # the prediction's tokens, the longest sequence, how far the gradient must fall
RECURRENCES = {
    "default": Text("tanh, PyTorch's init", "tanh，PyTorch 默认初始化"),
    "orthogonal": Text("tanh, ρ × orthogonal", "tanh，ρ × 正交矩阵"),
    "linear": Text("linear, ρ × orthogonal", "线性，ρ × 正交矩阵"),
}
GAIN = ("recurrence", ("orthogonal", "linear"))
LENGTHS, COSTED = (26, 51, 101, 201, LONG), powers_of_two(64, 16_384)


@dataclass(frozen=True)
class Params:
    """The knobs."""

    bias: Annotated[float, Range(-1, 5, 0.5, label=Text("LSTM forget-gate bias", "LSTM 遗忘门偏置"))] = 0.0
    recurrence: Annotated[str, Choice(RECURRENCES, label=Text("Simple RNN", "普通 RNN"))] = "default"
    rho: Annotated[float, Range(0.5, 1.2, 0.05, label=Text("ρ, gain per step", "ρ，每步的增益"), when=GAIN)] = 0.9
    length: Annotated[int, Spaced(LENGTHS, label=Text("Tokens (gradient)", "token 数（看梯度）"))] = 101
    distance: Annotated[int, Spaced((10, 20, 40, 60), label=Text("Tokens (recall task)", "token 数（回忆任务）"))] = 40
    tokens: Annotated[int, Spaced(COSTED, label=Text("Tokens n (cost)", "token 数 n（看代价）"))] = 2048
    width: Annotated[int, Spaced(powers_of_two(64, 2048), label=Text("Width d (cost)", "宽度 d（看代价）"))] = 512
    seed: Annotated[int, Range(0, 9, label=Text("Random seed", "随机种子"))] = 0


@dataclass(frozen=True)
class Result:
    """Gradients by distance, what four models learned, chains of dependent operations, and the bill."""

    params: Params
    rnn: Tensor  # (distance,) gradient of the last output with respect to the input so many tokens back
    lstm: Tensor  # (distance,)
    attention: Tensor  # (distance,)
    attention_long: Tensor  # (distance,) the same last tokens at the end of the longest sequence
    output_size: float  # root mean square size of the directions: what a gradient starts with
    fall: int | None  # tokens until an LSTM with bias 0 has lost a factor of a million; None if it never does
    accuracy: dict[str, float]  # by model, at recalling the first token
    chains: dict[str, tuple[int, ...]]  # by layer, dependent operations at each of `CHAINED`
    multiply_adds: dict[str, tuple[int, ...]]  # by layer, at each of `COSTED`
    matrices: dict[str, int]  # by layer of width 64, numbers in its matrices
    chained: tuple[int, ...] = CHAINED
    costed: tuple[int, ...] = COSTED


def uniform(generator: torch.Generator, *shape: int) -> Tensor:
    """PyTorch's default for recurrent layers: uniform within ±1/√d."""
    return (2 * torch.rand(*shape, generator=generator) - 1) / math.sqrt(shape[-1])


def draw_weights(kind: str, amount: float, d: int, generator: torch.Generator) -> list[Tensor]:
    """Attention: W_Q, W_K, W_V, W_O. Recurrent: from the input, from the state, two biases, stacked by gate i, f, g, o.

    `amount` is the forget-gate bias of an LSTM, or ρ.
    """
    if kind == "attention":
        return [uniform(generator, d, d) for _ in range(4)]
    if kind in ("orthogonal", "linear"):
        rotations = torch.linalg.qr(torch.randn(2, d, d, generator=generator)).Q
        return [rotations[0], amount * rotations[1], torch.zeros(d), torch.zeros(d)]
    gates = 4 if kind == "lstm" else 1
    matrices = [uniform(generator, gates * d, d) for _ in range(2)]
    biases = [uniform(generator, gates, d).flatten() for _ in range(2)]
    if kind == "lstm":
        for part, value in zip(biases, (amount, 0.0), strict=True):
            part[d : 2 * d] = value  # the forget gate's
    return matrices + biases


def rnn(x: Tensor, weights: list[Tensor], linear: bool) -> Tensor:
    """h_t = φ(W x_t + U h_{t−1} + b): step t waits for step t − 1."""
    from_input, from_state, bias, more_bias = weights
    state = torch.zeros_like(x[:, 0])  # (direction, width)
    for token in x.unbind(1):
        state = token @ from_input.mT + state @ from_state.mT + bias + more_bias
        state = state if linear else state.tanh()
    return state


def lstm(x: Tensor, weights: list[Tensor]) -> Tensor:
    """c_t = f ⊙ c_{t−1} + i ⊙ g: the cell is gated and added to, with no matrix on its path."""
    from_input, from_state, bias, more_bias = weights
    state = cell = torch.zeros_like(x[:, 0])  # (direction, width)
    for token in x.unbind(1):
        gates = token @ from_input.mT + state @ from_state.mT + bias + more_bias  # (direction, 4 · width)
        i, f, g, o = gates.chunk(4, dim=-1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        state = o.sigmoid() * cell.tanh()
    return state


def attend(x: Tensor, weights: list[Tensor]) -> Tensor:
    """x_n + W_O Σ_j a_j v_j: the last token looks at all tokens at once."""
    to_query, to_key, to_value, to_output = weights
    query, key, value = x[:, -1:] @ to_query.mT, x @ to_key.mT, x @ to_value.mT  # (direction, 1 or token, width)
    scores = query @ key.mT / math.sqrt(x.shape[-1])  # (direction, 1, token)
    return x[:, -1] + (scores.softmax(-1) @ value @ to_output.mT)[:, 0]


def last_output(kind: str, x: Tensor, weights: list[Tensor]) -> Tensor:
    """The output at the last token."""
    if kind == "attention":
        return attend(x, weights)
    return lstm(x, weights) if kind == "lstm" else rnn(x, weights, linear=kind == "linear")


def draw_directions(lab: Lab, generator: torch.Generator) -> Tensor:
    """Random directions of the output, in which its gradient is taken."""
    return lab.normal(DIRECTIONS, WIDTH, generator=generator)  # (direction, width)


@stage(keep=64)
def gradient(lab: Lab, kind: str, amount: float, length: int, seed: int) -> Tensor:
    """Size of ∂(last output)/∂(input k tokens back): root mean square over random directions of the output."""
    weights = [weight.to(lab.device) for weight in draw_weights(kind, amount, WIDTH, lab.generator(seed))]
    generator = lab.generator(seed + 100)
    directions = draw_directions(lab, generator)
    x = lab.normal(length, WIDTH, generator=generator).flip(0)  # (token, width): the last tokens at every length
    x = x.expand(DIRECTIONS, -1, -1).clone().requires_grad_()  # (direction, token, width)
    (slope,) = torch.autograd.grad(last_output(kind, x, weights), x, directions)
    slope = slope.cpu().double()  # squares of such small and large numbers do not fit into fp32
    return slope.square().sum(-1).mean(0).sqrt().flip(0)  # (distance,) from 0


def longest_chain(output: Tensor) -> int:
    """The longest chain of operations that wait for one another, in the graph that autograd recorded."""
    depth: dict[Any, int] = {None: 0}
    stack = [output.grad_fn]
    while stack:
        before = [parent for parent, _ in stack[-1].next_functions] if stack[-1] else []
        waiting = [parent for parent in before if parent not in depth]
        if not waiting:
            depth[stack.pop()] = 1 + max((depth[parent] for parent in before), default=0)
        stack += waiting
    return depth[output.grad_fn]


@stage(keep=4)
def count_chains(lab: Lab) -> dict[str, tuple[int, ...]]:
    """Dependent operations between the inputs and the last output, at a few lengths."""
    found = {}
    for kind in LAYERS:
        weights = draw_weights(kind, 0.0, WIDTH, lab.generator(0))
        inputs = [torch.zeros(1, length, WIDTH).requires_grad_() for length in CHAINED]
        found[kind] = tuple(longest_chain(last_output(kind, x, weights)) for x in inputs)
    return found


def multiply_adds(kind: str, n: int, d: int) -> int:
    """Rows × inner × columns, summed over the matrix products of one layer that reads n tokens."""
    square, four_gates = (n, d, d), (n, d, 4 * d)
    products = {
        "default": [square] * 2,
        "lstm": [four_gates] * 2,
        "attention": [square] * 4 + [(n, d, n), (n, n, d)],
    }
    return sum(map(math.prod, products[kind]))


def recall(kind: str, x: Tensor, weights: list[Tensor]) -> Tensor:
    """`last_output` in training: PyTorch's fused kernels compute what `rnn` and `lstm` say."""
    start, plan = torch.zeros(1, len(x), SMALL), (True, 1, 0.0, False, False, True)
    if kind == "attention":
        return attend(x, weights)
    if kind == "lstm":
        return torch.lstm(x, (start, start), weights, *plan)[0][:, -1]
    return torch.rnn_tanh(x, start, weights, *plan)[0][:, -1]


@stage(keep=64)
def train(lab: Lab, name: str, length: int, seed: int) -> float:
    """Learn to name the first of `length` symbols; accuracy. On the CPU, so that all devices show the same."""
    generator, kind = lab.generator(seed), {"rnn": "default", "attention": "attention"}.get(name, "lstm")
    own = draw_weights(kind, 4.0 if name == "lstm_4" else 0.0, SMALL, generator)
    table, places = (torch.randn(rows, SMALL, generator=generator) for rows in (SYMBOLS, length))
    answers = uniform(generator, SYMBOLS, SMALL)
    trained = [weight.requires_grad_() for weight in (*own, table, places, answers)]
    optimizer = torch.optim.Adam(trained, LEARNING_RATE)

    def answer(symbols: Tensor) -> Tensor:
        return recall(kind, table[symbols] + places, own) @ answers.mT  # (batch, symbol)

    for step in range(STEPS):
        symbols = torch.randint(SYMBOLS, (BATCH, length), generator=generator)
        loss = F.cross_entropy(answer(symbols), symbols[:, 0])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        if step % 5 == 0:
            lab.progress(step / STEPS, Text(f"Training: {LEARNERS[name].en}", f"训练中：{LEARNERS[name].zh}"))
    with torch.no_grad():
        symbols = torch.randint(SYMBOLS, (TESTED, length), generator=generator)
        return (answer(symbols).argmax(-1) == symbols[:, 0]).float().mean().item()


def compute(params: Params, lab: Lab) -> Result:
    """One curve for each layer, four trainings, and counts."""
    length, seed = params.length, params.seed
    asked = gradient(lab, "lstm", 0.0, ASKED, seed)
    fallen = (asked < asked[0] / MILLION).nonzero().flatten()  # (distance,)
    generator = lab.generator(0)
    made = {kind: draw_weights(kind, 0.0, WIDTH, generator) for kind in LAYERS}
    return Result(
        params,
        rnn=gradient(lab, params.recurrence, params.rho, length, seed),
        lstm=gradient(lab, "lstm", params.bias, length, seed),
        attention=gradient(lab, "attention", 0.0, length, seed),
        attention_long=gradient(lab, "attention", 0.0, LONG, seed),
        output_size=draw_directions(lab, lab.generator(seed + 100)).square().sum(-1).mean().sqrt().item(),
        fall=int(fallen[0]) if len(fallen) else None,
        accuracy={name: train(lab, name, params.distance, seed) for name in LEARNERS},
        chains=count_chains(lab),
        multiply_adds={kind: tuple(multiply_adds(kind, n, params.width) for n in COSTED) for kind in LAYERS},
        matrices={kind: sum(w.numel() for w in weights if w.ndim == 2) for kind, weights in made.items()},
    )


def right_option(result: Result) -> str:
    """Which option the measured number of tokens falls into."""
    fall = result.fall
    return "never" if fall is None else "few" if fall < 15 else "tens" if fall <= 50 else "many"


DEMO = Demo(
    title=Text("RNN, LSTM and attention over distance", "RNN、LSTM 与注意力：距离的影响"),
    summary=Text(
        "Move a token away from the output and watch how much gradient still reaches it.",
        "把一个 token 挪得离输出越来越远，看还有多少梯度能传到它。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "A fresh LSTM with forget-gate bias 0 reads 101 random tokens. How many tokens back has the gradient "
            "fallen by a factor of a million?",
            "一个刚初始化、遗忘门偏置为 0 的 LSTM 读入 101 个随机 token。往回多少个 token，梯度就降到了百万分之一？",
        ),
        options={
            "few": Text("fewer than 15", "不到 15 个"),
            "tens": Text("15 to 50", "15 到 50 个"),
            "many": Text("51 to 100", "51 到 100 个"),
            "never": Text("never: the cell path keeps it", "不会：细胞状态的通路保住了它"),
        },
        right=right_option,
        because=Text(
            "With bias 0 a forget gate is about one half, and the cell path multiplies these gates: "
            "$0.5^{20}\\approx10^{-6}$. The gate has to be opened for the path to carry anything.",
            "偏置为 0 时遗忘门约为一半，细胞通路上就是这些门连乘：$0.5^{20}\\approx10^{-6}$。"
            "门打开了，这条通路才传得动梯度。",
        ),
    ),
    presets=(
        Preset(Text("Open gate", "打开遗忘门"), Params(bias=4.0)),
        Preset(Text("Linear, ρ = 1.1", "线性，ρ = 1.1"), Params(recurrence="linear", rho=1.1)),
        Preset(Text("401 tokens", "401 个 token"), Params(length=401)),
        Preset(Text("Short task", "短任务"), Params(distance=10)),
    ),
)
