"""How Alembic runs our migrations: on the connection it is given, inside the transaction that is open there."""

from alembic import context

from grantwell_storage import metadata
from grantwell_storage.schema import VERSION_TABLE

connection = context.config.attributes.get("connection")
if connection is None:
    raise RuntimeError("Run migrations with: grantwell migrate --database-url URL")
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
