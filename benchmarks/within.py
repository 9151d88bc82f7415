"""The whole service within this process, over a database that a benchmark has filled: no steps, no network."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sqlmodel import text
from starlette.testclient import TestClient

from service.assembly import Assembly, assemble
from service.domain.access import Role
from service.settings import Settings
from service.store import keys
from service.store.db import Database
from service.store.keys import Terms

ADMIN = "tg_the_admin_key_of_the_benchmarks"


class Service:
    """Requests as an admin, or as a member of a team. What is asked of Hugging Face is refused at once."""

    def __init__(self, url: str, data_dir: Path) -> None:
        nowhere = Settings(
            database_url=url,
            data_dir=data_dir,
            hf_endpoint="http://127.0.0.1:9",
            hf_token="hf_control",
            job_hf_token="hf_job",
            hf_namespace="acme",
            admin_key=ADMIN,
            role="api",
            max_concurrent_runs=10,
        )
        self.parts: Assembly = assemble(nowhere)
        self.client = TestClient(self.parts.app)
        self.client.__enter__()

    @property
    def db(self) -> Database:
        """Its database."""
        return self.parts.gate.db

    def key_of(self, team: str) -> str:
        """A new key of a member."""
        terms = Terms("bench", "bench", Role.MEMBER)
        _, key = self.db.write(partial(keys.insert, team=team, terms=terms, by="bench", now=self.parts.gate.clock()))
        return key

    def get(self, path: str, key: str = ADMIN) -> bytes:
        """An answer's body; anything but 200 is an error."""
        answer = self.client.get(path, headers={"authorization": f"Bearer {key}"})
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text[:300]}"
        return bytes(answer.content)

    def close(self) -> None:
        """Its end."""
        self.client.__exit__(None, None, None)


def analyzed(db: Database) -> None:
    """PostgreSQL plans by statistics, which its autovacuum brings up to date by and by; SQLite is never given any."""
    if not db.is_sqlite:
        db.write(lambda session: session.execute(text("ANALYZE")) and None)


def timed(act: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds by a clock, with no garbage of before to collect meanwhile."""
    gc.collect()
    start = clock()
    act()
    return clock() - start


def clock_of(is_postgres: bool) -> Callable[[], float]:
    """With SQLite all that is done is done by this process, whose cores' time does not grow with what else runs."""
    return time.perf_counter if is_postgres else time.process_time
