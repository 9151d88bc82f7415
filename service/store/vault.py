"""Secrets at rest: authenticated encryption (Fernet) under the installation's key, and the keyed hash of bodies."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from cryptography.fernet import Fernet


class Vault:
    """Seals and opens. A key is derived from the one secret for each use, so that none weakens another; `key_check` is
    one more value of it, kept with what was sealed: another secret has another one."""

    def __init__(self, secret_key: str) -> None:
        self._fernet = Fernet(base64.urlsafe_b64encode(_derive(secret_key, "seal")))
        self._hash_key = _derive(secret_key, "hash")
        self._token_key = _derive(secret_key, "token")
        self.key_check = _derive(secret_key, "check").hex()

    def seal(self, values: Mapping[str, str]) -> bytes:
        """Encrypt names and values together."""
        return self._fernet.encrypt(json.dumps(dict(values)).encode())

    def open(self, sealed: bytes) -> dict[str, str]:
        """What was sealed; raises cryptography.fernet.InvalidToken under another key."""
        opened: dict[str, str] = json.loads(self._fernet.decrypt(sealed))
        return opened

    def body_hmac(self, body: Any) -> str:
        """A keyed hash of a JSON body: equal for equal values, whatever their order and spacing; it gives no secret
        away."""
        canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hmac.new(self._hash_key, canonical.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()

    def token_for(self, purpose: str) -> str:
        """What only this installation can make, the same each time: 256 bits, in hexadecimal."""
        return hmac.new(self._token_key, purpose.encode(), hashlib.sha256).hexdigest()


def _derive(secret_key: str, use: str) -> bytes:
    return hmac.new(secret_key.encode(), f"tunegate/{use}".encode(), hashlib.sha256).digest()
