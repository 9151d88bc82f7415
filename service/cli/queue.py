"""`tunegate queue, flavors`: what waits, and on what it may run."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.service_call import JsonOption, connect
from service.cli.show import dollars, moment, plain, print_json, print_list, print_table

app = typer.Typer(help="The order in which runs would start now; pause and resume it.", invoke_without_command=True)


@app.callback()
def queue(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="How many at most.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """The order in which runs would start now, each with its reason."""
    if ctx.invoked_subcommand is not None:
        return
    with connect() as client:
        found = list(client.queue.list(limit=limit))
    if as_json:
        print_list(item.raw for item in found)
        return
    rows = [
        ["held" if item.position is None else str(item.position), item.run_id, plain(item.team), plain(item.message)]
        for item in found
    ]
    print_table(["#", "run", "team", "why it waits"], rows, "Nothing waits.")


@app.command()
def pause(as_json: JsonOption = False) -> None:
    """Let nothing start; runs are accepted and wait."""
    with connect() as client:
        found = client.queue.pause()
    print_json(found.raw) if as_json else typer.echo("Paused: nothing starts until `tunegate queue resume`.")


@app.command()
def resume(as_json: JsonOption = False) -> None:
    """Let runs start again."""
    with connect() as client:
        found = client.queue.resume()
    print_json(found.raw) if as_json else typer.echo("Runs start again.")


def flavors(as_json: JsonOption = False) -> None:
    """List Hugging Face's hardware with its prices."""
    with connect() as client:
        found = list(client.flavors.list())
    if as_json:
        print_list(one.raw for one in found)
        return
    rows = [
        [one.name, dollars(one.price_per_hour_usd), f"{one.price_per_minute_usd:.6f}", _hardware(one.hardware)]
        for one in found
    ]
    print_table(["flavor", "an hour $", "a minute $", "hardware"], rows, "No prices were read yet.")
    if found and not all(one.price_is_fresh for one in found):
        typer.echo(f"These prices are old, of {moment(found[0].price_read_at)}: runs wait until they are read anew.")


def _hardware(of: dict[str, object]) -> str:
    parts = [of.get("cpu"), of.get("ram")]
    accelerator = of.get("accelerator")
    if isinstance(accelerator, dict):
        parts.append(
            f"{accelerator.get('quantity', '')} x {accelerator.get('model', '')} {accelerator.get('vram', '')}"
        )
    return plain(", ".join(str(part).strip() for part in parts if part))
