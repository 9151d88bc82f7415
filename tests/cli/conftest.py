"""The real command in this process, against a running service as another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.client import Tunegate
from tests.processes import ADMIN_KEY, Service
from tests.served import served

__all__ = ["served"]


class Command:
    """`tunegate …` as a caller would type it; `code`, `out` and `err` are of the last call."""

    def __init__(self, url: str, key: str) -> None:
        self.env = {"TUNEGATE_URL": url, "TUNEGATE_KEY": key}

    def __call__(self, *words: str, code: int = 0, stdin: str | None = None, **env: str) -> str:
        """What it wrote to standard output. Fails where the exit code is another, or something was not caught."""
        ran = CliRunner().invoke(app, list(words), env={**self.env, **env}, input=stdin)
        self.out, self.err = ran.stdout, ran.stderr
        if ran.exception is not None and not isinstance(ran.exception, SystemExit):
            raise ran.exception
        assert ran.exit_code == code, f"{words}: {ran.exit_code}\n{self.out}\n{self.err}"
        return self.out

    def json(self, *words: str, **kwargs: Any) -> Any:
        """The same with --json, as JSON."""
        return json.loads(self(*words, "--json", **kwargs))


@pytest.fixture
def tunegate(served: Service) -> Command:
    """As a lead of the team that has money."""
    with Tunegate(served.url, ADMIN_KEY) as admin:
        key = admin.keys.create("research", name="cli", role="lead").key
    return Command(served.url, key)


@pytest.fixture
def as_admin(served: Service) -> Command:
    return Command(served.url, ADMIN_KEY)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own, in which the command is called."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path
