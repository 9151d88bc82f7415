"""What `explain` says to somebody who knows nothing of the service's inside, reason by reason."""

from __future__ import annotations

import re
from typing import Any

import httpx2

from service.domain.run import Reason
from service.flow import admit, preflight, prices
from tests.api.conftest import Api
from tests.api.test_patch import queued
from tests.api.test_runs import submit

# Names of gates are for programs; sentences go without them, and without what Python prints of nothing.
INSIDE = re.compile(r"None|not_paused|queue_open|team_open|next_try|own_cap|parked|job_token|opens\b|\b0 of the runs")


def told(api: Api, run_id: str, reason: Reason) -> dict[str, Any]:
    """The explanation, read for what no reader should find in it. Somebody can always do something, or knows how long
    to wait."""
    found: dict[str, Any] = api("GET", f"/runs/{run_id}/explain").json()
    assert found["reason"] == reason, found["message"]
    sentences = [found["message"], found["assumption"], *(gate["message"] for gate in found["gates"])]
    sentences += [text for one in found["would_help"] for text in one.values()]
    for sentence in sentences:
        assert sentence
        assert not INSIDE.search(sentence), sentence
    assert [gate for gate in found["gates"] if not gate["passed"]]
    return found


def only(found: dict[str, Any]) -> dict[str, Any]:
    """The one gate that is closed."""
    [gate] = [gate for gate in found["gates"] if not gate["passed"]]
    assert isinstance(gate, dict)
    return gate


def test_checking_says_what_is_looked_up_and_how_long_that_takes(api: Api) -> None:
    run_id = submit(api)["id"]
    assert "is being looked up" in only(told(api, run_id, Reason.CHECKING))["message"]
    is_down = [True]
    api.world.wire.cut_before = lambda request: (
        httpx2.ConnectError("down") if is_down[0] and "whoami" in request.url.path else None
    )
    run_id = submit(api, output_repo="acme/m")["id"]
    preflight.run_once(api.world.gate)
    found = told(api, run_id, Reason.CHECKING)
    until = "asked again every 15 s, and from 2026-11-24 12:10 UTC on it goes without"
    assert found["message"] == f"output_repo is not known yet (ConnectError: down): {until}"
    assert only(found)["message"] == found["message"]
    is_down[0] = False
    api.world.clock.turn(seconds=16)
    preflight.run_once(api.world.gate)
    assert "not known" not in api("GET", f"/runs/{run_id}").json()["message"], "it is known now"


def test_a_pilot_and_other_runs_are_named(api: Api) -> None:
    run_id = queued(api, pilot={"max_steps": 20})
    pilot = api("GET", f"/runs/{run_id}").json()["pilot"]["run_id"]
    preflight.run_once(api.world.gate)
    found = told(api, run_id, Reason.WAITING_FOR_DEPENDENCY)
    assert found["message"] == f"starts once its pilot {pilot} has passed"
    assert only(found)["message"] == f"its pilot {pilot} has not passed yet"
    assert found["would_help"] == [{"change": f"wait until its pilot {pilot} has passed", "effect": "starts now"}]
    after = submit(api, after=[run_id, pilot])["id"]
    preflight.run_once(api.world.gate)
    first, second = sorted((run_id, pilot))
    found = told(api, after, Reason.WAITING_FOR_DEPENDENCY)
    assert only(found)["message"] == f"{first}, {second} have not succeeded yet"


def test_pauses_and_approvals_say_who_and_how(api: Api) -> None:
    api("PUT", "/teams/research/approval-rules", as_="lead", json={"first_run_of_user": True})
    run_id = submit(api)["id"]
    preflight.run_once(api.world.gate)
    found = told(api, run_id, Reason.AWAITING_APPROVAL)
    assert f"POST /runs/{run_id}/approve" in found["would_help"][0]["change"]
    api("POST", f"/runs/{run_id}/approve", as_="lead")
    ways = ((f"/runs/{run_id}", "member"), ("/teams/research", "lead"), ("/queue", "admin"))
    for path, who in ways:
        api("POST", f"{path}/pause", as_=who)
        found = told(api, run_id, Reason.PAUSED)
        assert f"POST {path}/resume" in found["would_help"][0]["change"]
        assert only(found)["message"].split(" by ")[0] in (
            "the run is paused",
            "team research is paused",
            "the queue is paused",
        )
        api("POST", f"{path}/resume", as_=who)
    gates = {gate["gate"]: gate["message"] for gate in api("GET", f"/runs/{run_id}/explain").json()["gates"]}
    assert gates["approval"].startswith("approved by lead")


def test_an_output_a_slot_and_a_next_try(api: Api) -> None:
    api.world.budget(10_000_000)
    first = submit(api, output_repo="acme/out", env={"SANDBOX_RUN_SECONDS": "600"})["id"]
    api.world.pass_all()
    second = submit(api, output_repo="acme/out")["id"]
    api.world.pass_all()
    gate = only(told(api, second, Reason.WAITING_FOR_OUTPUT))
    assert gate["message"] == f"{first} writes to acme/out, and goes first"
    submit(api)
    api.world.pass_all()
    api("PUT", "/teams/research/limits", as_="admin", json={"max_concurrent_runs": 1})
    third = submit(api)["id"]
    api.world.pass_all()
    found = told(api, third, Reason.WAITING_FOR_SLOT)
    assert only(found)["message"] == "the team's runs are limited to 1, and 2 are active"
    assert {"change": "2 more slots for team research", "effect": "starts now"} in found["would_help"]


def test_a_job_that_was_not_taken_has_a_next_try(api: Api) -> None:
    is_create = ("POST", "/api/jobs/acme")
    api.world.wire.cut_before = lambda request: (
        httpx2.ConnectError("refused") if (request.method, request.url.path) == is_create else None
    )
    run_id = submit(api)["id"]
    api.world.pass_all()
    found = told(api, run_id, Reason.BACKING_OFF)
    at = re.search(r"the next try is at (2026-11-24 12:00:\d\d UTC)$", found["message"])
    assert at is not None, found["message"]
    assert found["would_help"] == [{"change": f"wait until {at[1]}", "effect": "starts now"}]


def test_a_price_and_money(api: Api) -> None:
    api.world.clock.turn(hours=25)
    run_id = submit(api)["id"]
    preflight.run_once(api.world.gate)
    admit.run_once(api.world.gate)
    gate = only(told(api, run_id, Reason.PRICE_UNKNOWN))
    assert (
        gate["message"]
        == "Hugging Face has not told the price of cpu-basic for a day: it is asked for again every 30 s"
    )
    prices.run_once(api.world.gate)
    api("PUT", "/teams/research/budget", as_="admin", json={"period": "month", "limit_usd": 0.003, "hard": True})
    second = submit(api)["id"]
    admit.run_once(api.world.gate)
    preflight.run_once(api.world.gate)
    admit.run_once(api.world.gate)
    gate = only(told(api, second, Reason.WAITING_FOR_BUDGET))
    assert "$0.000674 is missing; it fits at 2026-12-01 00:00 UTC at the latest" in gate["message"]
