"""What of the Hub is not served here: each is refused by its name, with where it is to be had. Nothing is passed on."""

from __future__ import annotations

import re

from fastapi import APIRouter, Request
from fastapi.responses import Response

from service.domain.errors import NotFound, ServiceError

router = APIRouter(include_in_schema=False)
ANY = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
JOB = re.compile(r"/api/jobs/[^/]+/(?P<run>[^/]+)/(?P<what>[^/]+)")

UPLOAD = (
    "the client would upload a file of your machine into a bucket of the Hub, and Tunegate keeps none",
    "Give the same command to Tunegate, which sends the script with the run: tunegate submit -- hf jobs uv run … "
    "A script at an address needs no upload: hf jobs run ghcr.io/astral-sh/uv:python3.12-bookworm uv run https://…",
)
SCHEDULED = (
    "what Hugging Face calls scheduled jobs are schedules here",
    "POST /schedules makes one: docs/schedules.md.",
)
HUB = (
    "Tunegate serves Hugging Face's Jobs API and passes no other request on to the Hub",
    "Set HF_ENDPOINT for the commands about jobs alone; without it, the others reach the Hub.",
)
# By the last part of a job's address.
OF_A_JOB = {
    "duplicate": ("a run is submitted anew by Tunegate's own command", "Type: tunegate retry {run}"),
    "labels": (
        "labels are given to a job as it is started",
        'Those of a run that still waits are changed by PATCH /runs/{run}, with {{"labels": {{…}}}}.',
    ),
    "expose": ("jobs that were started through Tunegate are not reached from outside", "Leave it out."),
    "metrics": (
        "what a job's machine does is read by Tunegate, and told of the run",
        "GET /runs/{run} has its peaks in `attempts[].machine`; tunegate watch {run} shows step, loss and cost.",
    ),
    "events": ("a run's events have a stream of their own", "GET /runs/{run}/events streams them."),
}


class NotServed(ServiceError):
    """A call of the Hub's that has no answer here."""

    status, code, title = 501, "not_served", "This is not served here"


@router.get("/api/agent-harnesses")
def harnesses() -> Response:
    """Every command asks for this, and is content without."""
    raise NotFound("there is no list of agent harnesses here")


@router.api_route("/api/{path:path}", methods=ANY)
def anything(path: str, request: Request) -> Response:
    """What is below the Hub's addresses, and no job's."""
    first = path.partition("/")[0]
    if first == "jobs":
        raise _of_a_job(request.url.path)
    told = {"buckets": UPLOAD, "scheduled-jobs": SCHEDULED}.get(first, HUB)
    raise NotServed(told[0], remedy=told[1])


@router.api_route("/{repo:path}/resolve/{path:path}", methods=ANY)
def a_file(repo: str, path: str) -> Response:  # noqa: ARG001
    """A file of a repository."""
    raise NotServed(HUB[0], remedy=HUB[1])


def _of_a_job(path: str) -> NotServed:
    found = JOB.fullmatch(path)
    known = None if found is None else OF_A_JOB.get(found["what"])
    if found is None or known is None:
        return NotServed(
            "there is no such call of the Jobs API here", remedy="GET /openapi.json describes all that Tunegate does."
        )
    return NotServed(known[0], remedy=known[1].format(run=found["run"]))
