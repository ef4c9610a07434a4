"""Runs the migrations on the connection, and in the transaction, that `Store.migrate` opened."""

from alembic import context

from pdp.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters most things only by copying the table
)
context.run_migrations()
