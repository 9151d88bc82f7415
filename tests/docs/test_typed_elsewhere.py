"""Commands that the other tests of the documents cannot type, ```sh: each with why, and with what is looked at "
"instead."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlmodel import Session
from typer.main import get_command

from service.cli import app
from service.migrate import migrate
from service.sandbox.serve import Options, SandboxServer
from service.settings import Settings
from service.store import teams
from service.store.engine import open_engine
from tests.docs.pages import FENCE, ROOT, Block, blocks, pages
from tests.postgres import DEBIAN, Cluster


def first(block: Block) -> str:
    """A block by its page and its first line."""
    return f"{block.page.relative_to(ROOT)}: {block.text.splitlines()[0].partition('  #')[0].strip()}"


WHY = {
    "README.md: make demo": "tests/crash runs the demo; `make test` is what runs this",
    "README.md: make sandbox": "what tests/pages/test_commands.py starts",
    "README.md: export TUNEGATE_HF_ENDPOINT=http://127.0.0.1:8765": "tests/pages/test_commands.py has ports of its own",
    "docs/install.md: export TUNEGATE_HF_TOKEN=hf_…": "needs an account; the settings are read below",
    "docs/install.md: python3 -m venv .venv": "needs a package index: below, in `make test-docs`",
    "docs/install.md: cp .env.example .env": "needs Docker; tests/test_readme.py reads both files",
    "docs/install.md: export TUNEGATE_DATABASE_URL=postgresql://tunegate:PASSWORD@db.acme.com/tunegate": (
        "needs a PostgreSQL: tests/crash with --postgres"
    ),
    "docs/operations.md: export TUNEGATE_DATABASE_URL=postgresql://tunegate:PASSWORD@db.acme.com/tunegate": (
        "needs a PostgreSQL: tests/replicas/test_moving.py"
    ),
    "docs/install.md: cat data/admin.key": "tests/store/test_home.py makes the file",
    "docs/operations.md: docker compose exec -T postgres pg_dump -U tunegate -Fc tunegate > tunegate.dump": (
        "needs Docker: what it types into the container is typed below, in `make test-docs`"
    ),
    "docs/operations.md: docker compose stop tunegate": "the same",
    "docs/operations.md: tunegate claim --yes": "tests/crash/test_claim.py",
    "docs/operations.md: tunegate claim --new-key --yes": "tests/crash/test_claim.py",
    "docs/sandbox.md: make sandbox": "what tests/pages/test_commands.py starts",
    'docs/sandbox.md: export HF_ENDPOINT=http://127.0.0.1:8765 HF_TOKEN=hf_sandbox PATH="$PWD/.venv/bin:$PATH"': (
        "takes long: below, in `make test-docs`"
    ),
    "docs/security.md: export TUNEGATE_OIDC_ISSUER=https://login.acme.com": "needs an issuer; the settings are read "
    "below",
}

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def needs(tool: str) -> pytest.MarkDecorator:
    """Only where DOCS_NEED names it, as `make test-docs` does."""
    return pytest.mark.skipif(tool not in os.environ.get("DOCS_NEED", "").split(), reason="make test-docs")


def test_every_such_block_is_accounted_for() -> None:
    assert sorted(map(first, blocks("sh"))) == sorted(WHY)
    for why in WHY.values():
        for name in re.findall(r"tests/[\w/]+(?:\.py)?", why):
            assert (ROOT / name).exists(), name


def test_no_block_is_in_a_language_that_nobody_looks_at() -> None:
    looked_at = {"bash", "sh", "json", "python", "js", "go", "yaml"}
    for page in pages():
        assert {found[1] for found in FENCE.finditer(page.read_text())} <= looked_at, page


def lines(*languages: str) -> list[str]:
    """Each line that is typed, without its comment."""
    return [line.partition("  #")[0].strip() for block in blocks(*languages) for line in block.text.splitlines()]


def test_the_targets_that_are_named_are_there() -> None:
    made = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    typed = {word for line in lines("sh") if line.startswith("make ") for word in line.split()[1:]}
    told = set(re.findall(r"`make ([a-z-]+)", "".join(path.read_text() for path in [ROOT / "README.md", *DOCS])))
    assert {"demo", "test", "sandbox", "serve"} <= typed | told <= made


DOCS = sorted((ROOT / "docs").glob("*.md"))


EXPORTS = [one for one in blocks("sh") if "export TUNEGATE_" in one.text]


@pytest.mark.parametrize("block", EXPORTS, ids=lambda one: one.place)
def test_settings_that_are_exported_are_taken(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    exported = dict(re.findall(r"^export TUNEGATE_(\w+)=('[^']*'|\S+)", block.text, re.M))
    for name, value in exported.items():
        assert name.lower() in Settings.model_fields
        monkeypatch.setenv(f"TUNEGATE_{name}", shlex.split(value)[0])
    Settings()


def test_commands_of_ours_have_the_options_that_are_typed() -> None:
    whole = get_command(app)
    in_blocks = [line for line in lines("sh", "bash") if re.match(r"(\.venv/bin/)?tunegate ", line)]
    in_text = re.findall(r"`(tunegate [a-z-][^`]*)`", "".join(page.read_text() for page in pages()))
    assert len(in_blocks) > 4 < len(in_text)
    for _, *typed in map(shlex.split, in_blocks + in_text):
        command, options = whole, {"--help"}
        for word in typed:
            options |= {option for parameter in command.params for option in parameter.opts}
            command = getattr(command, "commands", {}).get(word, command)
        options |= {option for parameter in command.params for option in parameter.opts}
        assert {word for word in typed if word.startswith("--")} <= options, typed


@needs("hf")
def test_the_hf_command_does_what_the_page_says(tmp_path: Path) -> None:
    [block] = [one for one in blocks("sh") if "hf auth whoami" in one.text]
    shutil.copy(ROOT / "README.md", tmp_path)
    with SandboxServer(Options(folder=tmp_path / "jobs")) as sandbox:
        typed = block.text.replace("http://127.0.0.1:8765", sandbox.url)
        # nothing of the tests' own environment, in which service.hub has switched tokens of the surroundings off
        env = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}
        ran = subprocess.run(
            ["bash", "-euc", typed], capture_output=True, text=True, env=env, cwd=tmp_path, timeout=240, check=False
        )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "4" in ran.stdout.split()
    assert (tmp_path / "build" / "notes" / "README.md").exists()


@needs("postgres")
def test_a_database_that_was_backed_up_comes_back(tmp_path: Path) -> None:
    inside = [line.partition("docker compose exec -T postgres ")[2] for line in lines("sh")]
    dump, restore = (line for line in inside if line)
    with Cluster(in_memory=True) as cluster:
        url = cluster.create("tunegate")
        migrate(url)
        at = urlsplit(url)
        programs = os.pathsep.join(map(str, Path(DEBIAN).glob("*/bin")))
        env = {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PGHOST": str(at.hostname),
            "PGPORT": str(at.port),
        }
        engine = open_engine(url)
        with Session(engine) as session, session.begin():
            teams.insert(session, "research", NOW)
        subprocess.run(["bash", "-euc", dump], check=True, cwd=tmp_path, env=env, timeout=60)
        with Session(engine) as session, session.begin():
            teams.insert(session, "later", NOW)
        engine.dispose()
        subprocess.run(["bash", "-euc", restore], check=True, cwd=tmp_path, env=env, timeout=60)
        with Session(engine) as session:
            assert [team.name for team in teams.every(session)] == ["research"]
        engine.dispose()
        migrate(url)  # what was put back is at this release's schema


@needs("pip")
def test_what_is_installed_by_hand_runs(tmp_path: Path) -> None:
    [block] = [one for one in blocks("sh") if "-m venv" in one.text]
    for name in ("service", "migrations", "requirements"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    *install, serve = block.text.strip().splitlines()
    assert serve.startswith(".venv/bin/tunegate serve")
    typed = "\n".join([*install, "rm -r service migrations", ".venv/bin/tunegate migrate"])
    ran = subprocess.run(
        ["bash", "-euc", typed], capture_output=True, text=True, cwd=tmp_path, timeout=500, check=False
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    assert (tmp_path / "data" / "tunegate.db").exists()
