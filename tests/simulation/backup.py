"""A copy of the database, and the day on which it is put back."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlmodel import Session

from service.store import home
from service.store.engine import open_engine
from service.store.home import ForeignDatabase, Home
from tests.simulation.people import People
from tests.simulation.process import KEY
from tests.simulation.trace import Violation
from tests.simulation.world import World

# Putting one back takes longer than a create call may be under way and its job be missing in lists.
SHORTEST_OUTAGE_MS = 151_000


@dataclass(frozen=True)
class Backup:
    """One copy, as `sqlite3 .backup` makes it, and the true time it was made at."""

    path: Path
    made_at: datetime

    def put_back(self, world: World, people: People) -> None:
        """Every process dies; after an outage they start on the copy. It knows nothing of what came after it."""
        for process in world.processes:
            process.stop()
        world.note(f"the database is lost; the backup of {self.made_at:%d %H:%M:%S} is put back")
        world.turn(world.chance.randint(SHORTEST_OUTAGE_MS, 3 * SHORTEST_OUTAGE_MS))
        world.witness.database.close()
        for suffix in ("", "-wal", "-shm"):
            world.path.with_name(world.path.name + suffix).unlink(missing_ok=True)
        world.path.write_bytes(self.path.read_bytes())
        world.witness.reopen()
        world.truth.forget(world.witness.database, world.witness.runs)
        people.forget()
        for process in world.processes:
            process.start()

    def start_elsewhere(self, world: World) -> None:
        """Somebody starts a service on the copy in a folder that keeps another installation's id: it refuses."""
        folder = self.path.parent / "elsewhere"
        folder.mkdir(exist_ok=True)
        (folder / home.ID_FILE).write_text("ins_of_another_folder\n")
        engine = open_engine(f"sqlite:///{self.path}")
        try:
            with Session(engine) as session:
                home.move_in(session, Home(folder, key_setting=KEY), world.clock.wall())
        except ForeignDatabase:
            world.note("a copy of the database refuses to start elsewhere")
        else:
            raise Violation(3, "a copied database would touch the jobs of the one that it was copied from")
        finally:
            engine.dispose()


def make_backup(world: World, number: int) -> Backup:
    """A copy of what is committed now."""
    path = world.path.with_name(f"backup-{number}.db")
    copy = sqlite3.connect(path)
    world.witness.database.backup(copy)
    copy.close()
    world.note(f"backup {number} is made")
    return Backup(path, world.clock.true)
