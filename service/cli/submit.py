"""`tunegate submit, estimate, retry`: what makes runs, and what they would cost."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import exits
from service.cli.named_run import RunArgument, goes_on, run_of
from service.cli.request_body import (
    ArgOption,
    DatasetOption,
    EnvOption,
    FlavorOption,
    LabelOption,
    MaxCostOption,
    ModelOption,
    OutputOption,
    PythonOption,
    SecretOption,
    SetOption,
    TimeoutOption,
    WithOption,
    WordsArgument,
    body_of,
    put,
    refusals_told,
    secrets_of,
    shown,
)
from service.cli.runs import failure_facts, line_of, print_run, with_price
from service.cli.service_call import JsonOption, TeamOption, connect, long_wait
from service.cli.show import ceiling, dollars, plain, print_facts, print_json, print_table

if TYPE_CHECKING:
    from service.client import Run
    from service.client.answers import Estimate

WaitOption = Annotated[bool, typer.Option("--wait", help="Wait for its end; exit code 1 unless it succeeded.")]
FollowOption = Annotated[bool, typer.Option("-f", "--follow", help="Print its log until its end, then as --wait.")]


def submit(
    words: WordsArgument = None,
    model: ModelOption = None,
    dataset: DatasetOption = None,
    arg: ArgOption = None,
    flavor: FlavorOption = None,
    timeout: TimeoutOption = None,
    max_cost: MaxCostOption = None,
    output: OutputOption = None,
    env: EnvOption = None,
    secret: SecretOption = None,
    label: LabelOption = None,
    with_: WithOption = None,
    python: PythonOption = None,
    fields: SetOption = None,
    team: TeamOption = None,
    priority: Annotated[int | None, typer.Option(min=0, max=100, help="Higher starts first, within the team.")] = None,
    after: Annotated[
        list[str] | None, typer.Option(metavar="RUN", help="Start once this run has succeeded. Repeatable.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--idempotency-key", help="The same key and request: the same run, however often it is sent."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the request as JSON and send nothing.")] = False,
    wait: WaitOption = False,
    follow: FollowOption = False,
    as_json: JsonOption = False,
) -> None:
    """Submit a run: from options, a file, a script, or a pasted `hf jobs uv run` command.

    tunegate submit -- hf jobs uv run --flavor a10g-large --timeout 2h train.py
    """
    pasted = body_of(
        words or (), model=model, dataset=dataset, args=arg, env=env, secrets=secret, labels=label, packages=with_,
        python=python, fields=fields, flavor=flavor, timeout=timeout, max_cost_usd=max_cost, output_repo=output,
        team=team, priority=priority, after=after,
    )  # fmt: skip
    for note in pasted.notes:
        typer.echo(f"note: {note}", err=True)
    if dry_run or pasted.is_dry:
        print_json(shown(pasted.body))
        return
    with connect() as client:
        fields_of_run: dict[str, Any] = {"flavor": None, **pasted.body}
        if fields_of_run["flavor"] is None:
            typer.echo(
                "No flavor is named.\n  Add --flavor, such as a10g-large; `tunegate flavors` lists them.", err=True
            )
            raise typer.Exit(exits.USAGE)
        run = client.runs.submit(idempotency_key=key, **fields_of_run)
        if ignored := (run.recipe.get("header") or {}).get("ignored"):
            wanted = ", ".join(ignored)
            typer.echo(f"note: the script's [tool.hf-jobs] has no say in {wanted}: options of `submit` have.", err=True)
        _told(run, wait, follow, as_json)


def estimate(
    words: WordsArgument = None,
    model: ModelOption = None,
    dataset: DatasetOption = None,
    arg: ArgOption = None,
    flavor: FlavorOption = None,
    timeout: TimeoutOption = None,
    max_cost: MaxCostOption = None,
    output: OutputOption = None,
    fields: SetOption = None,
    team: TeamOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a run would need and cost on each flavor. Nothing is stored."""
    pasted = body_of(
        words or (), model=model, dataset=dataset, args=arg, fields=fields, flavor=flavor, timeout=timeout,
        max_cost_usd=max_cost, output_repo=output,
    )  # fmt: skip
    with connect() as client:
        found = client.runs.estimate(team=team, **pasted.body)
    if as_json:
        print_json(found.raw)
        return
    print_estimate(found)


def print_estimate(found: Estimate) -> None:
    """An estimate for people; flavors on which it does not fit are counted only."""
    shown = [one for one in found.flavors if one.verdict != "does_not_fit"]
    rows = []
    for one in shown:
        minutes, cost = one.minutes or {}, one.cost_usd or {}
        rows.append([
            one.flavor, one.verdict, "-" if one.vram_gib is None else f"{one.vram_gib:.1f}",
            _range(minutes, "{:.0f}"), dollars(cost.get("p50")), dollars(cost.get("p90")), ceiling(cost.get("ceiling")),
        ])  # fmt: skip
    columns = ["flavor", "fits", "VRAM GiB #", "minutes #", "likely $", "of 10, 9 below $", "at most $"]
    print_table([*columns, ""], [[*row, ""] for row in rows], "It fits no flavor.")
    if len(shown) < len(found.flavors):
        typer.echo(f"It does not fit {len(found.flavors) - len(shown)} more.")
    if found.choice.get("reason"):
        typer.echo(f"auto: {found.choice['reason']}")
    for warning in found.warnings:
        typer.echo(f"warning: {warning}")


def retry(
    run_id: RunArgument,
    with_remedy: Annotated[
        bool, typer.Option("--with-remedy", help="With the change that the failure offers; its price is told first.")
    ] = False,
    fields: SetOption = None,
    secret: SecretOption = None,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    wait: WaitOption = False,
    follow: FollowOption = False,
    as_json: JsonOption = False,
) -> None:
    """Submit a run that has ended anew: unchanged, with changes, or with the remedy that its failure offers."""
    with refusals_told():
        overrides, secrets = put({}, fields or ()), secrets_of(secret or ())
    with connect() as client:
        run = run_of(client, run_id)
        if with_remedy:
            _tell_remedy(run, yes, changed=sorted(overrides))
        _told(
            run.retry(with_remedy=with_remedy, overrides=overrides or None, secrets=secrets or None),
            wait,
            follow,
            as_json,
        )


def _tell_remedy(run: Run, yes: bool, changed: list[str]) -> None:
    """The change and its price, before it is bought."""
    if run.failure is None or run.failure.repair is None:
        why = f"{run.id} is {run.state}" if run.failure is None else run.failure.not_repaired or run.failure.remedy
        typer.echo(f"No remedy is offered that could be tried: {why}", err=True)
        raise typer.Exit(exits.REFUSED)
    repair = run.failure.repair
    typer.echo(f"{run.failure.cause}: {with_price(repair)}", err=True)
    for setting in repair.settings:
        typer.echo(f"  {setting.field}: {setting.before} -> {setting.after}", err=True)
    if changed:
        typer.echo(f"  The price is that of the remedy alone, before your --set of {', '.join(changed)}.", err=True)
    if not yes and sys.stdin.isatty():
        typer.confirm("Submit it?", abort=True, err=True)


def _told(run: Run, wait: bool, follow: bool, as_json: bool) -> None:
    """What is told of a run that was made, now or at its end."""
    if not (wait or follow):
        print_json(run.raw) if as_json else typer.echo(line_of(run))
        return
    typer.echo(line_of(run), err=True)
    try:
        with long_wait(goes_on(run.id)) as patient:
            run = type(run).bound(patient, run)
            for line in run.follow_logs() if follow else ():
                print(line.line, flush=True, file=sys.stderr if as_json else sys.stdout)
            run.wait()
    except KeyboardInterrupt:
        typer.echo(goes_on(run.id), err=True)
        raise
    if as_json:
        print_json(run.raw)
    elif follow:
        print_facts(_ending(run))
    else:
        print_run(run)
    if run.state != "succeeded":
        raise typer.Exit(exits.RUN_FAILED)


def _ending(run: Run) -> Iterator[tuple[str, str | None]]:
    yield run.state, plain(run.message)
    if run.failure is not None:
        yield from failure_facts(run.failure)


def _range(found: dict[str, float], form: str) -> str:
    return f"{form.format(found['p50'])} to {form.format(found['p90'])}" if found else "-"
