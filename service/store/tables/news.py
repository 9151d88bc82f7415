"""What is told of changes, and the lease of the process that tells."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, Index, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from service.store.columns import UtcDateTime, index_where


class Event(SQLModel, table=True):
    """A change, told once: the outbox of webhooks and the feed in one. `position` is stamped after commit."""

    __tablename__ = "event"
    __table_args__ = (
        UniqueConstraint("subject", "sequence"),
        Index("ix_event_team", "team", "position"),  # a team's feed
        # The notifier asks for the few events that have no position yet.
        index_where("position IS NULL", "ix_event_unstamped", "id"),
    )
    id: str = Field(primary_key=True)
    position: int | None = Field(default=None, sa_type=BigInteger, unique=True)
    # What changed: a run or a budget, by id, `team/NAME`, or `organisation`. `team` null: it concerns the organisation.
    subject: str
    sequence: int
    team: str | None
    type: str
    timestamp: datetime = Field(sa_type=UtcDateTime)
    data: dict[str, Any] = Field(sa_type=JSON)


class Endpoint(SQLModel, table=True):
    """Where a team wants to be told. `team` null: an admin's endpoint, told of every team. With a `run_id`, of that run
    only."""

    __tablename__ = "endpoint"
    __table_args__ = (index_where("run_id IS NOT NULL", "ix_endpoint_run_id", "run_id"),)
    id: str = Field(primary_key=True)
    team: str | None = Field(default=None, foreign_key="team.name", index=True)
    run_id: str | None = Field(default=None, foreign_key="run.id")
    kind: str = "standard"
    # as it may be shown; the whole address is sealed with the secrets (`store.sealed_address`)
    url: str
    description: str | None = None
    events: list[str] = Field(sa_type=JSON)
    sealed_address: bytes = Field(sa_type=LargeBinary)
    # until when an earlier secret signs as well
    rotated_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    # counts its own events
    sequence: int = 0
    created_at: datetime = Field(sa_type=UtcDateTime)
    # since when nothing has got through; until when its receiver wants to be left alone
    failing_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    resting_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    disabled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    disabled_because: str | None = None


class Delivery(SQLModel, table=True):
    """One event for one endpoint: pending until a 2xx answer, with what the last try saw."""

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("endpoint_id", "event_id"),
        CheckConstraint("state IN ('pending', 'delivered', 'failed')", "state_known"),
        # what is to be sent next, endpoint by endpoint
        index_where("state = 'pending'", "ix_delivery_pending", "endpoint_id", "next_try_at", "id"),
        # whether an earlier one of the same subject is still to come, and the log by state
        Index("ix_delivery_of_subject", "endpoint_id", "state", "subject", "sequence"),
        Index("ix_delivery_created_at", "created_at"),
    )
    id: str = Field(primary_key=True)
    endpoint_id: str = Field(foreign_key="endpoint.id")
    event_id: str = Field(foreign_key="event.id")
    subject: str
    sequence: int
    state: str
    tries: int = 0
    next_try_at: datetime = Field(sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)
    first_failed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    delivered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_tried_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_status: int | None = None
    last_error: str | None = None
    last_response: str | None = None
    last_latency_ms: int | None = None


class Lease(SQLModel, table=True):
    """Which process runs the steps. `fence` grows with every change of holder."""

    __tablename__ = "lease"
    name: str = Field(primary_key=True)
    holder: str
    fence: int = Field(sa_type=BigInteger)
    expires_at: datetime = Field(sa_type=UtcDateTime)
