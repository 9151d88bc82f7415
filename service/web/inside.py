"""The API, as whoever looks at a page: called within this process, so that pages show what the API says, no more.

Rights, scopes, the audit log and all refusals are the API's own; what a page shows can be asked for with curl.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx2
from fastapi import Request
from starlette.types import Receive, Scope, Send

from service.api.rates import COUNTED
from service.api.same_site import COOKIE, HEADER, token_of
from service.domain.errors import ServiceError

BASE = "http://inside"
# What the API is told of the browser: who it is by its cookie, and what the audit log notes.
PASSED_ON = ("cookie", "user-agent", "host")


class Refusal(Exception):
    """What the API refused, by its problem document (RFC 9457)."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        self.status = int(problem["status"])
        self.code = str(problem["code"])
        self.detail = str(problem["detail"])
        self.remedy: str | None = problem.get("remedy")
        self.field: str | None = problem.get("field")
        # one for each field, where several are wrong
        self.errors: list[dict[str, Any]] = problem.get("errors") or []
        super().__init__(self.detail)

    @classmethod
    def of(cls, error: ServiceError) -> Refusal:
        """What a page refuses by itself, in the same words."""
        return cls({"status": error.status, "code": error.code, "detail": error.detail, "remedy": error.remedy})


class Inside:
    """The API as the session of one request of a browser."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._transport = httpx2.ASGITransport(self._as_counted, raise_app_exceptions=False)

    async def get(self, path: str, **params: Any) -> Any:
        """What a GET answers; parameters that are None are left out. Raises Refusal."""
        given = {name: value for name, value in params.items() if value is not None}
        # none at all leave those that the path has
        return await self._answer(self._asked("GET", path, params=given or None))

    async def all(self, *paths: str) -> list[Any]:
        """Several at once, in their order; raises the first Refusal."""
        return list(await asyncio.gather(*(self.get(path) for path in paths)))

    async def get_or_none(self, path: str, **params: Any) -> Any:
        """The same, None where the API says that it is not there, or not for this caller."""
        try:
            return await self.get(path, **params)
        except Refusal as refusal:
            if refusal.status in (403, 404):
                return None
            raise

    async def send(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        """Change something, as the session's own pages may; None where the answer is empty. Raises Refusal."""
        token = token_of(self._request.cookies.get(COOKIE, ""))
        return await self._answer(self._asked(method, path, json=body, headers={HEADER: token, **(headers or {})}))

    async def send_csv(self, method: str, path: str, content: bytes) -> Any:
        """The same with a body of CSV. Raises Refusal."""
        headers = {HEADER: token_of(self._request.cookies.get(COOKIE, "")), "content-type": "text/csv"}
        return await self._answer(self._asked(method, path, content=content, headers=headers))

    def _asked(self, method: str, path: str, **given: Any) -> httpx2.Request:
        request = httpx2.Request(method, BASE + path, **given)
        for name in PASSED_ON:
            if (value := self._request.headers.get(name)) is not None:
                request.headers[name] = value
        return request

    async def _answer(self, asked: httpx2.Request) -> Any:
        answer = await self._transport.handle_async_request(asked)
        content = await answer.aread()
        if answer.status_code >= 400:
            raise Refusal(answer.json())
        return answer.json() if content else None

    async def _as_counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The page was counted among its caller's requests: what it asks for is not once more."""
        outer = self._request.scope
        inner = {**scope, "client": outer.get("client"), "scheme": outer["scheme"], COUNTED: True}
        await self._request.app(inner, receive, send)
