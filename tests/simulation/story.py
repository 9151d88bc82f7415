"""One seed from beginning to end."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from service.flow import prices
from service.migrate import migrate
from tests.simulation.actions import ASIDE, WEIGHTS, act
from tests.simulation.drawing import draw_budget, draw_limit
from tests.simulation.people import People
from tests.simulation.trace import Violation
from tests.simulation.verdict import drain, judge
from tests.simulation.world import World

STEPS = 60
MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Outcome:
    """What became of a seed: `violation` None where all invariants held."""

    seed: int
    digest: str
    violation: Violation | None
    text: str
    jobs: int
    runs: int


@lru_cache(maxsize=1)
def template() -> bytes:
    """A migrated database, made once."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "template.db"
        migrate(f"sqlite:///{path}")
        return path.read_bytes()


@lru_cache(maxsize=1)
def home() -> Path:
    """A folder of this process, in memory where there is room for that; it goes when the process does."""
    folder = Path(tempfile.mkdtemp(prefix="simulation-", dir=MEMORY if MEMORY.is_dir() else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def tell(seed: int, steps: int = STEPS, replicas: int = 1) -> Outcome:
    """Simulate a seed."""
    path = home() / "tunegate.db"
    for left_over in home().iterdir():
        left_over.unlink()
    path.write_bytes(template())
    world = World(seed, path, replicas)
    try:
        return _tell(seed, world, steps)
    finally:
        world.close()


def _tell(seed: int, world: World, steps: int) -> Outcome:
    violation = None
    people = People(world)
    try:
        _begin(world, people)
        world.aside = lambda aside: act(aside, people, ASIDE)
        for world.trace.step in range(1, steps + 1):
            act(world, people, WEIGHTS)
            world.look()
        drain(world, people)
        judge(world, people)
    except Violation as error:
        violation = error
        world.note(f"VIOLATION {error}")
    return Outcome(
        seed, world.trace.digest, violation, world.trace.text(), len(world.truth.jobs), len(world.witness.runs)
    )


def _begin(world: World, people: People) -> None:
    """Teams with what they may spend and use, and a list of prices, before anything can go wrong."""
    world.is_calm = True
    for name in world.mood.teams:
        budget = draw_budget(world.chance) if world.chance.random() < 0.9 else None
        people.found_team(name, draw_limit(world.chance), budget)
    prices.run_once(world.gate)
    world.is_calm = False
