"""What a caller changes: the change and its entry in the audit log, in one transaction. Every route that changes
something writes through here (`tests/test_shape.py`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

from sqlmodel import Session

from service.api.auth import Caller
from service.api.state import State
from service.store import audit, topics

T = TypeVar("T")


def write(app: State, caller: Caller, work: Callable[[Session], T], wakes: Sequence[str] = ()) -> T:
    """The value of a work once it is durable, and so is its entry; raises what the work raises, and Busy. The steps
    that it `wakes` have work then, whichever process runs them; `notify` hears of events by itself."""
    return submit(app, caller, work, wakes).result()


def submit(
    app: State, caller: Caller, work: Callable[[Session], T], wakes: Sequence[str] = (), *, only_adds: bool = False
) -> Future[T]:
    """The same without waiting: for routes on the event loop. `only_adds` as for `Database.submit`."""
    deed, now = caller.deed, app.now()
    assert deed is not None, "`authenticate` made this caller"

    def entered(session: Session) -> T:
        team = audit.team_of(session, deed)
        value = work(session)
        audit.enter(session, deed, team, now)
        topics.tell(session, *topics.has_work(*wakes))
        return value

    return app.gate.db.submit(entered, only_adds=only_adds)
