"""Names looked up beside one another: the system's lookup cannot be stopped, and one that hangs keeps only its own name
waiting."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from ipaddress import ip_address

from service.flow.apart import apart

Find = Callable[[str, int], Sequence[str]]
MOST_UNDER_WAY = 300


def by_system(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, best first; raises OSError where there are none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class Lookups:
    """`find` is how a name is looked up. One lookup of a name serves all who ask for it meanwhile."""

    def __init__(self, find: Find = by_system) -> None:
        self._find = find
        self._lock = threading.Lock()
        self._under_way: dict[tuple[str, int], Future[Sequence[str]]] = {}

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a host. Raises OSError where there are none, or where too many lookups hang."""
        if _is_address(host):
            return [host]
        return await asyncio.wrap_future(self._begin(host, port))

    def _begin(self, host: str, port: int) -> Future[Sequence[str]]:
        key = (host, port)
        with self._lock:
            if (found := self._under_way.get(key)) is not None:
                return found
            if len(self._under_way) >= MOST_UNDER_WAY:
                raise OSError(f"{MOST_UNDER_WAY} names are being looked up already")
            future = apart(lambda: self._look(key), f"lookup-{host}"[:40])
            self._under_way[key] = future
        return future

    def _look(self, key: tuple[str, int]) -> Sequence[str]:
        try:
            return self._find(*key)
        finally:
            with self._lock:
                self._under_way.pop(key, None)
