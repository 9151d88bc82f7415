"""What the works of one group read alike, read once: each of sixteen runs that arrive together is judged by the same
team, the same price and the same budgets, in the same transaction.

Only works that add nothing but rows of their own share (`Database.submit`), and nobody changes what was shared: what
one of them has read is what the next one would read. It is read past the work's own session, so that one that asks for
nothing else needs no connection.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlmodel import Session

T = TypeVar("T")
Reads = dict[Hashable, Any]
READS = "shared reads"


def give(session: Session, reads: Reads, connection: Connection) -> None:
    """Let a work's session share these, and what is read beside them on its group's connection."""
    session.info[READS] = reads, connection


def once(session: Session, key: Hashable, read: Callable[[Session], T]) -> T:
    """What `read` reads, or what another work of the group has read under this key. The row is for reading alone: its
    session may be closed."""
    shared: tuple[Reads, Connection] | None = session.info.get(READS)
    if shared is None:
        return read(session)
    reads, connection = shared
    if key not in reads:
        with Session(connection, join_transaction_mode="rollback_only", expire_on_commit=False) as reader:
            give(reader, reads, connection)
            reads[key] = read(reader)
    value: T = reads[key]
    return value
