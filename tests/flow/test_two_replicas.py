"""Two workers on one database: the one that was taken over writes nothing, and no job is made twice or lost."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import httpx2
import pytest
from sqlmodel import Session

from benchmarks.statements import recorded
from service.flow import admit, recover, submit, watch
from service.flow.gate import Gate
from service.store import lease, runs, strays
from service.store.lease import LeadLost
from tests.flow.conftest import World, is_create


class Fence:
    """Which fence the lease is at, and a gate that holds a certain one."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.now = 1

    def gate(self, boot: str, fence: int) -> Gate:
        def verify(_session: Session) -> None:
            if fence != self.now:
                raise LeadLost(f"fence {fence}, the lease is at {self.now}")

        return replace(self.world.gate, boot=boot, verify_lead=verify, open_since={})


def test_a_leader_that_was_taken_over_during_its_create_call_loses_nothing(world: World) -> None:
    fence = Fence(world)
    old, new = fence.gate("old", 1), fence.gate("new", 2)
    run_id = world.enqueue(seconds=30)
    admit.run_once(old)

    def take_over(request: httpx2.Request) -> None:
        if is_create(request):
            fence.now = 2
            recover.run_once(new)
            submit.run_once(new)

    world.wire.cut_after = take_over
    assert submit.run_once(old) == 0, "its answer is not written"
    world.wire.cut_after = lambda _request: None
    assert len(world.jobs_of(run_id)) == 1
    assert world.run(run_id).state == "starting", "the new leader found it by its label"
    world.gate = new
    world.until_end(run_id)
    assert len(world.jobs_of(run_id)) == 1
    assert world.entries(run_id) == [("reserve", 1837), ("charge", 167), ("release", 1670)]


@pytest.mark.parametrize("step", [admit, submit, watch])
def test_a_leader_of_yesterday_moves_nothing(world: World, step: object) -> None:
    fence = Fence(world)
    old = fence.gate("old", 1)
    run_id = world.enqueue(seconds=0)
    if step in (submit, watch):
        admit.run_once(old)
    if step is watch:
        submit.run_once(old)
        world.clock.turn(seconds=10)
    before = (world.run(run_id).state, world.entries(run_id))
    fence.now = 2
    try:
        step.run_once(old)  # type: ignore[attr-defined]
    except LeadLost:
        assert step is admit
    assert (world.run(run_id).state, world.entries(run_id)) == before
    assert world.wire.count("POST", "/api/jobs/acme") == (1 if step is watch else 0)
    world.gate = fence.gate("new", 2)
    world.until_end(run_id)


def test_what_a_step_writes_takes_the_organisations_row_before_any_other(world: World) -> None:
    """Also where it opens windows before any money moves, as for a job that a restored backup forgot."""
    run_id = world.enqueue()
    with recorded(world.db.engine) as statements:
        world.gate.write(lambda session: strays.present_windows(session, runs.lock(session, run_id), world.clock.now))  # type: ignore[arg-type]
    rows = ("organisation", "run", "budget_window")
    taken = [name for sent in statements.sent for name in rows if f"FROM {name} " in f"{' '.join(sent.text.split())} "]
    assert list(dict.fromkeys(taken))[:3] == list(rows)


def test_a_lease_that_another_took_is_refused_by_the_row_itself(world: World) -> None:
    now = world.clock.now
    hold = partial(lease.hold, name="steps", now=now, ttl=world.gate.limits.listing_lag)
    fence = world.db.write(partial(hold, holder="old"))
    world.db.write(partial(lease.give_up, name="steps", holder="old", now=now))
    assert world.db.write(partial(hold, holder="new")) == (fence or 0) + 1
    stale = replace(world.gate, verify_lead=partial(lease.verify, name="steps", fence=fence, now=now))
    with pytest.raises(LeadLost):
        stale.write(lambda _session: None)
