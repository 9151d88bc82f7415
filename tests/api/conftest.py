"""The application in-process over a world: requests are real ASGI requests, steps run when a test says so."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import pytest
from anyio.from_thread import BlockingPortal
from fastapi import FastAPI
from starlette.testclient import TestClient

from service.api.state import State
from service.app import create_app
from service.store.db import Database
from tests.conftest import Clock, Templates
from tests.flow.conftest import World, settled, world

__all__ = ["settled", "world"]
ADMIN_KEY = "tg_the_admin_key_of_the_tests"


class Api:
    """Requests as one of several callers."""

    def __init__(self, app: FastAPI, world: World) -> None:
        self.app = app
        self.world = world
        self.keys: dict[str, str | None] = {"admin": ADMIN_KEY, "nobody": None, "stranger": "tg_unknown"}
        self.portal: BlockingPortal | None = None
        self._client = TestClient(app, raise_server_exceptions=False)

    def run_on(self, portal: BlockingPortal) -> None:
        """Let this event loop answer all requests; without one, each has one of its own."""
        self._client.portal = self.portal = portal

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


def opened_to(world: World) -> Api:
    """The application over a world."""
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
    return Api(app, world)


def give_keys(db: Database) -> dict[str, str | None]:
    """A key for each role in the world's team, and a lead of another; all callers' keys by name."""
    clock = Clock()
    clock.turn(milliseconds=-1)  # before whatever the tests do: lists have them in that order
    world = World(db, clock)
    api = opened_to(world)
    for role in ("lead", "member", "viewer"):
        api.add_key(role, "research", role)
    assert api("POST", "/teams", as_="admin", json={"name": "other"}).status_code == 201
    api.add_key("outsider", "other", "lead")
    world.hub.close()
    return api.keys


@pytest.fixture(scope="session")
def keys(templates: Templates, settled: str) -> dict[str, str | None]:
    """The keys in the template `with_keys`."""
    given: dict[str, str | None] = templates.make("with_keys", give_keys, like=settled)
    return given


@pytest.fixture
def database_url(templates: Templates, keys: dict[str, str | None], tmp_path: Path) -> str:
    """A database of the test's own, with a world in it and a key for each of the callers."""
    return templates.copy("with_keys", tmp_path / "data")


@pytest.fixture
def api(world: World, keys: dict[str, str | None], portal: BlockingPortal) -> Api:
    api = opened_to(world)
    api.run_on(portal)
    api.keys |= keys
    return api
