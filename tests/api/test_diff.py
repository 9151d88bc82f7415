"""Two runs side by side."""

from __future__ import annotations

from service.flow import preflight
from tests.api.conftest import Api
from tests.api.test_runs import submit


def test_only_what_differs_is_told_by_its_path(api: Api) -> None:
    a = submit(api, env={"SEED": "1"}, labels={"x": "1"})["id"]
    b = submit(api, env={"SEED": "2"}, labels={"x": "2"}, timeout="20m")["id"]
    preflight.run_once(api.world.gate)
    told = api("GET", f"/runs/{a}/diff/{b}").json()
    assert told["inputs"] == [
        {"field": "env.SEED", "a": "1", "b": "2"},
        {"field": "timeout_seconds", "a": 600, "b": 1200},
    ]
    assert [one["field"] for one in told["outcomes"]] == ["cost.ceiling_usd"]
    assert told["same_fingerprint"] is False


def test_the_same_inputs_have_no_difference(api: Api) -> None:
    a, b = submit(api)["id"], submit(api, labels={"why": "again"})["id"]
    assert api("GET", f"/runs/{a}/diff/{b}").json()["same_fingerprint"] is None
    preflight.run_once(api.world.gate)
    told = api("GET", f"/runs/{a}/diff/{b}").json()
    assert (told["inputs"], told["outcomes"], told["same_fingerprint"]) == ([], [], True)
    assert api("GET", f"/runs/{a}/diff/{b}", as_="outsider").status_code == 404
