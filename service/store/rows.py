"""New rows, inserted at once: several times as fast as a session's flush. A work that only adds leaves its own to its
group (`store/db.py`), which inserts those of all its works together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from typing import Any, TypeVar

from sqlalchemy import Connection, Dialect
from sqlalchemy.orm import class_mapper, make_transient_to_detached
from sqlmodel import Session, SQLModel

Row = TypeVar("Row", bound=SQLModel)
LEFT = "rows left to the group"


def new(kind: type[Row], **values: Any) -> Row:
    """A row that is not stored yet: what `kind(**values)` makes, without setting each of eighty columns by itself."""
    constants, makers = _defaults(kind)
    row: Row = class_mapper(kind).class_manager.new_instance()
    row.__dict__.update(constants)
    row.__dict__.update({name: make() for name, make in makers if name not in values})
    row.__dict__.update(values)
    return row


def insert(session: Session, rows: Sequence[SQLModel]) -> None:
    """Insert rows that are not the session's, and do not become it; or leave them to the group."""
    if rows and not leave(session, rows):
        session.flush()  # what they refer to may be waiting there
        put(session.connection(), rows)


def let_leave(session: Session, left: list[SQLModel]) -> None:
    """Have this session's work leave its rows here instead of inserting them."""
    session.info[LEFT] = left


def leave(session: Session, rows: Iterable[SQLModel]) -> bool:
    """Leave rows to the group; False, and nothing is done, where the work is to insert them itself."""
    left: list[SQLModel] | None = session.info.get(LEFT)
    if left is None:
        return False
    left.extend(rows)
    return True


def put(connection: Connection, rows: Iterable[SQLModel]) -> None:
    """Insert rows of any tables: a statement for each table, after those that it refers to."""
    by_kind: dict[type[SQLModel], list[SQLModel]] = defaultdict(list)
    for row in rows:
        by_kind[type(row)].append(row)
    for kind in sorted(by_kind, key=_depth):
        statement, bind = _insertion(kind, connection.dialect)
        connection.exec_driver_sql(statement, [bind(row.__dict__) for row in by_kind[kind]])


def adopt(session: Session, row: SQLModel) -> None:
    """A row that was just inserted is the session's from now on, as if it had flushed it: changes of it are written.
    One that was left to the group needs nothing for that: it is inserted as it is in the end."""
    if LEFT in session.info:
        return
    make_transient_to_detached(row)
    session.add(row)


@cache
def _defaults(kind: type[SQLModel]) -> tuple[dict[str, Any], list[tuple[str, Callable[[], Any]]]]:
    """What fields hold that are not given: the same for all rows, and what is made for each."""
    optional = {name: field for name, field in kind.model_fields.items() if not field.is_required()}
    constants = {name: field.default for name, field in optional.items() if field.default_factory is None}
    makers: list[Any] = [(name, field.default_factory) for name, field in optional.items() if field.default_factory]
    return constants, makers


@cache
def _depth(kind: type[SQLModel]) -> int:
    """A table's place in an order in which each comes after those that it refers to."""
    return kind.metadata.sorted_tables.index(kind.__table__)  # type: ignore[attr-defined]


@lru_cache(maxsize=256)  # for the tables of a few databases
def _insertion(kind: type[SQLModel], dialect: Dialect) -> tuple[str, Callable[[dict[str, Any]], Any]]:
    """What inserts a row of a kind, and what makes the driver's parameters of its values: of every column but those
    that the database computes. SQLAlchemy would ask what each of eighty columns is anew for each row."""
    table: Any = kind.__table__  # type: ignore[attr-defined]
    types = {column.key: column.type.dialect_impl(dialect) for column in table.columns if column.computed is None}
    compiled = table.insert().compile(dialect=dialect, column_keys=list(types))
    names = compiled.positiontup if compiled.positional else list(types)
    binds = [(name, types[name].bind_processor(dialect)) for name in names]

    def in_order(values: dict[str, Any]) -> tuple[Any, ...]:
        return tuple([values[name] if bind is None else bind(values[name]) for name, bind in binds])

    def by_name(values: dict[str, Any]) -> dict[str, Any]:
        return {name: values[name] if bind is None else bind(values[name]) for name, bind in binds}

    return str(compiled), in_order if compiled.positional else by_name
