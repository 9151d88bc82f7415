"""Endpoints and their deliveries: made, tested, changed, sent again, removed; secrets are shown once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.conftest import Api
from tests.receiver import Receiver
from tests.web.page import Visitor, words
from tests.web.test_admin_teams import shown

ENDPOINTS = "/ui/admin/endpoints"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def made(api: Api, **fields: Any) -> str:
    body = {"url": "https://acme.com/hooks", "description": "the board", **fields}
    answer = api("POST", "/webhooks", as_="lead", json=body)
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["id"]
    return found


def endpoint(api: Api, endpoint_id: str) -> Any:
    return api("GET", f"/webhooks/{endpoint_id}", as_="lead").json()


def test_an_endpoint_is_made_and_its_secret_shown_once(api: Api) -> None:
    lead = Visitor(api)
    assert "Nobody is told yet" in lead.text(ENDPOINTS)
    sent = {"csrf_token": lead.browser.token(), "back": ENDPOINTS, "kind": "standard", "url": "https://acme.com/hooks"}
    answer = lead.browser("POST", "/ui/do/create-endpoint", data={**sent, "events": ["run.failed", "budget.*"]})
    secret = shown(answer.text)
    assert secret.startswith("whsec_")
    [one] = api("GET", "/webhooks", as_="lead").json()["data"]
    assert (one["events"], one["team"]) == (["run.failed", "budget.*"], "research")
    assert secret not in lead.html(ENDPOINTS)
    assert secret not in lead.html(f"{ENDPOINTS}/{one['id']}")
    assert "1 endpoint is told" in lead.text(ENDPOINTS)
    part = {"hx-request": "true"}
    refused = lead.browser("POST", "/ui/do/create-endpoint", data={**sent, "url": "http://10.0.0.1/"}, headers=part)
    assert refused.status_code == 422
    assert "Use a public https address" in words(refused.text)


def test_a_channel_has_no_secret_and_none_to_rotate(api: Api) -> None:
    lead = Visitor(api)
    url = "https://hooks.slack.com/services/T0/B0/secret"
    answer = lead.press(ENDPOINTS, "create-endpoint", kind="slack", url=url, description="#ml-ops")
    assert "#ml-ops is registered. What is sent there is not signed" in words(answer.text)
    [one] = api("GET", "/webhooks", as_="lead").json()["data"]
    html = lead.html(f"{ENDPOINTS}/{one['id']}")
    assert "B0/secret" not in html
    assert "rotate-secret" not in html


def test_a_test_is_sent_seen_and_sent_again(api: Api, receiver: Receiver) -> None:
    lead = Visitor(api)
    page = f"{ENDPOINTS}/{made(api, url=receiver.url)}"
    lead.press(page, "test-endpoint")
    assert len(receiver.letters) == 1
    told = lead.text(page)
    assert "The test was sent, and is delivered: its line says what came back." in told
    assert "webhook.test" in told
    assert "204, in" in told
    lead.press(page, "redeliver")
    [delivery] = api("GET", f"/webhooks/{page.rpartition('/')[2]}/deliveries", as_="lead").json()["data"]
    assert delivery["state"] == "pending"
    assert "It is sent again, as it was." in lead.text(page)
    whole = lead.text(f"{page}/deliveries/{delivery['id']}")
    assert f"POST {receiver.url}" in whole
    assert '"type":"webhook.test"' in whole.replace(" ", "")
    assert "signature" in whole
    assert "No delivery is failed." in lead.text(f"{page}?state=failed")


def test_what_happened_while_it_was_disabled_is_sent_again(api: Api, receiver: Receiver) -> None:
    lead, endpoint_id = Visitor(api), made(api, url=receiver.url)
    page = f"{ENDPOINTS}/{endpoint_id}"
    lead.press(page, "switch-endpoint", enabled="no")
    assert "It is disabled since" in lead.text(page)
    lead.press(page, "redeliver-since", since="2026-11-24T00:00", include_delivered="no")
    assert "the endpoint is disabled" in lead.text(page)
    lead.press(page, "switch-endpoint", enabled="yes")
    assert endpoint(api, endpoint_id)["disabled_at"] is None
    lead.press(page, "redeliver-since", since="2026-11-24T00:00", include_delivered="yes")
    assert "Sent again: 0." in lead.text(page)


def test_it_is_changed_given_another_secret_and_removed(api: Api) -> None:
    lead, endpoint_id = Visitor(api), made(api)
    page = f"{ENDPOINTS}/{endpoint_id}"
    sent = {"csrf_token": lead.browser.token(), "back": page, "endpoint_id": endpoint_id}
    changes = {"url": "", "description": "", "events": ["run.succeeded"]}
    lead.browser("POST", "/ui/do/change-endpoint", data={**sent, **changes})
    found = endpoint(api, endpoint_id)
    assert (found["url"], found["description"], found["events"]) == ("https://acme.com/hooks", None, ["run.succeeded"])
    assert shown(lead.press(page, "rotate-secret", overlap_hours="1").text).startswith("whsec_")
    assert endpoint(api, endpoint_id)["rotated_until"] is not None
    assert lead.press(page, "remove-endpoint").headers["location"] == ENDPOINTS
    assert "Nobody is told yet" in lead.text(ENDPOINTS)


def test_admins_see_every_teams_and_others_their_own(api: Api) -> None:
    made(api)
    assert "the board" in Visitor(api, "admin").text(ENDPOINTS)
    assert "the board" not in Visitor(api, "outsider").text(ENDPOINTS)


def test_descriptions_and_answers_are_text_and_never_markup(api: Api, receiver: Receiver) -> None:
    lead = Visitor(api)
    receiver.answer = lambda _letter: (500, {"x": "y"})
    page = f"{ENDPOINTS}/{made(api, url=receiver.url, description='<script>alert(1)</script>')}"
    lead.press(page, "test-endpoint")
    for path in (ENDPOINTS, page, "/ui/admin"):
        assert "<script>alert" not in lead.html(path)
    assert "failed" in lead.text(page)
