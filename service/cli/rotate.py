"""`tunegate rotate-secrets`: what is sealed comes under a new secret key, beside the running service."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.noted import note
from service.cli.serve import misconfigured, read_settings, refuse_missing

if TYPE_CHECKING:
    from service.settings import Settings
    from service.store.db import Database
    from service.store.home import Home
    from service.store.resealing import Counted

LOCK = "rotation.lock"
EXIT_SHUT = 1
EXIT_TOO_EARLY = 75  # EX_TEMPFAIL of sysexits.h
# A request under way when the key was made may still seal under the one before.
WAIT_SECONDS = 60
MOST_PASSES = 5

SETTING_FIRST = """TUNEGATE_SECRET_KEY holds one key: there is no other to go over to.
The steps, without a pause of the service:
  1. make a key:                       openssl rand -hex 32
  2. on every replica, restart with    TUNEGATE_SECRET_KEY=OLD,NEW   (each can open both)
  3. on every replica, restart with    TUNEGATE_SECRET_KEY=NEW,OLD   (each seals under the new one)
  4. tunegate rotate-secrets           (with NEW,OLD)
  5. tunegate rotate-secrets --forget-old, then restart every replica with TUNEGATE_SECRET_KEY=NEW
With one process, step 2 is not needed."""


def rotate_secrets(
    forget_old: Annotated[
        bool,
        typer.Option("--forget-old", help="Prove that nothing is sealed under the old key any more, and let it go."),
    ] = False,
) -> None:
    """Seal all secrets anew under a new secret key, or the first of several; the old one opens until it is forgotten.
    Safe to break off, and to repeat."""
    from service.leader import AlreadyRunning, FileLeader

    settings = read_settings()
    refuse_missing(settings)
    lock = FileLeader(settings.home, LOCK)
    try:
        lock.start()
    except AlreadyRunning as error:
        raise misconfigured(f"{error}: another rotation is under way") from None
    try:
        _rotate(settings, forget_old)
    finally:
        lock.stop()


def _rotate(settings: Settings, forget_old: bool) -> None:
    from sqlalchemy.exc import SQLAlchemyError

    from service.assembly import home_of
    from service.store import home
    from service.store.db import Database

    here = home_of(settings)
    db = Database(settings.database_url)
    try:
        with db.read() as session:
            owner = home.owner_of(session)
        if owner is None:
            typer.echo("Nothing to do: nothing was ever sealed in this database.")
            return
        if (trouble := home.id_trouble(owner, here) or home.key_trouble(owner, here)) is not None:
            raise misconfigured(trouble)
        (_forget if forget_old else _go_over)(db, here)
    except (OSError, ValueError) as error:
        raise misconfigured(str(error)) from None
    except SQLAlchemyError as error:
        raise misconfigured(f"the database cannot be used: {str(error).splitlines()[0]}") from None
    finally:
        db.close()


def _go_over(db: Database, here: Home) -> None:
    """Reseal under the first key; where a file holds one key only, a new one is made first."""
    from service.store import home

    keys = here.keys()
    if len(keys) == 1 and here.key_setting is not None:
        typer.echo(SETTING_FIRST, err=True)
        raise misconfigured("Nothing was changed.")
    if len(keys) == 1:
        home.replace_keys(here, [home.new_key(), *keys])
        typer.echo(f"A new key is the first in {here.key_file}; the old one opens until it is forgotten.")
    counted = _pass(db, here)
    note(db, "rotate-secrets", looked_at=counted.looked_at, resealed=counted.resealed)
    if here.key_setting is not None:
        typer.echo("Every replica must seal under the first key by now: restart those that do not.")
    typer.echo("In a minute or later, tunegate rotate-secrets --forget-old lets the old key go.")
    _tell_of_shut(counted)


def _forget(db: Database, here: Home) -> None:
    """Let every key go but the first, once a whole pass finds nothing under another one."""
    from service.store import home

    keys = here.keys()
    if len(keys) == 1:
        typer.echo("Nothing to do: there is one key, and no old one to forget.")
        return
    if here.key_setting is None and (age := time.time() - here.key_file.stat().st_mtime) < WAIT_SECONDS:
        wait = round(WAIT_SECONDS - age)
        typer.echo(f"Too early: a request under way may still seal under the old key. Try again in {wait} s.", err=True)
        raise typer.Exit(EXIT_TOO_EARLY)
    for _ in range(MOST_PASSES):
        counted = _pass(db, here)
        if counted.resealed == 0:
            break
    else:
        typer.echo(
            "Not forgotten: something still seals under the old key. Restart every process with the first key first.",
            err=True,
        )
        raise typer.Exit(EXIT_TOO_EARLY)
    if here.key_setting is not None:
        typer.echo(
            "Nothing is sealed under the other keys now. Leave the first one alone in TUNEGATE_SECRET_KEY, but not "
            "before every process was started with it in front: what one that was not seals from here on is lost with "
            "its key."
        )
    else:
        home.replace_keys(here, keys[:1])
        note(db, "rotate-secrets --forget-old")
        typer.echo(f"Done: nothing was sealed under it any more, and the old key is gone from {here.key_file}.")
    typer.echo("A backup made before needs the old key: keep it with the backup as long as that is kept.")
    _tell_of_shut(counted)


def _pass(db: Database, here: Home) -> Counted:
    from service.store.resealing import reseal_all

    counted = reseal_all(db, here.vault())
    typer.echo(f"{counted.looked_at} seals looked at, {counted.resealed} of them sealed anew under the first key.")
    return counted


def _tell_of_shut(counted: Counted) -> None:
    """What no key here opens stays as it is: the key that does is missing, or lost."""
    if counted.shut:
        where = ", ".join(f"{number} in {name}" for name, number in counted.shut.items())
        typer.echo(f"Seals that no key here opens, left as they are: {where}.", err=True)
        raise typer.Exit(EXIT_SHUT)
