"""The house's rules, as tests: who may import whom, who may write what, and what the documents must name."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import settings

from service.cli import serve
from service.domain.event_pattern import EventPattern
from service.domain.run import Reason
from service.settings import Settings
from service.worker import steps

ROOT = Path(__file__).parent.parent
SERVICE = ROOT / "service"

# What each part may import of `service`. Lower parts never know of higher ones.
MAY_IMPORT = {
    "domain": {"domain"},
    "store": {"store", "domain"},
    "hub": {"hub", "domain"},
    "flow": {"flow", "hub", "store", "domain"},
    "api": {"api", "flow", "hub", "store", "domain"},
    "doors": {"doors", "api", "flow", "hub", "store", "domain"},
    "web": {"web", "api", "store", "domain"},
    "sandbox": {"sandbox"},
    "client": {"client"},
    "settings": {"settings", "domain"},
    "log": {"log", "domain"},
    "migrate": {"migrate", "store"},
    "leader": {"leader", "store"},
    "meters": {"meters", "flow", "hub"},
    "worker": {"worker", "leader", "flow", "hub", "store", "domain"},
    "app": {"app", "api", "doors", "web"},
    "server": {"server", "api"},
    "assembly": {
        "assembly",
        "app",
        "api",
        "worker",
        "leader",
        "meters",
        "migrate",
        "settings",
        "flow",
        "hub",
        "store",
        "domain",
    },
    "doctor": {"doctor", "assembly", "leader", "migrate", "settings", "flow", "hub", "store", "domain"},
    "cli": {
        "cli",
        "client",
        "doctor",
        "assembly",
        "server",
        "leader",
        "worker",
        "migrate",
        "settings",
        "log",
        "sandbox",
        "store",
        "domain",
    },
    "__main__": {"cli"},
}

# Libraries that have one home.
HOMES = {
    "huggingface_hub": {"hub", "sandbox", "follow_ups"},  # the last are scripts of jobs
    "httpx2": {"hub", "sandbox", "flow", "client", "doctor", "cli", "api", "web"},
    "fastapi": {"api", "doors", "web", "app", "assembly", "server"},
    "starlette": {"api", "doors", "web", "sandbox"},
    "uvicorn": {"api", "server", "sandbox"},
    "limits": {"api"},
    "apscheduler": {"worker"},
    "prometheus_client": {"api", "meters"},
    "joserfc": {"api"},
    "jinja2": {"web"},
    "typer": {"cli"},
    "click": {"cli"},
    "pydantic_settings": {"settings"},
}


@cache
def modules() -> list[tuple[str, Path, ast.Module]]:
    """Each with its part: read once for all rules, like what each imports."""
    found = []
    for path in sorted(SERVICE.rglob("*.py")):
        part = path.relative_to(SERVICE).parts[0].removesuffix(".py")
        if part != "__init__":
            found.append((part, path, ast.parse(path.read_text())))
    return found


@cache
def imports(tree: ast.Module) -> list[str]:
    return list(_imports(tree))


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "service":
                yield from (f"service.{alias.name}" for alias in node.names)


def test_imports_go_one_way() -> None:
    wrong = []
    for part, path, tree in modules():
        for name in imports(tree):
            pieces = name.split(".")
            if pieces[0] == "service" and len(pieces) > 1 and pieces[1] not in MAY_IMPORT[part]:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong, "a lower part knows of a higher one:\n" + "\n".join(wrong)


def test_libraries_stay_in_their_homes() -> None:
    wrong = []
    for part, path, tree in modules():
        for name in imports(tree):
            homes = HOMES.get(name.split(".")[0])
            if homes is not None and part not in homes:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong, "a library outside its home:\n" + "\n".join(wrong)


def test_the_domain_reads_no_clock_and_does_no_io() -> None:
    banned = {"os", "time", "socket", "random", "sqlmodel", "sqlalchemy", "structlog", "pathlib", "secrets"}
    for part, path, tree in modules():
        if part != "domain":
            continue
        assert not banned & {name.split(".")[0] for name in imports(tree)}, path
        assert ".now(" not in path.read_text(), path


def test_nothing_below_the_assembly_reads_the_clock() -> None:
    for part, path, _ in modules():
        if part in ("domain", "store", "hub", "flow", "api", "doors", "worker"):
            assert not re.search(r"datetime\.now\(|utcnow\(|time\.time\(", path.read_text()), path


def test_every_step_is_run_by_the_worker() -> None:
    written = {path.stem for part, path, tree in modules() if part == "flow" and _defines(tree, "run_once")}
    assert written == {step.name for step in steps(1, 1)}
    assert all(re.search(rf"\b{name}\b", inspect.getsource(serve.step)) for name in written), "its help names them"


def _defines(tree: ast.Module, name: str) -> bool:
    return any(isinstance(node, ast.FunctionDef) and node.name == name for node in tree.body)


def test_the_threat_model_names_what_is_there() -> None:
    text = (ROOT / "docs" / "threat-model.md").read_text()
    named = set(re.findall(r"`((?:service|tests|migrations)/[\w/.]+|Dockerfile|docker-compose\.yml)`", text))
    assert len(named) > 20
    assert not [name for name in sorted(named) if not (ROOT / name).exists()]


def test_what_callers_change_is_entered_in_the_audit_log() -> None:
    """`api/audited.py` writes both in one transaction. Elsewhere are noted a key's use, a new user, a job's report."""
    may = {"audited.py", "credentials.py", "callbacks.py", "hub_hooks.py", "upload.py"}  # the last: no file yet
    for path in sorted([*(SERVICE / "api").glob("*.py"), *(SERVICE / "doors").rglob("*.py")]):
        assert path.name in may or not re.search(r"\bdb\.(write|submit)\(", path.read_text()), path.name


def test_one_function_writes_a_runs_state() -> None:
    """`store/runs.py: advance`. Elsewhere a run's state is only read or, where a run is made, given its first value."""
    for _, path, tree in modules():
        if path.name == "runs.py" and path.parent.name == "store":
            continue
        assert not re.search(r"update\(Run\)(?s:.)*?values\([^)]*state=", path.read_text()), path
        for node in ast.walk(tree):
            targets = node.targets if isinstance(node, ast.Assign) else []
            for target in targets:
                is_state = isinstance(target, ast.Attribute) and target.attr == "state"
                owner = target.value.id if is_state and isinstance(target.value, ast.Name) else None
                assert owner not in ("run", "mine", "found"), (
                    f"{path.relative_to(ROOT)}:{node.lineno} writes a run's state"
                )


def test_steps_and_routes_never_commit_by_themselves() -> None:
    for part, path, _ in modules():
        if part in ("flow", "api", "doors", "domain"):
            assert ".commit(" not in path.read_text(), path


def test_no_function_is_longer_than_a_page_and_no_file_longer_than_two_subjects() -> None:
    for _, path, tree in modules():
        assert len(path.read_text().splitlines()) <= 310, path
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                length = node.end_lineno - node.body[0].lineno  # a command's options are its signature
                assert length < 50, f"{path.relative_to(ROOT)}: {node.name}"


@pytest.mark.parametrize("word", ["utils", "helpers", "common", "manager", "core", "misc"])
def test_names_say_what_they_hold(word: str) -> None:
    found = [path for _, path, _ in modules() if word in path.stem and "sandbox" not in path.parts]
    assert not found


def test_every_setting_is_described() -> None:
    """`docs/configuration.md` is made of these: tests/docs/test_generated.py."""
    assert not [name for name, field in Settings.model_fields.items() if not field.description]


def test_every_reason_is_documented() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    for reason in Reason:
        assert f"`{reason.value}`" in page, f"docs/troubleshooting.md does not name the reason {reason.value}"


def test_every_event_is_documented() -> None:
    page = (ROOT / "docs" / "webhooks.md").read_text()
    for pattern in get_args(EventPattern):
        assert "*" in pattern or f"`{pattern}`" in page, f"docs/webhooks.md does not name the event {pattern}"


def test_nothing_names_a_package_index_or_this_machine() -> None:
    for path in [
        *ROOT.glob("requirements/*"),
        *ROOT.glob("*.toml"),
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        ROOT / "Makefile",
    ]:
        text = path.read_text()
        assert not re.search(r"https?://\S*(pypi|pythonhosted|/simple)|--(extra-)?index-url|/root/|/home/\w", text), (
            path
        )


def test_no_property_depends_on_the_machines_speed() -> None:
    """The profile in tests/conftest.py sets it once; what a test sets for itself must not bring a limit back."""
    assert settings.default.deadline is None  # type: ignore[union-attr]
    for path in sorted((ROOT / "tests").rglob("*.py")):
        text = path.read_text()
        if "settings(" not in text or path == ROOT / "tests" / "conftest.py":
            continue
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Call):
                continue
            named = {one.arg: ast.unparse(one.value) for one in node.keywords if one.arg is not None}
            if ast.unparse(node.func) in ("settings", "hypothesis.settings"):
                assert "deadline" not in named, path
                checks = named.get("suppress_health_check", "too_slow")
                assert "too_slow" in checks or checks == "list(HealthCheck)", path
