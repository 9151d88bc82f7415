"""`tunegate diagnose`."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

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


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    found = CliRunner().invoke(app, ["diagnose", str(tmp_path / "none.log")])
    assert found.exit_code != 0
    assert "none.log" in found.output
