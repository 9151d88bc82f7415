"""Ids as OpenAI's clients see them, and ours behind them: a job is its run by another prefix."""

from __future__ import annotations

from fastapi import Request

from service.api.auth import Caller
from service.domain.errors import Invalid, UnknownField
from service.doors.openai.answers import PROJECT_HEADER

RUN, JOB, RESULTS, CHECKPOINT = "run_", "ftjob-", "file-results-", "ftckpt-"


def job_id(run_id: str) -> str:
    """`run_01J…` as `ftjob-01J…`."""
    return JOB + run_id.removeprefix(RUN)


def run_id(job_id: str) -> str:
    """The run of a job; a run's own id is taken as well."""
    return RUN + job_id.removeprefix(JOB).removeprefix(RUN)


def results_id(run_id: str) -> str:
    """The file of a job's numbers."""
    return RESULTS + run_id.removeprefix(RUN)


def run_of_results(file_id: str) -> str | None:
    """The run whose numbers a file holds; None for a file that was uploaded."""
    return RUN + file_id.removeprefix(RESULTS) if file_id.startswith(RESULTS) else None


def team_of(request: Request, caller: Caller) -> str | None:
    """Whose objects a request reads: the key's team, the client's `project` for admins, or all teams' (None)."""
    project = request.headers.get(PROJECT_HEADER)
    return project if caller.team is None else caller.team_or(project)


def limit_of(request: Request, usual: int, most: int) -> int:
    """How many a page has at most. Raises Invalid."""
    given = request.query_params.get("limit", str(usual))
    if not (given.isdecimal() and len(given) < 8 and 1 <= int(given) <= most):
        raise Invalid(f"'limit' is a whole number from 1 to {most}", field="limit", remedy=f"Leave it out for {usual}.")
    return int(given)


def only(request: Request, *known: str) -> None:
    """Raise UnknownField for a parameter that the address does not take: overlooked, it would answer something else."""
    for name in request.query_params:
        if name not in known:
            told = f"Known are {', '.join(known)}." if known else "This address takes none."
            raise UnknownField(f"there is no parameter '{name}' here", field=name, remedy=told)
