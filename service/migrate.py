"""Brings a database to this release's schema, with Alembic, which is loaded where there is something to do: it takes a
part of every start otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect

from service.store.engine import open_engine

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"

# Alembic's own.
VERSION_TABLE = "alembic_version"

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
            if revision != "head" or not _is_at(connection, newest()):
                from alembic import command

                command.upgrade(alembic_config(connection), revision)
            connection.commit()
    finally:
        engine.dispose()


def newest() -> str:
    """This release's revision, by the names of its files."""
    names = (path.name for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))
    return max((name.partition("_")[0] for name in names), default="")


def _is_at(connection: Connection, revision: str) -> bool:
    if not inspect(connection).has_table(VERSION_TABLE):
        return False
    at = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalars().all()  # noqa: S608
    return list(at) == [revision]


def standing(database_url: str) -> tuple[str | None, str | None]:
    """The revision that a database is at, None where it has no tables of ours, and this release's. Changes nothing."""
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    engine = open_engine(database_url)
    try:
        with engine.connect() as connection:
            at = MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()
    return at, ScriptDirectory.from_config(alembic_config()).get_current_head()


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, without a file of its own."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
