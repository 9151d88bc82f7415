"""The sandbox's own jobs are the truth: what was started, by whom, and how it ended."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from datetime import datetime

from service.domain.job import LABEL_RUN, LABEL_SUBMISSION
from service.domain.run import Reason, RunState
from service.sandbox.core import Sandbox
from service.sandbox.jobs import Job
from tests.simulation.trace import demand
from tests.simulation.witness import Seen

# A job that has done its work, whose run fails all the same: the model is not where it was promised.
UNPROVEN = {Reason.OUTPUT_MISSING, Reason.HUB_AUTH, Reason.HUB_FORBIDDEN}


class Truth:
    """Every job that was ever accepted, also those that the sandbox has forgotten."""

    def __init__(self, core: Sandbox) -> None:
        self.jobs: dict[str, Job] = {}
        self._core = core
        self._ended_at: dict[str, datetime] = {}

    def look(self, runs: dict[str, Seen], now: datetime) -> None:
        """Take note of new jobs; at most one per submission, one live per run, none for a run that has ended."""
        self._core.tick(now)
        for job in self._core.jobs.newest_first():
            if job.id not in self.jobs:
                self.jobs[job.id] = job
        for run_id, seen in runs.items():
            if seen.state.is_terminal:
                self._ended_at.setdefault(run_id, now)
        live: dict[str, list[str]] = defaultdict(list)
        submissions: dict[str, list[str]] = defaultdict(list)
        for job in self.jobs.values():
            run_id = job.labels.get(LABEL_RUN, "")
            submissions[job.labels.get(LABEL_SUBMISSION, "")].append(job.id)
            if not job.is_terminal:
                live[run_id].append(job.id)
            demand(run_id in runs, 3, f"job {job.id} belongs to no known run")
            ended_at = self._ended_at.get(run_id)
            demand(ended_at is None or job.created_at <= ended_at, 3, f"job {job.id} began after {run_id} had ended")
        for submission, ids in submissions.items():
            demand(len(ids) == 1, 3, f"{submission} has the jobs {ids}")
        for run_id, ids in live.items():
            demand(len(ids) == 1, 3, f"{run_id} has the live jobs {ids}")
            demand(not runs[run_id].state.is_terminal, 8, f"{run_id} has ended, and its job {ids[0]} goes on")

    def live(self) -> list[Job]:
        """The jobs that go on, oldest first."""
        return [job for job in self.jobs.values() if not job.is_terminal]

    def check_owners(self, database: sqlite3.Connection) -> None:
        """Each job has its attempt."""
        owned = {row[0] for row in database.execute("SELECT hub_job_id FROM attempt WHERE hub_job_id IS NOT NULL")}
        for job in self.jobs.values():
            demand(job.id in owned, 3, f"job {job.id} ({job.stage}) is nobody's")

    def check_endings(self, runs: dict[str, Seen], database: sqlite3.Connection) -> None:
        """A run's state agrees with the stage of its last job."""
        last = dict(
            database.execute(
                "SELECT run.id, attempt.hub_job_id FROM run"
                " JOIN attempt ON attempt.run_id = run.id AND attempt.attempt = run.attempt"
            ).fetchall()
        )
        for seen in runs.values():
            job_id = last.get(seen.id)
            job = None if job_id is None else self.jobs[job_id]
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
