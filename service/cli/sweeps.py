"""`tunegate sweeps`: one training at every point of a grid, side by side."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import exits
from service.cli.origins import FileArgument, NameArgument, fields_of, id_of
from service.cli.service_call import JsonOption, TeamOption, connect, long_wait
from service.cli.show import ceiling, dollars, plain, print_json, print_list, print_table
from service.cli.sweep_table import line_of, points_of, print_sweep, values_of, whole_of

if TYPE_CHECKING:
    from service.client.origin_records import SweepTable

BEGINNING = "swp_"
LOOK_SECONDS = 2.0
KeyOption = Annotated[
    str | None,
    typer.Option("--idempotency-key", help="The same key and request: the same sweep, however often it is sent."),
]

app = typer.Typer(help="A grid of runs within one cap: list, make, show, cancel.", invoke_without_command=True)


@app.callback()
def sweeps(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="How many at most, the newest first.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Sweeps with their money and the best point of each."""
    if ctx.invoked_subcommand is not None:
        return
    with connect() as client:
        found = list(client.sweeps.list(limit=limit))
    if as_json:
        print_list(one.raw for one in found)
        return
    rows = [
        [one.id, dollars(one.cost.charged_usd), dollars(one.cost.max_cost_usd), f"{plain(one.name)}: {whole_of(one)}"]
        for one in found
    ]
    print_table(["sweep", "charged $", "of $", "name, points and the best"], rows, "There is no sweep.")


@app.command()
def make(file: FileArgument, team: TeamOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Make one: `name`, `grid` or `points`, `max_cost_usd`, and `run`, a body of POST /runs."""
    from service.client import Problem

    fields = fields_of(file, team, "name", "run", "max_cost_usd")
    with connect() as client:
        try:
            found = client.sweeps.create(idempotency_key=key, **fields)
        except Problem as problem:
            if (point := problem.raw.get("point")) is not None:
                typer.echo(f"Point {point['number']}, {values_of(point['parameters'])}:", err=True)
            raise
    if as_json:
        print_json(found.raw)
        return
    typer.echo(f"{found.id}  {len(found.points)} points  ${ceiling(found.cost.max_cost_usd)} at most together")
    most = [point.ceiling_usd for point in found.points]
    if None not in most and (whole := sum(filter(None, most))) > found.cost.max_cost_usd:
        typer.echo(f"Each at its most they would cost ${ceiling(whole)}: what does not fit waits.", err=True)


@app.command()
def show(
    name: NameArgument,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="A line for each point that moves, until all have ended; then this.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show its points side by side, its money and the best model. Followed, it ends with 1 unless one succeeded."""
    with connect() as client:
        found = client.sweeps.get(id_of(client.sweeps.list(), BEGINNING, name))
    if follow:
        found = _followed(found, as_json)
    print_json(found.raw) if as_json else print_sweep(found)
    if follow and (found.state == "cancelled" or not found.states.get("succeeded")):
        raise typer.Exit(exits.RUN_FAILED)


@app.command()
def cancel(name: NameArgument, as_json: JsonOption = False) -> None:
    """Ask all of its runs to end; it has ended once each of them has."""
    with connect() as client:
        found = client.sweeps.cancel(id_of(client.sweeps.list(), BEGINNING, name))
    print_json(found.raw) if as_json else typer.echo(f"{found.id}  {found.name}  {points_of(found)}")


def _followed(found: SweepTable, as_json: bool) -> SweepTable:
    """The sweep once it has ended. What its points do is told meanwhile, beside a document on standard error."""
    goes_on = f"{found.id} goes on: `tunegate sweeps show -f {found.id}`, or `tunegate sweeps cancel {found.id}`."
    told: dict[int, str] = {}
    try:
        with long_wait(goes_on) as patient:
            while True:
                for point in found.points:
                    if told.get(point.number) != line_of(point):
                        told[point.number] = line_of(point)
                        print(line_of(point), flush=True, file=sys.stderr if as_json else sys.stdout)
                if found.is_terminal:
                    return found
                time.sleep(LOOK_SECONDS)
                found = patient.sweeps.get(found.id)
    except KeyboardInterrupt:
        typer.echo(goes_on, err=True)
        raise
