"""Single files of repositories, whole or their beginning. Redirects are followed: files lie elsewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

import httpx2

from service.hub.faults import HubRefused, connection_fault
from service.hub.session import HubSession, check, headers

MAX_FILE_BYTES = 8 * 1024 * 1024  # tokenizer_config.json of some models holds thousands of added tokens
BEGINNING_BYTES = 64 * 1024
TOTAL = re.compile(r"bytes (?:\d+-\d+|\*)/(\d+)")


@dataclass(frozen=True)
class Beginning:
    """The first bytes of a file; `is_whole` where it has no more."""

    data: bytes
    is_whole: bool


class Downloads:
    """Reads files as one token sees them. Raises HubFault; a file too large to be read is HubRefused."""

    def __init__(self, session: HubSession, token: str) -> None:
        self._session = session
        self._token = token

    def whole(self, path: str) -> bytes:
        """All of a file, named as `{repository}/resolve/{revision}/{file}`."""
        data = self.no_larger(path, MAX_FILE_BYTES)
        if data is None:
            raise HubRefused(f"{path.rpartition('/')[2]} is larger than is read here")
        return data

    def no_larger(self, path: str, most: int) -> bytes | None:
        """All of a file; None where it takes more than so many bytes."""
        data, _ = self._read(path, most, None)
        return None if len(data) > most else data

    def beginning(self, path: str) -> Beginning:
        """The beginning of a file. An empty one has no part that could be asked for, and the Hub says so with 416."""
        try:
            data, total = self._read(path, BEGINNING_BYTES, f"bytes=0-{BEGINNING_BYTES - 1}")
        except HubRefused as error:
            if error.status == 416:
                return Beginning(b"", is_whole=True)
            raise
        known = len(data) if total is None and len(data) < BEGINNING_BYTES else total
        return Beginning(data[:BEGINNING_BYTES], is_whole=known is not None and known <= len(data))

    def probe(self, path: str) -> None:
        """Raise where a file is not given out."""
        self.beginning(path)

    def _read(self, path: str, most: int, part: str | None) -> tuple[bytes, int | None]:
        wanted = headers(self._token) | ({} if part is None else {"range": part})
        url = f"{self._session.endpoint}/{quote(path)}"
        try:
            with self._session.http.stream("GET", url, headers=wanted, follow_redirects=True) as response:
                if not response.is_success:
                    response.read()
                    check(response)
                held = b""
                for chunk in response.iter_bytes():
                    held += chunk
                    if len(held) > most:
                        break
                total = TOTAL.fullmatch(response.headers.get("content-range", ""))
                return held, None if total is None else int(total[1])
        except httpx2.HTTPError as error:
            raise connection_fault(error) from None
