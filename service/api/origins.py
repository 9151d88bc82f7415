"""Pages of other origins: closed to all of them, unless the operator names some.

Callers show a key, no cookie: even for a named origin, a browser sends nothing by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

SENT = ("Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID")
SHOWN = ("Location", "Idempotent-Replayed", "RateLimit", "RateLimit-Policy", "Retry-After")


def open_to(app: FastAPI, origins: Sequence[str]) -> None:
    """Let pages of these origins call; without any, browsers let none."""
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=list(SENT),
            expose_headers=list(SHOWN),
            allow_credentials=False,
            max_age=600,
        )
