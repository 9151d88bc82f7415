"""The Jobs API as a client speaks it, answered by runs."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from service.api.rates import Rates
from service.domain.job import IMAGE
from service.domain.rate import Rate
from service.domain.run import RunState
from service.doors.hf import account, reading
from service.doors.hf.job import STAGES
from service.doors.hf.job_body import JobBody
from service.doors.hf.request import asked
from tests.api.conftest import Api
from tests.docs.pages import ROOT
from tests.flow.conftest import World

OTHER_KEY = "tg_" + "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA1bC3dE5fG7h"
CREATE = ("POST", "/api/jobs/acme")
SPEC: dict[str, Any] = {
    "dockerImage": IMAGE,
    "command": ["echo", "hello"],
    "arguments": [],
    "environment": {},
    "flavor": "cpu-basic",
    "timeoutSeconds": 600,
}


def start(api: Api, as_: str = "member", **changes: Any) -> dict[str, Any]:
    answer = api("POST", "/api/jobs/acme", as_=as_, json={**SPEC, **changes})
    assert answer.status_code == 200, answer.text
    job: dict[str, Any] = answer.json()
    return job


def inspect(api: Api, job_id: str) -> dict[str, Any]:
    answer = api("GET", f"/api/jobs/acme/{job_id}")
    assert answer.status_code == 200, answer.text
    job: dict[str, Any] = answer.json()
    return job


def test_a_job_is_a_run_that_waits_then_runs_then_ends(api: Api, world: World) -> None:
    job = start(api, labels={"team": "ml", "name": "first"}, environment={"SANDBOX_RUN_SECONDS": "300"})
    run = api("GET", f"/runs/{job['id']}").json()
    assert run["recipe"]["command"] == job["command"] == ["echo", "hello"]
    assert (job["status"]["stage"], job["owner"]["name"], job["labels"]["name"]) == ("SCHEDULING", "acme", "first")
    assert "(checking)" in job["status"]["message"]
    assert job["secrets"] == ["HF_TOKEN"]
    for _ in range(4):
        world.pass_all()
        world.clock.turn(seconds=10)
    running = inspect(api, job["id"])
    assert running["status"]["stage"] == "RUNNING"
    assert running["durations"]["runningSecs"] > 0
    world.until_end(job["id"])
    ended = inspect(api, job["id"])
    assert ended["status"] == {"stage": "COMPLETED", "message": None}
    assert ended["finishedAt"].endswith("Z")


def test_stages_are_those_of_the_page() -> None:
    table = (ROOT / "docs" / "hf.md").read_text().partition("## Stages")[2].partition("There is no")[0]
    told = {
        state: row[0]
        for row in re.findall(r"^\| `([A-Z]+)` \| (.*?)(?:;|,? once|\|)", table, re.M)
        for state in re.findall(r"`(\w+)`", row[1])
    }
    assert told == {state.value: stage for state, stage in STAGES.items()}
    assert set(told) == set(RunState)


def test_a_run_that_waits_for_money_says_so(api: Api, world: World) -> None:
    world.budget(2_000)  # micro-dollars: enough for one of ten minutes
    start(api, environment={"SANDBOX_RUN_SECONDS": "300"})
    job = start(api)
    world.pass_all()
    status = inspect(api, job["id"])["status"]
    assert status["stage"] == "SCHEDULING"
    assert status["message"].endswith("(waiting_for_budget)"), status


def test_what_a_job_is_given_never_holds_a_key_of_this_service(api: Api, world: World) -> None:
    key = str(api.keys["member"])
    answer = api(
        "POST",
        "/api/jobs/acme",
        json={**SPEC, "secrets": {"HF_TOKEN": key, "MY_TOKEN": key, "OTHER": "tg_somebodys", "WANDB_API_KEY": "w" * 9}},
    )
    warned = " ".join(answer.headers.get_list("x-hf-warning"))
    assert all(name in warned for name in ("HF_TOKEN", "MY_TOKEN", "OTHER"))
    assert "WANDB" not in warned
    assert "tg_" not in warned
    job = answer.json()
    assert job["secrets"] == ["HF_TOKEN", "MY_TOKEN", "OTHER", "WANDB_API_KEY"]
    world.until_end(job["id"])
    (sent,) = [body for seen, body in zip(world.wire.seen, world.wire.bodies, strict=True) if seen == CREATE]
    assert json.loads(sent)["secrets"] == {
        "HF_TOKEN": "hf_sandbox_job",
        "MY_TOKEN": "hf_sandbox_job",
        "OTHER": "hf_sandbox_job",
        "WANDB_API_KEY": "w" * 9,
    }
    assert b"tg_" not in sent


def test_a_run_with_the_jobs_token_under_another_name_is_submitted_anew_as_it_was(api: Api, world: World) -> None:
    job = start(api, secrets={"MY_TOKEN": str(api.keys["member"])})
    world.until_end(job["id"])
    again = api("POST", f"/runs/{job['id']}/retry").json()
    assert again["secret_refs"] == {"MY_TOKEN": "hf-job-token"}
    assert api("PUT", "/teams/research/secrets/hf-job-token", as_="lead", json={"value": "x" * 9}).status_code == 422


def test_a_session_has_no_key_to_look_for(api: Api) -> None:
    found = asked(JobBody.model_validate({**SPEC, "secrets": {"A": "x"}}), "acme", "")
    assert found.body["secrets"] == {"A": "x"}
    token = asked(JobBody.model_validate({**SPEC, "secrets": {"A": "an.oidc.token"}}), "acme", "an.oidc.token")
    assert token.body["secrets"] == {"A": {"ref": "hf-job-token"}}


@pytest.mark.parametrize(
    ("changes", "status", "told"),
    [
        ({"secrets": {"A": f"Bearer {OTHER_KEY}"}}, 400, "keys do not enter jobs"),
        ({"environment": {"KEY_X": OTHER_KEY}}, 400, "Send it in 'secrets'"),
        ({"secrets": {"HF_TOKEN": "hf_own"}}, 400, "the job gets the service's own address and token"),
        ({"dockerImage": "python:3.12"}, 400, "TUNEGATE_IMAGE_ALLOWLIST"),
        ({"dockerImage": None, "spaceId": "a/b"}, 400, "a run takes no Space as its image"),
        ({"expose": {"ports": [8000]}}, 400, "Leave out --expose"),
        ({"ssh": {"enabled": True}}, 400, "Leave out --ssh"),
        ({"network": {"group": "x"}}, 400, "--network-group"),
        ({"arch": "arm64"}, 400, "amd64"),
        ({"flavor": "cpu-basik"}, 400, "Did you mean cpu-basic"),
        ({"timeoutSeconds": 10}, 400, "from 60 seconds"),
        ({"timeoutSeconds": 86400 * 20}, 402, "budget"),
        ({"attempts": 99}, 400, "attempts"),
        ({"environment": {"A": 1}}, 400, "environment.A"),
        ({"command": []}, 400, "command"),
        ({"command": ["echo", ""]}, 400, "recipe.command.1"),
        ({"labels": {"a b": "c"}}, 400, "labels"),
        ({"labels": {"tunegate-run": "c"}}, 400, "Choose another name"),
        ({"gpu": 1}, 400, "there is no field 'gpu'"),
        ({"volumes": [{"type": "model", "source": "a/b", "mountPath": "/etc"}]}, 400, "belongs to the system"),
    ],
)
def test_what_cannot_be_a_run_is_refused_as_the_hub_refuses(
    api: Api, changes: dict[str, Any], status: int, told: str
) -> None:
    answer = api("POST", "/api/jobs/acme", json={**SPEC, **changes})
    assert answer.status_code == status, answer.text
    assert told in answer.json()["error"], answer.text
    assert answer.headers["x-error-message"]
    assert answer.headers["content-type"] == "application/json"
    assert api("GET", "/runs").json()["data"] == []


def test_the_namespace_is_the_teams(api: Api) -> None:
    for method, path in (
        ("POST", ""),
        ("GET", ""),
        ("GET", "/run_x"),
        ("POST", "/run_x/cancel"),
        ("GET", "/run_x/logs"),
    ):
        answer = api(method, f"/api/jobs/mallory{path}", **({"json": SPEC} if (method, path) == ("POST", "") else {}))
        assert answer.status_code == 403, (method, path)
        assert "team research are in the namespace acme, and not in 'mallory'" in answer.headers["x-error-message"]


def test_roles_and_teams_are_those_of_runs(api: Api, world: World) -> None:
    assert api("POST", "/api/jobs/acme", as_="viewer", json=SPEC).status_code == 403
    assert "belongs to no team" in api("POST", "/api/jobs/acme", as_="admin", json=SPEC).json()["error"]
    job = start(api)
    assert api("GET", f"/api/jobs/acme/{job['id']}", as_="viewer").status_code == 200
    assert api("GET", f"/api/jobs/acme/{job['id']}", as_="admin").status_code == 200
    assert api("GET", f"/api/jobs/acme/{job['id']}", as_="outsider").status_code == 404
    assert api("GET", "/api/jobs/acme", as_="outsider").json() == []
    assert [one["id"] for one in api("GET", "/api/jobs/acme", as_="admin").json()] == [job["id"]]
    api.add_key("other member", "research", "member")
    assert api("POST", f"/api/jobs/acme/{job['id']}/cancel", as_="other member").status_code == 403
    stranger = api("GET", "/api/jobs/acme", as_="stranger")
    assert (stranger.status_code, stranger.json()["code"]) == (401, "not_authenticated")
    narrow = api(
        "POST",
        "/teams/research/keys",
        as_="lead",
        json={"name": "reads", "role": "member", "scopes": ["runs:read"]},
    ).json()["key"]
    api.keys["reads"] = narrow
    refused = api("POST", "/api/jobs/acme", as_="reads", json=SPEC)
    assert (refused.status_code, "runs:write" in refused.json()["error"]) == (403, True)
    assert api("GET", "/api/whoami-v2", as_="reads").json()["auth"]["accessToken"]["role"] == "read"


def test_a_job_is_entered_in_the_audit_log(api: Api) -> None:
    job = start(api)
    assert api("POST", f"/api/jobs/acme/{job['id']}/cancel").status_code == 200
    entries = api("GET", "/audit", as_="admin").json()["data"]
    assert [one["action"] for one in entries[:2]] == [
        "POST /api/jobs/{namespace}/{job_id}/cancel",
        "POST /api/jobs/{namespace}",
    ]
    assert entries[1]["object"] == f"/runs/{job['id']}"


def test_a_key_makes_one_job_as_a_header_and_as_a_label(api: Api) -> None:
    once = api("POST", "/api/jobs/acme", json=SPEC, headers={"idempotency-key": "a"})
    again = api("POST", "/api/jobs/acme", json=SPEC, headers={"idempotency-key": "a"})
    assert (again.status_code, again.json()["id"]) == (200, once.json()["id"])
    assert again.headers["idempotent-replayed"] == "true"
    labelled = start(api, labels={"idempotency-key": "b"})
    assert start(api, labels={"idempotency-key": "b"})["id"] == labelled["id"] != once.json()["id"]
    other = api("POST", "/api/jobs/acme", json={**SPEC, "labels": {"idempotency-key": "b"}, "timeoutSeconds": 700})
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    # whose key it is that a client sends along as a secret makes no other request
    mine = start(api, labels={"idempotency-key": "c"}, secrets={"HF_TOKEN": str(api.keys["member"])})
    leads = start(api, "lead", labels={"idempotency-key": "c"}, secrets={"HF_TOKEN": str(api.keys["lead"])})
    assert mine["id"] == leads["id"]
    # a refusal does not count where the key has made a run
    late = api("POST", "/api/jobs/acme", json={**SPEC, "labels": {"idempotency-key": "b"}, "timeoutSeconds": 1})
    assert late.status_code == 409


def test_jobs_are_listed_by_stage_label_and_name_page_by_page(
    api: Api, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PAGE", 2)
    ids = [start(api, labels={"name": f"n{n}", "parity": str(n % 2)})["id"] for n in range(5)]
    found: list[str] = []
    path = "/api/jobs/acme?stage=RUNNING&stage=SCHEDULING"
    for _ in range(3):
        answer = api("GET", path)
        found += [one["id"] for one in answer.json()]
        link = answer.headers.get("link", "")
        path = link.partition(">")[0].removeprefix("<http://testserver")
    assert (found, link) == (ids[::-1], "")
    assert [one["id"] for one in api("GET", "/api/jobs/acme?label=parity%3D1").json()] == [ids[3], ids[1]]
    assert [one["id"] for one in api("GET", "/api/jobs/acme?label=name%3Dn2&label=parity%3D0").json()] == [ids[2]]
    assert api("GET", "/api/jobs/acme?stage=DELETED").json() == []
    assert api("GET", "/api/jobs/acme?stage=COMPLETED&stage=ERROR").json() == []
    assert api("GET", "/api/jobs/acme?stage=QUEUED").status_code == 400
    assert api("GET", "/api/jobs/acme?label=parity").status_code == 400
    assert api("GET", "/api/jobs/acme?cursor=%21").status_code == 400


@pytest.mark.parametrize(
    ("public", "begins"),
    [("https://testserver", "<https://testserver/api"), ("https://tunegate.example", "<http://testserver/api")],
)
def test_the_next_page_is_where_the_client_called(
    api: Api, monkeypatch: pytest.MonkeyPatch, public: str, begins: str
) -> None:
    monkeypatch.setattr(reading, "PAGE", 1)
    start(api)
    start(api)
    state = api.app.state.tunegate
    api.app.state.tunegate = replace(state, gate=replace(state.gate, public_url=public))
    assert api("GET", "/api/jobs/acme").headers["link"].startswith(begins)


def test_a_cancelled_job_stops_and_an_ended_one_says_so(api: Api, world: World) -> None:
    job = start(api)
    asked = api("POST", f"/api/jobs/acme/{job['id']}/cancel").json()
    assert asked["status"]["stage"] == "SCHEDULING"
    world.pass_all()
    assert inspect(api, job["id"])["status"]["stage"] == "CANCELED"
    again = api("POST", f"/api/jobs/acme/{job['id']}/cancel")
    assert (again.status_code, again.json()["error"]) == (409, "the run was cancelled already.")


def test_a_failed_job_says_why_and_what_helps(api: Api, world: World) -> None:
    job = start(api, environment={"SANDBOX_EXIT_CODE": "3", "SANDBOX_LOG": "ModuleNotFoundError: No module named 'x'"})
    world.until_end(job["id"])
    status = inspect(api, job["id"])["status"]
    failure = api("GET", f"/runs/{job['id']}").json()["failure"]
    assert status["stage"] == "ERROR"
    assert status["failureCount"] == 1
    assert status["message"] == f"{failure['message']} {failure['remedy']}"


def test_the_log_is_told_as_the_hub_tells_it(api: Api, world: World) -> None:
    job = start(api, environment={"SANDBOX_LOG": "one\ntwo\nthree"})
    world.until_end(job["id"])
    answer = api("GET", f"/api/jobs/acme/{job['id']}/logs")
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert [one["data"] for one in lines][-3:] == ["one", "two", "three"]
    assert all(one["timestamp"].endswith("Z") for one in lines)
    last = api("GET", f"/api/jobs/acme/{job['id']}/logs?tail=1").text
    assert (last.count("data: "), "three" in last) == (1, True)
    bare = api("GET", f"/runs/{job['id']}/logs?follow=true", headers={"accept": "text/plain"}).text
    assert bare.splitlines()[-3:] == ["one", "two", "three"]


def test_who_one_is_and_on_what_hardware(api: Api) -> None:
    me = api("GET", "/api/whoami-v2").json()
    assert (me["name"], me["type"], me["auth"]["accessToken"]["role"]) == ("acme", "user", "write")
    assert "team research" in me["fullname"]
    assert api("GET", "/api/whoami-v2", as_="nobody").status_code == 401
    listed = {one["name"]: one for one in api("GET", "/api/jobs/hardware").json()}
    assert listed["cpu-basic"]["unitLabel"] == "minute"


def test_the_page_of_a_job_is_the_runs(api: Api) -> None:
    answer = api("GET", "/jobs/acme/run_x", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/runs/run_x")


@pytest.mark.parametrize(
    ("method", "path", "told"),
    [
        ("POST", "/api/buckets/acme/jobs-artifacts", "tunegate submit -- hf jobs uv run"),
        ("POST", "/api/scheduled-jobs/acme", "POST /schedules"),
        ("GET", "/api/scheduled-jobs/acme/1", "POST /schedules"),
        ("POST", "/api/jobs/acme/run_x/duplicate", "tunegate retry run_x"),
        ("PUT", "/api/jobs/acme/run_x/labels", 'PATCH /runs/run_x, with {"labels": {...}}'),
        ("PUT", "/api/jobs/acme/run_x/expose", "not reached from outside"),
        ("GET", "/api/jobs/acme/run_x/metrics", "tunegate watch run_x"),
        ("GET", "/api/jobs/acme/run_x/events", "GET /runs/run_x/events"),
        ("DELETE", "/api/jobs/acme/run_x/y/z", "/openapi.json"),
        ("GET", "/api/models/acme/m1", "no other request on to the Hub"),
        ("POST", "/api/repos/create", "Set HF_ENDPOINT for the commands about jobs alone"),
        ("GET", "/acme/m1/resolve/main/config.json", "no other request on to the Hub"),
        ("GET", "/datasets/acme/d/resolve/main/x/y.json", "no other request on to the Hub"),
    ],
)
def test_what_is_not_served_is_named_with_where_it_is_to_be_had(api: Api, method: str, path: str, told: str) -> None:
    answer = api(method, path)
    assert (answer.status_code, answer.json()["code"]) == (501, "not_served")
    assert told in answer.json()["error"]
    head = api("HEAD", "/acme/m1/resolve/main/config.json")
    assert (head.status_code, head.content) == (501, b"")
    assert "HF_ENDPOINT" in head.headers["x-error-message"]


def test_the_edge_and_the_rate_speak_as_the_hub_as_well(api: Api) -> None:
    broken = api("POST", "/api/jobs/acme", content=b"{", headers={"content-type": "application/json"})
    assert (broken.status_code, broken.json()["code"]) == (400, "malformed_body")
    assert broken.headers["x-error-message"] == broken.json()["error"]
    assert api("GET", "/runs/run_x").headers["content-type"] == "application/problem+json"
    assert api("GET", "/api/agent-harnesses", as_="nobody").status_code == 404


def test_a_team_with_tokens_of_its_own_has_its_own_namespaces(api: Api) -> None:
    given = {"control_token": "hf_labs", "job_token": "hf_labs_job", "namespaces": ["labs"]}
    assert api("PUT", "/teams/research/hf-credentials", as_="lead", json=given).status_code in (200, 201)
    assert api("GET", "/api/whoami-v2").json()["name"] == "labs"
    assert api("POST", "/api/jobs/labs", json=SPEC).json()["owner"]["name"] == "labs"
    refused = api("POST", "/api/jobs/acme", json=SPEC)
    assert (refused.status_code, "namespace labs" in refused.json()["error"]) == (403, True)
    assert len(api("GET", "/api/jobs/labs").json()) == 1


def test_without_a_namespace_of_the_services_each_call_names_one(api: Api) -> None:
    api.app.state.tunegate = replace(api.app.state.tunegate, namespace=None)
    assert "--namespace" in api("GET", "/api/whoami-v2").json()["error"]
    assert start(api)["owner"]["name"] == "acme"
    there = api("POST", "/api/jobs/labs", json=SPEC).json()
    assert [one["id"] for one in api("GET", "/api/jobs/labs").json()] == [there["id"]]


def test_who_calls_too_often_is_told_so_as_by_the_hub(api: Api) -> None:
    api.app.state.tunegate = replace(api.app.state.tunegate, rates=Rates(Rate(2, 60)))
    answers = [api("GET", "/api/whoami-v2") for _ in range(4)]
    assert answers[-1].status_code == 429
    assert "Retry-After" in answers[-1].headers["x-error-message"]
    assert answers[-1].headers["retry-after"]


def test_a_fault_of_ours_is_told_as_the_hubs_too(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "id_of", lambda _what: 1 / 0)
    answer = api("GET", "/api/whoami-v2")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert answer.headers["x-error-message"] == answer.json()["error"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_job_that_is_not_the_doors_is_seen_through_it(api: Api, world: World) -> None:
    sft = {"kind": "trl_sft", "model_name_or_path": "HuggingFaceTB/SmolLM2-135M", "dataset_name": "trl-lib/Capybara"}
    body = {"recipe": sft, "flavor": "t4-small", "timeout": "1h", "output_repo": "acme/x", "force": True, "retry": {}}
    world.budget(10_000_000)
    run = api("POST", "/runs", json=body)
    assert run.status_code == 201, run.text
    job = inspect(api, run.json()["id"])
    assert job["command"][:4] == ["trl", "sft", "--model_name_or_path", "HuggingFaceTB/SmolLM2-135M"]
    assert (job["retry"], job["labels"]["name"]) == (2, job["id"])
    script = api("POST", "/runs", json={"recipe": SOURCE, "flavor": "cpu-basic", "timeout": "10m"}).json()
    assert inspect(api, script["id"])["command"] == [
        "uv",
        "run",
        "--with",
        "numpy",
        "--python",
        "3.12",
        "script.py",
        "x",
    ]


SOURCE = {"kind": "script", "source": "print(1)", "args": ["x"], "dependencies": ["numpy"], "python": "3.12"}
