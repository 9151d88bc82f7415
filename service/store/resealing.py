"""What is sealed anywhere in the database is sealed anew under the first of several keys.

Every column that holds something sealed is called `sealed_…`: whatever table joins later is found by it. A few rows at
a time, each as it was read or not at all, so that a service may go on beside it; whoever breaks off begins anew and
finds most of it done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from cryptography.fernet import InvalidToken
from sqlalchemy import Column, LargeBinary, Row, Table, select, tuple_, update
from sqlalchemy.engine import CursorResult
from sqlmodel import Session, SQLModel

from service.store import organisation
from service.store.db import Database
from service.store.vault import Vault

PREFIX = "sealed_"
BATCH = 200


@dataclass
class Counted:
    """Of one pass: how many seals there are, how many were not under the first key, and, by column, how many no key
    here opens."""

    looked_at: int = 0
    resealed: int = 0
    shut: dict[str, int] = field(default_factory=dict)


def columns() -> Iterator[Column[Any]]:
    """Every column that holds something sealed."""
    for table in SQLModel.metadata.sorted_tables:
        for column in table.columns:
            if column.name.startswith(PREFIX):
                assert isinstance(column.type, LargeBinary), column
                yield column


def reseal_all(
    db: Database, vault: Vault, *, batch: int = BATCH, after_batch: Callable[[], None] = lambda: None
) -> Counted:
    """One pass over all that is sealed."""
    counted = Counted()
    for column in columns():
        last: tuple[Any, ...] | None = None
        while True:
            last, found = db.write(partial(_batch, column=column, vault=vault, last=last, limit=batch))
            _add(counted, found)
            after_batch()
            if last is None:
                break
    return counted


def _batch(
    session: Session, column: Column[Any], vault: Vault, last: tuple[Any, ...] | None, limit: int
) -> tuple[tuple[Any, ...] | None, Counted]:
    """The next rows after `last`, and where the next batch begins; None at the end."""
    organisation.lock(session)  # several rows are taken: in turn with all others who do
    rows = session.execute(_query(column, last, limit)).all()
    counted = Counted(looked_at=len(rows))
    for row in rows:
        try:
            anew = vault.resealed(bytes(row[-1]))
        except InvalidToken:
            counted.shut[_name(column)] = counted.shut.get(_name(column), 0) + 1
            continue
        if anew is not None and _replace(session, column, row, anew):
            counted.resealed += 1
    return (tuple(rows[-1][:-1]) if len(rows) == limit else None), counted


def _query(column: Column[Any], last: tuple[Any, ...] | None, limit: int) -> Any:
    keys = _keys(column)
    query = select(*keys, column).where(column.is_not(None)).order_by(*keys).limit(limit)
    return query if last is None else query.where(tuple_(*keys) > last)


def _replace(session: Session, column: Column[Any], row: Row[Any], anew: bytes) -> bool:
    """False: it was wiped or replaced meanwhile."""
    mine = [key == row[at] for at, key in enumerate(_keys(column))]
    table = column.table
    assert isinstance(table, Table)
    done = session.execute(update(table).where(*mine, column == row[-1]).values({column.name: anew}))
    assert isinstance(done, CursorResult)
    return done.rowcount == 1


def _keys(column: Column[Any]) -> list[Column[Any]]:
    table = column.table
    assert isinstance(table, Table)
    return list(table.primary_key.columns)


def _name(column: Column[Any]) -> str:
    return f"{column.table.name}.{column.name}"


def _add(counted: Counted, found: Counted) -> None:
    counted.looked_at += found.looked_at
    counted.resealed += found.resealed
    for name, number in found.shut.items():
        counted.shut[name] = counted.shut.get(name, 0) + number
