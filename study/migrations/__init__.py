"""The history of the tables. `upgrade` runs at start; nobody has to know Alembic to use Viva.

A new migration: change `study/tables.py`, write `versions/000N_what.py` by hand in the form of the first one,
set `HEAD`. A test compares the tables with what the migrations make, another one `HEAD` with the newest file.
"""

from pathlib import Path
from threading import Lock

from sqlalchemy import Connection, inspect, text

from study.errors import StoreTooNew, StoreUnreadable

HEAD = "0001"
FOLDER = Path(__file__).parent
_ALEMBIC = Lock()  # alembic keeps the running migration in the module `alembic.context`: one at a time per process


def revision(connection: Connection) -> str | None:
    """The migration this database is at; None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def upgrade(connection: Connection, place: str, target: str = "head") -> None:
    """Bring the database to `target` inside the caller's transaction, which must hold the write lock.

    Raises StoreTooNew for a revision this Viva does not know and StoreUnreadable for tables that are not Viva's.
    """
    from alembic import command  # costs 0.1 s: only when there is something to do
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    current = revision(connection)
    if current is None and inspect(connection).has_table("reviews"):
        raise StoreUnreadable(place, "it holds a table `reviews` that Viva did not make")
    if current is not None and current not in known:
        raise StoreTooNew(place, f"revision {current}; the newest known here is {HEAD}")
    with _ALEMBIC:
        command.upgrade(config, target)
