"""Where the database is found, and what the learner is told when it cannot be used."""

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from language import Text
from study import errors
from study.database import locate, shown
from study.errors import StoreError, StoreFull, StoreLocked, StoreReadOnly, StoreUnreadable
from study.schedule import Rating
from study.store import open_store

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


@pytest.fixture
def path(tmp_path) -> Path:
    """A database with one review, closed."""
    path = tmp_path / "viva.db"
    store = open_store(f"sqlite:///{path}")
    store.rate("q1", Rating.Good, NOW, "t1")
    store.close()
    return path


@pytest.fixture
def public_folder():
    """A folder that another user may reach, unlike those of pytest."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@contextmanager
def without_privileges():
    """Root may write everywhere; permissions are only tested as somebody else."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def held_by_another_program(path: Path):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


def test_the_url_given_comes_before_the_environment_and_the_users_folder(tmp_path):
    environ = {"VIVA_DATABASE_URL": "sqlite:////b.db", "VIVA_DATA_DIR": str(tmp_path)}
    assert shown(locate("sqlite:////a.db", environ)) == "/a.db"
    assert shown(locate(None, environ)) == "/b.db"
    assert shown(locate(None, {"VIVA_DATA_DIR": str(tmp_path)})) == str(tmp_path / "viva.db")
    assert shown(locate(None, {"VIVA_DATABASE_URL": ""})).endswith(os.path.join("viva", "viva.db"))  # noqa: PTH118


def test_the_data_folder_is_made(tmp_path):
    store = open_store(environ={"VIVA_DATA_DIR": str(tmp_path / "new" / "folder")})
    store.close()
    assert store.path == str(tmp_path / "new" / "folder" / "viva.db")
    assert Path(store.path).exists()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_password_is_never_shown(scheme):
    url = locate(f"{scheme}://viva:secret@localhost:5432/viva?password=secret", {})
    assert shown(url) == "postgresql+psycopg://viva:***@localhost:5432/viva"


@pytest.mark.parametrize("url", ["viva.db", "nosuch://user:secret@host/db", "sqlite+nosuch:///viva.db"])
def test_a_url_that_is_none_is_refused_without_its_password(url):
    with pytest.raises(StoreUnreadable) as caught:
        open_store(url)
    assert "secret" not in str(caught.value) + caught.value.path


def test_a_reviews_file_of_garbage_is_unreadable_and_left_as_it_was(path):
    garbage = b"Dear diary, this is not a database. " * 200
    path.write_bytes(garbage)
    with pytest.raises(StoreUnreadable, match="not a database") as caught:
        open_store(f"sqlite:///{path}")
    assert caught.value.path == str(path)
    assert path.read_bytes() == garbage


def test_a_damaged_page_is_unreadable(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    pages = bytearray(path.read_bytes())
    pages[4096:] = b"\xff" * (len(pages) - 4096)  # the first page, with the schema, stays
    path.write_bytes(pages)
    with pytest.raises(StoreUnreadable):
        open_store(f"sqlite:///{path}").memories()


def test_a_folder_in_place_of_the_file_is_unreadable(tmp_path):
    (tmp_path / "viva.db").mkdir()
    with pytest.raises(StoreUnreadable, match="unable to open"):
        open_store(f"sqlite:///{tmp_path / 'viva.db'}")


def test_a_file_in_place_of_the_folder_is_unreadable(tmp_path):
    (tmp_path / "folder").write_text("not a folder")
    with pytest.raises(StoreUnreadable) as caught:
        open_store(environ={"VIVA_DATA_DIR": str(tmp_path / "folder")})
    assert caught.value.path == str(tmp_path / "folder" / "viva.db")


def test_a_held_database_is_read_on_and_a_review_says_that_it_is_locked(path):
    store = open_store(f"sqlite:///{path}?timeout=0.05")
    with held_by_another_program(path):
        assert len(store.reviews()) == 1
        with pytest.raises(StoreLocked, match="another program"):
            store.rate("q2", Rating.Good, NOW, "t2")
    store.rate("q2", Rating.Good, NOW, "t2")  # the same request succeeds once it is free
    assert len(store.reviews()) == 2
    store.close()


def test_a_held_new_database_cannot_be_opened_yet(tmp_path):
    path = tmp_path / "viva.db"
    with held_by_another_program(path), pytest.raises(StoreLocked):
        open_store(f"sqlite:///{path}?timeout=0.05")
    open_store(f"sqlite:///{path}").close()


def test_a_database_opened_for_reading_is_read_and_refuses_to_write(path):
    store = open_store(f"sqlite:///file:{path}?mode=ro&uri=true")
    assert set(store.memories()) == {"q1"}
    for write in (
        lambda: store.rate("q1", Rating.Good, NOW, "t2"),
        lambda: store.undo(NOW, "u"),
        lambda: store.answer_quiz("q1", "c", 0, True, NOW, "a"),
        lambda: store.set_preference("language", "zh"),
    ):
        with pytest.raises(StoreReadOnly):
            write()
    assert len(store.reviews()) == 1
    store.close()


def test_an_empty_database_opened_for_reading_says_so(tmp_path):
    path = tmp_path / "viva.db"
    path.touch()
    with pytest.raises(StoreReadOnly):
        open_store(f"sqlite:///file:{path}?mode=ro&uri=true")


@pytest.mark.parametrize("folder_mode", [0o555, 0o755], ids=["folder read-only", "folder of somebody else"])
def test_a_file_without_write_permission_is_still_read(path, public_folder, folder_mode):
    copy = public_folder / "viva.db"
    shutil.copy(path, copy)
    copy.chmod(0o444)
    public_folder.chmod(folder_mode)
    with without_privileges():
        store = open_store(f"sqlite:///{copy}")
        assert set(store.memories()) == {"q1"}
        with pytest.raises(StoreReadOnly):
            store.rate("q1", Rating.Good, NOW, "t2")
        store.close()


def test_a_file_that_may_not_be_read_is_unreadable(path, public_folder):
    copy = public_folder / "viva.db"
    shutil.copy(path, copy)
    copy.chmod(0o000)
    with without_privileges(), pytest.raises(StoreUnreadable):
        open_store(f"sqlite:///{copy}")


def test_a_folder_that_may_not_be_entered_is_unreadable(path, public_folder):
    shutil.copy(path, public_folder / "viva.db")
    public_folder.chmod(0o000)
    with without_privileges(), pytest.raises(StoreUnreadable):
        open_store(environ={"VIVA_DATA_DIR": str(public_folder)})


def test_an_unfinished_log_is_never_left_out_of_what_is_read(path, public_folder):
    store = open_store(f"sqlite:///{path}")
    store.rate("q2", Rating.Good, NOW, "t2")  # is in the log only, until a checkpoint
    for name in ("viva.db", "viva.db-wal"):
        shutil.copy(path.with_name(name), public_folder / name)
    store.close()
    public_folder.chmod(0o555)
    with without_privileges(), pytest.raises((StoreUnreadable, StoreReadOnly)):
        open_store(f"sqlite:///{public_folder / 'viva.db'}")


def test_a_folder_that_may_not_be_written_gives_no_new_database(public_folder):
    public_folder.chmod(0o555)
    with without_privileges(), pytest.raises(StoreUnreadable):
        open_store(environ={"VIVA_DATA_DIR": str(public_folder / "viva")})


def test_a_full_disk_says_so_and_keeps_what_was_there(path):
    store = open_store(f"sqlite:///{path}?timeout=1")
    with store._engine.connect() as connection:  # the pool gives this connection out again
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
    with pytest.raises(StoreFull):
        store.rate("q" * 100_000, Rating.Good, NOW, "t2")
    assert len(store.reviews()) == 1
    store.close()


KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, StoreError)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_says_in_both_languages_what_happened_and_what_to_do(kind):
    error = kind("/data/viva.db", "SQLITE_X")
    for text in (error.message, error.remedy):
        assert isinstance(text, Text)
        assert text.en
        assert text.zh != text.en
    assert "/data/viva.db" in error.message.en
    assert "/data/viva.db" in error.message.zh
    assert str(error) == f"{error.message.en} {error.remedy.en} (SQLITE_X)"


def test_the_docstring_of_the_errors_draws_every_one():
    assert errors.__doc__ is not None
    assert all(kind.__name__ in errors.__doc__ for kind in KINDS)
