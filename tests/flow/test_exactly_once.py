"""One job per attempt, whatever happens between the create call and its answer."""

from __future__ import annotations

from dataclasses import replace

import httpx2
import pytest

from service.flow import admit, recover, submit, sweep
from tests.flow.conftest import World, is_create

CEILING = 167 * 11


class Killed(BaseException):
    """The process ends here: nothing below catches it."""


def admitted(world: World, **fields: object) -> str:
    run_id = world.enqueue(**{"seconds": 30, **fields})
    admit.run_once(world.gate)
    return run_id


def one_job_and_its_money(world: World, run_id: str) -> None:
    """The end of every scenario here."""
    world.wire.cut_before = world.wire.cut_after = lambda _request: None
    world.until_end(run_id)
    assert world.run(run_id).state == "succeeded"
    assert len(world.jobs_of(run_id)) == 1
    assert world.show(run_id)["attempt"] == 1
    assert [kind for kind, _ in world.entries(run_id)][-2:] == ["charge", "release"]
    assert world.window().charged_micro_usd == 167


@pytest.mark.parametrize("fault", ["create_500_after_accept", "create_lost_reply"])
def test_an_accepted_job_whose_answer_was_lost_is_adopted(world: World, fault: str) -> None:
    run_id = admitted(world)
    world.faults(**{fault: 1})
    submit.run_once(world.gate)
    assert world.run(run_id).state == "submitting"
    assert world.window().reserved_micro_usd == CEILING
    assert recover.run_once(world.gate) == 1
    assert world.run(run_id).state == "starting"
    one_job_and_its_money(world, run_id)
    assert world.told(run_id) == ["run.queued", "run.submitted", "run.started", "run.succeeded"]


def test_an_answer_that_comes_too_late_is_no_answer(world: World) -> None:
    run_id = admitted(world)
    world.faults(reply_delay_seconds=31)
    submit.run_once(world.gate)
    world.faults()
    one_job_and_its_money(world, run_id)


def test_a_500_without_a_job_is_submitted_again_only_after_the_proof(world: World) -> None:
    run_id = admitted(world)
    world.faults(create_500_before_accept=1)
    submit.run_once(world.gate)
    deadline = world.attempt(run_id).call_deadline
    assert deadline is not None
    for _ in range(20):  # many listings are no proof before the time has come
        recover.run_once(world.gate)
    world.clock.now = deadline + world.gate.limits.listing_lag
    world.clock.turn(milliseconds=-1)
    recover.run_once(world.gate)
    assert world.run(run_id).state == "submitting"
    assert world.window().reserved_micro_usd == CEILING
    world.clock.turn(milliseconds=1)
    assert recover.run_once(world.gate) == 1
    assert world.run(run_id).state == "queued"
    assert world.window().reserved_micro_usd == 0
    one_job_and_its_money(world, run_id)


def test_two_late_listings_are_no_proof_either(world: World) -> None:
    run_id = admitted(world)
    world.faults(create_500_before_accept=1)
    submit.run_once(world.gate)
    world.clock.turn(hours=1)
    assert [recover.run_once(world.gate) for _ in range(3)] == [0, 0, 1]
    one_job_and_its_money(world, run_id)


def test_a_wall_clock_set_forward_is_no_proof(world: World) -> None:
    run_id = admitted(world, seconds=600)
    world.gate = replace(world.gate, monotonic=lambda: 0.0)
    world.faults(create_500_after_accept=1, listing_lag_seconds=3700)
    submit.run_once(world.gate)
    for _ in range(6):
        world.clock.turn(minutes=10)
        assert recover.run_once(world.gate) == 0
    world.clock.turn(minutes=5)
    assert recover.run_once(world.gate) == 1
    world.until_end(run_id, minutes=2)
    assert len(world.jobs_of(run_id)) == 1


def test_the_call_of_a_process_that_died_is_waited_for_in_full_though_the_wall_clock_was_set_forward(
    world: World,
) -> None:
    """The clock says an hour later at the restart; the job shows up one second before it must."""
    run_id = admitted(world, seconds=600)
    allowed = world.gate.limits.create_timeout + world.gate.limits.listing_lag
    world.faults(listing_lag_seconds=3600 + allowed.total_seconds() - 1)
    world.wire.cut_after = lambda request: Killed() if is_create(request) else None
    with pytest.raises(Killed):
        submit.run_once(world.gate)
    world.wire.cut_after = lambda _request: None
    started = world.clock.turn(hours=1)
    world.gate = replace(world.gate, monotonic=lambda: (world.clock.now - started).total_seconds())
    world.restart()
    for _ in range(10):
        assert recover.run_once(world.gate) == 0
        world.clock.turn(seconds=allowed.total_seconds() / 10)
    assert recover.run_once(world.gate) == 1
    world.until_end(run_id, minutes=2)
    assert len(world.jobs_of(run_id)) == 1


def test_a_process_that_slept_between_claim_and_call_does_not_call(world: World) -> None:
    run_id = admitted(world)
    ticks = iter([0.0, 60.0])
    submit.run_once(replace(world.gate, monotonic=lambda: next(ticks)))
    assert world.jobs_of(run_id) == []
    assert world.run(run_id).state == "queued"
    one_job_and_its_money(world, run_id)


def test_a_listing_that_fails_proves_nothing(world: World) -> None:
    run_id = admitted(world)
    world.faults(create_500_before_accept=1)
    submit.run_once(world.gate)
    world.clock.turn(hours=1)
    world.wire.cut_before = lambda _request: httpx2.ConnectError("refused")
    for _ in range(10):
        assert recover.run_once(world.gate) == 0
    world.wire.cut_before = lambda _request: None
    assert world.attempt(run_id).absent_listings == 0
    one_job_and_its_money(world, run_id)


def test_a_job_that_lists_show_late_is_waited_for(world: World) -> None:
    run_id = admitted(world, seconds=600)
    world.faults(create_500_after_accept=1, listing_lag_seconds=100)
    submit.run_once(world.gate)
    for _ in range(9):
        recover.run_once(world.gate)
        world.clock.turn(seconds=10)
        assert world.run(run_id).state == "submitting"
    world.clock.turn(seconds=11)
    assert recover.run_once(world.gate) == 1
    world.until_end(run_id, minutes=1)
    assert len(world.jobs_of(run_id)) == 1


def test_a_listing_counts_from_when_it_was_asked_for_not_from_its_answer(world: World) -> None:
    """The third listing is read before the job shows up and before the time has come; its answer arrives after both."""
    run_id = admitted(world, seconds=600)
    allowed = (world.gate.limits.create_timeout + world.gate.limits.listing_lag).total_seconds()
    world.faults(create_500_after_accept=1, listing_lag_seconds=allowed - 10)
    submit.run_once(world.gate)
    assert [recover.run_once(world.gate) for _ in range(2)] == [0, 0]
    world.clock.turn(seconds=allowed - 15)

    def answer_late(_request: httpx2.Request) -> None:
        world.clock.turn(seconds=20)

    world.wire.cut_after = answer_late
    assert recover.run_once(world.gate) == 0
    assert world.run(run_id).state == "submitting"
    world.wire.cut_after = lambda _request: None
    assert recover.run_once(world.gate) == 1
    world.until_end(run_id, minutes=2)
    assert len(world.jobs_of(run_id)) == 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_process_killed_in_the_call_leaves_one_job(world: World, moment: str) -> None:
    run_id = admitted(world)

    def kill(request: httpx2.Request) -> None:
        if is_create(request):
            raise Killed

    if moment == "before":
        world.wire.cut_before = kill
    else:
        world.wire.cut_after = kill
    with pytest.raises(Killed):
        submit.run_once(world.gate)
    assert len(world.jobs_of(run_id)) == (moment == "after")
    # the process that still ran would leave its own call alone
    assert recover.run_once(world.gate) == 0
    world.restart()
    assert submit.run_once(world.gate) == 0
    if moment == "after":
        assert recover.run_once(world.gate) == 1
    one_job_and_its_money(world, run_id)


def test_a_process_killed_before_it_claimed_the_call_submits_after_restart_at_once(world: World) -> None:
    run_id = admitted(world)
    world.restart()
    assert recover.run_once(world.gate) == 0
    assert submit.run_once(world.gate) == 1
    one_job_and_its_money(world, run_id)


def test_two_processes_make_one_call(world: World) -> None:
    run_id = admitted(world)
    with world.db.read() as session:
        from service.domain.run import RunState
        from service.store import runs

        [(run, attempt)] = runs.in_states(session, [RunState.SUBMITTING], 10)
    twin = replace(world.gate, boot="boot-2")
    submit.submit_one(world.gate, run, attempt)
    submit.submit_one(twin, run, attempt)
    assert world.wire.count("POST", "/api/jobs/acme") == 1
    one_job_and_its_money(world, run_id)


@pytest.mark.parametrize("error", [httpx2.ConnectError("refused"), httpx2.ConnectTimeout("late")])
def test_a_connection_that_was_never_made_sent_nothing(world: World, error: Exception) -> None:
    run_id = admitted(world)
    world.wire.cut_before = lambda request: error if is_create(request) else None
    submit.run_once(world.gate)
    run = world.run(run_id)
    assert (run.state, run.reason, run.tries) == ("queued", "backing_off", 1)
    assert world.window().reserved_micro_usd == 0
    admit.run_once(world.gate)
    assert world.run(run_id).state == "queued"  # not before its time
    one_job_and_its_money(world, run_id)


def test_429_waits_and_costs_nothing(world: World) -> None:
    run_id = admitted(world)
    world.wire.cut_before = lambda request: world.faults(next_429=1) if is_create(request) else None
    submit.run_once(world.gate)
    assert (world.run(run_id).state, world.run(run_id).reason) == ("queued", "backing_off")
    not_before = world.run(run_id).not_before
    assert not_before is not None
    assert not_before > world.clock.now
    one_job_and_its_money(world, run_id)


def leave_open(world: World, count: int, **fields: object) -> list[str]:
    """Create calls that are never answered."""
    world.limit(max_concurrent_runs=1000)
    world.budget(10**9)
    opened = [world.enqueue(**{"seconds": 60, **fields}) for _ in range(count)]
    while admit.run_once(world.gate):
        pass
    world.wire.cut_after = lambda request: httpx2.ReadTimeout("") if request.method == "POST" else None
    submit.run_once(world.gate)
    world.wire.cut_after = lambda _request: None
    assert all(world.attempt(run_id).is_unclear for run_id in opened)
    return opened


def test_open_calls_hold_up_no_other_submission(world: World) -> None:
    opened = leave_open(world, submit.BATCH)
    run_id = admitted(world)
    assert submit.run_once(world.gate) == 1
    assert world.run(run_id).state == "starting"
    assert all(world.run(one).state == "submitting" for one in opened)


def test_a_namespace_that_cannot_be_listed_holds_up_no_others_open_calls(world: World) -> None:
    unlisted = leave_open(world, 5, namespace="sandbox")
    [run_id] = leave_open(world, 1)
    world.wire.seen.clear()
    world.wire.cut_before = lambda request: httpx2.ReadTimeout("") if request.url.path == "/api/jobs/sandbox" else None
    assert recover.run_once(world.gate) == 1
    assert world.run(run_id).state == "starting"
    assert world.wire.count("GET", "/api/jobs/sandbox") == recover.PATIENCE
    world.wire.cut_before = lambda _request: None
    world.until_end(run_id, *unlisted)


def test_two_jobs_under_one_submission_leave_the_oldest(world: World) -> None:
    run_id = admitted(world, seconds=600)
    world.faults(create_500_after_accept=1)
    submit.run_once(world.gate)
    [job] = world.jobs_of(run_id)
    world.clock.turn(seconds=1)
    client = httpx2.Client(transport=world.wire, headers={"authorization": "Bearer hf_sandbox"})
    client.post(f"http://hub.test/api/jobs/acme/{job.id}/duplicate").raise_for_status()
    recover.run_once(world.gate)
    assert world.attempt(run_id).hub_job_id == job.id
    assert [one.stage for one in world.jobs_of(run_id) if one.id != job.id] == ["CANCELED"]
    sweep.run_once(world.gate)
    sweep.run_once(world.gate)
    world.until_end(run_id, minutes=2)
    assert [entry for entry in world.entries(run_id) if entry[0] == "stray"] == [("stray", 167)]
