"""An insert that gives way to a row that is already there: how two writers at the same instant agree on one."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from sqlalchemy import Insert
from sqlmodel import Session, SQLModel


def insert_unless_there(session: Session, table: type[SQLModel], values: dict[str, Any]) -> bool:
    """Insert, or do nothing where a unique key is taken: False, and the caller reads the row that holds."""
    session.flush()  # what it refers to may be waiting there
    dialect = session.get_bind().dialect.name
    return session.connection().execute(_statement(table, dialect), values).rowcount == 1


@cache  # made anew, each would be compiled anew
def _statement(table: type[SQLModel], dialect: str) -> Insert:
    module: Any = import_module(f"sqlalchemy.dialects.{dialect}")  # the other one is not loaded
    return module.insert(table.__table__).on_conflict_do_nothing()  # type: ignore[attr-defined, no-any-return]
