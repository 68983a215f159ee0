"""A slider moves: how long until everything it changes has arrived, against the floor in the same run.

One demo: `python -m benchmarks.rerun --demo softmax_scaling`.

Every round moves the demo's slider, the floor's slider, and computes the same state without any app, in random order.
"""

import argparse
import asyncio
import gc
import itertools
import random
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from benchmarks import alone, bars
from benchmarks.alone import Slider
from benchmarks.bars import Row, median, percentile
from benchmarks.browser import Tab, tab
from benchmarks.server import Server, minimal, viva
from demos.kit import catalogue

P50_BAR, P95_BAR = 1.3, 1.6
WARM_UP = 8  # rounds before the first that counts
ROUNDS = 24
BURST = 20  # moves without a pause, as when a slider is dragged
PAUSE = 0.02  # seconds between moves: a thought, and time for the servers to collect their garbage


@dataclass
class Moves:
    """Seconds of each move: in Viva, in the floor, and the demo's own compute; then the bursts and what they cost."""

    viva: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    viva_burst: list[float] = field(default_factory=list)
    floor_burst: list[float] = field(default_factory=list)
    viva_processor: float = 0.0  # seconds of processor time per move of the burst
    floor_processor: float = 0.0
    messages: int = 0
    deltas: int = 0

    def ratio(self, share: float) -> float:
        """Viva without the demo's own compute over the floor, both at the percentile `share`."""
        viva, own = percentile(self.viva, share), percentile(self.own, share)
        return (viva - own) / percentile(self.floor, share)

    def burst_ratio(self) -> float:
        """The same for moves without a pause, at p50."""
        return (median(self.viva_burst) - median(self.own)) / median(self.floor_burst)


async def moves(demo: str, slider: Slider, servers: tuple[Server, Server], pool: ProcessPoolExecutor) -> Moves:
    """Move the slider of `demo` in Viva and the floor's beside it. Raises AppError."""
    of_viva, of_floor = servers
    async with tab(of_viva.address, "lab", f"demo={demo}") as page, tab(of_floor.address) as floor:
        await page.load()
        await floor.load()
        found = Moves()
        visited = itertools.cycle(slider.positions)
        places = itertools.cycle(range(0, floor.positions("k"), 7))
        gc.collect()
        gc.freeze()
        for count in range(WARM_UP + ROUNDS):
            position = next(visited)
            one = Moves()
            await _round(one, demo, slider.knob, (position, next(places)), (page, floor), pool)
            if count >= WARM_UP:
                found.viva += one.viva
                found.floor += one.floor
                found.own += one.own
                found.messages, found.deltas = one.messages, one.deltas
        found.viva_burst, found.viva_processor = await _burst(of_viva, page, f"{demo}.{slider.knob}", visited)
        found.floor_burst, found.floor_processor = await _burst(of_floor, floor, "k", places)
        return found


async def _burst(server: Server, page: Tab, key: str, positions: Iterator[int]) -> tuple[list[float], float]:
    """Seconds of each move without a pause, and the processor time per move."""
    before = server.processor()
    taken = [(await page.move(key, next(positions))).seconds for _ in range(BURST)]
    return taken, (server.processor() - before) / BURST


async def _round(
    into: Moves, demo: str, knob: str, places: tuple[int, int], tabs: tuple[Tab, Tab], pool: ProcessPoolExecutor
) -> None:
    """One move of each kind, in random order."""

    async def in_viva() -> None:
        run = await tabs[0].move(f"{demo}.{knob}", places[0])
        into.viva.append(run.seconds)
        into.messages, into.deltas = run.messages, run.deltas

    async def in_floor() -> None:
        into.floor.append((await tabs[1].move("k", places[1])).seconds)

    async def by_itself() -> None:
        into.own.append(await asyncio.wrap_future(pool.submit(alone.seconds, demo, knob, places[0])))

    kinds: list[Callable[[], Awaitable[None]]] = [in_viva, in_floor, by_itself]
    for kind in random.sample(kinds, len(kinds)):
        await kind()
        await asyncio.sleep(PAUSE)


async def measure(demos: Sequence[str]) -> list[Row]:
    """The rows for these demos."""
    rows: list[Row] = []
    random.seed(0)
    with viva() as of_viva, minimal("floor") as of_floor, alone.process() as pool:
        async with tab(of_viva.address) as first:
            await first.load()  # begins the warm-up
        await of_viva.rest()
        for demo in demos:
            slider = await asyncio.wrap_future(pool.submit(alone.slider, demo))
            if slider is None:
                rows.append(Row(f"{demo}: no slider", 0, ""))
                continue
            found = await moves(demo, slider, (of_viva, of_floor), pool)
            rows += _rows(demo, slider.knob, found)
    return rows


def _rows(demo: str, knob: str, found: Moves) -> list[Row]:
    times = (
        f"`{knob}`: {median(found.viva) * 1e3:.1f} ms, own compute {median(found.own) * 1e3:.1f} ms, "
        f"floor {median(found.floor) * 1e3:.1f} ms; {found.messages} messages, {found.deltas} deltas"
    )
    burst = (
        f"{median(found.viva_burst) * 1e3:.1f} ms against {median(found.floor_burst) * 1e3:.1f} ms; "
        f"processor {found.viva_processor * 1e3:.1f} against {found.floor_processor * 1e3:.1f} ms"
    )
    return [
        Row(f"{demo}: move, p50", found.ratio(0.5), "×", P50_BAR, times),
        Row(f"{demo}: move, p95", found.ratio(0.95), "×", P95_BAR),
        Row(f"{demo}: dragged, p50", found.burst_ratio(), "×", None, burst),
    ]


def main() -> int:
    """Measure the demos named on the command line, else all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", action="append", choices=catalogue.names(), help="may be given several times")
    chosen = parser.parse_args().demo or catalogue.names()
    return bars.finish(asyncio.run(measure(chosen)))


if __name__ == "__main__":
    sys.exit(main())
