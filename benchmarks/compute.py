"""What a demo computes at its defaults when nothing is remembered: one core, a fresh process, a new seed.

Processor time, which equals the clock on an idle core. One demo: `python -m benchmarks.compute --demo softmax_scaling`.
"""

import argparse
import sys
from collections.abc import Sequence

from benchmarks import alone, bars
from benchmarks.bars import Row
from demos.kit import catalogue

BAR = 50.0  # ms
TRAINING_BAR = 10_000.0  # ms, for a demo that trains and shows a bar meanwhile


def measure(demos: Sequence[str]) -> list[Row]:
    """One row per demo."""
    rows = []
    with alone.process() as pool:
        for demo in demos:
            found = pool.submit(alone.first, demo).result()
            note = f"then pictures and claims {found.drawing * 1e3:.1f} ms"
            what = f"{demo}: {'compute and train' if found.trained else 'compute'}"
            rows.append(Row(what, found.compute * 1e3, " ms", TRAINING_BAR if found.trained else BAR, note))
    return rows


def main() -> int:
    """Measure the demos named on the command line, else all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", action="append", choices=catalogue.names(), help="may be given several times")
    return bars.finish(measure(parser.parse_args().demo or catalogue.names()))


if __name__ == "__main__":
    sys.exit(main())
