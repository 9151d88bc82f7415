"""What may happen next: a weighted choice among steps, people, Hugging Face's own doings, and time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random

from service.domain.run import RunState
from service.sandbox.jobs import Job
from tests.simulation.drawing import draw_body, draw_budget, draw_faults, draw_limit, draw_span_ms
from tests.simulation.people import People, Promise
from tests.simulation.world import STEPS, World

ENDINGS: tuple[dict[str, object], ...] = (
    {"stage": "CANCELED"},
    {"stage": "CANCELED", "cancelReason": "NO_CREDITS"},
    {"stage": "ERROR", "message": "Job failed with exit code: 1. Reason: Error."},
    {"stage": "COMPLETED"},
    {"delete": True},
)
Action = Callable[[World, People, Random], None]


def one_step(world: World, _people: People, chance: Random) -> None:
    """A pass of one step."""
    world.run_step(chance.choice(world.processes), chance.choice(tuple(STEPS)))


def all_steps(world: World, _people: People, chance: Random) -> None:
    """A pass of every step."""
    world.run_all(chance.choice(world.processes))


def submit(world: World, people: People, chance: Random) -> None:
    """A new run, half of the time under a key."""
    team = chance.choice(world.mood.teams)
    body = draw_body(chance)
    world.secrets.values += body.get("secrets", {}).values()
    promise = None
    if chance.random() < 0.5:
        promise = Promise(team, f"key-{len(people.promises)}", body)
        people.promises.append(promise)
    people.submit(team, body, promise)


def repeat(world: World, people: People, chance: Random) -> None:
    """A request that was made before; now and then its key comes with another body."""
    if not people.promises:
        return
    promise = chance.choice(people.promises)
    body = promise.body
    if chance.random() < 0.25:
        body = {**body, "priority": 7}
    people.submit(promise.team, body, promise)


def cancel(world: World, people: People, chance: Random) -> None:
    """Somebody wants a run stopped."""
    going = [seen.id for seen in world.witness.runs.values() if not seen.state.is_terminal]
    if going:
        people.cancel(chance.choice(going))


def budget(world: World, people: People, chance: Random) -> None:
    """More money, or less."""
    people.budget(chance.choice(world.mood.teams), draw_budget(chance))


def limit(world: World, people: People, chance: Random) -> None:
    """More slots, or fewer."""
    people.limit(chance.choice(world.mood.teams), draw_limit(chance))


def wait(world: World, _people: People, chance: Random) -> None:
    """Time passes."""
    world.turn(draw_span_ms(chance))


def set_clock(world: World, _people: People, chance: Random) -> None:
    """Somebody sets the machine's clock: forward, or a little back."""
    if world.mood.clock_jumps:
        jump = chance.choice((-2_000, -300, 500, 150_000, 400_000, 7_200_000))
        world.note(f"the wall clock is set by {jump} ms")
        world.clock.jump(jump)


def switch_faults(world: World, _people: People, chance: Random) -> None:
    """Hugging Face gets worse, or well again."""
    faults = draw_faults(chance, 120) if chance.random() < 0.6 else {}
    world.note(f"faults: {faults}")
    world.faults(**faults)


def change_price(world: World, _people: People, chance: Random) -> None:
    """Hugging Face changes a price."""
    row = chance.choice(world.hardware)
    row["unitCostMicroUSD"] = max(1, round(row["unitCostMicroUSD"] * chance.choice((0.5, 0.9, 1.2, 2))))
    world.note(f"price of {row['name']}: {row['unitCostMicroUSD']}")


def publish(world: World, _people: People, chance: Random) -> None:
    """A job that writes to a repository does so."""
    repos = sorted({job.spec.environment.get("TUNEGATE_OUTPUT_REPO", "") for job in world.truth.live()} - {""})
    if repos:
        repo = chance.choice(repos)
        content = chance.randbytes(8)
        world.core.hub.publish("model", repo, {"model.safetensors": content}, world.clock.true)
        world.note(f"published to {repo}")


def end_job(world: World, _people: People, chance: Random) -> None:
    """A job ends as only Hugging Face could end it."""
    if job := _some_job(world, chance):
        # one that vanishes before anybody saw it cannot be told from one that was never made
        ending = chance.choice(ENDINGS if _is_going(world, job) else ENDINGS[:-1])
        world.note(f"job {job.id[-6:]} ends: {ending}")
        world.force(job.id, **ending)


def tell_secret(world: World, _people: People, chance: Random) -> None:
    """A job prints a secret that it was given."""
    if (job := _some_job(world, chance)) and job.spec.secrets:
        value = job.spec.secrets[chance.choice(sorted(job.spec.secrets))]
        world.core.append_log(job.id, f"RuntimeError: 401 for {value}", world.clock.true)
        world.note(f"job {job.id[-6:]} prints a secret")


def run_over(world: World, _people: People, chance: Random) -> None:
    """Hugging Face finds that a job has been running for longer than it said."""
    if (job := _some_job(world, chance)) and job.started_at is not None:
        job.started_at -= timedelta(minutes=chance.randint(1, 90))
        world.note(f"job {job.id[-6:]} started at {job.started_at:%H:%M:%S}, says Hugging Face now")


def crash(world: World, _people: People, chance: Random) -> None:
    """A process dies between two steps."""
    process = chance.choice(world.processes)
    if not process.busy and world.mood.kill:
        process.die()
        world.note(f"{process.name} starts again as {process.gate.boot}")


def _some_job(world: World, chance: Random) -> Job | None:
    """A live job; one whose run is known to the service more often than not."""
    live = world.truth.live()
    going = [job for job in live if _is_going(world, job)]
    return chance.choice(going or live) if live else None


def _is_going(world: World, job: Job) -> bool:
    seen = world.witness.runs.get(job.labels.get("tunegate-run", ""))
    return seen is not None and seen.state in (RunState.STARTING, RunState.RUNNING)


WEIGHTS: dict[Action, int] = {
    one_step: 24,
    all_steps: 22,
    wait: 16,
    submit: 16,
    repeat: 4,
    cancel: 3,
    budget: 2,
    limit: 2,
    set_clock: 2,
    switch_faults: 5,
    change_price: 1,
    publish: 3,
    end_job: 5,
    tell_secret: 2,
    run_over: 1,
    crash: 1,
}

# Beside a request under way: no whole rounds, and no crash but those at the cuts.
ASIDE = {action: weight for action, weight in WEIGHTS.items() if action not in (all_steps, crash, switch_faults, wait)}


def act(world: World, people: People, weights: dict[Action, int]) -> None:
    """The next thing that happens."""
    (chosen,) = world.chance.choices(tuple(weights), tuple(weights.values()))
    chosen(world, people, world.chance)
