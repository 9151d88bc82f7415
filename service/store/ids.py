"""Ids: a prefix that names the kind, and a ULID, so that ids sort by the time of their making."""

from __future__ import annotations

from datetime import datetime

from ulid import ULID


def new_id(kind: str, now: datetime) -> str:
    """A fresh id such as `run_01JD…`."""
    return f"{kind}_{ULID.from_datetime(now)}"
