"""Every table. Money is integer micro-USD, times are aware UTC, JSON columns hold plain values.

`table=True` models validate nothing: what comes from outside is validated by the wire models before it gets here.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

from service.domain.run import RunState
from service.store.columns import BigId, UtcDateTime


class Installation(SQLModel, table=True):
    """The one row that says whose database this is."""

    __tablename__ = "installation"
    id: str = Field(primary_key=True)
    created_at: datetime = Field(sa_type=UtcDateTime)


class Team(SQLModel, table=True):
    """Owns runs, keys, limits and budgets."""

    __tablename__ = "team"
    name: str = Field(primary_key=True)
    max_concurrent_runs: int | None = None
    created_at: datetime = Field(sa_type=UtcDateTime)


class ApiKey(SQLModel, table=True):
    """A caller's key: only its SHA-256 is kept (the key itself has 256 random bits). `team` is null for admins."""

    __tablename__ = "api_key"
    id: str = Field(primary_key=True)
    team: str | None = Field(default=None, foreign_key="team.name", index=True)
    name: str
    role: str
    hash: str = Field(unique=True)
    created_at: datetime = Field(sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Flavor(SQLModel, table=True):
    """Hardware as Hugging Face last listed it, with the time it was read."""

    __tablename__ = "flavor"
    name: str = Field(primary_key=True)
    price_per_minute_micro_usd: int = Field(sa_type=BigInteger)
    hardware: dict[str, Any] = Field(sa_type=JSON)
    read_at: datetime = Field(sa_type=UtcDateTime)


class Budget(SQLModel, table=True):
    """A limit of money that comes anew each period. Hard: nothing is admitted past it."""

    __tablename__ = "budget"
    __table_args__ = (UniqueConstraint("team", "period"), CheckConstraint("limit_micro_usd >= 0", "limit_not_negative"))
    id: str = Field(primary_key=True)
    team: str = Field(foreign_key="team.name")
    period: str
    limit_micro_usd: int = Field(sa_type=BigInteger)
    hard: bool = True
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)


class BudgetWindow(SQLModel, table=True):
    """One period of a budget, borders fixed. Its two sums are written by `store.ledger` alone, with their entries."""

    __tablename__ = "budget_window"
    __table_args__ = (UniqueConstraint("budget_id", "starts_at"),)
    id: str = Field(primary_key=True)
    budget_id: str = Field(foreign_key="budget.id")
    starts_at: datetime = Field(sa_type=UtcDateTime)
    ends_at: datetime = Field(sa_type=UtcDateTime)
    reserved_micro_usd: int = Field(default=0, sa_type=BigInteger)
    charged_micro_usd: int = Field(default=0, sa_type=BigInteger)


class Run(SQLModel, table=True):
    """A request to fine-tune. The API writes the request and `cancel_requested_*`; the steps write all the rest."""

    __tablename__ = "run"
    __table_args__ = (
        CheckConstraint("state IN (" + ", ".join(f"'{state}'" for state in RunState) + ")", "state_known"),
        CheckConstraint(
            "(state IN ('succeeded', 'failed', 'cancelled')) = (finished_at IS NOT NULL)", "finished_when_terminal"
        ),
        CheckConstraint("requested_timeout_seconds IS NOT NULL OR max_cost_micro_usd IS NOT NULL", "bounded"),
        Index("ix_run_team_id", "team", "id"),
        Index("ix_run_state_queue", "state", "team", "priority", "id"),
        Index("ix_run_state_output_repo", "state", "output_repo"),
    )
    id: str = Field(primary_key=True)
    team: str = Field(foreign_key="team.name")
    state: str
    reason: str | None = None
    message: str | None = None
    requested_by: str

    recipe: dict[str, Any] = Field(sa_type=JSON)
    flavor: str
    # What the caller gave, and what it comes to: with a cost cap only, the timeout follows from the price.
    requested_timeout_seconds: int | None = None
    timeout_seconds: int | None = None
    max_cost_micro_usd: int | None = Field(default=None, sa_type=BigInteger)
    ceiling_micro_usd: int | None = Field(default=None, sa_type=BigInteger)
    output_repo: str | None = None
    namespace: str
    env: dict[str, str] = Field(sa_type=JSON)
    secret_names: list[str] = Field(sa_type=JSON)
    sealed_secrets: bytes | None = Field(default=None, sa_type=LargeBinary)
    priority: int
    labels: dict[str, str] = Field(sa_type=JSON)

    attempt: int = 0
    sequence: int = 0
    tries: int = 0
    not_before: datetime | None = Field(default=None, sa_type=UtcDateTime)
    cancel_requested_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    cancel_requested_by: str | None = None

    output: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    failure: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    progress: dict[str, Any] | None = Field(default=None, sa_type=JSON)

    created_at: datetime = Field(sa_type=UtcDateTime)
    admitted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Attempt(SQLModel, table=True):
    """One job of a run. The price is frozen at admission; a new `submission` is drawn before each create call."""

    __tablename__ = "attempt"
    run_id: str = Field(primary_key=True, foreign_key="run.id")
    attempt: int = Field(primary_key=True)
    submission: str = Field(unique=True)
    flavor: str
    timeout_seconds: int
    price_per_minute_micro_usd: int = Field(sa_type=BigInteger)
    ceiling_micro_usd: int = Field(sa_type=BigInteger)
    window_id: str = Field(foreign_key="budget_window.id")
    admitted_at: datetime = Field(sa_type=UtcDateTime)

    # the create call: who made it, when its answer is due, and whether the answer left the outcome open
    called_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    call_deadline: datetime | None = Field(default=None, sa_type=UtcDateTime)
    called_by: str | None = None
    is_unclear: bool = False
    absent_listings: int = 0
    output_head: str | None = None

    # the job
    hub_job_id: str | None = Field(default=None, index=True)
    hub_job_url: str | None = None
    scheduled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    is_seen: bool = False
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    cancel_sent_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    cancel_again_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    log_read_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

    # the end
    running_ms: int | None = Field(default=None, sa_type=BigInteger)
    minutes: int | None = None
    cost_micro_usd: int | None = Field(default=None, sa_type=BigInteger)
    metered_source: str | None = None
    cause: str | None = None
    change: str | None = None


class RunLog(SQLModel, table=True):
    """The kept copy of an attempt's log, gzipped JSON lines, with secret values masked before it was stored."""

    __tablename__ = "run_log"
    __table_args__ = (ForeignKeyConstraint(["run_id", "attempt"], ["attempt.run_id", "attempt.attempt"]),)
    run_id: str = Field(primary_key=True)
    attempt: int = Field(primary_key=True)
    lines: bytes = Field(sa_type=LargeBinary)
    is_whole: bool = True


class IdempotencyKey(SQLModel, table=True):
    """A team's key, the run it made, and a keyed hash of the body it came with."""

    __tablename__ = "idempotency_key"
    team: str = Field(primary_key=True, foreign_key="team.name")
    key: str = Field(primary_key=True)
    body_hmac: str
    # No foreign key: the key is claimed first, and the run is inserted only by the request that won it.
    run_id: str
    created_at: datetime = Field(sa_type=UtcDateTime)


class LedgerEntry(SQLModel, table=True):
    """Append-only. For each submission: charge + release = reserve + overrun once it is closed."""

    __tablename__ = "ledger_entry"
    __table_args__ = (
        CheckConstraint("kind IN ('reserve', 'charge', 'release', 'overrun')", "kind_known"),
        CheckConstraint("amount_micro_usd >= 0", "amount_not_negative"),
        # Each reservation is opened once and closed once.
        UniqueConstraint("submission", "kind"),
    )
    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    run_id: str = Field(foreign_key="run.id", index=True)
    attempt: int
    submission: str
    window_id: str = Field(foreign_key="budget_window.id", index=True)
    kind: str
    amount_micro_usd: int = Field(sa_type=BigInteger)
    price_per_minute_micro_usd: int = Field(sa_type=BigInteger)
    minutes: int
    at: datetime = Field(sa_type=UtcDateTime)


class Event(SQLModel, table=True):
    """A change, told once: the outbox of webhooks and the feed in one. `position` is stamped after commit."""

    __tablename__ = "event"
    __table_args__ = (
        UniqueConstraint("run_id", "sequence"),
        # The notifier asks for the few events that have no position yet.
        Index(
            "ix_event_unstamped",
            "id",
            sqlite_where=text("position IS NULL"),
            postgresql_where=text("position IS NULL"),
        ),
    )
    id: str = Field(primary_key=True)
    position: int | None = Field(default=None, sa_type=BigInteger, unique=True)
    sequence: int
    run_id: str = Field(foreign_key="run.id")
    team: str
    type: str
    timestamp: datetime = Field(sa_type=UtcDateTime)
    data: dict[str, Any] = Field(sa_type=JSON)


class Endpoint(SQLModel, table=True):
    """Where a team wants to be told. `team` null: an admin's endpoint, told of every team."""

    __tablename__ = "endpoint"
    id: str = Field(primary_key=True)
    team: str | None = Field(default=None, foreign_key="team.name", index=True)
    url: str
    events: list[str] = Field(sa_type=JSON)
    sealed_secret: bytes = Field(sa_type=LargeBinary)
    created_at: datetime = Field(sa_type=UtcDateTime)
    disabled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Delivery(SQLModel, table=True):
    """One event for one endpoint: pending until a 2xx answer, with what the last try saw."""

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("endpoint_id", "event_id"),
        CheckConstraint("state IN ('pending', 'delivered', 'failed')", "state_known"),
        Index("ix_delivery_state_next_try_at", "state", "next_try_at"),
    )
    id: str = Field(primary_key=True)
    endpoint_id: str = Field(foreign_key="endpoint.id")
    event_id: str = Field(foreign_key="event.id")
    run_id: str
    sequence: int
    state: str
    tries: int = 0
    next_try_at: datetime = Field(sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)
    first_failed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    delivered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
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
