"""Servers to measure: Viva and the minimal apps, each a process of our own on a free loopback port."""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import psutil

from study import bank_copy
from study.store import open_store

ROOT = Path(__file__).resolve().parent.parent
APPS = Path(__file__).resolve().parent / "apps"
PATIENCE = 90.0  # seconds until a server must answer, and until its warm-up must be over
QUIET = 5.0  # seconds with next to no processor time after which the warm-up, which pauses for 4, counts as over
LOOPBACK = "127.0.0.1"
_DIRECT = build_opener(ProxyHandler({}))


class Server:
    """One running server process. `started` is the `perf_counter` of the moment it was spawned."""

    def __init__(self, command: list[str], folder: Path, environ: dict[str, str], log: TextIO, health: str) -> None:
        port = _free_port()
        self.address = f"{LOOPBACK}:{port}"
        self._log, self._health = log, health
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, *(part.format(port=port) for part in command)],
            cwd=folder,
            env={**os.environ, **environ},
            stdout=log,
            stderr=subprocess.STDOUT,
        )

    def wait(self) -> None:
        """Return once the server answers. Raises RuntimeError with its log when it does not."""
        while time.perf_counter() < self.started + PATIENCE:
            if self._process.poll() is not None:
                break
            try:
                with _DIRECT.open(f"http://{self.address}{self._health}", timeout=2):
                    return
            except (URLError, OSError):
                time.sleep(0.005)
        raise RuntimeError(f"the server does not answer; its log ends with\n{self.log()[-2000:]}")

    def log(self) -> str:
        """What the server has printed."""
        self._log.seek(0)
        return self._log.read()

    def memory(self) -> float:
        """Resident memory in MB."""
        return psutil.Process(self._process.pid).memory_info().rss / 2**20

    def processor(self) -> float:
        """Seconds of processor time spent so far: less sensitive to what else the machine does than the clock."""
        spent = psutil.Process(self._process.pid).cpu_times()
        return spent.user + spent.system

    async def rest(self) -> None:
        """Return once the server idles: after a start it warms up in the background. Raises RuntimeError."""
        end = time.perf_counter() + PATIENCE
        while time.perf_counter() < end:
            before = self.processor()
            await asyncio.sleep(QUIET)
            if self.processor() - before < QUIET / 20:
                return
        raise RuntimeError(f"the server is still busy after {PATIENCE:.0f} s; its log ends with\n{self.log()[-2000:]}")

    def stop(self) -> None:
        """End the process and wait for it."""
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)


@contextmanager
def viva() -> Iterator[Server]:
    """Viva as `make serve` starts it the second time, with a store of its own in which predict-first is off."""
    with tempfile.TemporaryDirectory(prefix="viva-bench-") as folder:
        store = open_store(environ={"VIVA_DATA_DIR": folder})
        store.set_preference("predict_first", False)
        store.close()
        bank_copy.load(environ={"VIVA_CACHE_DIR": folder})
        own = {"VIVA_DATA_DIR": folder, "VIVA_CACHE_DIR": folder, "VIVA_DATABASE_URL": ""}
        with _running("app:app", ROOT, own) as server:
            yield server


@contextmanager
def minimal(app: str) -> Iterator[Server]:
    """A minimal app, `floor` or `pages`; see `apps`."""
    with _running(f"serve:{app}", APPS, {}) as server:
        yield server


@contextmanager
def dash() -> Iterator[Server]:
    """The floor's page in Dash, under the server that Dash brings."""
    with _process(["dash_app.py", "{port}"], APPS, {}, "/_dash-layout") as server:
        yield server


@contextmanager
def _running(target: str, folder: Path, environ: dict[str, str]) -> Iterator[Server]:
    command = ["-m", "uvicorn", target, "--host", LOOPBACK, "--port", "{port}", "--no-access-log"]
    with _process(command, folder, environ, "/_stcore/health") as server:
        yield server


@contextmanager
def _process(command: list[str], folder: Path, environ: dict[str, str], health: str) -> Iterator[Server]:
    with tempfile.TemporaryFile("w+") as log:
        server = Server(command, folder, environ, log, health)
        try:
            server.wait()
            yield server
        finally:
            server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]
