"""Reading Hugging Face's bills: what is written, when it is asked again, and what is told of a drift."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from service.flow import billing, notify
from service.hub.client import HubClient
from service.hub.faults import HubUnavailable
from service.store import events
from tests.conftest import Clock
from tests.flow.conftest import ENDPOINT, World

PATH = "/api/settings/billing/usage/jobs"


def settled(world: World, **fields: Any) -> str:
    """A run in the token's own namespace that has ended: the one whose bills Hugging Face shows."""
    run_id = world.enqueue(**{"namespace": "sandbox", "seconds": 70, **fields})
    world.until_end(run_id)
    return run_id


def asked(world: World) -> int:
    return world.wire.count("GET", PATH)


def test_a_bill_is_null_until_it_is_read_and_then_stands_beside_the_charge(world: World) -> None:
    run_id = settled(world)
    assert world.show(run_id)["cost"]["billed_usd"] is None
    assert billing.run_once(world.gate) == 1
    shown = world.show(run_id)
    assert shown["cost"]["billed_usd"] == shown["cost"]["metered_usd"] == 0.000334
    assert shown["attempts"][0]["billed_usd"] == 0.000334
    assert world.told(run_id)[-1] == "run.succeeded"


def test_a_job_that_runs_has_no_bill_yet(world: World) -> None:
    run_id = world.enqueue(namespace="sandbox", seconds=300)
    for _ in range(5):
        world.pass_all()
        world.clock.turn(seconds=5)
    assert world.run(run_id).state == "running"
    assert billing.run_once(world.gate) == 0
    assert world.show(run_id)["cost"]["billed_usd"] is None
    world.until_end(run_id, seconds=30)


def test_bills_are_read_once_an_hour_even_across_restarts(world: World) -> None:
    settled(world)
    billing.run_once(world.gate)
    for _ in range(3):
        world.restart()
        assert billing.run_once(world.gate) == 0
        world.clock.turn(minutes=19)
    assert asked(world) == 1
    world.clock.turn(minutes=3)
    billing.run_once(world.gate)
    assert asked(world) == 2


def test_a_drift_is_told_once_and_the_charge_stays(world: World) -> None:
    run_id = settled(world)
    [job] = world.jobs_of(run_id)
    job.finished_at += timedelta(minutes=2)  # Hugging Face's books differ from what it told of the job
    for _ in range(2):
        billing.run_once(world.gate)
        world.clock.turn(hours=2)
    shown = world.show(run_id)
    assert (shown["cost"]["metered_usd"], shown["cost"]["billed_usd"]) == (0.000334, 0.000668)
    with world.db.read() as session:
        [event] = events.of(session, job.id, 0, 10)
    assert (event.type, event.team, event.sequence) == ("billing.drift", "research", 1)
    assert event.data["drift_usd"] == 0.000334
    assert (event.data["run_id"], event.data["attempt"], event.data["source"]) == (run_id, 1, "hub")
    assert "billing.drift" not in world.told(run_id)
    assert world.entries(run_id)[1] == ("charge", 334)
    notify.run_once(world.gate)
    with world.db.read() as session:
        assert all(event.position for event in events.of(session, job.id, 0, 10))


def test_a_token_that_may_not_read_bills_is_tried_the_next_day(world: World) -> None:
    run_id = settled(world)
    refused = HubClient(ENDPOINT, "hf_sandbox_job", "hf_sandbox_job", clock=world.clock, transport=world.wire)
    assert billing.run_once(replace(world.gate, hub=refused)) == 0
    world.clock.turn(hours=23)
    billing.run_once(world.gate)
    assert asked(world) == 1
    world.clock.turn(hours=2)
    assert billing.run_once(world.gate) == 1
    assert world.show(run_id)["cost"]["billed_usd"] == 0.000334


def test_an_answer_that_does_not_come_is_asked_for_again_soon(world: World) -> None:
    settled(world)
    world.wire.cut_before = lambda request: httpx2.ConnectError("down") if request.url.path == PATH else None
    assert billing.run_once(world.gate) == 0
    world.wire.cut_before = lambda _request: None
    assert billing.run_once(world.gate) == 0
    world.clock.turn(minutes=10)
    assert billing.run_once(world.gate) == 1


def test_a_clock_that_was_wrong_does_not_silence_it(world: World) -> None:
    settled(world)
    world.clock.turn(days=400)
    billing.run_once(world.gate)
    world.clock.turn(days=-400)
    assert billing.run_once(world.gate) == 1


def client(clock: Clock, answer: Any) -> HubClient:
    transport = httpx2.MockTransport(lambda _request: httpx2.Response(200, json=answer))
    return HubClient(ENDPOINT, "hf_control", "hf_job", clock=clock, transport=transport)


@pytest.mark.parametrize("answer", [[], {}, {"usage": None}, {"usage": {"jobDetails": {}}}])
def test_an_answer_without_jobs_is_no_bill(clock: Clock, answer: Any) -> None:
    hub = client(clock, answer)
    with pytest.raises(HubUnavailable):
        hub.billed_jobs()
    hub.close()


def test_an_odd_item_holds_up_no_other(clock: Clock) -> None:
    done = {"completedAt": "2026-11-24T12:00:00.000Z"}
    odd: list[Any] = [
        7,
        {**done, "jobId": "a", "totalCostMicroUsd": "9"},
        {**done, "jobId": "b", "totalCostMicroUsd": True},
        {**done, "jobId": "c", "totalCostMicroUsd": -1},
        {**done, "jobId": "d", "totalCostMicroUsd": 1e300},
        {**done, "jobId": None, "totalCostMicroUsd": 1},
        {"jobId": "e", "totalCostMicroUsd": 1},
    ]
    good = [{**done, "jobId": "f", "totalCostMicroUsd": 333.6}, {**done, "jobId": "g", "totalCostMicroUsd": 0}]
    hub = client(clock, {"usage": {"jobDetails": odd + good}})
    assert hub.billed_jobs() == {"f": 334, "g": 0}
    hub.close()


def test_it_works_on_a_database_without_runs(world: World) -> None:
    assert billing.run_once(world.gate) == 0
    assert asked(world) == 1
