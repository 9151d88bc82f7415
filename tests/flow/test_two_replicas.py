"""Two workers on one database: the one that was taken over writes nothing, and no job is made twice or lost."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import timedelta
from functools import partial

import httpx2
import pytest
from sqlalchemy import update
from sqlmodel import Session, col, select

from benchmarks.statements import recorded
from service.domain.run import Reason
from service.flow import admit, recover, submit, watch
from service.flow.gate import Gate
from service.store import budgets, holds, lease, runs, strays
from service.store.db import Database
from service.store.lease import LeadLost
from service.store.tables import BudgetWindow, Run
from tests.factories import make_budget
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


def test_a_group_of_another_replica_and_an_admission_that_take_rows_in_opposite_order_are_both_carried_out(
    world: World, database_url: str
) -> None:
    """A change of a queued run and one of a budget are one group there: the run's row, then the organisation's."""
    run_ids = [world.enqueue() for _ in range(2)]
    replica = Database(database_url)
    released, changed = threading.Event(), threading.Event()

    def wait(_session: Session) -> None:
        assert released.wait(10)

    def change(session: Session) -> None:
        run = runs.lock(session, run_ids[0])
        assert run is not None
        run.labels = {"changed": "yes"}
        session.add(run)
        session.flush()
        changed.set()
        time.sleep(0.3)  # the admission takes the organisation's row

    def raise_budget(session: Session) -> None:
        make_budget(session, world.clock.now, 200_000)

    works = [replica.submit(wait), replica.submit(change), replica.submit(raise_budget)]
    released.set()
    assert changed.wait(10)
    admitted = admit.run_once(world.gate)
    for work in works:
        work.result(20)
    replica.close()
    assert admitted >= 1
    admit.run_once(world.gate)
    assert [world.run(run_id).state for run_id in run_ids] == ["submitting"] * 2
    assert world.run(run_ids[0]).labels == {"changed": "yes"}
    with world.db.read() as session:
        assert {budget.limit_micro_usd for budget in budgets.every(session)} == {200_000}


def test_an_admission_passes_by_a_run_that_another_replica_is_changing(world: World, database_url: str) -> None:
    if world.db.is_sqlite:
        pytest.skip("it has one writer")
    run_ids = [world.enqueue() for _ in range(2)]
    replica = Database(database_url)
    changing, over = threading.Event(), threading.Event()

    def change(session: Session) -> None:
        runs.lock(session, run_ids[0])
        changing.set()
        assert over.wait(10)

    work = replica.submit(change)
    assert changing.wait(10)
    assert admit.run_once(world.gate) == 1
    over.set()
    work.result(10)
    replica.close()
    assert [world.run(run_id).state for run_id in run_ids] == ["queued", "submitting"]
    assert admit.run_once(world.gate) == 1


def test_two_leaders_at_once_admit_what_one_would(world: World, database_url: str) -> None:
    """As if no lease stood between them: the organisation's row alone keeps the money. The second one has others to
    admit than the first, whose transaction is not over: they come to the head of the queue meanwhile."""
    if world.db.is_sqlite:
        pytest.skip("it has one writer")
    run_ids = [*(world.enqueue() for _ in range(3)), *(world.enqueue(priority=100) for _ in range(2))]
    those = col(Run.id).in_(run_ids[3:])
    world.db.write(lambda session: session.exec(update(Run).where(those).values(parked="output")))
    world.db.write(lambda session: make_budget(session, world.clock.now, 3 * 1837 + 1836))
    replica = Database(database_url)
    admitting, over = threading.Event(), threading.Event()

    def slow(session: Session) -> None:
        decided = admit.admit(session, admit.Pass(20, {}, world.clock.now))
        assert sum(one.has_moved for one in decided) == 3
        admitting.set()
        assert over.wait(10)

    first = threading.Thread(target=partial(replace(world.gate, db=replica, boot="another").write, slow))
    first.start()
    assert admitting.wait(10)
    world.db.write(lambda session: runs.unpark(session, "output", those))
    admitted: list[int] = []
    second = threading.Thread(target=lambda: admitted.append(admit.run_once(world.gate)))
    second.start()
    second.join(1)
    over.set()
    for leader in (first, second):
        leader.join(20)
    replica.close()
    assert admitted == [0]
    assert [world.run(run_id).state for run_id in run_ids] == ["submitting"] * 3 + ["queued"] * 2
    with world.db.read() as session:
        [window] = session.exec(select(BudgetWindow)).all()
        assert (window.reserved_micro_usd, window.charged_micro_usd) == (3 * 1837, 0)


def test_an_old_leader_admits_nothing_once_a_new_one_has_the_row(world: World, database_url: str) -> None:
    """The new one waits until the transaction of the old one is over; the next one of the old is refused by the row.
    PostgreSQL's own clock decides, so that the lease really has to run out."""
    if world.db.is_sqlite:
        pytest.skip("it has one writer")
    run_id = world.enqueue()
    now, ttl = world.clock.now, timedelta(seconds=4)
    fence = world.db.write(partial(lease.hold, name="steps", holder="old", now=now, ttl=ttl))
    old = replace(world.gate, verify_lead=partial(lease.verify, name="steps", fence=fence, now=now))
    replica = Database(database_url)
    admitting, over = threading.Event(), threading.Event()
    done: list[str] = []

    def slow(_session: Session) -> None:
        admitting.set()
        assert over.wait(20)
        done.append("old")

    work = threading.Thread(target=partial(old.write, slow))
    work.start()
    assert admitting.wait(10)
    time.sleep(ttl.total_seconds())
    taking = replica.submit(partial(lease.hold, name="steps", holder="new", now=now, ttl=ttl))
    taking.add_done_callback(lambda _taken: done.append("new"))
    time.sleep(0.5)  # it waits, however long it is given
    over.set()
    assert taking.result(20) == (fence or 0) + 1
    work.join(20)
    replica.close()
    assert done == ["old", "new"]
    with pytest.raises(LeadLost):
        admit.run_once(old)
    assert world.run(run_id).state == "queued"


def test_the_kill_switch_waits_for_an_admission_under_way(world: World, database_url: str) -> None:
    """Both take many runs. Neither is ever taken back for the other: each is run once."""
    world.limit(max_concurrent_runs=1)
    run_ids = [world.enqueue() for _ in range(5)]
    replica = Database(database_url)
    admitting = threading.Event()
    tries: list[str] = []

    def admission(session: Session) -> None:
        tries.append("admission")
        runs.lock(session, run_ids[-1])
        admitting.set()
        time.sleep(0.3)  # the kill switch takes what it can
        runs.explain_queued(
            session, [runs.Told(run_id, 0, Reason.WAITING_FOR_SLOT, "1 of 1", None) for run_id in run_ids]
        )

    def kill(session: Session) -> int:
        tries.append("kill")
        return holds.stop_team(session, "research", "key_lead", world.clock.now)

    admission_thread = threading.Thread(target=partial(world.gate.write, admission))
    admission_thread.start()
    assert admitting.wait(10)
    assert replica.write(kill) == len(run_ids)
    admission_thread.join(20)
    replica.close()
    assert tries == ["admission", "kill"]
    world.until_end(*run_ids)


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
