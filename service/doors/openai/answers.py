"""What every answer of the door is like: errors in OpenAI's form, an id of the request, and what its clients are told
about trying again (openai-python, `_base_client.py: _should_retry`)."""

from __future__ import annotations

import json
import secrets
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.auth import TEAM_HEADER
from service.api.edge import STREAMED
from service.api.problems import unexpected
from service.doors.retelling import Retelling

PREFIX = "/v1/"
UPLOAD = ("POST", "/v1/files")
PROJECT_HEADER = "openai-project"
# OpenAI has 400 for whatever is wrong with a request; 422 is unknown to many of its clients.
STATUSES = {422: 400, 406: 400, 415: 400}
KINDS = {401: "invalid_request_error", 403: "invalid_request_error", 429: "requests"}
CODES = {"not_authenticated": "invalid_api_key", "rate_limited": "rate_limit_exceeded"}
# Its clients try these again by themselves. A conflict of ours stays one.
AGAIN = frozenset({408, 429, 500, 502, 503, 504})


class OpenAiAnswers:
    """Around everything else: whatever refuses a request below the door's prefix is told in its form."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            return await self._app(scope, receive, send)
        if (scope["method"], scope["path"]) == UPLOAD:
            scope[STREAMED] = True
        _name_team(scope)
        telling = Retelling(send, _told, _name_request)
        try:
            await self._app(scope, receive, telling)
        except Exception as error:
            if telling.has_begun:
                raise
            await unexpected(scope, error)(scope, receive, telling)


def _told(start: Message, body: bytes) -> list[Message]:
    given: int = start["status"]
    status = STATUSES.get(given, given)
    answer = JSONResponse({"error": error_of(json.loads(body), status)}, status)
    headers = MutableHeaders(scope=start)
    headers["content-type"], headers["content-length"] = "application/json", str(len(answer.body))
    headers["x-should-retry"] = "true" if status in AGAIN else "false"
    if (seconds := headers.get("retry-after", "")).isdigit():
        headers["retry-after-ms"] = str(int(seconds) * 1000)
    return [{**start, "status": status}, {"type": "http.response.body", "body": answer.body}]


def _name_request(start: Message) -> None:
    MutableHeaders(scope=start)["x-request-id"] = f"req_{secrets.token_hex(16)}"


def error_of(problem: dict[str, Any], status: int) -> dict[str, Any]:
    """OpenAI's error object of a problem document. `message` has the rule and the remedy; whatever else the document
    says (`errors`, numbers) comes beside it."""
    detail, remedy = str(problem["detail"]), problem.get("remedy")
    told = {name: value for name, value in problem.items() if name not in ("type", "title", "status", "detail")}
    return {
        **told,
        "message": f"{detail[:1].upper()}{detail[1:]}" + (f". {remedy}" if remedy else ""),
        "type": KINDS.get(status, "server_error" if status >= 500 else "invalid_request_error"),
        "param": told.pop("field", None),
        "code": CODES.get(problem["code"], problem["code"]),
    }


def _name_team(scope: Scope) -> None:
    """The client's project is the team's name, for those who come with an issuer's token and have several."""
    headers = Headers(scope=scope)
    if (project := headers.get(PROJECT_HEADER)) is not None and TEAM_HEADER not in headers:
        scope["headers"] = [*scope["headers"], (TEAM_HEADER.encode(), project.encode("latin-1"))]
