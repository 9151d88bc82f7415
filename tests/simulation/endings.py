"""How runs ended, beside how their jobs did."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping

from service.domain.publication import SLACK
from service.domain.run import Reason, RunState
from service.sandbox.accounts import SANDBOX
from service.sandbox.hub import Hub
from service.sandbox.jobs import Job
from tests.simulation.trace import demand
from tests.simulation.witness import Seen

# A job that has done its work, whose run fails all the same: the model is not where it was promised.
UNPROVEN = {Reason.OUTPUT_MISSING, Reason.HUB_AUTH, Reason.HUB_FORBIDDEN}
LAST = (
    "SELECT run.id, attempt.hub_job_id FROM run"
    " JOIN attempt ON attempt.run_id = run.id AND attempt.attempt = run.attempt"
    # one that was to be followed by another says nothing of how its run ended
    " WHERE coalesce(attempt.repair, 'null') = 'null'"
)


def check_endings(runs: Mapping[str, Seen], jobs: Mapping[str, Job], hub: Hub, database: sqlite3.Connection) -> None:
    """A run's state agrees with the stage of its last job, and its model is that job's work."""
    last = dict(database.execute(LAST).fetchall())
    for seen in runs.values():
        job_id = last.get(seen.id)
        job = None if job_id is None else jobs[job_id]
        demand(job is None or job.is_terminal, 8, f"{seen.id} has ended, its job {job_id} has not")
        demand(_agrees(seen, job), 8, f"{seen.id} {seen.state} ({seen.reason}), its job {_shown(job)}")
        if seen.state is RunState.SUCCEEDED and job is not None and seen.output not in (None, "null"):
            _check_output(seen, job, hub)


def _check_output(seen: Seen, job: Job, hub: Hub) -> None:
    """The model of a success is a commit that the jobs' account made while the job ran; a job that was given tokens of
    its own may have published under another name."""
    output = json.loads(seen.output or "null")
    commit = hub.repo("model", output["repo"]).commits[output["revision"]]
    brings_tokens = len(job.spec.secrets) > 1
    demand(brings_tokens or commit.author == SANDBOX.name, 8, f"{seen.id} succeeded with the commit of {commit.author}")
    if any(check["check"] == "commit" and check["outcome"] == "unknown" for check in output["checks"]):
        return  # the Hub did not list the commits, and the run says so
    ran_to = job.finished_at or commit.date
    is_timely = job.started_at is not None and job.started_at - SLACK <= commit.date <= ran_to + SLACK
    demand(is_timely, 8, f"{seen.id} succeeded with a commit of {commit.date}, its job {_shown(job)}")


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
