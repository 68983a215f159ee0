"""What a measurement must stay under, and the table that says whether it did."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table. Without a `bar` it only informs."""

    what: str
    measured: float
    unit: str
    bar: float | None = None
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether the measured value keeps to the bar; a NaN never does."""
        return self.bar is None or self.measured <= self.bar


def percentile(samples: Sequence[float], share: float) -> float:
    """The value below which `share` of the samples lie, interpolated; NaN without samples."""
    ordered = sorted(samples)
    if not ordered:
        return math.nan
    place = (len(ordered) - 1) * share
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def median(samples: Sequence[float]) -> float:
    """The p50 of the samples."""
    return percentile(samples, 0.5)


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| what | measured | bar | verdict | how |", "|---|---|---|---|---|"]
    for row in rows:
        verdict = "—" if row.bar is None else "pass" if row.passed else "**miss**"
        bar = "" if row.bar is None else f"≤ {row.bar:g}{row.unit}"
        lines.append(f"| {row.what} | {row.measured:.2f}{row.unit} | {bar} | {verdict} | {row.note} |")
    return "\n".join(lines)


def finish(rows: Sequence[Row]) -> int:
    """Print the table; the exit status: 1 when a bar is missed, else 0."""
    print(table(rows))
    missed = [row.what for row in rows if not row.passed]
    if missed:
        print(f"\nMissed: {', '.join(missed)}")
    return 1 if missed else 0
