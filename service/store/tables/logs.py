"""What jobs said: chunks of their logs, and the numbers that were read from them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKeyConstraint, Index, LargeBinary
from sqlmodel import Field, SQLModel

from service.store.columns import UtcDateTime

_ATTEMPT = (["run_id", "attempt"], ["attempt.run_id", "attempt.attempt"])


class LogChunk(SQLModel, table=True):
    """Some lines of an attempt's log, gzipped JSON, with secrets masked before they were stored. `first_line` counts
    from 0; `byte_count` is what the lines take unpacked; `until` is when the last of them was written."""

    __tablename__ = "log_chunk"
    __table_args__ = (ForeignKeyConstraint(*_ATTEMPT),)
    run_id: str = Field(primary_key=True)
    attempt: int = Field(primary_key=True)
    first_line: int = Field(primary_key=True)
    line_count: int
    byte_count: int
    until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    lines: bytes = Field(sa_type=LargeBinary)


class Report(SQLModel, table=True):
    """Numbers that a job posted to its callback URL, until the step that reads logs has taken them in."""

    __tablename__ = "report"
    __table_args__ = (ForeignKeyConstraint(*_ATTEMPT), Index("ix_report_attempt", "run_id", "attempt", "id"))
    id: int | None = Field(default=None, primary_key=True)
    run_id: str
    attempt: int
    numbers: dict[str, Any] = Field(sa_type=JSON)
    at: datetime = Field(sa_type=UtcDateTime)


class MetricPoint(SQLModel, table=True):
    """Numbers of one logging step, of an evaluation, or of the machine, in the order in which they came."""

    __tablename__ = "metric_point"
    __table_args__ = (ForeignKeyConstraint(*_ATTEMPT),)
    run_id: str = Field(primary_key=True)
    attempt: int = Field(primary_key=True)
    number: int = Field(primary_key=True)
    kind: str
    step: int | None = None
    at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    numbers: dict[str, Any] = Field(sa_type=JSON)
