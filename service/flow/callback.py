"""The callback URL of a script's job: what is posted there is progress, as if the job had printed it.

The URL's token is derived from run and attempt under the installation's key: it is stored nowhere, differs for each
job, is good for nothing else, and is over with the job. Reports wait in the database until the step that reads logs
takes them in, as a run's progress has one writer.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from sqlmodel import Session

from service.domain.errors import NotFound, TooManyRequests
from service.domain.progress import Reader
from service.domain.progress.point import point_of
from service.domain.progress.report import check_report
from service.domain.run import RunState
from service.flow.gate import Gate
from service.flow.progress import hints_of, note
from service.store import reports, runs
from service.store.tables import Attempt, Run

SECRET = "TUNEGATE_CALLBACK_URL"
MOST_WAITING = 100
RETRY_SECONDS = 5
NO_SUCH = "no job that runs has this callback URL"


def token_of(gate: Gate, run_id: str, attempt: int) -> str:
    """What the URL of an attempt's job ends in."""
    return gate.vault.token_for(f"callback/{run_id}/{attempt}")


def secrets_for(gate: Gate, run: Run, attempt: Attempt) -> dict[str, str]:
    """A script's callback URL, where jobs reach this service. TRL's own script has no use for one."""
    if gate.public_url is None or run.recipe.get("kind") != "script":
        return {}
    token = token_of(gate, run.id, attempt.attempt)
    return {SECRET: f"{gate.public_url}/callbacks/{run.id}/{attempt.attempt}/{token}"}


def require(gate: Gate, run_id: str, attempt: int, token: str) -> None:
    """Raise NotFound where the token is not that of the attempt's job; asks no database, as strangers may call."""
    if not hmac.compare_digest(token.encode(), token_of(gate, run_id, attempt).encode()):
        raise NotFound(NO_SUCH)


def receive(session: Session, run_id: str, attempt_number: int, values: Mapping[str, object], now: datetime) -> None:
    """Keep a report. Raises NotFound once the job has ended, Invalid, and TooManyRequests."""
    run = runs.lock(session, run_id)
    attempt = None if run is None else runs.current_attempt(session, run)
    is_live = run is not None and run.state in (RunState.SUBMITTING, RunState.STARTING, RunState.RUNNING)
    if attempt is None or attempt.attempt != attempt_number or not is_live:
        raise NotFound(NO_SUCH)
    check_report(values)
    if reports.count(session, attempt) >= MOST_WAITING:
        raise TooManyRequests(
            f"{MOST_WAITING} reports of this job wait to be taken in",
            retry_seconds=RETRY_SECONDS,
            remedy="Report at most every few seconds.",
        )
    reports.add(session, attempt, values, now)


def take_in(session: Session, run: Run, attempt: Attempt) -> int:
    """Make what waits for an attempt the run's progress; how many there were."""
    found = reports.take(session, attempt)
    reader = Reader.from_json(attempt.reading, hints_of(run))
    for report in found:
        reader.report(replace(point_of(report.numbers), at=report.at))
        note(session, run, attempt, reader)
    return len(found)
