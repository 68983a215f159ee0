"""The warm-up gives way to a page that runs, for a while, and ends when the app does."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from components import warmup


def test_no_step_begins_while_a_page_runs():
    with ThreadPoolExecutor() as pool:
        with warmup.held_back():
            step = pool.submit(warmup._breathe)
            with pytest.raises(TimeoutError):
                step.result(timeout=0.2)
        assert step.result(timeout=5) is False


def test_a_page_that_ends_in_an_exception_holds_nothing_back():
    with pytest.raises(KeyError), warmup.held_back():
        raise KeyError
    with ThreadPoolExecutor() as pool:
        assert pool.submit(warmup._breathe).result(timeout=5) is False


def test_a_page_that_trains_for_long_does_not_hold_it_back_for_good(monkeypatch):
    monkeypatch.setattr(warmup, "TRUCE", 0.1)
    with ThreadPoolExecutor() as pool, warmup.held_back():
        assert pool.submit(warmup._breathe).result(timeout=5) is False


def test_the_end_of_the_app_does_not_wait_for_a_page(monkeypatch):
    leaving = threading.Event()
    leaving.set()
    monkeypatch.setattr(warmup, "_leaving", leaving)
    with ThreadPoolExecutor() as pool, warmup.held_back():
        assert pool.submit(warmup._breathe).result(timeout=5) is True
