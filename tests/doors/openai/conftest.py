"""The unmodified `openai` package, over the application in-process and a world whose steps run when a test says so."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI, OpenAI
from starlette.testclient import TestClient

from service.flow import files
from tests.api.conftest import Api, api, database_url, keys, settled, world
from tests.flow.conftest import World

__all__ = ["api", "database_url", "keys", "settled", "world"]
MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
DATASET = "HuggingFaceTB/smoltalk2_everyday_convs_think"
LOG = "\n".join(
    [
        "{'loss': '2.5', 'learning_rate': '2e-05', 'mean_token_accuracy': '0.5', 'num_tokens': '1000', 'step': '10'}",
        "{'eval_loss': '2.25', 'eval_mean_token_accuracy': '0.55', 'step': '10'}",
        "{'loss': '1.5', 'learning_rate': '1e-05', 'mean_token_accuracy': '0.75', 'num_tokens': '2000', 'step': '20'}",
    ]
)


def chats(count: int = 3, **more: Any) -> bytes:
    """So many lines of chats."""
    lines = (
        {
            "messages": [
                {"role": "system", "content": "You answer shortly."},
                {"role": "user", "content": f"What is {number} + 1?"},
                {"role": "assistant", "content": str(number + 1)},
            ],
            **more,
        }
        for number in range(count)
    )
    return jsonl(lines)


def jsonl(lines: Iterable[Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


class Door:
    """Clients of the door, and the world behind it."""

    def __init__(self, api: Api, world: World) -> None:
        self.api = api
        self.world = world
        self.sent: list[httpx2.Request] = []

    def client(self, as_: str = "member", **options: Any) -> OpenAI:
        http = TestClient(self.api.app, base_url="http://testserver/v1", raise_server_exceptions=False)
        http.portal = self.api.portal
        http.event_hooks = {"request": [self.sent.append], "response": []}
        return OpenAI(
            base_url="http://testserver/v1",
            api_key=self.api.keys[as_] or "none",
            http_client=http,
            **{"max_retries": 0, **options},
        )

    def async_client(self, as_: str = "member", **options: Any) -> AsyncOpenAI:
        http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=self.api.app), base_url="http://testserver/v1")
        key = self.api.keys[as_] or "none"
        return AsyncOpenAI(base_url="http://testserver/v1", api_key=key, http_client=http, **options)

    def store(self, passes: int = 1) -> int:
        """Passes of the step that stores files."""
        return sum(files.run_once(self.world.gate) for _ in range(passes))

    def run(self, job: Any) -> str:
        """A job's run."""
        return "run_" + str(job.id).removeprefix("ftjob-")

    def repo(self, name: str) -> Any:
        """A dataset of the sandbox's Hub; None where there is none."""
        snapshot = self.world.core.hub.snapshot()
        return self.world.core.hub.repo("dataset", name) if name in str(snapshot) else None

    def until_end(self, job: Any) -> None:
        self.world.until_end(self.run(job), most=200, seconds=20)


def options(**more: Any) -> dict[str, Any]:
    """How a job of the sandbox goes, beside what it asks for."""
    env = {"SANDBOX_RUN_SECONDS": "60", "SANDBOX_LOG": LOG}
    return {"tunegate": {"flavor": "a10g-large", "timeout": "1h", "env": env, **more}}


@pytest.fixture
def door(api: Api, world: World) -> Door:
    world.budget(50_000_000)
    return Door(api, world)


make = partial(dict, model=MODEL)
