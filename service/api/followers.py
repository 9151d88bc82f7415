"""Who follows events: of one run to its end, or of the feed.

What several of them would read at the same moment is read once, and its frames are made once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from service.api.bells import Bells
from service.api.streams import Found, frame
from service.domain.event_pattern import is_asked_for
from service.domain.moment import iso
from service.domain.run import RunState
from service.store import events, runs
from service.store.db import Database
from service.store.tables import Event
from service.store.topics import FEED

PORTION = 500


@dataclass(frozen=True)
class Stage:
    """How far a run is, and its events after some sequence, in frames; None as state: it is gone."""

    state: str | None
    progress: dict[str, Any] | None
    sequence: int
    frames: Sequence[str]


class RunFollower:
    """Looks for a run's next events, and for its progress."""

    def __init__(self, db: Database, bells: Bells, run_id: str, sequence: int) -> None:
        self.topic = run_id
        self._db, self._bells, self._sequence = db, bells, sequence
        self._progress: dict[str, Any] | None = None

    async def look(self) -> Found:
        """What is new, and whether the run has ended and all is told."""
        stage = await self._bells.read(self.topic, self._sequence, partial(self._read, self._sequence))
        self._sequence = stage.sequence
        frames = list(stage.frames)
        if stage.state is None:
            return Found(frames, is_over=True)
        if stage.progress is not None and stage.progress != self._progress:
            self._progress = stage.progress
            frames.append(frame(stage.progress, event="progress"))
        if len(stage.frames) == PORTION:
            return Found(frames, is_more=True)
        if RunState(stage.state).is_terminal:
            return Found([*frames, frame({"state": stage.state}, event="end")], is_over=True)
        return Found(frames)

    def _read(self, after: int) -> Stage:
        with self._db.read() as session:
            run = runs.get(session, self.topic)
            found = events.of(session, self.topic, after, PORTION)
        frames = [frame(event_json(one), one.sequence) for one in found]
        sequence = found[-1].sequence if found else after
        return Stage(None, None, sequence, frames) if run is None else Stage(run.state, run.progress, sequence, frames)


@dataclass(frozen=True)
class Interest:
    """Which events of the feed: of one team or of all, and of these patterns."""

    team: str | None
    patterns: Sequence[str]

    def takes(self, team: str | None, event_type: str) -> bool:
        """Whether an event is one of them."""
        return self.team in (None, team) and is_asked_for(event_type, self.patterns)


@dataclass(frozen=True)
class Told:
    """An event of the feed, in the form in which everybody is told of it."""

    position: int
    team: str | None
    type: str
    frame: str


class FeedFollower:
    """Looks for the feed's next events. One that is behind reads its own; those that have come to the end wait there
    together, and each takes of what comes what it wants."""

    topic = FEED

    def __init__(self, db: Database, bells: Bells, wanted: Interest, place: int) -> None:
        self._db, self._bells, self._wanted, self._place = db, bells, wanted, place
        self._is_behind = True

    async def look(self) -> Found:
        """What is new; a feed has no end."""
        if self._is_behind:
            own, self._place, self._is_behind = await self._bells.in_thread(self._catch_up)
            return Found([one.frame for one in own], is_more=self._is_behind)
        told = await self._bells.read(FEED, self._place, partial(self._read, self._place))
        self._place = told[-1].position if told else self._place
        self._is_behind = len(told) == PORTION
        mine = [one.frame for one in told if self._wanted.takes(one.team, one.type)]
        return Found(mine, is_more=self._is_behind)

    def _catch_up(self) -> tuple[list[Told], int, bool]:
        """What is wanted of what comes next, the place after it, and whether there is more."""
        with self._db.read() as session:
            found = events.feed(session, self._place, self._wanted.team, self._wanted.patterns, PORTION)
            last = events.last_position(session)  # of the same state: no event before it is wanted but these
        own = [_told(one) for one in found]
        if len(own) == PORTION:
            return own, own[-1].position, True
        return own, max(self._place, last), False

    def _read(self, after: int) -> list[Told]:
        with self._db.read() as session:
            return [_told(one) for one in events.feed(session, after, None, ["*"], PORTION)]


def _told(event: Event) -> Told:
    position = position_of(event)
    return Told(position, event.team, event.type, frame(event_json(event), position))


def position_of(event: Event) -> int:
    """Where an event stands in the feed, which holds stamped events only."""
    assert event.position is not None
    return event.position


def event_json(event: Event) -> dict[str, Any]:
    """An event on the wire."""
    return {
        "id": event.id,
        "position": event.position,
        "sequence": event.sequence,
        "type": event.type,
        "timestamp": iso(event.timestamp),
        "data": event.data,
    }
