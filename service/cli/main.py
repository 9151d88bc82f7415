"""The command and its subcommands, by what they are about. Heavy imports wait until a subcommand needs them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Annotated

import typer

from service.cli import budget, queue, runs, schedules, submit, sweeps, teams, triggers, webhooks
from service.cli.backup import backup, restore
from service.cli.claim import claim
from service.cli.demo import demo
from service.cli.diagnose import diagnose
from service.cli.doctor import doctor
from service.cli.logs import logs
from service.cli.profile import login, logout
from service.cli.rotate import rotate_secrets
from service.cli.sandbox import sandbox
from service.cli.serve import migrate, serve, step
from service.cli.service_call import Commands
from service.cli.watch import watch

RUNS, MONEY, TEAM, SERVICE = "Runs", "Money", "Team", "Service"

app = typer.Typer(
    name="tunegate",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)


@app.callback()
def tunegate(
    url: Annotated[
        str | None, typer.Option(help="Where the service is; TUNEGATE_URL, or http://127.0.0.1:8080.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="The API key. Better in TUNEGATE_KEY, which other users of the machine do not see."),
    ] = None,
) -> None:
    """A gate in front of Hugging Face Jobs. docs/cli.md shows each command, and has the exit codes."""
    for name, value in (("TUNEGATE_URL", url), ("TUNEGATE_KEY", key)):
        if value is not None:
            os.environ[name] = value  # of this process: one place where the client looks


COMMANDS: dict[str, list[Callable[..., None]]] = {
    RUNS: [
        submit.submit, submit.estimate, runs.runs, runs.show, logs, watch, runs.explain, runs.cancel, runs.pause,
        runs.resume, submit.retry, runs.approve, runs.refuse, diagnose,
    ],
    MONEY: [budget.usage, queue.flavors],
    TEAM: [login, logout],
    SERVICE: [serve, doctor, backup, restore, migrate, step, claim, rotate_secrets, sandbox, demo],
}  # fmt: skip
GROUPS = {
    "queue": (RUNS, queue.app),
    "sweeps": (RUNS, sweeps.app),
    "schedules": (RUNS, schedules.app),
    "triggers": (RUNS, triggers.app),
    "budget": (MONEY, budget.app),
    "teams": (TEAM, teams.app),
    "keys": (TEAM, teams.keys_app),
    "webhooks": (TEAM, webhooks.app),
}
for panel, commands in COMMANDS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
for name, (panel, part) in GROUPS.items():
    app.add_typer(part, name=name, rich_help_panel=panel)
