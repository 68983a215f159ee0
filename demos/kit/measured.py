"""What the learner's own device says about some ways to compute the same: its clock and its allocator."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from demos.kit.counting import clock
from demos.kit.lab import Lab
from demos.kit.memory import allocated
from language import Text

NOISY = 1.5  # a median this many times the minimum says that something else was running
MEASURING = Text("Measuring on this device", "正在本机上测量")


@dataclass(frozen=True)
class Measured:
    """By the name of the way. Milliseconds belong to the machine and are shown; ratios may be claimed."""

    seconds: dict[str, Tensor]  # (repeat,)
    peaks: dict[str, int]  # bytes that the allocator gave out at the worst moment

    @property
    def middle(self) -> dict[str, float]:
        """Median milliseconds."""
        return {name: 1e3 * seconds.median().item() for name, seconds in self.seconds.items()}

    @property
    def warning(self) -> tuple[str, str]:
        """What a title adds on a noisy machine, in English and in Chinese; empty on a quiet one."""
        noise = max((seconds.median() / seconds.min()).item() for seconds in self.seconds.values())
        if noise <= NOISY:
            return "", ""
        return f"; a noisy machine, repeats differ × {noise:.1f}", f"；机器有干扰，各次相差 {noise:.1f} 倍"


def measure(lab: Lab, ways: Mapping[str, Callable[[], Any]], repeats: int = 5) -> Measured:
    """Run every way on the learner's device. Not remembered: a new run is a new measurement."""
    lab.progress(0.5, MEASURING)
    peaks = {name: allocated(run, lab.device) for name, run in ways.items()}
    return Measured({name: clock(run, lab.device, repeats) for name, run in ways.items()}, peaks)
