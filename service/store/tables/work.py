"""Runs, and where they wait."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Index,
    LargeBinary,
)
from sqlmodel import Field, SQLModel

from service.domain.guards import Guards, Policy
from service.domain.place import Place
from service.domain.run import RunState
from service.store.columns import UtcDateTime, index_where

# A queued run that only the board decides about. The database keeps it: what has become of a run cannot be forgotten.
READY = (
    "state = 'queued' AND checked_at IS NOT NULL AND cancel_requested_at IS NULL AND not_before IS NULL "
    "AND parked IS NULL AND paused_at IS NULL AND open_dependencies = 0 AND (approval IS NULL OR approval = 'granted')"
)


def _index_of_some(column: str, *by: str) -> Index:
    """An index of the few runs that have a value here; by other columns where they are asked for otherwise."""
    return index_where(f"{column} IS NOT NULL", f"ix_run_{column}", *(by or [column]))


class Lane(SQLModel, table=True):
    """Runs that take the same slots. Admission looks at the first few of each lane, however many wait behind them."""

    __tablename__ = "lane"
    name: str = Field(primary_key=True)
    team: str = Field(foreign_key="team.name", index=True)
    user: str
    flavor: str
    namespace: str
    credentials: str | None = None
    origin: str = ""


class Run(SQLModel, table=True):
    """A request to fine-tune. The API writes the request and `cancel_requested_*`; the steps write all the rest."""

    __tablename__ = "run"
    __table_args__ = (
        CheckConstraint("state IN (" + ", ".join(f"'{state}'" for state in RunState) + ")", "state_known"),
        CheckConstraint(
            "(state IN ('succeeded', 'failed', 'cancelled')) = (finished_at IS NOT NULL)", "finished_when_terminal"
        ),
        CheckConstraint("approval IN ('needed', 'granted', 'refused', 'expired')", "approval_known"),
        CheckConstraint("open_dependencies >= 0", "dependencies_counted"),
        _index_of_some("approval_expires_at"),
        _index_of_some("start_before"),
        CheckConstraint("requested_timeout_seconds IS NOT NULL OR max_cost_micro_usd IS NOT NULL", "bounded"),
        Index("ix_run_team_id", "team", "id"),
        Index("ix_run_queue", "lane", "is_ready", "rank", "id"),
        # the shortest of a lane: where money is short, if any of it fits, that one does
        Index("ix_run_shortest", "lane", "is_ready", "timeout_seconds", "rank", "id"),
        # all that monitoring counts, of runs that have not ended
        index_where("finished_at IS NULL", "ix_run_open", "state", "team", "reason", "created_at"),
        # a team's ready runs in their order, with what each adds to its share
        index_where(
            "is_ready IS 1", "ix_run_turn", "team", "rank", "id", "ceiling_micro_usd", postgresql="is_ready IS true"
        ),
        # runs of a state, newest first
        Index("ix_run_state_id", "state", "id"),
        Index("ix_run_team_state_id", "team", "state", "id"),
        _index_of_some("not_before"),
        _index_of_some("card_due_at", "state", "card_due_at"),
        _index_of_some("bucket", "id"),
        _index_of_some("origin", "origin", "id"),
        _index_of_some("parked"),
        index_where(
            "cancel_requested_at IS NOT NULL AND finished_at IS NULL", "ix_run_to_cancel", "cancel_requested_at"
        ),
        # not partial: SQLite takes an index of some states only where the query has the state as a literal
        Index("ix_run_to_check", "state", "checked_at", "rank", "id"),
        Index("ix_run_fingerprint", "team", "fingerprint", "state", "id"),
        Index("ix_run_state_output_repo", "state", "output_repo"),
    )
    id: str = Field(primary_key=True)
    team: str = Field(foreign_key="team.name")
    state: str
    reason: str | None = None
    message: str | None = None
    # whose it is; and who sent it, where that was somebody else
    requested_by: str
    submitted_by: str | None = None
    # A child run belongs to another one, and says what it is for: `pilot`, or a follow-up's kind.
    parent: str | None = Field(default=None, foreign_key="run.id", index=True)
    kind: str | None = None
    # what made it, where no person did: a schedule, a trigger or a sweep, whose budget and slots it takes
    origin: str | None = Field(default=None, foreign_key="origin.id")
    # the run that has ended and that this is another try of, submitted by a person
    retry_of: str | None = Field(default=None, foreign_key="run.id")

    recipe: dict[str, Any] = Field(sa_type=JSON)
    # `auto` until the estimate has chosen one, by what `optimize` says
    flavor: str
    optimize: str = "cheapest"
    force: bool = False
    # how it is tried again (`domain.repair`); None: once only
    retry: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    # `auto`, `on` or `off`; and what is known of them (`flow.saving`): bucket, newest whole one, or why there is none
    checkpoints: str = "auto"
    saved: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    # the bucket that it has still, and since when a person does not want it any more
    bucket: str | None = None
    unwanted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    # by guard: `off`, `warn` or `stop`
    guards: dict[str, Policy] = Field(default_factory=lambda: Guards().model_dump(), sa_type=JSON)
    # What the caller gave, and what it comes to: with a cost cap only, the timeout follows from the price.
    requested_timeout_seconds: int | None = None
    timeout_seconds: int | None = None
    max_cost_micro_usd: int | None = Field(default=None, sa_type=BigInteger)
    ceiling_micro_usd: int | None = Field(default=None, sa_type=BigInteger)
    output_repo: str | None = None
    namespace: str
    # The team whose own tokens everything of it is done with, to its end; None: the service's.
    credentials: str | None = None
    # None: the service's own
    image: str | None = None
    volumes: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    resource_group: str | None = None
    env: dict[str, str] = Field(sa_type=JSON)
    secret_names: list[str] = Field(sa_type=JSON)
    sealed_secrets: bytes | None = Field(default=None, sa_type=LargeBinary)
    # of those names, the ones whose value is a secret of the team's, by that one's name
    secret_refs: dict[str, str] = Field(default_factory=dict, sa_type=JSON)
    # what its present job was given of secrets, whatever has been replaced since: its log may show them
    sealed_given: bytes | None = Field(default=None, sa_type=LargeBinary)
    priority: int
    labels: dict[str, str] = Field(sa_type=JSON)

    # What preflight found, and the commits that it pinned; a run is not ready before `checked_at`.
    preflight: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    pins: dict[str, str] | None = Field(default=None, sa_type=JSON)
    fingerprint: str | None = None
    # `allow`: answered with the model of an earlier run of the team that had the same fingerprint
    reuse: str = "never"
    reused_from: str | None = Field(default=None, foreign_key="run.id")
    checked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    check_again_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

    # Its place in the queue. Parked: out of the way until what it waits for (`output`, `price`, `money`, `script`) has
    # come.
    lane: str = Field(default="", foreign_key="lane.name")
    rank: int = Field(default=0, sa_type=BigInteger)
    quoted_price_micro_usd: int | None = Field(default=None, sa_type=BigInteger)
    parked: str | None = None
    # What holds it outside the board: the API pauses and approves, `flow.hold` counts what it comes after.
    paused_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    paused_by: str | None = None
    open_dependencies: int = 0
    approval: str | None = None
    approval_why: str | None = None
    approval_expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    approval_by: str | None = None
    approval_comment: str | None = None
    start_before: datetime | None = Field(default=None, sa_type=UtcDateTime)
    is_ready: bool | None = Field(default=None, sa_column=Column(Boolean, Computed(READY, persisted=True)))

    attempt: int = 0
    sequence: int = 0
    tries: int = 0
    not_before: datetime | None = Field(default=None, sa_type=UtcDateTime)
    cancel_requested_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    cancel_requested_by: str | None = None
    cancel_reason: str | None = None
    cancel_message: str | None = None

    output: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    failure: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    progress: dict[str, Any] | None = Field(default=None, sa_type=JSON)

    # Of a run that a pilot goes before: what was asked for, and what it measured.
    pilot: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    estimate: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    # What follows it: each as it was asked for, with the child run's id; and what of its cap is held back for them.
    then: list[dict[str, Any]] | None = Field(default=None, sa_type=JSON)
    held_back_micro_usd: int | None = Field(default=None, sa_type=BigInteger)
    # Of a follow-up: what its job found.
    result: dict[str, Any] | None = Field(default=None, sa_type=JSON)

    # The lineage card in the model's README: wanted, written, or why not.
    card: str | None = None
    card_tries: int = 0
    card_due_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

    created_at: datetime = Field(sa_type=UtcDateTime)
    admitted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

    @property
    def place(self) -> Place:
        """Where its jobs are, and with whose tokens."""
        return Place(self.credentials, self.namespace)


class SearchTerm(SQLModel, table=True):
    """One of the things that a run is looked for by (`store.terms`)."""

    __tablename__ = "search_term"
    term: str = Field(primary_key=True)
    run_id: str = Field(primary_key=True, foreign_key="run.id")


class Dependency(SQLModel, table=True):
    """A run that starts after another one has succeeded. `ended_as`: how that one ended, written with its end."""

    __tablename__ = "dependency"
    __table_args__ = (index_where("ended_as IS NOT NULL AND NOT is_settled", "ix_dependency_ended", "after_run_id"),)
    run_id: str = Field(primary_key=True, foreign_key="run.id")
    after_run_id: str = Field(primary_key=True, foreign_key="run.id", index=True)
    ended_as: str | None = None
    is_settled: bool = False


class IdempotencyKey(SQLModel, table=True):
    """A team's key, the run it made, and a keyed hash of the body it came with."""

    __tablename__ = "idempotency_key"
    team: str = Field(primary_key=True, foreign_key="team.name")
    key: str = Field(primary_key=True)
    body_hmac: str
    # No foreign key: the key is claimed first, and the run is inserted only by the request that won it.
    run_id: str
    created_at: datetime = Field(sa_type=UtcDateTime, index=True)
