"""What steps tell those who count: what was decided of runs, and what came of letters."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.meters import HubCalls, Meters
from tests.flow.conftest import World
from tests.flow.endpoints import send_all, subscribe
from tests.receiver import Receiver
from tests.test_meters import samples


def test_decisions_are_counted_by_outcome_and_reason_and_letters_by_kind(world: World) -> None:
    meters = Meters(HubCalls(dict, dict, world.clock))
    world.gate = replace(world.gate, ears=meters.ears)
    with Receiver() as receiver:
        receiver.answer = lambda letter: (204 if letter.json["type"] == "run.queued" else 500, {})
        subscribe(world, receiver.url, events=("run.queued", "run.submitted"))
        world.budget(2 * 1837 - 1)
        first, second = world.enqueue(), world.enqueue()
        world.pass_all()
        world.clock.turn(seconds=3)
        send_all(world)
    told = samples(meters)
    assert (world.run(first).state, world.run(second).reason) == ("running", "waiting_for_budget")
    assert told["tunegate_admissions_total", "admit", ""] == 1
    assert told["tunegate_admissions_total", "wait", "waiting_for_budget"] == 1
    assert told["tunegate_deliveries_total", "standard", "arrived"] == 2
    assert told["tunegate_deliveries_total", "standard", "failed"] == 1
    assert told[("tunegate_delivery_seconds_count",)] == 2
    assert told[("tunegate_delivery_seconds_sum",)] == pytest.approx(6, abs=0.01)
    assert told[("tunegate_submit_seconds_count",)] == 1
