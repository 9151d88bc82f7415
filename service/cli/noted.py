"""What somebody changes by command, for the audit log: the operating system's user, at this machine."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from service.store.db import Database


def note(db: Database, command: str, **change: Any) -> None:
    """Enter it; `change` is what is worth keeping of it, and never a secret."""
    from sqlmodel import Session

    from service.store import audit

    deed = audit.Deed(getpass.getuser(), "admin", "command line", None, f"tunegate {command}", "/installation", {})
    now = datetime.now(UTC)

    def enter(session: Session) -> None:
        audit.about(session, deed.path, **change)
        audit.enter(session, deed, None, now)

    db.write(enter)
