"""archive: a team that takes no more runs is closed once its last one has ended and been told of: its keys, endpoints
and named secrets with it, and its own tokens when nothing is left to be done with them.

Nothing of it is removed. What it did and spent stays where it is, for admins to read.
"""

from __future__ import annotations

from functools import partial

import structlog
from sqlmodel import Session

from service.flow.each import each
from service.flow.gate import Gate
from service.store import teams

log = structlog.get_logger()


def run_once(gate: Gate) -> int:
    """Close what can be closed, and forget tokens that nothing needs any more; how many of both."""
    with gate.db.read() as session:
        idle, has_tokens = teams.to_close(session), bool(teams.with_idle_tokens(session))
    closed = sum(bool(each("archive", name, partial(_close, gate, name))) for name in idle)
    return closed + (gate.write(teams.forget_tokens) if has_tokens else 0)


def _close(gate: Gate, name: str) -> bool:
    def work(session: Session) -> bool:
        return teams.close(session, name, gate.clock())

    if is_closed := gate.write(work):
        log.info("team_archived", team=name)
    return is_closed
