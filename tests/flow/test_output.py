"""A run has succeeded only where its model is on the Hub, whole, and its own; what is missing is named."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from service.flow import admit, submit, watch
from tests import published
from tests.flow.conftest import World

REPO = "acme/model"
TRL: dict[str, Any] = {"kind": "trl_sft", "model_name_or_path": "HuggingFaceTB/SmolLM2-135M"}
TRL |= {"dataset_name": "trl-lib/Capybara"}
LORA = {**TRL, "lora": {}}
SCRIPT = {"kind": "script", "source": "print(1)\n"}
TRAINED = "{'train_runtime': '0.65', 'train_loss': '6.0'}"
SKIPPED = "No files have been modified since last commit. Skipping to prevent empty commit."
PUSHED = "🤗 Model pushed to the Hub in https://huggingface.co/acme/model."


def started(world: World, recipe: dict[str, Any] = SCRIPT, **fields: Any) -> str:
    """A run whose job runs for a minute and publishes nothing of itself."""
    world.budget(10_000_000)
    more = {} if recipe is SCRIPT else {"flavor": "a10g-small", "force": True}
    run_id = world.enqueue(**{"recipe": recipe, "output_repo": REPO, "seconds": 60, **more, **fields})
    admit.run_once(world.gate)
    submit.run_once(world.gate)
    watch.run_once(world.gate)
    world.clock.turn(seconds=30)
    return run_id


def put(world: World, files: dict[str, bytes], **how: Any) -> str:
    return world.publish(REPO, **how, **files)


def ended(world: World, run_id: str) -> dict[str, Any]:
    world.until_end(run_id)
    return world.show(run_id)


def outcomes(run: dict[str, Any]) -> dict[str, str]:
    return {one["check"]: one["outcome"] for one in run["output"]["checks"]}


@pytest.mark.parametrize(
    ("recipe", "files", "checked"),
    [
        (TRL, published.full(), ["commit", "weights", "config", "tokenizer"]),
        (TRL, published.sharded(b"a", b"b"), ["commit", "weights", "shards", "config", "tokenizer"]),
        (LORA, published.adapter(), ["commit", "weights", "config", "tokenizer"]),
        (SCRIPT, {"numbers.npz": b"1"}, ["commit", "weights"]),
        (SCRIPT, published.adapter(), ["commit", "weights", "config"]),
        (SCRIPT, published.sharded(b"a"), ["commit", "weights", "shards", "config"]),
    ],
)
def test_a_whole_model_in_a_new_commit_is_a_success_that_shows_what_was_checked(
    world: World, recipe: dict[str, Any], files: dict[str, bytes], checked: list[str]
) -> None:
    run_id = started(world, recipe)
    sha = put(world, files)
    run = ended(world, run_id)
    assert (run["state"], run["failure"]) == ("succeeded", None), run["failure"]
    assert outcomes(run) == dict.fromkeys(checked, "passed")
    output = run["output"]
    assert (output["verified"], output["revision"]) == (True, sha)
    assert output["checks"][0]["message"] == f"commit {sha[:8]} ('End of training') is new"


@pytest.mark.parametrize(
    ("recipe", "files", "gone", "said"),
    [
        (TRL, published.sharded(b"a", b"b", b"c"), "model-00002-of-00003.safetensors",
         "shard model-00002-of-00003.safetensors is not there"),
        (SCRIPT, published.sharded(b"a", b""), None, "shard model-00002-of-00002.safetensors is empty"),
        (TRL, {**published.full(), "config.json": b"[]"}, None, "config.json is no JSON object"),
        (SCRIPT, {**published.full(), "config.json": b"{"}, None, "config.json is no JSON object"),
        (TRL, published.full(), "tokenizer.json", "there is no tokenizer"),
        (TRL, published.full(), "tokenizer_config.json", "tokenizer_config.json of the tokenizer is not there"),
        (TRL, published.full(), "model.safetensors", "there are no weights: neither model.safetensors"),
        (LORA, published.adapter(), "adapter_config.json", "adapter_config.json is not there"),
        (LORA, published.full(), None, "neither adapter_model.safetensors nor adapter_model.bin"),
        (SCRIPT, {"README.md": b"# a model"}, None, "there are no files but README.md"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(
    world: World, recipe: dict[str, Any], files: dict[str, bytes], gone: str | None, said: str
) -> None:
    run_id = started(world, recipe)
    sha = put(world, {name: content for name, content in files.items() if name != gone})
    run = ended(world, run_id)
    assert (run["state"], run["reason"]) == ("failed", "output_missing")
    assert said in run["failure"]["evidence"]
    ours = "Publish the whole folder" if recipe["kind"] == "script" else "an output_repo that nothing else writes to"
    assert ours in run["failure"]["remedy"]
    assert (run["output"]["verified"], run["output"]["revision"]) == (False, sha)
    assert "failed" in outcomes(run).values()


@pytest.mark.parametrize(
    ("log", "state"), [(f"{TRAINED}\n{SKIPPED}", "succeeded"), (TRAINED, "failed"), (f"{TRAINED}\n{PUSHED}", "failed")]
)
def test_where_nothing_changed_the_log_must_show_the_push(world: World, log: str, state: str) -> None:
    head = put(world, published.full(), by="alice")
    run_id = started(world, TRL, log=log)
    run = ended(world, run_id)
    assert run["state"] == state
    if state == "succeeded":
        assert run["output"]["revision"] == head
        assert run["output"]["checks"][0]["message"].startswith("nothing has changed: the job pushed the files")
    else:
        assert (
            run["failure"]["evidence"]
            == f"acme/model holds no new files: it is at commit {head[:8]}, as before the job"
        )


def test_the_same_files_pass_the_same_checks(world: World) -> None:
    put(world, {**published.full(), "config.json": b""})
    run = ended(world, started(world, TRL, log=f"{TRAINED}\n{SKIPPED}"))
    assert (run["reason"], run["failure"]["evidence"]) == ("output_missing", "config.json is no JSON object")
    assert "output_repo that nothing else writes to" in run["failure"]["remedy"]
    assert "TUNEGATE_OUTPUT_REPO" not in run["failure"]["remedy"], "the caller has no script to change"
    assert run["failure"]["remedy"] in [one["remedy"] for one in run["output"]["checks"]]


def test_a_commit_that_somebody_else_made_is_not_this_attempts(world: World) -> None:
    run_id = started(world)
    put(world, {"notes.txt": b"1"}, by="alice", title="Add notes")
    run = ended(world, run_id)
    assert run["reason"] == "output_missing"
    assert "was made by alice, and the job's token is sandbox's" in run["failure"]["evidence"]
    assert run["failure"]["remedy"].startswith("Push to the repo named in TUNEGATE_OUTPUT_REPO")
    assert run["output"]["revision"] is None


def test_somebody_elses_commit_on_top_is_neither_taken_for_it_nor_in_its_way(world: World) -> None:
    run_id = started(world)
    own = put(world, {"w.bin": b"1"})
    put(world, {"notes.txt": b"1"}, by="alice")
    run = ended(world, run_id)
    assert (run["state"], run["output"]["revision"]) == ("succeeded", own)
    assert "notes.txt" not in {file["path"] for file in run["output"]["files"]}


def test_a_script_that_brings_tokens_may_publish_under_another_name(world: World) -> None:
    run_id = started(world, secrets={"PUSH_TOKEN": "a token of its own"})
    put(world, {"w.bin": b"1"}, by="alice")
    assert ended(world, run_id)["state"] == "succeeded"


def test_what_was_committed_before_the_job_started_is_not_its_work(world: World) -> None:
    world.faults(scheduling_seconds=600)
    run_id = started(world)
    put(world, {"w.bin": b"1"})
    world.clock.turn(seconds=600)
    run = ended(world, run_id)
    assert "it was made before the job started" in run["failure"]["evidence"]


def test_the_lineage_card_of_an_earlier_run_is_no_output(world: World) -> None:
    put(world, published.full())
    run_id = started(world)
    put(world, {"README.md": b"# how it was made"}, title="Lineage of run_01ABC")
    run = ended(world, run_id)
    assert "it is the service's own lineage card" in run["failure"]["evidence"]


@pytest.mark.parametrize(
    ("recipe", "log", "state"), [(SCRIPT, "", "failed"), (SCRIPT, PUSHED, "succeeded"), (TRL, "", "succeeded")]
)
def test_a_scripts_new_card_beside_the_old_weights_needs_a_log_that_shows_the_push(
    world: World, recipe: dict[str, Any], log: str, state: str
) -> None:
    put(world, published.full())
    run_id = started(world, recipe, log=log)
    sha = put(world, {**published.full(), "README.md": b"# another card"})
    run = ended(world, run_id)
    assert run["state"] == state
    if state == "failed":
        said = f"commit {sha[:8]} ('End of training') changed nothing in acme/model but README.md"
        assert run["failure"]["evidence"] == said


REFUSED = [
    "Traceback (most recent call last):",
    '  File "train.py", line 9, in <module>',
    "    api.upload_folder(repo_id=repo, folder_path=folder)",
    "huggingface_hub.errors.HfHubHTTPError: Client error '403 Forbidden' for url 'https://x/api/models/acme/model/commit/main'",
]


@pytest.mark.parametrize("exit_code", [0, 1])
@pytest.mark.parametrize("checkpoint", [True, False])
def test_a_run_that_trained_and_could_not_publish_is_push_failed(
    world: World, exit_code: int, checkpoint: bool
) -> None:
    run_id = started(world, TRL, exit_code=exit_code, log="\n".join([TRAINED, *REFUSED]))
    if checkpoint:
        world.clock.turn(seconds=-20)
        put(world, published.full(), title="Training in progress, step 500")
        world.clock.turn(seconds=20)
    run = ended(world, run_id)
    assert (run["state"], run["reason"]) == ("failed", "push_failed")
    assert "403 Forbidden" in run["failure"]["evidence"]
    assert run["output"]["verified"] is False


def test_a_push_that_went_well_at_the_second_try_is_one(world: World) -> None:
    run_id = started(world, TRL, log="\n".join([TRAINED, *REFUSED]))
    world.clock.turn(seconds=25)
    put(world, published.full())
    assert ended(world, run_id)["state"] == "succeeded"


def test_a_hub_that_does_not_answer_fails_no_run(world: World) -> None:
    run_id = started(world, TRL)
    sha = put(world, published.full())
    world.clock.turn(seconds=31)
    for part in ("/commits/main", f"/revision/{sha}", "/config.json"):
        world.wire.cut_before = lambda request, part=part: (  # type: ignore[misc]
            httpx2.ConnectError("down") if request.url.path.endswith(part) else None
        )
        watch.run_once(world.gate)
        assert (world.run(run_id).state, world.run(run_id).output) == ("running", None)
        assert world.window().reserved_micro_usd > 0
    world.wire.cut_before = lambda _request: None
    watch.run_once(world.gate)
    assert world.run(run_id).state == "succeeded"


def test_a_hub_that_lists_no_commits_leaves_whose_it_is_unknown(world: World) -> None:
    run_id = started(world)
    put(world, {"w.bin": b"1"}, by="alice")
    world.clock.turn(minutes=4)
    world.wire.cut_before = lambda request: (
        httpx2.ConnectError("down") if request.url.path.endswith("/commits/main") else None
    )
    watch.run_once(world.gate)
    run = world.show(run_id)
    assert (run["state"], outcomes(run)["commit"]) == ("succeeded", "unknown")
    assert run["output"]["verified"] is True


@pytest.mark.parametrize(
    ("before", "log", "most"), [(False, "", 4), (True, PUSHED, 4), (True, "", 5)], ids=["new", "told", "silent"]
)
def test_an_ended_run_takes_a_few_calls(world: World, before: bool, log: str, most: int) -> None:
    """One of them, for the files, was always made."""
    if before:
        put(world, published.sharded(b"a"))
    run_id = started(world, log=log)
    put(world, published.sharded(b"a", b"b"))
    world.clock.turn(seconds=31)
    world.wire.seen.clear()
    watch.run_once(world.gate)
    assert world.run(run_id).state == "succeeded"
    asked = [path for _, path in world.wire.seen if "/api/jobs/" not in path]
    assert len(asked) == most, asked


@pytest.mark.parametrize("files", [published.full(), {}])
def test_what_a_job_published_before_it_failed_is_told(world: World, files: dict[str, bytes]) -> None:
    run_id = started(world, exit_code=1, log="Traceback (most recent call last):\nKeyError: 'report'")
    sha = put(world, files) if files else None
    run = ended(world, run_id)
    assert (run["state"], run["reason"]) == ("failed", "script_error")
    if sha is None:
        assert (run["output"]["revision"], run["output"]["checks"]) == (None, [])
    else:
        assert (run["output"]["revision"], run["output"]["verified"]) == (sha, False)
        assert outcomes(run) == dict.fromkeys(["commit", "weights", "config"], "passed")


def test_what_a_cancelled_job_published_is_told(world: World) -> None:
    run_id = started(world)
    sha = put(world, published.full())
    world.cancel(run_id)
    run = ended(world, run_id)
    assert (run["state"], run["output"]["revision"], run["output"]["verified"]) == ("cancelled", sha, False)
