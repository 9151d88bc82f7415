"""One service over one sandbox for all tests of a folder, gone when they are done: each makes runs of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from service.sandbox.serve import Options, SandboxServer
from tests.processes import Service


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running service with a team that has money."""
    folder = tmp_path_factory.mktemp("served")
    with (
        SandboxServer(Options(folder=folder / "jobs")) as sandbox,
        Service(folder / "service", sandbox.url) as service,
    ):
        service("POST", "/teams", {"name": "research"})
        service("PUT", "/teams/research/budget", {"limit_usd": 5})
        yield service


def script(text: str) -> dict[str, object]:
    """What to submit for a script that is cheap and quick."""
    return {
        "recipe": {"kind": "script", "source": text},
        "flavor": "cpu-basic",
        "timeout": "5m",
        "team": "research",
    }
