"""`tunegate schedules`: runs that come by the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from service.cli.origins import FileArgument, NameArgument, add_switches, came, fields_of, id_of, trains
from service.cli.runs import line_of
from service.cli.service_call import JsonOption, TeamOption, connect
from service.cli.show import duration, moment, plain, print_facts, print_json, print_list, print_table

if TYPE_CHECKING:
    from service.client.origin_records import Schedule

BEGINNING = "sch_"

app = typer.Typer(help="Runs by the clock: list, make, show, pause, resume, run, remove.", invoke_without_command=True)


@app.callback()
def schedules(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Schedules with their next times, and what came of the last ones."""
    if ctx.invoked_subcommand is not None:
        return
    with connect() as client:
        found = list(client.schedules.list())
    if as_json:
        print_list(one.raw for one in found)
        return
    rows = [[one.id, _next(one), plain(f"{one.name}: {came(one.last)}")] for one in found]
    print_table(["schedule", "next", "name, and what came of the last time"], rows, "There is no schedule.")


@app.command()
def make(file: FileArgument, team: TeamOption = None, as_json: JsonOption = False) -> None:
    """Make one: `name`, `cron` or `every`, and `run`, a body of POST /runs."""
    with connect() as client:
        found = client.schedules.create(**fields_of(file, team, "name", "run"))
    print_json(found.raw) if as_json else typer.echo(f"{found.id}  {found.name}  {_next(found)}")


@app.command()
def show(name: NameArgument, as_json: JsonOption = False) -> None:
    """Show when it makes which runs, and what came of the last time."""
    with connect() as client:
        found = client.schedules.get(id_of(client.schedules.list(), BEGINNING, name))
    if as_json:
        print_json(found.raw)
        return
    print_facts([
        ("schedule", found.id),
        ("name", plain(found.name)),
        ("team", f"{plain(found.team)}, runs of {plain(found.owner)}"),
        ("when", plain(_when(found))),
        ("next", ", ".join(str(moment(at)) for at in found.next_times) or _next(found)),
        ("last", plain(f"{moment(found.last.planned_at)}, {came(found.last)}") if found.last else None),
        ("trains", plain(trains(found.run))),
        ("overlap", f"{found.overlap}; after a pause of the service: {found.misfire}"),
        ("budget", plain(", ".join(found.budgets)) or None),
    ])  # fmt: skip


@app.command()
def run(name: NameArgument, as_json: JsonOption = False) -> None:
    """Make a run of it now, beside its times."""
    with connect() as client:
        found = client.schedules.run(id_of(client.schedules.list(), BEGINNING, name))
    print_json(found.raw) if as_json else typer.echo(line_of(found))


add_switches(app, lambda client: client.schedules, BEGINNING)


def _when(found: Schedule) -> str:
    return f"every {duration(found.every_seconds)}" if found.cron is None else f"{found.cron}, in {found.time_zone}"


def _next(found: Schedule) -> str:
    if found.paused_at is not None:
        return f"paused by {plain(found.paused_by)}"
    return str(moment(found.next_times[0])) if found.next_times else "-"
