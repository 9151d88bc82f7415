"""Whatever else is below /v1: OpenAI's own answer for an address that it does not have."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

router = APIRouter(prefix="/v1", include_in_schema=False)


@router.api_route("/{rest:path}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
async def unknown(rest: str, request: Request) -> Response:  # noqa: ARG001 - the route's own
    """Files and fine-tuning jobs are all that is here."""
    message = (
        f"Unknown request URL: {request.method} {request.url.path}. Here are /v1/files and /v1/fine_tuning/jobs: see "
        "docs/openai.md."
    )
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": "unknown_url"}
    return JSONResponse({"error": error}, 404, headers={"x-should-retry": "false"})
