"""Watch a demo: run its states, and write down what each shows and what is wrong with it. `test_contract` asks."""

import functools
import hashlib
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass, replace
from typing import Any

import numpy as np
import torch

from demos.kit import catalogue, knobs, runner
from demos.kit.contract import Claim, Demo, Picture
from demos.kit.lab import Lab
from language import Text, resolved

CPU = torch.device("cpu")
CHINESE = re.compile(r"[\u4e00-\u9fff]")


@dataclass(frozen=True)
class Seen:
    """What one run of one state showed, small enough to keep for all states of all demos."""

    claims: list[Claim]
    right_option: str | None
    problem: Text | None
    data: str  # digest of what the figures draw
    whole: str  # digest of all that the learner sees
    faults: list[str]
    seconds: float
    pictures: list[Picture]  # of the defaults only

    @property
    def evidence(self) -> tuple[Any, ...]:
        """What a knob must change: a figure's data or a claim's number."""
        return (self.data, self.problem, [(claim.id, repr(claim.measured)) for claim in self.claims])


@dataclass
class Look:
    """All that has been seen of one demo so far, state by state."""

    name: str
    demo: Demo
    seen: dict[Any, Seen]
    spent: float = 0.0

    def at(self, params: Any) -> Seen:
        """What the demo shows at `params`, computed at most once."""
        if params not in self.seen:
            seen = watch(self.demo, params)
            self.spent += seen.seconds
            self.seen[params] = seen if params == self.demo.params() else replace(seen, pictures=[])
        return self.seen[params]

    def states(self) -> list[Any]:
        """The defaults, the presets, and every edge of every knob."""
        presets = [preset.params for preset in self.demo.presets]
        return list(dict.fromkeys([self.demo.params(), *presets, *knobs.edge_states(self.demo.params)]))

    def each(self, patience: float) -> Iterator[tuple[Any, Seen]]:
        """Every state with what it shows; after `patience` seconds only those that were seen before."""
        for params in self.states():
            if params in self.seen or not self.seen or self.spent < patience:
                yield params, self.at(params)

    def left(self, patience: float) -> int:
        """How many states `each` passes over."""
        return len(self.states()) - sum(1 for _ in self.each(patience))


@functools.cache
def look(name: str) -> Look:
    return Look(name, catalogue.load(name), {})


def watch(demo: Demo, params: Any) -> Seen:
    """Run one state and write down what it shows and what is wrong with it."""
    kept: list[Any] = []

    def compute(params: Any, lab: Lab) -> Any:
        kept.append(demo.compute(params, lab))
        return kept[-1]

    randomness = global_randomness()
    outcome = runner.run(replace(demo, compute=compute), params, Lab(CPU))
    faults = [] if global_randomness() == randomness else ["it drew from process-wide random numbers"]
    faults += tensor_faults(runner.on_cpu(kept[-1])) if kept else []
    for picture in outcome.pictures:
        faults += [f"picture {picture.id}: {fault}" for fault in picture_faults(picture)]
    drawn = [resolved(picture.figure, "en") for picture in outcome.pictures]
    return Seen(
        outcome.claims,
        outcome.right_option,
        outcome.problem,
        digest([figure["data"] for figure in drawn]),
        digest([drawn, outcome.claims, outcome.right_option, [(p.id, p.title, p.alt) for p in outcome.pictures]]),
        faults,
        outcome.seconds,
        outcome.pictures,
    )


def global_randomness() -> tuple[bytes, int, str]:
    """The state of the generators that a demo must leave alone."""
    return torch.get_rng_state().numpy().tobytes(), hash(random.getstate()), digest(list(np.random.get_state()))


def digest(value: Any) -> str:
    """A fingerprint of nested lists, dicts, records, numbers, arrays and strings; NaN equals NaN."""
    if isinstance(value, dict):
        value = [item for pair in value.items() for item in pair]
    if isinstance(value, list | tuple):
        text = "".join(map(digest, value)).encode()
    elif isinstance(value, np.ndarray):
        text = value.tobytes() + str((value.shape, value.dtype)).encode()
    else:
        text = repr(value).encode()
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def parts(value: Any) -> Iterator[Any]:
    """`value` and everything in it, however deep."""
    yield value
    if isinstance(value, dict):
        value = list(value.values())
    elif is_dataclass(value) and not isinstance(value, type | Text):
        value = list(vars(value).values())
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.dtype == object):
        for item in value:
            yield from parts(item)


def tensor_faults(result: Any) -> list[str]:
    """A result is handed to the page: its tensors are on the CPU and carry no graph."""
    tensors = [part for part in parts(result) if isinstance(part, torch.Tensor)]
    faults = [f"a tensor of the result is on {tensor.device}" for tensor in tensors if tensor.device != CPU]
    return faults + ["a tensor of the result requires grad" for tensor in tensors if tensor.requires_grad]


def text_faults(text: Text, what: str) -> list[str]:
    if not text.en.strip() or not text.zh.strip():
        return [f"{what} is empty"]
    return [] if text.en != text.zh and CHINESE.search(text.zh) else [f"{what} is not written in both languages"]


def picture_faults(picture: Picture) -> list[str]:
    """Cheap questions, asked of every state."""
    faults = text_faults(picture.title, "title") + text_faults(picture.alt, "alt")
    if not picture.figure.get("data"):
        faults.append("it draws nothing")
    if any(isinstance(part, Text) for part in parts(resolved(picture.figure, "en"))):
        faults.append("a Text is out of reach of `resolved`")
    if any(isinstance(part, torch.Tensor) for part in parts(picture.figure)):
        faults.append("it holds a tensor where a list or an array belongs")
    return faults


def differences(here: runner.Outcome, there: runner.Outcome) -> list[str]:
    """Where two devices disagree by more than the claims' tolerances, or a thousandth of what a figure shows."""
    if here.problem != there.problem:
        return [f"the problem is {there.problem}"]
    found = [f"{claim.id} fails: {claim.measured}" for claim in there.claims if not claim.holds]
    if [claim.id for claim in here.claims] != [claim.id for claim in there.claims]:
        return [*found, "the claims made are not the same"]
    for one, two in zip(here.claims, there.claims, strict=True):
        slack = max(one.tolerance, 1e-3 * abs(one.measured), 1e-5)
        if not close(np.array(one.measured), np.array(two.measured), slack):
            found.append(f"{one.id}: {one.measured} and {two.measured}")
    for one, two in zip(here.pictures, there.pictures, strict=True):
        if one.id != two.id or not same_drawing(one, two):
            found.append(f"picture {one.id}")
    return found


def same_drawing(one: Picture, two: Picture) -> bool:
    """Whether nobody could see a difference: a thousandth of how far the figure reaches along that axis."""
    drawn, redrawn = arrays(one), arrays(two)
    reach = {axis: max(farthest(values) for values in found) for axis, found in drawn.items()}
    return drawn.keys() == redrawn.keys() and all(
        close(a, b, 1e-3 * reach[axis] + 1e-6)
        for axis, found in drawn.items()
        for a, b in zip(found, redrawn[axis], strict=True)
    )


def arrays(picture: Picture) -> dict[str, list[np.ndarray]]:
    """The numbers a figure draws, trace by trace, by where they stand in the trace (x, y, z and so on)."""
    found: dict[str, list[np.ndarray]] = {}
    for trace in picture.figure["data"]:
        for axis, value in trace.items():
            values = [part for part in parts(value) if isinstance(part, np.ndarray) and part.dtype != object]
            if values:
                found.setdefault(axis, []).extend(values)
    return found


def farthest(values: np.ndarray) -> float:
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size else 0.0


def close(one: np.ndarray, two: np.ndarray, slack: float) -> bool:
    return one.shape == two.shape and bool(np.allclose(one, two, rtol=0, atol=slack, equal_nan=True))


def changes(looked: Look, field: str, knob: knobs.Knob, patience: float) -> bool | None:
    """Whether the edges of a knob differ at the defaults or at a preset; None when patience ran out before the end."""
    for context in [looked.demo.params(), *[preset.params for preset in looked.demo.presets]]:
        typed = [type(getattr(context, field))(value) for value in knob.edges()]
        states = [replace(shown(looked.demo, context, field), **{field: value}) for value in typed]
        if looked.spent >= patience and any(state not in looked.seen for state in states):
            return None
        first, *others = (looked.at(state).evidence for state in states)
        if any(other != first for other in others):
            return True
    return False


def shown(demo: Demo, params: Any, field: str) -> Any:
    """`params` with the knob of `field` on show: what its `when` asks for is set, and so on for that knob."""
    condition = knobs.knobs_of(demo.params)[field].when
    if condition is None:
        return params
    other, values = condition
    params = shown(demo, params, other)
    return params if getattr(params, other) in values else replace(params, **{other: values[0]})
