"""`tunegate triggers`: runs that come with new commits on the Hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from service.cli.origins import FileArgument, NameArgument, add_switches, came, fields_of, id_of, trains
from service.cli.service_call import JsonOption, TeamOption, connect
from service.cli.show import duration, moment, plain, print_facts, print_json, print_list, print_table

if TYPE_CHECKING:
    from service.client.origin_records import NewTrigger, Trigger

BEGINNING = "trg_"

app = typer.Typer(
    help="Runs of new commits: list, make, show, rotate-secret, pause, resume, run, remove.",
    invoke_without_command=True,
)


@app.callback()
def triggers(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Triggers with their repositories, and what came of the last look at each."""
    if ctx.invoked_subcommand is not None:
        return
    with connect() as client:
        found = list(client.triggers.list())
    if as_json:
        print_list(one.raw for one in found)
        return
    rows = [[one.id, _next(one), plain(f"{one.name}, of {one.repo}: {came(one.last)}")] for one in found]
    print_table(["trigger", "next look", "name, repository, and what came of the last"], rows, "There is no trigger.")


@app.command()
def make(file: FileArgument, team: TeamOption = None, as_json: JsonOption = False) -> None:
    """Make one: `name`, `repo_type`, `repo`, and `run`, a body of POST /runs. Its secret is shown this once."""
    with connect() as client:
        found = client.triggers.create(**fields_of(file, team, "name", "run", "repo_type", "repo"))
    _tell(found, as_json)


@app.command()
def show(name: NameArgument, as_json: JsonOption = False) -> None:
    """Show which repository makes which runs, and what came of the last look at it."""
    with connect() as client:
        found = client.triggers.get(id_of(client.triggers.list(), BEGINNING, name))
    if as_json:
        print_json(found.raw)
        return
    last = found.last
    print_facts([
        ("trigger", found.id),
        ("name", plain(found.name)),
        ("team", f"{plain(found.team)}, runs of {plain(found.owner)}"),
        ("watches", plain(f"the {found.repo_type} {found.repo}")),
        ("hook", plain(found.hook)),
        ("is read", f"{duration(found.debounce_seconds)} after nothing more was told of it"),
        ("next look", _next(found)),
        ("last", plain(f"{moment(last.at)}, at {(last.revision or '-')[:12]}, {came(last)}") if last else None),
        ("trains", plain(trains(found.run))),
        ("overlap", found.overlap),
        ("budget", plain(", ".join(found.budgets)) or None),
    ])  # fmt: skip


@app.command("rotate-secret")
def rotate_secret(name: NameArgument, as_json: JsonOption = False) -> None:
    """Replace its secret; the old one is refused from now on."""
    with connect() as client:
        found = client.triggers.rotate_secret(id_of(client.triggers.list(), BEGINNING, name))
    _tell(found, as_json)


@app.command()
def run(name: NameArgument, as_json: JsonOption = False) -> None:
    """Look at its repository now: the newest commit makes a run, unless it has made one."""
    with connect() as client:
        found = client.triggers.run(id_of(client.triggers.list(), BEGINNING, name))
    print_json(found.raw) if as_json else typer.echo(f"{found.repo} is looked at now.")


add_switches(app, lambda client: client.triggers, BEGINNING)


def _tell(found: NewTrigger, as_json: bool) -> None:
    """What the Hub's webhook has to be given; the secret alone on standard output."""
    if as_json:
        print_json(found.raw)
        return
    typer.echo(f"{found.id}  {found.name}", err=True)
    typer.echo(
        f"On the Hub, a webhook for repository updates of {found.repo} has this address:\n{found.hook}", err=True
    )
    if found.hook.startswith("/"):
        typer.echo("  behind that of this service: TUNEGATE_PUBLIC_URL is not set there.", err=True)
    typer.echo("and this secret, which is shown this once:", err=True)
    typer.echo(found.secret)


def _next(found: Trigger) -> str:
    return f"paused by {plain(found.paused_by)}" if found.paused_at is not None else moment(found.looks_at) or "-"
