"""`tunegate webhooks`: who is told of what, and whether it arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import exits
from service.cli.service_call import JsonOption, TeamOption, connect
from service.cli.show import moment, plain, print_json, print_list, print_table

if TYPE_CHECKING:
    from service.client.records import Delivery

app = typer.Typer(help="Webhooks: list, add, test, deliveries, redeliver, remove.", invoke_without_command=True)

EndpointArgument = Annotated[str, typer.Argument(metavar="ENDPOINT", help="The endpoint's id.")]


@app.callback()
def webhooks(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Webhook endpoints."""
    if ctx.invoked_subcommand is not None:
        return
    with connect() as client:
        found = list(client.webhooks.list())
    if as_json:
        print_list(one.raw for one in found)
        return
    rows = [
        [one.id, one.kind, "off" if one.disabled_at else "failing" if one.failing_since else "on",
         plain(f"{one.url} ({', '.join(one.events)})")]
        for one in found
    ]  # fmt: skip
    print_table(["endpoint", "kind", "is", "address, and what it is told"], rows, "There is no endpoint.")


@app.command()
def add(
    url: Annotated[str, typer.Argument(help="Where letters go: https://…, or mailto:… for e-mail.")],
    event: Annotated[list[str] | None, typer.Option(help="Such as run.failed or budget.*. Repeatable.")] = None,
    kind: Annotated[str | None, typer.Option(help="standard, slack, discord, email …; standard if left out.")] = None,
    description: Annotated[str | None, typer.Option(help="For those who look at the list.")] = None,
    run: Annotated[str | None, typer.Option(metavar="RUN", help="Told of this run alone.")] = None,
    team: TeamOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add an endpoint. Its secret is shown this once."""
    with connect() as client:
        found = client.webhooks.create(url=url, events=event, kind=kind, description=description, run_id=run, team=team)
    if as_json:
        print_json(found.raw)
        return
    typer.echo(
        f"{found.id} is told of {', '.join(found.events)}. `tunegate webhooks test {found.id}` tries it.", err=True
    )
    if found.secret is not None:
        typer.echo("Its secret is shown this once:", err=True)
        typer.echo(found.secret)


@app.command("test")
def try_(endpoint: EndpointArgument, as_json: JsonOption = False) -> None:
    """Send a letter now, and say what came of it."""
    with connect() as client:
        found = client.webhooks.test(endpoint)
    if as_json:
        print_json(found.raw)
    else:
        typer.echo(_line(found))
    if found.state != "delivered":
        raise typer.Exit(exits.RUN_FAILED)


@app.command()
def deliveries(
    endpoint: EndpointArgument,
    state: Annotated[str | None, typer.Option(help="pending, delivered or failed.")] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="How many at most, the newest first.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List what was sent, with what came of it."""
    with connect() as client:
        found = list(client.webhooks.deliveries(endpoint, state=state, limit=limit))
    if as_json:
        print_list(one.raw for one in found)
        return
    rows = [[one.id, one.event_type, one.state, str(one.tries), plain(_outcome(one))] for one in found]
    print_table(["delivery", "event", "is", "tries #", "what came of it"], rows, "Nothing was sent yet.")


@app.command()
def redeliver(
    endpoint: EndpointArgument,
    delivery: Annotated[str | None, typer.Argument(metavar="[DELIVERY]", help="This one alone.")] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="All that did not arrive since then.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="With --since: also what arrived.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Send again: one delivery, or all since a time."""
    if (delivery is None) == (since is None):
        raise typer.BadParameter("name a delivery, or a time by --since")
    with connect() as client:
        found: Any
        if delivery is not None:
            found = client.webhooks.redeliver(endpoint, delivery)
        else:
            assert since is not None
            found = client.webhooks.redeliver_since(endpoint, since, include_delivered=everything)
    if as_json:
        print_json(found.raw)
    else:
        number = 1 if delivery is not None else found.deliveries
        typer.echo(f"{number} deliveries are on their way.")


@app.command()
def enable(endpoint: EndpointArgument, as_json: JsonOption = False) -> None:
    """Begin anew with one that was switched off."""
    with connect() as client:
        found = client.webhooks.change(endpoint, enabled=True)
    print_json(found.raw) if as_json else typer.echo("It is on.")


@app.command()
def disable(endpoint: EndpointArgument, as_json: JsonOption = False) -> None:
    """Send it nothing for now."""
    with connect() as client:
        found = client.webhooks.change(endpoint, enabled=False)
    print_json(found.raw) if as_json else typer.echo("It is off.")


@app.command("rotate-secret")
def rotate_secret(
    endpoint: EndpointArgument,
    overlap_hours: Annotated[int | None, typer.Option(min=0, help="For how long the old one signs as well.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a new secret; both sign for a while."""
    with connect() as client:
        found = client.webhooks.rotate_secret(endpoint, overlap_hours=overlap_hours)
    if as_json:
        print_json(found.raw)
        return
    typer.echo(f"The old one signs until {moment(found.rotated_until)}, too.", err=True)
    typer.echo(found.secret)


@app.command()
def remove(endpoint: EndpointArgument) -> None:
    """Remove an endpoint, and what it was still to be told."""
    with connect() as client:
        client.webhooks.remove(endpoint)
    typer.echo("Removed.")


def _line(one: Delivery) -> str:
    return f"{one.id}  {one.state}  {_outcome(one)}"


def _outcome(one: Delivery) -> str:
    if one.error is not None:
        return one.error
    if one.status is not None:
        return f"{one.status} in {one.latency_ms} ms"
    return f"next try at {moment(one.next_try_at)}" if one.next_try_at else ""
