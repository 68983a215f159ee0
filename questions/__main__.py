"""Check the bank: `python -m questions` prints every problem with file, line and field, and exits 1 if there is one."""

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from demos.kit import catalogue, knobs, runner
from demos.kit.lab import Lab
from study import bank


class Demos:
    """What the demos of this tree can do, for the bank's check of its links."""

    def params_problem(self, demo: str, params: Mapping[str, Any]) -> str | None:
        """Why `params` is no state of `demo`, or None."""
        if demo not in catalogue.names():
            return f"there is no demo {demo!r}; demos are: {', '.join(catalogue.names())}"
        kind = catalogue.load(demo).params
        known = knobs.knobs_of(kind)
        for name, value in params.items():
            if name not in known:
                return f"demo {demo!r} has no knob {name!r}; knobs are: {', '.join(known)}"
            default = getattr(kind, name)
            if type(value) is not type(default) and not (isinstance(default, float) and type(value) is int):
                return f"{name} needs {type(default).__name__}, not {value!r}"
            if not known[name].allows(value):
                return f"{name} cannot be {value!r}; it goes from {known[name].edges()[0]} to {known[name].edges()[-1]}"
        return None

    def claims(self, demo: str, states: Iterable[Mapping[str, Any]]) -> set[str]:
        """The ids of claims that `demo` makes in any of `states`."""
        record, lab = catalogue.load(demo), Lab(torch.device("cpu"))
        outcomes = [runner.run(record, record.params(**state), lab) for state in states]
        return {claim.id for outcome in outcomes for claim in outcome.claims}


def main() -> int:
    """Print the problems; 0 when there are none."""
    runner.set_up_torch()
    questions = bank.load()
    problems = [*questions.problems, *bank.link_problems(questions, Demos())]
    for problem in problems:
        print(problem)
    print(f"{len(questions.questions)} questions, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
