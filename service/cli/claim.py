"""`tunegate claim`: an admin says that this folder now continues the installation of its database, with its key or
without."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.noted import note
from service.cli.serve import misconfigured, read_settings, refuse_missing

if TYPE_CHECKING:
    from service.settings import Settings
    from service.store.db import Database
    from service.store.home import Home
    from service.store.tables import Installation

EXIT_NOT_CONFIRMED = 1


def claim(
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, it is only said what would be done.")] = False,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="The secret key is lost: go on under the one that is here, or a new one.")
    ] = False,
) -> None:
    """Let this folder continue the installation that its database came from, after a move or a restore."""
    from service.leader import AlreadyRunning, FileLeader

    settings = read_settings()
    refuse_missing(settings)
    lock = FileLeader(settings.home)
    try:
        lock.start()
    except AlreadyRunning as error:
        raise misconfigured(str(error)) from None
    try:
        _claim(settings, yes, new_key)
    finally:
        lock.stop()


def _claim(settings: Settings, yes: bool, new_key: bool) -> None:
    from sqlalchemy.exc import SQLAlchemyError

    from service.assembly import home_of
    from service.store.db import Database
    from service.store.home import owner_of

    db = Database(settings.database_url)
    try:
        with db.read() as session:
            owner = owner_of(session)
        if owner is None:
            typer.echo("Nothing to do: the database was never used; whoever starts on it first owns it.")
        else:
            _take_over(db, owner, home_of(settings), yes, new_key)
    except SQLAlchemyError as error:
        raise misconfigured(f"the database cannot be used: {str(error).splitlines()[0]}") from None
    finally:
        db.close()


def _take_over(db: Database, owner: Installation, here: Home, yes: bool, new_key: bool) -> None:
    from service.store import home

    is_foreign = home.id_trouble(owner, here) is not None
    if is_foreign and here.installation_setting is not None:
        raise misconfigured(f"set TUNEGATE_INSTALLATION to {owner.id}, or leave it out, to continue that installation")
    key_trouble = home.key_trouble(owner, here)
    if not is_foreign and not (key_trouble and new_key):
        if key_trouble:
            raise misconfigured(key_trouble)
        typer.echo(f"Nothing to do: the folder {here.folder} and its database agree.")
        return
    if is_foreign:
        typer.echo(
            f"The database belongs to {owner.id}, the folder {here.folder} to {here.installation or 'none so far'}. To "
            f"claim it means that the service here takes the live jobs of {owner.id} for its own: it watches, charges "
            f"and cancels them. No service with another database may go on as {owner.id}."
        )
    if key_trouble and new_key:
        typer.echo(
            f"The database's secrets cannot be opened: {key_trouble}. To go on under another key means that queued "
            f"runs with secrets fail (secrets_lost), that teams' tokens and named secrets have to be set anew, that "
            f"webhook endpoints need a new secret or to be made anew, and that an Idempotency-Key from before is "
            f"answered as a conflict. Stop every process of {owner.id} first."
        )
    if not yes:
        typer.echo("Nothing was changed. Say it again with --yes to do it.")
        raise typer.Exit(EXIT_NOT_CONFIRMED)
    if is_foreign:
        home.claim(here, owner)
        note(db, "claim", installation=owner.id)
        typer.echo(f"Done: the folder {here.folder} continues {owner.id}.")
    if key_trouble and new_key:
        db.write(partial(home.replace_key, home=here))
        note(db, "claim --new-key", installation=owner.id)
        typer.echo("Done: what is sealed from now on is sealed under the key that is here.")
    elif key_trouble:
        typer.echo(f"The service does not start yet: {key_trouble}.", err=True)
