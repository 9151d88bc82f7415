"""A database with a long past: finished runs with their attempts, ledger, events and entries of the audit log.

A month's worth is made row by row; what lies before is copies of it within the database, each copy older than the last.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, func, insert, literal, select
from sqlmodel import Session, SQLModel, text

from benchmarks.filling import PRICE, finished_run, insert_many, window_of
from service.domain.budget import Period, window
from service.store import terms
from service.store.db import Database
from service.store.tables import (
    Attempt,
    AuditEntry,
    BudgetWindow,
    Event,
    LedgerEntry,
    ReservationWindow,
    Run,
    SearchTerm,
)

# The ids of this month's runs begin with these 19 digits; those of copies with smaller ones, as they are older.
NEWEST = "9" * 19
FIRST_POSITION = 1_000_000_000
STATES = ("succeeded",) * 8 + ("failed", "cancelled")


def month(db: Database, now: datetime, teams: list[str], number: int) -> None:
    """So many runs that have ended within the last hours, all of this month."""
    ended = max(window(Period.MONTH, now)[0], now - timedelta(hours=6))
    runs = [
        finished_run(_id("run", place), teams[place % len(teams)], STATES[place % len(STATES)], ended)
        for place in range(number)
    ]
    insert_many(db, Run, iter(runs))
    insert_many(db, Attempt, (_attempt(run) for run in runs))
    insert_many(db, LedgerEntry, (entry for run in runs for entry in _entries(run)))
    owners = [(run, owner) for run in runs for owner in (None, run["team"])]
    insert_many(
        db, ReservationWindow, ({"submission": _sub(run), "window_id": window_of(owner)} for run, owner in owners)
    )
    kinds = ("run.queued", "run.submitted", "run.started", "run.ended")
    insert_many(
        db,
        Event,
        (
            _event(run, kind, sequence, FIRST_POSITION + 4 * place + sequence)
            for place, run in enumerate(runs)
            for sequence, kind in enumerate(kinds, 1)
        ),
    )
    insert_many(db, AuditEntry, (_audit(run) for run in runs))
    insert_many(db, SearchTerm, ({"term": term, "run_id": run["id"]} for run in runs for term in _terms(run)))


def before(db: Database, now: datetime, number: int, copies: int) -> None:
    """`copies` times as many runs again, over the three years before this month."""
    starts_at, _ = window(Period.MONTH, now)
    months = range(1, 37)
    for back in months:
        db.write(partial(_past_windows, back=back, starts_at=starts_at))
    for copy in range(copies):
        share = (copy + 1) / copies
        at = starts_at - timedelta(days=1) - timedelta(days=3 * 365 - 30) * share
        back = min(months[-1], 1 + (starts_at - at).days // 31)
        db.write(partial(_copy, prefix=f"{copies - copy:019}", at=at, back=back, shift=(copy + 1) * number * 4))


def _past_windows(session: Session, back: int, starts_at: datetime) -> None:
    begins = starts_at - timedelta(days=31 * back)
    changes = {"starts_at": begins, "ends_at": begins + timedelta(days=31)}
    present = SQLModel.metadata.tables["budget_window"]
    _insert_from(session, BudgetWindow, {"id": present.c.id + f"-{back}", **changes}, present.c.ends_at > starts_at)


def _copy(session: Session, prefix: str, at: datetime, back: int, shift: int) -> None:
    """This month's rows once more, as if all had happened at a moment."""
    tables = SQLModel.metadata.tables

    def renamed(column: ColumnElement[Any]) -> ColumnElement[Any]:
        return func.replace(column, NEWEST, prefix)

    run = {"id": renamed(tables["run"].c.id)}
    times = dict.fromkeys(("created_at", "admitted_at", "started_at", "finished_at", "checked_at"), at)
    _insert_from(session, Run, {**run, **times}, tables["run"].c.id.startswith("run_" + NEWEST))
    of = {
        name: tables[name].c
        for name in ("attempt", "ledger_entry", "reservation_window", "event", "audit_entry", "search_term")
    }
    for table, column, changes in (
        (
            Attempt,
            of["attempt"].run_id,
            {
                "submission": renamed(of["attempt"].submission),
                "hub_job_id": renamed(of["attempt"].hub_job_id),
                "admitted_at": at,
                "started_at": at,
                "finished_at": at,
            },
        ),
        (LedgerEntry, of["ledger_entry"].run_id, {"submission": renamed(of["ledger_entry"].submission), "at": at}),
        (
            ReservationWindow,
            of["reservation_window"].submission,
            {"window_id": of["reservation_window"].window_id + f"-{back}"},
        ),
        (
            Event,
            of["event"].subject,
            {"id": renamed(of["event"].id), "position": of["event"].position - shift, "timestamp": at},
        ),
        (AuditEntry, of["audit_entry"].id, {"at": at}),
        (SearchTerm, of["search_term"].run_id, {}),
    ):
        newest = column.like(f"%_{NEWEST}%")
        _insert_from(session, table, {column.key: renamed(column), **changes}, newest)


def _insert_from(session: Session, table: type[SQLModel], changes: dict[str, Any], which: ColumnElement[bool]) -> None:
    made = SQLModel.metadata.tables[str(table.__tablename__)]
    left_out = {"is_ready"} | ({"id"} if table is LedgerEntry else set())
    columns = [column for column in made.c if column.name not in left_out]
    values = [
        literal(changes[column.name], column.type) if isinstance(changes.get(column.name), datetime)
        else changes.get(column.name, column)
        for column in columns
    ]  # fmt: skip
    session.execute(insert(made).from_select([column.name for column in columns], select(*values).where(which)))


def settle_down(db: Database) -> None:
    """As a database is that has been running: statistics on PostgreSQL, no long write-ahead log on SQLite."""
    command = "PRAGMA wal_checkpoint(TRUNCATE)" if db.is_sqlite else "VACUUM ANALYZE"
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(command))


def _id(kind: str, place: int) -> str:
    return f"{kind}_{NEWEST}{place:07}"


def _sub(run: dict[str, Any]) -> str:
    return str(run["id"]).replace("run_", "sub_")


def _attempt(run: dict[str, Any]) -> dict[str, Any]:
    return {
        "run_id": run["id"],
        "attempt": 1,
        "submission": _sub(run),
        "flavor": run["flavor"],
        "timeout_seconds": run["timeout_seconds"],
        "price_per_minute_micro_usd": PRICE,
        "ceiling_micro_usd": run["ceiling_micro_usd"],
        "admitted_at": run["admitted_at"],
        "is_unclear": False,
        "absent_listings": 0,
        "hub_job_id": str(run["id"]).replace("run_", "job_"),
        "is_seen": True,
        "started_at": run["started_at"],
        "finished_at": run["finished_at"],
        "log_lines": 100,
        "log_bytes": 0,
        "log_state": "dropped",
        "metric_points": 0,
        "warnings": [],
        "running_ms": 600_000,
        "minutes": 10,
        "cost_micro_usd": 10 * PRICE,
        "metered_source": "hub",
        "cause": None if run["state"] == "succeeded" else "script_error",
    }


def _entries(run: dict[str, Any]) -> list[dict[str, Any]]:
    ceiling = run["ceiling_micro_usd"]
    amounts = {"reserve": ceiling, "charge": 10 * PRICE, "release": ceiling - 10 * PRICE}
    return [
        {
            "run_id": run["id"],
            "attempt": 1,
            "submission": _sub(run),
            "budgets": [f"{run['team']}/month", "organisation/month"],
            "kind": kind,
            "amount_micro_usd": amount,
            "price_per_minute_micro_usd": PRICE,
            "minutes": 10,
            "at": run["finished_at"],
        }
        for kind, amount in amounts.items()
    ]


def _event(run: dict[str, Any], kind: str, sequence: int, position: int) -> dict[str, Any]:
    return {
        "id": str(run["id"]).replace("run_", f"evt{sequence}_"),
        "position": position,
        "subject": run["id"],
        "sequence": sequence,
        "team": run["team"],
        "type": kind.replace("ended", run["state"]),
        "timestamp": run["finished_at"],
        "data": {"sequence": sequence, "id": run["id"], "state": run["state"], "message": "as it was told " * 20},
    }


def _audit(run: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": str(run["id"]).replace("run_", "aud_"),
        "at": run["created_at"],
        "actor": "key_one",
        "role": "member",
        "via": "key",
        "action": "POST /runs",
        "object": "/runs",
        "team": run["team"],
        "changes": [],
    }


def _terms(run: dict[str, Any]) -> list[str]:
    labels = [terms.of_label(*label) for label in run["labels"].items()]
    return [*labels, terms.of_repo(run["output_repo"]), terms.of_repo(run["output_repo"].partition("/")[2])]
