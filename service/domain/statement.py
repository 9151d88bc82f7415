"""A billing statement as CSV: what Hugging Face billed for each job, in micro-USD."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import NoReturn

from service.domain.errors import Invalid
from service.domain.money import MICRO, MOST_MICRO_USD

JOB_COLUMNS = ("job_id", "jobId")
# a cost column, and what its unit is in micro-dollars
COST_COLUMNS = {"cost_usd": MICRO, "totalCostMicroUsd": 1}
JOB_ID = re.compile(r"[0-9A-Za-z]{1,64}")
AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,30})?")


def read_statement(content: bytes) -> dict[str, int]:
    """Micro-dollars by job id. Other columns are passed over, amounts rounded to the micro-dollar. Raises Invalid,
    with the line and the rule, for the first row that is not right: then none counts."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _refuse(content[: error.start].count(b"\n") + 1, "the text is not UTF-8")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        job, cost = _column(header, JOB_COLUMNS), _column(header, tuple(COST_COLUMNS))
        unit = COST_COLUMNS[header[cost]]
        costs: dict[str, int] = {}
        for row in reader:
            if row:
                job_id, amount = _read(row, header, job, cost, reader.line_num)
                if job_id in costs:
                    _refuse(reader.line_num, f"job '{job_id}' is there twice", header[job])
                costs[job_id] = round(amount * unit)
                if costs[job_id] >= MOST_MICRO_USD:
                    _refuse(reader.line_num, "an amount is less than a million dollars", header[cost])
    except csv.Error as error:
        _refuse(max(1, reader.line_num), f"no CSV ({error})")
    return costs


def _read(row: Sequence[str], header: Sequence[str], job: int, cost: int, line: int) -> tuple[str, Decimal]:
    if len(row) != len(header):
        _refuse(line, f"the header has {len(header)} columns, the row {len(row)}")
    job_id, amount = row[job].strip(), row[cost].strip()
    if not JOB_ID.fullmatch(job_id):
        _refuse(line, "a job id has 1 to 64 letters and digits", header[job])
    if not AMOUNT.fullmatch(amount):
        _refuse(line, "an amount is a number such as 0.05, not negative and without a currency sign", header[cost])
    return job_id, Decimal(amount)


def _column(header: Sequence[str], names: Sequence[str]) -> int:
    found = [index for index, name in enumerate(header) if name in names]
    if len(found) != 1:
        _refuse(1, f"the header must have one column named {' or '.join(names)}")
    return found[0]


def _refuse(line: int, rule: str, field: str | None = None) -> NoReturn:
    raise Invalid(
        f"line {line}: {rule}", field=field, remedy="Nothing was imported; mend the line and send it all.", line=line
    )
