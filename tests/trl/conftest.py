"""These tests need TRL itself (requirements/trl.in): they run only where this folder is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.processes import Service
    from tests.trl.charts import Charts


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave this folder out of a run of all tests."""
    named = any(
        Path(argument.partition("::")[0]).resolve().is_relative_to(Path(__file__).parent) for argument in config.args
    )
    return None if named else True


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service before a sandbox with the real TRL, and what is trained on its Hub."""
    from tests.trl import place  # only where TRL is: this file is read by a run of all tests, too

    with place.opened(tmp_path_factory.mktemp("place")) as service:
        yield service


@pytest.fixture(scope="session")
def charts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Charts]:
    """A trackio server."""
    from tests.trl.charts import Charts

    with Charts(tmp_path_factory.mktemp("charts") / "server") as charts:
        yield charts
