"""Screens under test: each test has a data folder of its own and a store that is opened anew."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from components import memory
from study.store import Store, open_store

ROOT = Path(__file__).resolve().parent.parent.parent
Visit = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The learner's data folder, empty at first."""
    monkeypatch.setenv("VIVA_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("VIVA_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("VIVA_DATABASE_URL", raising=False)
    forget_the_store()
    yield tmp_path
    forget_the_store()


@pytest.fixture
def visit() -> Visit:
    """How a learner opens a screen in a new tab: by its name, a language and the rest of the address."""

    def open_screen(name: str, language: str = "en", **query: str) -> AppTest:
        page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        page.query_params.update({"lang": language, **query})
        return page.switch_page(f"views/{name}.py").run()

    return open_screen


@pytest.fixture
def store(data: Path) -> Callable[[], closing[Store]]:
    """What is on disk, read through a store of the test's own that a `with` block closes."""
    return lambda: closing(open_store(environ={"VIVA_DATA_DIR": str(data)}))


def forget_the_store() -> None:
    """Close the store of this process, as a restart of the app does."""
    memory._store.clear()  # type: ignore[attr-defined]
    memory._failure.clear()  # type: ignore[attr-defined]
