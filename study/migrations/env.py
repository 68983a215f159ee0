"""What Alembic runs. The connection, its transaction and its lock belong to the caller, see `study.migrations`."""

from alembic import context

from study.tables import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,  # SQLite alters a table by copying it
)
with context.begin_transaction():
    context.run_migrations()
