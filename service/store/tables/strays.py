"""Jobs that nobody here asked for, as the sweep saw them."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint
from sqlmodel import Field, SQLModel

from service.domain.stray import Action, Kind
from service.store.columns import UtcDateTime, index_where


class Stray(SQLModel, table=True):
    """A job that no run accounts for, and its dollars. Open until `ended_at`; one with a run is charged at its end."""

    __tablename__ = "stray"
    __table_args__ = (
        CheckConstraint("kind IN (" + ", ".join(f"'{kind}'" for kind in Kind) + ")", "kind_known"),
        CheckConstraint("action IN (" + ", ".join(f"'{action}'" for action in Action) + ")", "action_known"),
        index_where("ended_at IS NULL", "ix_stray_open", "namespace"),
    )
    id: str = Field(primary_key=True)
    namespace: str
    # whose tokens see it: a team's own, or the service's (null)
    credentials: str | None = None
    hub_job_id: str = Field(unique=True)
    kind: str
    action: str
    # As its labels say. No foreign key: there may be no such run, and the job ran all the same.
    run_id: str | None = Field(default=None, index=True)
    submission: str | None = None
    team: str | None = Field(default=None, foreign_key="team.name", index=True)
    flavor: str | None = None
    price_per_minute_micro_usd: int | None = Field(default=None, sa_type=BigInteger)
    timeout_seconds: int | None = None
    initiator: str | None = None
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    minutes: int = 0
    # to now while it runs; null where its price is not known
    cost_micro_usd: int | None = Field(default=None, sa_type=BigInteger)
    # what its timeout would have allowed beyond its cost, where it ended because it was cancelled here
    stopped_micro_usd: int = Field(default=0, sa_type=BigInteger)
    first_seen_at: datetime = Field(sa_type=UtcDateTime)
    last_seen_at: datetime = Field(sa_type=UtcDateTime)
