"""Who hears what committed works have told: this process at once, on PostgreSQL the other replicas too.

A group sends one NOTIFY inside its transaction, so PostgreSQL hands it on if and when the group is committed. One
thread per replica LISTENs. What it may have missed while it was cut off, it makes up for by telling everything.
"""

from __future__ import annotations

import selectors
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import structlog
from sqlalchemy import Connection, text

from service.store.topics import EVERYTHING, Topics

log = structlog.get_logger()
CHANNEL = "tunegate"
NOTIFY = text("SELECT pg_notify(:channel, :payload)")
# PostgreSQL takes less than 8,000 bytes.
MOST_BYTES = 7_900
PAUSE_SECONDS = 1.0
CLOSE_SECONDS = 1.0
# A connection that is cut without a word is found out within half a minute.
LINK = {"connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}

Hearer = Callable[[Topics], None]


class News:
    """Of one database in one process. Hearers are called in the thread that wrote, or the one that listens: they only
    ring a bell."""

    def __init__(self, url: str | None = None) -> None:
        """`url`: of the PostgreSQL that other replicas share; None where there are no others."""
        self._url = url
        self._name = uuid.uuid4().hex
        self._hearers: list[Hearer] = []
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._stop: socket.socket | None = None

    def hear(self, hearer: Hearer) -> None:
        """Have it called with the topics of each group that is committed."""
        self._hearers = [*self._hearers, hearer]  # another thread may be telling those that were there

    @contextmanager
    def hearing(self, hearer: Hearer) -> Iterator[None]:
        """Have it called so for a while."""
        self.hear(hearer)
        try:
            yield
        finally:
            self._hearers = [one for one in self._hearers if one is not hearer]

    def spread(self, topics: Topics) -> None:
        """Tell this process."""
        for hearer in self._hearers if topics else ():
            hearer(topics)

    def send(self, connection: Connection, topics: Topics) -> None:
        """Tell the other replicas, once the transaction is committed."""
        if self._url is None or not topics:
            return
        payload = " ".join([self._name, *sorted(topics)])
        if len(payload.encode()) > MOST_BYTES:
            payload = " ".join([self._name, *EVERYTHING])
        connection.execute(NOTIFY, {"channel": CHANNEL, "payload": payload})

    def listen(self) -> None:
        """Hear the other replicas from now on."""
        if self._url is not None:
            self._stop, stopped = socket.socketpair()
            listen = partial(self._listen, self._url, stopped)
            self._thread = threading.Thread(target=listen, name="listener", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Hear nobody any more."""
        self._stopping.set()
        if self._stop is not None and self._thread is not None:
            self._stop.close()
            self._thread.join(CLOSE_SECONDS)  # it may be at a database that does not answer

    def _listen(self, url: str, stopped: socket.socket) -> None:
        import psycopg  # of PostgreSQL's users alone

        with stopped:
            while not self._stopping.is_set():
                try:
                    self._listen_once(url, stopped)
                except (psycopg.Error, OSError) as error:
                    log.warning("listener_cut_off", error=str(error))
                    self._stopping.wait(PAUSE_SECONDS)

    def _listen_once(self, url: str, stopped: socket.socket) -> None:
        """Until the connection ends, or this process stops listening."""
        import psycopg

        with (
            psycopg.connect(url, autocommit=True, **LINK) as connection,  # type: ignore[arg-type]
            selectors.DefaultSelector() as selector,
        ):
            connection.execute(f"LISTEN {CHANNEL}")
            selector.register(connection.fileno(), selectors.EVENT_READ)
            selector.register(stopped, selectors.EVENT_READ)
            log.info("listening")
            self.spread(EVERYTHING)
            while not self._stopping.is_set():
                for notice in connection.notifies(timeout=0):
                    self._take(notice.payload)
                selector.select()

    def _take(self, payload: str) -> None:
        sender, *topics = payload.split(" ")
        if sender != self._name:  # what this process wrote, it has heard already
            self.spread(frozenset(topics))
