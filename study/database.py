"""Where the learner's database is, how it is opened, and what its errors mean."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from platformdirs import user_data_dir
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from study.errors import StoreError, StoreFull, StoreLocked, StoreReadOnly, StoreUnreadable

SECONDS_TO_WAIT_FOR_A_LOCK = 5
_WRITE_LOCK = 0x76697661  # "viva": the PostgreSQL advisory lock that a write holds until it commits

_SQLITE_ERRORS: dict[int, type[StoreError]] = {
    sqlite3.SQLITE_BUSY: StoreLocked,
    sqlite3.SQLITE_LOCKED: StoreLocked,
    sqlite3.SQLITE_READONLY: StoreReadOnly,
    sqlite3.SQLITE_FULL: StoreFull,
    sqlite3.SQLITE_CANTOPEN: StoreUnreadable,
    sqlite3.SQLITE_CORRUPT: StoreUnreadable,
    sqlite3.SQLITE_IOERR: StoreUnreadable,
    sqlite3.SQLITE_NOTADB: StoreUnreadable,
    sqlite3.SQLITE_PERM: StoreUnreadable,
}
_POSTGRES_ERRORS: dict[str, type[StoreError]] = {  # by SQLSTATE, or by its class: the first two characters
    "25006": StoreReadOnly,  # read_only_sql_transaction
    "40001": StoreLocked,  # serialization_failure
    "40P01": StoreLocked,  # deadlock_detected
    "42501": StoreUnreadable,  # insufficient_privilege
    "53100": StoreFull,  # disk_full
    "55P03": StoreLocked,  # lock_not_available
    "08": StoreUnreadable,  # connection_exception
    "28": StoreUnreadable,  # invalid_authorization_specification
    "3D": StoreUnreadable,  # invalid_catalog_name
    "53": StoreUnreadable,  # insufficient_resources
    "57": StoreUnreadable,  # operator_intervention: shutting down
}


def locate(url: str | None, environ: Mapping[str, str]) -> URL:
    """The database to use: `url`, else VIVA_DATABASE_URL, else viva.db in VIVA_DATA_DIR or the user's data folder.

    Raises StoreUnreadable when the URL cannot be understood.
    """
    given = url or environ.get("VIVA_DATABASE_URL")
    if not given:
        folder = Path(environ.get("VIVA_DATA_DIR") or user_data_dir("viva", appauthor=False))
        return URL.create("sqlite", database=str(folder.expanduser().absolute() / "viva.db"))
    try:
        parsed = make_url(given)
    except ArgumentError:  # the text may hold a password: it is not repeated
        raise StoreUnreadable("VIVA_DATABASE_URL", "not a database URL such as sqlite:////folder/viva.db") from None
    return parsed.set(drivername="postgresql+psycopg") if parsed.drivername in ("postgres", "postgresql") else parsed


def shown(url: URL) -> str:
    """The place in words for the learner: the path of the file, or the URL without password and options."""
    if url.get_backend_name() == "sqlite" and url.database:
        return url.database
    return url.set(query={}).render_as_string(hide_password=True)


def connect(url: URL) -> Engine:
    """An engine on `url` that opens transactions itself and keeps what was committed through a power cut."""
    place = shown(url)
    is_sqlite = url.get_backend_name() == "sqlite"
    if is_sqlite and "timeout" not in url.query:
        url = url.update_query_dict({"timeout": str(SECONDS_TO_WAIT_FOR_A_LOCK)})  # sqlite3's busy_timeout
    try:
        if is_sqlite and "uri" not in url.query:
            Path(place).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, pool_pre_ping=not is_sqlite)
    except (OSError, ArgumentError, NoSuchModuleError, ImportError) as error:
        raise StoreUnreadable(place, str(error)) from error
    if is_sqlite:
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def read_only(url: URL) -> URL | None:
    """The same SQLite file for reading where not even SQLite's side files can be written; None when impossible.

    `immutable` skips the write-ahead log, so it is used only where there is none to lose.
    """
    if url.get_backend_name() != "sqlite" or "uri" in url.query or not url.database:
        return None
    path = Path(url.database)
    log = path.with_name(path.name + "-wal")
    try:
        if not path.is_file() or (log.exists() and log.stat().st_size):
            return None
    except OSError:  # not even the folder may be looked into
        return None
    uri = f"file:{quote(str(path.absolute()))}"
    return url.set(database=uri).update_query_dict({"mode": "ro", "immutable": "1", "uri": "true"})


@contextmanager
def reading(engine: Engine, place: str) -> Iterator[Connection]:
    """A transaction that reads one consistent state. Raises StoreError."""
    options = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
    with _translated(place), engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine, place: str) -> Iterator[Connection]:
    """A transaction that writes, one at a time over all processes; committed when the block ends. Raises StoreError.

    Writers queue from their first statement, so what a block reads stays true until it commits, and events become
    visible in the order of their ids.
    """
    options = {"viva_begin": "BEGIN IMMEDIATE"}  # see `_begin_sqlite`
    with _translated(place), engine.connect().execution_options(**options) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{SECONDS_TO_WAIT_FOR_A_LOCK}s'")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITE_LOCK})")
        yield connection


@contextmanager
def _translated(place: str) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        kind = _kind(error)
        if kind is None:
            raise
        raise kind(place, str(error.orig)) from error


def _kind(error: DBAPIError) -> type[StoreError] | None:
    """What a driver's error means; None when it is a fault of ours and should be loud."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return _SQLITE_ERRORS.get(code & 0xFF)  # the low byte is the primary result code
    state = getattr(error.orig, "sqlstate", None)
    if state:
        return _POSTGRES_ERRORS.get(state) or _POSTGRES_ERRORS.get(state[:2])
    return StoreUnreadable if error.connection_invalidated or _is_operational(error) else None


def _is_operational(error: DBAPIError) -> bool:
    """Whether the server could not be reached: psycopg then gives no SQLSTATE."""
    return type(error.orig).__name__ in ("OperationalError", "ConnectionTimeout")


def _configure_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # the driver opens no transaction behind our back; `_begin_sqlite` does
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        return
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY):
            raise  # else it stays as it is: another process is switching, or the file cannot be written


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("viva_begin", "BEGIN"))
