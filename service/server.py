"""The HTTP server of one process: uvicorn, with the bounds that it does not have by itself."""

from __future__ import annotations

import asyncio
import resource
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from types import FrameType

import uvicorn
from fastapi import FastAPI

from service.api.connections import MOST_CONNECTIONS, patient

# Streams of logs and events end with their readers; at a stop they are given so long.
STREAMS_SECONDS = 3
# Between two requests on one connection.
IDLE_SECONDS = 5
# Of the files that a process may open, so many are left to the database, to Hugging Face and to webhooks.
OTHER_FILES = 500
LEAST_CONNECTIONS = 100
# Of uvicorn's in a second: it renews the answers' date at each tenth.
TICKS = 10


def connections_for(streams: int) -> int:
    """How many connections there may be, so many streams among them: fewer where the system does not let this process
    have as many files. Of those it takes all that it may."""
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))
    wanted = streams + MOST_CONNECTIONS
    if most_files == resource.RLIM_INFINITY:
        return wanted
    return max(LEAST_CONNECTIONS, min(wanted, most_files - OTHER_FILES))


def config(
    app: FastAPI,
    host: str,
    port: int,
    trusted_proxies: Sequence[str] = (),
    most_connections: int = MOST_CONNECTIONS,
) -> uvicorn.Config:
    """What uvicorn runs. Whom a request comes from is told by the connection alone, or by proxies that are trusted."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=patient(most_connections),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=STREAMS_SECONDS,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
    )


class Server(uvicorn.Server):
    """Tells of a signal at once. By itself uvicorn first waits for its connections, of which streams never end; and it
    looks ten times a second whether there was a signal, which takes half of the CPU of an idle service."""

    def __init__(self, configured: uvicorn.Config, on_signal: Callable[[], None]) -> None:
        super().__init__(configured)
        self._on_signal = on_signal
        self._wake: Callable[[], object] = lambda: None

    async def main_loop(self) -> None:
        """As uvicorn's, with a tick for each second and for a signal."""
        loop, bell = asyncio.get_running_loop(), asyncio.Event()
        self._wake = partial(loop.call_soon_threadsafe, bell.set)
        seconds = 0
        while not await self.on_tick(seconds * TICKS):
            seconds += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(bell.wait(), 1)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal: in a thread of its own, as what is told may take seconds."""
        threading.Thread(target=self._on_signal, name="stop", daemon=True).start()
        super().handle_exit(sig, frame)
        self._wake()


def run(configured: uvicorn.Config, listener: socket.socket, on_signal: Callable[[], None]) -> None:
    """Answer until a signal ends it."""
    Server(configured, on_signal).run(sockets=[listener])
