"""Why a run waits, when it would start, and what would help: each answer is one that the rules themselves gave."""

from __future__ import annotations

from typing import Any

from service.api import queue_schemas
from service.flow import preflight
from tests.api.conftest import Api
from tests.api.test_runs import submit as submit_unchecked
from tests.factories import make_budget

CEILING = 167 * 11


def submit(api: Api, **fields: Any) -> dict[str, Any]:
    run = submit_unchecked(api, **fields)
    preflight.run_once(api.world.gate)
    return run


def explain(api: Api, run_id: str) -> dict[str, Any]:
    answer = api("GET", f"/runs/{run_id}/explain")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    queue_schemas.ExplanationObject.model_validate(told)
    return told


def closed(told: dict[str, Any]) -> list[str]:
    return [gate["gate"] for gate in told["gates"] if not gate["passed"]]


def test_an_open_way_is_all_green(api: Api) -> None:
    told = explain(api, submit(api)["id"])
    assert closed(told) == []
    assert told["position"] == 1
    assert told["earliest_start"] == "2026-11-24T12:00:00.000Z"
    assert told["would_help"] == []
    assert [gate["gate"] for gate in told["gates"]] == [
        "preflight", "queue_open", "team_open", "not_paused", "approval", "dependencies", "script", "next_try",
        "job_token", "output", "price", "own_cap", "slots_of_organisation", "budget_research/month", "turn",
    ]  # fmt: skip


def test_money_that_is_missing_is_said_with_what_would_help_and_every_help_is_true(api: Api) -> None:
    api.world.budget(CEILING + 1200)
    first = submit(api)["id"]
    api.world.pass_all()
    second = submit(api, timeout="10m")["id"]
    api.world.pass_all()
    told = explain(api, second)
    assert closed(told) == ["budget_research/month"]
    [money] = [gate for gate in told["gates"] if gate["gate"] == "budget_research/month"]
    assert (money["have"], money["need"]) == (0.0012, 0.001837)
    helps = {one["change"]: one["effect"] for one in told["would_help"]}
    assert helps["$0.000637 more in research/month"] == "starts now"
    assert helps["timeout = 6m"].startswith("starts now")
    assert f"after {first} ends" in helps
    assert told["earliest_start"] == "2026-12-01T00:00:00.000Z", "by upper bounds the first costs its whole ceiling"
    api("PATCH", f"/runs/{second}", json={"timeout": "6m"})
    api.world.pass_all()
    assert api("GET", f"/runs/{second}").json()["state"] != "queued"


def test_a_slot_that_is_missing_names_the_flavor_that_would_start_now(api: Api) -> None:
    api.world.budget(10_000_000)
    limits = {"max_concurrent_runs_by_flavor": {"cpu-basic": 1}}
    assert api("PATCH", "/organisation", as_="admin", json=limits).status_code == 200
    first, second = submit(api, env={"SANDBOX_RUN_SECONDS": "600"})["id"], submit(api)["id"]
    api.world.pass_all()
    told = explain(api, second)
    assert closed(told) == ["slots_of_flavor"]
    changes = [one["change"] for one in told["would_help"]]
    assert "one more slot for flavor cpu-basic" in changes
    assert any(change.startswith("flavor = ") for change in changes)
    assert f"after {first} ends" in changes
    assert told["earliest_start"] == "2026-11-24T12:11:00.001Z" or told["earliest_start"] > "2026-11-24T12:10"
    flavor = next(change for change in changes if change.startswith("flavor = ")).removeprefix("flavor = ")
    api("PATCH", f"/runs/{second}", json={"flavor": flavor})
    api.world.pass_all()
    assert api("GET", f"/runs/{second}").json()["state"] != "queued"


def test_a_held_run_says_what_opens_its_gate_and_what_comes_then(api: Api) -> None:
    api("PUT", "/teams/research/approval-rules", as_="lead", json={"first_run_of_user": True})
    run_id = submit(api)["id"]
    told = explain(api, run_id)
    assert closed(told) == ["approval"]
    assert told["position"] is None
    change = f"a lead or an admin approves it (POST /runs/{run_id}/approve)"
    assert told["would_help"] == [{"change": change, "effect": "starts now"}]


def test_a_run_that_is_behind_says_whom(api: Api) -> None:
    api.world.budget(CEILING + 600)
    submit(api, env={"SANDBOX_RUN_SECONDS": "600"})
    head, behind = submit(api, timeout="12m")["id"], submit(api, timeout="1m")["id"]
    api.world.pass_all()
    told = explain(api, behind)
    assert closed(told) == ["turn"]
    assert f"behind {head}" in told["gates"][-1]["message"]


def test_the_queue_is_in_the_order_of_starts_and_shows_each_team_its_own(api: Api) -> None:
    api.world.limit(max_concurrent_runs=0)
    api.world.db.write(lambda session: make_budget(session, api.world.clock.now, 10**6, team="other"))
    api("PATCH", "/organisation", as_="admin", json={"max_concurrent_runs": 0})
    low, high = submit(api, priority=10)["id"], submit(api, priority=90)["id"]
    paused = submit(api)["id"]
    api("POST", f"/runs/{paused}/pause")
    mine = api("GET", "/queue").json()["data"]
    assert [(one["run_id"], one["position"]) for one in mine] == [(high, 1), (low, 2), (paused, None)]
    for one in mine:
        queue_schemas.QueueItem.model_validate(one)
    assert mine[2]["reason"] == "paused"
    assert api("GET", "/queue", as_="outsider").json()["data"] == []
    assert len(api("GET", "/queue", as_="admin").json()["data"]) == 3
    page = api("GET", "/queue?limit=2").json()
    assert page["has_more"]
    assert [one["run_id"] for one in api("GET", f"/queue?limit=2&after={page['next']}").json()["data"]] == [paused]


def test_a_run_that_is_not_queued_has_nothing_to_explain(api: Api) -> None:
    run_id = submit(api)["id"]
    api.world.until_end(run_id)
    told = explain(api, run_id)
    assert (told["state"], told["gates"], told["position"]) == ("succeeded", [], None)
    assert api("GET", f"/runs/{run_id}/explain", as_="outsider").status_code == 404
