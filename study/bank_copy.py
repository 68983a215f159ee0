"""A parsed copy of the bank, so that a start need not parse YAML that has not changed, nor import what parses it.

The copy is a file in the user's cache folder (`VIVA_CACHE_DIR` says otherwise). Losing it costs nothing, and it is
used only while every file of the bank, and the code that reads them, is as it was when the copy was made.
"""

import contextlib
import dataclasses
import functools
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from platformdirs import user_cache_dir

from study import question
from study.question import FOLDER, Bank

R = TypeVar("R")


def fingerprint(folder: Path = FOLDER) -> tuple[tuple[str, int, int], ...]:
    """Changes when a file of the bank changes: name, modification time in ns, and size of each."""
    return _stats(sorted(folder.glob("*.yaml")))


def load(folder: Path = FOLDER, environ: Mapping[str, str] = os.environ) -> Bank:
    """The bank in `folder`, from the copy if that is still true. A bank with problems is never copied."""
    place = Path(environ.get("VIVA_CACHE_DIR") or user_cache_dir("viva", appauthor=False)) / "bank.json"
    here = Path(question.__file__)
    mark = repr((folder, fingerprint(folder), _stats([here, here.with_name("bank.py")])))
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        copy = json.loads(place.read_bytes())
        if copy["mark"] == mark:
            return _record(Bank, copy["bank"])
    from study import bank  # only now: it imports pydantic

    loaded = bank.load(folder)
    if not loaded.problems:
        with contextlib.suppress(OSError):
            _write(place, json.dumps({"mark": mark, "bank": dataclasses.asdict(loaded)}).encode())
    return loaded


def _stats(files: list[Path]) -> tuple[tuple[str, int, int], ...]:
    return tuple((file.name, stat.st_mtime_ns, stat.st_size) for file in files for stat in [file.stat()])


def _record(kind: type[R], value: dict[str, Any]) -> R:
    """What `dataclasses.asdict` took apart, put together again. Raises KeyError or TypeError for anything else."""
    return kind(**{name: _value(hint, value[name]) for name, hint in _fields(kind)})


def _value(kind: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _record(kind, value)
    if get_origin(kind) is tuple:
        return tuple(_value(get_args(kind)[0], item) for item in value)
    return value


@functools.cache
def _fields(kind: type) -> list[tuple[str, Any]]:
    hints = get_type_hints(kind)
    return [(field.name, hints[field.name]) for field in dataclasses.fields(kind)]


def _write(place: Path, content: bytes) -> None:
    """All of it or nothing: two processes may start at once."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as file:
        file.write(content)
    Path(file.name).replace(place)
