"""What one more browser session costs the server in memory."""

import argparse
import asyncio
import sys
from contextlib import AsyncExitStack

from benchmarks import bars
from benchmarks.bars import Row
from benchmarks.browser import tab
from benchmarks.server import Server, viva
from benchmarks.start import DEMO

BAR = 0.5  # MB
FIRST, MORE = 4, 16  # sessions before the count starts, and sessions counted


async def _open(server: Server, count: int, stack: AsyncExitStack) -> None:
    """Open `count` sessions one after another; each reads the first page and opens the demo."""
    for _ in range(count):
        browser = await stack.enter_async_context(tab(server.address))
        await browser.load()
        await browser.go("lab", f"demo={DEMO}")
        await asyncio.sleep(0.2)


async def measure() -> list[Row]:
    """The row for memory."""
    with viva() as server:
        async with AsyncExitStack() as stack:
            await _open(server, FIRST, stack)
            await server.rest()  # the first of them begins the warm-up
            before = server.memory()
            await _open(server, MORE, stack)
            after = server.memory()
    note = f"{before:.0f} MB with {FIRST} sessions, {after:.0f} MB with {FIRST + MORE}, all on the page of {DEMO}"
    return [Row("memory per session", (after - before) / MORE, " MB", BAR, note)]


def main() -> int:
    """Measure memory on its own."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    return bars.finish(asyncio.run(measure()))


if __name__ == "__main__":
    sys.exit(main())
