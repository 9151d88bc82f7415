"""A process that can be killed at every commit: its database writes in the calling thread, with cuts around each."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from typing import TypeVar

import httpx2
from sqlalchemy import event

from service.flow.gate import Gate, Limits
from service.hub.client import HubClient
from service.store.db import Database, Work, _Waiting, open_engine
from service.store.vault import Vault

T = TypeVar("T")
ENDPOINT = "http://hub.test"
CONTROL_TOKEN = "hf_control_of_the_simulation"
JOB_TOKEN = "hf_token_that_jobs_get"
INSTALLATION = "ins_simulation"
NAMESPACE = "acme"


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
        self.engine = cut_engine.engine
        self.is_sqlite = True
        self._cut = cut_engine.cut = cut
        self._committed = committed
        self._pause = pause

    def submit(self, work: Work[T]) -> Future[T]:
        """Run the work as a group of one, here and now."""
        waiting: _Waiting = _Waiting(work, Future())
        waiting.future.set_running_or_notify_cancel()
        self._write_group([waiting])
        if not isinstance(waiting.future.exception(), Killed):
            self._committed()
            self._cut("after a commit")
            self._pause()
        return waiting.future

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


@dataclass(frozen=True)
class Surroundings:
    """What a process is given at each start, and what outlives it."""

    url: str
    wire: httpx2.BaseTransport
    limits: Limits
    wall: Callable[[], datetime]
    monotonic: Callable[[], float]
    cut: Callable[[Process, str], None]
    committed: Callable[[], None]
    pause: Callable[[], None]


class Process:
    """One replica, from start to start. Each start has a boot of its own, and remembers nothing of the one before."""

    def __init__(self, name: str, surroundings: Surroundings) -> None:
        self.name = name
        self.busy: set[str] = set()
        self._around = surroundings
        self._starts = 0
        self.gate = self._start()

    def die(self) -> None:
        """Forget everything in memory, and start again on the same file."""
        self.gate.hub.close()
        self.gate.db.close()
        self.busy.clear()
        self.gate = self._start()

    def stop(self) -> None:
        """End for good."""
        self.gate.hub.close()
        self.gate.db.close()

    def _start(self) -> Gate:
        self._starts += 1
        around = self._around
        began = around.monotonic()
        hub = HubClient(
            ENDPOINT, CONTROL_TOKEN, JOB_TOKEN, clock=around.wall, timeout_seconds=30, transport=around.wire
        )
        return Gate(
            db=CutDatabase(engine_of(around.url, self.name), partial(around.cut, self), around.committed, around.pause),
            hub=hub,
            vault=Vault("the key of the simulation"),
            limits=around.limits,
            installation=INSTALLATION,
            boot=f"{self.name}-{self._starts}",
            clock=around.wall,
            monotonic=lambda: around.monotonic() - began,
            namespace=NAMESPACE,
        )
