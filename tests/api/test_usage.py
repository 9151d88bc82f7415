"""GET /usage, POST /billing/import, GET /metrics."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.store import deliveries, events
from tests.api.conftest import Api

CSV = {"content-type": "text/csv"}


def spend(api: Api) -> list[str]:
    """One run that is useful, one that fails, each in its own label; one that still holds its money."""
    world = api.world
    good = world.enqueue(seconds=70, labels={"project": "chat"})
    bad = world.enqueue(seconds=130, exit_code=1, log="ValueError: no")
    world.until_end(good, bad)
    going = world.enqueue(seconds=300)
    for _ in range(4):
        world.pass_all()
        world.clock.turn(seconds=5)
    return [good, bad, going]


def usage(api: Api, query: str = "", **kwargs: Any) -> Any:
    answer = api("GET", f"/usage{query}", **kwargs)
    assert answer.status_code == 200, answer.text
    return answer.json()


def import_bills(api: Api, text: str, **kwargs: Any) -> Any:
    return api("POST", "/billing/import", **{"as_": "admin", "headers": CSV, **kwargs}, content=text.encode())


def test_groups_total_and_waste(api: Api) -> None:
    good, bad, _ = spend(api)
    spent = usage(api, "?group_by=outcome,label:project&group_by=day")
    assert (spent["from"], spent["to"]) == ("2026-11-01T00:00:00.000Z", "2026-12-01T00:00:00.000Z")
    zeroes = {"billed_usd": None, "drift_usd": None}
    day = {"day": "2026-11-24"}
    nothing = {"runs": 1, "attempts": 0, "minutes": 0, "metered_usd": 0, "unbilled_attempts": 0}
    one = {"runs": 1, "attempts": 1, "unbilled_attempts": 1, "reserved_usd": 0}
    cause = f"failed:{api.world.run(bad).reason}"
    assert spent["data"] == [
        {"outcome": cause, "label:project": None, **day, **one, **zeroes, "minutes": 3, "metered_usd": 0.000501},
        {"outcome": "open", "label:project": None, **day, **nothing, **zeroes, "reserved_usd": 0.001837},
        {"outcome": "useful", "label:project": "chat", **day, **one, **zeroes, "minutes": 2, "metered_usd": 0.000334},
    ]  # fmt: skip
    assert spent["total"] == {
        **one, **zeroes, "runs": 3, "attempts": 2, "minutes": 5, "metered_usd": 0.000835, "reserved_usd": 0.001837,
        "unbilled_attempts": 2,
    }  # fmt: skip
    assert spent["waste"]["wasted_usd"] == 0.000501
    assert spent["waste"]["wasted_share"] == pytest.approx(501 / 835)
    assert [(one["outcome"], one["runs"]) for one in spent["waste"]["outcomes"]] == [
        (cause, 1),
        ("useful", 1),
    ]
    assert api("GET", f"/runs/{good}/ledger").json()["data"][1]["amount_usd"] == 0.000334


def test_a_period_that_is_over_holds_nothing(api: Api) -> None:
    spend(api)
    now = api.world.clock.now.isoformat().replace("+00:00", "Z")
    assert usage(api, f"?to={now}")["total"]["reserved_usd"] == 0
    assert (
        usage(api, f"?from={now}")["total"] | {"reserved_usd": 0, "runs": 0}
        == usage(api, "?from=2020-01-01T00:00:00Z&to=2020-02-01T00:00:00Z")["total"]
    )


def test_days_begin_in_the_teams_zone_or_the_one_that_is_named(api: Api) -> None:
    spend(api)
    assert api("PATCH", "/teams/research", as_="admin", json={"time_zone": "Pacific/Auckland"}).status_code == 200
    mine = usage(api, "?group_by=day")
    assert (mine["time_zone"], mine["data"][0]["day"]) == ("Pacific/Auckland", "2026-11-25")
    assert usage(api, "?group_by=day&time_zone=UTC")["data"][0]["day"] == "2026-11-24"
    assert usage(api, as_="admin")["time_zone"] == "UTC"
    assert usage(api, "?team=research", as_="admin")["time_zone"] == "Pacific/Auckland"


def test_members_see_their_team_admins_all(api: Api) -> None:
    spend(api)
    assert usage(api, as_="outsider")["total"]["metered_usd"] == 0
    assert [group["team"] for group in usage(api, "?group_by=team", as_="admin")["data"]] == ["research"]
    assert usage(api, "?team=other", as_="admin")["data"] == []
    for caller, team in (("outsider", "research"), ("admin", "nowhere")):
        assert api("GET", f"/usage?team={team}", as_=caller).status_code == 404


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("group_by=colour", "group_by"),
        ("group_by=day,day", "group_by"),
        ("from=2026-11-01T00:00:00", "from"),
        ("from=x", "from"),
        ("from=2026-12-01T00:00:00Z&to=2026-11-01T00:00:00Z", "from"),
        ("from=1970-01-01T00:00:00Z", "from"),
        ("to=0001-01-01T00:00:00%2B14:00", "to"),
        ("time_zone=Mars/Olympus", "time_zone"),
        ("time_zone=../../etc/passwd", "time_zone"),
        ("format=xml", "format"),
    ],
)
def test_what_cannot_be_asked_is_a_problem_with_its_field(api: Api, query: str, field: str) -> None:
    answer = api("GET", f"/usage?{query}")
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text


def test_csv_says_the_same(api: Api) -> None:
    spend(api)
    by_parameter = api("GET", "/usage?group_by=flavor,outcome&format=csv")
    by_header = api("GET", "/usage?group_by=flavor,outcome", headers={"accept": "text/csv"})
    assert by_parameter.headers["content-type"].startswith("text/csv")
    assert by_parameter.text == by_header.text
    rows = list(csv.DictReader(io.StringIO(by_parameter.text)))
    data = usage(api, "?group_by=flavor,outcome")["data"]
    assert [list(row) for row in rows] == [list(group) for group in data]
    assert [row["metered_usd"] for row in rows] == [f"{group['metered_usd']:.6f}" for group in data]
    assert {row["billed_usd"] for row in rows} == {""}


def test_a_statement_is_imported_once_and_its_drift_is_told(api: Api) -> None:
    good, bad, going = spend(api)
    world = api.world
    jobs = [world.attempt(run_id).hub_job_id for run_id in (good, bad, going)]
    wanted = {"url": "https://example.com/", "events": ["billing.drift"]}
    endpoint = api("POST", "/webhooks", as_="lead", json=wanted)
    text = f"jobId,totalCostMicroUsd\n{jobs[0]},334\n{jobs[1]},668\n{jobs[2]},1\nelsewhere,5\n"
    answer = import_bills(api, text)
    assert answer.json() == {"rows": 4, "matched": 2, "changed": 2, "unknown": 1, "unsettled": 1, "drifted": 1}
    assert import_bills(api, text).json()["changed"] == 0
    world.db.write(lambda session: deliveries.fan_out(session, events.stamp(session), world.clock.now))
    [delivery] = api("GET", f"/webhooks/{endpoint.json()['id']}/deliveries", as_="lead").json()["data"]
    assert (delivery["event_type"], delivery["subject"], delivery["sequence"]) == ("billing.drift", jobs[1], 1)
    spent = usage(api, "?group_by=outcome")
    assert (spent["total"]["billed_usd"], spent["total"]["drift_usd"]) == (0.001002, 0.000167)
    assert [group["drift_usd"] for group in spent["data"]] == [0.000167, None, 0]
    assert api("GET", f"/runs/{bad}").json()["cost"]["billed_usd"] == 0.000668
    assert api("GET", f"/runs/{going}").json()["cost"]["billed_usd"] is None


def test_a_wrong_line_imports_nothing(api: Api) -> None:
    good, *_ = spend(api)
    job_id = api.world.attempt(good).hub_job_id
    answer = import_bills(api, f"job_id,cost_usd\n{job_id},0.1\nabc,$4\n")
    problem = answer.json()
    assert (answer.status_code, problem["line"], problem["field"]) == (422, 3, "cost_usd")
    assert usage(api)["total"]["billed_usd"] is None
    for kind, status in (("application/json", 400), ("text/plain", 415)):
        assert import_bills(api, "job_id,cost_usd\n", headers={"content-type": kind}).status_code == status
    assert import_bills(api, "x" * (1024 * 1024 + 1)).status_code == 413
    assert import_bills(api, "job_id,cost_usd\n", as_="lead").status_code == 403


def samples(api: Api) -> dict[tuple[str, ...], float]:
    answer = api("GET", "/metrics", as_="admin")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_metrics_are_the_databases_numbers(api: Api) -> None:
    good, bad, _ = spend(api)
    api("POST", "/teams/research/budget/grants", as_="admin", json={"amount_usd": 0.5})
    before = samples(api)
    assert before["tunegate_budget_remaining_usd", "research", "month"] == pytest.approx(0.6 - 0.001837 - 0.000835)
    assert before["tunegate_budget_limit_usd", "research", "month"] == 0.1
    assert before["tunegate_budget_reserved_usd", "research", "month"] == 0.001837
    assert before["tunegate_budget_charged_usd", "research", "month"] == 0.000835
    assert before["tunegate_active_runs", "research"] == 1
    assert before["tunegate_queued_runs", "other"] == 0
    assert before[("tunegate_unbilled_attempts",)] == 2
    assert ("tunegate_billed_usd",) not in before, "unknown is no 0"
    assert ("tunegate_oldest_queued_seconds",) not in before, "nothing waits"
    assert before["tunegate_live_strays", "late_job"] == 0
    assert before[("tunegate_leads",)] == 1
    jobs = [api.world.attempt(run_id).hub_job_id for run_id in (good, bad)]
    import_bills(api, f"job_id,cost_usd\n{jobs[0]},0.000334\n{jobs[1]},0.000668\n")
    after = samples(api)
    assert after[("tunegate_metered_usd",)] == 0.000835
    assert after[("tunegate_billed_usd",)] == 0.001002
    assert after[("tunegate_billing_drift_usd",)] == 0.000167
    assert after[("tunegate_billing_drifted_attempts",)] == 1
    assert after[("tunegate_unbilled_attempts",)] == 0


def test_metrics_say_how_far_behind_the_service_is(api: Api) -> None:
    world = api.world
    api("POST", "/webhooks", as_="lead", json={"url": "https://example.com/", "events": ["run.*"]})
    api("POST", "/queue/pause", as_="admin")
    world.enqueue()
    world.db.write(lambda session: deliveries.fan_out(session, events.stamp(session), world.clock.now))
    world.clock.turn(seconds=90)
    behind = samples(api)
    assert behind[("tunegate_oldest_queued_seconds",)] == 90
    assert behind["tunegate_queue_age_seconds", "research"] == 90
    assert behind["tunegate_waiting_runs", "paused"] == 1
    assert behind[("tunegate_pending_deliveries",)] == 1
    assert behind[("tunegate_webhook_lag_seconds",)] == 90
    assert behind[("tunegate_prices_age_seconds",)] >= 90
