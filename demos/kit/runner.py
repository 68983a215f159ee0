"""Run a demo once: tensors on the device, then figures and claims on the CPU, and what went wrong if something did."""

import contextlib
import dataclasses
import time
from dataclasses import dataclass
from typing import Any

import torch

from demos.kit import device as devices
from demos.kit.contract import Claim, Demo, Impossible, Picture
from demos.kit.lab import Lab, Stopped
from language import Text

OUT_OF_MEMORY = Text(
    "The device ran out of memory. Attention scores grow with the square of the length: choose a smaller state, "
    "or compute on the CPU in Settings.",
    "设备内存不足。注意力分数占用的内存随长度平方增长：请选小一些的取值，或在设置里改用 CPU。",
)


@dataclass(frozen=True)
class Outcome:
    """What one run gave. With a `problem` there are no pictures and no claims, and the page says why."""

    pictures: list[Picture]
    claims: list[Claim]
    right_option: str | None
    device: str
    seconds: float
    problem: Text | None = None


def set_up_torch() -> None:
    """fp32 means fp32: claims are checked with TF32 off. One core per learner."""
    stay_on_one_core()
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def stay_on_one_core() -> None:
    """Start no pool of threads in the calling thread; it would cost more than these small tensors gain.

    Streamlit runs each rerun in a fresh thread, and the libraries below torch count their threads for each thread anew.
    """
    torch.set_num_threads(1)


def run(demo: Demo, params: Any, lab: Lab) -> Outcome:
    """Compute `demo` at `params`. Raises `Stopped` when the learner moved on, and any programming error."""
    start = time.perf_counter()
    result, problem = _result(demo, params, lab)
    seconds, device = time.perf_counter() - start, devices.name(lab.device)
    if problem:
        return Outcome([], [], None, device, seconds, problem)
    return Outcome(demo.pictures(result), demo.claims(result), demo.prediction.right(result), device, seconds)


def draw(demo: Demo, params: Any, lab: Lab) -> list[Picture] | None:
    """The pictures alone; None where `run` would tell of a problem. Raises what `run` raises."""
    result, problem = _result(demo, params, lab)
    return None if problem else demo.pictures(result)


def _result(demo: Demo, params: Any, lab: Lab) -> tuple[Any, Text | None]:
    """What `compute` gives, on the CPU, or why there is nothing."""
    stay_on_one_core()
    try:
        return on_cpu(demo.compute(params, lab)), None
    except Impossible as impossible:
        return None, impossible.reason
    except (MemoryError, RuntimeError) as error:
        if not ran_out_of_memory(error):
            raise
        return None, OUT_OF_MEMORY


def ran_out_of_memory(error: Exception) -> bool:
    """Whether `error` means a full device. CUDA has a class for it; the CPU and MPS only say so in words."""
    words = ("out of memory", "can't allocate memory")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(word in str(error) for word in words)


def rehearse(demo: Demo) -> None:
    """Run `demo` once at its defaults on the CPU, so that the first learner does not pay for cold code.

    A demo that reports progress trains; that is left to the learner who wants it.
    """

    def leave(_fraction: float, _note: Text | None) -> None:
        raise Stopped

    with contextlib.suppress(Stopped):
        run(demo, demo.params(), Lab(torch.device("cpu"), leave))


def on_cpu(value: Any) -> Any:
    """`value` with every tensor in it, however deep in records, lists and dicts, detached and moved to the CPU."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
        return dataclasses.replace(value, **{name: on_cpu(inner) for name, inner in fields.items()})
    if isinstance(value, dict):
        return {key: on_cpu(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [on_cpu(inner) for inner in value]
    if isinstance(value, tuple):
        make = getattr(value, "_make", tuple)  # a named tuple stays one
        return make(on_cpu(inner) for inner in value)
    return value
