"""Endpoints over HTTP: made, changed, tested, sent anew; and what of them nobody is shown."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook

from service.domain.mail_server import mail_server
from service.flow import notify
from tests.api.conftest import Api
from tests.api.test_runs import submit
from tests.receiver import Receiver

MINE = "whsec_" + base64.b64encode(bytes(range(32))).decode()
SLACK = "https://hooks.slack.com/services/T0AAAAAA/B0AAAAAA/s3cr3tp4th"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def make(api: Api, url: str, status: int = 201, as_: str = "lead", **fields: Any) -> dict[str, Any]:
    answer = api("POST", "/webhooks", as_=as_, json={"url": url, **fields})
    assert answer.status_code == status, answer.text
    made: dict[str, Any] = answer.json()
    return made


def send_all(api: Api) -> None:
    while notify.run_once(api.world.gate):
        pass


def log_of(api: Api, endpoint_id: str, query: str = "") -> list[dict[str, Any]]:
    answer = api("GET", f"/webhooks/{endpoint_id}/deliveries{query}", as_="lead")
    assert answer.status_code == 200, answer.text
    data: list[dict[str, Any]] = answer.json()["data"]
    return data


def set_mail(api: Api) -> None:
    api.world.limit(mail=mail_server("smtp://127.0.0.1:1", "tunegate@acme.com"))
    api.app.state.tunegate = replace(api.app.state.tunegate, gate=api.world.gate)


def test_a_secret_is_shown_once_and_one_of_ones_own_is_taken(api: Api) -> None:
    made = make(api, "https://acme.com/hook", description="the CI")
    assert made["secret"].startswith("whsec_")
    assert (made["kind"], made["events"], made["description"]) == ("standard", ["run.*"], "the CI")
    assert "secret" not in api("GET", f"/webhooks/{made['id']}", as_="lead").json()
    assert make(api, "https://acme.com/hook", secret=MINE)["secret"] == MINE
    refused = make(api, "https://acme.com/hook", 422, secret="whsec_dG9vIHNob3J0")
    assert refused["field"] == "secret"
    assert "dG9vIHNob3J0" not in str(refused)


def test_a_channels_address_is_kept_to_itself_and_people_get_what_people_want(api: Api) -> None:
    made = make(api, SLACK, kind="slack")
    assert made["secret"] is None
    assert made["url"] == "https://hooks.slack.com/…"
    assert "run.failed" in made["events"]
    assert "run.queued" not in made["events"]
    assert "s3cr3tp4th" not in api("GET", "/webhooks", as_="lead").text
    assert make(api, SLACK, 422)["remedy"] == 'Send "kind": "slack" with it.'
    assert make(api, SLACK, 422, kind="slack", secret=MINE)["field"] == "secret"
    assert make(api, SLACK, 422, kind="slak")["field"] == "kind"


def test_an_e_mail_needs_a_mail_server(api: Api) -> None:
    refused = make(api, "mailto:alice@acme.com", 422, kind="email")
    assert (refused["field"], "TUNEGATE_SMTP_URL" in refused["remedy"]) == ("url", True)
    set_mail(api)
    assert make(api, "mailto:alice@acme.com", kind="email")["url"] == "mailto:alice@acme.com"


def test_an_endpoint_is_changed(api: Api, receiver: Receiver) -> None:
    endpoint_id = make(api, "https://acme.com/hook")["id"]
    path = f"/webhooks/{endpoint_id}"
    changed = api(
        "PATCH", path, as_="lead", json={"url": receiver.url, "events": ["run.queued"], "description": "mine"}
    ).json()
    assert (changed["url"], changed["events"], changed["description"]) == (receiver.url, ["run.queued"], "mine")
    submit(api)
    send_all(api)
    assert len(receiver.letters) == 1
    off = api("PATCH", path, as_="lead", json={"enabled": False, "description": None}).json()
    assert off["disabled_at"]
    assert off["disabled_because"] == "disabled by lead"
    assert off["description"] is None
    submit(api)
    send_all(api)
    assert len(receiver.letters) == 1
    assert api("POST", f"{path}/redeliver", as_="lead", json={"since": "2026-01-01T00:00:00Z"}).status_code == 409
    on = api("PATCH", path, as_="lead", json={"enabled": True}).json()
    assert (on["disabled_at"], on["disabled_because"]) == (None, None)
    again = api("POST", f"{path}/redeliver", as_="lead", json={"since": "2026-01-01T00:00:00Z"})
    assert (again.status_code, again.json()) == (202, {"deliveries": 1, "has_more": False})
    send_all(api)
    assert len(receiver.letters) == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, None),
        ({"url": None}, "url"),
        ({"enabled": None}, "enabled"),
        ({"events": []}, "events"),
        ({"events": ["run.ended"]}, "events.0"),
        ({"url": "https://10.0.0.1/"}, "url"),
        ({"url": SLACK}, "url"),
        ({"kind": "slack"}, "kind"),
        ({"description": "x" * 201}, "description"),
    ],
)
def test_what_an_endpoint_cannot_become(api: Api, body: dict[str, Any], field: str | None) -> None:
    endpoint_id = make(api, "https://acme.com/hook")["id"]
    refused = api("PATCH", f"/webhooks/{endpoint_id}", as_="lead", json=body)
    assert refused.status_code == 422
    assert refused.json().get("field") == field, refused.text
    assert refused.json()["remedy"]


def test_a_rotated_secret_signs_beside_the_one_before(api: Api, receiver: Receiver) -> None:
    api.world.clock.now = datetime.now(UTC)
    made = make(api, receiver.url, secret=MINE)
    path = f"/webhooks/{made['id']}"
    rotated = api("POST", f"{path}/rotate-secret", as_="lead", json={"overlap_hours": 2}).json()
    assert rotated["secret"] not in (None, MINE)
    assert rotated["rotated_until"]
    api("POST", f"{path}/test", as_="lead")
    for secret in (MINE, rotated["secret"]):
        assert Webhook(secret).verify(receiver.letters[-1].body, receiver.letters[-1].headers)
    api.world.clock.turn(hours=3)
    api("POST", f"{path}/test", as_="lead")
    assert receiver.letters[-1].headers["webhook-signature"].count("v1,") == 1
    at_once = api("POST", f"{path}/rotate-secret", as_="lead", json={"overlap_hours": 0}).json()
    assert at_once["rotated_until"] is None
    assert api("POST", f"{path}/rotate-secret", as_="lead").status_code == 200  # without a body
    slack = make(api, SLACK, kind="slack")["id"]
    assert api("POST", f"/webhooks/{slack}/rotate-secret", as_="lead").status_code == 409


def test_a_test_says_what_came_back_and_reaches_nobody_else(api: Api, receiver: Receiver) -> None:
    with Receiver() as other:
        make(api, other.url, events=["*"])
        endpoint_id = make(api, receiver.url, events=["budget.*"])["id"]
        good = api("POST", f"/webhooks/{endpoint_id}/test", as_="lead").json()
        assert (good["state"], good["status"], good["event_type"]) == ("delivered", 204, "webhook.test")
        assert receiver.letters[0].json["data"]["endpoint_id"] == endpoint_id
        receiver.answer = lambda _letter: (500, {})
        api("PATCH", f"/webhooks/{endpoint_id}", as_="lead", json={"enabled": False})
        bad = api("POST", f"/webhooks/{endpoint_id}/test", as_="lead").json()
        assert (bad["state"], bad["status"], bad["tries"], bad["next_try_at"]) == ("failed", 500, 1, None)
        api.world.clock.turn(hours=1)
        send_all(api)
        assert "webhook.test" not in {letter.json["type"] for letter in other.letters}
    assert len(receiver.letters) == 2
    endpoint = api("GET", f"/webhooks/{endpoint_id}", as_="lead").json()
    assert endpoint["failing_since"] is None
    assert [one["sequence"] for one in log_of(api, endpoint_id)] == [2, 1]


def test_the_log_shows_request_and_answer_but_no_signature(api: Api, receiver: Receiver) -> None:
    made = make(api, receiver.url, secret=MINE)
    run_id = submit(api)["id"]
    [waiting] = log_of(api, made["id"]) or [None]
    assert waiting is None  # the outbox has not been looked at yet
    send_all(api)
    [one] = log_of(api, made["id"])
    assert (one["state"], one["status"], one["tries"], one["subject"]) == ("delivered", 204, 1, run_id)
    assert one["latency_ms"] is not None
    assert one["request"]["headers"]["webhook-id"] == one["event_id"]
    assert one["request"]["headers"]["webhook-timestamp"] == receiver.letters[0].headers["webhook-timestamp"]
    assert one["request"]["headers"]["webhook-signature"] == "v1,[not shown]"
    whole = api("GET", f"/webhooks/{made['id']}/deliveries/{one['id']}", as_="lead").json()
    assert whole["request"]["body"].encode() == receiver.letters[0].body
    assert whole["request"]["body"].startswith(one["request"]["body"].rstrip("…"))
    assert MINE not in api("GET", f"/webhooks/{made['id']}/deliveries", as_="lead").text
    assert log_of(api, made["id"], "?state=failed") == []
    assert len(log_of(api, made["id"], "?state=delivered")) == 1
    wrong = api("GET", f"/webhooks/{made['id']}/deliveries?state=lost", as_="lead")
    assert (wrong.status_code, wrong.json()["field"]) == (422, "state")
    assert api("GET", f"/webhooks/{made['id']}/deliveries/dlv_x", as_="lead").status_code == 404


def test_one_is_sent_again_with_its_id(api: Api, receiver: Receiver) -> None:
    receiver.answer = lambda _letter: (500, {})
    endpoint_id = make(api, receiver.url)["id"]
    submit(api)
    send_all(api)
    [one] = log_of(api, endpoint_id)
    assert (one["state"], one["status"]) == ("pending", 500)
    receiver.answer = lambda _letter: (204, {})
    path = f"/webhooks/{endpoint_id}/deliveries/{one['id']}/redeliver"
    again = api("POST", path, as_="lead")
    assert (again.status_code, again.json()["state"], again.json()["tries"]) == (202, "pending", 0)
    send_all(api)
    api("POST", path, as_="lead")  # also what arrived
    send_all(api)
    assert len({letter.headers["webhook-id"] for letter in receiver.letters}) == 1
    assert len(receiver.letters) == 3
    other = make(api, receiver.url)["id"]
    assert api("POST", f"/webhooks/{other}/deliveries/{one['id']}/redeliver", as_="lead").status_code == 404


def hook(receiver: Receiver, **fields: Any) -> dict[str, Any]:
    return {"url": f"{receiver.url}?token=hidden", "events": ["run.*"], "secret": MINE, **fields}


def test_a_run_brings_its_own_endpoints_whose_secrets_nobody_sees(api: Api, receiver: Receiver) -> None:
    api.world.clock.now = datetime.now(UTC)
    run = submit(api, webhooks=[hook(receiver), {"url": SLACK, "kind": "slack"}])
    assert [(one["url"], one["kind"]) for one in run["webhooks"]] == [
        (receiver.url, "standard"),
        ("https://hooks.slack.com/…", "slack"),
    ]
    assert all(event.startswith("run.") for event in run["webhooks"][1]["events"])
    other = submit(api)
    send_all(api)
    assert {letter.json["data"]["id"] for letter in receiver.letters} == {run["id"]}
    assert Webhook(MINE).verify(receiver.letters[0].body, receiver.letters[0].headers)
    assert receiver.letters[0].headers["webhook-signature"]
    assert other["webhooks"] == []
    for path in (f"/runs/{run['id']}", f"/runs/{run['id']}/events", "/events", "/runs", "/webhooks"):
        text = api("GET", path, as_="lead").text
        assert MINE not in text
        assert "hidden" not in text
        assert "s3cr3tp4th" not in text
    listed = api("GET", f"/webhooks?run_id={run['id']}", as_="lead").json()["data"]
    assert {one["run_id"] for one in listed} == {run["id"]}
    assert MINE not in str(listed)


def test_a_replay_with_endpoints_is_the_same_answer(api: Api, receiver: Receiver) -> None:
    body = {"recipe": {"kind": "script", "source": "print(1)\n"}, "flavor": "cpu-basic", "timeout": "10m"}
    headers = {"idempotency-key": "k"}
    first = api("POST", "/runs", json={**body, "webhooks": [hook(receiver)]}, headers=headers)
    second = api("POST", "/runs", json={**body, "webhooks": [hook(receiver)]}, headers=headers)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert MINE not in second.text
    other = api("POST", "/runs", json={**body, "webhooks": []}, headers=headers)
    assert other.status_code == 409


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"secret": None}, "webhooks.0.secret"),
        ({"secret": "whsec_dG9vIHNob3J0"}, "webhooks.0.secret"),
        ({"url": "https://169.254.169.254/"}, "webhooks.0.url"),
        ({"url": "mailto:alice@acme.com", "kind": "email", "secret": None}, "webhooks.0.url"),
        ({"kind": "slack"}, "webhooks.0.secret"),
        ({"events": ["run.ended"]}, "webhooks.0.events.0"),
        ({"events": ["run.*", "budget.*"]}, "webhooks.0.events"),
        ({"evnts": []}, "webhooks.0.evnts"),
    ],
)
def test_a_runs_endpoint_that_cannot_be_is_refused_with_the_run(
    api: Api, receiver: Receiver, change: dict[str, Any], field: str
) -> None:
    sent = {name: value for name, value in hook(receiver, **change).items() if value is not None}
    body = {"recipe": {"kind": "script", "source": "print(1)\n"}, "flavor": "cpu-basic", "timeout": "10m"}
    for path in ("/runs", "/estimates"):
        refused = api("POST", path, json={**body, "webhooks": [sent]})
        told = refused.json()
        if path == "/runs":
            assert (refused.status_code, told["field"]) == (422, field), refused.text
        assert "dG9vIHNob3J0" not in refused.text
    many = api("POST", "/runs", json={**body, "webhooks": [hook(receiver)] * 6})
    assert (many.status_code, many.json()["field"]) == (422, "webhooks")


def test_a_secret_that_stands_elsewhere_too_is_refused(api: Api, receiver: Receiver) -> None:
    body = {"recipe": {"kind": "script", "source": f"x = '{MINE}'\n"}, "flavor": "cpu-basic", "timeout": "10m"}
    refused = api("POST", "/runs", json={**body, "webhooks": [hook(receiver)]})
    assert (refused.status_code, refused.json()["code"]) == (422, "secret_in_text")


def test_a_run_that_is_tried_anew_keeps_its_endpoints(api: Api, receiver: Receiver) -> None:
    api.world.clock.now = datetime.now(UTC)
    run_id = submit(api, webhooks=[hook(receiver), hook(receiver, events=["run.failed"])])["id"]
    disabled = api("GET", f"/runs/{run_id}").json()["webhooks"][1]["id"]
    api("PATCH", f"/webhooks/{disabled}", as_="lead", json={"enabled": False})
    api("POST", f"/runs/{run_id}/cancel")
    api.world.pass_all()
    again = api("POST", f"/runs/{run_id}/retry").json()
    assert [one["url"] for one in again["webhooks"]] == [receiver.url]
    assert MINE not in str(again)
    send_all(api)
    mine = [letter for letter in receiver.letters if letter.json["data"]["id"] == again["id"]]
    assert Webhook(MINE).verify(mine[0].body, mine[0].headers)
    none = api("POST", f"/runs/{run_id}/retry", json={"overrides": {"webhooks": []}}).json()
    assert none["webhooks"] == []


def test_an_endpoint_for_a_run_that_is_there_already(api: Api, receiver: Receiver) -> None:
    run_id = submit(api)["id"]
    made = make(api, receiver.url, run_id=run_id, as_="admin")
    assert (made["team"], made["run_id"]) == ("research", run_id)
    api("POST", f"/runs/{run_id}/cancel")
    api.world.pass_all()
    send_all(api)
    assert receiver.letters[-1].json["type"] == "run.cancelled"
    assert make(api, receiver.url, 422, run_id=run_id, events=["budget.*"])["field"] == "events"
    patched = api("PATCH", f"/webhooks/{made['id']}", as_="lead", json={"events": ["team.*"]})
    assert (patched.status_code, patched.json()["field"]) == (422, "events")
    assert make(api, receiver.url, 409, run_id=run_id)["code"] == "conflict"
    assert make(api, receiver.url, 404, run_id="run_x")["code"] == "not_found"
    assert make(api, receiver.url, 404, as_="outsider", run_id=run_id)["code"] == "not_found"


def test_under_another_key_a_new_secret_brings_an_endpoint_back(api: Api, receiver: Receiver) -> None:
    from service.store.vault import Vault

    endpoint_id = make(api, receiver.url)["id"]
    api.world.gate = replace(api.world.gate, vault=Vault("another key"))
    api.app.state.tunegate = replace(api.app.state.tunegate, gate=api.world.gate)
    assert api("PATCH", f"/webhooks/{endpoint_id}", as_="lead", json={"url": receiver.url}).status_code == 409
    assert "another key" in api("POST", f"/webhooks/{endpoint_id}/test", as_="lead").json()["error"]
    assert api("POST", f"/webhooks/{endpoint_id}/rotate-secret", as_="lead").status_code == 200
    assert api("POST", f"/webhooks/{endpoint_id}/test", as_="lead").json()["state"] == "delivered"
