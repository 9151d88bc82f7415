"""`tunegate runs, show, explain` and what steers a run: the API's calls, one each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.named_run import RunArgument, RunsArgument, run_of
from service.cli.service_call import JsonOption, TeamOption, connect, exit_code
from service.cli.show import (
    ceiling,
    dollars,
    duration,
    moment,
    plain,
    print_facts,
    print_json,
    print_list,
    print_table,
    state,
)

if TYPE_CHECKING:
    from service.client import Run
    from service.client.run_records import Failure, Repair

CommentOption = Annotated[str | None, typer.Option(help="Why, for whoever looks at the run.")]


def runs(
    state_is: Annotated[
        list[str] | None, typer.Option("--state", help="Only runs in this state, such as failed. Repeatable.")
    ] = None,
    team: TeamOption = None,
    label: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Only with it. Repeatable.")] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="How many at most, the newest first.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List runs, the newest first."""
    with connect() as client:
        found = list(client.runs.list(state=state_is, team=team, label=label, limit=limit))
    if as_json:
        print_list(run.raw for run in found)
        return
    rows = [[run.id, state(run.state), dollars(_spent(run)), plain(run.message)] for run in found]
    print_table(["run", "state", "cost $", "what"], rows, "There are no such runs.")


def show(run_id: RunArgument, as_json: JsonOption = False) -> None:
    """Show a run: where it is, what it cost, what came of it."""
    with connect() as client:
        run = run_of(client, run_id)
    if as_json:
        print_json(run.raw)
        return
    print_run(run)


def explain(run_id: RunArgument, as_json: JsonOption = False) -> None:
    """Say why a run is where it is: every gate, and what would help."""
    with connect() as client:
        run = run_of(client, run_id)
        found = run.explain()
    if as_json:
        print_json(found.raw)
        return
    facts = [("run", found.run_id), ("state", state(found.state)), ("why", found.message and plain(found.message))]
    print_facts([*facts, *(failure_facts(run.failure) if run.failure is not None else ())])
    if found.position is not None:
        typer.echo(f"It is number {found.position} in the queue.")
    if found.earliest_start is not None:
        typer.echo(f"It starts at {moment(found.earliest_start)} at the latest, {plain(found.assumption)}.")
    rows = [["passed" if gate.passed else "[red]holds[/]", gate.gate, plain(gate.message)] for gate in found.gates]
    if rows:
        print_table(["", "gate", "what"], rows, "")
    for help_ in found.would_help:
        typer.echo(f"Would help: {help_.change}: {help_.effect}")


def cancel(
    run_ids: RunsArgument,
    as_json: JsonOption = False,
) -> None:
    """Ask runs to end; each has ended once Hugging Face says so."""
    _steer(run_ids, lambda run: run.cancel(), as_json)


def pause(run_ids: RunsArgument, as_json: JsonOption = False) -> None:
    """Hold runs: a queued one does not start, one that trains stops after its newest checkpoint."""
    _steer(run_ids, lambda run: run.pause(), as_json)


def resume(run_ids: RunsArgument, as_json: JsonOption = False) -> None:
    """Let paused runs start when their turn comes."""
    _steer(run_ids, lambda run: run.resume(), as_json)


def approve(run_ids: RunsArgument, comment: CommentOption = None, as_json: JsonOption = False) -> None:
    """Let runs through that await approval."""
    _steer(run_ids, lambda run: run.approve(comment=comment), as_json)


def refuse(run_ids: RunsArgument, comment: CommentOption = None, as_json: JsonOption = False) -> None:
    """Refuse runs that await approval: they are cancelled."""
    _steer(run_ids, lambda run: run.refuse(comment=comment), as_json)


def _steer(run_ids: list[str], act: Callable[[Run], Run], as_json: bool) -> None:
    """Each run is tried, whatever became of those before it; the exit code is the worst one."""
    from service.client import TunegateError

    done, worst = [], 0
    with connect() as client:
        for run_id in run_ids:
            try:
                run = act(run_of(client, run_id))
            except TunegateError as error:
                if len(run_ids) == 1:
                    raise
                typer.echo(f"{run_id}  {error}", err=True)
                worst = max(worst, exit_code(error))
                continue
            done.append(run)
            if not as_json:
                typer.echo(line_of(run))
    if as_json:
        print_json(done[0].raw if len(run_ids) == 1 else {"data": [run.raw for run in done]})
    if worst:
        raise typer.Exit(worst)


def line_of(run: Run) -> str:
    """A run in a line, without colours."""
    return f"{run.id}  {run.state:<10}  {run.message or ''}".rstrip()


def print_run(run: Run) -> None:
    """A run for people."""
    print_facts(_facts(run))
    if len(run.attempts) > 1:
        rows = [
            [str(one.attempt), one.flavor, dollars(one.cost_usd), plain(one.cause), plain(one.change)]
            for one in run.attempts
        ]
        print_table(["attempt #", "flavor", "cost $", "cause", "change for the next"], rows, "")


def _facts(run: Run) -> Iterator[tuple[str, str | None]]:
    yield "run", run.id
    yield "state", state(run.state) + (f" ({run.reason})" if run.reason else "")
    yield "what", plain(run.message) if run.message else None
    yield "team", f"{plain(run.team)}, by {plain(run.requested_by)}"
    yield "recipe", plain(recipe_of(run.recipe))
    yield "flavor", f"{run.flavor}, for {duration(run.timeout_seconds)} at most"
    yield "cost", _cost(run)
    if (progress := run.progress) is not None and progress.step is not None:
        loss = "" if progress.loss is None else f", loss {progress.loss:g}"
        left = "" if progress.eta_seconds is None or run.is_terminal else f", {duration(progress.eta_seconds)} to go"
        yield "progress", f"step {progress.step} of {progress.total_steps or '?'}{loss}{left}"
    yield "job", run.hub_job.url if run.hub_job else None
    for warning in run.warnings:
        yield "warning", plain(f"{warning['message']}. {warning['remedy']}")
    if (output := run.output) is not None:
        found = "verified" if output.verified else "not verified"
        yield "model", plain(f"{output.repo}@{(output.revision or 'no commit')[:12]}, {found}")
    if run.failure is not None:
        yield from failure_facts(run.failure)
    yield "created", moment(run.created_at)
    yield "started", moment(run.started_at)
    yield "finished", moment(run.finished_at)


def failure_facts(failure: Failure) -> Iterator[tuple[str, str | None]]:
    """Why it failed, and the repair with its price."""
    yield "cause", f"[red]{failure.cause}[/]: {plain(failure.message)}"
    yield "evidence", plain(failure.evidence) if failure.evidence else None
    yield "remedy", plain(failure.remedy)
    for name, repair in (("repair", failure.repair), ("rescue", failure.rescue)):
        if repair is not None:
            yield name, plain(with_price(repair))


def with_price(repair: Repair) -> str:
    """The change, which has the price of that try in it where it is known."""
    return repair.change if repair.ceiling_usd is not None else f"{repair.change}; its price is not known yet"


def recipe_of(recipe: dict[str, Any]) -> str:
    """What a recipe trains, in a few words."""
    if recipe.get("kind") == "trl_sft":
        return f"{recipe['model_name_or_path']} on {recipe.get('dataset_name')}"
    if recipe.get("kind") == "script":
        return " ".join([recipe.get("url") or "a script", *map(str, recipe.get("args") or ())])
    return str(recipe.get("kind"))


def _cost(run: Run) -> str:
    if run.cost.metered_usd is not None and run.is_terminal:
        return f"${dollars(run.cost.metered_usd)}"
    so_far = "" if run.cost.metered_usd is None else f"${dollars(run.cost.metered_usd)} so far, "
    if run.cost.ceiling_usd is None:
        return f"{so_far}not known yet"
    return f"{so_far}at most ${ceiling(run.cost.ceiling_usd)}"


def _spent(run: Run) -> float | None:
    return run.cost.metered_usd
