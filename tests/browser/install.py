"""Find a Chromium for the browser tests, or let Playwright fetch one. `make test` runs this; it never fails the make.

python -m tests.browser.install
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
APPLICATIONS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Google/Chrome/Application/chrome.exe",
    "C:/Program Files/Chromium/Application/chrome.exe",
)
DOWNLOAD_SECONDS = 900


def candidates(environ: Mapping[str, str], which: Callable[[str], str | None] = shutil.which) -> Iterator[Path]:
    """Where a Chromium may be, best first: VIVA_CHROMIUM, the PATH, the usual places of macOS and Windows."""
    if environ.get("VIVA_CHROMIUM"):
        yield Path(environ["VIVA_CHROMIUM"])
    yield from (Path(found) for name in NAMES if (found := which(name)))
    yield from map(Path, APPLICATIONS)


def installed(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The Chromium of this machine; None when there is none outside Playwright's own folder."""
    return next((place for place in candidates(environ) if place.is_file()), None)


def fetch() -> bool:
    """Whether Playwright has, or could download, its own Chromium."""
    command = [sys.executable, "-m", "playwright", "install", "chromium"]
    try:
        return subprocess.run(command, timeout=DOWNLOAD_SECONDS, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def main() -> None:
    """Say which Chromium the browser tests will use, or say loudly that they will be skipped."""
    browser = installed()
    if browser:
        print(f"browser tests use {browser}")  # noqa: T201
    elif fetch():
        print("browser tests use the Chromium of Playwright")  # noqa: T201
    else:
        print("!! NO CHROMIUM: the browser tests WILL BE SKIPPED; install Chromium or set VIVA_CHROMIUM=/path/to/it")  # noqa: T201


if __name__ == "__main__":
    main()
