"""A finding, and all of them in the order in which they are mended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import ValidationError

from service.settings import Settings


@dataclass(frozen=True)
class Finding:
    """What a check found. `fault`: it does not work like this; `warning`: it works, and not as it should."""

    check: str
    outcome: Literal["ok", "warning", "fault"]
    message: str
    remedy: str | None = None


def examine(now: datetime) -> Iterator[Finding]:
    """All checks, each told as soon as it is done. What rests on something that is at fault is left out."""
    from service.doctor import ground, outside, upstream

    settings = read_settings()
    if isinstance(settings, list):
        yield from settings
        return
    yield Finding("settings", "ok", "every TUNEGATE_… variable can be read")
    has_database = False
    for finding in ground.findings(settings, now):
        has_database |= finding.check == "migrations" and finding.outcome == "ok"
        yield finding
    yield from upstream.findings(settings, now)
    if has_database:
        yield from outside.endpoints(settings)
    yield from outside.service(settings)


def read_settings() -> Settings | list[Finding]:
    """The settings, or which are wrong."""
    try:
        return Settings()
    except ValidationError as error:
        return [
            Finding(
                "settings",
                "fault",
                f"TUNEGATE_{'_'.join(map(str, found['loc'])).upper()}: {found['msg'].removeprefix('Value error, ')}",
                "Correct the variable; the list of settings says what each takes.",
            )
            for found in error.errors()
        ]
