"""What an operator does on the machine of a service: backup while it runs, restore elsewhere, doctor at any time."""

from __future__ import annotations

import json
import os
import socket
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.client import Tunegate
from service.doctor import ground, upstream
from service.settings import Settings
from tests.cli.conftest import Command
from tests.processes import ADMIN_KEY, Service
from tests.served import script

CHECKS = [
    "settings", "database", "migrations", "installation", "secret key", "prices", "disk", "steps", "Hugging Face",
    "clock", "control token", "job token", "namespace", "webhooks", "service",
]  # fmt: skip


@dataclass
class Place:
    """A service, and the commands on its machine."""

    service: Service
    tunegate: Command


@pytest.fixture
def place(served: Service) -> Place:
    return Place(served, at(served.url, served.settings))


def at(url: str, settings: dict[str, str]) -> Command:
    """The command with a service's settings."""
    command = Command(url, ADMIN_KEY)
    command.env |= settings
    return command


@contextmanager
def load(client: Tunegate) -> Iterator[list[str]]:
    """Runs that are submitted all the while: those whose answer was there."""
    answered: list[str] = []
    over = threading.Event()

    def submit() -> None:
        while not over.is_set():
            answered.append(client.runs.submit(**script("print(1)")).id)

    threads = [threading.Thread(target=submit) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield answered
    finally:
        over.set()
        for thread in threads:
            thread.join()


def reach(answered: list[str], number: int) -> list[str]:
    """Those that are there once there are so many."""
    while len(answered) < number:
        threading.Event().wait(0.01)
    return list(answered)


def test_a_backup_under_load_is_served_elsewhere(place: Place, tmp_path: Path) -> None:
    archive = tmp_path / "backup.tar"
    with Tunegate(place.service.url, ADMIN_KEY) as client:
        client.queue.pause()  # what matters here is that rows are written, not that jobs run
        try:
            with load(client) as answered:
                before = reach(answered, 10)
                told = place.tunegate("backup", str(archive))
                reach(answered, len(answered) + 2)
            after = answered[-1:]
            for run_id in answered:
                client.runs.get(run_id).cancel()
        finally:
            client.queue.resume()
    assert "installation, secret.key" in told
    assert "TUNEGATE_ADMIN_KEY" in place.tunegate.err
    assert archive.stat().st_mode & 0o777 == 0o600
    with tarfile.open(archive) as tar:
        assert set(tar.getnames()) == {"manifest.json", "tunegate.db", "installation", "secret.key"}
    place.tunegate("backup", str(archive), code=78)
    assert "is there already" in place.tunegate.err

    elsewhere = tmp_path / "elsewhere"
    restored = Service(elsewhere, place.service.hub_url)
    tunegate = at("http://127.0.0.1:9", restored.settings)
    assert "Next: " in tunegate("restore", str(archive))
    assert {path.name for path in elsewhere.iterdir()} - {"worker.lock"} == {
        "tunegate.db",
        "installation",
        "secret.key",
    }
    assert (elsewhere / "secret.key").stat().st_mode & 0o777 == 0o600
    tunegate("restore", str(archive), code=78)
    assert "nothing is overwritten" in tunegate.err
    with restored, Tunegate(restored.url, ADMIN_KEY) as client:
        there = {run.id for run in client.runs.list()}
        assert set(before) <= there
        assert not set(after) & there
        assert client.runs.get(before[0]).recipe["source"] == "print(1)"
        tunegate("restore", str(archive), code=78)
        assert "stop it first" in tunegate.err


def test_what_is_no_backup_is_not_restored(place: Place, tmp_path: Path) -> None:
    archive = tmp_path / "whole.tar"
    place.tunegate("backup", str(archive))
    restored = Service(tmp_path / "elsewhere", place.service.hub_url)
    tunegate = at("http://127.0.0.1:9", restored.settings)
    text = tmp_path / "text.tar"
    text.write_text("no archive")
    cut = tmp_path / "cut.tar"
    cut.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    damaged = tmp_path / "damaged.tar"
    content = archive.read_bytes()
    damaged.write_bytes(content.replace(b"SQLite format 3", b"SQLite format 4"))
    for file, why in [
        (text, "no backup"),
        (cut, "whole"),
        (damaged, "damaged"),
    ]:
        tunegate("restore", str(file), code=78)
        assert why in tunegate.err, file
    tunegate("restore", str(tmp_path / "none.tar"), code=2)
    assert "No such" in tunegate.err
    assert not list((tmp_path / "elsewhere").glob("*.db"))
    tunegate("backup", str(tmp_path / "x.tar"), code=78)
    assert "no database" in tunegate.err


def test_a_rotation_and_a_backup_wait_for_each_other(place: Place, tmp_path: Path) -> None:
    from service.cli.rotate import LOCK
    from service.leader import FileLeader

    rotation = FileLeader(Path(place.service.settings["TUNEGATE_DATABASE_URL"].removeprefix("sqlite:///")).parent, LOCK)
    rotation.start()
    try:
        place.tunegate("backup", str(tmp_path / "x.tar"), code=78)
        assert "secret key is being changed" in place.tunegate.err
    finally:
        rotation.stop()


def test_doctor_finds_a_running_service_well(place: Place) -> None:
    out = place.tunegate("doctor")
    assert "fault" not in out
    for check in CHECKS:
        assert f"ok      {check}" in out, check
    found = place.tunegate.json("doctor")["findings"]
    assert {"check", "outcome", "message", "remedy"} == set(found[0])
    assert all(one["remedy"] for one in found if one["outcome"] != "ok")
    assert "hf_sandbox" not in json.dumps(found)


def outcomes(tunegate: Command, code: int, **env: str) -> dict[str, str]:
    """The worst of each check."""
    found: dict[str, str] = {}
    for one in tunegate.json("doctor", code=code, **env)["findings"]:
        if found.get(one["check"]) != "fault":
            found[one["check"]] = one["outcome"]
    return found


def test_doctor_names_what_is_at_fault(place: Place, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    hook = place.service("POST", "/webhooks", {"url": f"http://127.0.0.1:{port}/x", "events": ["run.*"]}).json()["id"]
    assert outcomes(place.tunegate, 1)["webhooks"] == "fault"
    place.service("PATCH", f"/webhooks/{hook}", {"enabled": False})
    assert outcomes(place.tunegate, 0)["webhooks"] == "warning"
    place.service("DELETE", f"/webhooks/{hook}")
    for env, check in [
        ({"TUNEGATE_HF_ENDPOINT": f"http://127.0.0.1:{port}"}, "Hugging Face"),
        ({"TUNEGATE_HF_TOKEN": "hf_unknown"}, "tokens"),
        ({"TUNEGATE_JOB_HF_TOKEN": "hf_sandbox_read"}, "tokens"),
        ({"TUNEGATE_JOB_HF_TOKEN": ""}, "tokens"),
        ({"TUNEGATE_HF_NAMESPACE": "nobodys"}, "tokens"),
        ({"TUNEGATE_POLL_SECONDS": "soon"}, "settings"),
        ({"TUNEGATE_SECRET_KEY": "another-key-than-the-one-in-the-file"}, "secret key"),
        ({"TUNEGATE_INSTALLATION": "ins_other"}, "installation"),
        ({"TUNEGATE_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none"}, "database"),
        ({"TUNEGATE_KEY": "tg_wrong"}, "service"),
        ({"TUNEGATE_URL": f"http://127.0.0.1:{port}"}, "service"),
    ]:
        assert outcomes(place.tunegate, 1, **env)[check] == "fault", env
    assert outcomes(place.tunegate, 0, TUNEGATE_HF_NAMESPACE="")["namespace"] == "warning"
    place.tunegate("doctor", code=1, TUNEGATE_JOB_HF_TOKEN=place.service.settings["TUNEGATE_HF_TOKEN"])
    assert "Make a second token" in place.tunegate.out


def test_doctor_on_a_machine_where_nothing_was_started(place: Place, tmp_path: Path) -> None:
    database = tmp_path / "new" / "tunegate.db"
    found = outcomes(place.tunegate, 0, TUNEGATE_DATABASE_URL=f"sqlite:///{database}")
    assert found["database"] == "warning"
    assert "migrations" not in found
    assert not database.parent.exists(), "it makes nothing"


def test_doctor_beside_a_service_that_is_stopped(place: Place, tmp_path: Path) -> None:
    archive = tmp_path / "backup.tar"
    place.tunegate("backup", str(archive))
    stopped = Service(tmp_path / "stopped", place.service.hub_url)
    tunegate = at("http://127.0.0.1:9", stopped.settings)
    tunegate("restore", str(archive))
    del tunegate.env["TUNEGATE_URL"], tunegate.env["TUNEGATE_KEY"]  # nobody says that one should be running
    tunegate.env["TUNEGATE_PUBLIC_URL"] = "http://127.0.0.1:9"
    found = outcomes(tunegate, 0)
    assert (found["steps"], found["service"], found["migrations"]) == ("warning", "warning", "ok")
    key = tmp_path / "stopped" / "secret.key"
    os.chmod(key, 0o644)
    assert outcomes(tunegate, 0)["secret key"] == "warning"
    key.unlink()
    assert outcomes(tunegate, 1)["secret key"] == "fault"
    assert not key.exists(), "it makes nothing"
    (tmp_path / "stopped" / "tunegate.db").write_bytes(b"")
    assert outcomes(tunegate, 1)["migrations"] == "fault"


def test_old_prices_and_a_wrong_clock_are_told_of(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in place.service.settings.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    for ahead, prices, clock in [
        (timedelta(), "ok", "ok"),
        (timedelta(minutes=1), "ok", "warning"),
        (timedelta(days=2), "warning", "fault"),
    ]:
        now = datetime.now(UTC) + ahead
        found = [*ground.findings(settings, now), *upstream.findings(settings, now)]
        assert {one.check: one.outcome for one in found}["prices"] == prices
        assert {one.check: one.outcome for one in found}["clock"] == clock
