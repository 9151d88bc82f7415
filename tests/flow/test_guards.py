"""A running training that goes wrong is told of while it runs, and ended where its run wants that."""

from __future__ import annotations

from functools import partial

import httpx2

from service.flow import guard
from service.store import events
from tests.flow.conftest import World

BROKEN = "{'loss': '0', 'grad_norm': 'nan', 'step': %d, 'total_steps': 20}"
FINE = "{'loss': '%s', 'grad_norm': '1.0', 'step': %d, 'total_steps': 20}"


def log_of(*lines: str, silent: int = 0) -> str:
    """Lines, and after them so many that say nothing of the training."""
    return "\n".join([*lines, *["..."] * silent])


def nan_log() -> str:
    return log_of(*(FINE % (2.0 - n / 10, n) for n in range(1, 6)), *(BROKEN % n for n in range(6, 20)))


def passes(world: World, *run_ids: str) -> None:
    """The steps, and the guards after them, every ten seconds until these runs have ended."""
    for _ in range(80):
        world.pass_all()
        guard.run_once(world.gate)
        if all(world.run(run_id).finished_at is not None for run_id in run_ids):
            return
        world.clock.turn(seconds=10)
    raise AssertionError([world.show(run_id) for run_id in run_ids])


def warnings(world: World, run_id: str) -> dict[str, dict[str, object]]:
    return {note["guard"]: note for note in world.show(run_id)["warnings"]}


def test_a_nan_run_is_ended_after_the_third_and_pays_what_it_ran(world: World) -> None:
    run_id = world.enqueue(seconds=400, log=nan_log())
    passes(world, run_id)
    told = world.show(run_id)
    assert (told["state"], told["reason"]) == ("failed", "nan_loss")
    assert told["failure"]["cause"] == "nan_loss"
    assert told["failure"]["message"].endswith("Its guard 'nan' stopped it.")
    assert "since step 6" in told["warnings"][0]["evidence"]
    assert told["failure"]["evidence"] == BROKEN % 6
    assert told["attempts"][0]["minutes"] == 3  # of ten
    assert told["cost"]["reserved_usd"] == 0
    assert world.told(run_id) == ["run.queued", "run.submitted", "run.started", "run.warning", "run.failed"]
    with world.db.read() as session:
        (event,) = [one for one in events.of(session, run_id, 0, 100) if one.type == "run.warning"]
    assert (event.data["warning"]["guard"], event.data["warning"]["policy"]) == ("nan", "stop")
    assert world.wire.count("POST", "/cancel") == 1


def test_with_warn_it_runs_on_and_is_told_of_once(world: World) -> None:
    run_id = world.enqueue(seconds=400, log=nan_log(), guards={"nan": "warn"})
    passes(world, run_id)
    told = world.show(run_id)
    assert (told["state"], told["reason"]) == ("failed", "nan_loss")  # by what its log said at its end
    assert told["attempts"][0]["minutes"] == 7
    assert world.told(run_id).count("run.warning") == 1
    assert world.wire.count("POST", "/cancel") == 0


def test_with_off_nothing_is_said(world: World) -> None:
    run_id = world.enqueue(seconds=400, log=nan_log(), guards={"nan": "off"})
    passes(world, run_id)
    assert (world.show(run_id)["warnings"], world.told(run_id).count("run.warning")) == ([], 0)


def test_a_divergence_is_told_of_while_it_runs(world: World) -> None:
    curve = [2.0, 1.9, 2.0, 3.0, 4.5, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0]
    run_id = world.enqueue(seconds=400, log=log_of(*(FINE % (loss, n) for n, loss in enumerate(curve, 1))))
    for _ in range(30):
        world.pass_all()
        guard.run_once(world.gate)
        world.clock.turn(seconds=10)
    assert world.show(run_id)["message"].startswith("The loss runs away")
    assert warnings(world, run_id)["divergence"]["policy"] == "warn"
    passes(world, run_id)
    assert world.show(run_id)["reason"] == "diverging"


def test_a_run_that_will_not_end_in_time_is_stopped_where_that_is_wanted(world: World) -> None:
    # a step each ten seconds: a hundred take 17 minutes, and there are ten
    log = log_of(*(FINE.replace("20}", "100}") % (2.0, n) for n in range(1, 59)))
    warned = world.enqueue(seconds=590, log=log)
    stopped = world.enqueue(seconds=590, log=log, guards={"timeout": "stop"})
    passes(world, warned, stopped)
    told = world.show(stopped)
    assert (told["state"], told["reason"], told["attempts"][0]["minutes"]) == ("failed", "job_timeout", 3)
    assert "Submit it with a timeout of 20m" in told["failure"]["remedy"]
    numbers = warnings(world, warned)["timeout"]["numbers"]
    assert isinstance(numbers, dict)
    assert numbers["let_run_usd"] > numbers["spent_usd"] > 0
    assert world.told(warned).count("run.warning") == 1


def cut_whole_log(job: str | None, request: httpx2.Request) -> Exception | None:
    is_whole = request.url.path.endswith(f"{job}/logs") and "tail" not in request.url.params
    return httpx2.ConnectError("down") if is_whole else None


def test_a_silence_is_a_stall_only_where_hugging_face_has_nothing_newer(world: World) -> None:
    lines = [FINE % (2.0, n) for n in range(1, 11)]
    run_id = world.enqueue(seconds=3000, log=log_of(*lines, silent=50), timeout="1h", guards={"stall": "stop"})
    more = (FINE % (2.0, n) for n in range(11, 20))
    late = world.enqueue(seconds=3000, log=log_of(*lines, *more), timeout="1h", guards={"stall": "stop"})
    job = None
    for _ in range(125):
        world.pass_all()
        if job is None and world.run(late).state == "running":
            job = world.attempt(late).hub_job_id
        if world.clock.now.minute >= 12:  # the way to the logs of the other one breaks, their end excepted
            world.wire.cut_before = partial(cut_whole_log, job)
        guard.run_once(world.gate)
        if world.run(run_id).finished_at is not None and world.run(late).finished_at is not None:
            break
        world.clock.turn(seconds=30)
    told = world.show(run_id)
    assert (told["state"], told["reason"]) == ("failed", "stalled")
    assert "step 10 was the last" in told["failure"]["message"]
    assert "stall" not in warnings(world, late)


def test_a_person_who_cancels_first_has_cancelled_it(world: World) -> None:
    run_id = world.enqueue(seconds=400, log=nan_log())
    for _ in range(19):
        world.pass_all()
        world.clock.turn(seconds=10)
    world.cancel(run_id)
    guard.run_once(world.gate)
    passes(world, run_id)
    assert world.show(run_id)["state"] == "cancelled"
    assert world.told(run_id).count("run.warning") == 0


def test_a_job_that_ended_before_the_stop_came_is_judged_as_it_ended(world: World) -> None:
    run_id = world.enqueue(seconds=400, log=nan_log())
    world.pass_all()
    while world.attempt(run_id).stopped_by is None:
        world.pass_all()
        guard.run_once(world.gate)
        world.clock.turn(seconds=10)
    world.wire.cut_before = lambda request: (
        httpx2.ConnectError("down") if request.url.path.endswith("/cancel") else None
    )
    world.clock.turn(seconds=400)
    passes(world, run_id)
    told = world.show(run_id)
    assert (told["reason"], told["attempts"][0]["minutes"]) == ("nan_loss", 7)
