"""Bills that come as a file: what Hugging Face's own page exports, where its API does not show them."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import Body, Request
from fastapi.responses import JSONResponse, Response

from service.api import audited
from service.api.auth import Admin
from service.api.contract import Routes
from service.api.problems import responses
from service.api.state import App
from service.api.usage_schemas import ImportObject
from service.domain.errors import WrongMediaType
from service.domain.statement import read_statement
from service.flow.billing import tell
from service.store import billing

router = Routes("usage")
CSV = "text/csv"
EXAMPLE = "job_id,cost_usd\n6925d0f1c0ffee0123456789,0.334\n"


@router.post(
    "/billing/import",
    response_model=ImportObject,
    summary="Import bills",
    responses=responses(403, 413, 415, 422),
)
def import_bills(
    content: Annotated[bytes, Body(media_type=CSV, examples=[EXAMPLE])], request: Request, caller: Admin, app: App
) -> Response:
    """CSV, at most 1 MiB, with a header: a column `job_id` or `jobId`, and a column `cost_usd` or `totalCostMicroUsd`.
    All rows count or, with a problem that names the line, none. The same file again changes nothing."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != CSV:
        raise WrongMediaType("the body must be CSV", field="content-type", remedy=f"Send 'Content-Type: {CSV}'.")
    bills = read_statement(content)
    recorded = audited.write(app, caller, partial(billing.record, bills=bills, source="import", now=app.now()))
    tell(recorded, "import")
    return JSONResponse(
        {
            "rows": len(bills),
            "matched": recorded.matched,
            "changed": recorded.changed,
            "unknown": recorded.unknown,
            "unsettled": recorded.unsettled,
            "drifted": len(recorded.drifted),
        }
    )
