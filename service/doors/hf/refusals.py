"""Errors as the Hub gives them: the client shows its people `error` of the body and the header `X-Error-Message`.

Whoever refuses a request, at the edge or in a route, writes a problem document; on this door's addresses it is told
again here, so that the rule and its remedy reach whoever typed the command.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.doors.retelling import Retelling

OURS = "/api/"
RESOLVED = "/resolve/"
# The Hub's own for a body that breaks a rule, and for money that is not there.
STATUSES = {422: 400}
# Signs of ours that a header cannot carry.
PLAIN = str.maketrans({"…": "...", "→": "->", "’": "'", "“": '"', "”": '"'})
BY_CODE = {"exceeds_budget": 402}


class HubErrors:
    """Tells problem documents on the door's addresses as the Hub tells errors."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or not (scope["path"].startswith(OURS) or RESOLVED in scope["path"]):
            return await self._app(scope, receive, send)
        tell = partial(_told_again, is_head=scope["method"] == "HEAD")
        return await self._app(scope, receive, Retelling(send, tell))


def error_text(problem: Mapping[str, Any]) -> str:
    """A problem in one line: what is wrong, and what to do about it; of several, each."""
    more = [one for one in problem.get("errors") or () if one["field"] != problem.get("field")]
    told = [(problem["detail"], problem.get("remedy"))]
    told += [(f"{one['field']}: {one['rule']}", one.get("remedy")) for one in more]
    sentences = [f"{what.rstrip('.')}.{f' {remedy}' if remedy else ''}" for what, remedy in told]
    return " ".join(" ".join(sentences).split()).translate(PLAIN)


def in_a_header(text: str) -> str:
    """A sentence as any header can carry it: in one line, of printable ASCII."""
    return "".join(sign if " " <= sign <= "~" else "?" for sign in " ".join(text.split()).translate(PLAIN))


def _told_again(start: Message, body: bytes, *, is_head: bool) -> list[Message]:
    problem = json.loads(body) if body else {"detail": "refused", "code": "refused"}
    text = error_text(problem)
    answer = json.dumps({"error": text, "code": problem["code"]}).encode()
    headers = MutableHeaders(raw=list(start["headers"]))
    headers["content-type"] = "application/json"
    headers["content-length"] = str(len(answer))
    headers["x-error-message"] = in_a_header(text)
    status = BY_CODE.get(problem["code"], STATUSES.get(start["status"], start["status"]))
    return [
        {"type": "http.response.start", "status": status, "headers": headers.raw},
        {"type": "http.response.body", "body": b"" if is_head else answer},
    ]
