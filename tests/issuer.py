"""A real OpenID Connect issuer as a process, and a person with a browser who signs in at it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

from service.cli.demo_parts import free_port

START_SECONDS = 20


def ask(method: str, url: str, **more: Any) -> httpx2.Response:
    """An answer over this machine's plain HTTP: to read the certificates of the world takes longer than the request."""
    return httpx2.request(method, url, timeout=5, trust_env=False, verify=False, **more)


@contextmanager
def running_issuer() -> Iterator[str]:
    """Its address."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url, until = f"http://127.0.0.1:{port}", time.monotonic() + START_SECONDS
    try:
        while True:
            try:
                ask("GET", f"{url}/jwks").raise_for_status()
                break
            except httpx2.TransportError:
                if time.monotonic() > until or process.poll() is not None:
                    raise
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def add_user(issuer: str, email: str, **claims: Any) -> None:
    """Somebody the issuer knows."""
    ask("PUT", f"{issuer}/users/{email}", json={"email": email, **claims}).raise_for_status()


def consent(authorize: str, email: str) -> dict[str, str]:
    """What somebody's browser brings back from the authorization endpoint."""
    answer = ask("POST", authorize, data={"sub": email}, follow_redirects=False)
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def id_token(issuer: str, email: str, client_id: str = "tunegate") -> str:
    """A token for a client, as a system gets one for somebody."""
    asked = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": "http://127.0.0.1/",
        "scope": "openid email profile",
    }
    code = consent(str(httpx2.URL(f"{issuer}/oauth2/authorize", params=asked)), email)["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": asked["redirect_uri"]}
    answer = ask("POST", f"{issuer}/oauth2/token", data=form, auth=httpx2.BasicAuth(client_id, "secret"))
    token: str = answer.json()["id_token"]
    return token
