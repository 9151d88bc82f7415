"""Pausing, approving, changing and stopping over the API."""

from __future__ import annotations

from typing import Any

import pytest

from service.store import events
from tests.api.conftest import Api
from tests.api.test_runs import submit


def test_a_run_is_paused_and_resumed_by_its_owner_or_a_lead(api: Api) -> None:
    run_id = submit(api)["id"]
    assert api("POST", f"/runs/{run_id}/pause").json()["reason"] == "paused"
    api.world.pass_all()
    assert api("GET", f"/runs/{run_id}").json()["state"] == "queued"
    assert api("POST", f"/runs/{run_id}/resume", as_="lead").json()["reason"] == "checking"
    api.add_key("colleague", "research", "member")
    assert api("POST", f"/runs/{run_id}/pause", as_="colleague").status_code == 403
    api.world.pass_all()
    assert api("POST", f"/runs/{run_id}/pause").json()["code"] == "conflict"


def test_a_lead_approves_or_refuses_with_a_comment(api: Api) -> None:
    put = api("PUT", "/teams/research/approval-rules", as_="lead", json={"cost_over_usd": 0.0001})
    assert put.json() == {
        "cost_over_usd": 0.0001,
        "flavors": [],
        "first_run_of_user": False,
        "expires_after_seconds": 604800,
    }
    good, bad = submit(api)["id"], submit(api)["id"]
    assert api("POST", f"/runs/{good}/approve", as_="member").status_code == 403
    approved = api("POST", f"/runs/{good}/approve", as_="lead", json={"comment": "for the demo"}).json()
    assert approved["approval"]["state"] == "granted"
    assert approved["approval"]["comment"] == "for the demo"
    assert api("POST", f"/runs/{good}/approve", as_="lead").json()["code"] == "conflict"
    told = api("POST", f"/runs/{bad}/refuse", as_="lead", json={"comment": "too dear"}).json()
    assert (told["state"], told["reason"], told["approval"]["state"]) == ("queued", "approval_refused", "refused")
    assert told["message"].startswith("being stopped: refused by lead")
    assert told["message"].endswith(": too dear")
    assert told["approval"]["comment"] == "too dear"
    api.world.pass_all()
    assert api("GET", f"/runs/{good}").json()["state"] != "queued"
    refused = api("GET", f"/runs/{bad}").json()
    assert (refused["state"], refused["reason"]) == ("cancelled", "approval_refused")
    assert refused["message"].endswith(": too dear")
    assert refused["approval"]["state"] == "refused"


def test_a_queued_run_is_changed_and_checked_as_a_new_one(api: Api) -> None:
    run_id = submit(api)["id"]
    changed = api(
        "PATCH",
        f"/runs/{run_id}",
        json={"flavor": "cpu-upgrade", "priority": 90, "timeout": "20m", "labels": {"a": "b"}},
    ).json()
    assert (changed["flavor"], changed["priority"], changed["timeout_seconds"]) == ("cpu-upgrade", 90, 1200)
    assert changed["labels"] == {"a": "b"}
    assert changed["cost"]["ceiling_usd"] == pytest.approx(21 * 0.0005)
    for body, code in (
        ({"flavor": "a10g-larg"}, "unknown_flavor"),
        ({"timeout": "90h"}, "exceeds_budget"),
        ({"priority": 101}, "invalid"),
        ({"labels": {"tunegate-run": "x"}}, "invalid"),
        ({"recipe": {}}, "unknown_field"),
    ):
        assert api("PATCH", f"/runs/{run_id}", json=body).json()["code"] == code, body
    assert api("GET", f"/runs/{run_id}").json()["flavor"] == "cpu-upgrade"
    api.world.pass_all()
    assert api("PATCH", f"/runs/{run_id}", json={"priority": 1}).status_code == 409


def test_a_run_that_becomes_dearer_needs_approval_again(api: Api) -> None:
    api("PUT", "/teams/research/approval-rules", as_="lead", json={"cost_over_usd": 0.0001})
    run_id = submit(api)["id"]
    api("POST", f"/runs/{run_id}/approve", as_="lead")
    assert api("PATCH", f"/runs/{run_id}", json={"priority": 60}).json()["approval"]["state"] == "granted"
    assert api("PATCH", f"/runs/{run_id}", json={"timeout": "11m"}).json()["approval"]["state"] == "needed"


def test_the_kill_switch_stops_all_of_one_team(api: Api) -> None:
    runs = [submit(api)["id"] for _ in range(2)]
    api.world.pass_all()
    runs.append(submit(api)["id"])
    answer = api("POST", "/teams/research/cancel-runs", as_="lead", json={"pause": True})
    assert (answer.status_code, answer.json()) == (202, {"runs": 3, "paused": True})
    api.world.until_end(*runs)
    for run_id in runs:
        shown: dict[str, Any] = api("GET", f"/runs/{run_id}").json()
        assert (shown["state"], shown["reason"]) == ("cancelled", "team_stopped")
    late = submit(api)["id"]
    api.world.pass_all()
    assert api("GET", f"/runs/{late}").json()["reason"] == "paused"
    assert api("POST", "/teams/research/resume", as_="lead").json() == {"paused": False, "paused_by": None}
    api.world.until_end(late)


def audited(api: Api, subject: str) -> list[tuple[str, str, Any, Any]]:
    """What was told of a subject: by whom, before and after. Its sequence has no gap."""
    with api.world.db.read() as session:
        found = events.of(session, subject, 0, 100)
    assert [event.sequence for event in found] == list(range(1, len(found) + 1))
    return [
        (event.type, event.data["by"], event.data["before"], event.data["after"])
        for event in found
        if "by" in event.data
    ]


def test_what_a_person_decides_of_a_run_is_told_with_who_and_in_its_sequence(api: Api) -> None:
    api("PUT", "/teams/research/approval-rules", as_="lead", json={"cost_over_usd": 0.0001})
    good, bad = submit(api)["id"], submit(api)["id"]
    member, lead = "member", "lead"
    free, paused = ({"paused": stop, "paused_by": by} for stop, by in ((False, None), (True, member)))
    for verb in ("pause", "resume", "resume"):
        assert api("POST", f"/runs/{good}/{verb}").status_code == 200
    api("POST", f"/runs/{good}/approve", as_="lead", json={"comment": "for the demo"})
    api("POST", f"/runs/{bad}/refuse", as_="lead")
    api.world.until_end(good, bad)
    assert audited(api, good) == [
        ("run.paused", member, free, paused),
        ("run.resumed", member, paused, free),
        ("run.approved", lead, {"approval": "needed"}, {"approval": "granted", "comment": "for the demo"}),
    ]
    assert audited(api, bad) == [
        ("run.refused", lead, {"approval": "needed"}, {"approval": "refused", "comment": None})
    ]
    assert api.world.told(bad) == ["run.queued", "run.awaiting_approval", "run.refused", "run.cancelled"]


def test_pauses_and_limits_and_rules_are_told_with_who_before_and_after(api: Api) -> None:
    lead = "lead"
    none = {"max_concurrent_runs": None, "max_concurrent_runs_per_user": None}
    free, paused = ({"paused": stop, "paused_by": by} for stop, by in ((False, None), (True, lead)))
    for verb in ("pause", "resume", "resume"):
        api("POST", f"/teams/research/{verb}", as_="lead")
    for _ in range(2):
        api("PUT", "/teams/research/limits", as_="lead", json={"max_concurrent_runs": 2})
    api("PATCH", "/teams/research", as_="admin", json={"weight": 2})
    api("POST", "/teams/research/cancel-runs", as_="lead", json={"pause": True})
    assert audited(api, "team/research") == [
        ("team.paused", lead, free, paused),
        ("team.resumed", lead, paused, free),
        ("limits.changed", lead, none, {**none, "max_concurrent_runs": 2}),
        ("team.changed", "admin", {"weight": 1.0, "time_zone": "UTC"}, {"weight": 2.0, "time_zone": "UTC"}),
        ("team.paused", lead, free, paused),
    ]
    api("PUT", "/teams/other/approval-rules", as_="admin", json={"flavors": ["h200"]})
    [(event_type, by, before, after)] = audited(api, "team/other")
    assert (event_type, by, before["flavors"], after["flavors"]) == ("approval_rules.changed", "admin", [], ["h200"])


def test_changes_of_the_organisation_are_told(api: Api) -> None:
    for verb in ("pause", "resume"):
        api("POST", f"/queue/{verb}", as_="admin")
    api("PATCH", "/organisation", as_="admin", json={"counts_outside": True, "max_concurrent_runs": 3})
    told = audited(api, "organisation")
    assert [(event_type, by) for event_type, by, _, _ in told] == [
        ("queue.paused", "admin"),
        ("queue.resumed", "admin"),
        ("organisation.changed", "admin"),
    ]
    before, after = told[-1][2:]
    assert {name: (before[name], after[name]) for name in before if before[name] != after[name]} == {
        "counts_outside": (False, True),
        "max_concurrent_runs": (None, 3),
    }


def test_the_whole_queue_is_drained_by_an_admin(api: Api) -> None:
    assert api("POST", "/queue/pause", as_="lead").status_code == 403
    assert api("POST", "/queue/pause", as_="admin").json() == {"paused": True, "paused_by": "admin"}
    run_id = submit(api)["id"]
    api.world.pass_all()
    assert api("GET", f"/runs/{run_id}").json()["reason"] == "paused"
    api("POST", "/queue/resume", as_="admin")
    api.world.until_end(run_id)
