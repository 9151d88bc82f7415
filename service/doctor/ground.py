"""What is on this machine: the database and its schema, whose it is, its key, the room that it has, prices in it."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from service.assembly import home_of
from service.doctor.finding import Finding
from service.leader import AlreadyRunning, FileLeader
from service.migrate import standing
from service.settings import Settings
from service.store import flavors, home
from service.store.db import Database

LITTLE_ROOM = 2**30


def findings(settings: Settings, now: datetime) -> Iterator[Finding]:
    """From the database upwards."""
    path = Path(settings.database_url.removeprefix("sqlite:///"))
    if settings.is_sqlite and not path.exists():
        yield Finding(
            "database",
            "warning",
            f"there is none at {path.absolute()} yet",
            "`tunegate serve` makes it; if there is one elsewhere, TUNEGATE_DATABASE_URL has to name it.",
        )
        return
    try:
        at, wanted = standing(settings.database_url)
    except SQLAlchemyError as error:
        yield Finding(
            "database", "fault", str(error).splitlines()[0], "Check TUNEGATE_DATABASE_URL, and that the server runs."
        )
        return
    yield Finding("database", "ok", settings.database_url.rpartition("@")[2])
    if at != wanted:
        yield Finding(
            "migrations",
            "fault",
            f"its schema is {at or 'none'}, this release's is {wanted}",
            "`tunegate migrate`, or `tunegate serve`, which does so; a newer schema needs its own release.",
        )
        return
    yield Finding("migrations", "ok", f"the schema is this release's, {wanted}")
    yield from _database(settings, now)
    yield _room(settings)
    yield _lead(settings)


def _database(settings: Settings, now: datetime) -> Iterator[Finding]:
    here, db = home_of(settings), Database(settings.database_url)
    try:
        with db.read() as session:
            owner, read_at = home.owner_of(session), flavors.last_read(session)
        if owner is not None:
            yield _belongs("installation", home.id_trouble(owner, here), f"it is {owner.id}, as the folder says")
            yield _belongs("secret key", home.key_trouble(owner, here), "it opens what is sealed in the database")
    finally:
        db.close()
    if here.key_setting is None and here.key_file.exists() and here.key_file.stat().st_mode & 0o077:
        mode = stat.filemode(here.key_file.stat().st_mode)
        yield Finding(
            "secret key", "warning", f"others may read {here.key_file} ({mode})", f"chmod 600 {here.key_file}"
        )
    if read_at is None:
        yield Finding(
            "prices", "warning", "none were read yet", "The running service reads them: runs wait until then."
        )
    elif (age := now - read_at) > flavors.MAX_PRICE_AGE:
        hours = round(age.total_seconds() / 3600)
        yield Finding("prices", "warning", f"they are {hours} hours old: runs wait", "See Hugging Face below.")
    else:
        yield Finding("prices", "ok", f"read {round(age.total_seconds() / 60)} minutes ago")


def _belongs(check: str, trouble: str | None, well: str) -> Finding:
    if trouble is None:
        return Finding(check, "ok", well)
    return Finding(check, "fault", trouble, "`tunegate claim` says what that means, and does it with --yes.")


def _room(settings: Settings) -> Finding:
    left = shutil.disk_usage(settings.home).free
    told = f"{left / 2**30:.1f} GiB are free in {settings.home}"
    if left < LITTLE_ROOM:
        return Finding("disk", "warning", told, "Make room: without any, no run is accepted.")
    return Finding("disk", "ok", told)


def _lead(settings: Settings) -> Finding:
    """Who runs the steps. On PostgreSQL the lease says so, which /readyz tells."""
    if not settings.is_sqlite:
        return Finding("steps", "ok", "the lease in the database says who runs them")
    lock = FileLeader(settings.home)
    try:
        lock.start()
    except AlreadyRunning:
        return Finding("steps", "ok", "a process runs them on this database")
    lock.stop()
    return Finding("steps", "warning", "no process runs them: nothing moves", "`tunegate serve` does.")
