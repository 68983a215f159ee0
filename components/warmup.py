"""Warm up in the background: import torch and the demos while the learner reads the first page.

Streamlit collects garbage after every run of a script, and that takes longer the more objects live.
`gc.freeze` once the heavy imports are done takes them out of every later collection.
"""

import contextlib
import gc
import threading

import streamlit as st


@st.cache_resource(show_spinner=False)
def start() -> threading.Thread:
    """Start warming up, once per process; join the returned thread to wait for it."""
    thread = threading.Thread(target=_warm_up, name="warm-up", daemon=True)
    thread.start()
    return thread


def _warm_up() -> None:
    import torch

    from demos.kit import catalogue, runner
    from demos.kit.lab import Lab

    runner.set_up_torch()
    for name in catalogue.names():
        with contextlib.suppress(catalogue.DemoFileError):  # the page that needs the demo says what is wrong with it
            demo = catalogue.load(name)
            runner.run(demo, demo.params(), Lab(torch.device("cpu")))
    gc.collect()
    gc.freeze()
