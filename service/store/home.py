"""What lives beside the database: the keys that were made at the first start, and the installation's id."""

from __future__ import annotations

import os
import secrets
from datetime import datetime
from pathlib import Path

from sqlmodel import Session, select

from service.store.ids import new_id
from service.store.tables import Installation


class ForeignDatabase(Exception):
    """The database belongs to another installation than the folder beside it."""


def kept_secret(home: Path, name: str) -> str:
    """The secret kept in a file of its own, readable by its owner only; made at first use."""
    path = home / name
    home.mkdir(parents=True, exist_ok=True)
    try:
        # O_EXCL: of two processes that start at once, one makes the key and the other reads it.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
    return path.read_text().strip()


def installation_id(session: Session, home: Path, now: datetime) -> str:
    """The id that this installation's jobs carry as a label.

    It is kept in the database and beside it. Raises ForeignDatabase where the two differ: a copied database must not
    touch the jobs of the one that it was copied from.
    """
    path = home / "installation"
    beside = path.read_text().strip() if path.exists() else None
    row = session.exec(select(Installation)).first()
    if row is None:
        row = Installation(id=beside or new_id("ins", now), created_at=now)
        session.add(row)
    if beside is not None and beside != row.id:
        raise ForeignDatabase(f"the database belongs to {row.id}, the folder {home} to {beside}")
    if beside is None:
        home.mkdir(parents=True, exist_ok=True)
        path.write_text(row.id + "\n")
    return row.id
