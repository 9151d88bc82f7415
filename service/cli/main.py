"""The command and its subcommands. Heavy imports wait until a subcommand needs them."""

from __future__ import annotations

import typer

from service.cli.claim import claim
from service.cli.demo import demo
from service.cli.diagnose import diagnose
from service.cli.rotate import rotate_secrets
from service.cli.sandbox import sandbox
from service.cli.serve import migrate, serve, step

app = typer.Typer(
    name="tunegate",
    help="A gate in front of Hugging Face Jobs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)
for command in (serve, sandbox, demo, migrate, step, claim, rotate_secrets, diagnose):
    app.command()(command)
