"""Lines of Python that are shown do what is said of them."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.docs.pages import blocks
from tests.receiver import Receiver


def test_a_script_reports_its_numbers_as_shown() -> None:
    [report] = [block for block in blocks("python") if block.kind is None]
    with Receiver() as receiver:
        subprocess.run(
            [sys.executable, "-c", report.text],
            env={"TUNEGATE_CALLBACK_URL": f"{receiver.url}/callbacks/run_1/1/token"},
            check=True,
            timeout=30,
        )
    [letter] = receiver.letters
    assert json.loads(letter.body)["step"] == 20
    assert letter.headers["content-type"] == "application/json"
