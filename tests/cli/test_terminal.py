"""On a terminal of 80 columns: colours, bars, and no line that is longer."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading

import pytest

from service.client import Tunegate
from tests.processes import ADMIN_KEY, Service
from tests.served import script

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
LONGEST_SECONDS = 60
TRAINING = """import time
for step in range(1, 21):
    print({'loss': 2.0 / step, 'step': step, 'total_steps': 20}, flush=True)
    time.sleep(0.05)
"""


def on_terminal(served: Service, *words: str, **env: str) -> str:
    """What the real command writes to a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-m", "service", *words],
        env={**os.environ, "TERM": "xterm", "TUNEGATE_URL": served.url, "TUNEGATE_KEY": ADMIN_KEY, **env},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        killer = threading.Timer(LONGEST_SECONDS, process.kill)
        killer.start()
        written = b""
        try:
            while read := os.read(ours, 65536):
                written += read
        except OSError:
            pass  # Linux's end of a terminal
    os.close(ours)
    killer.cancel()
    assert process.returncode == 0, written.decode()
    return written.decode()


def test_watch_draws_bars_until_all_have_ended(served: Service) -> None:
    with Tunegate(served.url, ADMIN_KEY) as client:
        run = client.runs.submit(**script(TRAINING))
        seen = on_terminal(served, "watch", run.id)
        assert run.refresh().state == "succeeded"
    text = ESCAPES.sub("", seen)
    assert "20/20" in text
    assert "━" in text
    assert "\x1b[32m" in seen, "green"
    assert max(map(len, re.split(r"[\r\n]+", text))) <= 80


@pytest.mark.parametrize("words", [["runs"], ["flavors"], ["usage", "-g", "flavor"]])
def test_tables_fit_and_colours_can_be_turned_off(served: Service, words: list[str]) -> None:
    with Tunegate(served.url, ADMIN_KEY) as client:
        client.runs.submit(**script("print(1)")).wait(60)
    seen = on_terminal(served, *words, NO_COLOR="1")
    assert max(len(line.rstrip("\r")) for line in ESCAPES.sub("", seen).split("\n")) <= 80
    assert not re.search(r"\x1b\[3\dm", seen)
