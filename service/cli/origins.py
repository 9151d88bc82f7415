"""What the commands of schedules, triggers and sweeps share: how one is named, made, paused, and what it trains."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import exits
from service.cli.request_body import read_file, refusals_told
from service.cli.runs import recipe_of
from service.cli.service_call import JsonOption, connect
from service.cli.show import print_json

if TYPE_CHECKING:
    from service.client import Tunegate
    from service.client.origin_records import LastLook, LastTime, Schedule, Sweep, Trigger
    from service.client.resources import Schedules, Triggers

FileArgument = Annotated[
    str, typer.Argument(metavar="FILE", help="A YAML or JSON file with the fields of the request; - reads one.")
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Its name, or its id.")]


def fields_of(file: str, team: str | None, *needed: str) -> dict[str, Any]:
    """The fields in a file; those that are needed and not there are None, which the service refuses by their names.
    Ends the program where it cannot be read."""
    with refusals_told():
        fields = dict.fromkeys(needed) | read_file(file)
    return fields if team is None else {**fields, "team": team}


def id_of(listed: Iterable[Schedule | Trigger | Sweep], beginning: str, name: str) -> str:
    """The id of what is called so; an id, and what nothing is called, as it is. Of sweeps one that goes on is
    meant, or else the newest. Ends the program where several teams have one."""
    if name.startswith(beginning):
        return name
    found = [one for one in listed if one.name == name]
    meant = [one for one in found if not getattr(one, "is_terminal", False)] or found[:1]
    if len(meant) > 1:
        which = ", ".join(f"{one.id} of {one.team}" for one in meant)
        typer.echo(f"{len(meant)} are called {name}.\n  Give the id: {which}.", err=True)
        raise typer.Exit(exits.USAGE)
    return meant[0].id if meant else name


def came(last: LastTime | LastLook | None) -> str:
    """What came of the last time."""
    return "nothing yet" if last is None else f"{last.outcome}, {last.message or last.run_id}"


def trains(run: dict[str, Any]) -> str:
    """What a template trains, and on what."""
    return f"{recipe_of(run['recipe'])}, on {run['flavor']}"


def add_switches(app: typer.Typer, part: Callable[[Tunegate], Schedules | Triggers], beginning: str) -> None:
    """`pause`, `resume` and `remove` of what makes runs again and again."""

    @app.command()
    def pause(name: NameArgument, as_json: JsonOption = False) -> None:
        """Let it make no runs for now; what passes meanwhile is passed over."""
        with connect() as client:
            found = part(client).pause(id_of(part(client).list(), beginning, name))
        print_json(found.raw) if as_json else typer.echo("Paused: it makes no runs until it is resumed.")

    @app.command()
    def resume(name: NameArgument, as_json: JsonOption = False) -> None:
        """Let it make runs again."""
        with connect() as client:
            found = part(client).resume(id_of(part(client).list(), beginning, name))
        print_json(found.raw) if as_json else typer.echo("It makes runs again.")

    @app.command()
    def remove(name: NameArgument) -> None:
        """End it; the runs that it has made go on."""
        with connect() as client:
            part(client).remove(id_of(part(client).list(), beginning, name))
        typer.echo("Removed.")
