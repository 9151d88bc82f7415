"""How a database is opened, a file or PostgreSQL: with the settings on which durability rests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event


def open_engine(url: str, *, patient: bool = False) -> Engine:
    """An engine with this project's settings; a patient one waits for PostgreSQL as long as it takes. The values of a
    statement are in no error's text, which is logged."""
    if not url.startswith("sqlite"):
        from service.store.postgres import open_postgres  # psycopg is not loaded for a file

        return open_postgres(url, patient)
    Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    # isolation_level=None keeps Python's driver from beginning and committing by itself.
    settings = {"isolation_level": None, "check_same_thread": False, "timeout": 30}
    # As many stay open as steps look at once: to open one takes longer than most of what it is asked.
    engine = create_engine(url, connect_args=settings, hide_parameters=True, pool_size=16)
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)
    return engine


def _set_pragmas(connection: Any, _record: object) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    # A writer takes the lock at once: upgrading a read transaction later fails without waiting (SQLITE_BUSY_SNAPSHOT).
    is_writer = connection.get_execution_options().get("is_writer", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")
