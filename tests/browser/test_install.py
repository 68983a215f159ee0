"""Finding a Chromium: the learner's choice first, and never a reason for `make test` to stop."""

import os
import subprocess
import sys
from pathlib import Path

from tests.browser.install import APPLICATIONS, NAMES, candidates
from tests.browser.server import ROOT


def test_the_chosen_chromium_comes_first_then_the_path_then_the_usual_places():
    found = list(candidates({"VIVA_CHROMIUM": "/mine"}, which=lambda name: f"/bin/{name}"))
    assert found == [Path("/mine"), *(Path("/bin", name) for name in NAMES), *map(Path, APPLICATIONS)]
    assert list(candidates({}, which=lambda _: None)) == [Path(place) for place in APPLICATIONS]


def test_without_a_browser_and_without_a_network_it_says_so_and_succeeds(tmp_path: Path):
    nowhere = {"PATH": "", "PLAYWRIGHT_BROWSERS_PATH": str(tmp_path), "PLAYWRIGHT_DOWNLOAD_HOST": "http://127.0.0.1:9"}
    environ = {name: value for name, value in os.environ.items() if name != "VIVA_CHROMIUM"} | nowhere
    command = [sys.executable, "-m", "tests.browser.install"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0
    assert "browser tests" in done.stdout  # one line either way; a Mac may have Chrome in its usual place
    assert done.stdout.count("NO CHROMIUM") == (not any(Path(place).is_file() for place in APPLICATIONS))
