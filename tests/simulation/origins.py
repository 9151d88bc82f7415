"""What makes runs by itself: members' schedules and sweeps, made through the functions of the API's own routes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import Session

from service.api import schedules, sweeps
from service.api.auth import Caller
from service.api.schedule_schemas import ScheduleCreate, SchedulePatch
from service.api.state import State
from service.api.sweep_schemas import SweepCreate, SweepPatch
from service.domain.access import Role
from service.domain.errors import ServiceError
from service.flow.enqueue import Submitter
from tests.simulation.leads import ADMIN
from tests.simulation.process import NAMESPACE
from tests.simulation.trace import demand
from tests.simulation.world import World

OPEN = "SELECT id, kind FROM origin WHERE ended_at IS NULL ORDER BY id"
KNOWN = "SELECT id FROM origin"
POINTS = "SELECT sweep, count(*) FROM sweep_point GROUP BY sweep"
UNENDED = (
    "SELECT s.id FROM sweep s JOIN budget b ON b.id = s.budget"
    " WHERE s.ended_at IS NULL OR b.ended_at IS NULL ORDER BY s.id"
)
# A planned time makes one run: its key says which time that is.
WITHOUT_TIME = (
    "SELECT r.id FROM run r JOIN origin o ON o.id = r.origin AND o.kind = 'schedule' WHERE r.parent IS NULL"
    " AND NOT EXISTS (SELECT 1 FROM idempotency_key k WHERE k.run_id = r.id AND k.key LIKE o.id || '/%') ORDER BY 1"
)


@dataclass
class Origins:
    """Everyone who has runs made, with a memory of every sweep that was answered."""

    world: World
    swept: dict[str, int] = field(default_factory=dict)

    def schedule(self, team: str, user: str, fields: dict[str, Any]) -> None:
        """POST /schedules."""
        body = ScheduleCreate.model_validate({"name": f"every {self._count()}", **fields})
        self._make(
            f"schedule for {team}/{user}: every {body.every} s, {body.overlap}, {body.misfire}",
            lambda session: schedules._create(session, body, _member(team, user), self._app(), self._now()),
        )

    def sweep(self, team: str, user: str, fields: dict[str, Any]) -> None:
        """POST /sweeps. What is answered has every point."""
        body = SweepCreate.model_validate({"name": f"swept {self._count()}", **fields})
        made = self._make(
            f"sweep for {team}/{user}: {len(body.asked())} points for {body.max_cost_usd} $, {body.early_stopping}",
            lambda session: sweeps._create(
                session, body, _member(team, user), self._app(), self._now(), Submitter(team, user)
            )[0],
        )
        if made is not None:
            self.swept[made["id"]] = len(body.asked())

    def scheduled(self) -> list[str]:
        """The schedules that there are."""
        rows = self.world.witness.database.execute(OPEN).fetchall()
        return [origin_id for origin_id, kind in rows if kind == "schedule"]

    def forget(self) -> None:
        """A backup was put back: what was answered after it was made is lost, as its owner knows."""
        known = {row[0] for row in self.world.witness.database.execute(KNOWN)}
        self.swept = {sweep_id: count for sweep_id, count in self.swept.items() if sweep_id in known}

    def let_go(self) -> None:
        """No schedule makes any more runs, and every sweep has plenty."""
        for origin_id, kind in self.world.witness.database.execute(OPEN).fetchall():
            if kind == "schedule":
                self._make(f"pause {origin_id[-6:]}", self._pause(origin_id))
            else:
                self._make(f"plenty for {origin_id[-6:]}", self._plenty(origin_id))

    def check(self) -> None:
        """Every sweep that was answered has its points, and has ended; each scheduled run has its time."""
        database = self.world.witness.database
        found = dict(database.execute(POINTS).fetchall())
        lacking = {sweep_id: count for sweep_id, count in self.swept.items() if found.get(sweep_id) != count}
        demand(not lacking, 1, f"sweeps without all of their points: {lacking}")
        unended = [row[0] for row in database.execute(UNENDED)]
        demand(not unended, 8, f"sweeps that go on although all of their runs have ended: {unended}")
        timeless = [row[0] for row in database.execute(WITHOUT_TIME)]
        demand(not timeless, 2, f"scheduled runs of no time: {timeless}")

    def _pause(self, origin_id: str) -> Callable[[Session], dict[str, Any]]:
        body = SchedulePatch(paused=True)
        return lambda session: schedules._patch(session, origin_id, body, ADMIN, self._app(), self._now())

    def _plenty(self, origin_id: str) -> Callable[[Session], dict[str, Any]]:
        body = SweepPatch.model_validate({"max_cost_usd": 1_000_000, "max_parallel": 10})
        return lambda session: sweeps._patch(session, origin_id, body, ADMIN, self._now())

    def _make(self, text: str, work: Callable[[Session], dict[str, Any]]) -> dict[str, Any] | None:
        """What came of it; None where it was refused, or the process was killed at it."""
        world = self.world
        made: list[dict[str, Any]] = []

        def act() -> None:
            try:
                made.append(world.gate.db.write(work))
            except ServiceError as error:
                world.note(f"refused: {error}")

        world.note(text)
        world.request(act)
        return made[0] if made else None

    def _app(self) -> State:
        return State(self.world.gate, "tg_admin", NAMESPACE, dict, lambda: True)

    def _now(self) -> Any:
        return self.world.clock.wall()

    def _count(self) -> int:
        return int(self.world.witness.database.execute("SELECT count(*) FROM origin").fetchone()[0])


def _member(team: str, user: str) -> Caller:
    return Caller(Role.MEMBER, team, user)
