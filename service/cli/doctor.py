"""`tunegate doctor`: what may keep the installation from working, each finding with its remedy."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from service.cli.show import console, plain, print_json

EXIT_FAULT = 1
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
        screen.print(f"[{COLOURS[finding.outcome]}]{finding.outcome:<8}[/]{finding.check:<14}{plain(finding.message)}")
        if finding.remedy is not None:
            screen.print(f"{'':22}{plain(finding.remedy)}")
    if as_json:
        print_json({"findings": [vars(finding) for finding in findings]})
    if any(finding.outcome == "fault" for finding in findings):
        raise typer.Exit(EXIT_FAULT)
