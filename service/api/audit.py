"""Who did what to which object, from where: the audit log, page by page or as a whole."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from service.api.auth import Lead
from service.api.contract import Routes
from service.api.pages import After, Limit, Page, decode, page_json, page_of
from service.api.problems import responses
from service.api.state import App, State
from service.api.wire import Wire
from service.domain.access import Role
from service.domain.body import AwareMoment
from service.domain.errors import Invalid
from service.domain.moment import iso
from service.store import audit
from service.store.audit import Narrowed
from service.store.tables import AuditEntry

router = Routes("audit")
CSV, LINES = "text/csv", "application/x-ndjson"
FORMATS = {"json": "application/json", "csv": CSV, "ndjson": LINES}
COLUMNS = ("id", "at", "actor", "role", "via", "key_id", "address", "user_agent", "action", "object", "team", "changes")


class AuditObject(Wire):
    """One change. `action` is the route, `object` what was changed, `changes` what came of it, with what was before and
    after where that is known."""

    id: str
    at: datetime
    actor: str
    role: Role
    via: str
    key_id: str | None
    address: str | None
    user_agent: str | None
    action: str
    object: str
    team: str | None
    changes: list[dict[str, Any]]


def _narrowed(
    caller: Lead,
    team: Annotated[str | None, Query(description="For admins; without it all teams and the organisation")] = None,
    actor: Annotated[str | None, Query(max_length=100, description="Changes of one user")] = None,
    object: Annotated[  # noqa: A002 - the parameter's name on the wire
        str | None, Query(max_length=300, description="Changes of one object and of what is below its address")
    ] = None,
    since: Annotated[AwareMoment | None, Query(alias="from")] = None,
    until: Annotated[AwareMoment | None, Query(alias="to")] = None,
) -> Narrowed:
    whose = team if caller.team is None else caller.team_or(team)
    return Narrowed(whose, actor, object, since, until)


@router.get(
    "/audit",
    response_model=Page[AuditObject],
    summary="Who changed what",
    responses={**responses(403, 404, 422), 200: {"content": {CSV: {}, LINES: {}}}},
)
def read_audit(
    request: Request,
    _caller: Lead,
    app: App,
    narrowed: Annotated[Narrowed, Depends(_narrowed)],
    limit: Limit = 50,
    after: After = None,
    form: Annotated[
        Literal["json", "csv", "ndjson"] | None, Query(alias="format", description="Or say it in `Accept`")
    ] = None,
) -> Response:
    """Newest first: every change that a person made, of what a team is (for admins: of all). An entry is written with
    the change, and nothing changes it afterwards. `Accept: text/csv` or `application/x-ndjson`, or `format`,
    exports all of them."""
    accept = request.headers.get("accept", "") if form is None else FORMATS[form]
    for kind, write in ((CSV, _csv), (LINES, _lines)):
        if accept.startswith(kind):
            if paging := next((name for name in ("limit", "after") if name in request.query_params), None):
                raise Invalid(
                    "an export has everything, and no pages", field=paging, remedy="Narrow it by 'from' and 'to'."
                )
            return StreamingResponse(write(_all(app, narrowed)), media_type=kind)
    with app.gate.db.read() as session:
        rows = audit.page(session, narrowed, decode(after), limit + 1)
    shown, has_more, following = page_of(rows, limit, lambda entry: entry.id)
    return JSONResponse(page_json([_json(entry) for entry in shown], has_more, following))


def _all(app: State, narrowed: Narrowed) -> Iterator[dict[str, Any]]:
    with app.gate.db.read() as session:
        for entry in audit.every(session, narrowed):
            yield _json(entry)


def _lines(entries: Iterator[dict[str, Any]]) -> Iterator[str]:
    for entry in entries:
        yield json.dumps(entry, separators=(",", ":")) + "\n"


def _csv(entries: Iterator[dict[str, Any]]) -> Iterator[str]:
    yield _row(COLUMNS)
    for entry in entries:
        yield _row(_cell(entry[name]) for name in COLUMNS)


def _row(cells: Any) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()


def _cell(value: Any) -> str:
    """A cell of a table. A text that a spreadsheet would take for a formula is kept from it (OWASP, CSV injection)."""
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _json(entry: AuditEntry) -> dict[str, Any]:
    return {**{name: getattr(entry, name) for name in COLUMNS}, "at": iso(entry.at)}
