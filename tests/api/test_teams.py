"""Teams, keys, limits, budgets, endpoints."""

from __future__ import annotations

import pytest

from tests.api.conftest import Api


def test_a_key_is_shown_once_and_stops_working_when_revoked(api: Api) -> None:
    made = api("POST", "/teams/research/keys", as_="lead", json={"name": "ci", "role": "member"})
    assert made.status_code == 201
    key = made.json()
    assert key["key"].startswith("tg_")
    listed = api("GET", "/teams/research/keys", as_="lead")
    assert key["key"] not in listed.text
    assert key["id"] in listed.text
    api.keys["ci"] = key["key"]
    assert api("GET", "/runs", as_="ci").status_code == 200
    assert api("DELETE", f"/teams/research/keys/{key['id']}", as_="outsider").status_code == 404
    assert api("DELETE", f"/teams/other/keys/{key['id']}", as_="outsider").status_code == 404
    assert api("DELETE", f"/teams/research/keys/{key['id']}", as_="lead").status_code == 204
    assert api("GET", "/runs", as_="ci").status_code == 401


def test_a_budget_shows_its_window(api: Api) -> None:
    budget = api("PUT", "/teams/research/budget", as_="admin", json={"period": "month", "limit_usd": 5.0, "hard": True})
    assert budget.json() == {
        "name": "research/month",
        "scope": "team",
        "team": "research",
        "user": None,
        "origin": None,
        "period": "month",
        "hard": True,
        "carry_over": False,
        "thresholds": [50, 80, 100],
        "carried_usd": 0.0,
        "granted_usd": 0.0,
        "forecast": {"per_day_usd": 0.0, "by_window_end_usd": 0.0, "ends_at": None},
        "limit_usd": 5.0,
        "reserved_usd": 0.0,
        "charged_usd": 0.0,
        "outside_usd": 0.0,
        "outside_unpriced_jobs": 0,
        "remaining_usd": 5.0,
        "window_start": "2026-11-01T00:00:00.000Z",
        "window_end": "2026-12-01T00:00:00.000Z",
    }
    assert api("GET", "/teams/research/budget", as_="viewer").json() == budget.json()
    assert api("GET", "/teams/other/budget", as_="outsider").status_code == 404


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"limit_usd": -1}, "invalid"),
        ({"limit_usd": "5"}, "invalid"),
        ({"limit_usd": 0.0000001}, "invalid"),
        ({"limit_usd": 1, "period": "year"}, "invalid"),
        ({"limit_usd": 1, "hard": "yes"}, "invalid"),
        ({"limit_usd": 1, "thresholds": [0]}, "invalid"),
        ({"limit_usd": 1, "thresholds": [50, 50]}, "invalid"),
        ({"limit_usd": 1, "period": "total", "carry_over": True}, "invalid"),
        ({"limit": 1}, "unknown_field"),
        ({"limit_usd": 1, "time_zone": "Europe/Berlin"}, "unknown_field"),
    ],
)
def test_a_wrong_budget_is_refused(api: Api, body: dict[str, object], code: str) -> None:
    answer = api("PUT", "/teams/research/budget", as_="admin", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_limits(api: Api) -> None:
    assert api("PUT", "/teams/research/limits", as_="lead", json={"max_concurrent_runs": 2}).status_code == 200
    assert api("GET", "/teams/research/limits", as_="viewer").json() == {
        "max_concurrent_runs": 2,
        "max_concurrent_runs_per_user": None,
    }
    assert api("PUT", "/teams/research/limits", as_="lead", json={"max_concurrent_runs": -1}).status_code == 422
    assert api("PUT", "/teams/research/limits", as_="outsider", json={"max_concurrent_runs": 2}).status_code == 404


def test_a_change_of_the_organisation_leaves_the_rest_as_it_is(api: Api) -> None:
    first = {"max_concurrent_runs": 3, "time_zone": "Europe/Berlin", "max_concurrent_runs_by_flavor": {"cpu-basic": 1}}
    assert api("PATCH", "/organisation", as_="admin", json=first).status_code == 200
    changed = api("PATCH", "/organisation", as_="admin", json={"counts_outside": True}).json()
    unset = {"max_concurrent_runs_by_namespace": {}, "paused": False, "paused_by": None}
    assert changed == {**first, **unset, "counts_outside": True}
    no_limits = {"max_concurrent_runs": None, "max_concurrent_runs_by_flavor": {}}
    assert api("PATCH", "/organisation", as_="admin", json=no_limits).json() == {**changed, **no_limits}


@pytest.mark.parametrize("user", ["nobody", "", "a/b", "x" * 5000, "key_\x7f"])
def test_nobody_has_no_budget(api: Api, user: str) -> None:
    answer = api("PUT", "/teams/research/budget", as_="lead", params={"user": user}, json={"limit_usd": 1})
    assert (answer.status_code, answer.json()["code"]) in ((404, "not_found"), (422, "invalid"))
    assert api("GET", "/budgets", as_="admin").json()["data"][-1]["user"] is None


def test_a_user_has_a_budget_of_their_own_whatever_their_key(api: Api) -> None:
    path, body = "/teams/research/budget", {"limit_usd": 1}
    assert api("PUT", path, as_="lead", params={"user": "member"}, json=body).json()["user"] == "member"
    assert api("PUT", path, as_="lead", params={"user": "outsider"}, json=body).status_code == 404


def test_teams(api: Api) -> None:
    assert api("POST", "/teams", as_="admin", json={"name": "research"}).status_code == 409
    assert api("POST", "/teams", as_="admin", json={"name": "No Spaces"}).status_code == 422
    assert [team["name"] for team in api("GET", "/teams", as_="admin").json()["data"]] == ["other", "research"]
    assert [team["name"] for team in api("GET", "/teams", as_="viewer").json()["data"]] == ["research"]
    assert api("GET", "/teams/other", as_="viewer").status_code == 404


def test_no_team_is_called_as_all_of_them_are(api: Api) -> None:
    """Budgets go by their owner's name: such a team would change the organisation's."""
    refused = api("POST", "/teams", as_="admin", json={"name": "organisation"})
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (422, "invalid", "name")
    assert api("PUT", "/teams/organisation/budget", as_="admin", json={"limit_usd": 1}).status_code == 404


def test_an_endpoints_secret_is_shown_once(api: Api) -> None:
    made = api("POST", "/webhooks", as_="lead", json={"url": "https://example.com/hook", "events": ["run.*"]})
    assert made.status_code == 201
    endpoint = made.json()
    assert endpoint["secret"].startswith("whsec_")
    assert endpoint["team"] == "research"
    path = f"/webhooks/{endpoint['id']}"
    assert made.headers["location"] == path
    assert "secret" not in api("GET", path, as_="lead").json()
    assert api("GET", path, as_="outsider").status_code == 404
    assert [one["id"] for one in api("GET", "/webhooks", as_="lead").json()["data"]] == [endpoint["id"]]
    assert api("GET", "/webhooks", as_="outsider").json()["data"] == []
    assert api("GET", f"{path}/deliveries", as_="lead").json() == {"data": [], "has_more": False, "next": None}
    assert api("DELETE", path, as_="outsider").status_code == 404
    assert api("DELETE", path, as_="lead").status_code == 204
    assert api("GET", path, as_="lead").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"url": "http://example.com/"},
        {"url": "https://192.168.1.1/"},
        {"url": "https://example.com", "events": []},
        {"url": "https://example.com", "events": ["everything"]},
        {"url": "https://example.com", "event": ["run.*"]},
    ],
)
def test_a_wrong_endpoint_is_refused(api: Api, body: dict[str, object]) -> None:
    answer = api("POST", "/webhooks", as_="lead", json=body)
    assert answer.status_code == 422
    assert answer.json()["code"] in ("invalid", "unknown_field")


def test_flavors_have_prices_and_ages(api: Api) -> None:
    flavors = {flavor["name"]: flavor for flavor in api("GET", "/flavors", as_="viewer").json()["data"]}
    assert flavors["a10g-large"]["price_per_minute_usd"] == 0.025
    assert flavors["a10g-large"]["price_per_hour_usd"] == 1.5
    assert flavors["a10g-large"]["hardware"]["accelerator"]["vram"] == "24 GB"
    assert flavors["a10g-large"]["price_is_fresh"] is True


def test_health_needs_no_key(api: Api) -> None:
    api.world.hub.hardware()  # a call, whose answer says what the window has left
    assert api("GET", "/healthz", as_="nobody").json() == {"status": "ok"}
    ready = api("GET", "/readyz", as_="nobody").json()
    assert ready["ready"] is True
    assert ready["checks"]["database"] == "ok"
    assert ready["checks"]["hub"] == "ok"
    calls = ready["checks"]["hub_calls"]
    assert 0 < calls["left"] < calls["limit"]
    assert calls["lists_every_seconds"] == 0


def test_a_grant_that_was_mistyped_is_taken_back_by_a_negative_one(api: Api) -> None:
    path = "/teams/research/budget/grants"
    assert api("POST", path, as_="admin", json={"amount_usd": 20}).json()["granted_usd"] == 20
    assert api("POST", path, as_="admin", json={"amount_usd": -18}).json()["granted_usd"] == 2
    for amount in (0, -2.5):
        answer = api("POST", path, as_="admin", json={"amount_usd": amount})
        assert (answer.status_code, answer.json()["field"]) == (422, "amount_usd"), answer.text
    assert api("GET", "/teams/research/budget").json()["granted_usd"] == 2


def test_a_team_and_the_organisation_show_that_they_are_paused_and_by_whom(api: Api) -> None:
    api("PUT", "/teams/research/limits", as_="lead", json={"max_concurrent_runs_per_user": 2})
    for path, pause in (("/teams/research", "/teams/research"), ("/organisation", "/queue")):
        before = api("GET", path).json()
        assert (before["paused"], before["paused_by"]) == (False, None)
        api("POST", f"{pause}/pause", as_="admin")
        after = api("GET", path).json()
        assert (after["paused"], after["paused_by"]) == (True, "admin")
    assert api("GET", "/teams/research").json()["max_concurrent_runs_per_user"] == 2


def test_who_may_set_a_budget_is_said_to_whoever_may_not(api: Api) -> None:
    sent = {"period": "month", "limit_usd": 1.0, "hard": True}
    for role in ("viewer", "member", "lead"):
        answer = api("PUT", "/teams/research/budget", as_=role, json=sent)
        assert (answer.status_code, "admin" in answer.json()["detail"]) == (403, True), answer.json()
