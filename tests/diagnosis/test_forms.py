"""What stands before, after and around a log's lines changes no diagnosis: noise, colours, returns, bytes that are no
text, and the marks of processes and platforms."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace

import pytest

from service.domain.diagnosis import Seen, diagnose
from tests.diagnosis.cases import cases

NOISE = [
    "/usr/lib/python3.11/site-packages/x.py:1: FutureWarning: a is deprecated and will raise an error",
    "  warnings.warn(",
    "WARNING:root:Failed to load y, falling back to z",
    "Error while fetching `HF_TOKEN` secret value from your vault: 'timed out'.",
    "wandb: ERROR network error, entering retry loop",
    "",
]
FAILED = [case for case in cases() if case.seen.exit_code == 1 and any(case.seen.lines) and not case.is_blind]
RANKED = [case for case in FAILED if not any("[rank" in line or " pid=" in line for line in case.seen.lines)]


def test_noise_before_a_failure_changes_nothing() -> None:
    for case in FAILED:
        assert case.is_right(diagnose(replace(case.seen, lines=[*NOISE, *case.seen.lines]))), case.name


def test_nor_does_a_log_of_records() -> None:
    for case in FAILED:
        for text, form in (("message", "{}"), ("data", "data: {}")):
            records = [json.dumps({text: line, "timestamp": "2025-05-01T10:00:00Z"}) for line in case.seen.lines]
            found = diagnose(replace(case.seen, lines=[form.format(record) for record in records]))
            assert case.is_right(found), case.name
    whole = json.dumps({"ts": 1, "msg": "failed", "exc_info": "Traceback (most recent call last):\nMemoryError"})
    assert diagnose(Seen([whole], 1)).evidence == "MemoryError"


@pytest.mark.parametrize(
    "form", ["2025-05-01 10:00:00,123 - INFO - {}", "2025-05-01 10:00:00 - app.train - ERROR - {}"]
)
def test_nor_does_a_logger_that_everything_goes_through(form: str) -> None:
    told = [case for case in FAILED if sum('File "' in line for line in case.seen.lines) >= 3]
    assert len(told) > 50
    for case in told:
        found = diagnose(replace(case.seen, lines=[form.format(line) for line in case.seen.lines]))
        assert case.is_right(found), case.name


RANKS = ("[rank1]: {}", "[default0]:{}", "(pid=1234) {}", "(TrainWorker pid=12, ip=10.0.0.1) {}", "[1,0]<stderr>:{}")
FORMS = (
    "\x1b[31m{}\x1b[0m",
    "\x1b[2K\x1b[1G{}",
    "{}\r",
    "\x00{}\x07",
    "2025-05-01T10:00:00.123456789Z {}",
    "2025-05-01T10:00:00.123456789Z stderr F {}",
    "[2025-05-01 10:00:00,123] {}",
    "2025-05-01 10:00:00 {}",
    "May  1 10:00:00 {}",
    "train-1  | {}",
    "[pod/train-abc/main] {}",
    "stderr: {}",
    "0: {}",
    "gpu-worker-1: {}",
    "10:00:00 | {}",
    "[2024-02-27T21:35:34.295539Z] fa88a9df || {}",
)


@pytest.mark.parametrize("form", FORMS)
def test_nor_does_what_a_platform_puts_before_each_line(form: str) -> None:
    for case in FAILED[FORMS.index(form) % 4 :: 4]:  # each case meets a quarter of the forms
        found = diagnose(replace(case.seen, lines=[form.format(line) for line in case.seen.lines]))
        assert case.is_right(found), case.name


@pytest.mark.parametrize("form", RANKS)
def test_nor_does_the_mark_of_a_process(form: str) -> None:
    for case in RANKED[RANKS.index(form) % 2 :: 2]:
        found = diagnose(replace(case.seen, lines=[form.format(line) for line in case.seen.lines]))
        assert case.is_right(found), case.name


def test_nor_do_bytes_that_are_no_text_and_lines_without_end() -> None:
    source = random.Random(3)
    noise = ["".join(chr(source.randrange(11, 256)) for _ in range(200)) for _ in range(5)]
    for case in FAILED[::4]:
        lines = [*noise, "y" * 400_000, *case.seen.lines, "z" * 400_000, *noise]
        assert case.is_right(diagnose(replace(case.seen, lines=lines))), case.name


FRAME = re.compile(r'^  File "(?P<path>[^"]+)", line (?P<line>\d+), in (?P<name>.+)$')
HEADER = "Traceback (most recent call last):"
RAISED = re.compile(r"^(?:\w+\.)*(?P<name>[A-Z]\w*)(?=:|$)")
PRINTED = {
    "notebook": ("Cell In[3], line 1", "File {path}:{line}, in {name}(*args, **kwargs)"),
    "colab": (
        "<ipython-input-3-88c81d9b9957> in <cell line: 29>()",
        "[{path}](https://localhost:8080/#) in {name}(self)",
    ),
    "box": ("│ {path}:{line} in {name}", "│ {path}:{line} in {name}"),
}


def printed_as(form: str, lines: list[str]) -> list[str]:
    """Notebooks name the exception in their header, without its module."""
    cell, other = PRINTED[form]
    shown: list[str] = []
    header = -1
    for line in lines:
        if frame := FRAME.match(line):
            is_cell = frame["name"] == "<module>" and "packages/" not in frame["path"]
            shown.append((cell if is_cell else other).format(**frame.groupdict()).ljust(97) + "│" * (form == "box"))
        elif form != "box" and header >= 0 and (raised := RAISED.match(line)):
            shown[header] = f"{raised['name']:<42}{HEADER[:-1]}"
            shown.append(line[raised.start("name") :])
            header = -1
        else:
            header = len(shown) if line == HEADER else header
            shown.append(line)
    return shown


@pytest.mark.parametrize("form", PRINTED)
def test_nor_does_the_form_of_its_frames(form: str) -> None:
    plain = [case for case in FAILED if HEADER in case.seen.lines and len(list(case.seen.lines)) < 200]
    assert len(plain) > 150
    for case in plain:
        found = diagnose(replace(case.seen, lines=printed_as(form, list(case.seen.lines))))
        assert case.is_right(found), (case.name, found.cause, found.evidence)
