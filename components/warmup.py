"""Warm up in the background: import the store, torch and the demos while the learner reads the first page.

Streamlit collects garbage after every run of a script, and that takes longer the more objects live. `gc.freeze` once
heavy imports are done takes them out of every later collection: after the warm-up, and whenever a page brought more.
"""

import atexit
import contextlib
import gc
import importlib
import sys
import threading
import time
from collections.abc import Iterator

import streamlit as st

PATIENCE = 3.0  # seconds that the warm-up waits for the first page to be drawn, so as not to compete with it
DELIVERY = 0.1  # seconds to get the page to the browser
BREATH = 0.01  # seconds between two demos, for whoever waits
SETTLING_IN = 4.0  # seconds before the demos that import PyTorch's compiler, a second of work that cannot be divided
TRUCE = 2.0  # seconds that a running page holds the warm-up back at most; a training may run for longer
_frozen = {"modules": 0}
_runs: list[float] = []  # when each page that runs now began
_drawn, _leaving = threading.Event(), threading.Event()


@st.cache_resource(show_spinner=False)
def start() -> threading.Thread:
    """Start warming up, once per process; join the returned thread to wait for it."""
    thread = threading.Thread(target=_warm_up, name="warm-up", daemon=True)
    thread.start()
    atexit.register(_leave, thread)
    return thread


def page_drawn() -> None:
    """The page is with the learner: the warm-up may begin, and imports are taken out of garbage collection."""
    if _drawn.is_set():
        freeze_imports()
    _drawn.set()


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """No next step of the warm-up begins while a page runs in here: the two would share one interpreter."""
    began = time.monotonic()
    _runs.append(began)
    try:
        yield
    finally:
        _runs.remove(began)


def freeze_imports() -> None:
    """Take what was imported since the last time out of garbage collection; next to free when nothing was."""
    if len(sys.modules) > _frozen["modules"]:
        gc.collect()
        gc.freeze()
        _frozen["modules"] = len(sys.modules)


def _leave(thread: threading.Thread) -> None:
    """End the warm-up before the interpreter does: PyTorch aborts the process when a thread outlives it."""
    _leaving.set()
    _drawn.set()
    thread.join()


def _breathe() -> bool:
    """Let pages run first; whether to leave."""
    while not _leaving.wait(BREATH):
        if not any(time.monotonic() - began < TRUCE for began in list(_runs)):
            return False
    return True


def _warm_up() -> None:
    _drawn.wait(PATIENCE)
    if _leaving.wait(DELIVERY):
        return
    for name in ("study.store", "components.demo_panel"):  # the store first: the learner's progress waits for it
        importlib.import_module(name)
    from demos.kit import catalogue, runner

    runner.set_up_torch()
    freeze_imports()
    light = [name for name in catalogue.names() if not catalogue.brings_the_compiler(name)]
    for names, pause in ((light, SETTLING_IN), (set(catalogue.names()) - set(light), 0.0)):
        for name in sorted(names):
            with contextlib.suppress(catalogue.DemoFileError):  # the page that needs the demo says what is wrong
                runner.rehearse(catalogue.load(name))
            if _breathe():
                return
        freeze_imports()
        if _leaving.wait(pause):
            return
