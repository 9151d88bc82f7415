"""How long and how large an answer may be: httpx2 bounds each wait for a part of one, and never the whole."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import httpx2

# A page of a hundred jobs, each with its script in its environment, is some ten.
MOST_BYTES = 64 * 2**20
# Of a packed answer nobody knows how large it is before it is unpacked.
MOST_PACKED_BYTES = 16 * 2**20
# A line of a log; what is longer is passed over.
MOST_CHARACTERS = 2**20
BEGAN = "tunegate_began"


class OutOfTime(Exception):
    """A stream goes on for longer than it is read."""


def note_beginning(request: httpx2.Request) -> None:
    """To be called for each request before it is sent."""
    request.extensions[BEGAN] = time.monotonic()


def bound(response: httpx2.Response) -> None:
    """To be called for each answer before its body is read: that comes within the sum of the request's timeouts."""
    assert isinstance(response.stream, httpx2.SyncByteStream)
    waits = response.request.extensions.get("timeout", {}).values()
    stops_at = response.request.extensions[BEGAN] + sum(wait for wait in waits if wait is not None)
    is_packed = response.headers.get("content-encoding", "identity") != "identity"
    response.stream = _Bounded(response.stream, stops_at, MOST_PACKED_BYTES if is_packed else MOST_BYTES)


class _Bounded(httpx2.SyncByteStream):
    def __init__(self, stream: httpx2.SyncByteStream, stops_at: float, most: int) -> None:
        self._stream = stream
        self._stops_at = stops_at
        self._most = most

    def __iter__(self) -> Iterator[bytes]:
        read = 0
        for part in self._stream:
            read += len(part)
            if read > self._most:
                raise httpx2.ReadError("the answer is larger than is read here")
            if time.monotonic() > self._stops_at:
                raise httpx2.ReadTimeout("the answer did not come to its end in time")
            yield part

    def close(self) -> None:
        self._stream.close()


def lines(texts: Iterable[str], stops_at: float | None) -> Iterator[str]:
    """The lines of server-sent events, which end with CR, LF or both and with nothing else (httpx2's own reader tears
    them at U+2028, too, which JSON lets stand). Raises OutOfTime."""
    held, is_too_long, ended_with_cr = "", False, False
    for text in texts:
        if stops_at is not None and time.monotonic() > stops_at:
            raise OutOfTime
        if ended_with_cr and text.startswith("\n"):
            text = text[1:]
        ended_with_cr = text.endswith("\r")
        *whole, rest = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for line in whole:
            if not is_too_long and len(held) + len(line) <= MOST_CHARACTERS:
                yield held + line
            held, is_too_long = "", False
        if is_too_long or len(held) + len(rest) > MOST_CHARACTERS:
            held, is_too_long = "", True
        else:
            held += rest
    if held:
        yield held
