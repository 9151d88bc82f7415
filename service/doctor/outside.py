"""What is reached over the network: webhook endpoints, and the service itself."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2
from cryptography.fernet import InvalidToken

from service.assembly import home_of
from service.doctor.finding import Finding
from service.domain.target import DEFAULT_PORTS, url_refusal
from service.settings import Settings
from service.store import webhooks
from service.store.db import Database
from service.store.sealed_address import unseal
from service.store.tables import Endpoint

CONNECT_SECONDS = 5.0
DEFAULT_URL = "http://127.0.0.1:8080"


def endpoints(settings: Settings) -> Iterator[Finding]:
    """Whether a connection to each can be made; nothing is sent. E-mail goes by TUNEGATE_SMTP_URL."""
    here = home_of(settings)
    if not here.has_key():
        return  # told of above; asked for, one would be made
    db = Database(settings.database_url)
    try:
        with db.read() as session:
            rows = webhooks.page(session, None, None, None, 200)
        if not rows:
            yield Finding("webhooks", "ok", "there are none")
        for row in rows:
            if row.kind != "email":
                yield _endpoint(row, settings, unseal(here.vault(), row.sealed_address).url)
    except InvalidToken:
        yield Finding("webhooks", "fault", "their addresses cannot be opened", "See the secret key above.")
    finally:
        db.close()


def _endpoint(row: Endpoint, settings: Settings, url: str) -> Finding:
    again = f"`tunegate webhooks test {row.id}` sends a letter."
    if row.disabled_at is not None:
        why = row.disabled_because or "by hand"
        return Finding("webhooks", "warning", f"{row.id} is off: {why}", f"`tunegate webhooks enable {row.id}`.")
    if (refusal := url_refusal(url, settings.webhook_allowed_targets)) is not None:
        return Finding(
            "webhooks",
            "fault",
            f"{row.id}: {refusal}",
            "TUNEGATE_WEBHOOK_ALLOWED_TARGETS lets private ones through.",
        )
    parts = urlsplit(url)
    place = (parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme])
    try:
        socket.create_connection(place, timeout=CONNECT_SECONDS).close()
    except OSError as error:
        return Finding("webhooks", "fault", f"{row.id}: {place[0]}:{place[1]}: {error.strerror or error}", again)
    if row.failing_since is not None:
        return Finding("webhooks", "warning", f"{row.id} can be reached, and answers with errors", again)
    return Finding("webhooks", "ok", f"{row.id}: {place[0]} can be reached")


def service(settings: Settings) -> Iterator[Finding]:
    """What the service says of itself, where it runs."""
    url = (os.environ.get("TUNEGATE_URL") or settings.public_url or DEFAULT_URL).rstrip("/")
    try:
        with httpx2.Client(timeout=CONNECT_SECONDS, trust_env=False) as http:
            answer = http.get(f"{url}/readyz")
            told = answer.json()
            is_ready, checks = bool(told["ready"]), dict(told["checks"])
    except (httpx2.HTTPError, ValueError, KeyError, TypeError, httpx2.InvalidURL):
        is_named = bool(os.environ.get("TUNEGATE_URL") or os.environ.get("TUNEGATE_KEY"))
        yield Finding(
            "service",
            "fault" if is_named else "warning",
            f"nothing like it answers at {url}",
            "`tunegate serve`; TUNEGATE_URL says where it is.",
        )
        return
    if not is_ready:
        yield Finding("service", "fault", f"{url} is not ready: {checks}", "Its log says why.")
        return
    yield Finding("service", "ok", f"{url} is ready, {checks.get('queued_runs', 0)} runs wait")
    yield from _key(url)
    if checks.get("hub") not in ("ok", "unknown"):
        yield Finding(
            "service", "warning", f"its last call of Hugging Face: {checks['hub']}", "See Hugging Face above."
        )


def _key(url: str) -> Iterator[Finding]:
    """Whether the service knows the key that the commands of this machine send."""
    if not (key := os.environ.get("TUNEGATE_KEY")):
        return
    try:
        with httpx2.Client(timeout=CONNECT_SECONDS, trust_env=False) as http:
            status = http.get(f"{url}/me", headers={"authorization": f"Bearer {key}"}).status_code
    except (httpx2.HTTPError, ValueError):  # a ValueError: characters that no key has
        status = 401
    if status in (401, 403):
        yield Finding(
            "service",
            "fault",
            f"TUNEGATE_KEY is no key that {url} knows",
            "Set it to one that is valid: `tunegate keys create` makes one; the admin's is in TUNEGATE_ADMIN_KEY or "
            "admin.key.",
        )
