"""Statements of bills: what is read, and which line is refused."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.errors import Invalid
from service.domain.statement import read_statement


@pytest.mark.parametrize(
    ("text", "costs"),
    [
        ("job_id,cost_usd\nab1,0.334\n", {"ab1": 334_000}),
        (
            "\ufeffjobId,flavor,totalCostMicroUsd\r\nab1,cpu-basic,334\r\n\r\ncd2,cpu-basic,0\r\n",
            {"ab1": 334, "cd2": 0},
        ),
        ('cost_usd,job_id,note\n0.0000004,ab1,"two\nlines"\n', {"ab1": 0}),
        ("job_id,totalCostMicroUsd\nab1,333.6\n", {"ab1": 334}),
        ("job_id,cost_usd\n", {}),
    ],
)
def test_what_is_read(text: str, costs: dict[str, int]) -> None:
    assert read_statement(text.encode()) == costs


@pytest.mark.parametrize(
    ("content", "line", "rule"),
    [
        (b"", 1, "one column named job_id or jobId"),
        (b"job,cost_usd\n", 1, "one column named job_id or jobId"),
        (b"job_id,price\n", 1, "one column named cost_usd or totalCostMicroUsd"),
        (b"job_id,jobId,cost_usd\n", 1, "one column"),
        (b"job_id,cost_usd\nab1,1\nab1,1\n", 3, "twice"),
        (b"job_id,cost_usd\nab1,1\ncd2\n", 3, "the header has 2 columns, the row 1"),
        (b"job_id,cost_usd\nab1,\n", 2, "an amount is a number"),
        (b"job_id,cost_usd\nab1,-1\n", 2, "an amount is a number"),
        (b"job_id,cost_usd\nab1,nan\n", 2, "an amount is a number"),
        (b"job_id,cost_usd\nab1,1e3\n", 2, "an amount is a number"),
        (b"job_id,cost_usd\nab1,1000000\n", 2, "less than a million dollars"),
        (b"job_id,cost_usd\n../x,1\n", 2, "a job id has"),
        (b'job_id,cost_usd\n"ab1,1\n', 2, "no CSV"),
        (b"job_id,cost_usd\nab1,1\n\xff,1\n", 3, "not UTF-8"),
    ],
)
def test_the_first_wrong_line_is_named(content: bytes, line: int, rule: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_statement(content)
    assert refused.value.extra["line"] == line
    assert f"line {line}: " in refused.value.detail
    assert rule in refused.value.detail


@given(st.binary(max_size=200))
def test_anything_is_read_or_refused(content: bytes) -> None:
    for header in (b"", b"job_id,cost_usd\n"):
        with suppress(Invalid):
            assert all(0 <= cost < 10**12 for cost in read_statement(header + content).values())
