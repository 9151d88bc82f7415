"""Where a webhook may go, and where a script may be fetched from. By default only public addresses over https: an
address inside the network would let anyone with a key make this service call what the outside cannot reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

# IPv6 clothes of IPv4 addresses that Python's library does not take off itself (RFC 6052, RFC 4291 2.5.5.1)
NAT64 = ip_network("64:ff9b::/96")
COMPATIBLE = ip_network("::/96")


def url_refusal(url: str, allowed: Sequence[str], what: str = "an endpoint's address") -> str | None:
    """Why an address is not accepted, or None. Names are looked up when it is called."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return str(error)
    if parts.scheme not in ("https", "http") or not host:
        return f"{what} begins with https://"
    if parts.username or parts.password:
        return f"{what} holds no user name and no password"
    addresses = [host] if _is_address(host) else []
    if _is_allowed(host, addresses, allowed):
        return None
    if host == "localhost" or host.endswith(".localhost"):
        return f"{host} is this machine itself"
    if (refusal := address_refusal(host, addresses, allowed)) is not None:
        return refusal
    if parts.scheme == "http":
        return f"{what} begins with https://; plain http only where the operator allows the target"
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
    is_local = isinstance(plain, IPv6Address) and plain.is_site_local
    return plain.is_global and not plain.is_multicast and not is_local


def _plain(address: str) -> IPv4Address | IPv6Address:
    """An address without the IPv6 clothes of an IPv4 one (::ffff:127.0.0.1)."""
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address):
        if parsed in NAT64 or parsed in COMPATIBLE:
            return IPv4Address(int(parsed) & 0xFFFFFFFF)
        return parsed.ipv4_mapped or parsed.sixtofour or parsed
    return parsed
