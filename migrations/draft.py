"""Drafts a migration: what the tables have and a freshly migrated database has not. `make migration NAME=…`."""

import sys
import tempfile
from pathlib import Path

from alembic import command

from service.migrate import MIGRATIONS, alembic_config, migrate
from service.store.engine import open_engine


def draft(message: str) -> None:
    """Write a new file below `versions/`; it is read and completed by hand."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'draft.db'}"
        migrate(url)
        engine = open_engine(url)
        with engine.connect() as connection:
            number = len(list((MIGRATIONS / "versions").glob("[0-9]*.py"))) + 1
            command.revision(alembic_config(connection), message, autogenerate=True, rev_id=f"{number:04}")
        engine.dispose()


if __name__ == "__main__":
    draft(sys.argv[1])
