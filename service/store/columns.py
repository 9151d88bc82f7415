"""Kinds of columns that mean the same on SQLite and PostgreSQL, and the names of constraints."""

from datetime import UTC, datetime

from sqlalchemy import BigInteger, DateTime, Dialect, Index, Integer, MetaData, text
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import SQLModel

# Named constraints: SQLite's batch migrations can only drop what has a name.
SQLModel.metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Rows are not validated by pydantic, so it need not build what would.
SQLModel.model_config["defer_build"] = True

# Where an index keeps its condition for PostgreSQL.
POSTGRESQL_WHERE = "postgresql_where"


def index_where(where: str, name: str, *columns: str, postgresql: str | None = None, unique: bool = False) -> Index:
    """An index of the rows of which `where` is true, on both databases; `postgresql` where that says it otherwise.
    SQLAlchemy loads its whole PostgreSQL for a condition of PostgreSQL's: migrations give it, with `for_postgresql`."""
    info = {POSTGRESQL_WHERE: text(postgresql or where)}
    return Index(name, *columns, unique=unique, sqlite_where=text(where), info=info)


def for_postgresql(metadata: MetaData) -> None:
    """Give partial indexes their condition on PostgreSQL."""
    for index in (index for table in metadata.tables.values() for index in table.indexes):
        if POSTGRESQL_WHERE in index.info:
            index.dialect_options["postgresql"]["where"] = index.info[POSTGRESQL_WHERE]


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC on both databases. SQLite keeps no zone: it is taken off on the way in and put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times: their meaning would be a guess."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone reached the database")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Hand out aware UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# SQLite gives an autoincrementing key only to INTEGER; its integers are 64 bits wide all the same.
BigId: TypeEngine[int] = BigInteger().with_variant(Integer, "sqlite")
