"""What an endpoint can be told of: an event's type, or the beginning of several and `*`."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Literal

EventPattern = Literal[
    "*",
    "run.*",
    "run.queued",
    "run.submitted",
    "run.started",
    "run.retrying",
    "run.succeeded",
    "run.failed",
    "run.cancelled",
    "run.rescued",
    "run.warning",
    "run.awaiting_approval",
    "run.approved",
    "run.refused",
    "run.paused",
    "run.resumed",
    "budget.*",
    "budget.changed",
    "budget.granted",
    "budget.threshold_reached",
    "budget.exhausted",
    "budget.overrun",
    "budget.reset",
    "billing.*",
    "billing.drift",
    "limits.changed",
    "approval_rules.changed",
    "team.*",
    "team.changed",
    "team.paused",
    "team.resumed",
    "team.archiving",
    "team.archived",
    "team.unarchived",
    "organisation.changed",
    "queue.*",
    "queue.paused",
    "queue.resumed",
    "schedule.*",
    "schedule.skipped",
    "schedule.refused",
    "trigger.*",
    "trigger.skipped",
    "trigger.refused",
    "sweep.*",
    "sweep.ended",
    "endpoint.*",
    "endpoint.disabled",
]

# What programs are told of, and what people want to be told of, where nobody chose.
FOR_PROGRAMS: list[EventPattern] = ["run.*"]
FOR_PEOPLE: list[EventPattern] = [
    "run.succeeded",
    "run.failed",
    "run.cancelled",
    "run.awaiting_approval",
    "budget.*",
    "schedule.refused",
    "trigger.refused",
    "sweep.ended",
    "endpoint.disabled",
]


def is_asked_for(event_type: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns is of this type."""
    return any(fnmatchcase(event_type, pattern) for pattern in patterns)
