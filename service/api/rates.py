"""How many requests one caller may send: by key or session where it is known to be valid, by address otherwise.

Counted in this process, before anything is looked up. Keys cannot be tried: after a few wrong ones from an address,
only keys that were valid before are heard from it for a while.
"""

from __future__ import annotations

import hashlib
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from fastapi.security.utils import get_authorization_scheme_param
from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.problems import answer
from service.api.same_site import COOKIE
from service.domain.errors import RateLimited
from service.domain.rate import Rate

# Wrong keys of one address.
WRONG_KEYS = Rate(20, 60)
# Jobs call back from the few addresses of their provider, and each call carries a secret of its own.
CALLBACKS_FOLD = 10
MOST_KEYS = 10_000
NAME = '"default"'
# in the scope of what a page of this service asks the API for: no client can set it
COUNTED = "tunegate.counted"
# where a key is sent in a form
SIGN_IN = ("POST", "/sign-in")


@dataclass(frozen=True)
class Standing:
    """What one caller has left, and in how many seconds it is all there again."""

    quota: int
    seconds: int
    remaining: int
    reset_seconds: int

    def headers(self) -> dict[str, str]:
        """As draft-ietf-httpapi-ratelimit-headers-10 writes it."""
        return {
            "ratelimit-policy": f"{NAME};q={self.quota};w={self.seconds}",
            "ratelimit": f"{NAME};r={self.remaining};t={self.reset_seconds}",
        }


class Rates:
    """The counters of one process; without a rate nothing is counted. `clock` is the one by which `limits` counts, in
    seconds since 1970."""

    def __init__(self, rate: Rate | None = None, clock: Callable[[], float] = time.time) -> None:
        self.rate = rate
        self._clock = clock
        self._counters = FixedWindowRateLimiter(MemoryStorage())
        # who came with a valid key, by a hash that only this process can make
        self._pepper = secrets.token_bytes(32)
        self._valid: OrderedDict[bytes, None] = OrderedDict()

    def welcome(self, secret: str) -> None:
        """This key is valid."""
        mark = self._mark(secret)
        self._valid[mark] = None
        self._valid.move_to_end(mark)
        if len(self._valid) > MOST_KEYS:
            self._valid.popitem(last=False)

    def known(self, cookie: str | None) -> str:
        """A session's cookie where it is known to be valid, else nothing. One that is over is no wrong key: nobody
        guesses one."""
        return cookie if cookie is not None and self._mark(cookie) in self._valid else ""

    def refuse(self, secret: str, address: str) -> None:
        """It is not, or no longer."""
        self._valid.pop(self._mark(secret), None)
        self._hit(WRONG_KEYS, "wrong key", address)

    def enter(self, rate: Rate, secret: str, address: str, path: str, tries_key: bool) -> Standing:
        """Count a request; `secret` is empty where it has none, `tries_key` says whether it brings a key that may be
        wrong. Raises RateLimited."""
        mark = self._mark(secret)
        if path in ("/healthz", "/readyz"):
            who = "health", address
        elif path.startswith("/callbacks/"):
            rate = Rate(rate.quota * CALLBACKS_FOLD, rate.seconds)
            who = "callback", address
        elif mark in self._valid:
            who = "key", mark.hex()
        else:
            who = "address", address
            wrong = self._standing(WRONG_KEYS, "wrong key", address)
            if tries_key and wrong.remaining == 0:
                raise _limited("too many wrong keys came from this address", wrong)
        is_within = self._hit(rate, *who)
        standing = self._standing(rate, *who)
        if not is_within:
            raise _limited(f"more than {rate.quota} requests within {rate.seconds} seconds", standing)
        return standing

    def _hit(self, rate: Rate, *who: str) -> bool:
        return self._counters.hit(RateLimitItemPerSecond(rate.quota, rate.seconds), *who)

    def _standing(self, rate: Rate, *who: str) -> Standing:
        stats = self._counters.get_window_stats(RateLimitItemPerSecond(rate.quota, rate.seconds), *who)
        seconds = max(0, math.ceil(stats.reset_time - self._clock()))
        return Standing(rate.quota, rate.seconds, stats.remaining, seconds)

    def _mark(self, secret: str) -> bytes:
        return hashlib.blake2b(secret.encode("utf-8", "surrogatepass"), key=self._pepper, digest_size=16).digest()


class RateLimits:
    """Lets each caller send so many requests, and says on each answer how many are left."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        rates: Rates = scope["app"].state.tunegate.rates if scope["type"] == "http" else Rates()
        if rates.rate is None or COUNTED in scope:
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        secret = get_authorization_scheme_param(headers.get("authorization"))[1]
        session = cookie_parser(headers.get("cookie", "")).get(COOKIE)
        is_sign_in = (scope["method"], scope["path"]) == SIGN_IN
        # whoever has one key must not try others at the sign-in
        who = "" if is_sign_in else secret or rates.known(session)
        tries_key = bool(secret) or is_sign_in
        address = network_of(scope.get("client"))
        try:
            standing = rates.enter(rates.rate, who, address, scope["path"], tries_key)
        except RateLimited as error:
            return await answer(error)(scope, receive, send)

        async def send_with_standing(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(standing.headers())
                if message["status"] == 401 and tries_key:
                    rates.refuse(secret, address)
            await send(message)

        return await self._app(scope, receive, send_with_standing)


def network_of(client: tuple[str, int] | None) -> str:
    """What counts as one address: of IPv6 the /64 that a single subscriber is given."""
    host = client[0] if client else ""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    return str(ip_network((address, 64), strict=False)) if isinstance(address, IPv6Address) else host


def _limited(detail: str, standing: Standing) -> RateLimited:
    error = RateLimited(detail, retry_seconds=standing.reset_seconds, remedy="Wait as long as 'Retry-After' says.")
    error.headers |= standing.headers()
    return error
