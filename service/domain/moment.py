"""Moments as they are written: on the wire, and in sentences."""

from __future__ import annotations

from datetime import datetime


def iso(value: datetime) -> str:
    """A time on the wire: RFC 3339, UTC, milliseconds."""
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def iso_or_none(value: datetime | None) -> str | None:
    """The same of a time that may not have come."""
    return None if value is None else iso(value)


def second(value: datetime) -> str:
    """A time for people who wait for it just now."""
    return f"{value:%Y-%m-%d %H:%M:%S} UTC"


def minute(value: datetime) -> str:
    """A time for people."""
    return f"{value:%Y-%m-%d %H:%M} UTC"
