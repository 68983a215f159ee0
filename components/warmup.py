"""Warm up in the background: import torch and the demos while the learner reads the first page.

Streamlit collects garbage after every run of a script, and that takes longer the more objects live. `gc.freeze` once
heavy imports are done takes them out of every later collection: after the warm-up, and whenever a page brought more.
"""

import atexit
import contextlib
import gc
import sys
import threading

import streamlit as st

FIRST_PAGE = 0.3  # seconds that the first page gets before the warm-up competes with it
BREATH = 0.01  # seconds between two demos, for whoever waits
SETTLING_IN = 4.0  # seconds before the demos that import PyTorch's compiler, a second of work that cannot be divided
_frozen = {"modules": 0}
_leaving = threading.Event()


@st.cache_resource(show_spinner=False)
def start() -> threading.Thread:
    """Start warming up, once per process; join the returned thread to wait for it."""
    thread = threading.Thread(target=_warm_up, name="warm-up", daemon=True)
    thread.start()
    atexit.register(_leave, thread)
    return thread


def freeze_imports() -> None:
    """Take what was imported since the last time out of garbage collection; next to free when nothing was."""
    if len(sys.modules) > _frozen["modules"]:
        gc.collect()
        gc.freeze()
        _frozen["modules"] = len(sys.modules)


def _leave(thread: threading.Thread) -> None:
    """End the warm-up before the interpreter does: PyTorch aborts the process when a thread outlives it."""
    _leaving.set()
    thread.join()


def _warm_up() -> None:
    if _leaving.wait(FIRST_PAGE):
        return
    from components import demo_panel  # noqa: F401
    from demos.kit import catalogue, runner

    runner.set_up_torch()
    freeze_imports()
    light = [name for name in catalogue.names() if not catalogue.steps_an_optimiser(name)]
    for names, pause in ((light, SETTLING_IN), (set(catalogue.names()) - set(light), 0.0)):
        for name in sorted(names):
            with contextlib.suppress(catalogue.DemoFileError):  # the page that needs the demo says what is wrong
                runner.rehearse(catalogue.load(name))
            if _leaving.wait(BREATH):
                return
        freeze_imports()
        if _leaving.wait(pause):
            return
