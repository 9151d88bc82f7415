"""Reading step, loss and ETA out of logs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.progress import Progress, read


def test_transformers_5_prints_quoted_numbers_and_a_bar() -> None:
    lines = [
        " 25%|██▌       | 5/20 [00:10<00:30, 2.05s/it]{'loss': '6.064', 'grad_norm': '3.6', 'epoch': '0.05'}",
        " 50%|█████     | 10/20 [00:20<01:00:05, 2.05s/it]\r 55%|█████     | 11/20 [00:22<00:18, 2.05s/it]",
    ]
    assert read(lines) == Progress(step=11, total_steps=20, loss=6.064, eta_seconds=18)


def test_transformers_4_prints_floats() -> None:
    assert read(["{'loss': 1.25, 'learning_rate': 5e-05, 'epoch': 1.0}"]).loss == 1.25


def test_a_script_may_print_step_and_total_itself() -> None:
    line = "{'loss': '0.5', 'step': 20, 'total_steps': 300}"
    assert read([line]) == Progress(step=20, total_steps=300, loss=0.5)


def test_another_bar_is_not_the_training_bar() -> None:
    known = Progress(step=5, total_steps=20)
    assert read(["Writing model shards: 100%|██████| 1/1 [00:00<00:00, 9.1it/s]"], known) == known


def test_nan_is_no_loss_to_show() -> None:
    assert read(["{'loss': 'nan', 'grad_norm': 'nan'}"]).loss is None


@pytest.mark.parametrize(
    "line",
    [
        "{'a', [1]}",
        "{'loss': " + "-" * 1900 + "1}",
        "9" * 5000 + "/" + "9" * 5000 + " [00:01<00:02",
        "1" * 40_000,
        "{'step': 1e300}",
    ],
)
def test_odd_lines_cost_nothing_and_say_nothing(line: str) -> None:
    assert read([line] * 20) == Progress()


@given(lines=st.lists(st.text()))
def test_no_line_breaks_it(lines: list[str]) -> None:
    read(lines)
    read([f"{{'{line}" for line in lines] + [f"{line}}}" for line in lines])
