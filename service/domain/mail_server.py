"""The mail server that an operator names: `smtps://user:password@host:465`, or `smtp://host:587` with STARTTLS."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

PORTS = {"smtps": 465, "smtp": 587}


@dataclass(frozen=True)
class MailServer:
    """`is_tls`: TLS from the first byte; else it is begun where the server offers it, and always before a password."""

    host: str
    port: int
    is_tls: bool
    sender: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)


def mail_server(url: str, sender: str) -> MailServer:
    """What a setting says; raises ValueError, which repeats no password, for one that says nothing."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("the port is a number, and signs such as '/' in a password are written as %2F") from None
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError("must be smtps://user:password@host:465 or smtp://user:password@host:587")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("holds nothing behind the port; signs such as '/' in a password are written as %2F")
    return MailServer(
        host=parts.hostname,
        port=port or PORTS[parts.scheme],
        is_tls=parts.scheme == "smtps",
        sender=sender,
        user=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
    )
