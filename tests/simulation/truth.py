"""The sandbox's own jobs are the truth: what was started, by whom, and how it ended."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from service.domain.job import LABEL_RUN, LABEL_SUBMISSION
from service.domain.run import RunState
from service.sandbox.core import Sandbox
from service.sandbox.jobs import Job
from tests.simulation.drawing import TRIES
from tests.simulation.trace import demand


class KnownRun(Protocol):
    """What is asked of a run."""

    @property
    def state(self) -> RunState: ...


class Truth:
    """Every job that was ever accepted, also those that the sandbox has forgotten. `forgotten`: those of submissions
    that the backup which was put back does not know."""

    def __init__(self, core: Sandbox) -> None:
        self.jobs: dict[str, Job] = {}
        self.forgotten: set[str] = set()
        self._unseen: set[str] = set()
        self.of_submissions: dict[str, Job] = {}
        self._core = core
        self._last = 0
        self._of_run: dict[str, list[Job]] = defaultdict(list)
        self._ended_at: dict[str, datetime] = {}

    def look(self, runs: Mapping[str, KnownRun], now: datetime) -> None:
        """Take note of new jobs; at most one live per run, none for a run that has ended."""
        self._core.tick(now)
        self.note_jobs()
        for run_id, seen in runs.items():
            if seen.state.is_terminal:
                self._ended_at.setdefault(run_id, now)
        live: dict[str, list[str]] = defaultdict(list)
        for job in self._known():
            run_id = job.labels[LABEL_RUN]
            if not job.is_terminal:
                live[run_id].append(job.id)
            demand(run_id in runs, 3, f"job {job.id} belongs to no known run")
            ended_at = self._ended_at.get(run_id)
            demand(ended_at is None or job.created_at <= ended_at, 3, f"job {job.id} began after {run_id} had ended")
        for run_id, ids in live.items():
            demand(len(ids) == 1, 3, f"{run_id} has the live jobs {ids}")
            demand(not runs[run_id].state.is_terminal, 8, f"{run_id} has ended, and its job {ids[0]} goes on")

    def note_jobs(self) -> None:
        """New jobs: each of a submission of its own, and none for a run whose job did not end by our own cancel."""
        for job in sorted(self._core.jobs.newest_first(), key=lambda job: job.sequence):
            if job.sequence <= self._last:
                continue
            self._last = job.sequence
            self.jobs[job.id] = job
            if not is_own(job):
                continue
            submission, run_id = job.labels[LABEL_SUBMISSION], job.labels[LABEL_RUN]
            first = self.of_submissions.get(submission)
            is_first = first is None or self._is_beyond_knowing(first)
            demand(is_first, 3, f"{submission} has the jobs {first and first.id} and {job.id}")
            self.of_submissions[submission] = job
            for earlier in self._of_run[run_id]:
                demand(self._may_be_followed(earlier), 3, f"{run_id} has {_shown(earlier)}, and now {job.id} as well")
            self._of_run[run_id].append(job)

    def forget(self, database: sqlite3.Connection, runs: Mapping[str, KnownRun]) -> None:
        """A backup was put back, with these runs in it."""
        self.note_jobs()
        known = {row[0] for row in database.execute("SELECT submission FROM ledger_entry")}
        seen = {row[0] for row in database.execute("SELECT hub_job_id FROM attempt")}
        self.forgotten.update(job.id for job in self._own() if job.labels[LABEL_SUBMISSION] not in known)
        self._unseen = {job.id for job in self._own() if job.id not in seen}
        self._ended_at = {
            run_id: ended_at
            for run_id, ended_at in self._ended_at.items()
            if run_id in runs and runs[run_id].state.is_terminal
        }

    def live(self) -> list[Job]:
        """The service's jobs that go on, and their copies, oldest first."""
        return [job for job in self.jobs.values() if not job.is_terminal and LABEL_RUN in job.labels]

    def check_owners(self, database: sqlite3.Connection) -> None:
        """Each job has its attempt, and each that should not be was stopped; nobody else's was touched."""
        owned = {row[0] for row in database.execute("SELECT hub_job_id FROM attempt WHERE hub_job_id IS NOT NULL")}
        strays = {row[0]: row[1] for row in database.execute("SELECT hub_job_id, ended_at IS NOT NULL FROM stray")}
        for job in self._known():
            demand(job.id in owned or self._is_beyond_knowing(job), 3, f"job {_shown(job)} is nobody's")
        for job in self.jobs.values():
            demand(job.is_terminal, 8, f"job {_shown(job)} goes on for ever")
            demand(strays.get(job.id, True), 3, f"the stray {_shown(job)} has ended, and its row has not")
            if LABEL_RUN not in job.labels:
                demand(job.stage != "CANCELED", 3, f"job {job.id} is somebody else's, and was cancelled")

    def _own(self) -> list[Job]:
        return [job for job in self.jobs.values() if is_own(job)]

    def _known(self) -> list[Job]:
        return [job for job in self.jobs.values() if is_own(job) and job.id not in self.forgotten]

    def _may_be_followed(self, earlier: Job) -> bool:
        """By another job of its run: it ended by our own cancel, or of no fault of its own, where the run is tried so
        often."""
        if earlier.stage == "CANCELED":
            return earlier.cancel_reason is None
        if earlier.stage == "ERROR" and "infrastructure" in (earlier.message or ""):
            failed = [job for job in self._of_run[earlier.labels[LABEL_RUN]] if job.stage == "ERROR"]
            return len(failed) < int(earlier.spec.environment.get(TRIES, "1"))
        return self._is_beyond_knowing(earlier)

    def _is_beyond_knowing(self, job: Job) -> bool:
        """Vanished from Hugging Face, and unseen by the backup that was put back: nothing tells of it any more."""
        return job.stage == "DELETED" and job.id in self._unseen


def is_own(job: Job) -> bool:
    """Whether the service made it: neither somebody else nor somebody's copy of it."""
    return LABEL_RUN in job.labels and job.initiator["type"] != "duplicated-job"


def _shown(job: Job) -> str:
    return f"{job.id} ({job.stage})"
