"""The README is short, and what it and its pages promise of files and names is there. Its commands: tests/docs."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from service.domain import errors

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def test_the_readme_is_read_in_one_go() -> None:
    readme = (ROOT / "README.md").read_text()
    assert len(readme.splitlines()) <= 200
    assert all(f"```sh\n{two}```" in readme for two in ["make demo\nmake test\n"])
    assert set(re.findall(r"\]\((docs/[\w-]+\.md)\)", readme)) >= {f"docs/{page.name}" for page in DOCS.glob("*.md")}, (
        "a page that nobody finds"
    )


def test_compose_file_and_image_say_what_the_pages_promise() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    service = compose["services"]["tunegate"]
    assert service["read_only"] is True
    assert service["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert service["environment"]["TUNEGATE_DATABASE_URL"].endswith("@postgres/tunegate")
    assert service["environment"]["TUNEGATE_DATA_DIR"] == "/data"
    assert service["volumes"] == ["tunegate-data:/data"]
    assert service["ports"] == ["127.0.0.1:8080:8080"]
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
    page = (DOCS / "troubleshooting.md").read_text()
    table = page.partition("## When a request is refused")[2].partition("\n##")[0]
    assert {kind.code for kind in kinds} <= set(re.findall(r"`(\w+)`", table))


def test_every_variable_of_the_sandbox_is_told_of() -> None:
    code = "".join(path.read_text() for path in (ROOT / "service" / "sandbox").glob("*.py"))
    named = set(re.findall(r"\bSANDBOX_[A-Z_]+\b", code))
    assert len(named) > 3
    assert named <= set(re.findall(r"`(\w+)`", (DOCS / "sandbox.md").read_text()))
