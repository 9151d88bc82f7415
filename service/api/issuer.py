"""An OpenID Connect issuer: its keys, its tokens, and what their claims are worth here.

Facts: OpenID Connect Core 1.0 (3.1.3.7: what must hold of an ID token), Discovery 1.0, RFC 9068 and RFC 8725 (only
algorithms with a public key; `none` and shared secrets would let anyone write a token).
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import httpx2
import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from service.domain.errors import IssuerDown, NotAuthenticated
from service.domain.grants import Grant

log = structlog.get_logger()
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
DISCOVERY = "/.well-known/openid-configuration"
LEEWAY_SECONDS = 60
TIMEOUT_SECONDS = 5
MAX_BYTES = 1024 * 1024
# Keys are read anew when they are this old, and for a token of an unknown key at most this often.
KEYS_VALID_FOR = timedelta(hours=1)
KEYS_ASKED_EVERY = timedelta(seconds=30)


@dataclass(frozen=True)
class Terms:
    """What the operator says of the issuer. `user_claim` names a user, the values of `claim` are looked up in
    `grants`."""

    issuer: str
    client_id: str
    client_secret: str | None
    audiences: tuple[str, ...]
    user_claim: str
    claim: str
    scope: str
    grants: tuple[Grant, ...]


@dataclass
class _Known:
    """What was read of the issuer."""

    places: Mapping[str, Any] | None = None
    keys: KeySet | None = None
    read_at: datetime | None = None
    asked_at: datetime | None = None


@dataclass(frozen=True)
class Issuer:
    """Asks the issuer as seldom as possible, and never where a token's form is wrong already."""

    terms: Terms
    clock: Callable[[], datetime]
    _known: _Known = field(default_factory=_Known)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def claims(self, token: str, nonce: str | None = None, audiences: tuple[str, ...] | None = None) -> dict[str, Any]:
        """What a token says, once it is certain that the issuer said so, for us, and that it holds still. `nonce`: the
        one that its sign-in was begun with. Raises NotAuthenticated, and IssuerDown where the keys cannot be read."""
        decoded = self._decoded(token, self._keys())
        if decoded is None:
            decoded = self._decoded(token, self._keys(is_unknown=True))
        if decoded is None:
            raise NotAuthenticated("the token is not signed by the issuer", remedy="Sign in anew.")
        registry = jwt.JWTClaimsRegistry(
            now=int(self.clock().timestamp()),
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": self.terms.issuer},
            aud={"essential": True, "values": list(audiences or self.terms.audiences)},
            exp={"essential": True},
        )
        try:
            registry.validate(decoded.claims)
        except JoseError as error:
            raise NotAuthenticated(f"the token does not hold: {error.description or error.error}") from None
        if nonce is not None and decoded.claims.get("nonce") != nonce:
            raise NotAuthenticated("the token is of another sign-in", remedy="Begin anew at /sign-in.")
        return dict(decoded.claims)

    def place(self, name: str) -> str:
        """An address that the issuer publishes, such as `token_endpoint`; raises IssuerDown where it has none."""
        self._keys()
        address = (self._known.places or {}).get(name)
        if not isinstance(address, str):
            raise IssuerDown(f"the issuer publishes no {name}")
        return address

    def exchange(self, code: str, verifier: str, redirect_uri: str) -> str:
        """The ID token for a code of the authorization endpoint (RFC 6749 4.1.3, RFC 7636). Raises NotAuthenticated
        where the issuer refuses the code, and IssuerDown."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
            "client_id": self.terms.client_id,
        }
        secret = self.terms.client_secret
        auth = None if secret is None else httpx2.BasicAuth(self.terms.client_id, secret)
        answer = _call("POST", self.place("token_endpoint"), data=form, auth=auth)
        if not isinstance(token := answer.get("id_token"), str):
            raise NotAuthenticated("the issuer gave no token for the sign-in", remedy="Begin anew at /sign-in.")
        return token

    def _decoded(self, token: str, keys: KeySet) -> jwt.Token | None:
        """A token whose signature holds; None where another key may have made it."""
        try:
            return jwt.decode(token, keys, algorithms=ALGORITHMS)
        except (JoseError, ValueError, TypeError):  # a header may hold anything: "crit": 1
            return None

    def _keys(self, *, is_unknown: bool = False) -> KeySet:
        """The issuer's keys as they are known; read anew where they are old, or where one `is_unknown`."""
        with self._lock:
            known, now = self._known, self.clock()
            is_old = known.read_at is None or now - known.read_at > KEYS_VALID_FOR
            was_asked = known.asked_at is not None and now - known.asked_at < KEYS_ASKED_EVERY
            if known.keys is None or ((is_old or is_unknown) and not was_asked):
                known.asked_at = now
                try:
                    self._read(known, now)
                except IssuerDown:
                    if known.keys is None:
                        raise
                    log.warning("issuer_unavailable", issuer=self.terms.issuer)
            assert known.keys is not None
            return known.keys

    def _read(self, known: _Known, now: datetime) -> None:
        places = _call("GET", self.terms.issuer.rstrip("/") + DISCOVERY)
        if places.get("issuer") != self.terms.issuer:
            raise IssuerDown(f"the issuer calls itself {places.get('issuer')!r}, not {self.terms.issuer!r}")
        try:
            keys = KeySet.import_key_set(_call("GET", str(places.get("jwks_uri"))))  # type: ignore[arg-type]
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise IssuerDown(f"the issuer's keys cannot be read ({type(error).__name__})") from None
        known.places, known.keys, known.read_at = places, keys, now


@cache
def _tls() -> ssl.SSLContext:
    """The certificates that count. Reading them takes longer than a call to an issuer that is near."""
    return httpx2.create_ssl_context(trust_env=False)


def _call(method: str, url: str, **kwargs: Any) -> dict[str, Any]:
    """A JSON object that the issuer answers; raises IssuerDown for anything else, and NotAuthenticated for a refusal
    (400, 401) of what was posted. Redirects are not followed: the secret would go along."""
    try:
        with (
            httpx2.Client(follow_redirects=False, timeout=TIMEOUT_SECONDS, trust_env=False, verify=_tls()) as client,
            client.stream(method, url, headers={"accept": "application/json"}, **kwargs) as answer,
        ):
            content = b""
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > MAX_BYTES:
                    raise IssuerDown("the issuer's answer has no end")
            status = answer.status_code
        if method == "POST" and status in (400, 401):
            raise NotAuthenticated("the issuer refused the sign-in", remedy="Begin anew at /sign-in.")
        found = json.loads(content) if status == 200 else None
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        raise IssuerDown(f"the issuer cannot be asked ({type(error).__name__})") from None
    if not isinstance(found, dict):
        raise IssuerDown(f"the issuer answered with HTTP {status}")
    return found
