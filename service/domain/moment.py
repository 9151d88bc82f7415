"""Moments as they are written: on the wire, and in sentences."""

from __future__ import annotations

from datetime import datetime


def iso(value: datetime) -> str:
    """A time on the wire: RFC 3339, UTC, milliseconds."""
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def second(value: datetime) -> str:
    """A time for people who wait for it just now."""
    return f"{value:%Y-%m-%d %H:%M:%S} UTC"


def minute(value: datetime) -> str:
    """A time for people."""
    return f"{value:%Y-%m-%d %H:%M} UTC"
