"""What Hugging Face, its other users and the machines do of themselves."""

from __future__ import annotations

from datetime import timedelta

from service.domain.run import RunState
from service.sandbox.jobs import Job
from tests.simulation.drawing import draw_faults, draw_flavor, draw_span_ms
from tests.simulation.process import NAMESPACE
from tests.simulation.world import OUTPUT_REPO, World

ENDINGS: tuple[dict[str, object], ...] = (
    {"stage": "CANCELED"},
    {"stage": "CANCELED", "cancelReason": "NO_CREDITS"},
    {"stage": "ERROR", "message": "Job failed with exit code: 1. Reason: Error."},
    {"stage": "ERROR", "message": "Internal infrastructure error: the node was lost"},
    {"stage": "COMPLETED"},
    {"delete": True},
)
LAG_SECONDS = 120


def wait(world: World) -> None:
    """Time passes."""
    world.turn(draw_span_ms(world.chance))


def set_clock(world: World) -> None:
    """Somebody sets the machine's clock: forward, or back."""
    if world.mood.clock_error:
        jump = world.chance.choice((-7_200_000, -150_000, -2_000, -300, 500, 150_000, 400_000, 7_200_000))
        world.clock.jump(jump, world.mood.clock_error)
        world.note(f"the wall clock is set by {jump} ms, and is wrong by {world.clock.offset}")


def switch_faults(world: World) -> None:
    """Hugging Face gets worse, or well again."""
    faults = draw_faults(world.chance, LAG_SECONDS) if world.chance.random() < 0.6 else {}
    world.note(f"faults: {faults}")
    world.faults(**faults)


def change_price(world: World) -> None:
    """Hugging Face changes a price."""
    row = world.chance.choice(world.hardware)
    factor = world.chance.choice((0.5, 0.9, 1.2, 2))
    row["unitCostMicroUSD"] = max(1, round(row["unitCostMicroUSD"] * factor))
    world.note_prices()
    world.note(f"price of {row['name']}: {row['unitCostMicroUSD']}")


def strange_commit(world: World) -> None:
    """Somebody else commits to a repository that a job is to publish to."""
    repos = sorted({job.spec.environment.get(OUTPUT_REPO, "") for job in world.truth.live()} - {""})
    if repos:
        repo, content = world.chance.choice(repos), {"model.safetensors": world.chance.randbytes(8)}
        world.core.hub.publish("model", repo, content, world.clock.true, author="somebody")
        world.note(f"somebody commits to {repo}")


def end_job(world: World) -> None:
    """A job ends as only Hugging Face could end it."""
    if job := _some_job(world):
        # one that vanishes before anybody saw it cannot be told from one that was never made
        ending = world.chance.choice(ENDINGS if _is_going(world, job) else ENDINGS[:-1])
        world.note(f"job {job.id[-6:]} ends: {ending}")
        world.outside(f"/sandbox/jobs/{job.id}", ending)


def tell_secret(world: World) -> None:
    """A job prints a secret that it was given."""
    if (job := _some_job(world)) and job.spec.secrets:
        value = job.spec.secrets[world.chance.choice(sorted(job.spec.secrets))]
        world.core.append_log(job.id, f"RuntimeError: 401 for {value}", world.clock.true)
        world.note(f"job {job.id[-6:]} prints a secret")


def run_over(world: World) -> None:
    """Hugging Face finds that a job has been running for longer than it said."""
    if (job := _some_job(world)) and job.started_at is not None:
        job.started_at -= timedelta(minutes=world.chance.randint(1, 90))
        world.note(f"job {job.id[-6:]} started at {job.started_at:%H:%M:%S}, says Hugging Face now")


def strange_job(world: World) -> None:
    """Somebody starts a job in the namespace, past the gate."""
    body = {
        "dockerImage": "python:3.12",
        "command": ["true"],
        "arguments": [],
        "environment": {"SANDBOX_RUN_SECONDS": str(world.chance.choice((10, 200, 5_000)))},
        "flavor": draw_flavor(world.chance),
        "timeoutSeconds": 7_200,
    }
    world.note(f"somebody starts a job of their own: {world.outside(f'/api/jobs/{NAMESPACE}', body)}")


def copy_job(world: World) -> None:
    """Somebody duplicates a job of the service, labels and all."""
    if job := _some_job(world):
        status = world.outside(f"/api/jobs/{NAMESPACE}/{job.id}/duplicate", {})
        world.note(f"somebody duplicates job {job.id[-6:]}: {status}")


def crash(world: World) -> None:
    """A process dies between two steps."""
    process = world.chance.choice(world.processes)
    if not process.busy and world.mood.kill:
        world.threads.restart(process)


def _some_job(world: World) -> Job | None:
    """A live job; one whose run is known to the service more often than not."""
    live = world.truth.live()
    going = [job for job in live if _is_going(world, job)]
    return world.chance.choice(going or live) if live else None


def _is_going(world: World, job: Job) -> bool:
    seen = world.witness.runs.get(job.labels.get("tunegate-run", ""))
    return seen is not None and seen.state in (RunState.STARTING, RunState.RUNNING)
