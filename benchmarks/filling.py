"""A database with a long queue, filled by bulk inserts: the rows that the service itself would have written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy import insert
from sqlmodel import Session, SQLModel, col, update

from service.domain.budget import Period, window
from service.domain.fairness import rank
from service.domain.job import labels
from service.store import flavors
from service.store.db import Database
from service.store.flavors import Listed
from service.store.tables import Attempt, Budget, BudgetWindow, Lane, LedgerEntry, Run, Team

BATCH = 2_000
PRICE = 25_000
# Runs of one lane differ in length.
MINUTES = range(30, 90)
# of every run that is running
RUNNING_MINUTES = 60
LIMIT = 1_000_000_000
_BEGUN = {"state": "running", "reason": None, "message": "training", "attempt": 1, "sequence": 3}
# Makes a job of its labels; its id.
Start = Callable[[dict[str, str]], str]

# About as large as a recipe with a script of 40 lines.
RECIPE = {"kind": "script", "source": "# a line of a script that trains\n" * 40, "args": ["--epochs", "1"]}


def fill(db: Database, now: datetime, teams: int, queued: int) -> None:
    """`teams` teams, each with a monthly budget in micro-dollars that is far from spent, and `queued` runs that wait,
    dealt to the teams in turn, so that each team has one lane of the same length."""
    names = [team_name(number) for number in range(teams)]
    db.write(lambda session: flavors.replace_all(session, [Listed("a10g-large", PRICE, {"name": "a10g-large"})], now))
    for table, rows in (
        (Team, (_team(name, now) for name in names)),
        (Lane, (_lane(name) for name in names)),
        (Budget, (_budget(name, now) for name in [None, *names])),
        (BudgetWindow, (_window(name, now) for name in [None, *names])),
    ):
        insert_many(db, table, rows)
    queue(db, now, teams, range(queued))


def queue(db: Database, now: datetime, teams: int, numbers: range) -> None:
    """Runs with these numbers join the queue, each behind those with smaller ones."""
    insert_many(db, Run, (_run(number, team_name(number % teams), now) for number in numbers))


def insert_many(db: Database, table: type[SQLModel], rows: Iterator[dict[str, Any]]) -> None:
    """Insert rows in bulk, some thousands at a time."""
    while batch := list(islice(rows, BATCH)):
        db.write(partial(_execute, table=table, batch=batch))


def window_of(team: str | None) -> str:
    """The id of the present window of a team's budget, or of the organisation's."""
    return f"win_{team or ''}"


def finished_run(run_id: str, team: str, state: str, ended: datetime) -> dict[str, Any]:
    """A run that had one job."""
    number = int(run_id[-7:])
    return {
        **_run(number, team, ended),
        "id": run_id,
        "state": state,
        "reason": None if state == "succeeded" else "script_error",
        "message": None,
        "output_repo": f"acme/model-{number}",
        "output": {"repo": f"acme/model-{number}", "revision": "a" * 40, "verified": state == "succeeded"},
        "labels": {"project": f"project-{number % 10}"},
        "attempt": 1,
        "sequence": 4,
        "created_at": ended,
        "admitted_at": ended,
        "started_at": ended,
        "finished_at": ended,
    }


def run_id(number: int) -> str:
    """The id of the run that was filled in with a number."""
    return f"run_{number:026}"


def queue_of(db: Database, now: datetime, team: str, numbers: range) -> None:
    """Runs of one team with these numbers join the queue."""
    insert_many(db, Run, (_run(number, team, now) for number in numbers))


def spend_all(session: Session) -> None:
    """Every team's window is spent whole, so that what waits would lack money even with all reservations back."""
    session.exec(update(BudgetWindow).where(col(BudgetWindow.budget_id) != "bud_").values(charged_micro_usd=LIMIT))


def team_name(number: int) -> str:
    """How a team is called."""
    return f"team-{number:05}"


def _execute(session: Session, table: type[SQLModel], batch: list[dict[str, Any]]) -> None:
    session.execute(insert(table), batch)


def _team(name: str, now: datetime) -> dict[str, Any]:
    return {"name": name, "created_at": now, "time_zone": "UTC", "weight": 1.0, "usage_micro_usd": 0.0}


def _lane(team: str) -> dict[str, Any]:
    return {"name": _lane_name(team), "team": team, "user": "key_one", "flavor": "a10g-large", "namespace": "acme"}


def _lane_name(team: str) -> str:
    return f"{team}/key_one/a10g-large/acme"


def _budget(team: str | None, now: datetime) -> dict[str, Any]:
    return {
        "id": f"bud_{team or ''}",
        "subject": team or "organisation",
        "scope": "organisation" if team is None else "team",
        "team": team,
        "period": "month",
        "limit_micro_usd": LIMIT if team is not None else LIMIT * 1_000_000,
        "hard": True,
        "carry_over": False,
        "thresholds": [50, 80, 100],
        "sequence": 0,
        "created_at": now,
        "updated_at": now,
    }


def _window(team: str | None, now: datetime) -> dict[str, Any]:
    starts_at, ends_at = window(Period.MONTH, now)
    return {
        "id": window_of(team),
        "budget_id": f"bud_{team or ''}",
        "starts_at": starts_at,
        "ends_at": ends_at,
        "carried_micro_usd": 0,
        "granted_micro_usd": 0,
        "reserved_micro_usd": 0,
        "charged_micro_usd": 0,
        "told_percent": 0,
        "is_exhausted": False,
    }


def _run(number: int, team: str, now: datetime) -> dict[str, Any]:
    created_at = now - timedelta(hours=1) + timedelta(milliseconds=number)
    minutes = MINUTES[number * 7_919 % len(MINUTES)]
    return {
        "id": run_id(number),
        "team": team,
        "state": "queued",
        "reason": "checking",
        "message": "accepted",
        "requested_by": "key_one",
        "recipe": RECIPE,
        "flavor": "a10g-large",
        "requested_timeout_seconds": minutes * 60,
        "timeout_seconds": minutes * 60,
        "ceiling_micro_usd": PRICE * (minutes + 1),
        "namespace": "acme",
        "volumes": [],
        "env": {},
        "secret_names": [],
        "priority": 50,
        "labels": {"project": "queue"},
        "lane": _lane_name(team),
        "rank": rank(created_at, 50),
        "quoted_price_micro_usd": PRICE,
        "open_dependencies": 0,
        "checked_at": now,
        "attempt": 0,
        "sequence": 1,
        "tries": 0,
        "created_at": created_at,
    }


def running(db: Database, now: datetime, team: str, installation: str, count: int, start: Start) -> list[str]:
    """So many runs of one team, each with a job that `start` makes of its labels, seen running; the jobs' ids."""
    insert_many(db, Lane, iter([_lane(team)]))
    jobs = []
    for first in range(0, count, BATCH):
        numbers = range(first, min(first + BATCH, count))
        insert_many(db, Run, (_run(number, team, now) | _BEGUN | {"started_at": now} for number in numbers))
        attempts = [_attempt(number, now, start(_labels(number, team, installation))) for number in numbers]
        insert_many(db, Attempt, iter(attempts))
        insert_many(db, LedgerEntry, (_reserved(attempt, now) for attempt in attempts))
        jobs += [attempt["hub_job_id"] for attempt in attempts]
    return jobs


def _labels(number: int, team: str, installation: str) -> dict[str, str]:
    return labels(f"run_{number:026}", 1, f"sub_{number:026}", installation, team, {})


def _attempt(number: int, now: datetime, job_id: str) -> dict[str, Any]:
    return {
        "run_id": f"run_{number:026}",
        "attempt": 1,
        "submission": f"sub_{number:026}",
        "flavor": "a10g-large",
        "timeout_seconds": RUNNING_MINUTES * 60,
        "price_per_minute_micro_usd": PRICE,
        "ceiling_micro_usd": PRICE * (RUNNING_MINUTES + 1),
        "admitted_at": now,
        "called_at": now,
        "call_deadline": now,
        "called_by": "filling",
        "is_unclear": False,
        "absent_listings": 0,
        "hub_job_id": job_id,
        "scheduled_at": now,
        "is_seen": True,
        "started_at": now,
        "log_lines": 0,
        "log_bytes": 0,
        "metric_points": 0,
        "warnings": [],
    }


def _reserved(attempt: dict[str, Any], now: datetime) -> dict[str, Any]:
    return {
        "run_id": attempt["run_id"],
        "attempt": 1,
        "submission": attempt["submission"],
        "budgets": [],
        "kind": "reserve",
        "amount_micro_usd": attempt["ceiling_micro_usd"],
        "price_per_minute_micro_usd": PRICE,
        "minutes": RUNNING_MINUTES + 1,
        "at": now,
    }
