"""Three small tasks, three kinds of model: a CNN, a GRU and a Transformer each have a home."""

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from demos.claims.model_choice import claims
from demos.figures.model_choice import MODELS, TASKS, final, pictures
from demos.kit.contract import Demo, Prediction, Preset
from demos.kit.knobs import Choice, Range, Spaced, powers_of_two
from demos.kit.lab import Lab
from demos.kit.stage import stage
from language import Text

WIDTH, HEADS, LAYERS = 32, 4, 2
LENGTH, SYMBOLS, MOTIF = 32, 6, (3, 1, 4)  # motif: 32 symbols out of 6; does 3-1-4 occur?
TRAINED, TESTED = 10, 60  # parity: lengths in training and in the test
PAIRS, KEYS, VALUES = 8, 16, 8  # recall: 8 of 16 keys, each with one of 8 values
STEPS = {"motif": 200, "parity": 300, "recall": 400}
RATES = {"motif": (3e-3, 3e-3, 3e-3), "parity": (1e-2, 1e-2, 2e-3), "recall": (5e-3, 5e-3, 5e-3)}  # CNN, GRU, Transf.
BATCH, TESTS, KERNEL = 32, 1000, 3
Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Params:
    """The knobs."""

    task: Annotated[str, Choice(TASKS, label=Text("Task", "任务"))] = "motif"
    examples: Annotated[
        int, Spaced((64, 400, 1600), label=Text("Training examples", "训练样本数"), when=("task", ("motif",)))
    ] = 64
    context: Annotated[
        int, Spaced(powers_of_two(16, 65_536), label=Text("Tokens streamed n", "已处理的 token 数 n"))
    ] = 4096
    width: Annotated[int, Spaced((32, 64, 256, 1024), label=Text("Width d (cost)", "宽度 d（看代价）"))] = 64
    seed: Annotated[int, Range(0, 4, label=Text("Random seed", "随机种子"))] = 0


@dataclass(frozen=True)
class Score:
    """One trained model."""

    parameters: int
    train_accuracy: float  # on what it was trained on, or on fresh examples of that kind
    accuracy: Tensor  # (position,) on new examples; one entry where the task has a single answer


@dataclass(frozen=True)
class Cost:
    """One more token in one layer after n tokens: multiply-adds count twice."""

    attention_flops: int
    recurrent_flops: int
    cached: int  # numbers kept for the next token by attention
    state: int  # and by the GRU


@dataclass(frozen=True)
class Result:
    """The scoreboard of the chosen task and the price of a token."""

    params: Params
    scores: dict[str, Score]
    cost: Cost


def motif(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Half of the sequences contain 3-1-4, planted at a random place; the other half do not."""
    target = torch.tensor(MOTIF)
    drawn = torch.randint(SYMBOLS, (2 * count, LENGTH), generator=generator)
    free = drawn[~(drawn.unfold(1, 3, 1) == target).all(-1).any(1)][:count]  # (example, position)
    places = torch.randint(LENGTH - 2, (count // 2, 1), generator=generator) + torch.arange(3)
    free[: count // 2].scatter_(1, places, target.expand(count // 2, -1))
    return free, (torch.arange(count) < count // 2).long().unsqueeze(-1)


def parity(count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Bits, and whether the number of ones so far is odd."""
    bits = torch.randint(2, (count, length), generator=generator)
    return bits, bits.cumsum(-1) % 2


def recall(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Eight key–value pairs as symbols key·9 + value, then one of the keys again; the answer is its value."""
    keys = torch.rand(count, KEYS, generator=generator).argsort(-1)[:, :PAIRS]  # (example, pair)
    values = torch.randint(VALUES, (count, PAIRS), generator=generator)
    asked = torch.randint(PAIRS, (count, 1), generator=generator)
    stored, query = keys * (VALUES + 1) + values, keys.gather(1, asked) * (VALUES + 1) + VALUES
    return torch.cat([stored, query], dim=-1), values.gather(1, asked)


def embed(weights: Weights, task: str, symbols: Tensor) -> Tensor:
    """Symbols as vectors; a pair is the sum of a key vector and a value vector."""
    if task == "recall":
        return weights["keys"][symbols // (VALUES + 1)] + weights["values"][symbols % (VALUES + 1)]
    return weights["symbols"][symbols]  # (batch, position, width)


def convolve(weights: Weights, stream: Tensor, causal: bool) -> Tensor:
    """The same three-token detector at every place."""
    padded = F.pad(stream.mT, (KERNEL - 1, 0)) if causal else stream.mT  # (batch, width, position)
    return F.conv1d(padded, weights["filters"], weights["filter_bias"]).relu().mT  # (batch, position, width)


def gru_step(weights: Weights, projected: Tensor, state: Tensor) -> Tensor:
    """One token: gates r and z, then a candidate; the state keeps its size."""
    both = 2 * state.shape[-1]  # features of the two gates
    hidden = torch.addmm(weights["recurrent_bias"], state, weights["recurrent"])  # (batch, 3 × width)
    reset, update = (projected[:, :both] + hidden[:, :both]).sigmoid().chunk(2, -1)  # (batch, width) each
    candidate = (projected[:, both:] + reset * hidden[:, both:]).tanh()
    return candidate.lerp(state, update)  # (1 − z)·candidate + z·state


def recur(weights: Weights, stream: Tensor, _causal: bool = True) -> Tensor:
    """Token after token; what is remembered must fit into one vector."""
    projected = stream @ weights["incoming"] + weights["incoming_bias"]  # (batch, position, 3 × width)
    state, states = torch.zeros_like(stream[:, 0]), []
    for token in projected.unbind(1):
        state = gru_step(weights, token, state)
        states.append(state)
    return torch.stack(states, dim=1)  # (batch, position, width)


def transform(weights: Weights, stream: Tensor, causal: bool) -> Tensor:
    """Pre-norm blocks of attention and FFN."""
    stream = stream + weights["places"][: stream.shape[1]]
    for layer in range(len(weights["projections"])):
        projected = F.layer_norm(stream, (WIDTH,)) @ weights["projections"][layer]  # (batch, position, 3 × width)
        query, key, value = projected.unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value, is_causal=causal)  # (batch, head, position, …)
        stream = stream + attended.transpose(1, 2).flatten(-2) @ weights["output"][layer]
        stream = stream + F.gelu(F.layer_norm(stream, (WIDTH,)) @ weights["rise"][layer]) @ weights["fall"][layer]
    return F.layer_norm(stream, (WIDTH,))


def model(weights: Weights, kind: str, task: str, symbols: Tensor) -> Tensor:
    """Logits for every answer of the task: one per sequence, or for parity one per position."""
    stream, causal = embed(weights, task, symbols), task != "motif"
    body = {"cnn": convolve, "gru": recur, "transformer": transform}[kind]
    states = body(weights, stream, causal)  # (batch, position, width)
    if task == "motif":
        whole = {"cnn": states.amax(1), "gru": states[:, -1], "transformer": states.mean(1)}[kind]
        states = whole.unsqueeze(1)
    elif task == "recall":
        states = states[:, -1:]
    return states @ weights["answers"] + weights["answer_bias"]  # (batch, answer, class)


def fresh_weights(kind: str, task: str, generator: torch.Generator) -> Weights:
    """Random weights of one model; biases start at 0."""

    def normal(*shape: int, scale: float = WIDTH**-0.5) -> Tensor:
        return torch.randn(*shape, generator=generator) * scale

    classes = VALUES if task == "recall" else 2
    weights = {"answers": normal(WIDTH, classes), "answer_bias": torch.zeros(classes)}
    if task == "recall":
        weights |= {"keys": normal(KEYS, WIDTH, scale=0.5), "values": normal(VALUES + 1, WIDTH, scale=0.5)}
    else:
        weights["symbols"] = normal(SYMBOLS if task == "motif" else 2, WIDTH, scale=1)
    if kind == "cnn":
        weights["filters"] = normal(WIDTH, WIDTH, KERNEL, scale=(KERNEL * WIDTH) ** -0.5)
        weights["filter_bias"] = torch.zeros(WIDTH)
    elif kind == "gru":
        weights |= {"incoming": normal(WIDTH, 3 * WIDTH), "recurrent": normal(WIDTH, 3 * WIDTH)}
        weights |= {"incoming_bias": torch.zeros(3 * WIDTH), "recurrent_bias": torch.zeros(3 * WIDTH)}
    else:
        layers = 1 if task == "recall" else LAYERS
        weights |= {
            "places": normal(TESTED, WIDTH, scale=0.02),
            "projections": normal(layers, WIDTH, 3 * WIDTH),
            "output": normal(layers, WIDTH, WIDTH),
            "rise": normal(layers, WIDTH, 4 * WIDTH),
            "fall": normal(layers, 4 * WIDTH, WIDTH, scale=(4 * WIDTH) ** -0.5),
        }
    return {name: weight.requires_grad_() for name, weight in weights.items()}


def draw(task: str, count: int, generator: torch.Generator, length: int = TRAINED) -> tuple[Tensor, Tensor]:
    """Examples of a task and their answers; `length` is that of parity."""
    if task == "parity":
        return parity(count, length, generator)
    return motif(count, generator) if task == "motif" else recall(count, generator)


@stage(keep=96)
def train(lab: Lab, kind: str, task: str, examples: int, seed: int) -> Score:
    """Train one model and test it on new examples; on the CPU, so that all devices show the same."""
    number = list(MODELS).index(kind)
    weights, generator = fresh_weights(kind, task, lab.generator(10 * seed + number)), lab.generator(100 + seed)
    seen = draw(task, examples, generator)  # the motif is learned from these alone, the other tasks from fresh ones
    optimizer = torch.optim.AdamW(weights.values(), RATES[task][number], weight_decay=0.01, fused=True)
    note = Text(f"Training: {MODELS[kind].en}", f"训练中：{MODELS[kind].zh}")
    for step in range(STEPS[task]):
        if task == "motif":
            chosen = torch.randint(examples, (BATCH,), generator=generator)
            symbols, answers = seen[0][chosen], seen[1][chosen]
        else:
            symbols, answers = draw(task, 2 * BATCH, generator)
        logits = model(weights, kind, task, symbols)  # (batch, answer, class)
        loss = F.cross_entropy(logits.flatten(0, 1), answers.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 5 == 0:
            lab.progress((number + step / STEPS[task]) / len(MODELS), note)
    with torch.no_grad():
        right_seen, right_new = (
            (model(weights, kind, task, symbols).argmax(-1) == answers).float()  # (example, answer)
            for symbols, answers in (seen, draw(task, TESTS, lab.generator(200 + seed), TESTED))
        )
    size = sum(weight.numel() for weight in weights.values())
    return Score(size, right_seen.mean().item(), right_new.mean(0))


@stage(keep=64)
def token_cost(_lab: Lab, context: int, width: int) -> Cost:
    """Count the operations of one more token; on the meta device, which computes nothing."""

    def new(*shape: int) -> Tensor:
        return torch.empty(*shape, device="meta")

    token, keys, values = new(1, width), new(1, context - 1, width), new(1, context - 1, width)
    with FlopCounterMode(display=False) as attention:
        query, key, value = (token @ new(width, 3 * width)).chunk(3, -1)  # (1, width) each
        keys, values = torch.cat([keys, key.unsqueeze(0)], 1), torch.cat([values, value.unsqueeze(0)], 1)
        attended = torch.bmm(torch.bmm(query.unsqueeze(0), keys.mT), values)  # (1, 1, width)
        _ = attended[0] @ new(width, width) @ new(width, 4 * width) @ new(4 * width, width)  # projection, FFN
    weights = {"recurrent": new(width, 3 * width), "recurrent_bias": new(3 * width)}
    with FlopCounterMode(display=False) as recurrence:
        state = gru_step(weights, token @ new(width, 3 * width), new(1, width))
    return Cost(
        attention_flops=attention.get_total_flops(),
        recurrent_flops=recurrence.get_total_flops(),
        cached=keys.numel() + values.numel(),
        state=state.numel(),
    )


def compute(params: Params, lab: Lab) -> Result:
    """Train the three models on the chosen task and count what one more token costs."""
    examples = params.examples if params.task == "motif" else TESTS
    return Result(
        params,
        scores={kind: train(lab, kind, params.task, examples, params.seed) for kind in MODELS},
        cost=token_cost(lab, params.context, params.width),
    )


def right_option(result: Result) -> str:
    """Which model just did best on new examples; the scores are listed from the smallest model to the largest."""
    return max(result.scores, key=lambda kind: final(result.scores[kind], result.params.task))


DEMO = Demo(
    title=Text("Three tasks, three models", "三个任务，三种模型"),
    summary=Text(
        "Train a CNN, a GRU and a Transformer on the same task and count what each pays per token. No one wins all.",
        "让 CNN、GRU、Transformer 学同一个任务，再数一数每个 token 的代价。没有哪个样样都赢。",
    ),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "Three models learn the chosen task: a CNN that sees 3 tokens at a time (3,200 to 4,200 parameters), a GRU "
            "(6,000 to 7,500), a Transformer (15,000 to 27,000). Which does best on *new* examples? On a tie, the "
            "smaller one.",
            "三个模型学所选的任务：每次看 3 个 token 的 CNN（3,200 到 4,200 个参数）、GRU（6,000 到 7,500 个）、"
            "Transformer（15,000 到 27,000 个）。在*新*样本上谁最好？并列时算小的。",
        ),
        options={
            "cnn": Text("the CNN: shared local detectors", "CNN：共享的局部检测器"),
            "gru": Text("the GRU: one state, updated in order", "GRU：一个状态，按顺序更新"),
            "transformer": Text("the Transformer: sees all, largest", "Transformer：全都能看，也最大"),
        },
        right=right_option,
        because=Text(
            "A motif is local, so one detector shared by all places needs few examples. Parity is one bit of state "
            "under one rule, which works at any length. A lookup must compare the query with every stored key, which "
            "attention does in one step and a state of fixed size cannot do without loss.",
            "模式是局部的，各位置共用一个检测器，需要的样本少。奇偶校验是一个比特的状态加一条规则，多长都适用。"
            "查表要把 query 与存过的每个 key 比较，注意力一步就做到，固定大小的状态则难免丢信息。",
        ),
    ),
    presets=(
        Preset(Text("Track a state: GRU", "跟踪状态：GRU 的主场"), Params(task="parity")),
        Preset(Text("Look up a value: attention", "查 value：注意力的主场"), Params(task="recall")),
        Preset(Text("1600 examples", "1600 个样本"), Params(examples=1600)),
        Preset(Text("A stream of 65,536 tokens", "65,536 个 token 的数据流"), Params(context=65_536)),
    ),
)
