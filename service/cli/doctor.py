"""`tunegate doctor`: what may keep the installation from working, each finding with its remedy."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.show import console, plain, print_json

if TYPE_CHECKING:
    from rich.table import Table

    from service.doctor import Finding

EXIT_FAULT = 1
OUTCOME_WIDTH, CHECK_WIDTH = 7, 13
COLOURS = {"ok": "green", "warning": "yellow", "fault": "red"}


def doctor(as_json: Annotated[bool, typer.Option("--json", help="The findings as one JSON document.")] = False) -> None:
    """Check database, migrations, tokens, namespace, prices, clock, webhooks and service, from the operator's machine.

    Exit code 1 where something is at fault. It changes nothing, and may be used beside the running service.
    """
    import logging

    from service.doctor import examine

    logging.disable(logging.WARNING)  # what is found is told once, by this command
    findings, screen = [], console()
    for finding in examine(datetime.now(UTC)):
        findings.append(finding)
        if as_json:
            continue
        screen.print(_line(finding))
    if as_json:
        print_json({"findings": [vars(finding) for finding in findings]})
    if any(finding.outcome == "fault" for finding in findings):
        raise typer.Exit(EXIT_FAULT)


def _line(finding: Finding) -> Table:
    """A finding, its remedy below it."""
    from rich.table import Table

    line = Table.grid(padding=(0, 1, 0, 0))
    line.add_column(width=OUTCOME_WIDTH)
    line.add_column(width=CHECK_WIDTH)
    line.add_column(overflow="fold")
    line.add_row(f"[{COLOURS[finding.outcome]}]{finding.outcome}[/]", finding.check, plain(finding.message))
    if finding.remedy is not None:
        line.add_row("", "", f"[bold]->[/] {plain(finding.remedy)}")
    return line
