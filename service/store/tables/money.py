"""Money: prices, budgets, and the ledger."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from service.store.columns import BigId, UtcDateTime


class Flavor(SQLModel, table=True):
    """Hardware as Hugging Face last listed it, with the time it was read."""

    __tablename__ = "flavor"
    name: str = Field(primary_key=True)
    price_per_minute_micro_usd: int = Field(sa_type=BigInteger)
    hardware: dict[str, Any] = Field(sa_type=JSON)
    # how long its jobs waited for hardware lately: nine of ten at the most this long; None where none was seen
    scheduling_p90_seconds: float | None = None
    read_at: datetime = Field(sa_type=UtcDateTime)


class Budget(SQLModel, table=True):
    """A limit of money that comes anew each period. Hard: nothing is admitted past it; soft: it only warns."""

    __tablename__ = "budget"
    __table_args__ = (
        UniqueConstraint("subject", "period"),
        CheckConstraint("limit_micro_usd >= 0", "limit_not_negative"),
    )
    id: str = Field(primary_key=True)
    # "organisation", "research" or "research/key_…": unique with the period, as null columns would not be
    subject: str
    scope: str
    team: str | None = Field(default=None, foreign_key="team.name", index=True)
    user: str | None = None
    # the schedule, trigger or sweep whose runs it bounds
    origin: str | None = Field(default=None, foreign_key="origin.id")
    period: str
    limit_micro_usd: int = Field(sa_type=BigInteger)
    hard: bool = True
    carry_over: bool = False
    thresholds: list[int] = Field(sa_type=JSON)
    sequence: int = 0
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

    @property
    def name(self) -> str:
        """How it is called on the wire, such as `research/month`."""
        return f"{self.subject}/{self.period}"


class BudgetWindow(SQLModel, table=True):
    """One period of a budget, borders fixed. Its two sums are written by `store.ledger` alone, with their entries;
    `outside` by the sweep."""

    __tablename__ = "budget_window"
    # Windows do not overlap. By their ends, the present one and the latest before it are found at once.
    __table_args__ = (UniqueConstraint("budget_id", "ends_at"),)
    id: str = Field(primary_key=True)
    budget_id: str = Field(foreign_key="budget.id")
    starts_at: datetime = Field(sa_type=UtcDateTime)
    ends_at: datetime = Field(sa_type=UtcDateTime)
    # added to the budget's limit in this window: what the last one left over, and what was granted once
    carried_micro_usd: int = Field(default=0, sa_type=BigInteger)
    granted_micro_usd: int = Field(default=0, sa_type=BigInteger)
    reserved_micro_usd: int = Field(default=0, sa_type=BigInteger)
    charged_micro_usd: int = Field(default=0, sa_type=BigInteger)
    # what jobs that did not come through the gate cost, of those that began in it: the organisation's windows only
    outside_micro_usd: int = Field(default=0, sa_type=BigInteger)
    # how many of those have no price that is known: their cost is in no sum
    outside_unpriced: int = 0
    # what was told of already: the highest threshold in percent, and that the money is spent
    told_percent: int = 0
    is_exhausted: bool = False


class ReservationWindow(SQLModel, table=True):
    """The windows that a submission's reservation and charge belong to: those open at its admission."""

    __tablename__ = "reservation_window"
    submission: str = Field(primary_key=True)
    window_id: str = Field(primary_key=True, foreign_key="budget_window.id", index=True)


class LedgerEntry(SQLModel, table=True):
    """Append-only, which the database itself sees to. For each submission: charge + release = reserve + overrun once it
    is closed. A `stray` entry has a submission of its own."""

    __tablename__ = "ledger_entry"
    __table_args__ = (
        CheckConstraint("kind IN ('reserve', 'charge', 'release', 'overrun', 'stray')", "kind_known"),
        CheckConstraint("amount_micro_usd >= 0", "amount_not_negative"),
        # Each reservation is opened once and closed once.
        UniqueConstraint("submission", "kind"),
        # What was spent in a period.
        Index("ix_ledger_entry_kind_at", "kind", "at"),
        {"info": {"append_only": True}},
    )
    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    run_id: str = Field(foreign_key="run.id", index=True)
    attempt: int
    submission: str
    # the budgets it belongs to by name, the nearest first
    budgets: list[str] = Field(sa_type=JSON)
    kind: str
    amount_micro_usd: int = Field(sa_type=BigInteger)
    price_per_minute_micro_usd: int = Field(sa_type=BigInteger)
    minutes: int
    at: datetime = Field(sa_type=UtcDateTime)


class BillingReading(SQLModel, table=True):
    """When Hugging Face's bills were asked for with a team's own tokens, or the service's (empty), and when they are to
    be asked for again."""

    __tablename__ = "billing_reading"
    credentials: str = Field(primary_key=True)
    asked_at: datetime = Field(sa_type=UtcDateTime)
    next_at: datetime = Field(sa_type=UtcDateTime)
    problem: str | None = None
