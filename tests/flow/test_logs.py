"""A log is taken in once and whole, whatever the connection does: what no real server can be made to do at will."""

from __future__ import annotations

import threading
from dataclasses import replace

import httpx2
import pytest
from sqlmodel import Session

from service.flow import ended, logs, watch
from service.flow.gate import Start
from service.hub import follower
from service.store import logs as store
from service.store import runs
from service.store.logs import Wanted
from tests.flow.conftest import World

SECRET = "correct-horse-battery"


def kept(world: World, run_id: str) -> list[str]:
    with world.db.read() as session:
        return [line.text for _, line in store.read(session, run_id, 1, Wanted())]


def is_log(request: httpx2.Request) -> bool:
    return request.url.path.endswith("/logs")


@pytest.mark.parametrize("error", [httpx2.ReadTimeout("silent"), httpx2.ReadError("cut"), httpx2.ConnectError("down")])
def test_an_ended_jobs_log_is_asked_for_again_where_it_broke_off(world: World, error: Exception) -> None:
    run_id = world.enqueue(seconds=30, log="one\ntwo\nthree")
    world.pass_all()
    failing = [error]
    world.wire.cut_before = lambda request: failing.pop() if is_log(request) and failing else None
    world.clock.turn(seconds=40)
    world.pass_all()
    world.until_end(run_id)
    assert kept(world, run_id) == ["one", "two", "three"]
    assert world.attempt(run_id).log_state == "whole"


def test_a_log_that_stays_away_does_not_keep_a_run_from_ending(world: World) -> None:
    run_id = world.enqueue(seconds=30, log="one\ntwo\nthree")
    world.pass_all()
    world.clock.turn(seconds=20)
    world.pass_all()
    assert kept(world, run_id) == ["one", "two"]
    world.wire.cut_before = lambda request: httpx2.ConnectError("down") if is_log(request) else None
    world.until_end(run_id, seconds=30)
    assert world.show(run_id)["state"] == "succeeded"
    assert (kept(world, run_id), world.attempt(run_id).log_state) == (["one", "two"], "partial")


def test_a_secret_that_goes_on_in_the_next_line_is_masked_though_the_lines_came_apart(world: World) -> None:
    run_id = world.enqueue(seconds=30, secrets={"KEY": SECRET})

    def let_it_print(session: Session) -> None:
        run = runs.get(session, run_id)
        assert run is not None
        run.env = {**run.env, "SANDBOX_LOG": f"first\nkey {SECRET[:9]}\n{SECRET[9:]} end"}
        session.add(run)

    world.db.write(let_it_print)
    world.pass_all()
    for seconds in (9, 9, 9, 9):
        world.clock.turn(seconds=seconds)
        logs.run_once(world.gate)
    assert kept(world, run_id) == ["first", "key [secret]", "[secret] end"]
    world.until_end(run_id)
    assert kept(world, run_id) == ["first", "key [secret]", "[secret] end"]


def test_two_readers_of_one_log_store_it_once(world: World) -> None:
    run_id = world.enqueue(seconds=30, log="one\ntwo\nthree")
    world.pass_all()
    world.clock.turn(seconds=20)
    run, attempt = world.run(run_id), world.attempt(run_id)
    news, _ = logs.rest_of_log(world.gate, run, attempt)
    logs.run_once(world.gate)
    before = kept(world, run_id)

    def finish(session: Session) -> None:
        found = runs.lock_submission(session, run_id, attempt.submission)
        assert found is not None
        logs.finish(session, *found, news, True, 10**9, world.clock.now)

    world.db.write(finish)
    assert kept(world, run_id) == before == ["one", "two"]


def test_a_job_whose_log_has_ended_is_looked_at_by_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(follower, "LONGEST_PAUSE", 0.01)
    followers = follower.Followers(lambda job: world.gate.hub_of(job.credentials).streams, 5)
    has_ended = threading.Event()
    followers.on_end = has_ended.set
    world.gate = replace(world.gate, followers=followers)
    run_id = world.enqueue(seconds=20, log="one\ntwo")
    assert ended.run_once(world.gate) == 0
    world.pass_all()
    assert has_ended.wait(10)  # this server holds no stream open: it ends, and its job goes on
    assert ended.run_once(world.gate) == 0
    assert world.run(run_id).state == "running"
    lists = world.wire.count("GET", "/api/jobs/acme")
    world.clock.turn(seconds=25)
    for gate, moved in ((replace(world.gate, start=Start()), 0), (world.gate, 1)):  # the sweep comes first
        has_ended.clear()
        assert has_ended.wait(10)
        assert ended.run_once(gate) == moved
    assert (world.run(run_id).state, world.wire.count("GET", "/api/jobs/acme")) == ("succeeded", lists)
    assert kept(world, run_id) == ["one", "two"]
    followers.stop()
    looks = world.wire.count("GET", f"/{world.attempt(run_id).hub_job_id}")
    assert (ended.run_once(world.gate), watch.run_once(world.gate)) == (0, 0)
    assert world.wire.count("GET", f"/{world.attempt(run_id).hub_job_id}") == looks
