"""Whether a database was there. Told apart without psycopg, which an installation on a file does not load."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree


def is_away(error: BaseException | None) -> bool:
    """Whether PostgreSQL could not be reached or could not do it now: cut off, shut down, starting, without room, held
    by others for too long. Nothing of the transaction is in the database, unless it was in its COMMIT."""
    if isinstance(error, NoConnectionFree):
        return True
    return isinstance(error, OperationalError) and not isinstance(error.orig, sqlite3.Error)
