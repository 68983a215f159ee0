"""Migrations as a specification: what they make, where they start, when they refuse."""

import re
import sqlite3
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, inspect
from sqlalchemy.exc import IntegrityError

from study.database import connect, locate, reading, writing
from study.errors import StoreTooNew, StoreUnreadable
from study.migrations import FOLDER, HEAD, revision, upgrade
from study.store import open_store
from study.tables import Table

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "viva.db"


@pytest.fixture
def fresh(path):
    open_store(f"sqlite:///{path}").close()
    engine = connect(locate(f"sqlite:///{path}", {}))
    yield engine
    engine.dispose()


def test_the_migrations_make_exactly_the_tables(fresh):
    with reading(fresh, "viva.db") as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Table.metadata) == []


def test_the_migrations_make_the_checks_of_the_tables(fresh):
    with reading(fresh, "viva.db") as connection:
        found = inspect(connection)
        for table in Table.metadata.sorted_tables:
            made = {check["name"]: check["sqltext"] for check in found.get_check_constraints(table.name)}
            checks = [one for one in table.constraints if isinstance(one, CheckConstraint)]
            assert made == {one.name: str(one.sqltext) for one in checks}


def test_an_empty_database_is_at_no_revision_and_a_new_one_at_head(path, fresh):
    with reading(fresh, "viva.db") as connection:
        assert revision(connection) == HEAD
    empty = connect(locate(f"sqlite:///{path.with_name('empty.db')}", {}))
    with reading(empty, "empty.db") as connection:
        assert revision(connection) is None
    empty.dispose()


def test_head_is_the_newest_migration_file():
    assert ScriptDirectory(str(FOLDER)).get_current_head() == HEAD


def test_upgrading_twice_changes_nothing(fresh):
    with writing(fresh, "viva.db") as connection:
        upgrade(connection, "viva.db")
        assert revision(connection) == HEAD


def test_a_percent_sign_in_the_folder_is_no_interpolation(tmp_path):
    open_store(f"sqlite:///{tmp_path / '100%' / 'viva.db'}").close()
    assert (tmp_path / "100%" / "viva.db").exists()


def test_a_database_of_a_newer_viva_is_refused_untouched(path, fresh):
    with writing(fresh, "viva.db") as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreTooNew, match=r"newer Viva.*9999") as caught:
        open_store(f"sqlite:///{path}")
    assert caught.value.path == str(path)
    assert "Viva" in caught.value.remedy.zh
    with reading(fresh, "viva.db") as connection:
        assert revision(connection) == "9999"


def test_a_table_of_another_program_is_refused(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE reviews (film TEXT)")
    connection.close()
    with pytest.raises(StoreUnreadable, match="did not make"):
        open_store(f"sqlite:///{path}")


def test_a_migration_that_fails_leaves_nothing_behind(path):
    engine = connect(locate(f"sqlite:///{path}", {}))
    with suppress(InterruptedError), writing(engine, "viva.db") as connection:
        upgrade(connection, "viva.db")
        raise InterruptedError("before the commit")
    with reading(engine, "viva.db") as connection:
        assert inspect(connection).get_table_names() == []
    engine.dispose()


def test_six_processes_starting_at_once_all_open_the_new_database(path):
    code = f"from study.store import open_store; open_store({f'sqlite:///{path}'!r}).memories()"
    command = [sys.executable, "-W", "error", "-c", code]
    starting = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) for _ in range(6)]
    ended = [(process.communicate()[1], process.returncode) for process in starting]
    assert ended == [(b"", 0)] * 6


EVENT = "INSERT INTO reviews (token, card, kind, rating, at, undoes) VALUES "


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        (EVENT + "('t', 'c', 'rating', 5, '2026-01-01', NULL)", "ck_reviews_rating"),
        (EVENT + "('t', 'c', 'rating', NULL, '2026-01-01', NULL)", "ck_reviews_kind"),
        (EVENT + "('t', 'c', 'undo', NULL, '2026-01-01', NULL)", "ck_reviews_kind"),
        (EVENT + "('t', 'c', 'guess', 1, '2026-01-01', NULL)", "ck_reviews_kind"),
        (EVENT + "('t', '', 'rating', 1, '2026-01-01', NULL)", "ck_reviews_named"),
        (EVENT + "('t', 'c', 'undo', NULL, '2026-01-01', 99)", "FOREIGN KEY"),
        (EVENT + "('t', 'c', 'rating', 1, '2026-01-01', NULL), ('t', 'd', 'rating', 1, '2026-01-01', NULL)", "token"),
    ],
)
def test_the_database_itself_refuses_a_broken_event(fresh, statement, constraint):
    with pytest.raises(IntegrityError, match=re.escape(constraint)), writing(fresh, "viva.db") as connection:
        connection.exec_driver_sql(statement)
