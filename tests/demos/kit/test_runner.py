"""The runner turns what can go wrong into a sentence for the learner, and lets programming errors be loud."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread
from typing import Any, NamedTuple

import psutil
import pytest
import torch
from torch import Tensor

from demos.kit import runner
from demos.kit.contract import Claim, Demo, Impossible, Picture, Prediction
from demos.kit.lab import Lab, Stopped
from language import Text, same

LAB = Lab(torch.device("cpu"))


@dataclass(frozen=True)
class Params:
    """No knobs are needed here."""


@dataclass(frozen=True)
class Result:
    """One number."""

    value: Tensor


def demo(compute: Callable[[Any, Any], Any]) -> Demo:
    """A demo whose figures and claims show the one number."""
    return Demo(
        title=same("t"),
        summary=same("s"),
        params=Params,
        compute=compute,
        pictures=lambda result: [Picture("p", same("t"), same("a"), {"data": [result.value.item()]})],
        claims=lambda result: [Claim("c", same("s"), result.value.item(), "=", 3.0, same("b"))],
        prediction=Prediction(same("?"), {"yes": same("y")}, lambda _: "yes", same("b")),
    )


def failing(error: Exception) -> Demo:
    def compute(*_: object) -> Result:
        raise error

    return demo(compute)


def test_an_outcome_carries_figures_claims_and_the_right_option():
    outcome = runner.run(demo(lambda *_: Result(torch.tensor(3.0))), Params(), LAB)
    assert outcome.problem is None
    assert outcome.pictures[0].figure == {"data": [3.0]}
    assert outcome.claims[0].holds
    assert (outcome.right_option, outcome.device) == ("yes", "CPU")
    assert outcome.seconds >= 0


def test_an_impossible_state_is_a_problem_with_its_reason():
    reason = Text("no key is left", "没有可用的 key")
    outcome = runner.run(failing(Impossible(reason)), Params(), LAB)
    assert outcome.problem == reason
    assert (outcome.pictures, outcome.claims, outcome.right_option) == ([], [], None)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("MPS backend out of memory (MPS allocated: 20 GiB)"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"),
        MemoryError(),
    ],
)
def test_running_out_of_memory_is_a_problem_on_every_device(error: Exception):
    assert runner.run(failing(error), Params(), LAB).problem is runner.OUT_OF_MEMORY


def test_pytorch_still_words_a_full_memory_the_way_the_runner_knows():
    outcome = runner.run(demo(lambda *_: Result(torch.empty(10**16))), Params(), LAB)
    assert outcome.problem is runner.OUT_OF_MEMORY


@pytest.mark.parametrize("error", [Stopped(), RuntimeError("shapes differ"), ValueError("bug"), ZeroDivisionError()])
def test_leaving_and_programming_errors_are_passed_on(error: Exception):
    with pytest.raises(type(error)):
        runner.run(failing(error), Params(), LAB)


def test_every_tensor_of_a_result_however_deep_arrives_detached():
    class Pair(NamedTuple):
        left: Tensor
        right: int

    @dataclass(frozen=True)
    class Deep:
        direct: Tensor
        record: Result
        several: tuple[Tensor, ...]
        named: dict[str, list[Tensor]]
        pair: Pair

    weight = torch.ones(2, requires_grad=True)
    moved = runner.on_cpu(Deep(weight, Result(weight * 2), (weight,), {"a": [weight]}, Pair(weight, 2)))
    tensors = [moved.direct, moved.record.value, *moved.several, *moved.named["a"], moved.pair.left]
    assert [tensor.requires_grad for tensor in tensors] == [False] * 5
    assert isinstance(moved.pair, Pair)


def test_tf32_is_off_and_one_thread_computes():
    torch.backends.cuda.matmul.allow_tf32 = True
    runner.set_up_torch()
    assert torch.get_num_threads() == 1
    assert torch.get_float32_matmul_precision() == "highest"
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32


def test_a_run_in_a_fresh_thread_starts_no_others():
    """A matrix product there would start a pool, although torch was told of one thread in another one."""
    square, process, found = torch.ones(256, 256), psutil.Process(), list[tuple[int, int]]()

    def compute(*_: object) -> Result:
        before = process.num_threads()
        product = square @ square
        found.append((before, process.num_threads()))
        return Result(product.sum())

    learner = Thread(target=runner.run, args=(demo(compute), Params(), LAB))
    learner.start()
    learner.join()
    assert [after - before for before, after in found] == [0]
