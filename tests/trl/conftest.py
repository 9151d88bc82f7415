"""These tests need TRL itself (requirements/trl.in): they run only where this folder is named."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave this folder out of a run of all tests."""
    named = any(
        Path(argument.partition("::")[0]).resolve().is_relative_to(Path(__file__).parent) for argument in config.args
    )
    return None if named else True
