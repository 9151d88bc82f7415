"""A run as it is named on the command line: by its id, or by an ending of it that no other run has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import exits

if TYPE_CHECKING:
    from service.client import Run, Tunegate

RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="The run's id, or the end of it: six characters of one of the newest runs.")
]
RunsArgument = Annotated[list[str], typer.Argument(metavar="RUN...", help="One or more runs; each is tried.")]
BEGINNING = "run_"
ENDING = 6  # characters that are looked for, and that `watch` shows where there is no room for more
LOOKED_AT = 200  # of the newest runs: one page


def run_of(client: Tunegate, name: str) -> Run:
    """The run of that id or ending. Raises NotFound for none; ends the program where several end so."""
    if name.startswith(BEGINNING) or len(name) < ENDING:
        return client.runs.get(name)
    found = [run for run in client.runs.list(limit=LOOKED_AT) if run.id.lower().endswith(name.lower())]
    if len(found) > 1:
        typer.echo(f"{len(found)} runs end in {name}.\n  Give more of the id, or the whole of it.", err=True)
        raise typer.Exit(exits.USAGE)
    return found[0] if found else client.runs.get(name)


def goes_on(run_id: str) -> str:
    """What is told where somebody stops waiting for a run."""
    return f"{run_id} goes on: `tunegate logs -f {run_id}`, or `tunegate cancel {run_id}`."
