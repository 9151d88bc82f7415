"""Who there is: the installation, the organisation, its teams and their keys."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, LargeBinary
from sqlmodel import Field, SQLModel

from service.store.columns import UtcDateTime


class Installation(SQLModel, table=True):
    """The one row that says whose database this is."""

    __tablename__ = "installation"
    id: str = Field(primary_key=True)
    # what it derives from for itself (`store.vault.Own`); a secret key that opens this is one of its own
    sealed_own: bytes = Field(sa_type=LargeBinary)
    created_at: datetime = Field(sa_type=UtcDateTime)


class Organisation(SQLModel, table=True):
    """The one row above all teams. Whoever admits or changes money holds it: two such transactions never overlap."""

    __tablename__ = "organisation"
    id: int = Field(primary_key=True)
    time_zone: str = "UTC"
    max_concurrent_runs: int | None = None
    max_concurrent_runs_by_flavor: dict[str, int] = Field(sa_type=JSON)
    max_concurrent_runs_by_namespace: dict[str, int] = Field(sa_type=JSON)
    paused_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    paused_by: str | None = None
    # whether jobs that did not come through the gate count against its budgets
    counts_outside: bool = False
    # of the events that tell of its changes (`store.changes`)
    sequence: int = 0
    # Of all attempts ever, so that nobody has to add them up: what was metered, and how many were charged at least a
    # minute (`store.ledger`); of those whose bill is known what was billed, and that less what was metered, how many of
    # the charged they are, and how many differ (`store.billing`).
    metered_micro_usd: int = Field(default=0, sa_type=BigInteger)
    charged_attempts: int = 0
    billed_micro_usd: int | None = Field(default=None, sa_type=BigInteger)
    drift_micro_usd: int | None = Field(default=None, sa_type=BigInteger)
    billed_attempts: int = 0
    drifted_attempts: int = 0


class Team(SQLModel, table=True):
    """Owns runs, keys, limits and budgets."""

    __tablename__ = "team"
    name: str = Field(primary_key=True)
    max_concurrent_runs: int | None = None
    max_concurrent_runs_per_user: int | None = None
    time_zone: str = "UTC"
    weight: float = 1.0
    # Dollars used as fair share counts them: halved with time, reservations included (`store.ledger` writes it).
    usage_micro_usd: float = 0.0
    usage_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    approval_rules: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    paused_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    paused_by: str | None = None
    # takes no more runs; and since the last one has ended, nobody has a key to it any more
    archiving_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    archived_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    archived_by: str | None = None
    sequence: int = 0
    created_at: datetime = Field(sa_type=UtcDateTime)


class User(SQLModel, table=True):
    """Somebody, or something, of a team: who runs, keys and budgets belong to. Made where the name first appears, and
    kept: what a user spent stays theirs."""

    __tablename__ = "team_user"
    team: str = Field(primary_key=True, foreign_key="team.name")
    name: str = Field(primary_key=True)
    created_at: datetime = Field(sa_type=UtcDateTime)
    # no key, sign-in or `on_behalf_of` of a user who is shut out works
    shut_out_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    shut_out_by: str | None = None


class ApiKey(SQLModel, table=True):
    """A caller's key: only its SHA-256 is kept (the key itself has 256 random bits). `team` is null for admins."""

    __tablename__ = "api_key"
    id: str = Field(primary_key=True)
    team: str | None = Field(default=None, foreign_key="team.name", index=True)
    user: str
    name: str
    role: str
    # null: whatever the role allows
    scopes: list[str] | None = Field(default=None, sa_type=JSON)
    hash: str = Field(unique=True)
    created_at: datetime = Field(sa_type=UtcDateTime)
    created_by: str
    # noted once a minute
    last_used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_by: str | None = None
    # the key that was made in its place
    replaced_by: str | None = None
