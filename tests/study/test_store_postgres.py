"""The same store on PostgreSQL: on VIVA_TEST_POSTGRES_URL (its tables are dropped!), else on a cluster made here."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, select

from study import database
from study.database import locate, reading
from study.errors import StoreLocked, StoreReadOnly, StoreTooNew, StoreUnreadable
from study.schedule import Rating, replay
from study.store import Store, open_store
from study.tables import ReviewRow, Table

pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'psycopg[binary]'")

NOW = datetime(2026, 3, 1, 9, 30, 15, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FOLDERS = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/local/bin"), Path("/usr/bin")]
BINARIES = next((folder for folder in FOLDERS if (folder / "initdb").exists()), None)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    given = os.environ.get("VIVA_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    if BINARIES is None:
        pytest.skip("no PostgreSQL here: install it or set VIVA_TEST_POSTGRES_URL to an empty database")
    user = "postgres" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="viva-postgres-"))
    if user:
        shutil.chown(folder, user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "data"
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    control = [str(BINARIES / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log")]

    def run(*command: str) -> None:
        subprocess.run(command, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL)

    try:
        run(str(BINARIES / "initdb"), "-D", str(data), "-U", "viva", "-A", "trust", "-E", "UTF8", "--no-sync")
        run(*control, "-o", options, "start")
        try:
            yield f"postgresql://viva:secret@127.0.0.1:{port}/postgres"
        finally:
            run(*control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def url(server) -> str:
    """The server's database, emptied."""
    engine = create_engine(locate(server, {}))
    with engine.begin() as connection:
        Table.metadata.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE IF EXISTS alembic_version")
    engine.dispose()
    return server


@pytest.fixture
def store(url):
    store = open_store(url)
    yield store
    store.close()


@pytest.fixture
def tab(store, url):  # noqa: ARG001 - the first one made the tables
    tab = open_store(url)
    yield tab
    tab.close()


def test_the_migrations_make_exactly_the_tables(store):
    with reading(store._engine, store.path) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Table.metadata) == []


def test_a_review_an_undo_a_miss_and_a_preference_are_kept(store, tab):
    tokyo = timezone(timedelta(hours=9))
    first = store.rate("q1", Rating.Good, NOW.astimezone(tokyo), "t1")
    assert store.rate("q1", Rating.Good, NOW, "t1") == first
    store.rate("q1", Rating.Easy, NOW + MINUTE, "t2")
    assert tab.undo(NOW, "u1").review.token == "t2"
    tab.answer_quiz("q1", "scale", 1, False, NOW, "a")
    tab.set_preference("language", "zh")
    tab.set_preference("language", {"now": "en"})
    assert store.memories() == {"q1": replay([(Rating.Good, NOW)]), "q1/choice/scale": replay([(Rating.Again, NOW)])}
    assert store.preference("language") == {"now": "en"}
    assert store.reviews()[0].at == NOW
    assert store.quiz_answers()[0].at == NOW


def test_threads_of_two_tabs_sending_the_same_forty_tokens_write_forty_reviews(store, tab):
    def send(to: Store) -> None:
        for n in range(40):
            to.rate(f"q{n % 4}", Rating.Good, NOW + n * MINUTE, f"t{n}")
            to.memories()

    threads = [threading.Thread(target=send, args=(to,)) for to in (store, tab, store, tab)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.reviews()) == 40
    assert store.memories() == tab.memories()
    assert sum(memory.reps for memory in store.memories().values()) == 40


def test_what_is_read_together_is_one_state_of_the_database(store, tab):
    with reading(store._engine, store.path) as connection:
        before = connection.execute(select(ReviewRow.id)).all()
        tab.rate("q1", Rating.Good, NOW, "t1")
        assert connection.execute(select(ReviewRow.id)).all() == before == []
    assert len(store.reviews()) == 1


def test_four_stores_opening_an_empty_database_at_once_all_succeed(url):
    opened: list[Store] = []
    threads = [threading.Thread(target=lambda: opened.append(open_store(url))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    for store in opened:
        store.close()


def test_a_database_of_a_newer_viva_is_refused(store, url):
    with store._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreTooNew):
        open_store(url)


def test_a_server_that_only_reads_is_read_and_refuses_to_write(store, url):
    store.rate("q1", Rating.Good, NOW, "t1")
    reader = open_store(url + "?options=-c%20default_transaction_read_only%3Don")
    assert set(reader.memories()) == {"q1"}
    with pytest.raises(StoreReadOnly):
        reader.rate("q1", Rating.Good, NOW, "t2")
    reader.close()


def test_a_table_locked_by_another_program_says_so(store, tab, monkeypatch):
    monkeypatch.setattr(database, "SECONDS_TO_WAIT_FOR_A_LOCK", 1)
    with store._engine.begin() as connection:
        connection.exec_driver_sql("LOCK TABLE reviews IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StoreLocked):
            tab.rate("q1", Rating.Good, NOW, "t1")


@pytest.mark.parametrize("wrong", ["port", "database"])
def test_a_server_that_cannot_be_reached_is_unreadable_and_the_password_hidden(server, wrong):
    url = locate(server, {})
    url = url.set(port=1) if wrong == "port" else url.set(database="nosuch")
    with pytest.raises(StoreUnreadable) as caught:
        open_store(url.render_as_string(hide_password=False))
    assert "***" in caught.value.path
    assert "secret" not in str(caught.value) + caught.value.path
