"""What a search over sequences leaves behind: the prefixes it kept, step by step, and the way back through them."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Continuation:
    """One continuation of a prompt: its symbols, and the running sum of their log-probabilities."""

    symbols: list[int]
    scores: list[float]


@dataclass(frozen=True)
class Search:
    """All prefixes that a search kept; at every step the best first."""

    symbols: list[Tensor]  # each (kept,): the newest symbol
    parents: list[Tensor]  # each (kept,): which prefix of the step before
    scores: list[Tensor]  # each (kept,): Σ log p so far
    complete: bool = True  # whether nothing was dropped that could still win

    def ranks(self, length: int) -> list[int]:
        """Where the prefixes of the best continuation of `length` symbols stood at each step; 0 is the best."""
        places = [0]
        for parents in self.parents[length - 1 : 0 : -1]:
            places.append(int(parents[places[-1]]))
        return places[::-1]

    def winner(self, length: int) -> Continuation:
        """The best continuation of `length` symbols."""
        places = list(enumerate(self.ranks(length)))
        symbols = [int(self.symbols[step][place]) for step, place in places]
        return Continuation(symbols, [self.scores[step][place].item() for step, place in places])
