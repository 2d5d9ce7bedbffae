"""What Alembic runs for every migration: our connection, in the transaction it is in already."""

from __future__ import annotations

from alembic import context

from dr_orchestrator.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
