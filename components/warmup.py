"""Warm up in the background: import torch and the demos while the learner reads the first page.

Streamlit collects garbage after every run of a script, and that takes longer the more objects live. `gc.freeze` once
heavy imports are done takes them out of every later collection: after the warm-up, and whenever a page brought more.
"""

import contextlib
import gc
import sys
import threading
import time

import streamlit as st

FIRST_PAGE = 0.3  # seconds that the first page gets before the warm-up competes with it
_frozen = {"modules": 0}


@st.cache_resource(show_spinner=False)
def start() -> threading.Thread:
    """Start warming up, once per process; join the returned thread to wait for it."""
    thread = threading.Thread(target=_warm_up, name="warm-up", daemon=True)
    thread.start()
    return thread


def freeze_imports() -> None:
    """Take what was imported since the last time out of garbage collection; next to free when nothing was."""
    if len(sys.modules) > _frozen["modules"]:
        gc.collect()
        gc.freeze()
        _frozen["modules"] = len(sys.modules)


def _warm_up() -> None:
    time.sleep(FIRST_PAGE)
    from demos.kit import catalogue, runner

    runner.set_up_torch()
    for name in catalogue.names():
        with contextlib.suppress(catalogue.DemoFileError):  # the page that needs the demo says what is wrong with it
            runner.rehearse(catalogue.load(name))
    freeze_imports()
