"""Secrets: what was drawn, and everywhere that it must not be found."""

from __future__ import annotations

import gzip
import io
import sqlite3
from collections.abc import Iterable

from service import log
from service.domain.job import LABEL_TEAM
from service.sandbox.jobs import Job
from tests.simulation.process import CONTROL_TOKEN, JOB_TOKEN, TEAM_CONTROL_TOKEN, TEAM_JOB_TOKEN
from tests.simulation.trace import demand

FAILURES = ("run_failed_in_step", "job_not_prepared", "lease_renewal_failed", "Traceback")
LOST = ("LeadLost",)


class LogTap(io.StringIO):
    """Where the service's log goes: kept until somebody empties it."""

    def taken(self) -> str:
        """All that was logged since the last time."""
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        return text


TAP = LogTap()
log.configure("DEBUG", TAP)


class Secrets:
    """The secret values of one simulation, and the log that was written in it."""

    def __init__(self) -> None:
        TAP.taken()
        self.values: list[str] = [CONTROL_TOKEN, JOB_TOKEN, TEAM_CONTROL_TOKEN, TEAM_JOB_TOKEN]
        # the team with tokens of its own, if there is one in this world
        self.own_tokens: str | None = None

    def check_log(self) -> None:
        """No secret in the lines logged since the last look; and no step failed in a way that nobody foresaw."""
        text = TAP.taken()
        for value in self.values:
            demand(value not in text, 9, f"a secret is in the log: {_line_with(value, text)}")
        for line in text.splitlines():
            # a process that was taken over drops its work, and says so
            failed = not any(word in line for word in LOST) and any(word in line for word in FAILURES)
            demand(not failed, 0, f"a step failed: {line[:3000]}")

    def check_jobs(self, jobs: Iterable[Job]) -> None:
        """None in what a job shows to everyone; the control tokens in no job at all; no owner's token in another's."""
        for job in jobs:
            shown = repr((job.spec.command, job.spec.arguments, job.spec.environment, job.labels))
            for value in self.values:
                demand(value not in shown, 9, f"a secret is in the open in job {job.id}")
            given = repr(job.spec.secrets)
            for token in (CONTROL_TOKEN, TEAM_CONTROL_TOKEN):
                demand(token not in given, 9, f"job {job.id} holds a control token")
            if (team := job.labels.get(LABEL_TEAM)) is not None:
                others = JOB_TOKEN if team == self.own_tokens else TEAM_JOB_TOKEN
                demand(others not in given, 9, f"job {job.id} of team {team} holds another owner's token")

    def check_database(self, database: sqlite3.Connection) -> None:
        """None in any row of any table, packed logs included."""
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in database.execute(f"SELECT * FROM {table}"):
                text = repr([_unpacked(value) for value in row])
                for value in self.values:
                    demand(value not in text, 9, f"a secret is in a row of {table}")


def _unpacked(value: object) -> object:
    return gzip.decompress(value) if isinstance(value, bytes) and value.startswith(b"\x1f\x8b") else value


def _line_with(word: str, text: str) -> str:
    return next((line for line in text.splitlines() if word in line), "")[:3000]
