"""An insert that gives way to a row that is already there: how two writers at the same instant agree on one."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, SQLModel


def insert_unless_there(session: Session, table: type[SQLModel], values: dict[str, Any]) -> None:
    """Insert, or do nothing where a unique key is taken; the caller reads the row that holds afterwards."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    session.execute(dialect.insert(table).values(**values).on_conflict_do_nothing())
