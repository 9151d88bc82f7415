"""Every route, every caller; every error a problem document; the OpenAPI document says what the answers are."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from service.api import (
    key_schemas,
    money_schemas,
    schemas,
    series,
    team_schemas,
    usage_schemas,
    watch_schemas,
    webhook_schemas,
)
from tests.api.conftest import Api
from tests.api.test_runs import BODY, submit

# A callback URL is its own key.
OPEN = {"/healthz", "/readyz", "/callbacks/{run_id}/{attempt}/{token}", "/hooks/hub/{trigger_id}"}

# The least role of each route, as design asks; what is not here, every key may read.
LEAST = {
    ("POST", "/runs"): "member",
    ("POST", "/runs/{run_id}/cancel"): "member",
    ("POST", "/runs/{run_id}/retry"): "member",
    ("POST", "/runs/{run_id}/rescue"): "member",
    ("DELETE", "/runs/{run_id}/checkpoints"): "member",
    ("POST", "/runs/{run_id}/then"): "member",
    ("POST", "/teams"): "admin",
    ("POST", "/teams/{team}/keys"): "lead",
    ("GET", "/teams/{team}/keys"): "lead",
    ("POST", "/organisation/keys"): "admin",
    ("GET", "/organisation/keys"): "admin",
    ("POST", "/organisation/keys/{key_id}/rotate"): "admin",
    ("DELETE", "/organisation/keys/{key_id}"): "admin",
    ("GET", "/teams/{team}/users"): "lead",
    ("PUT", "/teams/{team}/users/{user}"): "lead",
    ("POST", "/teams/{team}/archive"): "admin",
    ("POST", "/teams/{team}/unarchive"): "admin",
    ("GET", "/audit"): "lead",
    ("PUT", "/teams/{team}/limits"): "lead",
    ("PUT", "/teams/{team}/hf-credentials"): "lead",
    ("GET", "/teams/{team}/hf-credentials"): "lead",
    ("POST", "/teams/{team}/hf-credentials/check"): "lead",
    ("DELETE", "/teams/{team}/hf-credentials"): "lead",
    ("GET", "/hub/tokens"): "admin",
    ("PUT", "/teams/{team}/secrets/{name}"): "lead",
    ("GET", "/teams/{team}/secrets"): "member",
    ("DELETE", "/teams/{team}/secrets/{name}"): "lead",
    ("PUT", "/teams/{team}/budget"): "admin",
    ("DELETE", "/teams/{team}/budget"): "admin",
    ("POST", "/teams/{team}/budget/grants"): "admin",
    ("PATCH", "/teams/{team}"): "admin",
    ("PATCH", "/runs/{run_id}"): "member",
    ("POST", "/runs/{run_id}/pause"): "member",
    ("POST", "/runs/{run_id}/resume"): "member",
    ("POST", "/runs/{run_id}/approve"): "lead",
    ("POST", "/runs/{run_id}/refuse"): "lead",
    ("POST", "/teams/{team}/pause"): "lead",
    ("POST", "/teams/{team}/resume"): "lead",
    ("POST", "/teams/{team}/cancel-runs"): "lead",
    ("PUT", "/teams/{team}/approval-rules"): "lead",
    ("POST", "/queue/pause"): "admin",
    ("POST", "/queue/resume"): "admin",
    ("PATCH", "/organisation"): "admin",
    ("PUT", "/organisation/budget"): "admin",
    ("DELETE", "/organisation/budget"): "admin",
    ("POST", "/organisation/budget/grants"): "admin",
    ("POST", "/billing/import"): "admin",
    ("GET", "/metrics"): "admin",
    ("GET", "/strays"): "admin",
    ("POST", "/webhooks"): "lead",
    ("POST", "/schedules"): "member",
    ("PATCH", "/schedules/{schedule_id}"): "member",
    ("DELETE", "/schedules/{schedule_id}"): "member",
    ("POST", "/schedules/{schedule_id}/run"): "member",
    ("POST", "/triggers"): "member",
    ("PATCH", "/triggers/{trigger_id}"): "member",
    ("DELETE", "/triggers/{trigger_id}"): "member",
    ("POST", "/triggers/{trigger_id}/rotate-secret"): "member",
    ("POST", "/triggers/{trigger_id}/run"): "member",
    ("POST", "/sweeps"): "member",
    ("PATCH", "/sweeps/{sweep_id}"): "member",
    ("POST", "/sweeps/{sweep_id}/cancel"): "member",
    ("GET", "/webhooks"): "lead",
    ("GET", "/webhooks/{endpoint_id}"): "lead",
    ("DELETE", "/webhooks/{endpoint_id}"): "lead",
    ("PATCH", "/webhooks/{endpoint_id}"): "lead",
    ("POST", "/webhooks/{endpoint_id}/rotate-secret"): "lead",
    ("POST", "/webhooks/{endpoint_id}/redeliver"): "lead",
    ("POST", "/webhooks/{endpoint_id}/test"): "lead",
    ("GET", "/webhooks/{endpoint_id}/deliveries"): "lead",
    ("GET", "/webhooks/{endpoint_id}/deliveries/{delivery_id}"): "lead",
    ("POST", "/webhooks/{endpoint_id}/deliveries/{delivery_id}/redeliver"): "lead",
}
RANKS = ("viewer", "member", "lead", "admin")
SWEEP = {
    "name": "z",
    "run": {**BODY, "labels": {"lr": "{{lr}}"}},
    "grid": {"lr": [1e-5, 5e-5]},
    "max_cost_usd": 50,
}
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/runs"): BODY,
    ("POST", "/runs/{run_id}/then"): {"then": [{"kind": "smoke_test"}]},
    ("POST", "/teams"): {"name": "third"},
    ("POST", "/teams/{team}/keys"): {"name": "x", "role": "member"},
    ("POST", "/organisation/keys"): {"name": "x"},
    ("PUT", "/teams/{team}/users/{user}"): {"shut_out": False},
    ("PUT", "/teams/{team}/limits"): {"max_concurrent_runs": 3},
    ("PUT", "/teams/{team}/hf-credentials"): {
        "control_token": "hf_labs",
        "job_token": "hf_labs_job",
        "namespaces": ["labs"],
    },
    ("PUT", "/teams/{team}/secrets/{name}"): {"value": "a value"},
    ("PUT", "/teams/{team}/budget"): {"limit_usd": 1},
    ("POST", "/teams/{team}/budget/grants"): {"amount_usd": 1},
    ("PATCH", "/teams/{team}"): {"weight": 2},
    ("PATCH", "/runs/{run_id}"): {"priority": 1},
    ("PUT", "/teams/{team}/approval-rules"): {},
    ("PATCH", "/organisation"): {},
    ("PUT", "/organisation/budget"): {"limit_usd": 1},
    ("POST", "/organisation/budget/grants"): {"amount_usd": 1},
    ("POST", "/callbacks/{run_id}/{attempt}/{token}"): {"loss": 1},
    ("POST", "/schedules"): {"name": "x", "cron": "0 3 * * *", "run": BODY},
    ("PATCH", "/schedules/{schedule_id}"): {"paused": True},
    ("POST", "/triggers"): {"name": "y", "repo_type": "dataset", "repo": "acme/chats", "run": BODY},
    ("PATCH", "/triggers/{trigger_id}"): {"paused": True},
    ("POST", "/hooks/hub/{trigger_id}"): {},
    ("POST", "/sweeps"): SWEEP,
    ("PATCH", "/sweeps/{sweep_id}"): {"max_parallel": 1},
    ("POST", "/webhooks"): {"url": "https://example.com/"},
    ("PATCH", "/webhooks/{endpoint_id}"): {"enabled": True},
    ("POST", "/webhooks/{endpoint_id}/redeliver"): {"since": "2026-11-24T00:00:00Z"},
}


def routes(api: Api) -> list[tuple[str, str]]:
    paths: dict[str, dict[str, Any]] = api("GET", "/openapi.json", as_="nobody").json()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


def fill(path: str, **ids: str) -> str:
    return path.format(
        **{
            "run_id": "run_x",
            "team": "research",
            "key_id": "key_x",
            "endpoint_id": "ep_x",
            "schedule_id": "sch_x",
            "trigger_id": "trg_x",
            "sweep_id": "swp_x",
            "delivery_id": "dlv_x",
            "other_id": "run_y",
            "attempt": "1",
            "token": "x",
            "user": "somebody",
            "name": "wandb",
            **ids,
        }
    )


def test_without_a_valid_key_nothing_is_told(api: Api) -> None:
    for method, path in routes(api):
        if path in OPEN:
            continue
        for caller in ("nobody", "stranger"):
            answer = api(method, fill(path), as_=caller, json=BODIES.get((method, path)))
            assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated"), (method, path)
            assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("role", RANKS)
def test_every_route_lets_exactly_its_roles_pass(api: Api, role: str) -> None:
    for method, path in routes(api):
        if path in OPEN:
            continue
        answer = api(method, fill(path), as_=role, json=BODIES.get((method, path)))
        may = RANKS.index(role) >= RANKS.index(LEAST.get((method, path), "viewer"))
        assert (answer.status_code == 403) == (not may), (method, path, answer.text)
        assert answer.status_code < 500, (method, path, answer.text)


def test_another_teams_objects_do_not_exist(api: Api) -> None:
    run_id = submit(api)["id"]
    endpoint_id = api("POST", "/webhooks", as_="lead", json={"url": "https://example.com/"}).json()["id"]
    key_id = api("GET", "/teams/research/keys", as_="lead").json()["data"][0]["id"]
    schedule = {"name": "nightly", "every": "1d", "run": BODY}
    schedule_id = api("POST", "/schedules", json=schedule).json()["id"]
    trigger = {"name": "chats", "repo_type": "dataset", "repo": "acme/chats", "run": BODY}
    ids = {
        "schedule_id": schedule_id,
        "trigger_id": api("POST", "/triggers", json=trigger).json()["id"],
        "sweep_id": api("POST", "/sweeps", json=SWEEP).json()["id"],
    }
    for method, path in routes(api):
        if "{" not in path or LEAST.get((method, path)) == "admin" or path in OPEN:
            continue
        url = fill(path, run_id=run_id, endpoint_id=endpoint_id, key_id=key_id, **ids)
        answer = api(method, url, as_="outsider", json=BODIES.get((method, path)))
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, path)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("DELETE", "/runs", 405, "method_not_allowed"),
        ("GET", "/runs/run_x", 404, "not_found"),
        ("GET", "/runs?limit=x", 422, "invalid"),
    ],
)
def test_every_error_is_a_problem_document(api: Api, method: str, path: str, status: int, code: str) -> None:
    answer = api(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == code
    assert problem["status"] == status
    assert problem["type"] == f"urn:tunegate:problem:{code}"
    assert problem["title"]
    assert problem["detail"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b"null", b"\xff\xfe", b'{"a": 1e999}', b"[" * 2000])
def test_a_body_that_is_no_object_is_a_problem(api: Api, content: bytes) -> None:
    answer = api("POST", "/runs", content=content, headers={"content-type": "application/json", "idempotency-key": "k"})
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "path",
    [
        "/runs/a%00b",
        "/runs?label=a%3D%00",
        "/runs?team=%00",
        "/teams/%00/budget",
        "/webhooks/%00",
        "/runs?after=%F0%9F%98%80",
        "/runs?created_after=0001-01-01T00:00:00%2B14:00",
    ],
)
def test_odd_addresses_are_problems_and_no_faults(api: Api, path: str) -> None:
    answer = api("GET", path, as_="lead")
    assert answer.status_code in (404, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("text", [r"\ud800", r"\u0000"])
def test_texts_that_nothing_can_carry_are_refused(api: Api, text: str) -> None:
    for field in ('"args": ["%s"]', '"args": [], "%s": 1', '"python": "%s"'):
        body = (
            '{"recipe": {"kind": "script", "source": "x", ' + field % text + '}, "flavor": "cpu-basic", "timeout": 60}'
        )
        answer = api("POST", "/runs", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 422, answer.text
    body = '{"recipe": {"kind": "script", "source": "x"}, "flavor": "cpu-basic", "timeout": 60, "team": "X"}'.replace(
        "X", text
    )
    headers = {"content-type": "application/json", "idempotency-key": "k"}
    assert api("POST", "/runs", content=body, headers=headers, as_="admin").status_code in (404, 422)


@pytest.mark.parametrize("depth", [50, 500, 5_000])
def test_a_body_however_deep_is_a_problem(api: Api, depth: int) -> None:
    run_id = submit(api)["id"]
    deep = '{"a":' * depth + "1" + "}" * depth
    for method, path in (("POST", "/runs"), ("POST", "/estimates"), ("PATCH", f"/runs/{run_id}")):
        content = f'{{"labels": {deep}, "flavor": "cpu-basic"}}'
        answer = api(method, path, content=content, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 422), (method, path, answer.status_code)
        assert answer.json()["code"]


def test_a_secret_in_a_changed_label_is_refused(api: Api) -> None:
    run_id = submit(api)["id"]
    token = "hf_" + "AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGh"
    refused = api("PATCH", f"/runs/{run_id}", json={"labels": {"note": token}})
    assert (refused.json()["code"], refused.json()["field"]) == ("secret_in_text", "labels.note")
    assert token not in api("GET", f"/runs/{run_id}").text


def test_a_body_beyond_measure_is_refused_unread(api: Api) -> None:
    answer = api("POST", "/runs", content=b"[" + b" " * 1024 * 1024 + b"]")
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_a_fault_of_our_own_tells_nothing_of_the_inside(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("a secret path /var/lib/x")

    monkeypatch.setattr("service.store.runs.get", fail)
    answer = api("GET", "/runs/run_x")
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    assert "secret path" not in answer.text


def test_answers_are_what_the_openapi_document_says(api: Api) -> None:
    run_id = submit(api, output_repo="acme/model")["id"]
    api.world.pass_all()
    api.world.publish("acme/model", model__safetensors=b"x")
    api.world.until_end(run_id)
    endpoint = api("POST", "/webhooks", as_="lead", json={"url": "https://example.com/"}).json()
    statement = {"content": "job_id,cost_usd\n", "headers": {"content-type": "text/csv"}}
    imported = api("POST", "/billing/import", as_="admin", **statement).json()
    spent = api("GET", "/usage").json()
    usage_schemas.UsageObject.model_validate(spent)
    answers: list[tuple[type[BaseModel], Any]] = [
        (schemas.RunObject, api("GET", f"/runs/{run_id}").json()),
        (watch_schemas.LogObject, api("GET", f"/runs/{run_id}/logs").json()),
        (webhook_schemas.NewEndpointObject, endpoint),
        (money_schemas.BudgetObject, api("GET", "/teams/research/budget").json()),
        (team_schemas.LimitsObject, api("GET", "/teams/research/limits").json()),
        (team_schemas.OrganisationObject, api("GET", "/organisation").json()),
        (team_schemas.TeamObject, api("GET", "/teams/research").json()),
        (usage_schemas.ImportObject, imported),
        (usage_schemas.UsageSum, spent["total"]),
        (usage_schemas.WasteObject, spent["waste"]),
        (series.SeriesObject, api("GET", f"/runs/{run_id}/metrics").json()),
        *((schemas.EventObject, event) for event in api("GET", f"/runs/{run_id}/events").json()["data"]),
        *((schemas.LedgerEntryObject, entry) for entry in api("GET", f"/runs/{run_id}/ledger").json()["data"]),
        *((schemas.FlavorObject, flavor) for flavor in api("GET", "/flavors").json()["data"]),
        *((key_schemas.KeyObject, key) for key in api("GET", "/teams/research/keys", as_="lead").json()["data"]),
    ]
    for schema, value in answers:
        assert set(value) == set(schema.model_fields), schema
        schema.model_validate(value)


def test_the_openapi_document_is_complete(api: Api) -> None:
    document = api("GET", "/openapi.json", as_="nobody").json()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (method, path)
            if path not in OPEN:
                assert {"401", "500"} <= set(operation["responses"]), (method, path)
    assert "Problem" in document["components"]["schemas"]
    properties = document["components"]["schemas"]["RunRequest"]["properties"]
    assert {"recipe", "flavor", "timeout", "max_cost_usd", "output_repo"} <= set(properties)


@pytest.mark.parametrize(
    ("path", "body", "code", "field"),
    [
        (
            "/organisation",
            {"max_concurrent_runs_by_flavor": {"cpu-basic": 1, "a10g-larg": 3}},
            "unknown_flavor",
            "max_concurrent_runs_by_flavor",
        ),
        (
            "/organisation",
            {"max_concurrent_runs_by_namespace": {"acmee": 3}},
            "invalid",
            "max_concurrent_runs_by_namespace",
        ),
        ("/teams/research/approval-rules", {"flavors": ["a10g-larg"]}, "unknown_flavor", "flavors"),
    ],
)
def test_a_limit_or_rule_for_what_there_is_not_would_protect_nothing(
    api: Api, path: str, body: dict[str, Any], code: str, field: str
) -> None:
    before = api("GET", path, as_="admin").json()
    answer = api("PATCH" if path == "/organisation" else "PUT", path, as_="admin", json=body)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, code, field), answer.text
    assert code == "invalid" or "a10g-large" in answer.json()["remedy"]
    assert api("GET", path, as_="admin").json() == before


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({"start_before": "2026-12-01T00:00:00"}, "start_before", "2026-12-01T00:00:00Z"),
        ({"start_before": "tomorrow"}, "start_before", "2026-12-01T00:00:00Z"),
        ({"start_before": 1796083200}, "start_before", "2026-12-01T00:00:00Z"),
        ({"max_cost_usd": "1"}, "max_cost_usd", "a number of dollars, such as 2.5"),
        ({"max_cost_usd": True}, "max_cost_usd", "a number of dollars, such as 2.5"),
    ],
)
def test_a_wrong_value_is_told_how_to_write_it(api: Api, body: dict[str, Any], field: str, says: str) -> None:
    problem = api("POST", "/runs", json={**BODY, **body}).json()
    assert (problem["status"], problem["field"]) == (422, field), problem
    assert says in f"{problem['detail']} {problem['remedy']}", problem
