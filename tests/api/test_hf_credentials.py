"""A team's own tokens: checked before they are kept, never shown, and used by its runs alone."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from service.flow import tokens
from service.store import credentials, events
from tests.api.conftest import Api
from tests.flow.conftest import SCRIPT

PATH = "/teams/research/hf-credentials"
LABS = {"control_token": "hf_labs", "job_token": "hf_labs_job", "namespaces": ["labs"]}


def put(api: Api, as_: str = "lead", **fields: Any) -> httpx2.Response:
    return api("PUT", PATH, as_=as_, json={**LABS, **fields})


def submit(api: Api, **fields: Any) -> httpx2.Response:
    body = {"recipe": SCRIPT, "flavor": "cpu-basic", "timeout": "10m", **fields}
    return api("POST", "/runs", json=body)


def test_they_are_checked_kept_and_shown_without_a_token(api: Api) -> None:
    answer = put(api)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["control"] == {"account": "mira", "role": "fineGrained", "warnings": []}
    assert told["job"] == {"account": "mira", "role": "fineGrained", "warnings": []}
    assert (told["namespaces"], told["problems"], told["live_runs"]) == (["labs"], [], 0)
    assert told["updated_by"] == "lead"
    assert told["checked_at"] == told["updated_at"] == "2026-11-24T12:00:00.000Z"
    api.world.clock.turn(minutes=5)
    assert api("POST", f"{PATH}/check", as_="lead").json()["checked_at"] == "2026-11-24T12:05:00.000Z"
    again = api("GET", PATH, as_="lead")
    assert "hf_labs" not in answer.text + again.text
    with api.world.db.read() as session:
        [event] = events.of(session, "team/research", 0, 10)
    assert event.data["after"]["hf_credentials"]["namespaces"] == ["labs"]
    assert "hf_labs" not in str(event.data)


def test_the_teams_runs_use_them_and_other_teams_do_not(api: Api) -> None:
    put(api)
    shown = submit(api).json()
    assert (shown["namespace"], shown["hf_credentials"]) == ("labs", "research")
    refused = submit(api, namespace="acme").json()
    assert (refused["code"], refused["field"]) == ("invalid", "namespace")
    assert refused["remedy"] == "Name labs, or leave 'namespace' out."
    other = api("POST", "/runs", as_="outsider", json={"recipe": SCRIPT, "flavor": "cpu-basic", "timeout": "10m"})
    assert other.json().get("code") == "exceeds_budget" or other.json()["namespace"] == "acme"


@pytest.mark.parametrize(
    ("fields", "field", "told"),
    [
        ({"control_token": "hf_nobody"}, "control_token", "Hugging Face does not know this token"),
        ({"job_token": "hf_nobody"}, "job_token", "Hugging Face does not know this token"),
        ({"control_token": "hf_sandbox"}, "control_token", "may start no jobs in 'labs'"),
        ({"control_token": "hf_mira_job"}, "control_token", "may start no jobs in 'labs'"),
        ({"job_token": "hf_mira_job"}, "job_token", "may write no repositories in labs"),
        ({"job_token": "hf_labs_broad"}, "job_token", "could start jobs itself, in labs, acme"),
        ({"job_token": "hf_labs_write"}, "job_token", "could start jobs itself"),
        ({"namespaces": ["labs", "acme"]}, "control_token", "may start no jobs in 'acme'"),
        ({"job_token": "hf_labs"}, "job_token", "the two tokens are one"),
        ({"namespaces": []}, "namespaces", "at least 1 item"),
        ({"namespaces": ["labs", "labs"]}, "namespaces", "named twice"),
        ({"job_token": "hf labs"}, "job_token", "visible ASCII"),
    ],
)
def test_tokens_that_do_not_do_are_refused_and_nothing_is_kept(
    api: Api, fields: dict[str, Any], field: str, told: str
) -> None:
    answer = put(api, **fields)
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
    assert told in answer.text
    for value in ("hf_nobody", "hf_labs_broad", "hf_labs_write", "hf labs"):
        assert value not in answer.text
    assert api("GET", PATH, as_="lead").status_code == 404


def test_a_broad_job_token_is_an_admins_to_allow_and_warned_of(api: Api) -> None:
    broad = {"job_token": "hf_labs_broad", "allow_broad_job_token": True}
    assert put(api, **broad).json()["code"] == "not_allowed"
    answer = put(api, as_="admin", **broad)
    assert answer.status_code == 200, answer.text
    warnings = answer.json()["job"]["warnings"]
    for part in ("inference", "webhooks", "billing", "acme, another namespace than labs", "which is allowed here"):
        assert any(part in one for one in warnings), warnings


def test_hugging_face_that_does_not_answer_changes_nothing(api: Api) -> None:
    put(api)
    api.world.wire.cut_before = lambda _request: httpx2.ConnectError("refused")
    assert put(api, namespaces=["labs"]).json()["code"] == "hub_unavailable"
    assert api("POST", f"{PATH}/check", as_="lead").json()["code"] == "hub_unavailable"
    assert api("GET", "/hub/tokens", as_="admin").json()["code"] == "hub_unavailable"
    api.world.wire.cut_before = lambda _request: None
    assert api("GET", PATH, as_="lead").json()["problems"] == []


def test_they_stay_as_long_as_runs_use_them(api: Api) -> None:
    assert api("DELETE", PATH, as_="lead").status_code == 404
    put(api)
    run_id = submit(api, env={"SANDBOX_RUN_SECONDS": "5"}).json()["id"]
    refused = api("DELETE", PATH, as_="lead")
    assert (refused.status_code, run_id in refused.json()["detail"]) == (409, True)
    elsewhere = put(api, control_token="hf_mira", job_token="hf_mira_job", namespaces=["acme"])
    assert (elsewhere.status_code, elsewhere.json()["field"]) == (409, "namespaces")
    assert run_id in elsewhere.json()["detail"]
    api.world.until_end(run_id)
    assert api("DELETE", PATH, as_="lead").status_code == 204
    assert api("GET", PATH, as_="lead").status_code == 404
    assert submit(api).json()["hf_credentials"] is None


def test_a_retry_goes_where_the_teams_tokens_are_now(api: Api) -> None:
    run_id = submit(api, env={"SANDBOX_RUN_SECONDS": "1"}).json()["id"]
    api.world.until_end(run_id)
    put(api)
    again = api("POST", f"/runs/{run_id}/retry", json={}).json()
    assert (again["namespace"], again["hf_credentials"]) == ("labs", "research")


def test_estimates_see_what_the_teams_tokens_see(api: Api) -> None:
    put(api)
    since = len(api.world.wire.tokens)
    recipe = {"kind": "trl_sft", "model_name_or_path": "labs/any", "dataset_name": "trl-lib/Capybara"}
    assert api("POST", "/estimates", as_="member", json={"recipe": recipe}).status_code == 200
    assert {*api.world.wire.tokens[since:]} == {"Bearer hf_labs_job"}


def test_every_hour_they_are_looked_at_and_what_is_wrong_is_kept(api: Api) -> None:
    put(api)
    assert tokens.run_once(api.world.gate) == 0
    before = len(api.world.wire.seen)
    assert tokens.run_once(api.world.gate) == 0
    assert len(api.world.wire.seen) == before, "not before an hour has passed"
    account = api.world.core.accounts
    account._tokens.pop("hf_labs_job")
    api.world.clock.turn(hours=1)
    assert tokens.run_once(api.world.gate) == 1
    told = api("GET", PATH, as_="lead").json()
    assert told["problems"] == ["job_token: Hugging Face does not know this token"]
    with api.world.db.read() as session:
        assert credentials.get(session, "research") is not None


def test_admins_see_what_the_services_tokens_may_do(api: Api) -> None:
    told = api("GET", "/hub/tokens", as_="admin").json()
    assert told["control"]["account"] == "sandbox"
    assert told["control"]["warnings"] == [
        "it holds job.write, repo.write on sandbox, another namespace than acme",
    ]
    assert (told["namespaces"], told["problems"]) == (["acme"], [])


def test_limits_of_a_teams_namespace_can_be_set(api: Api) -> None:
    limit = {"max_concurrent_runs_by_namespace": {"labs": 1}}
    assert api("PATCH", "/organisation", as_="admin", json=limit).status_code == 422
    put(api)
    assert api("PATCH", "/organisation", as_="admin", json=limit).status_code == 200
