"""/v1/files: uploaded, listed, read, deleted. A file is stored in a private dataset of its team by the step `files`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response, StreamingResponse
from sqlmodel import Session

from service.api import audited
from service.api.auth import Caller, Member, Viewer
from service.api.state import App, State
from service.domain.errors import Conflict, HubDown, Invalid, NotFound
from service.domain.file_card import TRAIN, repo_of
from service.doors.openai import results, upload
from service.doors.openai.file_object import OF_RESULTS, PURPOSE, RESULTS_NAME, file_object, page_object, results_object
from service.doors.openai.ids import limit_of, only, run_of_results, team_of
from service.flow.enqueue import place_of
from service.hub.faults import HubFault
from service.store import audit, credentials, files, rows, teams
from service.store.ids import new_id
from service.store.tables import UploadedFile

router = APIRouter(prefix="/v1", tags=["runs"], include_in_schema=False)
MOST = 10_000
BINARY = "application/octet-stream"


@router.post("/files")
async def create_file(request: Request, caller: Member, app: App) -> Response:
    """Every line is checked before this answers; `processed` follows once it is on the Hub."""
    only(request)
    team = caller.team_or(team_of(request, caller))
    await run_in_threadpool(_refuse_team, app, team)
    received = await upload.receive(request, app.gate.limits.file_bytes)
    try:
        shown = await run_in_threadpool(_take, app, caller, team, received)
    finally:
        await run_in_threadpool(received.content.close)
    return JSONResponse(shown)


@router.get("/files")
def list_files(request: Request, caller: Viewer, app: App) -> Response:
    """A team's files, newest first unless `order=asc`; with `purpose=fine-tune-results` the numbers of its jobs."""
    only(request, "after", "limit", "order", "purpose")
    limit, asked = limit_of(request, MOST, MOST), request.query_params
    if (order := asked.get("order", "desc")) not in ("asc", "desc"):
        raise Invalid("'order' is 'asc' or 'desc'", field="order", remedy="Leave it out for 'desc'.")
    team, after, newest_first = team_of(request, caller), asked.get("after"), order == "desc"
    with app.gate.db.read() as session:
        if asked.get("purpose") == OF_RESULTS:
            after_run = None if after is None else run_of_results(after)
            found = results.page(session, team, after_run, limit + 1, newest_first=newest_first)
            data = [results_object(*one) for one in found]
        else:
            mine = files.page(session, team, asked.get("purpose"), after, limit + 1, newest_first=newest_first)
            data = [file_object(one) for one in mine]
    return JSONResponse(page_object(data[:limit], len(data) > limit))


@router.get("/files/{file_id}")
def read_file(file_id: str, request: Request, caller: Viewer, app: App) -> Response:
    """One file."""
    only(request)
    team = team_of(request, caller)
    with app.gate.db.read() as session:
        if (run_id := run_of_results(file_id)) is not None:
            return JSONResponse(results_object(*results.of(session, team, run_id)))
        return JSONResponse(file_object(files.find(session, team, file_id)))


@router.get("/files/{file_id}/content")
def read_content(file_id: str, request: Request, caller: Viewer, app: App) -> Response:
    """Byte for byte what was uploaded; of a job's numbers, a table as CSV."""
    only(request)
    team = team_of(request, caller)
    with app.gate.db.read() as session:
        if (run_id := run_of_results(file_id)) is not None:
            return Response(results.of(session, team, run_id)[2], media_type="text/csv", headers=_named(RESULTS_NAME))
        file = files.find(session, team, file_id)
    parts = iter(_content(app, file))
    try:
        first = next(parts, b"")  # what goes wrong at the beginning is told, and not as the end of an answer
    except HubFault as error:
        raise HubDown(f"the file could not be read: {error.message}", remedy="Try again in a moment.") from None
    headers = {"content-length": str(file.byte_count), **_named(file.filename)}
    return StreamingResponse(chain([first], parts), media_type=BINARY, headers=headers)


@router.delete("/files/{file_id}")
def delete_file(file_id: str, request: Request, caller: Member, app: App) -> Response:
    """Gone for everybody at once; its dataset on the Hub is deleted next."""
    only(request)
    work = partial(_delete, file_id=file_id, team=team_of(request, caller), app=app)
    audited.write(app, caller, work)
    return JSONResponse({"id": file_id, "object": "file", "deleted": True})


def _refuse_team(app: State, team: str) -> None:
    with app.gate.db.read() as session:
        if (row := teams.get(session, team)) is None:
            raise NotFound(f"there is no team '{team}'", field="team", remedy="Set the client's project to a team.")
        teams.refuse_archived(row)


def _take(app: State, caller: Caller, team: str, received: upload.Received) -> dict[str, Any]:
    found = upload.examined(received)
    sha256, size = upload.digest(received.content)
    now = app.now()
    with app.gate.db.read() as session:
        place = place_of(session, None, team, app.namespace, credentials.get)
    file_id = new_id("file", now).replace("_", "-").lower()
    file = rows.new(
        UploadedFile,
        id=file_id,
        team=team,
        filename=received.filename,
        purpose=PURPOSE,
        form=found.form,
        examples=found.examples,
        byte_count=size,
        sha256=sha256,
        repo=repo_of(place.namespace, file_id),
        credentials=place.credentials,
        created_by=caller.name,
        created_at=now,
        expires_at=upload.expires_at(received, now),
    )
    upload.keep(app.gate.db, file, received.content)

    def arrived(session: Session) -> dict[str, Any]:
        audit.about(session, f"/v1/files/{file_id}", team, bytes=size, sha256=sha256)
        return file_object(files.arrived(session, file_id, now))

    return audited.write(app, caller, arrived)


def _content(app: State, file: UploadedFile) -> Iterator[bytes]:
    if file.revision is None:
        yield from files.content(app.gate.db, file.id)
        return
    hub = app.gate.hub_of(file.credentials)
    yield from hub.datasets.read(file.repo, file.revision, TRAIN, file.byte_count)


def _delete(session: Session, file_id: str, team: str | None, app: State) -> None:
    file = files.find(session, team, file_id, hold=True)
    if users := files.users_of(session, file_id):
        raise Conflict(f"{users[0]} has not ended, and needs this file", remedy="Cancel it first, or let it end.")
    audit.about(session, f"/v1/files/{file_id}", file.team, sha256=file.sha256)
    files.remove(session, file, app.now())


def _named(filename: str) -> dict[str, str]:
    plain = "".join(sign if sign.isascii() and sign not in '"\\' else "_" for sign in filename)
    return {"content-disposition": f'attachment; filename="{plain}"'}
