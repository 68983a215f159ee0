"""The counter of living bytes: by hand, against the CPU profiler, and in its own thread only."""

import threading

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from demos.kit.memory import Memory


def floats(count: int) -> torch.Tensor:
    return torch.ones(count)


def test_what_dies_is_subtracted_and_the_peak_remembers_it():
    x = floats(100)
    with Memory() as memory:
        y = (x + 1).exp()  # x + 1 and its exponential live together
        assert memory.now == 400
    assert memory.peak == 800
    del y
    assert memory.now == 0


def test_views_and_work_in_place_take_no_bytes():
    x = floats(100)
    with Memory() as memory:
        held = [x.view(10, 10).mT, x[3:], x.add_(1), x.detach()]
    assert (memory.now, memory.peak, len(held)) == (0, 0, 4)


def test_a_backward_pass_frees_what_it_no_longer_needs():
    x = floats(100).requires_grad_()
    with Memory() as memory:
        loss = x.exp().exp().sum()
        kept = memory.now
        loss.backward()
    assert kept == 2 * 400 + 4
    assert memory.now == 400 + 4  # the gradient and the loss
    assert memory.shapes() == [(4, ()), (400, (100,))]


def test_the_peak_is_that_of_pytorchs_allocator():
    """The profiler is process-wide, so demos cannot use it; a test can."""

    def run() -> torch.Tensor:
        return (x @ x).softmax(-1) @ x

    x = torch.ones(64, 64)
    run()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        run()
    results = seen.profiler.kineto_results if seen.profiler else None
    assert results is not None
    events = sorted((e for e in results.events() if e.name() == "[memory]"), key=lambda e: e.start_ns())
    now, peak = 0, 0
    for event in events:
        now += event.nbytes()  # pyright: ignore[reportAttributeAccessIssue]
        peak = max(peak, now)
    with Memory() as memory:
        run()
    assert memory.peak == peak == 2 * 64 * 64 * 4


def test_flops_are_those_of_pytorchs_own_counter():
    x = torch.ones(3, 5, requires_grad=True)
    with FlopCounterMode(display=False) as oracle:
        (x @ torch.ones(5, 7)).sum().backward()
    with Memory() as memory:
        (x @ torch.ones(5, 7)).sum().backward()
    assert memory.flops == oracle.get_total_flops() > 0


def test_the_counter_sees_only_its_own_thread():
    other = threading.Thread(target=lambda: floats(1000) + 1)
    with Memory() as memory:
        other.start()
        other.join()
    assert memory.peak == 0
