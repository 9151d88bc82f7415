"""archive: a team that takes no more runs is closed once its last one has ended: its keys and endpoints with it.

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
    """Close what can be closed; how many teams."""
    with gate.db.read() as session:
        idle = teams.to_close(session)
    return sum(bool(each("archive", name, partial(_close, gate, name))) for name in idle)


def _close(gate: Gate, name: str) -> bool:
    def work(session: Session) -> bool:
        return teams.close(session, name, gate.clock())

    if is_closed := gate.write(work):
        log.info("team_archived", team=name)
    return is_closed
