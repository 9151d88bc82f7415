"""`tunegate budget, usage`: money that may be spent, and money that was."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.service_call import JsonOption, TeamOption, connect
from service.cli.show import dollars, moment, plain, print_facts, print_json, print_list, print_table

if TYPE_CHECKING:
    from service.client.records import Budget, Usage

app = typer.Typer(help="Budgets: list, show, set, grant, remove.", invoke_without_command=True)

OwnerArgument = Annotated[
    str, typer.Argument(metavar="TEAM", help="The team; `organisation` stands for what all teams spend.")
]
UserOption = Annotated[str | None, typer.Option(help="Of this user of the team alone.")]
PeriodOption = Annotated[str, typer.Option(help="day, week, month or total.")]
AmountArgument = Annotated[float, typer.Argument(metavar="USD", help="Dollars.")]


@app.callback()
def budget(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Budgets with their present windows."""
    if ctx.invoked_subcommand is not None:
        return
    with connect() as client:
        found = list(client.budgets.list())
    if as_json:
        print_list(one.raw for one in found)
        return
    rows = [
        [plain(one.name), dollars(one.remaining_usd), dollars(_of(one)), dollars(one.charged_usd),
         dollars(one.reserved_usd), "" if one.hard else "soft"]
        for one in found
    ]  # fmt: skip
    columns = ["budget", "left $", "of $", "charged $", "reserved $", ""]
    print_table(columns, rows, "There is no budget: nothing can be spent. `tunegate budget set TEAM USD` grants one.")


@app.command()
def show(
    owner: OwnerArgument, user: UserOption = None, period: PeriodOption = "month", as_json: JsonOption = False
) -> None:
    """One budget, with where its spending leads."""
    with connect() as client:
        found = client.budgets.get(_team(owner), user=user, period=period)
    print_json(found.raw) if as_json else _print(found)


@app.command("set")
def set_(
    owner: OwnerArgument,
    limit: AmountArgument,
    user: UserOption = None,
    period: PeriodOption = "month",
    soft: Annotated[bool, typer.Option("--soft", help="It only warns; nothing waits for it.")] = False,
    carry_over: Annotated[bool, typer.Option("--carry-over", help="What is left goes to the next window.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Set what may be spent in each period. A lower limit ends nothing: it stops what would start."""
    with connect() as client:
        found = client.budgets.set(
            _team(owner), limit_usd=limit, user=user, period=period, hard=not soft, carry_over=carry_over
        )
    print_json(found.raw) if as_json else _print(found)


@app.command(context_settings={"ignore_unknown_options": True})
def grant(
    owner: OwnerArgument,
    amount: AmountArgument,
    comment: Annotated[str | None, typer.Option(help="Why, for the audit log.")] = None,
    user: UserOption = None,
    period: PeriodOption = "month",
    as_json: JsonOption = False,
) -> None:
    """Add money to the present window alone; a negative amount takes back."""
    with connect() as client:
        found = client.budgets.grant(_team(owner), amount_usd=amount, comment=comment, user=user, period=period)
    print_json(found.raw) if as_json else _print(found)


@app.command()
def remove(owner: OwnerArgument, user: UserOption = None, period: PeriodOption = "month") -> None:
    """End a budget. A team without any can spend nothing."""
    with connect() as client:
        client.budgets.remove(_team(owner), user=user, period=period)
    typer.echo("Removed.")


def usage(
    group_by: Annotated[
        list[str] | None,
        typer.Option("-g", "--group-by", help="team, user, flavor, outcome, day or label:NAME. Repeatable."),
    ] = None,
    start: Annotated[str | None, typer.Option("--from", metavar="TIME", help="Such as 2026-11-01T00:00:00Z.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Up to, but not at.")] = None,
    team: TeamOption = None,
    time_zone: Annotated[str | None, typer.Option(help="In which days begin, such as Europe/Paris.")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what was spent, and what of it was good for nothing."""
    with connect() as client:
        if csv:
            sys.stdout.write(client.usage.csv(group_by=group_by, team=team, start=start, end=end, time_zone=time_zone))
            return
        found = client.usage.get(group_by=group_by, team=team, start=start, end=end, time_zone=time_zone)
    print_json(found.raw) if as_json else _print_usage(found, group_by or [])


def _print_usage(found: Usage, group_by: list[str]) -> None:
    names = [name for part in group_by for name in part.split(",")]
    rows = [
        [*(plain(group.get(name) if group.get(name) is not None else "-") for name in names),
         str(group["runs"]), str(group["minutes"]), dollars(group["metered_usd"]), dollars(group["billed_usd"])]
        for group in found.data
    ] if names else []  # fmt: skip
    total = found.total
    rows.append([
        *(["all", *[""] * (len(names) - 1)] if names else []),
        str(total.runs), str(total.minutes), dollars(total.metered_usd), dollars(total.billed_usd),
    ])  # fmt: skip
    columns = [*names, "runs #", "minutes #", "charged $", "billed $"]
    print_table([*columns, ""], [[*row, ""] for row in rows], "")
    typer.echo(f"From {moment(found.start)} to {moment(found.end)}. - is not known yet.")
    if found.waste["wasted_usd"]:
        share = found.waste["wasted_share"]
        told = "" if share is None else f", {share:.0%} of it"
        typer.echo(f"${dollars(found.waste['wasted_usd'])}{told} made no run succeed.")


def _print(found: Budget) -> None:
    print_facts([
        ("budget", plain(found.name) + ("" if found.hard else " (soft: it only warns)")),
        ("left", f"${dollars(found.remaining_usd)} of ${dollars(_of(found))}"),
        ("charged", f"${dollars(found.charged_usd)}"),
        ("reserved", f"${dollars(found.reserved_usd)}"),
        ("window", f"{moment(found.window_start)} to {moment(found.window_end)}"),
        ("at this rate", _forecast(found)),
    ])  # fmt: skip


def _forecast(found: Budget) -> str | None:
    if found.forecast.ends_at is not None:
        return f"spent by {moment(found.forecast.ends_at)}"
    by_end = found.forecast.by_window_end_usd
    return None if by_end is None else f"${dollars(by_end)} by the window's end"


def _of(found: Budget) -> float:
    """What the window has in all."""
    return found.limit_usd + found.carried_usd + found.granted_usd


def _team(owner: str) -> str | None:
    return None if owner == "organisation" else owner
