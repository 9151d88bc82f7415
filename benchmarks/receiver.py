"""A receiver of webhooks that costs next to nothing: `python -m benchmarks.receiver PORT HANGING_PORT`.

What arrives at PORT is answered with 204 at once and noted; GET there hands out what was noted since the last time: the
id, the path and the time of arrival of each letter, and every hundredth one whole. HANGING_PORT takes connections and
never answers.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import httptools
import uvloop

ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
WHOLE_EVERY = 100


class Notes:
    """What has arrived since it was last handed out."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, str, float]] = []
        self.whole: list[dict[str, Any]] = []

    def handed_out(self) -> bytes:
        """All of it as one answer; forgotten then."""
        body = json.dumps({"letters": self.letters, "whole": self.whole}).encode()
        self.letters, self.whole = [], []
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


class Taking(asyncio.Protocol):
    """One connection, kept as long as the other side likes."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._headers: dict[str, str] = {}
        self._path, self._body = "", b""

    def on_url(self, url: bytes) -> None:
        self._path = url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        answer = ANSWER
        if self._parser.get_method() == b"GET":
            answer = self._notes.handed_out()
        else:
            self._notes.letters.append((self._headers["webhook-id"], self._path, time.time()))
            if len(self._notes.letters) % WHOLE_EVERY == 1:
                self._notes.whole.append({"headers": self._headers, "body": self._body.decode()})
        self._transport.write(answer)  # type: ignore[attr-defined]
        if not self._parser.should_keep_alive():
            self._transport.close()


async def _serve(port: int, hanging_port: int) -> None:
    loop = asyncio.get_running_loop()
    notes = Notes()
    await loop.create_server(asyncio.Protocol, "127.0.0.1", hanging_port, backlog=1024)
    taking = await loop.create_server(lambda: Taking(notes), "127.0.0.1", port, backlog=1024)
    await taking.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), int(sys.argv[2])))
