"""Strays as the API shows them."""

from __future__ import annotations

import httpx2
from sqlmodel import Session

from service.api import money_schemas
from service.flow import sweep
from service.store import outside
from service.store.tables import Stray
from tests.api.conftest import Api


def run_outside(api: Api) -> str:
    client = httpx2.Client(transport=api.world.wire, headers={"authorization": "Bearer hf_sandbox"})
    body = {
        "dockerImage": "python:3.12",
        "command": ["true"],
        "arguments": [],
        "environment": {},
        "flavor": "cpu-basic",
        "timeoutSeconds": 600,
    }
    answer = client.post("http://hub.test/api/jobs/acme", json=body)
    answer.raise_for_status()
    job_id: str = answer.json()["id"]
    return job_id


def test_strays_are_listed_with_their_dollars(api: Api) -> None:
    api("PUT", "/organisation/budget", as_="admin", json={"limit_usd": 1})
    ids = []
    for _ in range(2):
        ids.append(run_outside(api))
        api.world.clock.turn(milliseconds=1500)
        sweep.run_once(api.world.gate)
    page = api("GET", "/strays?limit=1", as_="admin").json()
    assert page["has_more"]
    [stray] = page["data"]
    assert set(stray) == set(money_schemas.StrayObject.model_fields)
    money_schemas.StrayObject.model_validate(stray)
    assert stray["hub_job"] == {"id": ids[1], "url": f"http://hub.test/jobs/acme/{ids[1]}"}
    assert (stray["kind"], stray["action"], stray["cost_usd"], stray["stopped_usd"]) == (
        "outside",
        "reported",
        0.000167,
        0.0,
    )
    rest = api("GET", f"/strays?limit=1&after={page['next']}", as_="admin").json()
    assert [one["hub_job"]["id"] for one in rest["data"]] == [ids[0]]
    assert not rest["has_more"]
    assert api("GET", "/strays?kind=second_job", as_="admin").json()["data"] == []
    assert api("GET", "/strays?team=research", as_="admin").json()["data"] == []
    assert api("GET", "/strays?kind=nonsense", as_="admin").status_code == 422


def test_a_job_outside_the_gate_without_a_price_is_counted_and_costs_no_zero(api: Api) -> None:
    api("PUT", "/organisation/budget", as_="admin", json={"limit_usd": 1})
    world = api.world

    def note(session: Session) -> int:
        for number, cost in enumerate((None, 300)):
            stray = {"id": f"stray_{number}", "hub_job_id": f"job_{number}", "cost_micro_usd": cost, "flavor": "h300"}
            times = dict.fromkeys(("started_at", "first_seen_at", "last_seen_at"), world.clock.now)
            session.add(Stray(namespace="acme", kind="outside", action="reported", minutes=9, **stray, **times))
        session.flush()
        return outside.count(session, world.clock.now)

    assert world.db.write(note) == 1
    shown = api("GET", "/organisation/budget").json()
    assert (shown["outside_usd"], shown["outside_unpriced_jobs"]) == (0.0003, 1)


def test_the_organisation_decides_whether_jobs_outside_the_gate_count(api: Api) -> None:
    api("PUT", "/organisation/budget", as_="admin", json={"limit_usd": 1})
    run_outside(api)
    api.world.clock.turn(seconds=1)
    sweep.run_once(api.world.gate)
    shown = api("GET", "/organisation/budget").json()
    assert (shown["outside_usd"], shown["remaining_usd"]) == (0.000167, 1.0)
    assert not api("GET", "/organisation").json()["counts_outside"]
    assert api("PATCH", "/organisation", as_="admin", json={"counts_outside": True}).json()["counts_outside"]
    shown = api("GET", "/organisation/budget").json()
    assert (shown["outside_usd"], shown["remaining_usd"]) == (0.000167, 0.999833)
