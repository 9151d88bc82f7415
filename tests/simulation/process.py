"""A process that can be killed at every commit: its database writes in the calling thread, with cuts around each."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeVar

import httpx2
from sqlalchemy import event

from service.flow.gate import Gate, Limits
from service.hub.client import HubClient
from service.leader import RENEW_SECONDS, LeaseLeader
from service.store import home
from service.store.db import Database, Work, _Waiting
from service.store.engine import open_engine
from service.store.home import Home
from service.store.news import News
from service.store.vault import Vault

T = TypeVar("T")
ENDPOINT = "http://hub.test"
NAMESPACE = "acme"
KEY = "the key of the simulation"
CONTROL_TOKEN = "hf_control_of_the_simulation"
JOB_TOKEN = "hf_token_that_jobs_get"
# of a team that has its own
TEAM_CONTROL_TOKEN = "hf_control_of_the_first_team"
TEAM_JOB_TOKEN = "hf_token_that_its_jobs_get"


class Killed(BaseException):
    """The process ends here, at once: nothing of it runs any more."""

    def __init__(self, process: Process) -> None:
        super().__init__(process.name)
        self.process = process


class CutEngine:
    """An engine with a cut before each commit. Its connections end with a process; what it has compiled is kept."""

    def __init__(self, url: str) -> None:
        self.cut: Callable[[str], None] = lambda _where: None
        self.engine = open_engine(url)
        # nothing here loses power, so nothing has to reach a disk
        event.listen(self.engine, "connect", lambda raw, _record: raw.execute("PRAGMA synchronous=OFF"))
        event.listen(self.engine, "commit", lambda _connection: self.cut("before a commit"))


@lru_cache(maxsize=4)
def engine_of(url: str, _process: str) -> CutEngine:
    """The engine of a process on a file: compiling SQL anew at each start would take most of the time."""
    return CutEngine(url)


class CutDatabase(Database):
    """The real database without its thread. `cut` may raise Killed; `committed` hears of every commit; in `pause` the
    thread that wrote waits for its answer, and others act."""

    def __init__(
        self,
        cut_engine: CutEngine,
        cut: Callable[[str], None],
        committed: Callable[[], None],
        pause: Callable[[], None],
    ) -> None:
        self.engine = self._reading = cut_engine.engine
        self.is_sqlite = True
        self.news = News()
        self.changes = 0
        self._reads_end_at = 0.0
        self._cut = cut_engine.cut = cut
        self._committed = committed
        self._pause = pause

    def submit(self, work: Work[T], *, only_adds: bool = False) -> Future[T]:  # noqa: ARG002 - see below
        """Run the work as a group of one, here and now. It shares no reads: two processes write this file, and how long
        what is shared stands is measured by a clock that no seed turns."""
        waiting: _Waiting = _Waiting(work, Future())
        waiting.future.set_running_or_notify_cancel()
        self._write_group([waiting])
        error = waiting.future.exception()
        if error is None:
            self._committed()
        if not isinstance(error, Killed):
            self._cut("after a commit")
            self._pause()
        return waiting.future

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


@dataclass(frozen=True)
class Surroundings:
    """What a process is given at each start, and what outlives it."""

    path: Path
    wire: httpx2.BaseTransport
    limits: Limits
    wall: Callable[[], datetime]
    monotonic: Callable[[], float]
    cut: Callable[[Process, str], None]
    committed: Callable[[], None]
    pause: Callable[[], None]


class Process:
    """One replica, from start to start. Each start has a boot of its own, and remembers nothing of the one before. One
    of several needs the lease to run steps."""

    def __init__(self, name: str, surroundings: Surroundings, is_alone: bool) -> None:
        self.name = name
        self.busy: set[str] = set()
        self._around = surroundings
        self._is_alone = is_alone
        self._starts = 0
        self.start()

    def start(self) -> None:
        """Begin anew on the same file, with nothing in memory."""
        self.busy.clear()
        self._starts += 1
        around, boot = self._around, f"{self.name}-{self._starts}"
        engine = engine_of(f"sqlite:///{around.path}", self.name)
        began = around.monotonic()
        monotonic = lambda: around.monotonic() - began  # noqa: E731 - the process's own seconds
        db = CutDatabase(engine, partial(around.cut, self), around.committed, around.pause)
        self._leader = None if self._is_alone else LeaseLeader(db, boot, around.wall, monotonic)
        self._renewed_at = -RENEW_SECONDS
        installation, vault = _move_in(engine, around)
        engine.cut = partial(around.cut, self)
        gate = Gate(
            db=db,
            hub=HubClient(
                ENDPOINT, CONTROL_TOKEN, JOB_TOKEN, clock=around.wall, timeout_seconds=30, transport=around.wire
            ),
            vault=vault,
            limits=around.limits,
            installation=installation,
            boot=boot,
            clock=around.wall,
            monotonic=monotonic,
            namespace=NAMESPACE,
        )
        self.gate = gate if self._leader is None else replace(gate, verify_lead=self._leader.verify)

    def is_leading(self) -> bool:
        """Whether it may run steps now; the lease is asked for, or renewed, where that is due."""
        if self._leader is None:
            return True
        if self.gate.monotonic() - self._renewed_at >= RENEW_SECONDS:
            self._renewed_at = self.gate.monotonic()
            self._leader.renew()
        return self._leader.is_leading()

    def stop(self) -> None:
        """It is gone: nothing of it is left but its file."""
        self.gate.hub.close()
        self.gate.db.close()


def _move_in(engine: CutEngine, around: Surroundings) -> tuple[str, Vault]:
    """Whose jobs these are, by the database and its folder as in a real start, and what opens secrets. Nothing cuts
    that."""
    quiet = CutDatabase(engine, lambda _where: None, lambda: None, lambda: None)
    return quiet.write(partial(home.move_in, home=Home(around.path.parent, key_setting=KEY), now=around.wall()))
