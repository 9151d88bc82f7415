"""What is stored of checkpoints, over HTTP."""

from __future__ import annotations

from service.flow import tidy
from tests.api.conftest import Api
from tests.flow.test_checkpoints import keep, training
from tests.flow.test_rescue import unpublished


def test_what_is_stored_is_listed_and_deleted_on_demand(api: Api) -> None:
    run_id = unpublished(api.world, step=20)
    (one,) = api("GET", "/checkpoints").json()["data"]
    assert (one["run_id"], one["newest"], one["has_model"]) == (run_id, {"step": 20, "size_bytes": 30}, True)
    assert one["kept_until"] > one["read_at"]
    assert api("GET", "/checkpoints", as_="outsider").json()["data"] == []
    answer = api("DELETE", f"/runs/{run_id}/checkpoints", as_="lead")
    assert answer.status_code == 202, answer.text
    assert tidy.run_once(api.world.gate) == 1
    assert api("GET", "/checkpoints").json()["data"] == []
    assert api("DELETE", f"/runs/{run_id}/checkpoints", as_="lead").status_code == 409


def test_a_rescue_is_asked_for_and_reads_what_would_be_deleted(api: Api) -> None:
    run_id = unpublished(api.world)
    refused = api("POST", f"/runs/{run_id}/rescue", as_="lead", json={"output_repo": "nowhere"})
    assert (refused.status_code, refused.json()["field"]) == (422, "output_repo")
    answer = api("POST", f"/runs/{run_id}/rescue", as_="lead")
    assert answer.status_code == 201, answer.text
    assert (answer.json()["kind"], answer.json()["parent"]) == ("rescue", run_id)
    assert api("POST", f"/runs/{run_id}/rescue", as_="lead").status_code == 409
    api("DELETE", f"/runs/{run_id}/checkpoints", as_="lead")
    assert tidy.run_once(api.world.gate) == 0, "the rescue reads it yet"


def test_a_run_that_goes_on_keeps_them(api: Api) -> None:
    run_id = training(api.world)
    keep(api.world, run_id, 10)
    answer = api("DELETE", f"/runs/{run_id}/checkpoints", as_="lead")
    assert (answer.status_code, answer.json()["remedy"]) == (409, "Cancel it first.")
    assert api("POST", f"/runs/{run_id}/rescue", as_="lead").status_code == 409
    assert api("POST", f"/runs/{run_id}/pause", as_="lead").status_code == 409
