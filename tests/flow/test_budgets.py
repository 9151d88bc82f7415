"""Budgets of every scope and period: what they admit, when they begin anew, and what they tell."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from sqlmodel import Session, select

from service.domain.budget import Period
from service.domain.errors import ExceedsBudget
from service.flow import admit
from service.store import budgets, events, organisation, teams, windows
from service.store.budgets import Owner
from service.store.tables import Budget, BudgetWindow, Event
from tests.factories import make_budget
from tests.flow.conftest import World

CEILING = 167 * 11


def grant(world: World, micro_usd: int, **fields: Any) -> Budget:
    return world.db.write(lambda session: make_budget(session, world.clock.now, micro_usd, **fields))


def window(world: World, budget: Budget) -> BudgetWindow:
    with world.db.read() as session:
        return windows.find_or_new(session, budget, world.clock.now)


def told(world: World, budget: Budget) -> list[str]:
    with world.db.read() as session:
        found = events.of(session, budget.id, 0, 1000)
    assert [event.sequence for event in found] == list(range(1, len(found) + 1))
    return [event.type.removeprefix("budget.") for event in found if event.type != "budget.changed"]


@pytest.mark.parametrize("owner", [{"team": None}, {"user": "key_test"}, {"period": "day"}, {"period": "total"}])
def test_a_run_must_fit_every_budget_above_it(world: World, owner: dict[str, Any]) -> None:
    extra = grant(world, CEILING + 200, **owner)
    first, second = world.enqueue(seconds=30), world.enqueue(seconds=30)
    admit.run_once(world.gate)
    assert world.run(first).state == "submitting"
    assert world.run(second).reason == "waiting_for_budget"
    assert extra.name in (world.run(second).message or "")
    assert window(world, extra).reserved_micro_usd == CEILING
    world.until_end(first, second)
    assert (window(world, extra).reserved_micro_usd, window(world, extra).charged_micro_usd) == (0, 334)
    assert world.entries(first) == [("reserve", CEILING), ("charge", 167), ("release", CEILING - 167)]


def test_a_soft_budget_warns_and_admits(world: World) -> None:
    soft = grant(world, 200, period="day", hard=False)
    run_id = world.enqueue(seconds=30)
    world.until_end(run_id)
    assert told(world, soft) == ["threshold_reached", "threshold_reached"], "50 and 80 percent"
    world.until_end(world.enqueue(seconds=30))
    assert told(world, soft) == ["threshold_reached"] * 3 + ["exhausted"]


@pytest.mark.parametrize(
    ("owner", "micro_usd"), [({"team": None}, 1000), ({"user": "key_test", "period": "week"}, 1000), ({}, 1000)]
)
def test_only_what_can_never_fit_is_refused(world: World, owner: dict[str, Any], micro_usd: int) -> None:
    budget = grant(world, micro_usd, **owner)
    with pytest.raises(ExceedsBudget) as refused:
        world.enqueue()
    assert refused.value.extra == {"budget": budget.name, "need_usd": 0.001837, "limit_usd": 0.001}
    grant(world, micro_usd, **owner, hard=False)
    world.until_end(world.enqueue(seconds=5))


def test_what_a_total_budget_has_spent_does_not_come_back(world: World) -> None:
    grant(world, CEILING + 100, period="total")
    world.until_end(world.enqueue(seconds=30))
    with pytest.raises(ExceedsBudget):
        world.enqueue()


def test_a_clock_that_went_ahead_does_not_grant_a_total_budget_twice(world: World) -> None:
    world.clock.turn(hours=12)
    grant(world, CEILING + 100, period="total")
    world.until_end(world.enqueue(seconds=30))
    world.clock.turn(hours=-12)
    with pytest.raises(ExceedsBudget):
        world.enqueue()
    admit.run_once(world.gate)
    with world.db.read() as session:
        budget = session.exec(select(Budget).where(Budget.period == "total")).one()
        assert len(session.exec(select(BudgetWindow).where(BudgetWindow.budget_id == budget.id)).all()) == 1


def test_a_new_window_starts_what_waited_for_it_and_is_told_once(world: World) -> None:
    day = grant(world, CEILING + 100, period="day")
    first = world.enqueue(seconds=30)
    world.until_end(first)
    second = world.enqueue(seconds=30)
    admit.run_once(world.gate)
    waits = world.run(second)
    assert waits.reason == "waiting_for_budget"
    assert "2026-11-25 00:00 UTC" in (waits.message or "")
    assert told(world, day) == ["exhausted"]
    world.clock.turn(hours=12)
    admit.run_once(world.gate)
    assert world.run(second).state == "submitting"
    world.until_end(second)
    assert told(world, day) == ["exhausted", "reset"]


def test_events_name_the_limit_what_was_carried_and_what_was_granted_apart(world: World) -> None:
    day = grant(world, 1_000, period="day", carry_over=True, hard=False)

    def add(session: Session) -> None:
        budgets.add_once(session, session.get_one(Budget, day.id), 500, "key_admin", None, world.clock.now)

    world.db.write(add)
    world.until_end(world.enqueue(seconds=5))
    world.clock.turn(hours=12)
    world.until_end(world.enqueue(seconds=5))
    with world.db.read() as session:
        [reset] = session.exec(select(Event).where(Event.type == "budget.reset")).all()
    told_of = {name: reset.data[f"{name}_usd"] for name in ("limit", "carried", "granted", "remaining")}
    assert told_of == {"limit": 0.001, "carried": 0.001, "granted": 0.0, "remaining": 0.002}


def test_an_attempt_belongs_to_the_windows_open_at_its_admission(world: World) -> None:
    day = grant(world, 10 * CEILING, period="day")
    world.clock.turn(hours=11, minutes=59)
    run_id = world.enqueue(seconds=300)
    world.pass_all()
    before = window(world, day)
    world.clock.turn(minutes=1)
    world.until_end(run_id, seconds=30)
    with world.db.read() as session:
        old = session.get(BudgetWindow, before.id)
    assert old is not None
    assert (old.reserved_micro_usd, old.charged_micro_usd) == (0, 5 * 167)
    assert window(world, day).charged_micro_usd == 0


def test_windows_begin_in_the_teams_time_zone_from_the_next_one_on(world: World) -> None:
    day = grant(world, CEILING, period="day")

    def move(session: Session) -> None:
        team = teams.get(session, "research")
        assert team is not None
        team.time_zone = "Asia/Kolkata"
        session.add(team)

    world.db.write(move)
    assert window(world, day).ends_at == datetime.fromisoformat("2026-11-25T00:00:00+00:00")
    world.clock.turn(hours=13)
    following = window(world, day)
    assert following.starts_at == datetime.fromisoformat("2026-11-25T00:00:00+00:00")
    assert following.ends_at == datetime.fromisoformat("2026-11-25T18:30:00+00:00")


def test_unspent_money_is_carried_over_where_asked_for(world: World) -> None:
    day = grant(world, 10_000, period="day", carry_over=True)
    world.until_end(world.enqueue(seconds=30))
    world.clock.turn(days=1)
    admit.run_once(world.gate)
    assert window(world, day).carried_micro_usd == 10_000 - 167
    world.clock.turn(days=5)
    admit.run_once(world.gate)
    assert window(world, day).carried_micro_usd == 10_000, "at most one period's limit"


def test_a_clock_that_was_wrong_for_a_moment_hands_no_money_out_twice(world: World) -> None:
    day = grant(world, 10_000, period="day", carry_over=True)
    world.clock.turn(days=1)
    admit.run_once(world.gate)
    assert window(world, day).carried_micro_usd == 10_000
    world.clock.turn(days=-1)
    for _ in range(2):
        world.until_end(world.enqueue(seconds=590), seconds=60)
    spent = window(world, day).charged_micro_usd
    assert spent > 3_000
    world.clock.turn(days=1)
    assert window(world, day).carried_micro_usd == 10_000 - spent


def test_a_grant_adds_to_one_window_and_lets_a_waiting_run_past(world: World) -> None:
    day = grant(world, CEILING, period="day")
    world.until_end(world.enqueue(seconds=30))
    second = world.enqueue(seconds=30)
    admit.run_once(world.gate)
    assert world.run(second).reason == "waiting_for_budget"

    def add(session: Session) -> None:
        budget = session.get(Budget, day.id)
        assert budget is not None
        budgets.add_once(session, budget, 167, "key_admin", "the demo", world.clock.now)

    world.db.write(add)
    admit.run_once(world.gate)
    assert world.run(second).state == "submitting"
    assert told(world, day) == ["exhausted", "granted"]
    world.until_end(second)
    world.clock.turn(hours=12)
    assert window(world, day).granted_micro_usd == 0


def test_a_raised_limit_is_warned_of_anew(world: World) -> None:
    day = grant(world, CEILING, period="day")
    world.until_end(world.enqueue(seconds=590), seconds=60)
    second = world.enqueue(seconds=590)
    admit.run_once(world.gate)
    before = ["threshold_reached"] * 2 + ["exhausted"]
    assert told(world, day) == before, "50 and 80 percent"
    grant(world, 3 * CEILING, period="day")
    world.until_end(second, seconds=60)
    assert told(world, day) == [*before, "threshold_reached"], "50 percent of the larger one"

    def add(session: Session) -> None:
        budgets.add_once(session, session.get_one(Budget, day.id), CEILING * 2, "key_admin", None, world.clock.now)

    world.db.write(add)
    for _ in range(3):
        world.until_end(world.enqueue(seconds=590), seconds=60)
    more = ["granted", "threshold_reached", "threshold_reached", "threshold_reached"]
    assert told(world, day)[len(before) + 1 :][:3] == more[:3], "50 and 80 percent of the window with its grant"


def test_the_same_terms_again_tell_nothing_again(world: World) -> None:
    day = grant(world, CEILING, period="day")
    world.until_end(world.enqueue(seconds=590), seconds=60)
    world.enqueue(seconds=590)
    for _ in range(2):
        admit.run_once(world.gate)
        grant(world, CEILING, period="day")
    assert told(world, day) == ["threshold_reached"] * 2 + ["exhausted"]


def test_changes_are_events_that_name_who_and_what(world: World) -> None:
    grant(world, 5_000, period="week")
    budget = grant(world, 7_000, period="week", hard=False)
    with world.db.read() as session:
        changes = session.exec(
            select(Event).where(Event.subject == budget.id).order_by(Event.sequence)  # type: ignore[arg-type]
        ).all()
    assert [change.data["by"] for change in changes] == ["key_admin", "key_admin"]
    assert changes[0].data["before"] is None
    assert changes[1].data["before"]["limit_usd"] == 0.005
    assert changes[1].data["after"] == {
        "limit_usd": 0.007,
        "hard": False,
        "carry_over": False,
        "thresholds": [50, 80, 100],
    }


def test_a_budget_that_was_ended_binds_no_more(world: World) -> None:
    day = grant(world, CEILING, period="day")
    first, second = world.enqueue(seconds=30), world.enqueue(seconds=30)
    admit.run_once(world.gate)
    assert world.run(second).state == "queued"
    world.db.write(lambda session: budgets.end(session, session.get(Budget, day.id), "key_admin", world.clock.now))  # type: ignore[arg-type]
    admit.run_once(world.gate)
    assert world.run(second).state == "submitting"
    world.until_end(first, second)


def test_limits_of_flavors_namespaces_and_users(world: World) -> None:
    for change in ("flavor", "namespace", "user", "organisation"):

        def limit(session: Session, change: str = change) -> None:
            row, team = organisation.lock(session), teams.get(session, "research")
            assert team is not None
            row.max_concurrent_runs_by_flavor = {"cpu-basic": 1} if change == "flavor" else {}
            row.max_concurrent_runs_by_namespace = {"acme": 1} if change == "namespace" else {}
            row.max_concurrent_runs = 1 if change == "organisation" else None
            team.max_concurrent_runs_per_user = 1 if change == "user" else None
            session.add_all([row, team])

        world.db.write(limit)
        first, second = world.enqueue(seconds=10), world.enqueue(seconds=10)
        admit.run_once(world.gate)
        assert (world.run(first).state, world.run(second).reason) == ("submitting", "waiting_for_slot"), change
        world.until_end(first, second)


def test_the_organisations_budget_is_found_by_its_owner(world: World) -> None:
    made = grant(world, 5, team=None, period="total")
    with world.db.read() as session:
        found = budgets.find(session, Owner(), Period.TOTAL)
    assert found is not None
    assert (found.id, found.scope, found.name) == (made.id, "organisation", "organisation/total")
