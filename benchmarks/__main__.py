"""Measure everything and print one table; the exit status is 1 when a bar is missed."""

import asyncio
import sys
import time

from benchmarks import bars, compute, frames, memory, rerun, start
from benchmarks.bars import Row
from demos.kit import catalogue


def main() -> int:
    """Run every benchmark, one after another: they share the cores."""
    began = time.perf_counter()
    demos = catalogue.names()
    rows: list[Row] = []
    for name, measure in (
        ("start", lambda: asyncio.run(start.measure())),
        ("memory", lambda: asyncio.run(memory.measure())),
        ("compute", lambda: compute.measure(demos)),
        ("rerun", lambda: asyncio.run(rerun.measure(demos))),
        ("frames", lambda: frames.measure(demos)),
    ):
        print(f"{time.perf_counter() - began:4.0f} s  {name} …", file=sys.stderr, flush=True)
        rows += measure()
    print(f"{time.perf_counter() - began:4.0f} s  done", file=sys.stderr, flush=True)
    return bars.finish(rows)


if __name__ == "__main__":
    sys.exit(main())
