"""The demos without an app around them: what each computes, on one core, in a process of its own.

The functions run inside `process()`, so that no measured server shares an interpreter with them.
"""

import contextlib
import dataclasses
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch

from demos.kit import catalogue, knobs, runner, stage
from demos.kit.contract import Demo, Impossible
from demos.kit.knobs import Range, Spaced
from demos.kit.lab import Lab
from language import Text

POSITIONS = 8  # slider positions visited, spread over the knob
SLOW = 0.3  # seconds; a knob that takes longer retrains something, and another one is moved if there is one
SEEDS = (1, 2, 3)


@dataclass(frozen=True)
class Slider:
    """The knob to move: its name and the positions to visit, counted from 0 at its low end."""

    knob: str
    positions: tuple[int, ...]


@dataclass(frozen=True)
class First:
    """Processor seconds for a state never computed before; `trained` when the demo reported progress on the way."""

    compute: float
    drawing: float  # pictures and claims
    trained: bool


@contextlib.contextmanager
def process() -> Iterator[ProcessPoolExecutor]:
    """A fresh process with one thread for torch; submit the functions below to it."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, initializer=_prepare) as pool:
        yield pool


def slider(name: str) -> Slider | None:
    """The first slider that does not retrain, else the quickest one; None for a demo without sliders."""
    demo = catalogue.load(name)
    _compute(demo, demo.params())
    best: tuple[float, Slider] | None = None
    for knob, count in _sliders(demo):
        spread = {round(place * (count - 1) / (POSITIONS - 1)) for place in range(POSITIONS)}
        found = Slider(knob, tuple(sorted(spread)))
        slowest = max(seconds(name, knob, position) for position in found.positions[:2])
        if slowest < SLOW:
            return found
        if best is None or slowest < best[0]:
            best = slowest, Slider(knob, found.positions[:2])
    return best[1] if best else None


def seconds(name: str, knob: str, position: int) -> float:
    """How long the demo computes with its slider `knob` at `position` and the other knobs at their defaults."""
    demo = catalogue.load(name)
    kind = knobs.knobs_of(demo.params)[knob]
    default = getattr(demo.params, knob)
    if not isinstance(kind, Range | Spaced):
        raise TypeError(f"{name}.{knob} is not a slider")
    value = kind.values[position]
    return _compute(demo, demo.params(**{knob: type(default)(value)}))[0]


def first(name: str) -> First:
    """Warm up at the defaults, then compute states with a new seed and nothing remembered; the medians."""
    demo = catalogue.load(name)
    progress: list[float] = []
    seeded = "seed" in knobs.knobs_of(demo.params)
    _compute(demo, demo.params())
    computed, drawn = [], []
    for seed in SEEDS:
        if computed and computed[0] > SLOW:
            break  # a training run: once is enough
        stage.forget()
        params = demo.params(seed=seed) if seeded else demo.params()
        start = time.process_time()
        _, result = _compute(demo, params, progress)
        computed.append(time.process_time() - start)
        start = time.process_time()
        demo.pictures(result)
        demo.claims(result)
        drawn.append(time.process_time() - start)
    return First(sorted(computed)[len(computed) // 2], sorted(drawn)[len(drawn) // 2], bool(progress))


def _prepare() -> None:
    runner.set_up_torch()
    torch.set_num_threads(1)


def _sliders(demo: Demo) -> list[tuple[str, int]]:
    """The sliders shown at the defaults with their number of positions; the seed last."""
    values = dataclasses.asdict(demo.params())
    shown = {name: knob for name, knob in knobs.knobs_of(demo.params).items() if knobs.is_shown(knob, values)}
    counts = {name: len(knob.values) for name, knob in shown.items() if isinstance(knob, Range | Spaced)}
    return sorted(counts.items(), key=lambda item: item[0] == "seed")


def _compute(demo: Demo, params: Any, progress: list[float] | None = None) -> tuple[float, Any]:
    """Seconds and result of one run; None as the result of an impossible state."""

    def report(fraction: float, _note: Text | None) -> None:
        if progress is not None:
            progress.append(fraction)

    lab = Lab(torch.device("cpu"), report)
    start = time.perf_counter()
    try:
        result = runner.on_cpu(demo.compute(params, lab))
    except Impossible:  # the app shows why instead of figures; that is a run too
        result = None
    return time.perf_counter() - start, result
