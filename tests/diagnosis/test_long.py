"""A log of 20 MB is read within seconds, whatever fills it, and its failure is still found."""

from __future__ import annotations

import time

import pytest

from service.domain.diagnosis import Seen, diagnose
from service.domain.diagnosis.excerpt import WHOLE, excerpt
from service.domain.run import Reason

TRACEBACK = ["Traceback (most recent call last):", '  File "a.py", line 1, in <module>', "    main()"]
OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.96 GiB."
BAR = " {0}%|" + "█" * 10 + " " * 30 + "| {0}/100 [00:10<01:00, 18.05it/s]"
SIZE = 20_000_000
FILLINGS = {
    "lines": "step {} done",
    "losses": "{{'loss': '{}', 'grad_norm': '1.0', 'learning_rate': '1e-05', 'epoch': '0.1'}}",
    "warnings": "WARNING: failed to fetch shard {}, an error of no importance, " + "x" * 150,
    "fright": "error {} failed memory exception not found requires token status limit nan value",
    "caught": "\n".join([*TRACEBACK, "ValueError: a bad row {}", "Retrying in 1s"]),
    "bars": BAR + "\r" + BAR,
    "one line": "x" * 5_000_000 + " error {}",
}


def filled(filling: str) -> list[str]:
    rows = SIZE // len(filling)
    return "\n".join(filling.format(1 + at % 7 / 10 if "loss" in filling else at) for at in range(rows)).split("\n")


@pytest.mark.parametrize("filling", FILLINGS.values(), ids=FILLINGS.keys())
def test_a_large_log_takes_no_time(filling: str) -> None:
    lines = [*filled(filling), *TRACEBACK, OOM]
    began = time.process_time()
    found = diagnose(Seen(lines, 1))
    assert time.process_time() - began < 20  # half a second to one and a half; what grows with the square takes minutes
    assert found.cause is Reason.CUDA_OOM


def test_what_stands_in_the_middle_of_a_large_log_is_seen() -> None:
    rows = filled(FILLINGS["lines"])
    rows[len(rows) // 2 : len(rows) // 2] = [*TRACEBACK, OOM]
    assert diagnose(Seen(rows, 1)).cause is Reason.CUDA_OOM
    rows = filled(FILLINGS["losses"])
    broken = [row.replace("'1.1'", "'nan'").replace("'1.2'", "'nan'") for row in rows[len(rows) // 3 :]]
    assert (
        diagnose(Seen([*rows[: len(rows) // 3], *broken, "{'loss': 'nan', 'grad_norm': 'nan'}"], 0)).cause
        is Reason.NAN_LOSS
    )


def test_a_short_log_is_read_whole() -> None:
    rows = ["x" * 99] * (WHOLE // 100 - 1)
    assert excerpt(rows) == rows
    assert len(excerpt(rows * 9)) < len(rows) * 3
