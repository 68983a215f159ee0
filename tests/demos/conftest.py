"""What the demo tests share: one thread, so that timings and sums repeat, and the long sweep only when asked for."""

from collections.abc import Iterator

import pytest
import torch

from demos.kit import runner


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`pytest -m sweep` (or `make sweep`) runs the long version; without it, it is left out."""
    if "sweep" in (config.option.markexpr or ""):
        return
    left_out = [item for item in items if item.get_closest_marker("sweep")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    runner.set_up_torch()
    yield
    torch.set_num_threads(threads)
