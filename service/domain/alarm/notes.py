"""What is kept of alarms with an attempt: `warnings` on the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from service.domain.alarm.watched import Alarm
from service.domain.diagnosis import Failure, failure
from service.domain.guards import CAUSES, Guard, Policy
from service.domain.moment import iso

Note = dict[str, Any]
# Numbers of an alarm that lasts are brought up to date so often.
REFRESHED = timedelta(minutes=5)


def noted(
    kept: Sequence[Mapping[str, Any]], found: Iterable[Alarm], policies: Mapping[str, Policy], now: datetime
) -> list[Note]:
    """The notes by what was found now: one per guard, in the order in which they first came. One that is no longer so
    has an end; one that comes back goes on. What lasts is brought up to date now and then, and once it is certain."""
    notes: dict[str, Note] = {note["guard"]: dict(note) for note in kept}
    alarms = {alarm.guard.value: alarm for alarm in found}
    for guard, note in notes.items():
        if guard not in alarms and note["ended_at"] is None:
            note["ended_at"] = iso(now)
    for guard, alarm in alarms.items():
        known = notes.get(guard)
        is_new = known is None or known["ended_at"] is not None or (alarm.is_certain and not known["is_certain"])
        if known is None or is_new or is_old(known, now):
            notes[guard] = _note(alarm, policies[guard], now if known is None else known["since"], now)
    return list(notes.values())


def news(kept: Sequence[Mapping[str, Any]], notes: Sequence[Note]) -> list[Note]:
    """Those that are to be told of: each guard's first alarm."""
    known = {note["guard"] for note in kept}
    return [note for note in notes if note["guard"] not in known]


def is_old(note: Mapping[str, Any], now: datetime) -> bool:
    """Whether a note is to be looked at anew."""
    return now - datetime.fromisoformat(note["noted_at"]) >= REFRESHED


def stopper(notes: Iterable[Mapping[str, Any]]) -> Guard | None:
    """The guard that ends the job, if one does."""
    return next((Guard(note["guard"]) for note in notes if _stops(note)), None)


def failure_of(notes: Sequence[Mapping[str, Any]], guard: Guard, line: str | None) -> Failure:
    """What a run failed of whose job a guard has ended. `line` is the log's that shows it, where one does."""
    note = next(note for note in notes if note["guard"] == guard.value)
    found = failure(CAUSES[guard], line or note["evidence"], remedy=note["remedy"], confidence=0.9)
    return Failure(**{**vars(found), "message": f"{note['message']} Its guard '{guard.value}' stopped it."})


def _stops(note: Mapping[str, Any]) -> bool:
    return bool(note["policy"] == "stop" and note["is_certain"] and note["ended_at"] is None)


def _note(alarm: Alarm, policy: Policy, since: datetime | str, now: datetime) -> Note:
    return {
        "guard": alarm.guard.value,
        "policy": policy,
        "message": alarm.message,
        "evidence": alarm.evidence,
        "remedy": alarm.remedy if policy == "stop" else f"Cancel it, unless it is worth its cost. {alarm.remedy}",
        "is_certain": alarm.is_certain,
        "numbers": alarm.numbers,
        "since": since if isinstance(since, str) else iso(since),
        "noted_at": iso(now),
        "ended_at": None,
    }
