"""Jobs as they are listed, inspected and cancelled: those runs that the caller's key sees."""

from __future__ import annotations

from functools import partial
from typing import Annotated
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from service.api import audited
from service.api.auth import Member, Viewer
from service.api.pages import decode, page_of
from service.api.runs import request_cancel, visible
from service.api.state import App
from service.domain.errors import Invalid
from service.doors.hf import place
from service.doors.hf.job import DELETED, STAGES, job_of
from service.doors.hf.request import NAME, NAME_LABEL
from service.store import run_list
from service.store.describe import describe_run, describe_runs
from service.store.run_list import RunFilter

router = APIRouter(tags=["runs"], include_in_schema=False)
PAGE = 100


@router.get("/api/jobs/{namespace}")
def list_jobs(
    namespace: str,
    request: Request,
    caller: Viewer,
    app: App,
    stage: Annotated[list[str] | None, Query()] = None,
    label: Annotated[list[str] | None, Query()] = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Newest first, a hundred at a time; the next page is where the `Link` header says."""
    states = _states(stage or [])
    labels = tuple(map(_label, label or ()))
    with app.gate.db.read() as session:
        place.require(session, app, caller, namespace)
        if stage and not states:
            return JSONResponse([])
        narrowed = RunFilter(team=caller.team, states=states, labels=labels, namespace=namespace)
        rows = run_list.page(session, narrowed, decode(cursor), PAGE + 1)
        shown, _, following = page_of(rows, PAGE, lambda run: run.id)
        described = describe_runs(session, shown, app.now())
    headers = {}
    if following is not None:
        query = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
        at = f"{_base(request, app)}{request.url.path}?{urlencode([*query, ('cursor', following)])}"
        headers["link"] = f'<{at}>; rel="next"'
    return JSONResponse([job_of(run, app.now()) for run in described], headers=headers)


@router.get("/api/jobs/{namespace}/{job_id}")
def inspect_job(namespace: str, job_id: str, caller: Viewer, app: App) -> Response:
    """One job."""
    with app.gate.db.read() as session:
        place.require(session, app, caller, namespace)
        run = describe_run(session, visible(session, caller, job_id), app.now())
    return JSONResponse(job_of(run, app.now()))


@router.post("/api/jobs/{namespace}/{job_id}/cancel")
def cancel_job(namespace: str, job_id: str, caller: Member, app: App) -> Response:
    """Asks for the end; the job is CANCELED once Hugging Face confirms that it has stopped."""
    with app.gate.db.read() as session:
        place.require(session, app, caller, namespace)
    work = partial(request_cancel, run_id=job_id, caller=caller, now=app.now())
    return JSONResponse(job_of(audited.write(app, caller, work, wakes=("cancel",)), app.now()))


@router.get("/jobs/{namespace}/{job_id}")
def page_of_job(namespace: str, job_id: str) -> Response:  # noqa: ARG001 - the client writes it into the address
    """Where the client says that a job is seen: the run's page."""
    return RedirectResponse(f"/ui/runs/{job_id}", 303)


def _states(stages: list[str]) -> list[str]:
    known = {*STAGES.values(), DELETED}
    for one in stages:
        if one not in known:
            raise Invalid(f"there is no stage '{one}'", field="stage", remedy=f"Stages are {', '.join(sorted(known))}.")
    return [state.value for state, stage in STAGES.items() if stage in stages]


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise Invalid(f"'{text}' is not of the form key=value", field="label", remedy="Write it as project=bot.")
    return (NAME_LABEL if name == NAME else name), value


def _base(request: Request, app: App) -> str:
    """Where this service is for the client: as it was called, and by the scheme that a proxy before it is called by."""
    public = app.gate.public_url
    if public is not None and urlsplit(public).netloc == request.url.netloc:
        return public
    return str(request.base_url).rstrip("/")
