"""The application in-process over a world: requests are real ASGI requests, steps run when a test says so."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from service.api.state import State
from service.app import create_app
from tests.flow.conftest import World, world

__all__ = ["world"]
ADMIN_KEY = "tg_the_admin_key_of_the_tests"


class Api:
    """Requests as one of several callers."""

    def __init__(self, app: FastAPI, world: World) -> None:
        self.app = app
        self.world = world
        self.keys: dict[str, str | None] = {"admin": ADMIN_KEY, "nobody": None, "stranger": "tg_unknown"}
        self._client = TestClient(app, raise_server_exceptions=False)

    def add_key(self, caller: str, team: str, role: str) -> None:
        answer = self("POST", f"/teams/{team}/keys", as_="admin", json={"name": caller, "role": role})
        assert answer.status_code == 201, answer.text
        self.keys[caller] = answer.json()["key"]

    def __call__(self, method: str, path: str, *, as_: str = "member", **kwargs: Any) -> httpx2.Response:
        headers = dict(kwargs.pop("headers", {}))
        if (key := self.keys[as_]) is not None:
            headers["authorization"] = f"Bearer {key}"
        answer: Any = self._client.request(method, path, headers=headers, **kwargs)
        return answer


def server_sent(text: str) -> list[tuple[str | None, str, Any]]:
    """A stream's events: id, kind, data."""
    found = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        found.append((fields.get("id"), fields.get("event", "message"), json.loads(fields["data"])))
    return found


@cache
def application() -> FastAPI:
    """One application for all tests of a process, as making it and its OpenAPI document is most of their time: a test
    gives it a state of its own."""
    app = create_app(None, on_stop=lambda: None)  # type: ignore[arg-type]
    app.openapi()
    return app


@pytest.fixture
def api(world: World) -> Api:
    state = State(
        gate=world.gate,
        admin_key=ADMIN_KEY,
        namespace="acme",
        ages=dict,
        is_leading=lambda: True,
    )
    world.db.news.hear(state.streams.bells.ring)
    app = application()
    app.state.tunegate = state
    api = Api(app, world)
    for role in ("lead", "member", "viewer"):
        api.add_key(role, "research", role)
    assert api("POST", "/teams", as_="admin", json={"name": "other"}).status_code == 201
    api.add_key("outsider", "other", "lead")
    return api
