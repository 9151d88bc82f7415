"""Follows the logs of running jobs: one connection and one thread per job, up to a cap. What is new is fetched from
here by whoever stores it; nothing here writes, and what is lost with it is read again. A log that comes to its end
tells first that its job may have ended.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import httpx2
import structlog

from service.domain.log_line import LogLine
from service.domain.log_resume import Resume
from service.hub.faults import HubFault
from service.hub.streams import Streams

log = structlog.get_logger()

# The real service sends a keep-alive every 30 s, and huggingface_hub waits four times as long.
SILENCE_SECONDS = 120.0
# After a broken or an ended stream: so long until the next one, growing while they bring nothing new.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
# A job that writes faster than its lines are fetched is made to wait.
MOST_HELD = 20_000
MOST_HELD_CHARACTERS = 16 * 2**20


@dataclass(frozen=True)
class JobLog:
    """Whose log is followed, and with whose tokens (None: the service's)."""

    namespace: str
    job_id: str
    credentials: str | None = None


StreamsOf = Callable[[JobLog], Streams]


@dataclass(frozen=True)
class Start:
    """Where a log is gone on with: how many of its lines are known, the last of them, and what is made of a line before
    it is kept."""

    known: int
    last: LogLine | None
    kept: Callable[[LogLine], LogLine]


class Follower(threading.Thread):
    """One job's log, over as many connections as it takes: each line once. Each connection asks anew by which streams,
    since tokens may be replaced. `ended` hears of each stream that Hugging Face ended."""

    def __init__(self, streams_of: StreamsOf, job: JobLog, start: Start, ended: Callable[[JobLog], None]) -> None:
        super().__init__(name=f"log-{job.job_id}", daemon=True)
        self._streams_of = streams_of
        self._job = job
        self._ended = ended
        self._known, self._last, self._kept = start.known, start.last, start.kept
        self._lock = threading.Lock()
        self._fresh: list[LogLine] = []
        self._size = 0
        self._stopping = threading.Event()
        self._has_room = threading.Event()
        self._has_room.set()

    def fetch(self) -> list[LogLine]:
        """The lines that have come since the last time."""
        with self._lock:
            found, self._fresh, self._size = self._fresh, [], 0
            self._has_room.set()
        return found

    def has_lines(self) -> bool:
        """Whether `fetch` would bring any."""
        with self._lock:
            return bool(self._fresh)

    def put_back(self, lines: Sequence[LogLine]) -> None:
        """Lines that come again with the next ones."""
        with self._lock:
            self._fresh = [*lines, *self._fresh]
            self._size += sum(len(line.text) for line in lines)

    def stop(self) -> None:
        """No further connection; the present one is left at its next line."""
        self._stopping.set()
        self._has_room.set()

    def run(self) -> None:
        """Connect, again and again."""
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            known = self._known
            if self._read():
                self._ended(self._job)
            pause = FIRST_PAUSE if self._known > known else min(2 * pause, LONGEST_PAUSE)
            self._stopping.wait(pause)

    def _read(self) -> bool:
        """One connection; whether the stream ended by itself, as it does with its job."""
        resume = Resume(self._known, self._last, self._kept)
        try:
            streams = self._streams_of(self._job)
            for line in streams.follow(self._job.namespace, self._job.job_id, silence_seconds=SILENCE_SECONDS):
                self._take(resume.new([line]))
                self._has_room.wait()
                if self._stopping.is_set():
                    return False
        except (httpx2.HTTPError, HubFault) as error:
            log.debug("log_stream_broke", hub_job_id=self._job.job_id, problem=type(error).__name__)
            is_over = False
        else:
            is_over = True
        self._take(resume.at_end())
        return is_over

    def _take(self, lines: Sequence[LogLine]) -> None:
        if not lines:
            return
        with self._lock:
            self._fresh += lines
            self._known += len(lines)
            self._last = self._kept(lines[-1])
            self._size += sum(len(line.text) for line in lines)
            if len(self._fresh) >= MOST_HELD or self._size >= MOST_HELD_CHARACTERS:
                self._has_room.clear()


class Followers:
    """The followers of one process, at most `most` of them. `on_end` is called, in a thread of theirs, when there is
    something for `ended`."""

    def __init__(self, streams_of: StreamsOf, most: int) -> None:
        self._streams_of = streams_of
        self._most = most
        self._by_job: dict[JobLog, Follower] = {}
        self._over: queue.SimpleQueue[JobLog] = queue.SimpleQueue()
        self.on_end: Callable[[], None] = lambda: None

    def follow(self, wanted: Iterable[JobLog], start: Callable[[JobLog], Start | None]) -> None:
        """Follow these and no others; those that came first if there are too many. `start` says where one begins, or
        None where there is nothing to follow any more."""
        wanted = list(wanted)
        for job in self._by_job.keys() - set(wanted):
            self.leave(job)
        for job in wanted:
            if job in self._by_job or len(self._by_job) >= self._most or (begins := start(job)) is None:
                continue
            self._by_job[job] = Follower(self._streams_of, job, begins, self._end)
            self._by_job[job].start()

    def has(self, job: JobLog) -> bool:
        """Whether a job is followed."""
        return job in self._by_job

    def said(self, job: JobLog) -> bool:
        """Whether there is something new in a job's log."""
        follower = self._by_job.get(job)
        return follower is not None and follower.has_lines()

    def fetch(self, job: JobLog) -> list[LogLine]:
        """What is new in a job's log."""
        follower = self._by_job.get(job)
        return [] if follower is None else follower.fetch()

    def put_back(self, job: JobLog, lines: Sequence[LogLine]) -> None:
        """Lines that come again with the next ones."""
        if lines and (follower := self._by_job.get(job)) is not None:
            follower.put_back(lines)

    def ended(self) -> set[JobLog]:
        """The jobs whose streams have ended since this was last asked."""
        found = set()
        with suppress(queue.Empty):
            while True:
                found.add(self._over.get_nowait())
        return found

    def leave(self, job: JobLog) -> None:
        """Follow a job no more. Where what was fetched could not be stored, it is begun anew from what is stored."""
        if (follower := self._by_job.pop(job, None)) is not None:
            follower.stop()

    def stop(self) -> None:
        """Leave all."""
        for job in list(self._by_job):
            self.leave(job)

    def _end(self, job: JobLog) -> None:
        self._over.put(job)
        self.on_end()
