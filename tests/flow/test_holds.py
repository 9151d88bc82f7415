"""What holds a run outside the board: other runs, approvals, pauses, a time by which it must have started."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlmodel import Session

from service.domain.errors import Invalid
from service.domain.place import Place
from service.flow import admit, hold, submit, watch
from service.flow.change import change
from service.flow.gate import Start
from service.store import organisation, runs, teams
from tests.factories import make_prices
from tests.flow.conftest import World


def change_team(world: World, **values: Any) -> None:
    def work(session: Session) -> None:
        team = teams.get(session, "research")
        assert team is not None
        for name, value in values.items():
            setattr(team, name, value)
        session.add(team)

    world.db.write(work)


def rules(world: World, **changed: Any) -> None:
    values = {
        "cost_over_micro_usd": None,
        "flavors": [],
        "first_run_of_user": False,
        "expires_after_seconds": 3600,
        **changed,
    }
    change_team(world, approval_rules=values)


def approve(world: World, run_id: str) -> None:
    def work(session: Session) -> None:
        run = runs.lock(session, run_id)
        assert run is not None
        run.approval = "granted"
        session.add(run)

    world.db.write(work)


def test_a_run_starts_after_others_have_succeeded(world: World) -> None:
    first, second = world.enqueue(seconds=20), world.enqueue(seconds=40)
    third = world.enqueue(seconds=5, after=[first, second])
    world.pass_all()
    assert (world.run(third).state, world.run(third).reason) == ("queued", "waiting_for_dependency")
    assert world.show(third)["after"] == sorted([first, second])
    world.until_end(first)
    hold.run_once(world.gate)
    assert "starts once 1 other run has succeeded" in (world.run(third).message or "")
    world.until_end(third)
    assert world.run(third).admitted_at >= world.run(second).finished_at  # type: ignore[operator]


def test_a_run_that_can_never_start_is_cancelled_with_its_reason_and_so_are_those_after_it(world: World) -> None:
    first = world.enqueue(seconds=5, exit_code=1)
    second = world.enqueue(after=[first])
    third = world.enqueue(after=[second])
    world.until_end(first, second, third)
    for run_id, ahead, ended in ((second, first, "has failed"), (third, second, "was cancelled")):
        run = world.run(run_id)
        assert (run.state, run.reason) == ("cancelled", "dependency_failed")
        told = f"{ahead}, which it was to start after, {ended}"
        why = f": {world.run(ahead).message}" if world.run(ahead).failure else ""
        assert run.message == told + why
        assert bool(why) is (ahead == first)
        assert world.told(run_id) == ["run.queued", "run.cancelled"]


def test_what_has_ended_already_counts_at_once(world: World) -> None:
    good, bad = world.enqueue(seconds=5), world.enqueue(seconds=5, exit_code=1)
    world.until_end(good, bad)
    world.until_end(world.enqueue(seconds=5, after=[good]))
    with pytest.raises(Invalid, match="could never start"):
        world.enqueue(after=[bad])
    with pytest.raises(Invalid, match="has no run"):
        world.enqueue(after=["run_x"])


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"cost_over_micro_usd": 1000}, "more than $0.001 needs approval"),
        ({"flavors": ["cpu-basic"]}, "runs on cpu-basic need approval"),
        ({"first_run_of_user": True}, "the first run of a user"),
    ],
)
def test_a_run_awaits_approval_until_its_time_is_over(world: World, rule: dict[str, Any], says: str) -> None:
    rules(world, **rule)
    run_id = world.enqueue()
    admit.run_once(world.gate)
    run = world.run(run_id)
    assert (run.state, run.reason) == ("queued", "awaiting_approval")
    assert says in (run.message or "")
    assert world.told(run_id) == ["run.queued", "run.awaiting_approval"]
    world.clock.turn(hours=1)
    world.pass_all()
    world.pass_all()
    run = world.run(run_id)
    assert (run.state, run.reason) == ("cancelled", "approval_expired")
    assert world.show(run_id)["approval"]["state"] == "expired"


def test_no_rule_no_approval(world: World) -> None:
    rules(world, cost_over_micro_usd=5_000, flavors=["h200"])
    run_id = world.enqueue(seconds=5)
    assert world.show(run_id)["approval"] is None
    world.until_end(run_id)
    rules(world, first_run_of_user=True)
    world.until_end(world.enqueue(seconds=5))


def test_every_run_of_a_key_waits_until_one_was_let_through(world: World) -> None:
    rules(world, first_run_of_user=True)
    first, second = world.enqueue(seconds=5), world.enqueue(seconds=5)
    admit.run_once(world.gate)
    assert [world.run(run_id).reason for run_id in (first, second)] == ["awaiting_approval"] * 2
    approve(world, first)
    third = world.enqueue(seconds=5)
    assert world.run(third).approval is None
    world.until_end(first, third)


def test_a_run_that_became_dearer_while_it_waited_needs_approval(world: World) -> None:
    rules(world, cost_over_micro_usd=5_000)
    change_team(world, paused_at=world.clock.now)
    run_id = world.enqueue(seconds=5)
    world.db.write(lambda session: make_prices(session, world.clock.now, cpu_basic=1670))
    change_team(world, paused_at=None)
    assert admit.run_once(world.gate) == 1
    run = world.run(run_id)
    assert (run.state, run.reason) == ("queued", "awaiting_approval")
    assert "it can cost $0.01837; more than $0.005 needs approval" in (run.message or "")
    assert world.told(run_id) == ["run.queued", "run.awaiting_approval"]
    assert world.window().reserved_micro_usd == 0
    approve(world, run_id)
    admit.run_once(world.gate)
    assert world.run(run_id).state == "submitting", "at the price that was approved"
    world.until_end(run_id)


def test_a_run_that_is_held_when_its_turn_comes_leaves_its_repository_to_others(world: World) -> None:
    rules(world, cost_over_micro_usd=5_000)
    change_team(world, paused_at=world.clock.now)
    held = world.enqueue(seconds=5, output_repo="acme/model", priority=100)
    other = world.enqueue(seconds=5, output_repo="acme/Model", timeout="60s")
    world.db.write(lambda session: make_prices(session, world.clock.now, cpu_basic=1670))
    change_team(world, paused_at=None)
    for _ in range(2):
        admit.run_once(world.gate)
    assert world.run(held).reason == "awaiting_approval"
    assert world.run(other).state == "submitting", world.run(other).message


def test_a_run_that_is_changed_while_no_price_is_known_is_of_unknown_cost(world: World) -> None:
    rules(world, cost_over_micro_usd=5_000)
    run_id = world.enqueue()
    world.clock.turn(hours=25)

    def patch(session: Session) -> None:
        run = runs.lock(session, run_id)
        assert run is not None
        change(session, run, {"flavor": "h200", "timeout": 36_000}, world.clock.now)

    world.db.write(patch)
    run = world.run(run_id)
    assert (run.approval, run.ceiling_micro_usd, run.timeout_seconds) == ("needed", None, 36_000)
    assert world.told(run_id) == ["run.queued", "run.awaiting_approval"]


def test_a_run_not_started_in_time_is_cancelled_even_while_it_waits_for_hardware(world: World) -> None:
    soon = (world.clock.now + timedelta(minutes=5)).isoformat()
    world.faults(scheduling_seconds=1000)
    waits = world.enqueue(start_before=soon)
    world.pass_all()
    assert world.run(waits).state == "starting"
    world.limit(max_concurrent_runs=1)
    queued = world.enqueue(start_before=soon)
    world.pass_all()
    world.clock.turn(minutes=5)
    world.until_end(waits, queued)
    for run_id in (waits, queued):
        assert (world.run(run_id).state, world.run(run_id).reason) == ("cancelled", "start_before_passed")
    assert world.show(waits)["cost"]["metered_usd"] is None
    with pytest.raises(Invalid, match="has passed"):
        world.enqueue(start_before=soon)


def test_a_run_that_started_in_time_goes_on(world: World) -> None:
    run_id = world.enqueue(seconds=400, start_before=(world.clock.now + timedelta(minutes=5)).isoformat())
    world.pass_all()
    assert world.run(run_id).state == "running"
    world.until_end(run_id, seconds=30)
    assert world.run(run_id).state == "succeeded"


def in_five_minutes(world: World) -> str:
    return (world.clock.now + timedelta(minutes=5)).isoformat()


def test_a_job_that_started_in_time_goes_on_though_nobody_had_looked(world: World) -> None:
    world.faults(scheduling_seconds=299)
    run_id = world.enqueue(seconds=3000, timeout="3h", start_before=in_five_minutes(world))
    world.pass_all()
    assert world.run(run_id).state == "starting"
    world.clock.turn(minutes=10)
    world.restart()
    assert hold.run_once(world.gate) == 0
    world.pass_all()
    world.pass_all()
    assert world.run(run_id).state == "running"
    assert world.run(run_id).cancel_requested_at is None


def test_a_list_that_was_asked_for_in_time_stops_nothing_though_its_answer_was_late(world: World) -> None:
    world.faults(scheduling_seconds=299)
    run_id = world.enqueue(seconds=3000, timeout="3h", start_before=in_five_minutes(world))
    world.pass_all()
    world.clock.turn(seconds=298)

    def answer_late(request: httpx2.Request) -> None:
        if request.url.path == "/api/jobs/acme":
            world.clock.turn(seconds=10)

    world.wire.cut_after = answer_late
    watch.run_once(world.gate)
    world.wire.cut_after = lambda _request: None
    watch.run_once(world.gate)
    assert world.run(run_id).state == "running"


def test_no_job_is_made_for_a_run_whose_time_has_passed(world: World) -> None:
    run_id = world.enqueue(start_before=in_five_minutes(world))
    admit.run_once(world.gate)
    world.clock.turn(minutes=5)
    submit.run_once(world.gate)
    assert (world.run(run_id).state, world.run(run_id).reason) == ("cancelled", "start_before_passed")
    assert world.jobs_of(run_id) == []


def test_nothing_expires_before_the_sweep_at_start(world: World) -> None:
    """A restored backup may have forgotten that a run was approved, or that it runs."""
    late = world.enqueue(start_before=in_five_minutes(world))
    rules(world, flavors=["cpu-basic"])
    unapproved = world.enqueue()
    world.clock.turn(hours=2)
    swept = world.gate
    for start in (Start(), Start(unswept={Place(None, "acme")})):
        world.gate = replace(swept, start=start)
        assert hold.run_once(world.gate) == 0
    world.gate = swept
    world.until_end(late, unapproved)


def test_a_paused_team_and_a_drained_queue_start_nothing_and_lose_nothing(world: World) -> None:
    started = world.enqueue(seconds=60)
    world.pass_all()
    change_team(world, paused_at=world.clock.now, paused_by="key_lead")
    waits = world.enqueue(seconds=5)
    world.until_end(started)
    assert (world.run(waits).state, world.show(waits)["reason"]) == ("queued", "paused")
    assert world.show(waits)["message"].startswith("team research is paused by key_lead")

    def drain(session: Session) -> None:
        organisation.lock(session).paused_at = world.clock.now

    change_team(world, paused_at=None)
    world.db.write(drain)
    assert admit.run_once(world.gate) == 0
    assert world.show(waits)["message"].startswith("the queue is paused")

    def resume(session: Session) -> None:
        organisation.lock(session).paused_at = None

    world.db.write(resume)
    world.until_end(waits)


def test_nothing_to_conclude_writes_nothing(world: World) -> None:
    world.enqueue(seconds=5)
    assert hold.run_once(world.gate) == 0


def test_runs_deep_in_a_lane_say_who_is_first(world: World) -> None:
    world.limit(max_concurrent_runs=0)
    runs = [world.enqueue() for _ in range(8)]
    admit.run_once(world.gate)
    assert world.run(runs[7]).reason == "checking", "no pass has looked so far"
    shown = world.show(runs[7])
    assert shown["reason"] == "waiting_for_slot"
    assert shown["message"].endswith("runs of this service are limited to 0: none may start")
    assert f"behind {runs[0]}" in shown["message"]
