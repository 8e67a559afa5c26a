"""How Alembic runs here: on the connection that migrate.py gives, inside its transaction."""

from alembic import context

from headgate.ledger.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    transaction_per_migration=False,
)
context.run_migrations()
