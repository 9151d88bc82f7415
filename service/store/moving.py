"""All that is in one database is copied into another, in one transaction there, and compared before it is committed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Table
from sqlalchemy.schema import AddConstraint, DropConstraint
from sqlmodel import Session, SQLModel

from service.store.engine import open_engine

BATCH = 1000
Row = dict[str, Any]


class NotMoved(Exception):
    """Why nothing was moved."""


@dataclass(frozen=True)
class Moved:
    """How many rows of each table, and what the ledger comes to: micro-dollars by kind."""

    rows: dict[str, int]
    ledger: dict[str, int]


def move_all(source_url: str, target_url: str, lock: int, check: Callable[[Session], None]) -> Moved:
    """Copy a SQLite database's rows into an empty PostgreSQL of the same schema. Nobody writes to either meanwhile:
    the source is held as its one writer does, the target by the advisory lock under which a service that starts
    migrates. `check` looks at what has arrived. Raises NotMoved, or what `check` does; then nothing has changed."""
    source_engine, target_engine = open_engine(source_url), open_engine(target_url, patient=True)
    try:
        with (
            source_engine.connect().execution_options(is_writer=True) as source,
            source.begin(),
            target_engine.connect() as target,
            target.begin(),
        ):
            target.exec_driver_sql(f"SELECT pg_advisory_xact_lock({lock})")
            if used := [name for name, rows in _counts(target).items() if rows]:
                raise NotMoved(f"the target is not empty: it has rows in {', '.join(used)}")
            _copy(source, target)
            check(Session(target))
            return _compare(source, target)
    finally:
        source_engine.dispose()
        target_engine.dispose()


def _copy(source: Connection, target: Connection) -> None:
    for table in SQLModel.metadata.sorted_tables:
        # Rows of one table that name each other come in any order: the rule is put back over all of them.
        inner = [rule for rule in table.foreign_key_constraints if rule.referred_table is table]
        for rule in inner:
            target.execute(DropConstraint(rule))
        rows = _rows(source, table)
        while batch := list(islice(rows, BATCH)):
            target.execute(_receiving(table).insert(), batch)
        for rule in inner:
            target.execute(AddConstraint(rule, isolate_from_table=False))
        if table.autoincrement_column is not None:
            _go_on(target, table, table.autoincrement_column)


def _rows(source: Connection, table: Table) -> Iterator[Row]:
    """As Python has them. JSON is read as its text, or an SQL null and a JSON null would be the same."""
    columns = [column for column in table.columns if column.computed is None]
    texts = {column.name for column in columns if isinstance(column.type, sa.JSON)}
    query = sa.select(*(sa.type_coerce(one, sa.Text) if one.name in texts else one for one in columns))
    for row in source.execution_options(yield_per=BATCH).execute(query.order_by(*table.primary_key)):
        values = dict(zip((column.name for column in columns), row, strict=True))
        yield {name: _json(value) if name in texts else value for name, value in values.items()}


def _json(text: str | None) -> Any:
    if text is None:
        return None
    value = json.loads(text)
    return sa.JSON.NULL if value is None else value


def _receiving(table: Table) -> sa.TableClause:
    """The table as it takes rows: None is an SQL null everywhere."""
    kinds = {
        one.name: sa.JSON(none_as_null=True) if isinstance(one.type, sa.JSON) else one.type
        for one in table.columns
        if one.computed is None
    }
    return sa.table(table.name, *(sa.column(name, kind) for name, kind in kinds.items()))


def _go_on(target: Connection, table: Table, key: sa.Column[int]) -> None:
    """The next number that the database gives is one that no row has."""
    last = target.execute(sa.select(sa.func.max(key))).scalar_one()
    sequence = target.execute(sa.select(sa.func.pg_get_serial_sequence(table.name, key.name))).scalar_one()
    if last is not None and sequence is not None:
        target.execute(sa.select(sa.func.setval(sequence, last)))


def _compare(source: Connection, target: Connection) -> Moved:
    counts, arrived = _counts(source), _counts(target)
    if wrong := [name for name, rows in counts.items() if arrived[name] != rows]:
        raise NotMoved(f"not every row arrived of {', '.join(wrong)}")
    sums, there = _ledger(source), _ledger(target)
    if sums != there:
        raise NotMoved(f"the ledger's sums differ: {sums} here, {there} there")
    return Moved(counts, dict(_sum_by_kind(source)))


def _counts(connection: Connection) -> dict[str, int]:
    return {
        table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        for table in SQLModel.metadata.sorted_tables
    }


def _ledger(connection: Connection) -> list[tuple[str, str, int, int]]:
    """Of each window and kind: how many entries, and their sum."""
    entry, bound = (SQLModel.metadata.tables[name] for name in ("ledger_entry", "reservation_window"))
    query = (
        sa.select(bound.c.window_id, entry.c.kind, sa.func.count(), sa.func.sum(entry.c.amount_micro_usd))
        .select_from(entry.outerjoin(bound, bound.c.submission == entry.c.submission))
        .group_by(bound.c.window_id, entry.c.kind)
    )
    return sorted(
        (window or "", kind, number, int(amount)) for window, kind, number, amount in connection.execute(query)
    )


def _sum_by_kind(connection: Connection) -> list[tuple[str, int]]:
    entry = SQLModel.metadata.tables["ledger_entry"]
    query = sa.select(entry.c.kind, sa.func.sum(entry.c.amount_micro_usd)).group_by(entry.c.kind)
    return [(kind, int(amount)) for kind, amount in connection.execute(query)]
