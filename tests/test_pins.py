"""What is installed is pinned by its hash, everywhere; what is known to be vulnerable stops `make check`; the image
runs as nobody in particular and writes nowhere but where it should."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PLACES = ("Makefile", "Dockerfile", ".ci/run")
# Torch comes from where its builds are; the rest of its lock is installed beside it. And the project itself.
WITHOUT_HASHES = ("$(TORCH)", "trl==$(VERSION)", "--editable .")


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_pin_has_its_hashes(lock: Path) -> None:
    # as pip reads it: a line goes on where it ends with a backslash
    entries = re.findall(r"(?m)^(?! *#)(?=\S).+", lock.read_text().replace("\\\n", " "))
    assert len(entries) > 20
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z0-9_,-]+\])?==\S+", entry), entry
        assert re.search(r" --hash=sha256:[0-9a-f]{64}( |$)", entry), entry


def test_every_lock_is_made_of_what_is_asked_for() -> None:
    made = (ROOT / "Makefile").read_text()
    assert {lock.name for lock in LOCKS} == set(re.findall(r"--output-file requirements/(\w+\.txt)", made))


@pytest.mark.parametrize("place", PLACES)
def test_nothing_is_installed_without_hashes(place: str) -> None:
    text = (ROOT / place).read_text().replace("\\\n", " ")
    for line in re.findall(r"^.*\binstall\b.*$", text, re.M):
        is_pip = re.search(r"\bpip\b|\$\(PIP\)", line)
        if is_pip and not any(one in line for one in WITHOUT_HASHES):
            assert "--require-hashes" in line, line
    assert "curl" not in text
    assert "wget" not in text


def test_check_audits_all_locks() -> None:
    made = (ROOT / "Makefile").read_text()
    assert re.search(r"(?m)^check: .*\baudit\b", made)
    assert "tools/audit.py $(VENV)-audit/bin/pip-audit requirements/*.txt" in made


def audit(tmp_path: Path, stdout: str, stderr: str = "", code: int = 0) -> tuple[int, str]:
    program = tmp_path / "pip-audit"
    said = f"sys.stdout.write({stdout!r}); sys.stderr.write({stderr!r}); sys.exit({code})"
    program.write_text(f"#!{sys.executable}\nimport sys\n{said}\n")
    program.chmod(0o755)
    command = [sys.executable, ROOT / "tools" / "audit.py", program, *LOCKS]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    return ran.returncode, ran.stdout


def told(*dependencies: dict[str, Any]) -> str:
    return json.dumps({"dependencies": dependencies, "fixes": []})


GOOD = {"name": "good", "version": "1", "vulns": []}
BAD = {"name": "bad", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
UNKNOWN = {"name": "odd", "skip_reason": "not found"}


def test_a_known_vulnerability_fails(tmp_path: Path) -> None:
    code, said = audit(tmp_path, told(GOOD, BAD, UNKNOWN), code=1)
    assert code == 1
    assert "bad 2: PYSEC-1" in said


def test_what_was_audited_is_said_and_what_not(tmp_path: Path) -> None:
    assert audit(tmp_path, told(GOOD, UNKNOWN)) == (0, "1 packages audited, unknown there: odd\n")


@pytest.mark.parametrize(
    ("stdout", "stderr"),
    [
        ("", "requests.exceptions.ConnectionError: no such host"),
        ("", "requests.exceptions.SSLError: certificate verify failed"),
        ("", "ConnectTimeout"),
        (told(UNKNOWN, UNKNOWN), ""),
    ],
)
def test_where_nobody_can_be_asked_nothing_is_claimed(tmp_path: Path, stdout: str, stderr: str) -> None:
    code, said = audit(tmp_path, stdout, stderr)
    assert code == 0
    assert said.startswith("NOT AUDITED")
    assert len(said.splitlines()) == 1


def test_a_broken_audit_is_no_passed_one(tmp_path: Path) -> None:
    assert audit(tmp_path, "", "error: no such option", code=2) == (1, "pip-audit failed: error: no such option\n")


def test_the_image_runs_as_nobody_in_particular() -> None:
    lines = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    last = max(index for index, line in enumerate(lines) if line.startswith("FROM "))
    final = lines[last:]
    user = next(index for index, line in enumerate(final) if line.startswith("USER "))
    assert final[user] == "USER tunegate"
    assert not [line for line in final[user:] if line.startswith(("RUN", "COPY", "ADD"))], (
        "nothing is its own to change"
    )
    assert "--uid 10001" in "".join(final[:user])
    assert not re.search(r"chown|chmod|--chown", "".join(lines)), "its code belongs to root"
    environment = " ".join(line for line in final if line.startswith("ENV "))
    homes = dict(re.findall(r"(\w+)=(\S+)", environment))
    assert homes["PYTHONDONTWRITEBYTECODE"] == "1"
    for name in ("HOME", "HF_HOME", "TUNEGATE_DATA_DIR"):
        assert homes[name].startswith(("/tmp", "/data")), name
    assert homes["TUNEGATE_DATABASE_URL"].startswith("sqlite:////data/")
    assert [line for line in lines if line.startswith("VOLUME")] == ["VOLUME /data"]
    assert not re.search(r"(?i)token=|secret=|password=|:latest", "\n".join(lines))


def test_the_services_root_is_read_only() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    service = compose["services"]["tunegate"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "user" not in service
    places = [volume.split(":")[1] for volume in service["volumes"]] + [one.split(":")[0] for one in service["tmpfs"]]
    assert sorted(places) == ["/data", "/tmp"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert not compose["services"]["postgres"].get("ports"), "nobody but the service reaches it"
