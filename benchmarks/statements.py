"""What one piece of work sends to the database: how many statements, how long they take, how many rows come back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, event


@dataclass(frozen=True)
class Sent:
    """One statement as the driver was given it; `is_many`: once for each item of `parameters`."""

    text: str
    parameters: Any
    is_many: bool


@dataclass
class Statements:
    """Everything sent, in order. `seconds` is the time inside the driver's execute calls, without fetching."""

    sent: list[Sent] = field(default_factory=list)
    seconds: float = 0.0
    _since: float = 0.0

    @property
    def count(self) -> int:
        """Round trips: one that is sent for many items counts once."""
        return len(self.sent)


@contextmanager
def recorded(engine: Engine) -> Iterator[Statements]:
    """Record every statement of an engine's connections."""
    found = Statements()

    def before(_c: Any, _cursor: Any, text: str, parameters: Any, _context: Any, executemany: bool) -> None:
        found.sent.append(Sent(text, parameters, executemany))
        found._since = time.perf_counter()

    def after(*_: Any) -> None:
        found.seconds += time.perf_counter() - found._since

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", before)
        event.remove(engine, "after_cursor_execute", after)
