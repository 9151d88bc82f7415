"""How commands reach the service, and how what goes wrong there is told: a sentence and an exit code, no traceback."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from service.cli import exits, profile

if TYPE_CHECKING:
    from service.client import Tunegate, TunegateError

JsonOption = Annotated[bool, typer.Option("--json", help="Print the API's JSON.")]
# Some seconds in all: whoever sits there is told soon that nobody answers.
RETRIES = 3
TeamOption = Annotated[str | None, typer.Option(help="The team; a key of a team names it already.")]


def connect() -> Tunegate:
    """The client of the service that the command line, the environment or `login` names."""
    from service.client import Tunegate

    url, key = os.environ.get("TUNEGATE_URL"), os.environ.get("TUNEGATE_KEY")
    if (kept := profile.read()) is not None:
        url = url or kept.url
        key = key or (kept.key if url.rstrip("/") == kept.url else None)
    try:
        return Tunegate(url, key, retries=RETRIES)
    except ValueError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(exits.MISCONFIGURED) from None


class Commands(TyperGroup):
    """The command, which tells what it expected to go wrong in a sentence."""

    def invoke(self, ctx: Any) -> Any:
        """Run the subcommand."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Exit(exits.INTERRUPTED) from None
        except Exception as error:
            if "service.client.errors" not in sys.modules:
                raise
            from service.client import TunegateError

            if not isinstance(error, TunegateError):
                raise
            tell(error)
            raise typer.Exit(exit_code(error)) from None


def exit_code(error: TunegateError) -> int:
    """What a shell is told of an error."""
    from service.client import NotFound, Problem

    if isinstance(error, NotFound):
        return exits.NOT_FOUND
    return exits.REFUSED if isinstance(error, Problem) and error.status < 500 else exits.UNREACHABLE


def tell(error: TunegateError) -> None:
    """The error on standard error: each field that is wrong on a line of its own."""
    from service.client import Problem, Unauthorised

    if not isinstance(error, Problem):
        typer.echo(str(error), err=True)
        return
    typer.echo(f"{error.code}: {error.detail}", err=True)
    if error.remedy:
        typer.echo(f"  {error.remedy}", err=True)
    for one in error.errors:
        if one.get("field") != error.field:
            typer.echo(f"  {one.get('field')}: {one.get('rule')}", err=True)
    if isinstance(error, Unauthorised):
        typer.echo(
            "  TUNEGATE_KEY, or `tunegate login`, gives the key; an admin makes one with `tunegate keys create`.",
            err=True,
        )
