"""A job's events, newest first: what became of its run, and the numbers of its training.

An event's id says where it stands (its moment in microseconds, which kind, which one of that kind), so that a page goes
on from any of them, whatever has come since.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlmodel import Session

from service.domain.errors import Invalid
from service.doors.openai.results import NAMES
from service.store import fine_tuning
from service.store.tables import Event, MetricPoint

ID = re.compile(r"ftevent-(\d{16})-([01])-(\d{1,9})-(\d{1,9})")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NUMBERS, STORY = 0, 1
LEVELS = {"run.failed": "error", "run.warning": "warn", "run.retrying": "warn", "run.cancelled": "warn"}
WORDS = {
    "run.queued": "The job waits in the queue",
    "run.submitted": "The job was given to Hugging Face",
    "run.started": "Fine-tuning job started",
    "run.retrying": "Another attempt follows",
    "run.succeeded": "The job has successfully completed",
    "run.failed": "The job failed",
    "run.cancelled": "The job was cancelled",
    "run.paused": "The job was paused",
    "run.resumed": "The job was resumed",
    "run.awaiting_approval": "The job awaits approval",
    "run.warning": "The training shows a problem",
}


class Place(NamedTuple):
    """Where an event stands: events are told from the greatest to the least."""

    microseconds: int
    kind: int
    attempt: int
    number: int

    @property
    def id(self) -> str:
        """The event's."""
        return f"ftevent-{self.microseconds:016d}-{self.kind}-{self.attempt}-{self.number}"

    @property
    def at(self) -> datetime:
        """The moment."""
        return EPOCH + timedelta(microseconds=self.microseconds)


def place_of(event_id: str) -> Place:
    """Where an event stands. Raises Invalid for what is no id of one."""
    if (found := ID.fullmatch(event_id)) is None:
        raise Invalid("no id of an event", field="after", remedy="Send the id of the last event of the page before.")
    return Place(*map(int, found.groups()))


def page(session: Session, run_id: str, after: Place | None, limit: int) -> list[dict[str, Any]]:
    """Up to so many events, those that stand behind `after`."""
    story = numbers = None
    if after is not None:  # of one moment the story goes before the numbers
        story = after.at, after.number if after.kind == STORY else None
        numbers = after.at, None if after.kind == STORY else (after.attempt, after.number)
    told = [_of_story(event) for event in fine_tuning.told_before(session, run_id, story, limit)]
    told += [_of_numbers(point) for point in fine_tuning.points_before(session, run_id, numbers, limit)]
    return [shown for _, shown in sorted(told, key=lambda one: one[0], reverse=True)[:limit]]


def _of_story(event: Event) -> tuple[Place, dict[str, Any]]:
    place = Place(_microseconds(event.timestamp), STORY, 0, event.sequence)
    told = WORDS.get(event.type, event.type.replace("run.", "The job: ").replace("_", " "))
    message = event.data.get("message")
    data = {name: event.data.get(name) for name in ("state", "reason", "message", "attempt", "cost")}
    return place, {
        "id": place.id,
        "object": "fine_tuning.job.event",
        "created_at": int(event.timestamp.timestamp()),
        "level": LEVELS.get(event.type, "info"),
        "message": f"{told}: {message}" if message else told,
        "type": "message",
        "data": {"event": event.type, **data},
    }


def _of_numbers(point: MetricPoint) -> tuple[Place, dict[str, Any]]:
    assert point.at is not None, "only those are read"
    place = Place(_microseconds(point.at), NUMBERS, point.attempt, point.number)
    names = NAMES[point.kind]
    named = {names.get(name, name): value for name, value in point.numbers.items()}
    losses = ", ".join(
        f"{name.replace('_', ' ')}={named[name]}" for name in ("train_loss", "valid_loss") if name in named
    )
    step = "" if point.step is None else f"Step {point.step}: "
    return place, {
        "id": place.id,
        "object": "fine_tuning.job.event",
        "created_at": int(point.at.timestamp()),
        "level": "info",
        "message": f"{step}{losses or 'numbers of the training'}",
        "type": "metrics",
        "data": {"step": point.step, **named},
    }


def _microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)
