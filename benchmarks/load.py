"""Many clients at once, each sending its next request when its last is answered: raw HTTP over kept connections.

The client is thin on purpose: on a machine with two cores it shares what it measures.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httptools
import uvloop

from benchmarks.report import percentile

# What the answers of a measurement are looked at with: status and body.
Look = Callable[[int, bytes], None]


@dataclass
class Driven:
    """What came of it: answers by status (0: the connection broke), and seconds from a request to its whole answer."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Answers, of whatever status."""
        return self.statuses.total() / self.seconds

    def percentile(self, percent: float) -> float:
        """A latency in seconds that so many percent of the requests stayed below."""
        return percentile(self.latencies, percent)


def request(method: str, path: str, body: Any = None, **headers: str) -> bytes:
    """One request as bytes; the names of headers with _ for -."""
    content = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body is not None:
        lines += ["content-type: application/json", f"content-length: {len(content)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def drive(port: int, requests: Iterator[bytes], clients: int, seconds: float, look: Look | None = None) -> Driven:
    """So many clients on 127.0.0.1 for so long, or until there are no requests left."""
    return uvloop.run(_drive(port, requests, clients, seconds, look))


async def _drive(port: int, requests: Iterator[bytes], clients: int, seconds: float, look: Look | None) -> Driven:
    found = Driven()
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    talks = []
    for _ in range(clients):
        _, client = await loop.create_connection(
            lambda: _Client(requests, started + seconds, found, look), "127.0.0.1", port
        )
        talks.append(client.over)
    await asyncio.gather(*talks)
    found.seconds = time.perf_counter() - started
    return found


class _Client(asyncio.Protocol):
    """One connection that always has one request under way."""

    def __init__(self, requests: Iterator[bytes], stops_at: float, found: Driven, look: Look | None) -> None:
        self._requests, self._stops_at, self._found, self._look = requests, stops_at, found, look
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._body = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        now = time.perf_counter()
        status = self._parser.get_status_code()
        self._found.latencies.append(now - self._sent_at)
        self._found.statuses[status] += 1
        if self._look is not None:
            self._look(status, self._body)
        self._next()

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.over.done():
            self._found.statuses[0] += 1
            self.over.set_result(None)

    def _next(self) -> None:
        following = next(self._requests, None) if time.perf_counter() < self._stops_at else None
        if following is None:
            self.over.set_result(None)
            self._transport.close()
            return
        self._parser, self._body = httptools.HttpResponseParser(self), b""
        self._sent_at = time.perf_counter()
        self._transport.write(following)  # type: ignore[attr-defined]
