"""What makes runs by itself: schedules, triggers on the Hub; and sweeps (`tables.sweeps`)."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field, SQLModel

from service.store.columns import UtcDateTime, index_where


class Origin(SQLModel, table=True):
    """Makes runs of one user from one template. Runs, budgets and slots are told apart by its id. It stays when it is
    taken away, as its runs do."""

    __tablename__ = "origin"
    __table_args__ = (index_where("ended_at IS NULL", "ix_origin_team_name", "team", "name", unique=True),)
    id: str = Field(primary_key=True)
    kind: str
    team: str = Field(foreign_key="team.name", index=True)
    name: str
    # whose runs they are
    owner: str
    # a body of POST /runs, with placeholders
    template: dict[str, Any] = Field(sa_type=JSON)
    # how many of its runs may be active at once; None: as many as its team's limits let
    max_concurrent_runs: int | None = None
    paused_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    paused_by: str | None = None
    # of the events that tell of it
    sequence: int = 0
    created_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Schedule(SQLModel, table=True):
    """When an origin makes a run. `next_at` is None while it is paused, and after its end."""

    __tablename__ = "schedule"
    id: str = Field(primary_key=True, foreign_key="origin.id")
    cron: str | None = None
    every_seconds: int | None = None
    time_zone: str
    anchor_at: datetime = Field(sa_type=UtcDateTime)
    misfire: str
    overlap: str
    next_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)
    # the last time that it came to, and what came of it
    last_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_outcome: str | None = None
    last_message: str | None = None
    last_run_id: str | None = None


class Trigger(SQLModel, table=True):
    """A repository on the Hub whose new commits make runs. `due_at` is when it is looked at next, None where nothing
    has been told of it since; `told_at` is the first of the hints that this is for."""

    __tablename__ = "trigger"
    id: str = Field(primary_key=True, foreign_key="origin.id")
    repo_type: str
    repo: str
    debounce_seconds: int
    overlap: str
    # of the secret that the Hub sends along, which follows from this (`store.triggers.secret_of`)
    secret_number: int = 1
    # the commit that was looked at last; None: none yet
    seen_revision: str | None = None
    told_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    due_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)
    # how often it could not be read since, and why it is read again later
    tries: int = 0
    trouble: str | None = None
    last_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_outcome: str | None = None
    last_message: str | None = None
    last_revision: str | None = None
    last_run_id: str | None = None
