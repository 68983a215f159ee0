"""Stages: expensive steps of a demo, remembered by their own inputs.

A slider that only changes the view finds its stage already there. Two learners who ask for the same
stage share one computation: the second waits for the first. If the first leaves, the second takes over.
"""

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Concatenate, ParamSpec, TypeVar

from demos.kit.lab import Lab

Inputs = ParamSpec("Inputs")
Output = TypeVar("Output")
Step = Callable[Concatenate[Lab, Inputs], Output]

_memories: list[tuple[str, threading.Lock, OrderedDict[Hashable, Any]]] = []


def forget(module: str | None = None) -> None:
    """Drop what the stages of `module`, or all stages, remember, so that the next run computes from nothing."""
    for owner, guard, results in _memories:
        if module in (None, owner):
            with guard:
                results.clear()


def stage(keep: int = 16) -> Callable[[Step[Inputs, Output]], Step[Inputs, Output]]:
    """Remember the last `keep` results of `step(lab, *inputs)` for each device; inputs must be hashable."""

    def decorate(step: Step[Inputs, Output]) -> Step[Inputs, Output]:
        results: OrderedDict[Hashable, Output] = OrderedDict()
        running: dict[Hashable, threading.Lock] = {}
        guard = threading.Lock()
        _memories.append((step.__module__, guard, results))

        @functools.wraps(step)
        def remembered(lab: Lab, *args: Inputs.args, **kwargs: Inputs.kwargs) -> Output:
            key = (str(lab.device), args, tuple(sorted(kwargs.items())))
            with guard:
                if key in results:
                    results.move_to_end(key)
                    return results[key]
                lock = running.setdefault(key, threading.Lock())
            with lock:
                with guard:
                    if key in results:
                        return results[key]
                result = step(lab, *args, **kwargs)
                with guard:
                    results[key] = result
                    running.pop(key, None)
                    while len(results) > keep:
                        results.popitem(last=False)
                return result

        return remembered

    return decorate
