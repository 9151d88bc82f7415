"""`tunegate claim`: an admin says that this folder now continues the installation of its database."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.serve import misconfigured, read_settings
from service.settings import Settings

EXIT_NOT_CONFIRMED = 1


def claim(
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, it is only said what would be done.")] = False,
) -> None:
    """Let this folder continue the installation that its database came from, after a move or a restore."""
    from service.leader import AlreadyRunning, FileLeader

    settings = read_settings()
    lock = FileLeader(settings.home)
    try:
        lock.start()
    except AlreadyRunning as error:
        raise misconfigured(str(error)) from None
    try:
        _claim(settings, yes)
    finally:
        lock.stop()


def _claim(settings: Settings, yes: bool) -> None:
    from sqlalchemy.exc import SQLAlchemyError

    from service.store import home
    from service.store.db import Database

    db = Database(settings.database_url)
    try:
        with db.read() as session:
            owner = home.owner(session)
    except SQLAlchemyError as error:
        raise misconfigured(f"the database cannot be used: {str(error).splitlines()[0]}") from None
    finally:
        db.close()
    beside = home.beside(settings.home)
    if owner is None or owner == beside:
        typer.echo(f"Nothing to do: the folder {settings.home} and its database agree.")
        return
    typer.echo(
        f"The database belongs to {owner}, the folder {settings.home} to {beside or 'no installation yet'}. To claim "
        f"it means that the service here takes the live jobs of {owner} for its own: it watches, charges and cancels "
        f"them. No other service may go on as {owner}."
    )
    if not yes:
        typer.echo("Nothing was changed. Say `tunegate claim --yes` to do it.")
        raise typer.Exit(EXIT_NOT_CONFIRMED)
    home.claim(settings.home, owner)
    typer.echo(f"Done: the folder {settings.home} continues {owner}.")
