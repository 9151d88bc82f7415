"""How commands reach the service, and how what goes wrong there is told: a sentence and an exit code, no traceback."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from service.cli import exits, profile

if TYPE_CHECKING:
    from service.client import Tunegate, TunegateError

JsonOption = Annotated[bool, typer.Option("--json", help="Print the API's JSON.")]
# Some seconds in all: whoever sits there is told soon that nobody answers.
RETRIES = 3
# Some five minutes: once there was an answer, a service that is silent is being started anew.
RETRIES_WHILE_WAITING = 50
OUTPUT_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}
TeamOption = Annotated[str | None, typer.Option(help="The team; a key of a team names it already.")]


def connect(retries: int = RETRIES) -> Tunegate:
    """The client of the service that the command line, the environment or `login` names."""
    from service.client import Tunegate

    url, key = os.environ.get("TUNEGATE_URL"), os.environ.get("TUNEGATE_KEY")
    if (kept := profile.read()) is not None:
        url = url or kept.url
        key = key or (kept.key if url.rstrip("/") == kept.url else None)
    try:
        return Tunegate(url, key, retries=retries)
    except ValueError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(exits.MISCONFIGURED) from None


def refused_file(name: object, error: OSError) -> typer.Exit:
    """The end of the program where a file that was named cannot be read: the command line is wrong."""
    typer.echo(f"{name} cannot be read: {error.strerror or error}.", err=True)
    return typer.Exit(exits.USAGE)


@contextmanager
def long_wait(goes_on: str) -> Iterator[Tunegate]:
    """A client that outlives a restart of the service, for what was asked for already. Where it gives up, whoever waits
    is told what goes on without them."""
    from service.client import ServiceFault, Unreachable

    try:
        with connect(RETRIES_WHILE_WAITING) as client:
            yield client
    except (Unreachable, ServiceFault):
        typer.echo(goes_on, err=True)
        raise


class Commands(TyperGroup):
    """The command, which tells what it expected to go wrong in a sentence."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run it; what goes wrong before a subcommand is reached is help that cannot be written."""
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            if (code := _told(error)) is None:
                raise
            sys.exit(code)

    def invoke(self, ctx: Any) -> Any:
        """Run the subcommand."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Exit(exits.INTERRUPTED) from None
        except typer.Abort as error:
            if isinstance(error.__context__, KeyboardInterrupt):  # at a question
                raise typer.Exit(exits.INTERRUPTED) from None
            raise
        except typer.TyperException as error:
            if type(error).__name__ == "NoSuchOption" and ctx.invoked_subcommand in ("submit", "estimate"):
                typer.echo("A script's own options go behind `--`: tunegate submit train.py -- --epochs 1.", err=True)
            raise
        except BrokenPipeError:
            _close_output()
            raise typer.Exit(exits.PIPE_CLOSED) from None
        except Exception as error:
            if (code := _told(error)) is None:
                raise
            raise typer.Exit(code) from None


def _told(error: Exception) -> int | None:
    """The exit code of what was expected to go wrong, once it is told of; None for anything else."""
    if "service.client.errors" in sys.modules:
        from service.client import TunegateError

        if isinstance(error, TunegateError):  # first: one of them is a TimeoutError, too
            tell(error)
            return exit_code(error)
    if not isinstance(error, OSError) or (error.filename is None and error.errno not in OUTPUT_FAULTS):
        return None
    where = error.filename or "standard output"
    typer.echo(f"{where} cannot be used: {error.strerror}.", err=True)
    if error.filename is None:
        _close_output()
    return exits.MISCONFIGURED


def _close_output() -> None:
    """What could not be written is not tried again when the program ends."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError:  # no file of the system's: a test's, or closed already
        return


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
