"""What pages and passes read does not grow with runs that ended long ago: by what the database counts itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlmodel import Session

from benchmarks import past
from benchmarks.filling import fill, team_name
from service.store import (
    audit,
    budgets,
    cards,
    deliveries,
    events,
    gauges,
    idempotency,
    logs,
    metrics,
    run_list,
    saved,
    standings,
    usage,
    webhooks,
)
from service.store.db import Database
from service.store.run_list import RunFilter
from tests.conftest import Clock
from tests.store.test_queue_cost import analyze, measure

TEAMS, MONTH, COPIES = 10, 200, 30

ASKED: dict[str, Callable[[Session, datetime], object]] = {
    "backlog": lambda session, now: gauges.backlog(session, now),
    "usage": lambda session, now: usage.charges(session, now - timedelta(days=1), now, None),
    "held": lambda session, now: usage.held(session, None, now),
    "bills": lambda session, _: gauges.billed_totals(session),
    "charged lately, one": lambda session, now: standings.charged_lately(session, ["bud_"], timedelta(days=7), now),
    "charged lately, all": lambda session, now: standings.charged_lately(
        session, [budget.id for budget in budgets.every(session)], timedelta(days=7), now
    ),
    "burn-down": lambda session, _: standings.charged_in(session, "win_"),
    "runs of states": lambda session, _: run_list.page(session, RunFilter(states=["failed", "cancelled"]), None, 20),
    "runs of a state that none has": lambda session, _: run_list.page(session, RunFilter(states=["running"]), None, 20),
    "a team's runs of a state": lambda session, _: run_list.page(
        session, RunFilter(team=team_name(3), states=["failed"]), None, 10
    ),
    "runs of a label that none has": lambda session, _: run_list.page(
        session, RunFilter(labels=(("project", "none"),)), None, 20
    ),
    "runs of a label": lambda session, _: run_list.page(
        session, RunFilter(labels=(("project", "project-3"),)), None, 10
    ),
    "runs of a repository": lambda session, _: run_list.page(session, RunFilter(output_repo="model-7"), None, 1),
    "runs of a repository that none has": lambda session, _: run_list.page(
        session, RunFilter(output_repo="acme/none"), None, 20
    ),
    "the feed": lambda session, _: events.feed(session, past.FIRST_POSITION + 500, None, ["*"], 20),
    "the audit log": lambda session, _: audit.page(session, audit.Narrowed(), None, 20),
    "cards": lambda session, now: cards.due(session, now, 20),
    "buckets": lambda session, now: saved.to_delete(session, now, 20),
    "old logs": lambda session, now: logs.drop_old(session, now, 1),
    "old series": lambda session, now: metrics.drop_old(session, now),
    "old keys": lambda session, now: idempotency.forget_old(session, now),
    "old deliveries": lambda session, now: deliveries.forget_old(session, now),
    "endpoints of runs": lambda session, now: webhooks.forget_run_endpoints(session, now),
}


@pytest.fixture
def young(db: Database, clock: Clock) -> Database:
    """This month's runs, and the queue."""
    fill(db, clock.now, TEAMS, 50)
    past.month(db, clock.now, [team_name(number) for number in range(TEAMS)], MONTH)
    analyze(db)
    return db


def test_a_longer_past_costs_no_statement_and_no_work_more(young: Database, clock: Clock) -> None:
    def ask(what: str) -> tuple[int, int]:
        cost = measure(young, clock.now, lambda session, now: 0 if ASKED[what](session, now) is None else 1)
        return len(cost.sent), cost.work

    before = {what: ask(what) for what in ASKED}
    past.before(young, clock.now, MONTH, COPIES)
    analyze(young)
    for what, (statements, work) in before.items():
        after = ask(what)
        assert after[0] == statements, what
        assert after[1] <= work * 1.5 + 40, f"{what}: {work} before, {after[1]} with {COPIES} times the past"
