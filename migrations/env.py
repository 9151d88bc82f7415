"""Alembic's entry: runs migrations on the connection that `service.migrate` opened, in its transaction."""

from typing import Literal

from alembic import context
from sqlalchemy import Connection
from sqlmodel import AutoString, SQLModel

from migrations.append_only import add_to_draft
from service.store import tables  # noqa: F401 - registers every table
from service.store.columns import UtcDateTime, for_postgresql


def render(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Write migrations in plain SQLAlchemy: they must still run when this project's own types have moved on."""
    if kind == "type" and isinstance(item, AutoString):
        return "sa.String()"
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def run(connection: Connection) -> None:
    """Migrate over one connection. SQLite cannot alter most of a table: batch mode copies it."""
    for_postgresql(SQLModel.metadata)
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        render_item=render,
        process_revision_directives=add_to_draft,
    )
    with context.begin_transaction():
        context.run_migrations()


connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("run migrations with 'tunegate migrate'")
run(connection)
