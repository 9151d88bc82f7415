"""`tunegate diagnose`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli.diagnose import STAGES
from service.cli.main import app

LOG = "Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\nNameError: name 'x' is not defined\n"


def told(*arguments: str, stdin: str | bytes | None = None) -> str:
    found = CliRunner().invoke(app, ["diagnose", *arguments], input=stdin)
    assert found.exit_code == 0, found.output
    return found.output


def test_it_reads_a_file_and_speaks_to_people(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text(LOG)
    shown = told(str(log), "--exit-code", "1")
    assert shown.startswith("script_error: ")
    assert "NameError" in shown
    assert "never" in shown


def test_it_reads_standard_input_and_answers_json() -> None:
    found = json.loads(told("-", "--json", stdin=LOG))
    assert set(found) >= {"cause", "evidence", "remedy", "retry", "confidence"}
    assert found["cause"] == "script_error"
    assert found["retry"] == "never"


def test_what_hugging_face_said_is_an_option() -> None:
    assert json.loads(told("-", "--json", "--status-message", "Job timeout", stdin=LOG))["cause"] == "job_timeout"
    assert json.loads(told("-", "--json", "--cancel-reason", "NO_CREDITS", stdin=LOG))["cause"] == "no_credits"
    assert json.loads(told("-", "--json", "--stage", "COMPLETED", stdin=b"\xff\xfe"))["cause"] == "ok"


def test_a_stage_is_one_of_hugging_faces_in_any_case() -> None:
    assert json.loads(told("-", "--json", "--stage", "canceled", stdin=LOG))["evidence"] == "stage: CANCELED"
    refused = CliRunner().invoke(app, ["diagnose", "-", "--stage", "FAILED"], input=LOG)
    assert refused.exit_code == 2
    assert all(stage in refused.output for stage in ("'FAILED'", *STAGES))


@pytest.mark.parametrize("log", [b"", b"\n\n", b"\xff\xfe", bytes(range(256)) * 40, b"Loading weights\n"])
def test_a_log_that_does_not_show_how_it_ended_is_neither_ok_nor_a_failure(log: bytes) -> None:
    found = json.loads(told("-", "--json", stdin=log))
    assert (found["cause"], found["confidence"]) == ("unknown", 0.3)
    assert found["evidence"] == ("Loading weights" if b"Loading" in log else None)
    assert "exit code" in found["remedy"]
    assert json.loads(told("-", "--json", "--exit-code", "0", stdin=log))["cause"] == "ok"


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    found = CliRunner().invoke(app, ["diagnose", str(tmp_path / "none.log")])
    assert found.exit_code == 2
    assert "none.log" in found.output
