"""Money and slots: who starts, who waits and why, and what starts them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlmodel import Session

from service.flow import admit, explain, prices, submit
from service.store import budgets, events, teams
from service.store.tables import Budget, Run
from tests.factories import make_budget, make_prices, make_run, make_team
from tests.flow.conftest import World

CEILING = 167 * 11


def reason(world: World, run_id: str) -> str | None:
    return world.run(run_id).reason


def test_a_run_waits_for_budget_and_starts_when_money_is_released(world: World) -> None:
    world.budget(CEILING + 167 * 5)
    first, second = world.enqueue(seconds=30), world.enqueue(seconds=30)
    world.pass_all()
    assert world.run(first).state in ("starting", "running")
    waiting = world.run(second)
    assert (waiting.state, waiting.reason) == ("queued", "waiting_for_budget")
    assert "$0.001002 is missing" in (waiting.message or "")
    world.until_end(first, second)
    assert world.window().charged_micro_usd == 2 * 167


def test_charged_and_reserved_never_pass_the_limit(world: World) -> None:
    limit = CEILING * 2 + 100
    world.budget(limit)
    run_ids = [world.enqueue(seconds=30) for _ in range(6)]
    for _ in range(200):
        world.pass_all()
        window = world.window()
        assert window.reserved_micro_usd + window.charged_micro_usd <= limit
        if all(world.run(run_id).finished_at for run_id in run_ids):
            break
        world.clock.turn(seconds=7)
    assert world.window().charged_micro_usd == 6 * 167


def test_without_a_budget_a_run_waits(world: World) -> None:
    world.db.write(lambda session: make_team(session, world.clock.now, name="poor"))
    run = world.db.write(lambda session: make_run(session, world.clock.now, team="poor"))
    assert admit.run_once(world.gate) == 0
    assert reason(world, run.id) == "waiting_for_budget"
    world.db.write(lambda session: make_budget(session, world.clock.now, 10_000, team="poor"))
    assert admit.run_once(world.gate) == 1


def test_a_lowered_budget_kills_nothing_and_admits_nothing(world: World) -> None:
    first = world.enqueue(seconds=60)
    world.pass_all()
    world.budget(CEILING)
    second = world.enqueue(seconds=60)
    world.pass_all()
    assert world.run(first).state in ("starting", "running")
    assert reason(world, second) == "waiting_for_budget"
    world.until_end(first)
    world.cancel(second)
    world.until_end(second)


def test_slots_of_the_team_and_of_the_installation(world: World) -> None:
    world.limit(max_concurrent_runs=2)
    run_ids = [world.enqueue(seconds=30) for _ in range(3)]
    world.pass_all()
    assert [world.run(run_id).state == "queued" for run_id in run_ids] == [False, False, True]
    assert reason(world, run_ids[2]) == "waiting_for_slot"
    world.until_end(*run_ids)

    def limit_team(session: object) -> None:
        team = teams.get(session, "research")  # type: ignore[arg-type]
        assert team is not None
        team.max_concurrent_runs = 1
        session.add(team)  # type: ignore[attr-defined]

    world.db.write(limit_team)
    run_ids = [world.enqueue(seconds=30) for _ in range(2)]
    world.pass_all()
    assert [world.run(run_id).state == "queued" for run_id in run_ids] == [False, True]
    world.until_end(*run_ids)


def test_priority_goes_first_then_arrival(world: World) -> None:
    world.limit(max_concurrent_runs=0)
    low, first, second, high = (world.enqueue(priority=priority) for priority in (10, 50, 50, 90))
    admit.run_once(world.gate)
    order = []
    for _ in range(4):
        world.limit(max_concurrent_runs=1)
        admit.run_once(world.gate)
        [started] = [one for one in (low, first, second, high) if world.run(one).state == "submitting"]
        order.append(started)
        world.cancel(started)
        world.limit(max_concurrent_runs=0)
        world.pass_all()
    assert order == [high, first, second, low]


def test_a_run_that_waits_is_not_delayed_by_those_behind_it(world: World) -> None:
    world.budget(CEILING + 600)
    world.db.write(lambda session: make_team(session, world.clock.now, name="other", budget_micro_usd=CEILING))
    first = world.enqueue(seconds=30)
    big = world.enqueue(seconds=30, timeout="12m")
    small = world.enqueue(seconds=30, timeout="1m")  # fits, and would take what `big` needs when `first` ends
    other = world.db.write(lambda session: make_run(session, world.clock.turn(milliseconds=1), team="other"))
    admit.run_once(world.gate)
    assert world.run(first).state == "submitting"
    assert reason(world, big) == "waiting_for_budget"
    assert (reason(world, small), world.run(small).message) == (
        "waiting_for_budget",
        f"behind {big}, which goes first and waits",
    )
    assert world.run(other.id).state == "submitting"
    world.until_end(first, big, small, other.id)
    assert world.run(big).admitted_at <= world.run(small).admitted_at  # type: ignore[operator]


def test_a_small_run_passes_where_the_head_loses_nothing(world: World) -> None:
    world.budget(CEILING + 400)
    first, big, small = (world.enqueue(seconds=30, timeout=timeout) for timeout in ("10m", "10m", "1m"))
    admit.run_once(world.gate)
    assert reason(world, big) == "waiting_for_budget"
    assert world.run(small).state == "submitting"
    world.until_end(first, big, small)


def test_a_run_that_no_limit_could_hold_keeps_nobody_waiting(world: World) -> None:
    big = world.enqueue(timeout="2h")
    world.budget(CEILING * 2)
    small = world.enqueue(seconds=5)
    admit.run_once(world.gate)
    assert reason(world, big) == "waiting_for_budget"
    assert world.run(small).state == "submitting"
    world.cancel(big)
    world.until_end(small, big)


def test_a_whole_lane_of_runs_that_no_limit_could_hold_keeps_nobody_waiting(world: World) -> None:
    big = [world.enqueue(timeout="2h") for _ in range(7)]
    world.budget(CEILING * 2)
    same_length = world.enqueue(seconds=5)
    for _ in range(3):
        admit.run_once(world.gate)
    assert {reason(world, run_id) for run_id in big} == {"waiting_for_budget"}
    assert "no more than $0.003674 left" in (world.run(big[0]).message or "")
    assert world.run(same_length).state == "submitting"
    world.until_end(same_length)
    world.budget(10**6)
    for _ in range(3):
        admit.run_once(world.gate)
    assert {world.run(run_id).state for run_id in big} == {"submitting"}, "a larger limit brings them back, in turn"


@pytest.mark.parametrize("brings", ["grant", "window", "price", "end"])
def test_what_no_limit_could_hold_is_looked_at_again_when_that_may_have_changed(world: World, brings: str) -> None:
    world.budget(10**6)
    day = world.db.write(lambda session: make_budget(session, world.clock.now, 10**6, period="day", carry_over=True))
    big = world.enqueue(timeout="2h")
    world.db.write(lambda session: make_budget(session, world.clock.now, 167 * 120, period="day", carry_over=True))
    admit.run_once(world.gate)
    assert (reason(world, big), world.run(big).parked) == ("waiting_for_budget", "money")

    def change(session: Session) -> None:
        budget = session.get(Budget, day.id)
        assert budget is not None
        if brings == "grant":
            budgets.add_once(session, budget, 167, "key_admin", None, world.clock.now)
        elif brings == "end":
            budgets.end(session, budget, "key_admin", world.clock.now)
        elif brings == "price":
            make_prices(session, world.clock.now, cpu_basic=100)

    world.db.write(change)
    if brings == "window":
        world.clock.turn(hours=12)  # yesterday's money is carried over
    admit.run_once(world.gate)
    assert world.run(big).state == "submitting"


def test_of_a_lane_that_waits_for_money_the_shortest_may_pass_from_wherever_it_stands(world: World) -> None:
    world.budget(CEILING + 400)
    first = world.enqueue(seconds=30)
    big = [world.enqueue(seconds=30) for _ in range(6)]
    small = world.enqueue(seconds=30, timeout="1m")
    admit.run_once(world.gate)
    assert world.run(first).state == "submitting"
    assert {world.run(run_id).state for run_id in big} == {"queued"}
    assert world.run(small).state == "submitting"
    world.until_end(first, small)


def test_two_live_runs_never_write_one_repository(world: World) -> None:
    first = world.enqueue(seconds=30, output_repo="acme/model")
    second = world.enqueue(seconds=30, output_repo="acme/model")
    third = world.enqueue(seconds=30)
    admit.run_once(world.gate)
    assert world.run(first).state == "submitting"
    assert reason(world, second) == "waiting_for_output"
    assert world.run(third).state == "submitting"
    world.publish("acme/model", w__bin=b"1")
    world.until_end(first, third)
    admit.run_once(world.gate)
    assert world.run(second).state == "submitting"
    world.until_end(second)


def test_an_old_price_is_no_price(world: World) -> None:
    run_id = world.enqueue()
    world.clock.turn(hours=25)
    admit.run_once(world.gate)
    assert reason(world, run_id) == "price_unknown"
    assert prices.run_once(world.gate) > 10
    assert admit.run_once(world.gate) == 1


def test_a_price_that_rises_between_admission_and_call_takes_the_run_back(world: World) -> None:
    run_id = world.enqueue(seconds=10)
    admit.run_once(world.gate)
    world.db.write(lambda session: make_prices(session, world.clock.now, cpu_basic=300))
    submit.run_once(world.gate)
    assert world.run(run_id).state == "queued"
    assert world.jobs_of(run_id) == []
    world.until_end(run_id)
    assert world.show(run_id)["attempts"][0]["price_per_minute_usd"] == 300 / 1e6
    assert world.entries(run_id) == [
        ("reserve", CEILING),
        ("release", CEILING),
        ("reserve", 3300),
        ("charge", 300),
        ("release", 3000),
    ]


def test_a_price_that_changed_while_a_run_waited_is_said_where_it_starts(world: World) -> None:
    run_id = world.enqueue(seconds=10)
    world.db.write(lambda session: make_prices(session, world.clock.now, cpu_basic=300))
    with world.db.read() as session:
        run = session.get(Run, run_id)
        assert run is not None
        told = explain.explain(session, run, 20, world.clock.now)
    news = "the price of cpu-basic went from $0.000167 to $0.0003 a minute meanwhile"
    assert [check.message for check in told.gates if check.gate == "price"] == [
        f"cpu-basic costs $0.0003 a minute: {news}"
    ]
    admit.run_once(world.gate)
    assert world.run(run_id).message == f"admitted with $0.0033 reserved; {news}"
    submit.run_once(world.gate)
    with world.db.read() as session:
        [event] = [one for one in events.of(session, run_id, 0, 9) if one.type == "run.submitted"]
    assert event.data["attempts"][0]["change"] == news
    world.until_end(run_id)


def test_a_job_token_that_may_start_jobs_holds_every_run(world: World) -> None:
    run_id = world.enqueue(seconds=10)
    world.gate = replace(world.gate, hub=world.hub.with_tokens("hf_sandbox", "hf_sandbox"))
    assert admit.run_once(world.gate) == 0
    assert reason(world, run_id) == "backing_off"
    assert "could start jobs itself" in (world.run(run_id).message or "")
    world.limit(allow_broad_job_token=True)
    world.until_end(run_id)
