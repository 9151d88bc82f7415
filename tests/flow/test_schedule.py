"""Schedules make their runs: each time once, whoever leads, whatever became of the last one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlmodel import Session, col, select

from service.domain.budget import Period
from service.domain.overlap import Overlap
from service.domain.schedule import Misfire
from service.flow import schedule as step
from service.store import budgets, events, origins, schedules
from service.store.budgets import Owner, Terms
from service.store.tables import Event, Origin, Run, Schedule
from tests.flow.conftest import World

RUN = {
    "recipe": {"kind": "script", "source": "print(1)\n"},
    "flavor": "cpu-basic",
    "timeout": "10m",
    "labels": {"day": "{{date}}"},
}
ID = "sch_1"


def make(world: World, template: dict[str, Any] = RUN, **fields: Any) -> None:
    """A schedule of every hour, at the hour, whose next time is the next."""
    fields = {"misfire": Misfire.RUN_ONCE.value, "overlap": Overlap.SKIP.value, "cron": "0 * * * *", **fields}

    def work(session: Session) -> None:
        most = 1 if fields["overlap"] == "queue" else None
        session.add(
            Origin(
                id=ID, kind="schedule", team="research", name="hourly", owner="ana", template=template,
                max_concurrent_runs=most, created_at=world.clock.now,
            )
        )  # fmt: skip
        session.flush()
        schedule = Schedule(id=ID, time_zone="UTC", anchor_at=world.clock.now, **fields)
        schedule.next_at = schedules.timing(schedule).after(world.clock.now)
        session.add(schedule)

    world.db.write(work)


def schedule(world: World) -> Schedule:
    with world.db.read() as session:
        found = origins.get(session, Schedule, ID)
    assert found is not None
    return found[1]


def made(world: World) -> list[Run]:
    with world.db.read() as session:
        return list(session.exec(select(Run).where(col(Run.origin) == ID).order_by(col(Run.id))))


def until_due(world: World) -> datetime:
    due_at = schedule(world).next_at
    assert due_at is not None
    world.clock.now = due_at
    return due_at


def told(world: World) -> list[tuple[str, str]]:
    with world.db.read() as session:
        return [(event.type, event.data["message"]) for event in events.of(session, ID, 0, 100)]


def test_each_time_makes_one_run_of_the_owners_with_its_date(world: World) -> None:
    make(world)
    assert step.run_once(world.gate) == 0
    planned = until_due(world)
    assert step.run_once(world.gate) == 1
    assert step.run_once(world.gate) == 0
    [run] = made(world)
    assert (run.requested_by, run.team, run.origin) == ("ana", "research", ID)
    assert run.labels == {"day": f"{planned:%Y-%m-%d}"}
    now = schedule(world)
    assert (now.last_at, now.last_outcome, now.last_run_id) == (planned, "started", run.id)
    assert now.next_at == planned + timedelta(hours=1)
    world.until_end(run.id)
    until_due(world)
    assert step.run_once(world.gate) == 1
    assert len(made(world)) == 2


def test_an_old_leader_and_a_new_one_make_one_run_of_a_time(world: World) -> None:
    make(world)
    until_due(world)
    # both have read that it is due; one of them is late
    both = [partial(step.turn, schedule_id=ID, gate=world.gate, now=world.clock.now) for _ in range(2)]
    assert [world.db.write(work) is not None for work in both] == [True, False]
    assert len(made(world)) == 1


def test_a_time_that_is_counted_again_finds_its_run(world: World) -> None:
    make(world, overlap="queue")
    planned = until_due(world)
    step.run_once(world.gate)

    def back(session: Session) -> None:
        row = session.get_one(Schedule, ID)
        row.next_at = planned
        session.add(row)

    world.db.write(back)  # as a backup that was put back might
    step.run_once(world.gate)
    assert len(made(world)) == 1


@pytest.mark.parametrize(("misfire", "runs"), [("run_once", 1), ("skip", 0)])
def test_times_that_passed_while_nothing_ran(world: World, misfire: str, runs: int) -> None:
    make(world, misfire=misfire)
    until_due(world)
    world.clock.turn(hours=5, minutes=30)
    assert step.run_once(world.gate) == 1
    assert len(made(world)) == runs
    if not runs:
        assert told(world) == [("schedule.skipped", "nothing could be started at 6 times that passed")]
    next_at = schedule(world).next_at
    assert next_at is not None
    assert world.clock.now < next_at <= world.clock.now + timedelta(hours=1)


def test_a_run_that_has_not_ended_is_not_overlapped(world: World) -> None:
    make(world)
    until_due(world)
    step.run_once(world.gate)
    until_due(world)
    step.run_once(world.gate)
    [run] = made(world)
    assert told(world) == [("schedule.skipped", f"{run.id} of the schedule has not ended")]
    assert schedule(world).last_outcome == "skipped"


def test_or_waits_for_its_turn_in_the_queue_and_no_more_than_ten_do(world: World) -> None:
    make(world, overlap="queue")
    world.budget(10**9)
    for _ in range(3):
        until_due(world)
        step.run_once(world.gate)
    world.pass_all()
    first, second, third = made(world)
    assert first.state == "running"
    assert (second.state, second.reason) == ("queued", "waiting_for_slot")
    assert second.message == f"1 of 1 runs of {ID} are active"
    assert third.state == "queued"
    world.until_end(first.id)
    world.pass_all()
    assert made(world)[1].state != "queued"
    for _ in range(12):
        until_due(world)
        step.run_once(world.gate)
    assert len([run for run in made(world) if run.finished_at is None]) == 11


def test_or_takes_the_place_of_the_earlier_one(world: World) -> None:
    make(world, {**RUN, "timeout": "2h", "env": {"SANDBOX_RUN_SECONDS": "7000"}}, overlap="cancel_previous")
    until_due(world)
    step.run_once(world.gate)
    world.pass_all()
    until_due(world)
    step.run_once(world.gate)
    first, second = made(world)
    assert first.cancel_requested_by == "hourly"
    assert first.cancel_message == f"hourly goes on with {second.id}"
    world.until_end(first.id)
    assert made(world)[0].state == "cancelled"


def test_its_budget_binds_its_runs_and_no_others(world: World) -> None:
    make(world, overlap="queue")
    ceiling = 1837
    terms = Terms(ceiling + ceiling // 2)
    owner = Owner("research", origin=ID)
    world.db.write(lambda session: budgets.grant(session, owner, Period.MONTH, terms, "ana", world.clock.now) and None)
    until_due(world)
    step.run_once(world.gate)
    world.until_end(made(world)[0].id)
    for _ in range(8):
        until_due(world)
        step.run_once(world.gate)
        world.pass_all()
        if (waiting := [run for run in made(world) if run.reason == "waiting_for_budget"]) != []:
            break
        world.until_end(*(run.id for run in made(world)))
    assert waiting
    assert f"research/{ID}/month" in (waiting[0].message or "")
    other = world.enqueue()
    world.pass_all()
    assert world.run(other).state != "queued"


def test_what_is_refused_is_told_and_the_schedule_goes_on(world: World) -> None:
    make(world, template={**RUN, "timeout": "30d"})
    world.budget(1000)
    until_due(world)
    assert step.run_once(world.gate) == 1
    assert made(world) == []
    [(event, message)] = told(world)
    assert event == "schedule.refused"
    assert "can never hold more" in message
    with world.db.read() as session:
        assert session.exec(select(Event).where(Event.type == "run.queued")).all() == []
    assert (schedule(world).next_at or datetime.min.replace(tzinfo=UTC)) > world.clock.now


def test_a_restart_changes_nothing(world: World) -> None:
    make(world)
    until_due(world)
    step.run_once(world.gate)
    world.gate = replace(world.gate, boot="another")
    step.run_once(world.gate)
    assert len(made(world)) == 1
