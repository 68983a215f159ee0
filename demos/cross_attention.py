"""How a decoder reads the encoder: a tiny encoder–decoder learns to reverse, copy or sort digits."""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from demos.claims.cross_attention import claims, refuse_unreadable
from demos.figures.cross_attention import MASKS, MEMORIES, READS, TASKS, pictures
from demos.kit.contract import Demo, Prediction, Preset
from demos.kit.knobs import Choice, Range, Spaced, Words
from demos.kit.lab import Lab
from demos.kit.stage import stage
from language import Text

DIGITS, BEGIN, LONGEST, WIDTH = 10, 10, 12, 32  # BEGIN is the token before every target
STEPS, BATCH, PEAK, TESTS = 400, 64, 4e-3, 256  # TESTS: new sentences
Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Params:
    """The knobs."""

    task: Annotated[str, Choice(TASKS, label=Text("Task", "任务"))] = "reverse"
    length: Annotated[int, Spaced((4, 8, 12), label=Text("Digits in a sentence n", "每句的数字个数 n"))] = 8
    memory: Annotated[str, Choice(MEMORIES, label=Text("The encoder hands over", "编码器交给解码器"))] = "rows"
    mask: Annotated[str, Choice(MASKS, label=Text("Causal mask", "因果掩码"), when=("memory", ("rows",)))] = "none"
    reads: Annotated[str, Choice(READS, label=Text("The decoder reads", "解码器读到的"))] = "own"
    written: Annotated[int, Range(1, LONGEST, label=Text("Target tokens T (at most n)", "目标 token 数 T（≤ n）"))] = 8
    digits: Annotated[str, Words(LONGEST, ("31415926", "7"), label=Text("Your digits", "你的数字"))] = "31415926"
    seed: Annotated[int, Range(0, 3, label=Text("Random seed", "随机种子"))] = 0


@dataclass(frozen=True)
class Model:
    """What decides a training."""

    task: str
    length: int
    memory: str  # "rows", or "mean" for a single vector
    mask: str  # "none"; "training": in cross-attention from the start; "both": in the encoder too
    seed: int


@dataclass(frozen=True)
class Facts:
    """A trained model on 256 new sentences, given the right answers as input."""

    looks: Tensor  # (sentence, step, row) weights of cross-attention
    shuffled: float  # largest change of a logit when the rows of the memory are shuffled
    reordered: float  # the same when the digits of the source are shuffled
    largest_logit: float
    knows: Tensor  # (row, position) relative change of a memory row when one digit is replaced


@dataclass(frozen=True)
class Result:
    """One sentence read closely, and how often 256 others come out right."""

    params: Params
    order: Tensor  # (row,) the source position behind each row that the decoder reads
    read: list[int]  # the digits there
    answer: list[int]  # the digits it wrote
    wanted: list[int]  # the right answer to the learner's digits
    weights: Tensor  # (step, row) of cross-attention
    facts: Facts
    right: Tensor  # (step,) share of right answers under the knobs
    plain: Tensor  # (step,) the same, reading its own memory without a mask
    swapped: tuple[Tensor, Tensor]  # (step,) reading a neighbour's memory: the own answer, the neighbour's
    asked: Tensor  # (step,) the prediction: reversal, causal mask put in after training
    needed: Tensor | None  # (step,) the source position each step has to read


def answer_to(source: Tensor, task: str) -> Tensor:
    """The right target."""
    return {"reverse": source.flip(-1), "copy": source, "sort": source.sort(-1).values}[task]


def future(length: int) -> Tensor:
    """True where the column lies to the right of the row."""
    return torch.ones(length, length, dtype=torch.bool).triu(1)


def norm(stream: Tensor) -> Tensor:
    """LayerNorm; it stands in front of every sub-layer here (Pre-LN)."""
    return F.layer_norm(stream, (WIDTH,))


def attend(asking: Tensor, read: Tensor, matrices: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Attention with one head. Who asks makes the queries; what is read makes the keys and values."""
    to_query, to_key, to_value, to_output = matrices  # (width, width) each
    query, key, value = asking @ to_query, read @ to_key, read @ to_value
    scores = query @ key.mT / math.sqrt(WIDTH)  # (sentence, target, source)
    weights = scores.masked_fill(hidden.to(scores.device), -math.inf).softmax(-1)
    return weights @ value @ to_output, weights  # (sentence, target, width), (sentence, target, source)


def feed_forward(stream: Tensor, weights: Weights, side: str) -> Tensor:
    """Position by position."""
    return (norm(stream) @ weights[f"{side}_rise"]).relu() @ weights[f"{side}_fall"]


def encode(weights: Weights, source: Tensor, hidden: Tensor) -> Tensor:
    """The memory: the output of the last encoder layer, here of the only one."""
    x = weights["source"][source] + weights["source_places"][: source.shape[-1]]  # (sentence, source, width)
    x = x + attend(norm(x), norm(x), weights["encoder"], hidden)[0]
    x = x + feed_forward(x, weights, "encoder")
    return norm(x)  # (sentence, source, width)


def decode(weights: Weights, written: Tensor, memory: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """The next token after each one written so far, and the weights of cross-attention."""
    steps = written.shape[-1]
    y = weights["target"][written] + weights["target_places"][:steps]  # (sentence, target, width)
    y = y + attend(norm(y), norm(y), weights["decoder"], future(steps))[0]  # masked self-attention
    heard, looks = attend(norm(y), memory, weights["cross"], hidden)  # cross-attention: Q from y; K, V from memory
    y = y + heard
    y = y + feed_forward(y, weights, "decoder")
    return norm(y) @ weights["names"], looks  # (sentence, target, digit), (sentence, target, source)


def translate(weights: Weights, memory: Tensor, hidden: Tensor) -> Tensor:
    """Greedy decoding. The encoder is not called again: the memory was computed once."""
    written = torch.full((len(memory), 1), BEGIN, device=memory.device)
    for step in range(len(hidden)):
        logits, _ = decode(weights, written, memory, hidden[: step + 1])
        written = torch.cat([written, logits[:, -1:].argmax(-1)], dim=-1)
    return written[:, 1:]  # (sentence, target)


def shuffle(length: int) -> Tensor:
    """Every second position, then the rest."""
    return torch.cat([torch.arange(1, length, 2), torch.arange(0, length, 2)])


def remember(weights: Weights, source: Tensor, model: Model, reads: str = "own") -> Tensor:
    """The memory the decoder is given."""
    memory = encode(weights, source, future(model.length) & (model.mask == "both"))
    if reads == "shuffled":
        memory = memory[:, shuffle(model.length)]
    if reads == "other":
        memory = memory.roll(1, 0)  # everyone reads a neighbour's sentence
    if reads == "zeros":
        memory = torch.zeros_like(memory)
    return memory.mean(1, keepdim=True) if model.memory == "mean" else memory  # (sentence, row, width)


def hide(model: Model, mask: str, reads: str = "own") -> Tensor:
    """Which rows of the memory a step may not see; shuffled rows take their mask along."""
    hidden = future(model.length) & (mask != "none")  # (step, row)
    hidden = hidden[:, shuffle(model.length)] if reads == "shuffled" else hidden
    return hidden[:, :1] if model.memory == "mean" else hidden


def shift(target: Tensor) -> Tensor:
    """The decoder's input: the target, one step to the right."""
    return F.pad(target[:, :-1], (1, 0), value=BEGIN)


@stage(keep=24)
def train(lab: Lab, model: Model) -> Weights:
    """400 steps on fresh random digits; on the CPU, so that all devices show the same."""
    generator = lab.generator(model.seed)

    def normal(*shape: int, fan: float = 1) -> Tensor:
        return (torch.randn(*shape, generator=generator) / math.sqrt(fan)).requires_grad_()

    weights = {side: normal(DIGITS + 1, WIDTH) for side in ("source", "target")}
    weights |= {f"{side}_places": normal(LONGEST, WIDTH) for side in ("source", "target")}
    weights |= {name: normal(4, WIDTH, WIDTH, fan=WIDTH) for name in ("encoder", "decoder", "cross")}
    weights |= {f"{side}_rise": normal(WIDTH, 2 * WIDTH, fan=WIDTH) for side in ("encoder", "decoder")}
    weights |= {f"{side}_fall": normal(2 * WIDTH, WIDTH, fan=2 * WIDTH) for side in ("encoder", "decoder")}
    weights["names"] = normal(WIDTH, DIGITS, fan=WIDTH)
    optimizer = torch.optim.Adam(weights.values())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, total_steps=STEPS, pct_start=0.1)
    for step in range(STEPS):
        source = torch.randint(DIGITS, (BATCH, model.length), generator=generator)  # (sentence, source)
        target = answer_to(source, model.task)
        logits, _ = decode(weights, shift(target), remember(weights, source, model), hide(model, model.mask))
        loss = F.cross_entropy(logits.flatten(0, 1), target.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 10 == 0:
            name, n = TASKS[model.task], model.length
            lab.progress(step / STEPS, Text(f"Training: {name.en}, {n} digits", f"训练：{name.zh}，{n} 个数字"))
    return {name: weight.detach().to(lab.device) for name, weight in weights.items()}


def new_sentences(lab: Lab, model: Model) -> Tensor:
    """256 sentences for testing."""
    return torch.randint(DIGITS, (TESTS, model.length), generator=lab.generator(100 + model.seed)).to(lab.device)


@stage(keep=64)
def answers(lab: Lab, model: Model, mask: str, reads: str) -> tuple[Tensor, Tensor]:
    """Greedy answers to new sentences: how often a step is right, and how often it answers the neighbour."""
    weights, source = train(lab, model), new_sentences(lab, model)
    written = translate(weights, remember(weights, source, model, reads), hide(model, mask, reads))
    own = answer_to(source, model.task)
    return (written == own).float().mean(0), (written == own.roll(1, 0)).float().mean(0)  # (step,) each


@stage(keep=24)
def check(lab: Lab, model: Model, mask: str) -> Facts:
    """Shuffle the rows of the memory, shuffle the source, replace one digit at a time."""
    weights, source = train(lab, model), new_sentences(lab, model)
    written, memory = shift(answer_to(source, model.task)), remember(weights, source, model)
    logits, looks = decode(weights, written, memory, hide(model, mask))
    rows = remember(weights, source, model, "shuffled")
    tokens = remember(weights, source[:, shuffle(model.length)], model)
    moved = []
    for one in torch.eye(model.length, dtype=torch.long, device=lab.device):  # 1 at the replaced position
        change = remember(weights, (source + one) % DIGITS, model) - memory  # (sentence, row, width)
        moved.append((change.norm(dim=-1) / memory.norm(dim=-1)).mean(0))  # (row,)
    return Facts(
        looks,
        shuffled=(decode(weights, written, rows, hide(model, mask, "shuffled"))[0] - logits).abs().amax().item(),
        reordered=(decode(weights, written, tokens, hide(model, mask))[0] - logits).abs().amax().item(),
        largest_logit=logits.abs().amax().item(),
        knows=torch.stack(moved, dim=-1),
    )


def compute(params: Params, lab: Lab) -> Result:
    """Train, let the model answer 256 new sentences, then follow the learner's own digits through cross-attention."""
    refuse_unreadable(params.digits)
    mask = params.mask if params.memory == "rows" else "none"
    model = Model(params.task, params.length, params.memory, "none" if mask == "after" else mask, params.seed)
    weights = train(lab, model)
    yours = [int(digit) for digit in (params.digits * params.length)[: params.length]]  # repeated or cut
    source = torch.tensor([yours, new_sentences(lab, model)[0].tolist()], device=lab.device)  # (sentence, source)
    memory, hidden = remember(weights, source, model, params.reads), hide(model, mask, params.reads)
    answer = translate(weights, memory, hidden)[:1]  # (1, target)
    _, looks = decode(weights, shift(answer), memory[:1], hidden)  # (1, step, row)
    order = shuffle(params.length) if params.reads == "shuffled" else torch.arange(params.length)
    digits = {"other": source[1, order], "zeros": source[0, :0]}.get(params.reads, source[0, order])
    reversal = Model("reverse", params.length, "rows", "none", params.seed)
    return Result(
        params,
        order=order,
        read=digits.tolist(),
        answer=answer[0].tolist(),
        wanted=answer_to(torch.tensor(yours), params.task).tolist(),
        weights=looks[0, : min(params.written, params.length)],
        facts=check(lab, model, mask),
        right=answers(lab, model, mask, params.reads)[0],
        plain=answers(lab, Model(params.task, params.length, "rows", "none", params.seed), "none", "own")[0],
        swapped=answers(lab, model, mask, "other"),
        asked=answers(lab, reversal, "after", "own")[0],
        needed=None if params.task == "sort" else answer_to(torch.arange(params.length), params.task),
    )


def right_option(result: Result) -> str:
    """Which option the share of right digits just measured falls into."""
    share = result.asked.mean().item()
    return "all" if share > 0.9 else "chance" if share < 0.2 else "half"


DEMO = Demo(
    title=Text("Cross-attention, read by read", "交叉注意力：一步一步地读"),
    summary=Text("Teach a model to reverse digits, then tamper with it.", "教小模型把数字倒过来，再动手脚。"),
    params=Params,
    compute=compute,
    pictures=pictures,
    claims=claims,
    prediction=Prediction(
        ask=Text(
            "A trained model reverses a sentence of digits without error. Now a causal mask is put on its "
            "cross-attention: step $i$ sees source positions up to $i$ only. How many digits are still right?",
            "一个训练好的模型能把一串数字准确地倒过来。现在给交叉注意力加上因果掩码，第 $i$ 步只能看源端前 $i$ 个位置。"
            "还有多少数字是对的？",
        ),
        options={
            "all": Text("all of them: the encoder has seen the whole source", "全部：编码器早就看过整个源句"),
            "half": Text("about half", "一半左右"),
            "chance": Text("about one in ten, as by guessing", "十分之一左右，等于瞎猜"),
        },
        right=right_option,
        because=Text(
            "Step $i$ needs position $n+1-i$, which the mask hides in the first half. The source is known in full, so "
            "the mask protects nothing; it only takes words away.",
            "第 $i$ 步要读第 $n+1-i$ 个位置，前一半步里它正好被挡住。源句本来就完整已知，掩码只是白白丢掉信息。",
        ),
    ),
    presets=(
        Preset(Text("Mask put in after training", "训练之后才加掩码"), Params(mask="after")),
        Preset(Text("Trained with the mask", "带着掩码训练"), Params(mask="training")),
        Preset(Text("One mean vector", "只交一个平均向量"), Params(memory="mean")),
        Preset(Text("Someone else's memory", "读别人的 memory"), Params(reads="other")),
    ),
)
