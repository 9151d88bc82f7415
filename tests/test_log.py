"""Logs are JSON lines and hold no variables of ours."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from service import log
from tests.conftest import LOG


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    file = io.StringIO()
    log.configure("INFO", file)
    yield file
    log.configure("DEBUG", LOG)


def test_a_traceback_is_logged_without_the_values_of_its_frames(written: io.StringIO) -> None:
    token = "hf_a_secret_token"
    try:
        raise ValueError("something broke") from KeyError(len(token))
    except ValueError:
        structlog.get_logger().exception("step_failed", step="watch", run_id="run_1")
    entry = json.loads(written.getvalue())
    assert (entry["event"], entry["run_id"], entry["level"]) == ("step_failed", "run_1", "error")
    assert "something broke" in written.getvalue()
    assert token not in written.getvalue()
