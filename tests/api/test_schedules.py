"""Schedules over HTTP: made, shown with their next times, changed, paused, run by hand, removed."""

from __future__ import annotations

from typing import Any

import pytest
from sqlmodel import select

from service.flow import archive, notify
from service.flow import schedule as step
from service.store.tables import AuditEntry, Event, Run
from tests.api.conftest import Api

RUN = {"recipe": {"kind": "script", "source": "print(1)"}, "flavor": "cpu-basic", "timeout": "10m"}
DAILY = {"name": "nightly", "cron": "30 2 * * *", "time_zone": "Europe/Berlin", "run": RUN}


def make(api: Api, as_: str = "member", **changes: Any) -> dict[str, Any]:
    answer = api("POST", "/schedules", as_=as_, json={**DAILY, **changes})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def runs(api: Api) -> list[Run]:
    with api.world.db.read() as session:
        return list(session.exec(select(Run)))


def test_a_schedule_is_made_with_its_next_times_in_its_zone(api: Api) -> None:
    made = make(api, budget={"limit_usd": 5})
    assert made["team"] == "research"
    assert made["owner"] == "member"
    assert made["run"] == RUN
    assert len(made["next_times"]) == 5
    assert all("T02:30:00.000+0" in one for one in made["next_times"])
    assert made["last"] is None
    assert made["budgets"] == [f"research/{made['id']}/month"]
    assert api("GET", f"/schedules/{made['id']}").json() == made
    assert api("GET", "/schedules", as_="viewer").json()["data"] == [made]
    assert api("GET", f"/schedules/{made['id']}", as_="outsider").status_code == 404
    assert api("GET", "/schedules", as_="outsider").json()["data"] == []
    budget = next(one for one in api("GET", "/budgets").json()["data"] if one["origin"] == made["id"])
    assert (budget["scope"], budget["limit_usd"], budget["user"]) == ("origin", 5, None)


def test_a_trial_leaves_nothing_behind(api: Api) -> None:
    make(api)
    assert runs(api) == []
    with api.world.db.read() as session:
        assert [event.type for event in session.exec(select(Event)) if event.type.startswith("run.")] == []
        [entry] = [one for one in session.exec(select(AuditEntry)) if one.object.startswith("/schedules/")]
    assert entry.changes == []
    assert entry.team == "research"


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"cron": "30 2 * *"}, "cron", "no cron expression"),
        ({"cron": None}, "cron", "one of 'cron' and 'every'"),
        ({"every": "1h"}, "cron", "one of 'cron' and 'every'"),
        ({"time_zone": "Mars/Olympus"}, "time_zone", "no time zone"),
        ({"overlap": "never"}, "overlap", ""),
        ({"run": {**RUN, "flavor": "cpu-bsic"}}, "run.flavor", "cpu-bsic"),
        ({"run": {**RUN, "timeout": None}}, "run.timeout", "without a bound"),
        ({"run": {**RUN, "tmeout": "1h"}}, "run.tmeout", "no field"),
        ({"run": {**RUN, "recipe": {"kind": "trl_sft", "args": {}}}}, "run.recipe.model_name_or_path", ""),
        ({"run": {**RUN, "labels": {"day": "{{dat}}"}}}, "run", "no placeholder"),
        ({"run": {**RUN, "after": ["run_1"]}}, "run.after", "cannot be given in a template"),
        ({"run": {**RUN, "on_behalf_of": "ben"}}, "run.on_behalf_of", "cannot be given in a template"),
        ({"run": {**RUN, "secrets": {"KEY": "s3cr3t-value"}}}, "run.secrets.KEY", "a template is kept"),
        ({"run": {**RUN, "timeout": "30d"}}, "run.timeout", "can never hold more"),
        ({"budget": {"limit_usd": 0.0001}}, "budget.limit_usd", "can never hold more"),
        ({"run": {**RUN, "recipe": {"kind": "trl_sft"}}}, "run.recipe.model_name_or_path", ""),
    ],
)  # fmt: skip
def test_what_cannot_come_true_is_refused_with_its_place(
    api: Api, changes: dict[str, Any], field: str, said: str
) -> None:
    answer = api("POST", "/schedules", json={**DAILY, **changes})
    told = answer.json()
    assert answer.status_code == 422, told
    assert told["field"] == field
    assert said in told["detail"]
    assert told["remedy"]
    assert "s3cr3t-value" not in answer.text
    assert api("GET", "/schedules").json()["data"] == []


def test_names_are_of_one_schedule_and_free_again_once_it_is_gone(api: Api) -> None:
    first = make(api)
    assert api("POST", "/schedules", json=DAILY).status_code == 409
    make(api, name="weekly", cron="0 3 * * 1")
    assert api("PATCH", f"/schedules/{first['id']}", json={"name": "weekly"}).status_code == 409
    assert api("DELETE", f"/schedules/{first['id']}").status_code == 204
    assert api("GET", f"/schedules/{first['id']}").status_code == 404
    make(api)


def test_it_is_changed_and_paused_by_its_owner_and_by_leads(api: Api) -> None:
    api.add_key("another", "research", "member")
    made = make(api)
    path = f"/schedules/{made['id']}"
    assert api("PATCH", path, as_="another", json={"paused": True}).status_code == 403
    assert api("PATCH", path, as_="viewer", json={"paused": True}).status_code == 403
    assert api("PATCH", path, json={"run": {**RUN, "timeout": "30d"}}).status_code == 422
    assert api("GET", path).json()["run"] == RUN
    paused = api("PATCH", path, as_="lead", json={"paused": True}).json()
    assert (paused["next_times"], paused["paused_by"]) == ([], "lead")
    api.world.clock.turn(days=3)
    assert step.run_once(api.world.gate) == 0
    resumed = api("PATCH", path, json={"paused": False, "every": "6h", "overlap": "queue"}).json()
    assert (resumed["cron"], resumed["every_seconds"], resumed["paused_by"]) == (None, 21600, None)
    assert len(resumed["next_times"]) == 5
    assert resumed["overlap"] == "queue"
    assert resumed["run"] == RUN


def test_it_shows_what_came_of_its_last_time(api: Api) -> None:
    made = make(api, every="1h", cron=None)
    path = f"/schedules/{made['id']}"
    api.world.clock.turn(hours=1)
    assert step.run_once(api.world.gate) == 1
    [run] = runs(api)
    last = api("GET", path).json()["last"]
    assert (last["outcome"], last["run_id"], last["message"]) == ("started", run.id, None)
    shown = api("GET", f"/runs/{run.id}").json()
    assert (shown["origin"], shown["requested_by"]) == (made["id"], "member")
    api.world.clock.turn(hours=1)
    step.run_once(api.world.gate)
    last = api("GET", path).json()["last"]
    assert (last["outcome"], last["run_id"]) == ("skipped", None)
    assert run.id in last["message"]


def test_it_is_run_by_hand(api: Api) -> None:
    made = make(api, paused=True, run={**RUN, "labels": {"day": "{{date}}"}})
    run = api("POST", f"/schedules/{made['id']}/run")
    assert run.status_code == 201, run.text
    assert run.json()["origin"] == made["id"]
    assert run.json()["labels"] == {"day": f"{api.world.clock.now:%Y-%m-%d}"}
    assert api("POST", f"/schedules/{made['id']}/run", as_="viewer").status_code == 403


def test_an_owner_who_is_shut_out_makes_no_more_runs(api: Api) -> None:
    made = make(api, every="1h", cron=None)
    assert api("PUT", "/teams/research/users/member", as_="lead", json={"shut_out": True}).status_code == 200
    api.world.clock.turn(hours=1)
    step.run_once(api.world.gate)
    last = api("GET", f"/schedules/{made['id']}", as_="lead").json()["last"]
    assert last["outcome"] == "refused"
    assert "shut out" in last["message"]


def test_an_archived_teams_schedules_end(api: Api) -> None:
    make(api, every="1h", cron=None)
    assert api("POST", "/teams/research/archive", as_="admin").status_code < 300
    notify.run_once(api.world.gate)  # a team is closed once its end was told
    archive.run_once(api.world.gate)
    assert api("GET", "/schedules", as_="admin").json()["data"] == []
