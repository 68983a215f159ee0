"""The counter of living bytes: by hand, against the CPU profiler, and in its own thread only."""

import threading

import pytest
import torch
import torch.nn.functional as F
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from demos.kit.memory import Memory, allocated


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


CPU = torch.device("cpu")


def test_the_allocator_of_the_cpu_sees_the_tensors_of_this_thread():
    stop = threading.Event()

    def disturb() -> None:
        while not stop.is_set():
            floats(100_000).exp()

    other = threading.Thread(target=disturb)
    other.start()
    x = floats(1000)
    try:
        assert allocated(lambda: x.exp().exp(), CPU) == 2 * 4000
    finally:
        stop.set()
        other.join()


def test_the_allocator_sees_inside_a_kernel_that_the_tensors_do_not_show():
    """Without a batch dimension PyTorch's attention falls back to the n × n matrices; with one it runs in tiles."""
    query, key, value = torch.randn(3, 1, 2, 256, 8, generator=torch.Generator().manual_seed(0))
    fused = allocated(lambda: F.scaled_dot_product_attention(query, key, value), CPU)
    fallen_back = allocated(lambda: F.scaled_dot_product_attention(query[0], key[0], value[0]), CPU)
    with torch.no_grad(), Memory() as outside:
        F.scaled_dot_product_attention(query, key, value)
    assert outside.peak < fused < 4 * 2 * 256 * 256 < fallen_back


def test_on_cuda_its_own_statistics_are_asked(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []

    def answer(name: str, value: int | None = None) -> None:
        monkeypatch.setattr(torch.cuda, name, lambda _device: asked.append(name) or value)

    answer("memory_allocated", 1000)
    answer("max_memory_allocated", 5000)
    answer("reset_peak_memory_stats")
    answer("synchronize")
    assert allocated(lambda: asked.append("run"), torch.device("cuda")) == 4000
    assert asked == [
        *["run", "synchronize", "memory_allocated", "reset_peak_memory_stats"],
        *["run", "synchronize", "max_memory_allocated"],
    ]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_the_allocator_of_cuda_gives_out_at_least_what_the_tensors_need():
    x = floats(1 << 20).cuda()
    assert 2 * x.nbytes <= allocated(lambda: x.exp().exp(), x.device) <= 2 * x.nbytes + 2 * 2**20
