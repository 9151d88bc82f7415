"""A copy of the database as it is at one moment, while others write to it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from sqlalchemy.exc import SQLAlchemyError

from service.store.db import Database
from service.store.home import owner_of

SQLITE = "tunegate.db"
POSTGRES = "tunegate.pgdump"


class NoBackup(Exception):
    """Why there is none, or none that can be restored; the message says what to do."""


@contextmanager
def copy_sqlite(url: str, folder: Path) -> Iterator[tuple[str, Path, str | None]]:
    """One committed state of a database that is written to meanwhile, by SQLite's own backup: its name, where it is,
    and whose it is. Raises NoBackup for a copy that is not whole."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=".tunegate-backup-") as place:  # its owner's only
        copy = Path(place) / SQLITE
        source = Path(url.removeprefix("sqlite:///")).absolute()
        try:
            with (
                closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True)) as running,
                closing(sqlite3.connect(copy)) as target,
            ):
                running.backup(target)  # in one step: a snapshot, which writers do not disturb
                target.execute("PRAGMA journal_mode=DELETE")  # one file, without a -wal beside it
                found = target.execute("PRAGMA quick_check").fetchone()[0]
                owner = target.execute("SELECT id FROM installation").fetchone()
        except sqlite3.Error as error:
            raise NoBackup(f"{source} cannot be copied: {error}") from None
        if found != "ok":
            raise NoBackup(f"{source} is damaged: {found}; an older backup is the better copy")
        yield SQLITE, copy, owner[0] if owner else None


@contextmanager
def copy_postgres(url: str, folder: Path) -> Iterator[tuple[str, Path, str | None]]:
    """The same by pg_dump, where there is one. Raises NoBackup with the command for another machine."""
    address, password = without_password(url)
    if shutil.which("pg_dump") is None:
        raise NoBackup(
            f"there is no pg_dump on this machine. Where there is one: pg_dump --format=custom --file={POSTGRES} "
            f"{address}; and keep `installation` and `secret.key` of TUNEGATE_DATA_DIR with it"
        )
    with tempfile.TemporaryDirectory(dir=folder, prefix=".tunegate-backup-") as place:
        copy = Path(place) / POSTGRES
        _call("pg_dump", "--format=custom", f"--file={copy}", f"--dbname={address}", password=password)
        yield POSTGRES, copy, _owner(url)


def restore_postgres(url: str, dump: Path) -> None:
    """Put a dump into an empty database, whole or not at all, by pg_restore. Raises NoBackup."""
    address, password = without_password(url)
    words = ("--no-owner", "--single-transaction", "--exit-on-error", f"--dbname={address}", str(dump))
    _call("pg_restore", *words, password=password)


def _call(program: str, *words: str, password: str | None) -> None:
    """The password goes by the environment: command lines are seen by everybody on the machine."""
    ran = subprocess.run(  # noqa: S603 - the operator's own address, the program as on PATH
        [program, *words],
        env={**os.environ, **({"PGPASSWORD": password} if password else {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        raise NoBackup(f"{program}: {ran.stderr.strip()}")


def _owner(url: str) -> str | None:
    """Whose a database is; None where it was never used."""
    db = Database(url)
    try:
        with db.read() as session:
            owner = owner_of(session)
            return None if owner is None else owner.id
    except SQLAlchemyError:
        return None
    finally:
        db.close()


def without_password(url: str) -> tuple[str, str | None]:
    """An address of PostgreSQL that may be shown, and the password that was in it."""
    parts = urlsplit(url)
    user = f"{parts.username}@" if parts.username else ""
    port = f":{parts.port}" if parts.port else ""
    place = parts._replace(scheme="postgresql", netloc=f"{user}{parts.hostname or ''}{port}")
    return urlunsplit(place), None if parts.password is None else unquote(parts.password)
