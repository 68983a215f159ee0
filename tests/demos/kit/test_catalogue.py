"""Demos are found by their files; a broken one is an error that names it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import demos
from demos.kit import catalogue
from demos.kit.catalogue import DemoFileError

Write = Callable[[str, str], str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Add a file to the demos for the length of a test; returns the demo's name."""
    monkeypatch.setattr(demos, "__path__", [*demos.__path__, str(tmp_path)])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def put(name: str, code: str) -> str:
        monkeypatch.delitem(sys.modules, f"demos.{name}", raising=False)
        (tmp_path / f"{name}.py").write_text(code, "utf-8")
        return name

    return put


def test_a_new_file_is_a_demo_and_packages_are_not(write: Write):
    name = write("brand_new_demo", "")
    assert name in catalogue.names()
    assert not {"kit", "figures", "claims"} & set(catalogue.names())
    assert catalogue.names() == sorted(catalogue.names())


def test_names_come_without_torch():
    code = "import sys; from demos.kit import catalogue; print(len(catalogue.names()), 'torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == [str(len(catalogue.names())), "False"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("x = (", "SyntaxError"),
        ("import a_module_nobody_has", "a_module_nobody_has"),
        ("1 / 0", "ZeroDivisionError"),
        ("x = 1", "must define DEMO"),
        ("DEMO = 'not a demo'", "must define DEMO"),
    ],
)
def test_a_broken_file_is_an_error_that_names_it(write: Write, code: str, reason: str):
    name = write("a_broken_demo", code)
    with pytest.raises(DemoFileError, match=rf"demos/a_broken_demo\.py.*{reason}"):
        catalogue.load(name)


@pytest.mark.parametrize("name", ["no_such_demo", "kit", "kit.runner", "../app", "softmax_scaling.x", ""])
def test_an_unknown_name_is_an_error_that_lists_the_demos(name: str):
    with pytest.raises(DemoFileError, match=r"demos are: .*softmax_scaling"):
        catalogue.load(name)


def test_the_source_shows_every_step_before_its_caller_once(write: Write):
    name = write(
        "a_demo_in_steps",
        """
from functools import lru_cache
from math import sqrt
from demos.softmax_scaling import DEMO

def unrelated(): return 0
def square(x): return x * x
def halve(x): return x / 2 if x < 1 else halve(x / 2)
@lru_cache
def remembered(x): return square(x) + halve(x)
def compute(params, lab): return sqrt(sum([remembered(x) for x in (1, 2)])) + square(3)
""",
    )
    shown = [line[4 : line.index("(")] for line in catalogue.source(name).splitlines() if line.startswith("def ")]
    assert shown == ["square", "halve", "remembered", "compute"]
    assert "@lru_cache" in catalogue.source(name)


def test_the_source_follows_the_files_of_the_kit_that_a_demo_shows_and_no_others(write: Write):
    code = """
from dataclasses import replace
from demos.kit import copying_task
from demos.kit.copying_task import train
from demos.softmax_scaling import DEMO
{shows}
def compute(params, lab): return train(lab, "rope", 0)
"""
    plain = write("a_demo_of_its_own", code.format(shows=""))
    assert "def train" not in catalogue.source(plain)
    sharing = write("a_demo_that_shares", code.format(shows="DEMO = replace(DEMO, shows=(copying_task,))"))
    assert "def model" in catalogue.source(sharing)
    assert "def embed" not in catalogue.source(sharing)


def test_a_demo_shows_no_file_that_its_run_does_not_use():
    for name in catalogue.names():
        for file in catalogue.load(name).shows:
            assert any(f"def {function}(" in catalogue.source(name) for function in vars(file)), (name, file)
