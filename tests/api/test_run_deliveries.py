"""What was sent of one run: to its own endpoints for everybody of the team, to the others for who may see those."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import Api
from tests.api.test_runs import submit
from tests.api.test_webhooks import hook, make, send_all
from tests.receiver import Receiver


def sent(api: Api, run_id: str, as_: str, query: str = "") -> list[dict[str, Any]]:
    answer = api("GET", f"/runs/{run_id}/deliveries{query}", as_=as_)
    assert answer.status_code == 200, answer.text
    data: list[dict[str, Any]] = answer.json()["data"]
    return data


def test_each_sees_what_went_to_endpoints_that_are_for_them_to_see(api: Api) -> None:
    with Receiver() as receiver:
        team = make(api, f"{receiver.url}?token=hidden")
        admins = make(api, receiver.url, as_="admin", events=["run.queued"])
        run = submit(api, webhooks=[hook(receiver, events=["run.queued"])])
        other = submit(api)
        send_all(api)
    own = sent(api, run["id"], "viewer")
    assert [(one["endpoint_id"], one["is_own"], one["event_type"]) for one in own] == [
        (run["webhooks"][0]["id"], True, "run.queued")
    ]
    assert (own[0]["state"], own[0]["tries"], own[0]["status"], own[0]["sequence"]) == ("delivered", 1, 204, 1)
    assert {one["endpoint_id"] for one in sent(api, run["id"], "lead")} == {own[0]["endpoint_id"], team["id"]}
    assert {one["endpoint_id"] for one in sent(api, run["id"], "admin")} == {
        own[0]["endpoint_id"],
        team["id"],
        admins["id"],
    }
    assert sent(api, other["id"], "viewer") == []
    assert "hidden" not in api("GET", f"/runs/{run['id']}/deliveries", as_="admin").text
    first = api("GET", f"/runs/{run['id']}/deliveries?limit=1", as_="lead").json()
    assert first["has_more"] is True
    rest = sent(api, run["id"], "lead", f"?after={first['next']}")
    assert {one["id"] for one in [*first["data"], *rest]} == {one["id"] for one in sent(api, run["id"], "lead")}
    assert api("GET", f"/runs/{run['id']}/deliveries", as_="outsider").status_code == 404
