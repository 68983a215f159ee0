"""Watch the tensors that a computation makes: how many bytes live now, how many at the worst moment, and the FLOPs.

Exact, in this thread only, and the same on every device. What a kernel uses inside one operation is not seen: that
knows only the allocator of the device, and `allocated` asks it.
"""

import threading
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from demos.kit.counting import flops, kind

_one_at_a_time = threading.Lock()  # the profiler and CUDA's statistics belong to the process


class Memory(TorchDispatchMode):
    """`now` and `peak` bytes of the tensors made since the start; what was there before does not count.

    A view shares its bytes with the tensor it looks at and counts once, with it. `flops` adds up PyTorch's formulas
    for the products, as `counting.Count` does.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now, self.peak, self.flops = 0, 0, 0
        self._living: dict[int, tuple[int, tuple[int, ...], Any]] = {}  # of each storage, by its id: bytes, shape

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing here is compiled, and the guard costs as much as a small operation

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **kwargs) if kwargs else function(*args)
        formula, work = kind(function)
        if formula:
            self.flops += flops(formula, args, kwargs, result)
        if work:
            given = {id(each) for each in args}  # what comes back was changed in place
            for made in result if type(result) in (list, tuple) else (result,):
                if isinstance(made, torch.Tensor) and id(made) not in given:
                    self._add(made.untyped_storage(), made.shape)
        return result

    def shapes(self) -> list[tuple[int, tuple[int, ...]]]:
        """Bytes and shape of every tensor that lives now."""
        return [(size, shape) for size, shape, _ in self._living.values()]

    def _add(self, storage: torch.UntypedStorage, shape: tuple[int, ...]) -> None:
        name = id(storage)  # unique while the storage lives
        if name not in self._living:
            size = storage.nbytes()
            self._living[name] = (size, shape, weakref.ref(storage, lambda _: self._remove(name)))
            self.now += size
            self.peak = max(self.peak, self.now)

    def _remove(self, name: int) -> None:
        self.now -= self._living.pop(name)[0]


def allocated(run: Callable[[], Any], device: torch.device) -> int:
    """Peak bytes that the allocator of `device` gave out during `run`, without gradients, after one run to warm up.

    CUDA keeps statistics for the whole process and hands out blocks that may be larger than asked for, so its number is
    an upper bound. On the CPU the profiler writes down every allocation of this thread. A device that has neither is
    watched tensor by tensor.
    """
    with torch.no_grad(), _one_at_a_time:
        run()  # what a kernel allocates once, such as the workspace of a library, is there from now on
        if device.type == "cuda":
            torch.cuda.synchronize(device)
            before = torch.cuda.memory_allocated(device)
            torch.cuda.reset_peak_memory_stats(device)
            run()
            torch.cuda.synchronize(device)
            return torch.cuda.max_memory_allocated(device) - before
        if device.type == "cpu":
            with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
                run()
            return _profiled_peak(seen)
        with Memory() as memory:
            run()
        return memory.peak


def _profiled_peak(seen: profile) -> int:
    """The largest running sum over what was allocated and freed, in the order of time."""
    results = seen.profiler.kineto_results if seen.profiler else None
    events: list[Any] = [event for event in results.events() if event.name() == "[memory]"] if results else []
    now = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    return peak
