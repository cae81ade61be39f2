"""What Alembic runs: it migrates in the transaction that ``schema`` has opened."""

from alembic import context

from headgate_core.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
