"""`/ui/runs/{id}`: a run in every state, as the API tells it, in words."""

from __future__ import annotations

from tests.api.conftest import Api
from tests.web.page import Visitor
from tests.web.test_queue import submit


def test_it_waits_runs_and_ends(api: Api) -> None:
    run_id = submit(api, output_repo="acme/tiny", env={"SANDBOX_RUN_SECONDS": "60"})
    lead, path = Visitor(api), f"/ui/runs/{run_id}"
    api("DELETE", "/teams/research/budget?period=month", as_="admin")
    api.world.pass_all()
    told = lead.text(path)
    assert "First in line: " in told
    assert "What it waits for" in told
    api("PUT", "/teams/research/budget", as_="admin", json={"limit_usd": 5})
    api.world.pass_all()
    assert "Running since" in lead.text(path)
