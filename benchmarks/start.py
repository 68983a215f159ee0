"""From nothing to the first page, and from there to a demo, against a minimal app without torch in the same run.

A start counts from the spawn of the process to the end of the first page's script.
"""

import argparse
import asyncio
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from benchmarks import bars
from benchmarks.bars import Row, median
from benchmarks.browser import tab
from benchmarks.server import Server, minimal, viva

FIRST_BAR, VISIT_BAR = 1.2, 1.5
STARTS = 5
READING = 3.0  # seconds on the first page before the demo is opened
DEMO = "softmax_scaling"


@dataclass
class Starts:
    """Seconds to the first page, of processor time until then, and to the demo's page; one each per start."""

    first: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    visit: list[float] = field(default_factory=list)


async def once(running: AbstractContextManager[Server], page: str, query: str, into: Starts) -> None:
    """Start a server, read its first page, open the demo. Raises AppError."""
    with running as server:
        async with tab(server.address) as browser:
            await browser.load()
            into.first.append(time.perf_counter() - server.started)
            into.processor.append(server.processor())
            await asyncio.sleep(READING)
            into.visit.append((await browser.go(page, query)).seconds)


async def measure(demo: str = DEMO) -> list[Row]:
    """The rows for starting; Viva and the minimal app take turns."""
    ours, theirs = Starts(), Starts()
    for _ in range(STARTS):
        await once(minimal("pages"), "demo", "", theirs)
        await once(viva(), "lab", f"demo={demo}", ours)
    return [
        _row("first page", ours.first, theirs.first, FIRST_BAR),
        _row("first page, processor time", ours.processor, theirs.processor, None),
        _row(f"first visit of {demo}, {READING:g} s later", ours.visit, theirs.visit, VISIT_BAR),
    ]


def _row(what: str, ours: list[float], theirs: list[float], bar: float | None) -> Row:
    note = f"{median(ours) * 1e3:.0f} ms against {median(theirs) * 1e3:.0f} ms, p50 of {len(ours)} starts"
    return Row(what, median(ours) / median(theirs), "×", bar, note)


def main() -> int:
    """Measure the start on its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", default=DEMO, help="the demo to open")
    return bars.finish(asyncio.run(measure(parser.parse_args().demo)))


if __name__ == "__main__":
    sys.exit(main())
