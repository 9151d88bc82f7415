"""Who leads is killed, stopped, or cut off from the database: another one leads, and nothing is submitted twice."""

from __future__ import annotations

import threading
import time

import httpx2

from service.sandbox.faults import Faults
from tests.forwarder import Forwarder
from tests.processes import ADMIN_KEY, Service
from tests.replicas.conftest import Replicas, leads, submit, until

# What the promise allows; the lease itself is 12 s.
TAKEN_OVER_SECONDS = 15


def slow_request(service: Service) -> httpx2.Response:
    """One whose answer is waited for longer than the service waits for its database."""
    key = {"authorization": f"Bearer {ADMIN_KEY}"}
    return httpx2.get(f"{service.url}/runs", headers=key, timeout=30, trust_env=False)


def ends_well(replicas: Replicas, service: Service, *run_ids: str) -> None:
    for run_id in run_ids:
        run = service.until_end(run_id)
        assert run["state"] == "succeeded", run
        assert replicas.jobs_of(run_id) == 1
    budget = service("GET", "/teams/research/budget").json()
    assert budget["reserved_usd"] == 0


def test_a_leader_that_is_killed_is_replaced_within_15_s_and_nothing_is_submitted_twice(replicas: Replicas) -> None:
    old, new = replicas.add(), replicas.add()
    assert leads(old)
    assert not leads(new)
    running = submit(old, "running", seconds="3")
    until(lambda: replicas.jobs_of(running), 10)
    replicas.sandbox.core.faults.set(Faults(reply_delay_seconds=30))
    called = submit(new, "called")
    until(lambda: replicas.jobs_of(called), 10)
    old.kill()
    replicas.sandbox.core.faults.set(Faults())
    queued = submit(new, "queued")
    until(lambda: leads(new), TAKEN_OVER_SECONDS)
    ends_well(replicas, new, running, called, queued)


def test_a_leader_that_is_stopped_hands_over_at_once_and_finishes_its_create_call(replicas: Replicas) -> None:
    old, new = replicas.add(), replicas.add()
    replicas.sandbox.core.faults.set(Faults(reply_delay_seconds=1.5))
    called = submit(new, "called")
    until(lambda: replicas.jobs_of(called), 10)
    stopping = threading.Thread(target=old.stop)
    stopping.start()
    assert until(lambda: leads(new), 10) < 8, "the call's end and a second or two, much less than the lease"
    replicas.sandbox.core.faults.set(Faults())
    stopping.join(20)
    assert '"handed_over": []' in old.log
    assert new("GET", f"/runs/{called}").json()["state"] in ("starting", "running", "succeeded"), "nothing was open"
    ends_well(replicas, new, called)


def test_what_takes_too_long_at_a_stop_is_handed_over(replicas: Replicas) -> None:
    patient = {"TUNEGATE_HUB_TIMEOUT_SECONDS": "20"}
    old, new = replicas.add(**patient), replicas.add(**patient)
    replicas.sandbox.core.faults.set(Faults(reply_delay_seconds=30))
    called = submit(new, "called")
    until(lambda: replicas.jobs_of(called), 10)
    began_at = time.monotonic()
    old.stop()
    assert time.monotonic() - began_at < 10
    assert '"handed_over": ["submit"]' in old.log
    replicas.sandbox.core.faults.set(Faults())
    until(lambda: leads(new), 10)
    ends_well(replicas, new, called)


def test_a_leader_that_is_cut_off_steps_down_before_another_leads(replicas: Replicas) -> None:
    with Forwarder([replicas.database_at]) as way:
        host, port = replicas.database_at
        old = replicas.add(replicas.database.replace(f"{host}:{port}", f"127.0.0.1:{way.port}"))
        new = replicas.add()
        queued = submit(old, "before", seconds="3")
        until(lambda: replicas.jobs_of(queued), 10)
        seen: list[tuple[bool, bool]] = []
        way.hold()
        held_at = time.monotonic()
        answers: list[httpx2.Response] = []
        answered = threading.Thread(target=lambda: answers.append(slow_request(old)))
        answered.start()
        while not (seen and seen[-1][1]):
            # the old one is asked last: it may only have stepped down by then
            is_new = leads(new)
            seen.append((leads(old), is_new))
            assert time.monotonic() - held_at < TAKEN_OVER_SECONDS + 3
        assert not any(is_old and is_new for is_old, is_new in seen)
        assert seen[0][0], "it did lead at first"
        assert old("GET", "/readyz").status_code == 503
        assert old("GET", "/healthz").status_code == 200
        answered.join(30)
        assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(503, "database_unavailable")]
        later = submit(new, "later")
        ends_well(replicas, new, queued, later)
        way.let_pass()
        until(lambda: old("GET", "/readyz").status_code == 200, 20)
        assert not leads(old)
        assert submit(old, "later") == later


def test_a_leader_that_is_cut_off_ends_when_it_is_told_to(replicas: Replicas) -> None:
    with Forwarder([replicas.database_at]) as way:
        host, port = replicas.database_at
        old = replicas.add(replicas.database.replace(f"{host}:{port}", f"127.0.0.1:{way.port}"))
        way.hold()
        time.sleep(1)  # steps are under way by now, and hang
        began_at = time.monotonic()
        old.stop()
        assert time.monotonic() - began_at < 13
        assert "lease_not_given_up" in old.log
