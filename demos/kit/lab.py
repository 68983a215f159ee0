"""The lab a demo computes in: its device, its random numbers, and its line to the learner's progress bar."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from language import Text


class Stopped(Exception):
    """The learner moved on: abandon the computation."""


def _silent(fraction: float, note: Text | None) -> None:
    """Progress nobody watches."""


@dataclass(frozen=True)
class Lab:
    """Given to every `compute`. `report` may raise `Stopped` to end a long stage early."""

    device: torch.device
    report: Callable[[float, Text | None], None] = _silent

    def generator(self, seed: int) -> torch.Generator:
        """A CPU generator of its own: the same numbers on every device, and never the process-wide state."""
        return torch.Generator().manual_seed(seed)

    def normal(self, *shape: int, generator: torch.Generator) -> torch.Tensor:
        """Standard normal numbers of `shape`, drawn on the CPU and moved to the device."""
        return torch.randn(*shape, generator=generator).to(self.device)

    def progress(self, fraction: float, note: Text | None = None) -> None:
        """Tell the learner how far a long stage is (0 to 1). Raises `Stopped` when nobody waits for it any more."""
        self.report(fraction, note)
