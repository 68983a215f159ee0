"""Run a demo once: tensors on the device, then figures and claims on the CPU, and what went wrong if something did."""

import dataclasses
import time
from dataclasses import dataclass
from typing import Any

import torch

from demos.kit import device as devices
from demos.kit.contract import Claim, Demo, Impossible, Picture
from demos.kit.lab import Lab
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


def exact_arithmetic() -> None:
    """fp32 means fp32: claims are checked with TF32 off."""
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def run(demo: Demo, params: Any, lab: Lab) -> Outcome:
    """Compute `demo` at `params`. Raises `Stopped` when the learner moved on, and any programming error."""
    start = time.perf_counter()
    device = devices.name(lab.device)
    try:
        result = on_cpu(demo.compute(params, lab))
        seconds = time.perf_counter() - start
        return Outcome(demo.pictures(result), demo.claims(result), demo.prediction.right(result), device, seconds)
    except Impossible as impossible:
        problem = impossible.reason
    except torch.OutOfMemoryError:
        problem = OUT_OF_MEMORY
    return Outcome([], [], None, device, time.perf_counter() - start, problem)


def on_cpu(result: Any) -> Any:
    """The result record with every tensor detached and moved to the CPU."""
    moved = {
        field.name: value.detach().cpu()
        for field in dataclasses.fields(result)
        if isinstance(value := getattr(result, field.name), torch.Tensor)
    }
    return dataclasses.replace(result, **moved)
