"""`tunegate diagnose`: the failure classifier on any log, without a service."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from service.cli.service_call import refused_file

STAGES = ("SCHEDULING", "RUNNING", "COMPLETED", "CANCELED", "ERROR", "DELETED")  # Hugging Face's


def diagnose(
    logfile: Annotated[str, typer.Argument(metavar="LOGFILE", help="The log; - reads it from standard input.")],
    exit_code: Annotated[int | None, typer.Option(help="The exit code of the job's command, if known.")] = None,
    status_message: Annotated[str | None, typer.Option(help="Hugging Face's status message.")] = None,
    stage: Annotated[str | None, typer.Option(help=f"The job's stage: {', '.join(STAGES)}.")] = None,
    cancel_reason: Annotated[
        str | None, typer.Option(help="`cancelReason` of the job's JSON, e.g. NO_CREDITS.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say why a job failed, from its log: the cause, the line that shows it, what to do, whether to retry."""
    from service.domain.diagnosis import Seen
    from service.domain.diagnosis import diagnose as classify

    if stage is not None and stage.strip().upper() not in (*STAGES, "CANCELLED"):
        raise typer.BadParameter(f"{stage!r} is none of the stages {', '.join(STAGES)}", param_hint="--stage")
    lines = _text(logfile).split("\n")
    found = classify(Seen(lines, exit_code, status_message, cancel_reason, stage)).as_json()
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    typer.echo(f"{found['cause']}: {found['message']}")
    for name in ("evidence", "remedy", "retry", "confidence"):
        if found[name] is not None:
            typer.echo(f"  {name + ':':<12}{found[name]}")


def _text(logfile: str) -> str:
    """A log may hold any bytes: what is no UTF-8 is shown as such."""
    if logfile == "-":
        return sys.stdin.buffer.read().decode("utf-8", "replace")
    try:
        return Path(logfile).read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise refused_file(logfile, error) from None
