"""Watch the tensors that a computation makes: how many bytes live now, how many at the worst moment, and the FLOPs.

Exact, in this thread only, and the same on every device. What a kernel uses inside one operation is not seen.
"""

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class Memory(TorchDispatchMode):
    """`now` and `peak` bytes of the tensors made since the start; what was there before does not count.

    A view shares its bytes with the tensor it looks at and counts once, with it. `flops` adds up PyTorch's formulas
    for the products, as `counting.Count` does; unlike `Count`, nothing is kept alive for it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now, self.peak, self.flops = 0, 0, 0
        self._living: dict[int, tuple[int, tuple[int, ...]]] = {}  # bytes and shape of each storage, by its id

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        formula = flop_registry.get(function.overloadpacket)
        if formula:
            self.flops += formula(*args, **(kwargs or {}), out_val=result)
        if not function.is_view:
            for made in result if isinstance(result, list | tuple) else (result,):
                if isinstance(made, torch.Tensor) and not any(made is given for given in args):  # else done in place
                    self._add(made.untyped_storage(), tuple(made.shape))
        return result

    def shapes(self) -> list[tuple[int, tuple[int, ...]]]:
        """Bytes and shape of every tensor that lives now."""
        return list(self._living.values())

    def _add(self, storage: torch.UntypedStorage, shape: tuple[int, ...]) -> None:
        name = id(storage)  # unique while the storage lives
        if name not in self._living:
            self._living[name] = (storage.nbytes(), shape)
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._remove, name).atexit = False

    def _remove(self, name: int) -> None:
        self.now -= self._living.pop(name)[0]
