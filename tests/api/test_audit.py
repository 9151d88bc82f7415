"""The audit log: every change with who, what, where; nothing of it changes; and a team that is archived."""

from __future__ import annotations

import csv
import io
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from service.flow import notify
from tests.api.conftest import Api
from tests.api.test_runs import BODY, submit


def entries(api: Api, as_: str = "admin", **params: Any) -> list[dict[str, Any]]:
    answer = api("GET", "/audit", as_=as_, params={"limit": 200, **params})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def test_a_change_says_who_did_what_to_which_object_from_where(api: Api) -> None:
    api("PUT", "/teams/research/budget", as_="admin", json={"limit_usd": 7}, headers={"user-agent": "curl/8"})
    made = api("POST", "/teams/research/keys", as_="lead", json={"name": "ci", "role": "member"}).json()
    run = submit(api)
    api("PATCH", f"/runs/{run['id']}", json={"priority": 60})
    patched, submitted, keyed, granted = entries(api)[:4]
    assert {name: granted[name] for name in ("actor", "role", "via", "key_id", "address", "user_agent")} == {
        "actor": "admin",
        "role": "admin",
        "via": "setting",
        "key_id": None,
        "address": "testclient",
        "user_agent": "curl/8",
    }
    assert (granted["action"], granted["object"]) == ("PUT /teams/{team}/budget", "/teams/research/budget")
    (change,) = granted["changes"]
    assert (change["event"], change["after"]["limit_usd"]) == ("budget.changed", 7.0)
    assert (keyed["object"], keyed["actor"]) == (f"/teams/research/keys/{made['id']}", "lead")
    assert keyed["changes"] == [{"user": "ci", "role": "member", "scopes": None}]
    assert (submitted["action"], submitted["team"]) == ("POST /runs", "research")
    assert submitted["object"] == f"/runs/{run['id']}"
    assert submitted["changes"] == [{"event": "run.queued", "subject": run["id"]}]
    assert (patched["object"], patched["actor"]) == (f"/runs/{run['id']}", "member")
    assert all(made["key"] not in json.dumps(entry) for entry in entries(api))


def test_what_was_refused_changed_nothing_and_is_not_entered(api: Api) -> None:
    before = len(entries(api))
    assert api("PUT", "/teams/research/budget", as_="lead", json={"limit_usd": 7}).status_code == 403
    assert api("POST", "/teams/research/keys", as_="lead", json={"name": "", "role": "member"}).status_code == 422
    assert api("POST", "/runs/run_x/cancel", as_="lead").status_code == 404
    assert len(entries(api)) == before


def test_of_requests_at_once_under_one_idempotency_key_the_one_that_made_the_run_is_entered(api: Api) -> None:
    def send(_number: int) -> int:
        return api("POST", "/runs", json=BODY, headers={"idempotency-key": "one"}).status_code

    with ThreadPoolExecutor(8) as several:
        assert sorted(several.map(send, range(8))) == [200] * 7 + [201]
    assert [entry["action"] for entry in entries(api)].count("POST /runs") == 1


def test_leads_see_their_own_teams_changes_admins_all(api: Api) -> None:
    run_id = submit(api)["id"]
    api("POST", f"/runs/{run_id}/cancel", as_="admin")
    api("POST", "/queue/pause", as_="admin")
    mine = entries(api, "lead")
    assert {entry["team"] for entry in mine} == {"research"}
    assert mine[0]["action"] == "POST /runs/{run_id}/cancel", "an admin's deed at a team's run is the team's to see"
    assert {entry["team"] for entry in entries(api)} == {"research", "other", None}
    assert {entry["team"] for entry in entries(api, "outsider")} == {"other"}
    assert api("GET", "/audit", as_="member").status_code == 403
    assert api("GET", "/audit", as_="lead", params={"team": "other"}).status_code == 404


def test_it_can_be_narrowed_and_paged(api: Api) -> None:
    for _ in range(3):
        api("POST", "/queue/pause", as_="admin")
        api("POST", "/queue/resume", as_="admin")
    assert {entry["object"] for entry in entries(api, object="/queue")} == {"/queue/pause", "/queue/resume"}
    assert entries(api, object="/queu") == [], "an object's address, not its beginning"
    assert entries(api, actor="nobody") == []
    now = api.world.clock.now
    assert not [one for one in entries(api, to=now.isoformat()) if one["object"].startswith("/queue")]
    assert len(entries(api, **{"from": now.isoformat()})) >= 6
    first = api("GET", "/audit", as_="admin", params={"limit": 2}).json()
    second = api("GET", "/audit", as_="admin", params={"limit": 2, "after": first["next"]}).json()
    assert len({entry["id"] for entry in first["data"] + second["data"]}) == 4


def test_it_is_exported_as_lines_and_as_a_table_that_no_spreadsheet_executes(api: Api) -> None:
    api("POST", "/queue/pause", as_="admin", headers={"user-agent": "=HYPERLINK(evil)"})
    lines = api("GET", "/audit", as_="admin", headers={"accept": "application/x-ndjson"})
    assert lines.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in lines.text.splitlines()] == entries(api)
    table = api("GET", "/audit", as_="admin", headers={"accept": "text/csv"})
    assert api("GET", "/audit", as_="admin", headers={"accept": "text/csv"}, params={"limit": 2}).status_code == 422
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [row["id"] for row in rows] == [entry["id"] for entry in entries(api)]
    assert rows[0]["user_agent"] == "'=HYPERLINK(evil)"


@pytest.mark.parametrize("statement", ["UPDATE audit_entry SET actor = 'nobody'", "DELETE FROM audit_entry"])
def test_the_database_refuses_to_change_an_entry(api: Api, statement: str) -> None:
    before = entries(api)
    with pytest.raises(DBAPIError, match="append-only"):
        api.world.db.write(lambda session: session.execute(text(statement)))
    assert entries(api) == before


def test_a_team_is_archived_once_its_last_run_has_ended_and_its_ledger_stays(api: Api) -> None:
    run = submit(api)
    path = "/teams/research/archive"
    assert api("POST", path, as_="lead").status_code == 403
    asked = api("POST", path, as_="admin")
    assert (asked.status_code, asked.json()["archive"]["state"]) == (202, "archiving")
    for where, body in (("/runs", BODY), ("/teams/research/keys", {"name": "late", "role": "member"})):
        refused = api("POST", where, as_="lead", json=body)
        assert (refused.status_code, refused.json()["code"]) == (409, "team_archived"), where
    api.world.until_end(run["id"])
    assert api("GET", f"/runs/{run['id']}", as_="member").status_code == 200
    notify.run_once(api.world.gate)  # its end is told first
    api.world.pass_all()
    assert api("GET", f"/runs/{run['id']}", as_="member").status_code == 401, "its keys are revoked"
    assert api("GET", "/teams/research", as_="admin").json()["archive"]["state"] == "archived"
    assert api("GET", f"/runs/{run['id']}/ledger", as_="admin").json()["data"]
    assert "team.archived" in api.world.told("team/research")


def test_archiving_may_cancel_what_runs_and_can_be_taken_back(api: Api) -> None:
    run = submit(api)
    api("POST", "/teams/research/archive", as_="admin", json={"runs": "cancel"})
    api.world.until_end(run["id"])
    api.world.pass_all()
    assert api("GET", f"/runs/{run['id']}", as_="admin").json()["state"] == "cancelled"
    opened = api("POST", "/teams/research/unarchive", as_="admin")
    assert (opened.status_code, opened.json()["archive"]["state"]) == (200, "open")
    assert api("POST", "/teams/research/keys", as_="admin", json={"name": "x", "role": "lead"}).status_code == 201
    assert api("POST", "/teams/nowhere/archive", as_="admin").status_code == 404


def test_an_export_may_be_asked_for_in_the_address(api: Api) -> None:
    """As a link of a page does it, which cannot say what it accepts."""
    for form, kind in (("csv", "text/csv"), ("ndjson", "application/x-ndjson")):
        answer = api("GET", f"/audit?format={form}", as_="admin", headers={"accept": "text/html, */*"})
        assert answer.headers["content-type"].startswith(kind)
        assert answer.text == api("GET", "/audit", as_="admin", headers={"accept": kind}).text
    assert api("GET", "/audit?format=json&limit=1", as_="admin", headers={"accept": "text/csv"}).json()["has_more"]
    assert api("GET", "/audit?format=xml", as_="admin").status_code == 422
