"""One seed from beginning to end."""

from __future__ import annotations

import atexit
import gc
import shutil
import tempfile
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from service.migrate import migrate
from service.store.budgets import Owner
from service.store.tables import Endpoint
from tests.factories import make_credentials
from tests.simulation.actions import ASIDE, WEIGHTS, Actions, act
from tests.simulation.drawing import draw_limit, draw_owner, draw_period, draw_terms
from tests.simulation.leads import Leads
from tests.simulation.origins import Origins
from tests.simulation.people import People
from tests.simulation.process import NAMESPACE, TEAM_CONTROL_TOKEN, TEAM_JOB_TOKEN
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
        shutil.rmtree(left_over) if left_over.is_dir() else left_over.unlink()
    path.write_bytes(template())
    world = World(seed, path, replicas)
    gc.disable()  # a seed leaves little behind, and looking for it takes a fifth of the time
    try:
        return _tell(seed, world, steps)
    finally:
        world.close()
        gc.enable()


def _tell(seed: int, world: World, steps: int) -> Outcome:
    violation = None
    actions = Actions(world, People(world), Leads(world), Origins(world))
    try:
        _begin(world, actions.leads)
        world.weather.aside = partial(_act_aside, actions)
        world.weather.storm = partial(_act_without_one, actions)
        for world.trace.step in range(1, steps + 1):
            act(actions, WEIGHTS)
            world.look()
        drain(world, actions.leads, actions.origins)
        judge(world, actions.people, actions.origins)
    except Violation as error:
        violation = error
        world.note(f"VIOLATION {error}")
    return Outcome(
        seed, world.trace.digest, violation, world.trace.text(), len(world.truth.jobs), len(world.witness.runs)
    )


def _bring_tokens(world: World, team: str) -> None:
    """From the start on the team has tokens of its own, for the same namespace."""
    pair = (TEAM_CONTROL_TOKEN, TEAM_JOB_TOKEN)
    vault, now = world.gate.vault, world.clock.wall()
    world.gate.db.write(lambda session: make_credentials(session, vault, now, team, pair, NAMESPACE) and None)
    world.secrets.own_tokens = team


def _act_aside(actions: Actions) -> None:
    act(actions, ASIDE)
    actions.world.truth.look(actions.world.witness.runs, actions.world.clock.true)


def _act_without_one(actions: Actions) -> None:
    """One thread sleeps for minutes, or its whole process does; all others go on."""
    world = actions.world
    others = [process for process in world.processes if process is not world.threads.process]
    awake = others if others and world.chance.random() < 0.5 else world.processes
    for _ in range(world.chance.randint(3, 9)):
        world.turn(world.chance.randint(5_000, 60_000))
        world.threads.run_all(world.chance.choice(awake))


def _begin(world: World, leads: Leads) -> None:
    """Teams with what they may spend and use, somebody who listens, and prices, before anything can go wrong."""
    world.weather.is_calm = True
    now = world.clock.wall()
    listener = Endpoint(id="end_all", url="https://listener.test", events=["*"], sealed_address=b"", created_at=now)
    world.gate.db.write(lambda session: session.add(listener))
    for name in world.mood.teams:
        leads.found_team(name)
        if name == world.mood.teams[0] and world.seed % 2:
            _bring_tokens(world, name)
        if world.chance.random() < 0.5:
            leads.limit(name, draw_limit(world.chance), draw_limit(world.chance))
        if world.chance.random() < 0.9:
            leads.budget(Owner(name), draw_period(world.chance), draw_terms(world.chance))
    if world.chance.random() < 0.5:
        leads.budget(draw_owner(world.chance, world.mood.teams), draw_period(world.chance), draw_terms(world.chance))
    for process in world.processes:
        world.threads.run_step(process, "prices")
    world.weather.is_calm = False
