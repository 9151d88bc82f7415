"""A copy of the database under another installation's id touches no job until an admin claims the folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from service.assembly import assemble, open_gate
from service.cli import app
from service.domain.request import RunRequest
from service.flow import admit, prices, submit, sweep, watch
from service.flow.enqueue import Submitter, enqueue
from service.flow.gate import Gate
from service.sandbox.serve import Options, SandboxServer
from service.settings import Settings
from service.store.home import ForeignDatabase
from tests.factories import make_team


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(Options(execute=False)) as server:
        yield server


def settings(folder: Path, sandbox: SandboxServer) -> Settings:
    values: dict[str, Any] = {
        "database_url": f"sqlite:///{folder / 'tunegate.db'}",
        "hf_endpoint": sandbox.url,
        "hf_token": "hf_sandbox",
        "job_hf_token": "hf_sandbox_job",
        "hf_namespace": "acme",
    }
    return Settings(**values)


def close(gate: Gate) -> None:
    gate.db.close()
    gate.hub.close()


def with_a_live_job(gate: Gate) -> str:
    gate.db.write(lambda session: make_team(session, gate.clock(), budget_micro_usd=100_000))
    body = {"recipe": {"kind": "script", "source": "print(1)"}, "flavor": "cpu-basic", "timeout": "10m"}
    request = RunRequest.model_validate({**body, "env": {"SANDBOX_RUN_SECONDS": "300"}})
    work = partial(
        enqueue,
        request=request,
        submitter=Submitter("research", "key_test"),
        namespace="acme",
        vault=gate.vault,
        now=gate.clock(),
        limits=gate.limits,
    )
    prices.run_once(gate)
    run, _ = gate.db.write(work)
    for step in (sweep, admit, submit, watch):
        step.run_once(gate)
    run_id: str = run["id"]
    return run_id


def test_a_copy_touches_no_job_until_it_is_claimed(tmp_path: Path, sandbox: SandboxServer) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    gate = open_gate(settings(first, sandbox))
    installation = gate.installation
    with_a_live_job(gate)
    close(gate)
    [job] = sandbox.core.jobs.newest_first()
    close(open_gate(settings(second, sandbox)))  # another installation, with a database of its own
    shutil.copy(first / "tunegate.db", second / "tunegate.db")
    shutil.copy(first / "secret.key", second / "secret.key")

    with pytest.raises(ForeignDatabase, match="tunegate claim"):
        assemble(settings(second, sandbox))
    assert job.stage == "RUNNING"
    assert len(list(sandbox.core.jobs.newest_first())) == 1

    env = {"TUNEGATE_DATABASE_URL": settings(second, sandbox).database_url}
    told = CliRunner().invoke(app, ["claim"], env=env)
    assert told.exit_code == 1
    assert installation in told.output
    assert "Nothing was changed" in told.output
    with pytest.raises(ForeignDatabase):
        open_gate(settings(second, sandbox))
    done = CliRunner().invoke(app, ["claim", "--yes"], env=env)
    assert done.exit_code == 0, done.output
    assert "Nothing to do" in CliRunner().invoke(app, ["claim", "--yes"], env=env).output

    claimed = open_gate(settings(second, sandbox))
    assert claimed.installation == installation
    assert sweep.run_once(claimed) == 1, "the namespace was looked at, and every job has its run"
    close(claimed)
    assert job.stage == "RUNNING"
