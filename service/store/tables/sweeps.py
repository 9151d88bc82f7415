"""Sweeps: one run for each point of a grid, and how those stand to one another."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field, SQLModel

from service.store.columns import UtcDateTime, index_where


class Sweep(SQLModel, table=True):
    """An origin that made all of its runs at once. Its money is a budget of its own; `factor` and `first_evaluation`
    are of its halving, None where all points are trained to their ends."""

    __tablename__ = "sweep"
    __table_args__ = (index_where("ended_at IS NULL", "ix_sweep_goes_on", "id"),)
    id: str = Field(primary_key=True, foreign_key="origin.id")
    budget: str = Field(foreign_key="budget.id")
    factor: int | None = None
    first_evaluation: int | None = None
    cancelled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    cancelled_by: str | None = None
    # once every run of it has ended
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class SweepPoint(SQLModel, table=True):
    """One point and its run, with what `flow.compare` has read of the run's evaluations: up to metric `metric` of
    attempt `attempt`. `losses`: at each rung, by its number of evaluations; null is no number."""

    __tablename__ = "sweep_point"
    sweep: str = Field(primary_key=True, foreign_key="sweep.id")
    number: int = Field(primary_key=True)
    run_id: str = Field(foreign_key="run.id", unique=True)
    parameters: dict[str, Any] = Field(sa_type=JSON)
    attempt: int = 0
    metric: int = 0
    evaluations: int = 0
    step: int | None = None
    eval_loss: float | None = None
    losses: dict[str, float | None] = Field(default_factory=dict, sa_type=JSON)
    # its run has ended, and all that it said is in here
    is_over: bool = False
