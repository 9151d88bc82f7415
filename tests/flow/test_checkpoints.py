"""Checkpoints: where they go, what is seen of them, and that a later attempt goes on from the newest whole one."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from service.flow import saving, tidy, watch
from service.store import saved
from tests import published
from tests.flow.conftest import World
from tests.flow.test_repair import sft, until_running

SAVES = {"save_strategy": "steps", "max_steps": 100, "logging_steps": 10}
PRICE = 25_000
BROKEN = "Internal infrastructure error: the node was lost"
LOG = "\n".join(
    f"{step}%|█ | {step}/100 [00:10<00:30, 2.0s/it]{{'loss': '2.0', 'epoch': '0.1'}}" for step in range(10, 71, 10)
)


def keep(world: World, run_id: str, step: int, *, whole: bool = True, size: int = 10) -> None:
    """What a job has written into its bucket by then."""
    bucket = world.core.hub.buckets.find(world.show(run_id)["checkpoints"]["bucket"])
    assert bucket is not None
    folder = bucket.folder / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    for name in ("model.safetensors", "optimizer.pt", *(["trainer_state.json"] if whole else [])):
        (folder / name).write_bytes(b"x" * size)


def command(world: World, run_id: str) -> list[str]:
    """The newest job's argv."""
    found: list[str] = list(world.jobs_of(run_id)[0].spec.command)
    return found


def flag(argv: list[str], name: str) -> str | None:
    return argv[argv.index(f"--{name}") + 1] if f"--{name}" in argv else None


def training(world: World, **fields: Any) -> str:
    run_id = sft(world, **{"args": SAVES, "checkpoints": "on", "seconds": 1200, "log": LOG, **fields})
    until_running(world, run_id, 1)
    return run_id


@pytest.mark.parametrize(
    ("timeout", "asked", "kept"),
    [("30m", "auto", False), ("2h", "auto", True), ("2h", "off", False), ("30m", "on", True)],
)
def test_long_runs_keep_them_unless_told_otherwise(world: World, timeout: str, asked: str, kept: bool) -> None:
    run_id = sft(world, args=SAVES, timeout=timeout, checkpoints=asked)
    until_running(world, run_id, 1)
    told, argv = world.show(run_id)["checkpoints"], command(world, run_id)
    volumes = [(one["type"], one["source"]) for one in world.jobs_of(run_id)[0].spec.extras.get("volumes", ())]
    bucket = f"acme/tunegate-{run_id}"
    assert told["bucket"] == (bucket if kept else None)
    assert volumes == ([("bucket", bucket)] if kept else [])
    assert flag(argv, "output_dir") == ("/tunegate-checkpoints" if kept else "model")
    assert flag(argv, "save_total_limit") == ("2" if kept else None)
    assert flag(argv, "hub_model_id") == "acme/model"


@pytest.mark.parametrize("args", [{"save_strategy": "no"}, {"save_only_model": True}])
def test_a_training_that_cannot_go_on_keeps_none(world: World, args: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="there are none to go on from"):
        sft(world, args=SAVES | args, checkpoints="on")
    run_id = sft(world, args=SAVES | args, timeout="2h")
    until_running(world, run_id, 1)
    assert world.show(run_id)["checkpoints"]["bucket"] is None


def test_nothing_else_is_mounted_where_they_are(world: World) -> None:
    volume = {"type": "bucket", "source": "acme/own", "mount_path": "/tunegate-checkpoints/own"}
    with pytest.raises(ValidationError, match="is where the service keeps checkpoints"):
        sft(world, volumes=[volume])


def test_the_newest_whole_one_is_seen_while_the_job_runs(world: World) -> None:
    run_id = training(world)
    keep(world, run_id, 10)
    keep(world, run_id, 20)
    keep(world, run_id, 30, whole=False)
    world.clock.turn(seconds=61)
    assert saving.run_once(world.gate) == 1
    told = world.show(run_id)["checkpoints"]
    assert (told["newest"], told["size_bytes"], told["has_model"]) == ({"step": 20, "size_bytes": 30}, 80, False)
    assert saving.run_once(world.gate) == 0, "asked once a minute"


def test_after_a_fault_it_goes_on_from_the_newest_and_what_is_lost_has_a_price(world: World) -> None:
    run_id = training(world, retry={"max_attempts": 3})
    for _ in range(25):
        world.pass_all()
        world.clock.turn(seconds=20)
    keep(world, run_id, 20)
    step = world.show(run_id)["progress"]["step"]
    assert step > 20
    world.force(run_id, stage="ERROR", message=BROKEN)
    watch.run_once(world.gate)
    repair = world.show(run_id)["attempts"][0]["repair"]
    assert f"from the checkpoint at step 20; {step - 20} steps are done again, $0." in repair["change"]
    until_running(world, run_id, 2)
    assert flag(command(world, run_id), "resume_from_checkpoint") == "/tunegate-checkpoints/checkpoint-20"
    assert [one["from_step"] for one in world.show(run_id)["attempts"]] == [None, 20]


def test_a_timeout_goes_on_with_as_much_time_as_the_rest_takes(world: World) -> None:
    run_id = training(world, retry={"max_attempts": 3}, timeout="20m", seconds=3000, log=LOG)
    for _ in range(30):
        world.pass_all()
        world.clock.turn(seconds=20)
    keep(world, run_id, 20)
    for _ in range(60):
        world.pass_all()
        if world.run(run_id).state == "queued":
            break
        world.clock.turn(seconds=20)
    run = world.show(run_id)
    assert run["attempts"][0]["cause"] == "job_timeout", run["message"]
    (setting,) = run["attempts"][0]["repair"]["settings"]
    assert (setting["field"], setting["from"]) == ("timeout", 1200)
    assert setting["to"] % 300 == 0
    until_running(world, run_id, 2)
    assert world.attempt(run_id).timeout_seconds == setting["to"]
    assert flag(command(world, run_id), "resume_from_checkpoint") == "/tunegate-checkpoints/checkpoint-20"


def test_a_timeout_without_a_checkpoint_is_not_repeated(world: World) -> None:
    run_id = training(world, retry={"max_attempts": 3}, timeout="10m", seconds=3000)
    world.until_end(run_id, most=300)
    run = world.show(run_id)
    assert (run["reason"], run["attempt"], run["failure"]["repair"]) == ("job_timeout", 1, None)


def test_a_bucket_that_may_not_be_made_costs_a_run_its_checkpoints_or_itself(world: World) -> None:
    world.gate.hub.buckets._job_token = "hf_sandbox_read"
    auto = sft(world, args=SAVES, timeout="2h")
    until_running(world, auto, 1)
    told = world.show(auto)["checkpoints"]
    assert told["bucket"] is None
    assert told["why_not"].startswith("Hugging Face made no bucket for them: ")
    asked = sft(world, args=SAVES, checkpoints="on", output_repo="acme/other")
    world.until_end(asked)
    failure = world.show(asked)["failure"]
    assert (failure["cause"], "checkpoints" in failure["remedy"]) == ("hub_forbidden", True)
    assert world.jobs_of(asked) == []


def test_a_script_finds_the_folder_where_it_asked_for_one(world: World) -> None:
    world.budget(10_000_000)
    run_id = world.enqueue(seconds=60, checkpoints="on")
    until_running(world, run_id, 1)
    assert world.jobs_of(run_id)[0].spec.environment["TUNEGATE_CHECKPOINTS"] == "/tunegate-checkpoints"
    body = json.loads(world.wire.bodies[world.wire.seen.index(("POST", "/api/jobs/acme"))])
    assert body["volumes"] == [
        {"type": "bucket", "source": f"acme/tunegate-{run_id}", "mountPath": "/tunegate-checkpoints", "readOnly": False}
    ]


def buckets(world: World) -> list[str]:
    with world.db.read() as session:
        return [str(run.bucket) for run in saved.page(session, None, None, 10)]


def test_they_are_kept_for_a_time_after_a_failure_and_gone_after_a_success(world: World) -> None:
    failed = training(world, seconds=30, exit_code=1, log="Traceback (most recent call last):\nKeyError: 'a'")
    keep(world, failed, 10)
    good = sft(world, args=SAVES, checkpoints="on", seconds=60, output_repo="acme/good")
    until_running(world, good, 1)
    world.publish("acme/good", **published.adapter())
    world.until_end(failed, good)
    assert world.run(good).state == "succeeded", world.show(good)["message"]
    assert len(buckets(world)) == 2
    assert tidy.run_once(world.gate) == 1
    assert buckets(world) == [f"acme/tunegate-{failed}"]
    assert world.core.hub.buckets.find(f"acme/tunegate-{good}") is None
    assert world.show(good)["checkpoints"]["deleted_at"] is not None
    world.limit(checkpoint_age=timedelta(hours=2))
    world.clock.turn(minutes=110)
    assert tidy.run_once(world.gate) == 0
    world.clock.turn(minutes=15)
    assert tidy.run_once(world.gate) == 1
    assert world.show(failed)["checkpoints"]["newest"] is None
