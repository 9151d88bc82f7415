"""Attempts: the jobs of runs."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Index
from sqlmodel import Field, SQLModel

from service.store.columns import UtcDateTime, index_where


class Attempt(SQLModel, table=True):
    """One job of a run. The price is frozen at admission; a new `submission` is drawn before each create call."""

    __tablename__ = "attempt"
    __table_args__ = (
        Index("ix_attempt_flavor_admitted_at", "flavor", "admitted_at"),
        Index("ix_attempt_finished_at", "finished_at"),
        # the few whose log is still kept
        index_where("log_bytes > 0", "ix_attempt_logged", "finished_at", "log_bytes"),
        index_where("metric_points > 0", "ix_attempt_measured", "finished_at"),
    )
    run_id: str = Field(primary_key=True, foreign_key="run.id")
    attempt: int = Field(primary_key=True)
    submission: str = Field(unique=True)
    flavor: str
    timeout_seconds: int
    price_per_minute_micro_usd: int = Field(sa_type=BigInteger)
    ceiling_micro_usd: int = Field(sa_type=BigInteger)
    admitted_at: datetime = Field(sa_type=UtcDateTime)

    # the create call: who made it, when its answer is due, and whether the answer left the outcome open
    called_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    call_deadline: datetime | None = Field(default=None, sa_type=UtcDateTime)
    called_by: str | None = None
    is_unclear: bool = False
    absent_listings: int = 0
    output_head: str | None = None
    # the step of the checkpoint that it goes on from
    from_step: int | None = None

    # the job
    hub_job_id: str | None = Field(default=None, index=True)
    hub_job_url: str | None = None
    scheduled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    is_seen: bool = False
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    cancel_sent_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    cancel_again_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    # its log: lines taken in so far, bytes kept, when it was last read, and what is kept of it (see `store.logs`)
    log_lines: int = 0
    log_bytes: int = Field(default=0, sa_type=BigInteger)
    log_read_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    log_state: str | None = None
    # what the reader of its log needs for the next lines, and how many points it found (see `domain.progress`)
    reading: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    metric_points: int = 0
    measured_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    # what it used of its machine so far, see `domain.machine`
    machine: dict[str, Any] | None = Field(default=None, sa_type=JSON)

    # what its guards noted, see `domain.alarm.notes`, and which of them has the job ended
    warnings: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    stopped_by: str | None = None

    # the end
    running_ms: int | None = Field(default=None, sa_type=BigInteger)
    minutes: int | None = None
    cost_micro_usd: int | None = Field(default=None, sa_type=BigInteger)
    metered_source: str | None = None
    # what Hugging Face says that it billed, and when that was last read: null is unknown (`store.billing` writes it)
    billed_micro_usd: int | None = Field(default=None, sa_type=BigInteger)
    billed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    cause: str | None = None
    failure: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    # what was changed for this attempt, or after it for the next one, in words and with its price
    change: str | None = None
    repair: dict[str, Any] | None = Field(default=None, sa_type=JSON)
