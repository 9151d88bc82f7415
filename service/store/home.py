"""What lives beside the database: the keys that were made at the first start, and the installation's id."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from datetime import datetime
from pathlib import Path

from sqlmodel import Session, select

from service.store.ids import new_id
from service.store.tables import Installation


class ForeignDatabase(Exception):
    """The database belongs to another installation than the folder beside it."""


def kept_secret(home: Path, name: str) -> str:
    """The secret kept in a file of its own, readable by its owner only; made at first use. Raises ValueError for an
    empty file: sealing under an empty key would look like sealing."""
    path = home / name
    if not path.exists():
        _write_once(path, secrets.token_urlsafe(32) + "\n")
    if not (secret := path.read_text().strip()):
        raise ValueError(f"{path} is empty: put the key back, or remove the file if nothing was ever sealed under it")
    return secret


def _write_once(path: Path, text: str) -> None:
    """Write a file whole and on disk, or leave it to another process that was first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # readable by its owner only
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    os.unlink(draft)


def installation_id(session: Session, home: Path, now: datetime) -> str:
    """The id that this installation's jobs carry as a label.

    It is kept in the database and beside it. Raises ForeignDatabase where the two differ: a copied database must not
    touch the jobs of the one that it was copied from.
    """
    kept = beside(home)
    row = session.exec(select(Installation)).first()
    if row is None:
        row = Installation(id=kept or new_id("ins", now), created_at=now)
        session.add(row)
    if kept is not None and kept != row.id:
        raise ForeignDatabase(
            f"the database belongs to {row.id}, the folder {home} to {kept}; no job was touched. If this folder now "
            f"continues {row.id}, and no other service does, say so with `tunegate claim`"
        )
    if kept is None:
        claim(home, row.id)
    return row.id


def owner(session: Session) -> str | None:
    """The id of the installation that a database belongs to; None for a database that was never used."""
    row = session.exec(select(Installation)).first()
    return None if row is None else row.id


def beside(home: Path) -> str | None:
    """The id that a folder keeps, if it keeps one."""
    path = home / "installation"
    return (path.read_text().strip() or None) if path.exists() else None


def claim(home: Path, installation: str) -> None:
    """Let a folder continue an installation: from now on its service counts that one's jobs as its own."""
    path = home / "installation"
    path.unlink(missing_ok=True)
    _write_once(path, installation + "\n")
