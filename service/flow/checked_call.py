"""A call to an address that a caller chose: looked up once, checked, and connected to as it was checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx2

from service.domain.target import address_refusal
from service.flow.exchange import Place
from service.flow.lookups import Lookups

PORTS = {"https": 443, "http": 80}
LOOKUPS = Lookups()


class ForbiddenTarget(Exception):
    """An address that must not be called; the message says why."""


async def checked_call(
    method: str,
    url: str,
    headers: Mapping[str, str],
    allowed: Sequence[str],
    content: bytes | None = None,
    lookups: Lookups = LOOKUPS,
) -> dict[str, Any]:
    """The arguments of httpx2's `stream` for this call. Raises ForbiddenTarget, or OSError where the name is not
    found."""
    parsed, place = await checked_place(url, allowed, lookups)
    return {
        "method": method,
        "url": parsed.copy_with(host=place.address),
        "content": content,
        "headers": {"host": parsed.netloc.decode(), **headers},
        # the certificate is checked against the name, although the connection goes to the address
        "extensions": {"sni_hostname": place.name},
    }


async def checked_place(url: str, allowed: Sequence[str], lookups: Lookups = LOOKUPS) -> tuple[httpx2.URL, Place]:
    """An address as it is read, and where to connect for it; raises as `checked_call` does. The name is not looked up
    again, so that it cannot change its mind between the check and the call."""
    parsed = httpx2.URL(url)
    port = PORTS.get(parsed.scheme, 443) if parsed.port is None else parsed.port
    host = parsed.host.rstrip(".")
    if (urlsplit(url).hostname or "").rstrip(".").partition("%")[0] != host.partition("%")[0].lower():
        raise ForbiddenTarget("its host is not read by everybody in the same way")
    address = _checked(host, await lookups.addresses(host, port), allowed)
    return parsed, Place(address, port, host, parsed.scheme == "https")


def _checked(host: str, addresses: Sequence[str], allowed: Sequence[str]) -> str:
    """One address of a host, all of which may be called."""
    if (refusal := address_refusal(host, addresses, allowed)) is not None:
        raise ForbiddenTarget(refusal)
    return addresses[0]
