"""`/ui/admin`: what awaits somebody, health in words, the audit log, strays, and which role sees which page."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from service.flow import sweep
from service.web.admin.overview import health
from service.web.record_words import changed
from tests.api.conftest import Api
from tests.api.test_strays import run_outside
from tests.web.page import Visitor
from tests.web.test_queue import submit

ADMIN = "/ui/admin"
WELL = {
    "database": "ok",
    "prices_age_seconds": 600,
    "hub": "ok",
    "queued_runs": 0,
    "oldest_queued_seconds": None,
    "leads": True,
    "step_ages_seconds": {"admit": 1.0, "sweep": 900.0},
}
# Each page with the least role that sees it.
PAGES = {
    "": "viewer",
    "/teams/research": "viewer",
    "/organisation": "viewer",
    "/teams/research/secrets": "member",
    "/teams/research/keys": "lead",
    "/endpoints": "lead",
    "/audit": "lead",
    "/strays": "admin",
}
RANKS = ("viewer", "member", "lead", "admin")


@pytest.mark.parametrize("role", RANKS)
def test_each_page_is_for_the_roles_that_the_api_lets_read_it(api: Api, role: str) -> None:
    visitor = Visitor(api, role)
    overview = visitor.html(ADMIN)
    for path, least in PAGES.items():
        may = RANKS.index(role) >= RANKS.index(least)
        html = visitor.html(ADMIN + path, 200 if may else 403)
        if path.count("/") == 1:
            assert (f'href="{ADMIN}{path}"' in overview) == may, "who may not see a page has no way to it"
        if RANKS.index(role) < RANKS.index("lead"):
            assert "/ui/do/" not in html, (path, "who may change nothing has no button")


def test_another_teams_pages_do_not_exist(api: Api) -> None:
    outsider = Visitor(api, "outsider")
    for path in ("/teams/research", "/teams/research/keys", "/teams/research/secrets"):
        assert "There is nothing here" in outsider.text(ADMIN + path, 404)
    assert outsider.browser("GET", "/ui/admin/teams").headers["location"] == "/ui/admin/teams/other"


def awaiting(api: Api, *repos: str) -> list[str]:
    api("PUT", "/teams/research/approval-rules", as_="lead", json={"cost_over_usd": 0})
    found = [submit(api, output_repo=f"acme/{repo}") for repo in repos]
    api.world.pass_all()
    return found


def test_the_inbox_says_why_and_what_it_can_cost_and_decides_with_a_comment(api: Api) -> None:
    first, second = awaiting(api, "first-model", "second-model")
    lead = Visitor(api)
    told = lead.text(ADMIN)
    run = api("GET", f"/runs/{first}").json()
    assert "2 runs await your approval" in told
    assert f"{run['approval']['why']}."[1:] in told
    assert told.index("first-model") < told.index("second-model"), "who has waited longest comes first"
    lead.press(ADMIN, "approve", run_id=first, comment="go on")
    lead.press(ADMIN, "refuse", run_id=second, comment="too dear")
    assert api("GET", f"/runs/{first}").json()["approval"]["comment"] == "go on"
    assert api("GET", f"/runs/{second}").json()["approval"]["state"] == "refused"
    assert "Nothing awaits your approval" in lead.text(ADMIN)


def test_a_member_has_no_inbox(api: Api) -> None:
    awaiting(api, "first-model")
    told = Visitor(api, "member").text(ADMIN)
    assert told.count("first-model") == 0
    assert "The service is well" in told


@pytest.mark.parametrize(
    ("checks", "told"),
    [
        ({"hub": "stale", "prices_age_seconds": 90_000}, "count as not known"),
        ({"hub": "unknown", "prices_age_seconds": None}, "were never read"),
        ({"hub": "the token was refused"}, "the token was refused."),
        ({"step_ages_seconds": {"admit": 400.0, "watch": 301.0}}, "'admit' last ran 6 min ago; late as well: watch."),
        ({"step_ages_seconds": {"sweep": 7300.0}}, "'sweep' last ran 2 h 1 min ago."),
    ],
)
def test_what_is_not_well_says_what_to_do(checks: dict[str, Any], told: str) -> None:
    [unwell] = [one for one in health({**WELL, **checks}) if one["remedy"]]
    assert told in unwell["told"]


def test_what_is_well_asks_for_nothing() -> None:
    assert not [one for one in health(WELL) if one["remedy"]]
    assert not [one for one in health({**WELL, "leads": False, "step_ages_seconds": {}}) if one["remedy"]]
    queue = health({**WELL, "queued_runs": 3, "oldest_queued_seconds": 7200})[-1]
    assert queue["told"] == "3 runs wait, the longest for 2 h."


def test_endpoints_in_trouble_are_named_on_the_overview(api: Api) -> None:
    made = api("POST", "/webhooks", as_="lead", json={"url": "https://acme.com/x", "description": "the board"}).json()
    api("PATCH", f"/webhooks/{made['id']}", as_="lead", json={"enabled": False})
    assert "the board is disabled: disabled by lead." in Visitor(api).text(ADMIN)


def test_the_audit_log_is_narrowed_paged_and_exported(api: Api) -> None:
    api("PUT", "/teams/research/limits", as_="lead", json={"max_concurrent_runs": 3})
    lead = Visitor(api)
    path = f"{ADMIN}/audit?actor=lead&object=%2Fteams%2Fresearch&from=2026-11-01T00:00"
    html = lead.html(path)
    told = lead.text(path)
    assert "PUT /teams/{team}/limits /teams/research/limits Limits changed. max concurrent runs: none → 3" in told
    assert "No entry is like that." in lead.text(f"{ADMIN}/audit?actor=nobody")
    [export] = re.findall(r'href="(/audit\?[^"]*format=csv)"', html)
    rows = lead.browser("GET", unescape(export)).text.splitlines()
    assert (len(rows), "PUT /teams/{team}/limits" in rows[1]) == (2, True)
    assert "other" not in lead.text(f"{ADMIN}/audit").split(), "of the own team alone"
    assert lead.html(f"{ADMIN}/audit?from=x", 422)


def test_a_longer_log_goes_on(api: Api) -> None:
    for count in range(60):
        api("PUT", "/teams/research/limits", as_="lead", json={"max_concurrent_runs": count})
    admin = Visitor(api, "admin")
    html = admin.html(f"{ADMIN}/audit?team=research")
    [following] = re.findall(r'href="([^"]*)">Older entries', html)
    assert "none → 0" in admin.text(unescape(following))
    assert "Older entries" not in admin.html(unescape(following))


def test_changes_are_told_in_words() -> None:
    ended = {"event": "budget.changed", "subject": "research/month", "before": {"limit_usd": 5.0}, "after": None}
    assert changed(ended) == ["ended"]
    made = {"before": None, "after": {"limit_usd": 5.0, "hard": True, "thresholds": [50, 80]}}
    assert changed(made) == ["limit: $5.00", "hard: yes", "thresholds: 50, 80"]
    assert changed({"before": {"limit_usd": 5.0}, "after": {"limit_usd": 6.5}}) == ["limit: $5.00 → $6.50"]
    assert changed({"user": "ci", "role": "member", "scopes": None}) == ["user: ci", "role: member", "scopes: none"]


def test_strays_are_told_with_their_dollars(api: Api) -> None:
    run_outside(api)
    api.world.clock.turn(milliseconds=1500)
    sweep.run_once(api.world.gate)
    told = Visitor(api, "admin").text(f"{ADMIN}/strays")
    assert "1 job that no run accounts for" in told
    assert "outside: reported" in told
    assert "No stray job" in Visitor(api, "admin").text(f"{ADMIN}/strays?kind=late_job")
