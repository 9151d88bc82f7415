"""Secrets at rest: authenticated encryption (Fernet) under the installation's keys, and the keyed hash of bodies.

Several keys may be there while one follows another: the first seals, each opens.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

Seals = tuple[Fernet, ...]


@dataclass(frozen=True)
class Own:
    """What an installation derives from for itself, whatever its secret key is: kept sealed in its row, so that another
    key changes no hash of a body and no callback's URL."""

    hash_key: str
    token_key: str

    @staticmethod
    def new() -> Own:
        """Random, of 256 bits each."""
        return Own(secrets.token_hex(32), secrets.token_hex(32))


class Vault:
    """Seals and opens under one secret key or several; hashes and derives under the installation's `own` keys (new ones
    where none are given).

    `reread` gives the keys as they are now, where they may change while this process runs (None: nobody knows). They
    are asked for before each seal, and where one cannot be opened.
    """

    def __init__(
        self, secret_keys: str, own: Own | None = None, reread: Callable[[], str | None] = lambda: None
    ) -> None:
        self._keys = secret_keys, _seals(secret_keys)
        self._reread = reread
        self._own = own or Own.new()

    def seal(self, values: Mapping[str, str]) -> bytes:
        """Encrypt names and values together, under the first key."""
        self._take_over()
        _, seals = self._keys
        return seals[0].encrypt(json.dumps(dict(values)).encode())

    def open(self, sealed: bytes) -> dict[str, str]:
        """What was sealed; raises cryptography.fernet.InvalidToken under other keys."""
        try:
            plain = MultiFernet(self._keys[1]).decrypt(sealed)
        except InvalidToken:
            self._take_over()
            plain = MultiFernet(self._keys[1]).decrypt(sealed)
        opened: dict[str, str] = json.loads(plain)
        return opened

    def resealed(self, sealed: bytes) -> bytes | None:
        """The same under the first key; None where it is that already. Raises InvalidToken where no key opens it."""
        _, seals = self._keys
        try:
            seals[0].decrypt(sealed)
        except InvalidToken:
            return MultiFernet(seals).rotate(sealed)
        return None

    def body_hmac(self, body: Any) -> str:
        """A keyed hash of a JSON body: equal for equal values, whatever their order and spacing; it gives no secret
        away."""
        canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        key = self._own.hash_key.encode()
        return hmac.new(key, canonical.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()

    def token_for(self, purpose: str) -> str:
        """What only this installation can make, the same each time: 256 bits, in hexadecimal."""
        return hmac.new(self._own.token_key.encode(), purpose.encode(), hashlib.sha256).hexdigest()

    def _take_over(self) -> None:
        now = self._reread()
        if now is not None and now != self._keys[0]:
            self._keys = now, _seals(now)


def keys_in(text: str) -> list[str]:
    """The secret keys of a setting or a file, apart by commas or lines; the first seals. Raises ValueError for none."""
    keys = [key.strip() for key in re.split(r"[,\r\n]", text) if key.strip()]
    if not keys:
        raise ValueError("there is no secret key: to seal under an empty one would look like sealing")
    return keys


def _seals(text: str) -> Seals:
    return tuple(Fernet(base64.urlsafe_b64encode(_derive(key))) for key in keys_in(text))


def _derive(secret_key: str) -> bytes:
    return hmac.new(secret_key.encode(), b"tunegate/seal", hashlib.sha256).digest()
