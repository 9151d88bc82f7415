"""Tables whose rows are added and never changed: the database itself refuses, whoever asks.

A table says so by `{"info": {"append_only": True}}`; drafts of migrations carry it as `op.append_only("name")`.
"""

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import MigrateOperation, MigrationScript, Operations
from alembic.operations.ops import CreateTableOp

SQLITE = """CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table}
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"""

POSTGRESQL_FUNCTION = """CREATE OR REPLACE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$"""
POSTGRESQL = """CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()"""


@Operations.register_operation("append_only")
class AppendOnly(MigrateOperation):
    """`op.append_only(table)`."""

    def __init__(self, table: str) -> None:
        self.table = table

    @classmethod
    def append_only(cls, operations: Operations, table: str) -> None:
        """From now on rows of the table are neither changed nor removed."""
        operations.invoke(cls(table))


@Operations.implementation_for(AppendOnly)
def _install(operations: Operations, operation: AppendOnly) -> None:
    for statement in statements(operation.table, operations.get_bind().dialect.name):
        operations.execute(statement)


@renderers.dispatch_for(AppendOnly)
def _render(_context: AutogenContext, operation: AppendOnly) -> str:
    return f"op.append_only({operation.table!r})"


def statements(table: str, dialect: str) -> list[str]:
    """The triggers, in a database's own words."""
    if dialect == "postgresql":
        return [POSTGRESQL_FUNCTION.format(table=table), POSTGRESQL.format(table=table)]
    return [SQLITE.format(table=table, verb=verb) for verb in ("UPDATE", "DELETE")]


def add_to_draft(_context: object, _revision: object, directives: list[MigrationScript]) -> None:
    """After each new table that says that it is one, the operation."""
    for script in directives:
        made = [one for one in script.upgrade_ops.ops if isinstance(one, CreateTableOp)] if script.upgrade_ops else []
        script.upgrade_ops.ops += [AppendOnly(one.table_name) for one in made if one.info.get("append_only")]
