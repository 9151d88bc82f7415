"""What the works of one group read alike, read once: each of sixteen runs that arrive together is judged by the same
team, the same price and the same budgets, in the same transaction.

Only works that add nothing but rows of their own share (`Database.submit`), and nobody changes what was shared: what
one of them has read is what the next one would read.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from sqlmodel import Session

T = TypeVar("T")
Reads = dict[Hashable, Any]
READS = "shared reads"


def give(session: Session, reads: Reads | None) -> None:
    """Let a work's session share these; None: it shares nothing."""
    session.info[READS] = reads


def once(session: Session, key: Hashable, read: Callable[[], T]) -> T:
    """What `read` reads, or what another work of the group has read under this key. The row is for reading alone: its
    session may be closed."""
    reads: Reads | None = session.info.get(READS)
    if reads is None:
        return read()
    if key not in reads:
        reads[key] = read()
    value: T = reads[key]
    return value
