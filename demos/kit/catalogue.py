"""Find demos: a file in `demos/` that defines DEMO is one. A broken file is an error, never a silent gap."""

import functools
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import demos
from demos.kit.contract import Demo

COMPILED = ("torch.optim", '"meta"', "flop_counter")  # their first use in a process imports PyTorch's compiler


class DemoFileError(Exception):
    """A file in `demos/` that cannot be used; the message names the file and the remedy."""


def names() -> list[str]:
    """The ids of all demos, without importing any of them (and so without importing torch)."""
    return sorted(module.name for module in pkgutil.iter_modules(demos.__path__) if not module.ispkg)


@functools.cache
def load(name: str) -> Demo:
    """The demo called `name`. Raises `DemoFileError` when there is none or its file is broken."""
    demo = getattr(_module(name), "DEMO", None)
    if not isinstance(demo, Demo):
        raise DemoFileError(f"demos/{name}.py must define DEMO = Demo(...)")
    return demo


def brings_the_compiler(name: str) -> bool:
    """Whether the demo's files mention any of `COMPILED`, a second of imports."""
    return any(mark in text for text in _texts(f"demos.{name}", set()) for mark in COMPILED)


def _texts(module: str, seen: set[str]) -> Iterator[str]:
    """The text of a module of ours and of those it imports, read without importing them."""
    file = Path(demos.__path__[0]).parent.joinpath(*module.split(".")).with_suffix(".py")
    if module in seen or not file.is_file():
        return
    seen.add(module)
    text = file.read_text(encoding="utf-8")
    yield text
    for source, names in re.findall(r"^from (demos[\w.]*) import ([\w, ]+)$", text, re.MULTILINE):
        for found in (source, *(f"{source}.{name.strip()}" for name in names.split(","))):
            yield from _texts(found, seen)


def source(name: str) -> str:
    """The code that a run executes, for the learner to read: the functions that `compute` calls, then it.

    Functions of the demo's own file, and of those it `shows`.
    """
    module = _module(name)
    files = {module.__name__, *(file.__name__ for file in load(name).shows)}
    found: dict[FunctionType, str] = {}
    seen: set[FunctionType] = set()

    def visit(function: FunctionType) -> None:
        seen.add(function)
        for called in _names_in(function.__code__):
            step = function.__globals__.get(called)
            step = inspect.unwrap(step) if callable(step) else None
            if isinstance(step, FunctionType) and step.__module__ in files and step not in seen:
                visit(step)
        found[function] = inspect.getsource(function)

    visit(module.compute)
    return "\n\n".join(found.values())


def _names_in(code: CodeType) -> list[str]:
    """The names a function uses, those in its comprehensions, lambdas and inner functions included."""
    inner = (const for const in code.co_consts if isinstance(const, CodeType))
    return [*code.co_names, *(name for nested in inner for name in _names_in(nested))]


def _module(name: str) -> ModuleType:
    if name not in names():
        raise DemoFileError(f"there is no demos/{name}.py; demos are: {', '.join(names())}")
    try:
        return importlib.import_module(f"demos.{name}")
    except Exception as error:  # any fault of the file is reported with its place
        raise DemoFileError(f"demos/{name}.py cannot be imported: {error!r}") from error
