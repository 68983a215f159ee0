"""A parsed copy of the bank, so that a start need not parse YAML that has not changed, a tenth of a second.

The copy is a file in the user's cache folder (`VIVA_CACHE_DIR` says otherwise). Losing it costs nothing, and it is
used only while every file of the bank, and the code that reads them, is as it was when the copy was made.
"""

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from platformdirs import user_cache_dir
from pydantic import BaseModel, ValidationError

from study import bank, question
from study.bank import Bank
from study.question import Question, Topic

Mark = tuple[tuple[str, int, int], ...]


class _Copy(BaseModel):
    """What is in the file; `mark` says of which state of the bank it is a copy."""

    mark: Mark
    folder: Path
    topics: tuple[Topic, ...]
    questions: tuple[Question, ...]


def load(folder: Path = bank.FOLDER, environ: Mapping[str, str] = os.environ) -> Bank:
    """The bank in `folder`, from the copy if that is still true. A bank with problems is never copied."""
    place = Path(environ.get("VIVA_CACHE_DIR") or user_cache_dir("viva", appauthor=False)) / "bank.json"
    mark = (*bank.fingerprint(folder), *_code())
    with contextlib.suppress(OSError, ValidationError):
        copy = _Copy.model_validate_json(place.read_bytes())
        if copy.mark == mark and copy.folder == folder:
            return Bank(copy.questions, copy.topics, ())
    loaded = bank.load(folder)
    if not loaded.problems:
        copy = _Copy(mark=mark, folder=folder, topics=loaded.topics, questions=loaded.questions)
        with contextlib.suppress(OSError):
            _write(place, copy.model_dump_json().encode())
    return loaded


def _code() -> Mark:
    """Changes with the code that decides what a good question file is."""
    files = [Path(module.__file__ or "") for module in (bank, question)]
    return tuple((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files)


def _write(place: Path, content: bytes) -> None:
    """All of it or nothing: two processes may start at once."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as file:
        file.write(content)
    Path(file.name).replace(place)
