"""One process at a time runs the steps: on SQLite a lock on a file, on PostgreSQL a lease row."""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO, Protocol

import structlog
from sqlmodel import Session

from service.store import lease
from service.store.away import is_away
from service.store.db import Database
from service.store.lease import LeadLost

log = structlog.get_logger()
LEASE_NAME = "steps"
TTL_SECONDS = 12.0
RENEW_SECONDS = 4.0
MARGIN_SECONDS = 2.0
# Who waits for the lease looks more often than it is renewed: it is taken over within a second of its end.
ASK_SECONDS = 1.0
# At a stop: how long a renewal under way, and the word that the lease is free, may take each.
STOP_SECONDS = 2.0


class Leader(Protocol):
    """Says whether this process may run steps now."""

    def start(self) -> None:
        """Begin to lead, or to wait for it."""

    def is_leading(self) -> bool:
        """Whether the lead is ours at this moment."""

    def verify(self, session: Session) -> None:
        """Raise LeadLost where this transaction must not be made any more."""

    def stop(self) -> None:
        """Let the next process in."""


class AlreadyRunning(Exception):
    """Another process works on this SQLite file."""


class FileLeader:
    """SQLite: the whole database is one machine's, so a lock on a file beside it decides. A second process refuses."""

    def __init__(self, home: Path, name: str = "worker.lock") -> None:
        self._path = home / name
        self._file: IO[str] | None = None

    def start(self) -> None:
        """Take the lock; raises AlreadyRunning where another process holds it. It ends with the process, however that
        ends."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise AlreadyRunning(f"another process holds {self._path}") from None
        self._file = file

    def is_leading(self) -> bool:
        """True from start to stop."""
        return self._file is not None

    def verify(self, session: Session) -> None:
        """The lock on the file is proof enough."""

    def stop(self) -> None:
        """Give the lock back."""
        if self._file is not None:
            self._file.close()
            self._file = None


class LeaseLeader:
    """PostgreSQL: whoever renews the row leads. Trust in it is measured on the monotonic clock, from before a renewal
    was sent, and ends before the row does."""

    def __init__(
        self,
        db: Database,
        holder: str,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db = db
        self._holder = holder
        self._clock = clock
        self._monotonic = monotonic
        self._trusted_until = 0.0
        self._fence: int | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def start(self) -> None:
        """Ask for the lease once, then keep asking or renewing."""
        self.renew()
        self._thread.start()

    def is_leading(self) -> bool:
        """Whether the last renewal can still be trusted."""
        return self._monotonic() < self._trusted_until

    def verify(self, session: Session) -> None:
        """Ask the row itself, in the transaction that depends on it. What trust has ended is not even asked for."""
        if not self.is_leading():
            raise LeadLost("this process leads no more")
        lease.verify(session, LEASE_NAME, self._fence, self._clock())

    def renew(self) -> None:
        """Ask for the lease, or for more of it, once. Trust in it begins when the question was sent."""
        sent_at = self._monotonic()
        try:
            fence = self._db.write(
                partial(
                    lease.hold,
                    name=LEASE_NAME,
                    holder=self._holder,
                    now=self._clock(),
                    ttl=timedelta(seconds=TTL_SECONDS),
                )
            )
        except Exception as error:
            if is_away(error):
                log.warning("lease_renewal_failed", problem=str(error).splitlines()[0])
            else:
                log.exception("lease_renewal_failed")
            return
        if self._stopping.is_set():
            return
        was_leading = self.is_leading()
        self._fence = fence
        self._trusted_until = 0.0 if fence is None else sent_at + TTL_SECONDS - MARGIN_SECONDS
        if self.is_leading() != was_leading:
            log.info("lease", leading=self.is_leading(), fence=fence)

    def stop(self) -> None:
        """Stop renewing and let the next one in at once. Where the database does not answer, the lease runs out."""
        self._stopping.set()
        self._trusted_until = 0.0
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)
        given_up = self._db.submit(partial(lease.give_up, name=LEASE_NAME, holder=self._holder, now=self._clock()))
        try:
            given_up.result(STOP_SECONDS)
        except Exception as error:
            log.warning("lease_not_given_up", problem=type(error).__name__)

    def _keep(self) -> None:
        while not self._stopping.wait(RENEW_SECONDS if self.is_leading() else ASK_SECONDS):
            self.renew()
