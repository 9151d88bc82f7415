"""Who uses the service during a soak: submitters who repeat themselves, change their minds and write bad scripts, and
somebody who follows the events."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.processes import ADMIN_KEY

TEAMS = ("red", "green", "blue")


@dataclass
class Crowd:
    """`rate` runs a second, until it is stopped."""

    url: str
    rate: float
    run_ids: set[str] = field(default_factory=set)
    seen: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._threads = [threading.Thread(target=one, daemon=True) for one in (self._submit, self._follow)]
        self._chance = random.Random(1)

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop_submitting(self) -> None:
        """No more runs; the follower goes on with the process."""
        self.stopping.set()
        self._threads[0].join()

    def _submit(self) -> None:
        with httpx2.Client(timeout=30, trust_env=False, headers={"authorization": f"Bearer {ADMIN_KEY}"}) as http:
            due = time.monotonic()
            while not self.stopping.wait(max(0.0, due - time.monotonic())):
                due += 1 / self.rate
                self._one(http)

    def _one(self, http: httpx2.Client) -> None:
        key, body = uuid.uuid4().hex, self._body()
        first = http.post(f"{self.url}/runs", json=body, headers={"idempotency-key": key})
        self.seen[f"POST /runs {first.status_code}"] += 1
        if first.status_code != 201:
            self.wrong.append(f"POST /runs: {first.status_code} {first.text[:200]}")
            return
        run_id = first.json()["id"]
        self.run_ids.add(run_id)
        if self._chance.random() < 0.2:
            again = http.post(f"{self.url}/runs", json=body, headers={"idempotency-key": key})
            if (again.status_code, again.json().get("id")) != (200, run_id):
                self.wrong.append(f"a repeated POST /runs: {again.status_code} {again.text[:200]}")
        if self._chance.random() < 0.1:
            answer = http.post(f"{self.url}/runs/{run_id}/cancel")
            self.seen[f"cancel {answer.status_code}"] += 1

    def _body(self) -> dict[str, Any]:
        fails = self._chance.random() < 0.15
        return {
            "team": self._chance.choice(TEAMS),
            "recipe": {"kind": "script", "source": "print(1)"},
            "flavor": "cpu-basic",
            "timeout": "10m",
            "env": {
                "SANDBOX_RUN_SECONDS": f"{self._chance.uniform(0.5, 3):.1f}",
                "SANDBOX_EXIT_CODE": "1" if fails else "0",
            },
        }

    def _follow(self) -> None:
        """The feed as it comes, taken up again where it broke."""
        last: dict[str, str] = {}
        headers = {"authorization": f"Bearer {ADMIN_KEY}", "accept": "text/event-stream"}
        with httpx2.Client(timeout=60, trust_env=False) as http:
            while True:
                with (
                    suppress(httpx2.HTTPError),
                    http.stream("GET", f"{self.url}/events", headers={**headers, **last}) as stream,
                ):
                    for line in stream.iter_lines():
                        if line.startswith("id:"):
                            last = {"last-event-id": line.removeprefix("id:").strip()}
                            self.seen["followed"] += 1
                time.sleep(0.5)
