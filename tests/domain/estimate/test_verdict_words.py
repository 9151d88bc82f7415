"""Numbers in a refusal are for people."""

from __future__ import annotations

from service.domain.estimate.card import read_flavor
from service.domain.estimate.verdict import Verdict, judge


def test_a_disk_that_nobody_has_is_not_counted_out() -> None:
    card = {"type": "gpu", "model": "T4", "quantity": "1", "vram": "16 GB"}
    flavor = read_flavor({"name": "t4-small", "accelerator": card, "ephemeralStorage": "50 GB"}, None)
    assert judge(flavor, 1, 60, on_cpu=False) == (Verdict.DOES_NOT_FIT, "It needs 60 GB of disk; t4-small has 50.")
    _, told = judge(flavor, 1, 3e24, on_cpu=False)
    assert told == "It needs more than 1,000,000 GB of disk; t4-small has 50."
