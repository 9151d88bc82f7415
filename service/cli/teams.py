"""`tunegate teams, keys`: who may do what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.service_call import JsonOption, TeamOption, connect
from service.cli.show import moment, plain, print_facts, print_json, print_list, print_table

if TYPE_CHECKING:
    from service.client import Tunegate

app = typer.Typer(help="Teams: list, create, pause, limits, archive.", invoke_without_command=True)
keys_app = typer.Typer(help="API keys: list, create, rotate, revoke.", invoke_without_command=True)

NameArgument = Annotated[str, typer.Argument(metavar="TEAM")]
KeyArgument = Annotated[str, typer.Argument(metavar="KEY_ID", help="The key's id, as the list has it.")]


@app.callback()
def teams(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Teams, those that the key may see."""
    if ctx.invoked_subcommand is not None:
        return
    with connect() as client:
        found = list(client.teams.list())
    if as_json:
        print_list(one.raw for one in found)
        return
    rows = [
        [plain(one.name), "all" if one.max_concurrent_runs is None else str(one.max_concurrent_runs),
         f"{one.weight:g}", plain(one.time_zone),
         one.archive["state"] if one.archive["state"] != "open" else "paused" if one.paused else ""]
        for one in found
    ]  # fmt: skip
    print_table(["team", "runs at once #", "weight #", "time zone", ""], rows, "There is no team yet.")


@app.command()
def create(name: NameArgument, as_json: JsonOption = False) -> None:
    """Make a team. It needs a budget before anything of it runs."""
    with connect() as client:
        found = client.teams.create(name)
    _told(
        found.raw, as_json, f"Made. `tunegate budget set {name} USD` grants it money, and `tunegate keys create` a key."
    )


@app.command()
def pause(name: NameArgument, as_json: JsonOption = False) -> None:
    """Let none of its runs start; those that have started go on."""
    with connect() as client:
        found = client.teams.pause(name)
    _told(found.raw, as_json, f"Paused: no run of {name} starts.")


@app.command()
def resume(name: NameArgument, as_json: JsonOption = False) -> None:
    """Let its runs start again."""
    with connect() as client:
        found = client.teams.resume(name)
    _told(found.raw, as_json, f"Runs of {name} start again.")


@app.command()
def limits(
    name: NameArgument,
    runs: Annotated[int | None, typer.Option(min=0, help="Runs at one time.")] = None,
    runs_per_user: Annotated[int | None, typer.Option(min=0, help="Runs at one time of each user.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show how many of its runs may go on at one time, or set it."""
    with connect() as client:
        found = client.teams.limits(name)
        wanted = {"max_concurrent_runs": runs, "max_concurrent_runs_per_user": runs_per_user}
        if changed := {key: value for key, value in wanted.items() if value is not None}:
            found = client.teams.set_limits(name, **(found.raw | changed))
    if as_json:
        print_json(found.raw)
        return
    as_text = {True: "no limit of its own"}
    print_facts([
        ("runs at once", as_text.get(found.max_concurrent_runs is None, str(found.max_concurrent_runs))),
        ("of each user", as_text.get(
            found.max_concurrent_runs_per_user is None, str(found.max_concurrent_runs_per_user))),
    ])  # fmt: skip


@app.command()
def change(
    name: NameArgument,
    weight: Annotated[float | None, typer.Option(help="Its share beside other teams'.")] = None,
    time_zone: Annotated[str | None, typer.Option(help="In which its budgets' days begin.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Change its weight or time zone."""
    fields = {"weight": weight, "time_zone": time_zone}
    with connect() as client:
        found = client.teams.change(name, **{key: value for key, value in fields.items() if value is not None})
    _told(found.raw, as_json, "Changed.")


@app.command("cancel-runs")
def cancel_runs(
    name: NameArgument,
    pause_too: Annotated[bool, typer.Option("--pause", help="Pause it, too: nothing starts afterwards.")] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Ask all of its runs to end: the kill switch."""
    if not yes:
        typer.confirm(f"Cancel every run of {name}?", abort=True, err=True)
    with connect() as client:
        found = client.teams.cancel_runs(name, pause=pause_too)
    _told(found.raw, as_json, f"{found.runs} runs are asked to end.")


@app.command()
def archive(
    name: NameArgument,
    cancel: Annotated[bool, typer.Option("--cancel", help="Cancel what is under way.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Let it take no more runs; once the last has ended, its keys end, too."""
    with connect() as client:
        found = client.teams.archive(name, runs="cancel" if cancel else "drain")
    _told(found.raw, as_json, f"{name} takes no more runs.")


@app.command()
def unarchive(name: NameArgument, as_json: JsonOption = False) -> None:
    """Let it take runs again."""
    with connect() as client:
        found = client.teams.unarchive(name)
    _told(found.raw, as_json, f"{name} takes runs again.")


@keys_app.callback()
def keys(ctx: typer.Context, team: TeamOption = None, as_json: JsonOption = False) -> None:
    """Keys of a team; of the organisation, for an admin who names none."""
    if ctx.invoked_subcommand is not None:
        return
    with connect() as client:
        found = list(client.keys.list(_owner(client, team)))
    if as_json:
        print_list(one.raw for one in found)
        return
    rows = [[one.id, plain(one.name), one.role, plain(one.user), _until(one)] for one in found]
    print_table(["key id", "name", "role", "user", "until"], rows, "There is no key yet.")


@keys_app.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What it is called.")],
    team: TeamOption = None,
    role: Annotated[str | None, typer.Option(help="lead, member or viewer; of a team's key.")] = None,
    user: Annotated[str | None, typer.Option(help="Whose it is; the name if left out.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="Only this of what the role may. Repeatable.")] = None,
    expires_at: Annotated[str | None, typer.Option(metavar="TIME", help="Such as 2027-01-01T00:00:00Z.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key. It is shown this once, alone on standard output."""
    with connect() as client:
        owner = _owner(client, team)
        found = client.keys.create(
            owner, name=name, role=role or (None if owner is None else "member"), user=user, scopes=scope,
            expires_at=expires_at,
        )  # fmt: skip
    _told_key(found, as_json)


@keys_app.command()
def rotate(
    key_id: KeyArgument,
    team: TeamOption = None,
    overlap_hours: Annotated[float | None, typer.Option(min=0, help="For how long the old one goes on.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a new key in place of one."""
    with connect() as client:
        found = client.keys.rotate(key_id, _owner(client, team), overlap_hours=overlap_hours)
    _told_key(found, as_json)


@keys_app.command()
def revoke(key_id: KeyArgument, team: TeamOption = None) -> None:
    """End a key at once."""
    with connect() as client:
        client.keys.revoke(key_id, _owner(client, team))
    typer.echo("Revoked.")


def _owner(client: Tunegate, team: str | None) -> str | None:
    """The team that is named, or the key's own; None for an admin's, who means the organisation then."""
    return team if team is not None else client.me().team


def _told_key(found: Any, as_json: bool) -> None:
    if as_json:
        print_json(found.raw)
        return
    typer.echo(f"{found.id}: {found.role} {found.user}; it is shown this once.", err=True)
    typer.echo(found.key)


def _told(raw: Any, as_json: bool, sentence: str) -> None:
    print_json(raw) if as_json else typer.echo(sentence)


def _until(key: Any) -> str:
    if key.revoked_at is not None:
        return f"revoked since {moment(key.revoked_at)}"
    return moment(key.expires_at) or "-"
