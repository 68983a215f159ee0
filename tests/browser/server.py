"""The real app under `streamlit run`, as a process that a test may stop, kill and start again on the same data."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from study.store import Store, open_store

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("app.py", "language.py", "components", "views", "study", "demos", "questions", ".streamlit")
SECONDS_TO_START = 60


class Server:
    """`streamlit run app.py` in `tree`, remembering in `data`; it listens once `start` has returned."""

    def __init__(self, data: Path, tree: Path = ROOT, script: Path | str = "app.py", base: str = "") -> None:
        self.data = data
        self.base = base  # the path that the app lives behind, such as "study/"
        self._command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.baseUrlPath", base]
        self.tree = tree
        self.port = free_port()
        self.log = data.with_name(f"{data.name}-server.log")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Server":
        """Start, and wait until it answers."""
        command = [*self._command, "--server.port", str(self.port)]
        outside = {name: value for name, value in os.environ.items() if not name.startswith(("VIVA_", "STREAMLIT_"))}
        environ = {**outside, "VIVA_DATA_DIR": str(self.data), "VIVA_CACHE_DIR": str(self.data)}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self.tree, env=environ, stdout=log, stderr=subprocess.STDOUT)
        end = time.monotonic() + SECONDS_TO_START
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise RuntimeError(f"the server did not start:\n{self.log.read_text(encoding='utf-8')}")
            time.sleep(0.05)
        return self

    @property
    def is_up(self) -> bool:
        """Whether it was started and not ended since."""
        return self._process is not None

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        self._end(subprocess.Popen.terminate)

    def kill(self) -> None:
        """End it with SIGKILL, as a power cut would: from here on it writes nothing."""
        self._end(subprocess.Popen.kill)

    def url(self, path: str = "", **query: str | int) -> str:
        """The address of a screen: `url("question", number=4)`."""
        return f"http://localhost:{self.port}/{path}" + (f"?{urlencode(query)}" if query else "")

    def memory(self) -> Store:
        """The learner's store, opened as another program would, running or not; close it."""
        return open_store(environ={"VIVA_DATA_DIR": str(self.data)})

    def faults(self) -> list[str]:
        """What it logged that no learner should meet: the error at the end of each traceback."""
        entries = self.log.read_text(encoding="utf-8", errors="replace").split("Traceback (most recent call last):")
        return [next(line for line in entry.splitlines()[1:] if line[:1].strip()) for entry in entries[1:]]

    def _answers(self) -> bool:
        try:
            with urlopen(self.url(f"{self.base}_stcore/health"), timeout=5) as reply:
                return reply.status == 200
        except (URLError, OSError):
            return False

    def _end(self, how: Callable[[subprocess.Popen[bytes]], None]) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        how(process)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


Serve = Callable[..., Server]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def copy_tree(target: Path) -> Path:
    """A copy of the app in `target`, for tests that edit its files."""
    target.mkdir()
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, target / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target / part)
    return target
