"""A session's cookie goes along with every request of the browser, whoever's page made it: a request that changes
something must show that it comes from our own pages (OWASP, Cross-Site Request Forgery Prevention)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

from service.domain.errors import NotAllowed

# `__Host-`: over https (or from this machine) only, for this host and the whole of it, set by no other host.
COOKIE = "__Host-tunegate"
HEADER = "x-csrf-token"


def token_of(cookie: str) -> str:
    """What a page of the session sends along: a value that only who has the cookie can know."""
    return hmac.new(cookie.encode("utf-8", "surrogateescape"), b"tunegate/csrf", hashlib.sha256).hexdigest()


def refuse_foreign(headers: Mapping[str, str], cookie: str, given: str | None = None) -> None:
    """Raise NotAllowed for a request that another site's page made, or without the session's token, `given` in a form's
    field or in the header."""
    refuse_other_sites(headers)
    if not hmac.compare_digest((given or headers.get(HEADER, "")).encode(), token_of(cookie).encode()):
        raise NotAllowed(
            "a session changes something only with its token",
            remedy=f"Send the page's token as '{HEADER}', or use a key.",
        )


def refuse_other_sites(headers: Mapping[str, str]) -> None:
    """Raise NotAllowed where the browser says that another site's page made the request: by Fetch Metadata, or in older
    ones by the origin."""
    is_own = headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    if "sec-fetch-site" not in headers and "origin" in headers:
        is_own = urlsplit(headers["origin"]).netloc == headers.get("host")
    if not is_own:
        raise NotAllowed("the request comes from another site's page", remedy="Use the pages of this service.")
