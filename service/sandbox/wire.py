"""What goes into the sandbox's core and what comes out: plain values, no framework, no socket, no clock.

The core is a function `handle(request, now) -> response`. The ASGI shell and the in-process transport both
speak these two types, so the same core runs behind a socket and inside a simulation under its own clock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl


@dataclass(frozen=True)
class Request:
    """One HTTP request. `path` is percent-decoded; names of `headers` are lower-case; `base_url` has no final slash."""

    method: str
    path: str
    query_string: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    base_url: str = "http://sandbox"

    def query(self, name: str) -> list[str]:
        """Every value of a repeated query parameter, in order."""
        return [value for key, value in parse_qsl(self.query_string, keep_blank_values=True) if key == name]

    def json(self) -> Any:
        """The body as JSON; raises ValueError where it is not JSON."""
        return json.loads(self.body)

    @property
    def bearer(self) -> str | None:
        """The token of the Authorization header, or None."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" and token.strip() else None


@dataclass(frozen=True)
class LogStream:
    """A response body that is a job's server-sent events: replayed from the start, held open until the job ends.

    `cut_after`: the connection breaks after so many frames (a fault); None never.
    """

    job_id: str
    kind: str  # "logs" | "metrics" | "events"
    tail: int | None = None
    cut_after: int | None = None


@dataclass(frozen=True)
class Response:
    """One HTTP response: either `body` or `stream`, never both.

    `delay_seconds` and `lost` are for whoever carries the answer: it is held so long, or the connection closes instead.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    stream: LogStream | None = None
    delay_seconds: float = 0.0
    lost: bool = False


def timestamp(moment: datetime) -> str:
    """A moment as the Hub writes it, `2026-07-30T21:32:37.482Z` (huggingface_hub refuses any other zone or form)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    try:
        body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half a surrogate pair, out of somebody's file: JSON has an escape for it
        body = json.dumps(value, separators=(",", ":")).encode()
    return Response(status, {"content-type": "application/json; charset=utf-8", **(headers or {})}, body)


@dataclass(eq=False)
class Refusal(Exception):
    """An error answer as the Hub gives it: raised anywhere in the core, rendered once.

    The client library reads `X-Error-Code` before the status and shows `X-Error-Message`; header values must be
    latin-1, so the message is made so in the header and kept whole in the body.
    """

    status: int
    message: str
    code: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """The JSON answer with the headers that huggingface_hub reads."""
        one_line = " ".join(self.message.split()).encode("latin-1", "replace").decode("latin-1")
        headers = {"x-error-message": one_line, **self.headers}
        if self.code:
            headers["x-error-code"] = self.code
        return json_response({"error": self.message, **self.extra}, self.status, headers)
