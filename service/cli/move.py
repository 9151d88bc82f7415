"""`tunegate migrate --from`: a whole installation goes over from SQLite to PostgreSQL."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from service.cli.backup import KEPT
from service.cli.noted import note
from service.cli.serve import misconfigured

if TYPE_CHECKING:
    from sqlmodel import Session

    from service.settings import Settings
    from service.store.moving import Moved

PREFIX = "sqlite:///"
ASIDE = ".moved"


def move(source: str, settings: Settings) -> None:
    """Copy, compare, and set the old file aside, so that nobody goes on with it by mistake."""
    from sqlalchemy.exc import SQLAlchemyError

    from service.cli.rotate import LOCK
    from service.leader import AlreadyRunning, FileLeader
    from service.store.moving import NotMoved

    path = Path(source.removeprefix(PREFIX))
    if not source.startswith(PREFIX):
        raise misconfigured(f"--from takes {PREFIX}PATH, the database that is moved")
    if settings.is_sqlite:
        raise misconfigured("TUNEGATE_DATABASE_URL has to name the PostgreSQL that it goes to")
    if not path.is_file():
        raise misconfigured(f"there is no database at {path.absolute()}")
    locks = [FileLeader(path.parent), FileLeader(path.parent, LOCK)]
    try:
        for lock in locks:
            lock.start()
        moved = _move(source, path.parent, settings)
        aside = path.rename(path.with_name(path.name + ASIDE))
    except AlreadyRunning as error:
        raise misconfigured(f"{error}: stop it first") from None
    except NotMoved as error:
        raise misconfigured(f"{error}. Nothing was moved.") from None
    except SQLAlchemyError as error:
        raise misconfigured(f"{str(error).splitlines()[0]}. Nothing was moved.") from None
    except OSError as error:
        raise misconfigured(f"{error.filename}: {error.strerror or error}") from None
    finally:
        for lock in locks:
            lock.stop()
    _tell(moved, path, aside, settings)


def _move(source: str, folder: Path, settings: Settings) -> Moved:
    from service.assembly import home_of
    from service.migrate import ADVISORY_LOCK, migrate, standing
    from service.store import home
    from service.store.db import Database
    from service.store.moving import NotMoved, move_all

    at, wanted = standing(source)
    if at != wanted:
        raise NotMoved(
            f"its schema is {at or 'none'}, this release's is {wanted}: bring it there first, with "
            f"TUNEGATE_DATABASE_URL={source} tunegate migrate"
        )
    _bring_files(folder, settings)

    def check(session: Session) -> None:
        owner = home.owner_of(session)
        if owner is None:
            raise NotMoved("no service was ever started on it, so that there is nothing to move")
        here = home_of(settings)
        if (trouble := home.id_trouble(owner, here) or home.key_trouble(owner, here)) is not None:
            raise NotMoved(trouble)

    migrate(settings.database_url)
    moved = move_all(source, settings.database_url, ADVISORY_LOCK, check)
    db = Database(settings.database_url)
    try:
        note(db, "migrate --from", rows=sum(moved.rows.values()))
    finally:
        db.close()
    return moved


def _bring_files(folder: Path, settings: Settings) -> None:
    """What lies beside the database and no setting stands in for comes along. Raises NotMoved where another one is
    there."""
    from service.store.moving import NotMoved

    for name, setting in KEPT.items():
        old, new = folder / name, settings.home / name
        if getattr(settings, setting) is not None or not old.exists():
            continue
        if not new.exists():
            new.parent.mkdir(parents=True, exist_ok=True)
            new.touch(mode=0o600)
            new.write_bytes(old.read_bytes())
        elif new.read_bytes().strip() != old.read_bytes().strip():
            raise NotMoved(f"{new} is not what {old} is: it belongs to another installation. Move it away first")


def _tell(moved: Moved, path: Path, aside: Path, settings: Settings) -> None:
    from service.domain.money import dollars

    for name, rows in moved.rows.items():
        if rows:
            typer.echo(f"{name}: {rows} rows")
    ledger = ", ".join(f"{kind} {dollars(amount)}" for kind, amount in sorted(moved.ledger.items())) or "no entry"
    typer.echo(f"As many arrived of each table. The ledger is the same in each window: {ledger}.")
    kept = [name for name, setting in KEPT.items() if getattr(settings, setting) is None]
    given = [f"TUNEGATE_{setting.upper()}" for setting in KEPT.values() if getattr(settings, setting) is not None]
    if kept:
        typer.echo(f"Keep in {settings.home.absolute()}: {', '.join(kept)}.")
    if given:
        typer.echo(f"Needed as before, from the environment: {', '.join(given)}.")
    typer.echo(f"{path} is set aside as {aside.name}: never start a service on it again. Next: `tunegate serve`.")
