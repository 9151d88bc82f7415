"""Placeholders of a run's template, such as `{{date}}`: filled with what the occasion of a run gives, its time say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from service.domain.errors import BrokenRule

PLACEHOLDER = re.compile(r"\{\{\s*([\w.]+)\s*\}\}")
# A script is a program: braces in it are its own.
LEFT_ALONE = frozenset({"source"})


def of_time(planned: datetime) -> dict[str, str]:
    """What a planned time fills in; it is in the schedule's zone. All of it may stand in a repository's name."""
    year, week, _ = planned.isocalendar()
    return {
        "date": f"{planned:%Y-%m-%d}",
        "time": f"{planned:%H%M}",
        "year": f"{planned:%Y}",
        "month": f"{planned:%m}",
        "day": f"{planned:%d}",
        "hour": f"{planned:%H}",
        "minute": f"{planned:%M}",
        "week": f"{year}-W{week:02}",
        "timestamp": str(int(planned.timestamp())),
    }


def filled(template: Any, values: Mapping[str, str]) -> Any:
    """A template's JSON with every placeholder filled. Raises BrokenRule for one that there is not."""
    if isinstance(template, dict):
        return {name: value if name in LEFT_ALONE else filled(value, values) for name, value in template.items()}
    if isinstance(template, list):
        return [filled(one, values) for one in template]
    if isinstance(template, str):
        return PLACEHOLDER.sub(lambda found: _value(found[1], values), template)
    return template


def as_text(value: Any) -> str:
    """A value of JSON as it is filled in."""
    return value if isinstance(value, str) else json.dumps(value)


def named(template: Any) -> set[str]:
    """The placeholders that a template's JSON has."""
    if isinstance(template, dict):
        return set().union(*(named(value) for name, value in template.items() if name not in LEFT_ALONE))
    if isinstance(template, list):
        return set().union(*map(named, template))
    return set(PLACEHOLDER.findall(template)) if isinstance(template, str) else set()


def _value(name: str, values: Mapping[str, str]) -> str:
    if name not in values:
        raise BrokenRule(
            f"there is no placeholder '{{{{{name}}}}}'",
            "There are " + ", ".join(f"{{{{{one}}}}}" for one in values) + ".",
        )
    return values[name]
