"""A run's way from the queue to its cost and its model, told as scenarios."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
from sqlmodel import Session

from service.flow import admit, cancel, submit, watch
from service.store import logs, runs
from tests.flow.conftest import World

CEILING = 167 * 11


def test_a_run_is_reserved_submitted_watched_charged_and_released(world: World) -> None:
    run_id = world.enqueue(seconds=78)
    assert world.show(run_id)["cost"] == {
        "estimated_usd": None,
        "ceiling_usd": CEILING / 1e6,
        "reserved_usd": 0.0,
        "metered_usd": None,
        "billed_usd": None,
    }
    assert admit.run_once(world.gate) == 1
    assert world.run(run_id).state == "submitting"
    assert world.entries(run_id) == [("reserve", CEILING)]
    assert submit.run_once(world.gate) == 1
    assert world.run(run_id).state == "starting"
    watch.run_once(world.gate)
    assert world.run(run_id).state == "running"
    world.clock.turn(seconds=61)
    assert world.show(run_id)["cost"]["metered_usd"] == 2 * 167 / 1e6
    world.clock.turn(seconds=60)
    watch.run_once(world.gate)

    run = world.show(run_id)
    assert run["state"] == "succeeded"
    assert run["output"] is None
    (attempt,) = run["attempts"]
    assert (attempt["started_at"], attempt["timeout_seconds"]) == (run["started_at"], 600)
    ran = datetime.fromisoformat(attempt["finished_at"]) - datetime.fromisoformat(attempt["started_at"])
    assert (attempt["running_seconds"], ran) == (78, timedelta(seconds=78))
    assert attempt["admitted_at"] == run["admitted_at"]
    assert run["attempts"][0]["minutes"] == 2
    assert run["attempts"][0]["metered_source"] == "hub"
    assert run["cost"]["metered_usd"] == 334 / 1e6
    assert world.entries(run_id) == [("reserve", CEILING), ("charge", 334), ("release", CEILING - 334)]
    assert world.told(run_id) == ["run.queued", "run.submitted", "run.started", "run.succeeded"]


@pytest.mark.parametrize(("seconds", "minutes"), [(0, 1), (1, 1), (60, 1), (60.001, 2), (599, 10)])
def test_minutes_are_started_minutes(world: World, seconds: float, minutes: int) -> None:
    run_id = world.enqueue(seconds=seconds)
    world.until_end(run_id, minutes=1)
    assert world.show(run_id)["attempts"][0]["minutes"] == minutes
    assert world.told(run_id) == ["run.queued", "run.submitted", "run.started", "run.succeeded"]


def test_a_job_that_hits_its_timeout_costs_less_than_was_reserved(world: World) -> None:
    run_id = world.enqueue(seconds=5000)
    world.until_end(run_id, minutes=2)
    run = world.show(run_id)
    assert (run["state"], run["failure"]["cause"]) == ("failed", "job_timeout")
    assert world.entries(run_id)[1:] == [("charge", 1670), ("release", 167)]


def test_what_is_sent_is_what_was_asked_for(world: World) -> None:
    world.budget(10_000_000)
    run_id = world.enqueue(
        recipe={
            "kind": "trl_sft",
            "model_name_or_path": "HuggingFaceTB/SmolLM3-3B-Base",
            "dataset_name": "HuggingFaceTB/smoltalk2_everyday_convs_think",
            "args": {"max_steps": 1000},
        },
        force=True,
        flavor="a10g-large",
        timeout=None,
        max_cost_usd=0.3,
        output_repo="acme/smollm3-sft",
        secrets={"WANDB_API_KEY": "very-secret-value"},
        labels={"project": "support-bot"},
    )
    admit.run_once(world.gate)
    submit.run_once(world.gate)
    at = world.wire.seen.index(("POST", "/api/jobs/acme"))
    body = json.loads(world.wire.bodies[at])
    assert body["flavor"] == "a10g-large"
    assert body["timeoutSeconds"] == (300_000 // 25_000 - 1) * 60
    assert body["dockerImage"].startswith("ghcr.io/astral-sh/uv:")
    assert body["secrets"] == {"WANDB_API_KEY": "very-secret-value", "HF_TOKEN": "hf_sandbox_job"}
    assert body["labels"] == {
        "name": f"{run_id}-1",
        "project": "support-bot",
        "tunegate-run": run_id,
        "tunegate-team": "research",
        "tunegate-attempt": "1",
        "tunegate-submission": world.attempt(run_id).submission,
        "tunegate-installation": "ins_test",
    }
    assert body["environment"]["TUNEGATE_RUN_ID"] == run_id
    assert body["environment"]["TUNEGATE_OUTPUT_REPO"] == "acme/smollm3-sft"
    assert world.wire.tokens[at] == "Bearer hf_sandbox"
    assert not any(b"hf_sandbox_job" in sent or b'"hf_sandbox"' in sent for sent in world.wire.bodies[at + 1 :])
    world.cancel(run_id)
    world.until_end(run_id)


@pytest.mark.parametrize(("flavor", "gpus"), [("a10g-large", 1), ("a10g-largex2", 2)])
def test_a_job_is_launched_over_all_gpus_of_its_flavor(world: World, flavor: str, gpus: int) -> None:
    world.budget(10_000_000)
    recipe = {"kind": "trl_sft", "model_name_or_path": "HuggingFaceTB/SmolLM2-135M", "dataset_name": "trl-lib/Capybara"}
    run_id = world.enqueue(recipe=recipe, flavor=flavor, output_repo="acme/out", timeout="10m")
    admit.run_once(world.gate)
    submit.run_once(world.gate)
    command = json.loads(world.wire.bodies[world.wire.seen.index(("POST", "/api/jobs/acme"))])["command"]
    assert ("accelerate" in command) == (gpus > 1)
    assert gpus == 1 or command[command.index("--num_processes") + 1] == str(gpus)
    world.cancel(run_id)
    world.until_end(run_id)


def test_a_models_new_commit_is_recorded_with_its_files(world: World) -> None:
    before = world.publish("acme/model", model__safetensors=b"old")
    run_id = world.enqueue(output_repo="acme/model", seconds=30)
    admit.run_once(world.gate)
    submit.run_once(world.gate)
    assert world.attempt(run_id).output_head == before
    after = world.publish("acme/model", model__safetensors=b"newer")
    world.until_end(run_id)
    output = world.show(run_id)["output"]
    assert output["revision"] == after
    assert output["verified"] is True
    assert output["url"].endswith(f"/acme/model/tree/{after}")
    assert {"path": "model.safetensors", "size_bytes": 5} in output["files"]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("absent", "acme/model does not exist, or the job's token may not read it"),
        ("unchanged", "acme/model holds no new files: it is at commit"),
        ("made but empty", "there are no files but README.md"),
    ],
)
def test_a_job_that_ends_well_without_a_model_has_failed(world: World, kind: str, said: str) -> None:
    if kind == "unchanged":
        world.publish("acme/model", model__safetensors=b"old")
    run_id = world.enqueue(output_repo="acme/model", seconds=30)
    admit.run_once(world.gate)
    submit.run_once(world.gate)
    if kind == "made but empty":
        world.publish("acme/model", README__md=b"# a model")
    world.until_end(run_id)
    run = world.show(run_id)
    assert (run["state"], run["reason"]) == ("failed", "output_missing")
    assert (run["output"]["repo"], run["output"]["verified"]) == ("acme/model", False)
    [failed] = [check for check in run["output"]["checks"] if check["outcome"] == "failed"]
    assert failed["message"].startswith(said)
    assert run["failure"]["evidence"] == failed["message"]
    assert run["cost"]["metered_usd"] == 167 / 1e6


def test_a_failed_job_has_its_cause_its_evidence_and_its_log(world: World) -> None:
    log = "starting\nTraceback (most recent call last):\nNameError: name 'los' is not defined"
    run_id = world.enqueue(seconds=3, exit_code=1, log=log)
    world.until_end(run_id)
    run = world.show(run_id)
    assert run["failure"]["cause"] == run["reason"] == run["attempts"][0]["cause"] == "script_error"
    assert run["failure"]["evidence"] == "NameError: name 'los' is not defined"
    assert run["cost"]["metered_usd"] == 167 / 1e6


def test_progress_is_read_while_the_job_runs(world: World) -> None:
    lines = [f"{{'loss': '{4 - step / 10}', 'step': {step}, 'total_steps': 30}}" for step in range(1, 31)]
    run_id = world.enqueue(seconds=60, log="\n".join(lines))
    world.pass_all()
    world.clock.turn(seconds=31)
    world.pass_all()
    progress = world.show(run_id)["progress"]
    assert progress["total_steps"] == 30
    assert 10 <= progress["step"] <= 20
    world.until_end(run_id)
    progress = world.show(run_id)["progress"]
    assert (progress["step"], progress["total_steps"], progress["loss"]) == (30, 30, 1.0)
    assert (progress["eta_seconds"], progress["phase"]) == (0, "train")


def test_a_phase_is_told_before_the_first_step(world: World) -> None:
    log = (
        "Installed 82 packages\nLoading checkpoint shards: 100%\nTokenizing train dataset:   1%|  | 1/64 [00:00<00:01]"
    )
    trl = {"kind": "trl_sft", "model_name_or_path": "HuggingFaceTB/SmolLM2-135M", "dataset_name": "trl-lib/Capybara"}
    world.budget(10_000_000)
    run_id = world.enqueue(recipe=trl, flavor="a10g-large", output_repo="acme/out", seconds=30, log=log)
    script = world.enqueue(seconds=30, log="Installed\nrows: 9")
    seen = set()
    for _ in range(20):
        world.pass_all()
        world.clock.turn(seconds=3)
        seen.add((world.show(run_id)["progress"] or {}).get("phase"))
    assert {"setup", "data"} <= seen
    assert world.show(script)["progress"] is None  # whatever it does, it said nothing of a training


def test_secrets_are_masked_in_the_kept_log_and_wiped_at_the_end(world: World) -> None:
    run_id = world.enqueue(seconds=3, secrets={"KEY": "very-secret-value"})

    def let_it_print(session: Session) -> None:
        # no request could say this: the sandbox's log is told in the environment, where a secret is refused
        run = runs.get(session, run_id)
        assert run is not None
        run.env = {**run.env, "SANDBOX_LOG": "key is very-secret-value and hf_sandbox_job"}
        session.add(run)

    world.db.write(let_it_print)
    world.until_end(run_id)
    with world.db.read() as session:
        kept = logs.read(session, run_id, 1, logs.Wanted())
    assert [line.text for _, line in kept] == ["key is [secret] and [secret]"]
    assert world.run(run_id).sealed_secrets is None
    assert world.show(run_id)["secrets"] == ["KEY"]


def test_the_last_calls_of_a_rate_limit_are_left_to_cancels(world: World) -> None:
    """An admitted run keeps its slot and its money, says why it waits, and goes on in the next window."""
    going, waiting = world.enqueue(seconds=500), ""
    world.pass_all()
    waiting = world.enqueue()
    admit.run_once(world.gate)
    governor = world.hub.governor
    governor.remaining, governor.limit, governor.resets_at = 5, 100, world.clock.now + timedelta(seconds=60)
    submit.run_once(world.gate)
    assert (world.run(waiting).state, world.run(waiting).message) == ("submitting", submit.NO_CALLS_LEFT)
    world.cancel(going)
    cancel.run_once(world.gate)
    assert world.wire.count("POST", "/cancel") == 1
    world.clock.turn(seconds=61)
    submit.run_once(world.gate)
    assert world.run(waiting).state == "starting"
