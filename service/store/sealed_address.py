"""What an endpoint keeps to itself: its address, which may be all that is needed to post there, and its secrets."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime

from service.store.vault import Vault

MOST_EARLIER = 3


@dataclass(frozen=True)
class Earlier:
    """A secret that was replaced, and until when it signs all the same."""

    secret: str
    until: datetime


@dataclass(frozen=True)
class Address:
    """`secret` is None where nothing is signed."""

    url: str
    secret: str | None = None
    earlier: tuple[Earlier, ...] = ()

    def secrets(self, now: datetime) -> list[str]:
        """All that sign now, the newest first."""
        current = [] if self.secret is None else [self.secret]
        return current + [one.secret for one in self.earlier if one.until > now]

    def rotated(self, secret: str, until: datetime, now: datetime) -> Address:
        """The same with a new secret; those before it sign until their times have come."""
        replaced = [] if self.secret is None or until <= now else [Earlier(self.secret, until)]
        kept = [one for one in self.earlier if one.until > now]
        return replace(self, secret=secret, earlier=tuple([*replaced, *kept][:MOST_EARLIER]))


def seal(vault: Vault, address: Address) -> bytes:
    """An address as it is stored."""
    values = {"url": address.url}
    if address.secret is not None:
        values["secret"] = address.secret
    if address.earlier:
        values["earlier"] = json.dumps([[one.secret, one.until.isoformat()] for one in address.earlier])
    return vault.seal(values)


def unseal(vault: Vault, sealed: bytes) -> Address:
    """An address as it was; raises cryptography.fernet.InvalidToken under another key."""
    values = vault.open(sealed)
    earlier = json.loads(values.get("earlier", "[]"))
    kept = tuple(Earlier(secret, datetime.fromisoformat(until)) for secret, until in earlier)
    return Address(values["url"], values.get("secret"), kept)
