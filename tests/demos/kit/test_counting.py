"""The counter against PyTorch's own, and what it says about waiting."""

import threading
from collections.abc import Iterator

import torch
from torch.utils.flop_counter import FlopCounterMode

from demos.kit.counting import Chain, Count, chain, chain_by_step, clock, count


def matrix(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_flops_are_those_of_pytorchs_own_counter():
    left, right = matrix(3, 5), matrix(5, 7)
    runs = (
        lambda: left @ right,
        lambda: torch.addmm(right[:1], left, right),
        lambda: torch.bmm(left.expand(4, -1, -1), right.expand(4, -1, -1)),
    )
    for run in runs:
        with FlopCounterMode(display=False) as oracle:
            run()
        assert count(run).flops == oracle.get_total_flops() > 0
    assert count(runs[0]).flops == 2 * 3 * 5 * 7


def test_a_chain_counts_what_waits_and_not_what_could_run_side_by_side():
    x = matrix(4, 4)
    assert chain(lambda: x.tanh().tanh().tanh()) == 3
    assert chain(lambda: (x.tanh(), x.exp(), x.sin())) == 1
    assert chain(lambda: torch.cat([x.tanh().tanh(), x.exp()])) == 3


def test_a_chain_grows_step_by_step():
    def steps(x: torch.Tensor) -> Iterator[torch.Tensor]:
        for _ in range(3):
            x = x.exp().tanh()
            yield x

    assert chain_by_step(steps(matrix(2, 2))) == [2, 4, 6]


def test_a_view_is_no_work():
    x = matrix(4, 4)
    assert chain(lambda: x.mT.unsqueeze(0)[0, :2].view(2, 4)) == 0
    assert chain(lambda: torch.stack([row.tanh() for row in x.unbind()])) == 2


def test_the_counters_see_only_their_own_thread():
    other = threading.Thread(target=lambda: matrix(64, 64) @ matrix(64, 64))
    with Count() as counter, Chain() as found:
        other.start()
        other.join()
    assert (counter.flops, found.length) == (0, 0)


def test_the_clock_leaves_out_the_first_run():
    runs = []
    seconds = clock(lambda: runs.append(1), torch.device("cpu"), 3)
    assert len(runs) == 4
    assert seconds.shape == (3,)
    assert (seconds >= 0).all()
