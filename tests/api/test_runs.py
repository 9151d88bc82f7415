"""Submitting, reading and cancelling runs over HTTP."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.api.conftest import Api

BODY: dict[str, Any] = {
    "recipe": {"kind": "script", "source": "print(1)\n"},
    "flavor": "cpu-basic",
    "timeout": "10m",
    "env": {"SANDBOX_RUN_SECONDS": "5"},
}


def submit(api: Api, as_: str = "member", **fields: Any) -> dict[str, Any]:
    answer = api("POST", "/runs", as_=as_, json={**BODY, **fields})
    assert answer.status_code == 201, answer.text
    run: dict[str, Any] = answer.json()
    return run


def test_a_run_is_answered_with_its_place_and_can_be_read_there(api: Api) -> None:
    answer = api("POST", "/runs", json=BODY)
    assert answer.status_code == 201
    run = answer.json()
    assert answer.headers["location"] == f"/runs/{run['id']}"
    assert run["id"].startswith("run_")
    assert (run["object"], run["state"], run["team"], run["is_terminal"]) == ("run", "queued", "research", False)
    assert run["timeout_seconds"] == 600
    assert run["cost"]["ceiling_usd"] == 0.001837
    assert api("GET", answer.headers["location"]).json() == run


def test_a_run_goes_its_way_and_everything_can_be_read(api: Api) -> None:
    run = submit(api, env={"SANDBOX_RUN_SECONDS": "5", "SANDBOX_LOG": "one\ntwo"}, secrets={"KEY": "secret-value"})
    api.world.until_end(run["id"])
    path = f"/runs/{run['id']}"
    done = api("GET", path).json()
    assert done["state"] == "succeeded"
    assert "secret-value" not in api("GET", path).text
    assert [event["type"] for event in api("GET", f"{path}/events").json()["data"]] == [
        "run.queued",
        "run.submitted",
        "run.started",
        "run.succeeded",
    ]
    assert [entry["kind"] for entry in api("GET", f"{path}/ledger").json()["data"]] == ["reserve", "charge", "release"]
    for entry in api("GET", f"{path}/ledger").json()["data"]:
        assert entry["amount_usd"] == pytest.approx(entry["price_per_minute_usd"] * entry["minutes"], abs=1e-9)
    log = api("GET", f"{path}/logs").json()
    assert [line["line"] for line in log["data"]] == ["one", "two"]
    assert (log["is_kept"], log["is_whole"], log["attempt"]) == (True, True, 1)
    assert api("GET", f"{path}/logs?tail=1").json()["data"][0]["line"] == "two"
    assert api("GET", f"{path}/logs", headers={"accept": "text/plain"}).text == "one\ntwo\n"
    assert api("GET", f"{path}/logs?attempt=2").status_code == 404


def test_a_running_jobs_log_is_taken_in_as_it_grows(api: Api) -> None:
    run = submit(api, env={"SANDBOX_RUN_SECONDS": "100", "SANDBOX_LOG": "one\ntwo\nthree\nfour"})
    assert api("GET", f"/runs/{run['id']}/logs").json()["data"] == []
    api.world.pass_all()
    api.world.clock.turn(seconds=60)
    api.world.pass_all()
    log = api("GET", f"/runs/{run['id']}/logs").json()
    assert log["is_kept"] is False
    assert [line["line"] for line in log["data"]] == ["one", "two", "three"]
    api.world.until_end(run["id"])


def test_events_page_by_sequence(api: Api) -> None:
    run = submit(api)
    api.world.until_end(run["id"])
    first = api("GET", f"/runs/{run['id']}/events?limit=3").json()
    assert first["has_more"] is True
    rest = api("GET", f"/runs/{run['id']}/events?limit=3&after={first['next']}").json()
    assert [event["sequence"] for event in first["data"] + rest["data"]] == [1, 2, 3, 4]
    assert (rest["has_more"], rest["next"]) == (False, None)


def test_runs_are_found_by_the_labels_that_they_have_now_and_by_their_repository(api: Api) -> None:
    first = submit(api, labels={"project": "bot", "stage": "a"}, output_repo="acme/tiny")["id"]
    second = submit(api, labels={"project": "bot"}, output_repo="lab/tiny")["id"]

    def found(query: str) -> list[str]:
        return [run["id"] for run in api("GET", f"/runs?{query}").json()["data"]]

    assert found("label=project%3Dbot") == [second, first]
    assert found("label=project%3Dbot&label=stage%3Da") == [first]
    assert found("label=project%3Dbot&state=queued&state=failed&limit=1") == [second]
    assert (found("output_repo=tiny"), found("output_repo=acme/tiny")) == ([second, first], [first])
    assert found("output_repo=tin") == found("output_repo=acme") == []
    assert api("PATCH", f"/runs/{first}", json={"labels": {"stage": "a", "project": "dog"}}).status_code == 200
    assert (found("label=project%3Dbot"), found("label=project%3Ddog&label=stage%3Da")) == ([second], [first])


def test_lists_page_and_filter(api: Api) -> None:
    made = [submit(api, labels={"n": str(number)})["id"] for number in range(5)]
    seen: list[str] = []
    query = "?limit=2"
    while True:
        page = api("GET", f"/runs{query}").json()
        seen += [run["id"] for run in page["data"]]
        if not page["has_more"]:
            break
        query = f"?limit=2&after={page['next']}"
    assert seen == made[::-1]
    found = api("GET", "/runs?label=n%3D3").json()["data"]
    assert [run["id"] for run in found] == [made[3]]
    assert api("GET", "/runs?state=failed&state=succeeded").json()["data"] == []
    assert len(api("GET", "/runs?state=queued").json()["data"]) == 5
    assert api("GET", "/runs", as_="outsider").json()["data"] == []
    assert len(api("GET", "/runs?team=research", as_="admin").json()["data"]) == 5
    assert api("GET", "/runs?created_after=2027-01-01T00:00:00Z").json()["data"] == []
    assert len(api("GET", "/runs?created_before=2027-01-01T00:00:00%2B01:00").json()["data"]) == 5


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "after=!!",
        "after=AA",
        "state=done",
        "label=x",
        "created_after=now",
        "created_after=2026-01-01T00:00:00",
    ],
)
def test_bad_queries_are_problems(api: Api, query: str) -> None:
    answer = api("GET", f"/runs?{query}")
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid"
    assert answer.json()["field"].split(".")[0] == query.partition("=")[0]


def test_members_cancel_their_own_leads_any_viewers_none(api: Api) -> None:
    api.add_key("second-member", "research", "member")
    run = submit(api)
    path = f"/runs/{run['id']}/cancel"
    assert api("POST", path, as_="viewer").status_code == 403
    assert api("POST", path, as_="second-member").status_code == 403
    assert api("POST", path, as_="outsider").status_code == 404
    answer = api("POST", path, as_="lead")
    assert answer.status_code == 202
    asked = answer.json()
    assert asked["cancel_requested_at"] is not None
    assert (asked["state"], asked["reason"]) == ("queued", "cancel_requested")
    assert asked["message"] == "being stopped: cancelled at the request of lead"
    assert api("POST", path).status_code == 202  # again, by its owner: nothing new
    api.world.pass_all()
    ended = api("GET", f"/runs/{run['id']}").json()
    assert (ended["state"], ended["reason"]) == ("cancelled", None)
    assert ended["message"] == "cancelled at the request of lead"
    again = api("POST", path)
    assert (again.status_code, again.json()["code"]) == (409, "conflict")


def test_the_same_key_and_body_are_the_same_run(api: Api) -> None:
    first = api("POST", "/runs", json=BODY, headers={"Idempotency-Key": "k1"})
    assert first.status_code == 201
    api.world.budget(0)  # a repeat is answered before any rule is looked at
    again = api("POST", "/runs", json=dict(reversed(BODY.items())), headers={"Idempotency-Key": "k1"})
    assert again.status_code == 200
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json()["id"] == first.json()["id"]
    other = api("POST", "/runs", json={**BODY, "priority": 1}, headers={"Idempotency-Key": "k1"})
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert other.json()["run_id"] == first.json()["id"]
    broken = api("POST", "/runs", json={"nonsense": 1}, headers={"Idempotency-Key": "k1"})
    assert broken.status_code == 409


def test_a_key_is_the_teams_own(api: Api) -> None:
    api("PUT", "/teams/other/budget", as_="admin", json={"limit_usd": 1})
    ours = api("POST", "/runs", json=BODY, headers={"Idempotency-Key": "k"}).json()["id"]
    theirs = api("POST", "/runs", json=BODY, headers={"Idempotency-Key": "k"}, as_="outsider")
    assert theirs.status_code == 201
    assert theirs.json()["id"] != ours


def test_a_refused_request_leaves_its_key_unused(api: Api) -> None:
    refused = api("POST", "/runs", json={**BODY, "flavor": "no-such"}, headers={"Idempotency-Key": "k"})
    assert refused.status_code == 422
    assert api("POST", "/runs", json=BODY, headers={"Idempotency-Key": "k"}).status_code == 201


def test_twenty_requests_at_the_same_instant_make_one_run(api: Api) -> None:
    answers: list[tuple[int, str]] = []

    def post() -> None:
        answer = api("POST", "/runs", json=BODY, headers={"Idempotency-Key": "same"})
        answers.append((answer.status_code, answer.json()["id"]))

    threads = [threading.Thread(target=post) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({run_id for _, run_id in answers}) == 1
    assert sorted(status for status, _ in answers) == [200] * 19 + [201]
    assert len(api("GET", "/runs").json()["data"]) == 1


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"flavor": "a10g-larg"}, "unknown_flavor", "a10g-large"),
        ({"flavor": "a10g-large", "timeout": "20h"}, "exceeds_budget", "need_usd"),
        ({"flavor": "a10g-large", "timeout": "2h", "max_cost_usd": 3}, "exceeds_limit", "$3.025"),
        ({"flavor": "a10g-large", "timeout": None, "max_cost_usd": 0.1}, "exceeds_limit", "5 minutes"),
        ({"namespace": "else"}, "invalid", "'acme' only"),
        ({"timeoutt": 5}, "unknown_field", "Did you mean 'timeout'?"),
        ({"flavor": "auto"}, "invalid", "for trl_sft recipes"),
        ({"recipe": {"kind": "dpo"}}, "invalid", "recipe"),
        ({"recipe": {"kind": "script", "source": "x" * 65_537}}, "invalid", "65537 bytes"),
        ({"team": "other"}, "not_found", "team"),
    ],
)
def test_what_can_never_run_is_refused_with_code_and_numbers(
    api: Api, change: dict[str, Any], code: str, says: str
) -> None:
    answer = api("POST", "/runs", json={**BODY, **change})
    assert answer.status_code == (404 if code == "not_found" else 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code
    assert says in answer.text
    assert api("GET", "/runs").json()["data"] == []


def test_only_the_cost_given_makes_the_timeout_that_holds_it(api: Api) -> None:
    api.world.budget(10_000_000)
    run = submit(api, flavor="a10g-large", timeout=None, max_cost_usd=3.05)
    assert (run["timeout_seconds"], run["cost"]["ceiling_usd"]) == (121 * 60, 3.05)
    api.world.pass_all()
    assert api("GET", f"/runs/{run['id']}").json()["timeout_seconds"] == 121 * 60


def test_an_admin_names_the_team(api: Api) -> None:
    assert api("POST", "/runs", json=BODY, as_="admin").json()["field"] == "team"
    assert api("POST", "/runs", json={**BODY, "team": "none"}, as_="admin").status_code == 404
    answer = api("POST", "/runs", json={**BODY, "team": "research"}, as_="admin")
    assert answer.status_code == 201
    assert answer.json()["requested_by"] == "admin"
