"""A copy of the database touches no job until an admin claims the folder, and starts under its own secret key only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from service.assembly import assemble, open_gate
from service.cli import app
from service.domain.request import RunRequest
from service.flow import admit, preflight, prices, submit, sweep, watch
from service.flow.enqueue import Submitter, enqueue
from service.flow.gate import Gate
from service.sandbox.serve import Options, SandboxServer
from service.settings import Settings
from service.store.home import ForeignDatabase, WrongKey
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
    for step in (sweep, preflight, admit, submit, watch):
        step.run_once(gate)
    run_id: str = run["id"]
    return run_id


@pytest.mark.parametrize("has_own_installation", [True, False])
def test_a_copy_touches_no_job_until_it_is_claimed(
    tmp_path: Path, sandbox: SandboxServer, has_own_installation: bool
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    gate = open_gate(settings(first, sandbox))
    installation = gate.installation
    with_a_live_job(gate)
    close(gate)
    [job] = sandbox.core.jobs.newest_first()
    if has_own_installation:
        close(open_gate(settings(second, sandbox)))  # another installation, with a database of its own
    second.mkdir(exist_ok=True)
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


def moved(tmp_path: Path, sandbox: SandboxServer, key: str | None) -> Settings:
    """A folder that its database and the installation's id were copied to; `secret.key` as given."""
    first, second = tmp_path / "first", tmp_path / "second"
    gate = open_gate(settings(first, sandbox))
    with_a_live_job(gate)
    close(gate)
    second.mkdir()
    for name in ("tunegate.db", "installation"):
        shutil.copy(first / name, second / name)
    if key is not None:
        (second / "secret.key").write_text(key)
    return settings(second, sandbox)


@pytest.mark.parametrize(("key", "says"), [(None, "there is no .*secret.key"), ("another", "holds another key")])
def test_a_database_starts_under_its_own_key_only(
    tmp_path: Path, sandbox: SandboxServer, key: str | None, says: str
) -> None:
    there = moved(tmp_path, sandbox, key)
    with pytest.raises(WrongKey, match=says):
        assemble(there)
    assert (tmp_path / "second" / "secret.key").exists() == (key is not None), "none was made"
    with pytest.raises(WrongKey, match="TUNEGATE_SECRET_KEY"):
        open_gate(there.model_copy(update={"secret_key": SecretStr("another")}))
    env = {"TUNEGATE_DATABASE_URL": there.database_url}
    told = CliRunner().invoke(app, ["claim"], env=env)
    assert (told.exit_code, "secret.key" in told.output) == (78, True), told.output
    shutil.copy(tmp_path / "first" / "secret.key", tmp_path / "second" / "secret.key")
    close(open_gate(there))


def test_claiming_a_folder_without_the_key_says_what_is_missing(tmp_path: Path, sandbox: SandboxServer) -> None:
    there = moved(tmp_path, sandbox, None)
    (tmp_path / "second" / "installation").unlink()
    done = CliRunner().invoke(app, ["claim", "--yes"], env={"TUNEGATE_DATABASE_URL": there.database_url})
    assert done.exit_code == 0, done.output
    assert "does not start yet: there is no" in done.output
    with pytest.raises(WrongKey):
        open_gate(there)


def test_a_lost_key_is_replaced_only_when_an_admin_says_so(tmp_path: Path, sandbox: SandboxServer) -> None:
    there = moved(tmp_path, sandbox, None)
    env = {"TUNEGATE_DATABASE_URL": there.database_url}
    told = CliRunner().invoke(app, ["claim", "--new-key"], env=env)
    assert (told.exit_code, "Nothing was changed" in told.output) == (1, True)
    with pytest.raises(WrongKey):
        open_gate(there)
    done = CliRunner().invoke(app, ["claim", "--new-key", "--yes"], env=env)
    assert done.exit_code == 0, done.output
    close(open_gate(there))
    again = CliRunner().invoke(app, ["claim", "--new-key", "--yes"], env=env)
    assert "Nothing to do" in again.output, "a key that fits is not replaced"


@pytest.mark.parametrize("command", [["serve", "--port", "1"], ["step", "admit"]])
def test_the_command_ends_with_the_reason(tmp_path: Path, sandbox: SandboxServer, command: list[str]) -> None:
    there = moved(tmp_path, sandbox, "another")
    env = {
        "TUNEGATE_DATABASE_URL": there.database_url,
        "TUNEGATE_HF_TOKEN": "hf_sandbox",
        "TUNEGATE_JOB_HF_TOKEN": "hf_sandbox_job",
        "TUNEGATE_HF_ENDPOINT": sandbox.url,
    }
    # a process of its own: these commands set the logging of theirs up
    ended = subprocess.run(
        [sys.executable, "-m", "service", *command],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, "holds another key" in ended.stderr) == (78, True), ended.stderr
