"""Brings a database to this release's schema, with Alembic."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from service.store.db import open_engine

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"

# "tune", as one number: PostgreSQL's lock under which only one process migrates.
ADVISORY_LOCK = 0x74756E65


# Whoever reads or writes a table meanwhile queues behind a change of it that waits: after so long it gives way.
LOCK_SECONDS = 10.0


def migrate(database_url: str, revision: str = "head", lock_seconds: float = LOCK_SECONDS) -> None:
    """Upgrade to `revision`, in one transaction. Two processes may call this at once: the second waits, and finds
    nothing to do. Raises SQLAlchemy's OperationalError where a table is in use for longer than that."""
    engine = open_engine(database_url, patient=True)
    try:
        with engine.connect().execution_options(is_writer=True) as connection:
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = {round(lock_seconds * 1000)}")
            command.upgrade(alembic_config(connection), revision)
            connection.commit()
    finally:
        engine.dispose()


def standing(database_url: str) -> tuple[str | None, str | None]:
    """The revision that a database is at, None where it has no tables of ours, and this release's. Changes nothing."""
    engine = open_engine(database_url)
    try:
        with engine.connect() as connection:
            at = MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()
    return at, ScriptDirectory.from_config(alembic_config()).get_current_head()


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, without a file of its own."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
