"""Where a webhook may go, and where a script may be fetched from. By default only public addresses over https: an
address inside the network would let anyone with a key make this service call what the outside cannot reach.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

# IPv6 clothes of IPv4 addresses that Python's library does not take off itself (RFC 6052, RFC 4291 2.5.5.1)
NAT64 = ip_network("64:ff9b::/96")
COMPATIBLE = ip_network("::/96")
# All that is given out of IPv6 (IANA: global unicast). What else calls itself global is a translator's or nobody's.
GLOBAL_UNICAST = ip_network("2000::/3")
# Readers of addresses disagree about these: some drop them, some take a backslash for a slash.
MISREAD = re.compile(r"[\x00-\x20\x7f\\]")
# Older ways to write an IPv4 address (`2130706433`, `0177.0.0.1`, `0x7f.1`); no name ends so (WHATWG URL, 4.5).
NUMBER = re.compile(r"(?:.*\.)?(?:\d+|0[xX][\da-fA-F]*)")
DEFAULT_PORTS = {"https": 443, "http": 80}


def url_refusal(
    url: str, allowed: Sequence[str], what: str = "an endpoint's address", ports: Collection[int] | None = None
) -> str | None:
    """Why an address is not accepted, or None. Names are looked up when it is called. `ports`: those that are taken of
    a target that the operator has not allowed; any where None."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError as error:
        return str(error)
    if (refusal := _form_refusal(url, parts, host, what)) is not None:
        return refusal
    addresses = [host] if _is_address(host) else []
    if _is_allowed(host, addresses, allowed):
        return None
    if host == "localhost" or host.endswith(".localhost"):
        return f"{host} is this machine itself"
    if (refusal := address_refusal(host, addresses, allowed)) is not None:
        return refusal
    if parts.scheme == "http":
        return f"{what} begins with https://; plain http only where the operator allows the target"
    if ports is not None and (DEFAULT_PORTS[parts.scheme] if port is None else port) not in ports:
        named = " or ".join(str(one) for one in sorted(ports))
        return f"{what} has the port {named}; another one only where the operator allows the target"
    return None


def _form_refusal(url: str, parts: SplitResult, host: str, what: str) -> str | None:
    """What is wrong with an address however public it is."""
    if parts.scheme not in ("https", "http") or not host:
        return f"{what} begins with https://"
    if MISREAD.search(url):
        return f"{what} holds no blank, no backslash and no control character"
    if "@" in parts.netloc:
        return f"{what} holds no user name and no password"
    if not host.isascii() or ("%" in host and ":" not in host):
        return f"{what} has a name of plain letters; one with others is written in its xn-- form"
    if NUMBER.fullmatch(host) and not _is_address(host):
        return f"'{host}' is no name, and an address is written as four decimal numbers"
    return None


def address_refusal(host: str, addresses: Iterable[str], allowed: Sequence[str]) -> str | None:
    """Why a host must not be called at these addresses, or None."""
    addresses = list(addresses)
    if _is_allowed(host, addresses, allowed):
        return None
    for address in addresses:
        if not _is_public(address):
            at = "" if host == address else f" is at {address}, which"
            return f"{host}{at} is not a public address"
    return None


def _is_allowed(host: str, addresses: Sequence[str], allowed: Sequence[str]) -> bool:
    if any("/" not in target and host.lower() == target.lower() for target in allowed):
        return True
    networks = [ip_network(target, strict=False) for target in allowed if "/" in target or _is_address(target)]
    return (
        bool(addresses)
        and all(_is_public(address) or any(_plain(address) in network for network in networks) for address in addresses)
        and any(_plain(address) in network for address in addresses for network in networks)
    )


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_public(address: str) -> bool:
    plain = _plain(address)
    is_given_out = isinstance(plain, IPv4Address) or plain in GLOBAL_UNICAST
    return plain.is_global and not plain.is_multicast and is_given_out


def _plain(address: str) -> IPv4Address | IPv6Address:
    """An address without the IPv6 clothes of an IPv4 one (::ffff:127.0.0.1)."""
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address):
        if parsed in NAT64 or parsed in COMPATIBLE:
            return IPv4Address(int(parsed) & 0xFFFFFFFF)
        return parsed.ipv4_mapped or parsed.sixtofour or parsed
    return parsed
