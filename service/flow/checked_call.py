"""A call to an address that a caller chose: looked up once, checked, and connected to as it was checked."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2

from service.domain.target import address_refusal

PORTS = {"https": 443, "http": 80}


class ForbiddenTarget(Exception):
    """An address that must not be called; the message says why."""


async def checked_call(
    method: str, url: str, headers: Mapping[str, str], allowed: Sequence[str], content: bytes | None = None
) -> dict[str, Any]:
    """The arguments of httpx2's `stream` for this call. Raises ForbiddenTarget, or OSError where the name is not found.
    The name is not looked up again, so that it cannot change its mind between the check and the call."""
    parsed = httpx2.URL(url)
    port = parsed.port or PORTS.get(parsed.scheme, 443)
    address = await asyncio.to_thread(_checked_address, parsed.host, port, tuple(allowed))
    return {
        "method": method,
        "url": parsed.copy_with(host=address),
        "content": content,
        "headers": {"host": parsed.netloc.decode(), **headers},
        # the certificate is checked against the name, although the connection goes to the address
        "extensions": {"sni_hostname": parsed.host},
    }


def _checked_address(host: str, port: int, allowed: tuple[str, ...]) -> str:
    """One address of a host, all of which may be called."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if (refusal := address_refusal(host, addresses, allowed)) is not None:
        raise ForbiddenTarget(refusal)
    return addresses[0]
