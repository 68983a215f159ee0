"""A stage computes once for everybody who waits for it, and only remembers what succeeded."""

import threading
from collections.abc import Callable

import pytest
import torch

from demos.kit.lab import Lab, Stopped
from demos.kit.stage import forget, stage

CPU = torch.device("cpu")
LAB = Lab(CPU)
PATIENCE = 10.0


class Counted:
    """A stage that squares a number, counts its runs, and holds each run until it is let go."""

    def __init__(self, *, held: bool = False) -> None:
        self.runs: list[int] = []
        self.started, self.go = threading.Semaphore(0), threading.Event()
        if not held:
            self.go.set()

    def step(self, lab: Lab, number: int) -> int:
        self.runs.append(number)
        self.started.release()
        assert self.go.wait(PATIENCE)
        lab.progress(0.5)
        return number**2


class Asking(threading.Thread):
    """A thread that asks for a stage and keeps the answer or the error."""

    def __init__(self, ask: Callable[[], int]) -> None:
        super().__init__(daemon=True)
        self.ask = ask
        self.answer: int | None = None
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self.answer = self.ask()
        except (Stopped, ValueError) as error:
            self.error = error

    def wait(self) -> None:
        self.join(PATIENCE)
        assert not self.is_alive()


def leave(*_: object) -> None:
    """The progress line of a learner who has moved on."""
    raise Stopped


def test_two_threads_that_ask_for_the_same_stage_share_one_computation():
    counted = Counted(held=True)
    square = stage()(counted.step)
    first = Asking(lambda: square(LAB, 7))
    assert counted.started.acquire(timeout=PATIENCE)
    second = Asking(lambda: square(LAB, 7))
    assert not counted.started.acquire(timeout=0.05)  # the second waits
    counted.go.set()
    first.wait()
    second.wait()
    assert (first.answer, second.answer, counted.runs) == (49, 49, [7])


def test_when_the_first_learner_leaves_the_second_takes_over():
    counted = Counted(held=True)
    square = stage()(counted.step)
    first = Asking(lambda: square(Lab(CPU, leave), 7))
    assert counted.started.acquire(timeout=PATIENCE)
    second = Asking(lambda: square(LAB, 7))
    assert not counted.started.acquire(timeout=0.05)  # the second waits
    counted.go.set()
    first.wait()
    second.wait()
    assert isinstance(first.error, Stopped)
    assert (second.answer, counted.runs) == (49, [7, 7])


def test_different_inputs_do_not_wait_for_each_other():
    counted = Counted(held=True)
    square = stage()(counted.step)
    threads = [Asking(lambda n=n: square(LAB, n)) for n in (2, 3)]
    assert all(counted.started.acquire(timeout=PATIENCE) for _ in threads)  # both are inside
    counted.go.set()
    for thread in threads:
        thread.wait()
    assert [thread.answer for thread in threads] == [4, 9]


def test_an_exception_is_not_remembered():
    attempts: list[int] = []

    @stage()
    def fragile(lab: Lab, number: int) -> int:  # noqa: ARG001 a step always takes the lab
        attempts.append(number)
        if len(attempts) == 1:
            raise ValueError("the first attempt fails")
        return number

    with pytest.raises(ValueError, match="first attempt"):
        fragile(LAB, 5)
    assert fragile(LAB, 5) == 5
    assert fragile(LAB, 5) == 5
    assert len(attempts) == 2


def test_only_the_latest_results_are_kept_and_a_look_counts_as_use():
    counted = Counted()
    square = stage(keep=2)(counted.step)
    for number in (1, 2, 1, 3, 1, 2):  # 3 pushes out 2, the least recently looked at
        square(LAB, number)
    assert counted.runs == [1, 2, 3, 2]


def test_each_device_has_results_of_its_own():
    counted = Counted()
    square = stage()(counted.step)
    square(LAB, 3)
    square(Lab(torch.device("meta")), 3)
    assert counted.runs == [3, 3]


def test_keyword_inputs_tell_results_apart():
    @stage()
    def power(lab: Lab, base: int, exponent: int = 2) -> int:  # noqa: ARG001 a step always takes the lab
        return base**exponent

    assert [power(LAB, 2), power(LAB, 2, exponent=3), power(LAB, 2, exponent=5)] == [4, 8, 32]


def test_forgetting_makes_every_stage_compute_again():
    counted = Counted()
    square = stage()(counted.step)
    square(LAB, 4)
    forget()
    square(LAB, 4)
    assert counted.runs == [4, 4]
