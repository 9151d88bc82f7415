"""Each fault does what its name says, and stops when it is reset."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx2
import pytest
from huggingface_hub.utils import parse_ratelimit_headers

from service.sandbox.core import Sandbox
from service.sandbox.faults import Faults
from service.sandbox.serve import Options, SandboxServer
from tests.sandbox.job_clients import SPEC, Caller, Desk, log_texts


def faulty(**faults: float | str) -> Desk:
    return Desk(Sandbox(execute=False, faults=Faults.parse(faults)))


def jobs(desk: Desk) -> int:
    count: int = desk.ask("GET", "/api/jobs/sandbox/count")["count"]
    return count


def test_500_before_and_after_acceptance_differ_in_the_job() -> None:
    before, after = faulty(create_500_before_accept=2), faulty(create_500_after_accept=2)
    for desk, existing in ((before, 0), (after, 2)):
        statuses = [desk.send("POST", "/api/jobs/sandbox", SPEC).status for _ in range(3)]
        assert statuses == [500, 500, 200]
        assert jobs(desk) == existing + 1
    assert before.ask("GET", "/sandbox/faults", token=None)["create_500_before_accept"] == 0


def test_a_fraction_strikes_by_chance_and_the_same_by_seed() -> None:
    def statuses(seed: int) -> list[int]:
        desk = faulty(create_500_after_accept=0.3, seed=seed)
        return [desk.send("POST", "/api/jobs/sandbox", SPEC).status for _ in range(200)]

    assert 30 < statuses(1).count(500) < 90
    assert statuses(1) == statuses(1)
    assert statuses(1) != statuses(2)


def test_a_refused_create_uses_up_no_fault_and_makes_no_job() -> None:
    desk = faulty(create_500_after_accept=1)
    assert desk.send("POST", "/api/jobs/sandbox", SPEC | {"flavor": "x"}).status == 400
    assert desk.send("POST", "/api/jobs/sandbox", SPEC).status == 500
    assert jobs(desk) == 1


def test_slow_scheduling_keeps_a_job_waiting_with_a_reason() -> None:
    desk = faulty(scheduling_seconds=60)
    job_id = desk.create()["id"]
    desk.wait(59)
    job = desk.job(job_id)
    assert (job["status"]["stage"], bool(job["status"]["message"])) == ("SCHEDULING", True)
    desk.wait(2)
    job = desk.job(job_id)
    assert (job["status"], job["durations"]["schedulingSecs"]) == ({"stage": "RUNNING", "message": None}, 60)


def test_lists_lag_behind_while_get_knows_the_job() -> None:
    desk = faulty(listing_lag_seconds=30)
    job_id = desk.create()["id"]
    desk.wait(29)
    assert jobs(desk) == 0
    assert desk.job(job_id)["id"] == job_id
    desk.wait(1)
    assert jobs(desk) == 1


def test_the_rate_limit_answers_429_until_its_window_ends() -> None:
    desk = faulty(rate_limit=3)
    assert [desk.send("GET", "/api/jobs/hardware").status for _ in range(4)] == [200, 200, 200, 429]
    response = desk.send("GET", "/api/whoami-v2")
    limit = parse_ratelimit_headers(response.headers)
    assert limit
    assert (limit.remaining, limit.limit, limit.reset_in_seconds) == (0, 3, 300)
    assert response.headers["retry-after"] == "300"
    assert desk.send("GET", "/api/whoami-v2", token="hf_sandbox_broke").status == 200, "limits are per user"
    desk.wait(300)
    assert desk.send("GET", "/api/whoami-v2").status == 200


def test_next_429_strikes_so_often_and_wants_a_short_wait() -> None:
    desk = faulty(next_429=1)
    response = desk.send("POST", "/api/jobs/sandbox", SPEC)
    assert (response.status, response.headers["retry-after"]) == (429, "1")
    assert jobs(desk) == 0


def test_an_unknown_stage_is_shown_for_a_running_job_only() -> None:
    desk = faulty(stage_unknown="UPDATING")
    job_id = desk.create()["id"]
    desk.wait(1)
    assert desk.job(job_id)["status"]["stage"] == "UPDATING"
    desk.wait(60)
    assert desk.job(job_id)["status"]["stage"] == "COMPLETED"


def test_faults_are_switched_while_it_runs_and_reset() -> None:
    desk = Desk()
    assert desk.ask("POST", "/sandbox/faults", {"create_500_before_accept": 9}, token=None)["seed"] == 0
    assert desk.send("POST", "/api/jobs/sandbox", SPEC).status == 500
    desk.ask("POST", "/sandbox/faults", {}, token=None)
    assert desk.send("POST", "/api/jobs/sandbox", SPEC).status == 200


@pytest.mark.parametrize("wrong", [{"no_such": 1}, {"rate_limit": "x"}, {"rate_limit": -1}, {"seed": None}, []])
def test_a_fault_that_is_none_is_refused_and_nothing_changes(wrong: object) -> None:
    desk = faulty(rate_limit=50)
    assert desk.refused("POST", "/sandbox/faults", wrong, token=None)[0] == 400
    assert desk.ask("GET", "/sandbox/faults", token=None)["rate_limit"] == 50


def test_a_job_can_be_ended_as_only_the_service_can() -> None:
    desk = Desk()
    job_id = desk.create()["id"]
    ending = {"stage": "CANCELED", "message": "Out of credits", "cancelReason": "NO_CREDITS"}
    desk.ask("POST", f"/sandbox/jobs/{job_id}", ending, token=None)
    assert desk.job(job_id)["status"] == ending
    desk.ask("POST", f"/sandbox/jobs/{job_id}", {"delete": True}, token=None)
    assert desk.refused("GET", f"/api/jobs/sandbox/{job_id}")[0] == 404
    assert jobs(desk) == 0
    assert desk.refused("POST", f"/sandbox/jobs/{job_id}", {}, token=None)[0] == 404
    assert desk.refused("POST", f"/sandbox/jobs/{desk.create()['id']}", {"stage": "RUNNING"}, token=None)[0] == 400


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    with SandboxServer(Options(execute=False, run_seconds=0.3)) as server:
        yield server


@pytest.fixture
def caller(server: SandboxServer) -> Iterator[Caller]:
    with Caller(server.url) as caller:
        yield caller
        caller.http.post("/sandbox/faults", json={})


def count(caller: Caller) -> int:
    total: int = caller.http.get("/api/jobs/sandbox/count").json()["count"]
    return total


def test_a_lost_reply_closes_the_connection_after_the_job_was_made(caller: Caller) -> None:
    before = count(caller)
    caller.http.post("/sandbox/faults", json={"create_lost_reply": 1})
    with pytest.raises(httpx2.RemoteProtocolError, match="without sending a response"):
        caller.create("true")
    assert count(caller) == before + 1


def test_a_held_reply_comes_late_while_the_job_exists_already(caller: Caller) -> None:
    before = count(caller)
    caller.http.post("/sandbox/faults", json={"reply_delay_seconds": 1})
    with pytest.raises(httpx2.ReadTimeout):
        caller.http.post("/api/jobs/sandbox", json=SPEC, timeout=0.3)
    assert count(caller) == before + 1
    began = time.monotonic()
    caller.create("true")
    assert time.monotonic() - began >= 1


def test_a_cut_log_breaks_off_once_and_replays_whole(caller: Caller) -> None:
    caller.http.post("/sandbox/faults", json={"log_cut_after_lines": 2})
    job_id = caller.create("true", environment={"SANDBOX_LOG": "a\nb\nc"})
    with caller.http.stream("GET", f"/api/jobs/sandbox/{job_id}/logs") as answer:
        chunks = answer.iter_bytes()
        got = next(chunks)
        while got.count(b"\n\n") < 2:
            got += next(chunks)
        with pytest.raises(httpx2.RemoteProtocolError):
            next(chunks)
    assert log_texts(got.split(b"\n\n")[:-1])[1:] == ["a"]
    assert caller.log(job_id) == ["a", "b", "c"]


def test_a_held_reply_does_not_hold_up_a_shutdown() -> None:
    with SandboxServer(Options(execute=False, faults=Faults(reply_delay_seconds=60))) as server:
        with Caller(server.url) as caller, pytest.raises(httpx2.ReadTimeout):
            caller.http.post("/api/jobs/sandbox", json=SPEC, timeout=0.2)
        began = time.monotonic()
    assert time.monotonic() - began < 3
