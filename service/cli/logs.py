"""`tunegate logs`: what a run's job has printed, and prints."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.named_run import RunArgument, goes_on, run_of
from service.cli.service_call import JsonOption, connect, long_wait
from service.cli.show import print_json, print_line


def logs(
    run_id: RunArgument,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the run has ended.")] = False,
    attempt: Annotated[int | None, typer.Option(min=1, help="Which attempt; the last one if left out.")] = None,
    tail: Annotated[int | None, typer.Option("-n", "--tail", min=1, help="Only the last lines.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only from then on, such as 2026-12-01T00:00:00Z.")
    ] = None,
    contains: Annotated[str | None, typer.Option(metavar="TEXT", help="Only lines with it, in any case.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print a run's log. With -f it goes on through cut connections and further attempts, and --json is lines."""
    with connect() as client:
        run = run_of(client, run_id)
        if follow:
            with long_wait(goes_on(run.id)) as patient:
                lines = (
                    type(run)
                    .bound(patient, run)
                    .follow_logs(attempt=attempt, tail=tail, since=since, contains=contains)
                )
                for line in lines:
                    print_line(line.raw) if as_json else print(line.line, flush=True)  # noqa: T201 - typer.echo does not flush
            return
        log = run.logs(attempt=attempt, tail=tail, since=since, contains=contains)
    if as_json:
        print_json(log.raw)
        return
    for line in log.data:
        typer.echo(line.line)
    if not log.data and log.state is None:
        typer.echo("Nothing was printed yet.", err=True)
    elif log.state in ("shortened", "dropped"):
        why = "it was too long, and its middle is gone" if log.state == "shortened" else "it was too old, and is gone"
        typer.echo(f"This is not the whole log: {why}.", err=True)
