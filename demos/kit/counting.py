"""Count what a computation does while it runs: exact, and the same on every device. And a clock, which is neither.

PyTorch's own `FlopCounterMode` hooks into every module of the process, and learners share one process. `Count` sees
only its own thread; so does `Chain`, which knows what PyTorch does not count: which operation had to wait for which.
"""

import functools
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class Count(TorchDispatchMode):
    """Watches every tensor operation of this thread.

    `flops` adds up PyTorch's formulas, 2 per multiply-add of a matrix product; a fused kernel that PyTorch has no
    formula for, such as attention or an LSTM on the CPU, counts as 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing here is compiled, and the guard costs as much as a small operation

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **kwargs) if kwargs else function(*args)
        formula, _ = kind(function)
        if formula:
            self.flops += flops(formula, args, kwargs, result)
        return result


class Chain(TorchDispatchMode):
    """Watches which operations of this thread wait for which.

    `length` is that of the longest sequence of operations each of which needs the result of the one before; a view
    computes nothing and does not count.
    """

    def __init__(self) -> None:
        super().__init__()
        self.length = 0
        self._waited: dict[int, int] = {}  # operations behind each tensor, by its id
        self._kept: list[Any] = []  # an id is unique only while its tensor lives

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # as above

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **kwargs) if kwargs else function(*args)
        waited, known = 0, self._waited
        for value in args:  # this runs once per operation: plain loops
            for item in value if type(value) in (list, tuple) else (value,):
                waited = max(waited, known.get(id(item), 0))
        _, work = kind(function)
        for tensor in result if type(result) in (list, tuple) else (result,):
            known[id(tensor)] = waited + work
        self.length = max(self.length, waited + work)
        self._kept.append(result)
        return result


def count(run: Callable[[], Any]) -> Count:
    """What `run` costs, without gradients."""
    with torch.no_grad(), Count() as counter:
        run()
    return counter


def chain(run: Callable[[], Any]) -> int:
    """The length of the longest chain in `run`, without gradients."""
    with torch.no_grad(), Chain() as found:
        run()
    return found.length


def chain_by_step(steps: Iterable[Any]) -> list[int]:
    """The same after each step of a computation that yields step by step."""
    with torch.no_grad(), Chain() as found:
        return [found.length for _ in steps]


def clock(run: Callable[[], Any], device: torch.device, repeats: int) -> Tensor:
    """Seconds of each of `repeats` runs on `device`, without gradients, after one run to warm up."""
    seconds = []
    for _ in range(1 + repeats):
        start = time.perf_counter()
        with torch.no_grad():
            run()
        if device.type != "cpu":
            torch.accelerator.synchronize(device)  # a GPU is still at work when the call returns
        seconds.append(time.perf_counter() - start)
    return torch.tensor(seconds[1:])  # (repeat,)


@functools.cache
def kind(function: Any) -> tuple[Callable[..., int] | None, int]:
    """PyTorch's formula for the FLOPs of an operation, if it has one, and 0 for a view or 1 for work."""
    return flop_registry.get(function.overloadpacket), 0 if function.is_view else 1


def flops(formula: Callable[..., int], args: Any, kwargs: Any, result: Any) -> int:
    """What `formula` says. Most formulas want shapes only; remembering those is quicker than PyTorch's tree walk."""
    if kwargs or not isinstance(result, Tensor) or not hasattr(formula, "__wrapped__"):
        return formula(*args, **(kwargs or {}), out_val=result)
    return _by_shape(formula, result.shape, *[_shape(each) for each in args])


def _shape(value: Any) -> Any:
    return value.shape if isinstance(value, Tensor) else tuple(value) if type(value) is list else value


@functools.lru_cache(4096)
def _by_shape(formula: Any, out_shape: torch.Size, *shapes: Any) -> int:
    return formula.__wrapped__(*shapes, out_shape=out_shape)
