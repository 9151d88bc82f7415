"""How runs ended, beside how their jobs did."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from service.domain.run import Reason, RunState
from service.sandbox.jobs import Job
from tests.simulation.trace import demand
from tests.simulation.witness import Seen

# A job that has done its work, whose run fails all the same: the model is not where it was promised.
UNPROVEN = {Reason.OUTPUT_MISSING, Reason.HUB_AUTH, Reason.HUB_FORBIDDEN}
LAST = (
    "SELECT run.id, attempt.hub_job_id FROM run"
    " JOIN attempt ON attempt.run_id = run.id AND attempt.attempt = run.attempt"
)


def check_endings(runs: Mapping[str, Seen], jobs: Mapping[str, Job], database: sqlite3.Connection) -> None:
    """A run's state agrees with the stage of its last job."""
    last = dict(database.execute(LAST).fetchall())
    for seen in runs.values():
        job_id = last.get(seen.id)
        job = None if job_id is None else jobs[job_id]
        demand(job is None or job.is_terminal, 8, f"{seen.id} has ended, its job {job_id} has not")
        demand(_agrees(seen, job), 8, f"{seen.id} {seen.state} ({seen.reason}), its job {_shown(job)}")


def _agrees(seen: Seen, job: Job | None) -> bool:
    is_wanted = seen.cancel_requested_at is not None
    match seen.state:
        case RunState.SUCCEEDED:
            return job is not None and job.stage == "COMPLETED"
        case RunState.CANCELLED:
            return is_wanted and (job is None or (job.stage == "CANCELED" and job.cancel_reason is None))
    if job is None:
        return seen.reason not in (Reason.JOB_VANISHED, Reason.CANCELLED_OUTSIDE)
    match job.stage:
        case "COMPLETED":
            return seen.reason in UNPROVEN
        case "DELETED":
            return seen.reason == Reason.JOB_VANISHED
        case "CANCELED" if job.cancel_reason is None:
            return seen.reason == Reason.CANCELLED_OUTSIDE and not is_wanted
    return seen.reason not in (Reason.JOB_VANISHED, Reason.CANCELLED_OUTSIDE)


def _shown(job: Job | None) -> str:
    return "was never made" if job is None else f"{job.id} is {job.stage} ({job.cancel_reason})"
