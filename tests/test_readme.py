"""What the README tells a newcomer to type works as it stands."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import yaml

from service.domain import errors
from service.domain.request import RunRequest
from service.sandbox.serve import Options, SandboxServer
from tests.processes import ADMIN_KEY, Service

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S)


def test_the_first_steps_lead_from_a_key_to_a_model(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "data").mkdir()
    with (
        SandboxServer(Options(folder=tmp_path / "jobs")) as sandbox,
        Service(tmp_path / "service", sandbox.url) as service,
    ):
        env = {
            "PATH": os.environ["PATH"],
            "TUNEGATE": service.url,
            "TUNEGATE_ADMIN_KEY": ADMIN_KEY,
            "HOME": str(tmp_path),
        }
        script = "set -euo pipefail\n" + "\n".join(blocks("bash"))
        ran = subprocess.run(
            ["bash", "-c", script], capture_output=True, text=True, env=env, cwd=tmp_path, timeout=120, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        [run] = service("GET", "/runs").json()["data"]
    assert run["state"] == "succeeded", ran.stdout
    assert run["output"]["verified"] is True
    assert "cpu-basic        $0.01/h" in ran.stdout
    assert run["id"] in ran.stdout
    assert "Model pushed to the Hub" in ran.stdout
    assert run["output"]["revision"] in ran.stdout


def test_the_requests_that_are_shown_are_valid() -> None:
    requests = [json.loads(block) for block in blocks("json")]
    assert requests
    for request in requests:
        RunRequest.model_validate(request)


def test_compose_file_and_image_say_what_the_readme_promises() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    service = compose["services"]["tunegate"]
    assert service["read_only"] is True
    assert service["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert service["environment"]["TUNEGATE_DATABASE_URL"].endswith("@postgres/tunegate")
    wanted = {line.partition("=")[0] for line in (ROOT / ".env.example").read_text().splitlines() if "=" in line}
    assert {"POSTGRES_PASSWORD", "TUNEGATE_HF_TOKEN", "TUNEGATE_JOB_HF_TOKEN", "TUNEGATE_ADMIN_KEY"} <= wanted
    image = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^USER tunegate$", image, re.M)
    assert "--require-hashes -r requirements/service.txt" in image


def test_every_code_of_an_error_is_told_of() -> None:
    kinds = [errors.ServiceError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    assert len(kinds) > 15
    table = README.partition("### When a request is refused")[2].partition("\n###")[0]
    assert {kind.code for kind in kinds} <= set(re.findall(r"`(\w+)`", table))


def test_every_variable_of_the_sandbox_is_told_of() -> None:
    code = "".join(path.read_text() for path in (ROOT / "service" / "sandbox").glob("*.py"))
    named = set(re.findall(r"\bSANDBOX_[A-Z_]+\b", code))
    assert len(named) > 3
    assert named <= set(re.findall(r"`(\w+)`", README.partition("## The sandbox")[2]))
