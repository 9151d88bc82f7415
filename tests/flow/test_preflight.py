"""What a run names is looked up before money is held: it fails with the cause, goes on, or waits where nobody knows."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from service.flow import admit, preflight, submit
from tests import published
from tests.flow.conftest import World
from tests.flow.shelves import CHAT, MODEL, checks, dataset, model, run


def test_all_that_is_named_is_found_and_its_commits_are_pinned(world: World) -> None:
    model(world)
    dataset(world)
    run_id = run(world)
    shown = world.show(run_id)
    assert shown["preflight"]["outcome"] == "passed", shown["preflight"]
    assert set(checks(world, run_id)) == {
        "namespace", "output_repo", "model", "architecture", "dataset", "dataset_splits", "dataset_columns",
        "chat_template", "memory", "timeout",
    }  # fmt: skip
    heads = world.core.hub.snapshot()
    assert shown["pins"] == {
        "exclude_newer": "2026-11-24T00:00:00Z",
        "model_revision": heads["acme/tiny"]["sha"],
        "dataset_revision": heads["datasets/acme/chats"]["sha"],
    }
    assert admit.run_once(world.gate) == 1


@pytest.mark.parametrize(
    ("recipe", "cause", "field", "remedy"),
    [
        ({"model_name_or_path": "acme/none"}, "model_not_found", "recipe.model_name_or_path", "Check the name"),
        ({"args": {"model_revision": "v9"}}, "model_not_found", "recipe.args.model_revision", "Name a branch"),
        ({"model_revision": "v9"}, "model_not_found", "recipe.model_revision", "Name a branch"),
        ({"dataset_revision": "v9"}, "dataset_not_found", "recipe.dataset_revision", "Name a branch"),
        ({"dataset_name": "acme/none"}, "dataset_not_found", "recipe.dataset_name", "Check the name"),
        ({"dataset_config": "de"}, "dataset_format", "recipe.dataset_config", "Name one of them"),
        (
            {"args": {"dataset_train_split": "trian"}},
            "dataset_format",
            "recipe.args.dataset_train_split",
            "Did you mean 'train'?",
        ),
        (
            {"args": {"eval_strategy": "steps"}},
            "dataset_format",
            "recipe.args.dataset_test_split",
            "Set args.dataset_test",
        ),
        ({"eval": {"split": "held"}}, "dataset_format", "recipe.eval.split", "Set eval.split"),
        ({"dataset_name": "acme/odd"}, "dataset_format", "recipe.args.dataset_text_field", "Name the column"),
    ],
)
def test_what_is_not_there_fails_the_run_before_money_is_held(
    world: World, recipe: dict[str, Any], cause: str, field: str, remedy: str
) -> None:
    model(world)
    dataset(world)
    dataset(world, "acme/odd", train__jsonl='{"question": "?", "answer": "!"}\n')
    run_id = run(world, **recipe)
    shown = world.show(run_id)
    assert (shown["state"], shown["reason"], shown["failure"]["cause"]) == ("failed", cause, cause)
    assert remedy in shown["failure"]["remedy"]
    failed = next(one for one in shown["preflight"]["checks"] if one["outcome"] == "failed")
    assert failed["field"] == field
    assert world.entries(run_id) == []
    assert admit.run_once(world.gate) == 0


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_a_gated_repository_says_whose_terms_are_to_be_accepted(world: World, kind: str) -> None:
    world.gate.hub.lookup._job_token = "hf_sandbox_broke"  # a user who is no member
    model(world)
    dataset(world)
    world.core.hub.gate("acme/chats" if kind == "dataset" else MODEL, kind)
    run_id = run(world)
    told = {one["check"]: one for one in world.show(run_id)["preflight"]["checks"]}
    assert told[kind]["outcome"] == "failed"
    assert "is gated" in told[kind]["message"]
    assert "Accept its terms" in told[kind]["remedy"]


def test_chats_without_a_template_are_refused_unless_one_is_given(world: World) -> None:
    model(world, template=False)
    dataset(world)
    shown = world.show(run(world))
    assert shown["failure"]["cause"] == "dataset_format"
    assert "chat template" in shown["message"]
    given = run(world, args={"chat_template_path": "HuggingFaceTB/SmolLM3-3B"})
    assert world.show(given)["preflight"]["outcome"] == "passed"


def test_an_output_that_is_not_ours_and_a_namespace_that_is_closed(world: World) -> None:
    other = world.enqueue(output_repo="somebody/model")
    shown = world.show(other)
    assert (shown["state"], shown["reason"]) == ("failed", "hub_forbidden")
    assert "acme, sandbox" in shown["message"]
    closed = world.enqueue(namespace="elsewhere")
    assert world.show(closed)["reason"] == "hub_forbidden"


def test_a_space_to_report_to_is_one_that_the_jobs_may_write(world: World) -> None:
    model(world)
    dataset(world)
    foreign = world.show(run(world, report_to="trackio", args={"trackio_space_id": "someoneelse/track"}))
    assert (foreign["state"], foreign["failure"]["cause"]) == ("failed", "hub_forbidden")
    assert checks(world, foreign["id"])["trackio_space"] == "failed"
    assert "acme, sandbox" in foreign["failure"]["remedy"]
    for space in ("acme/track", "track"):
        own = world.show(run(world, report_to="trackio", args={"trackio_space_id": space}))
        assert own["preflight"]["outcome"] == "passed", own["preflight"]


def test_where_the_hub_is_down_nothing_fails_and_the_run_goes_on_after_a_while(world: World) -> None:
    model(world)
    dataset(world)
    world.wire.cut_before = lambda request: (
        httpx2.ConnectError("down") if not request.url.path.startswith("/api/jobs") else None
    )
    run_id = run(world)
    shown = world.show(run_id)
    assert (shown["state"], shown["reason"]) == ("queued", "checking")
    assert "not known yet" in shown["message"]
    assert admit.run_once(world.gate) == 0
    for _ in range(60):
        world.clock.turn(seconds=15)
        preflight.run_once(world.gate)
    assert world.show(run_id)["preflight"]["outcome"] == "unknown"
    assert admit.run_once(world.gate) == 1


def test_a_hub_that_comes_back_is_asked_again(world: World) -> None:
    model(world)
    dataset(world)
    world.wire.cut_before = lambda _request: httpx2.ConnectError("down")
    run_id = run(world)
    world.wire.cut_before = lambda _request: None
    world.clock.turn(seconds=16)
    preflight.run_once(world.gate)
    assert world.show(run_id)["preflight"]["outcome"] == "passed"


def test_answers_are_shared_by_runs_and_read_again_after_a_while(world: World) -> None:
    model(world)
    dataset(world)
    run(world)
    asked = len(world.wire.seen)
    for _ in range(5):
        run(world)
    assert len(world.wire.seen) == asked
    world.clock.turn(minutes=11)
    run(world)
    assert len(world.wire.seen) > asked


def test_a_run_that_waits_for_a_day_is_looked_at_again(world: World) -> None:
    model(world)
    dataset(world)
    world.limit(max_concurrent_runs=0)
    run_id = run(world)
    assert admit.run_once(world.gate) == 0
    world.core.hub._catalog._repos.pop(("model", MODEL))
    world.clock.now += timedelta(hours=24, minutes=1)
    preflight.run_once(world.gate)
    assert world.show(run_id)["reason"] == "model_not_found"


def test_nothing_is_asked_where_the_calls_are_needed_for_cancels(world: World) -> None:
    model(world)
    dataset(world)
    governor = world.gate.hub.governor
    governor.remaining, governor.limit, governor.resets_at = 10, 1000, world.clock.now + timedelta(seconds=60)
    asked = len(world.wire.seen)
    run_id = run(world)
    assert len(world.wire.seen) == asked
    assert world.show(run_id)["reason"] == "checking"
    world.clock.turn(seconds=61)
    preflight.run_once(world.gate)
    assert world.show(run_id)["preflight"]["outcome"] == "passed"


def test_the_same_inputs_are_answered_with_the_model_that_they_gave(world: World) -> None:
    model(world)
    dataset(world)
    first = run(world)
    admit.run_once(world.gate)
    submit.run_once(world.gate)
    world.publish("acme/model", **published.full())
    world.until_end(first)
    assert world.show(first)["state"] == "succeeded"
    again = run(world, reuse="allow")
    shown = world.show(again)
    assert (shown["state"], shown["reused_from"]) == ("succeeded", first)
    assert shown["output"] == world.show(first)["output"]
    assert world.entries(again) == []
    other = run(world, reuse="allow", args={"learning_rate": 1e-5})
    assert world.show(other)["state"] == "queued"
    asked_for_its_own = run(world)
    assert world.show(asked_for_its_own)["state"] == "queued"


def test_a_dataset_that_has_changed_is_another_input(world: World) -> None:
    model(world)
    dataset(world)
    first = world.show(run(world))["fingerprint"]
    assert world.show(run(world))["fingerprint"] == first
    dataset(world, train__jsonl=json.dumps(CHAT) + "\n" + json.dumps(CHAT) + "\n")
    world.clock.turn(minutes=11)
    assert world.show(run(world))["fingerprint"] != first


def created(world: World) -> dict[str, Any]:
    """The body of the last create call."""
    at = max(place for place, seen in enumerate(world.wire.seen) if seen == ("POST", "/api/jobs/acme"))
    sent: dict[str, Any] = json.loads(world.wire.bodies[at])
    return sent


def command(world: World) -> list[str]:
    sent: list[str] = created(world)["command"]
    return sent


@pytest.mark.parametrize("recipe", [{}, {"dataset_revision": "main", "model_revision": "main"}])
def test_what_was_pinned_is_what_runs(world: World, recipe: dict[str, str]) -> None:
    model(world)
    dataset(world)
    run_id = run(world, **recipe)
    admit.run_once(world.gate)
    submit.run_once(world.gate)
    sent, pins = command(world), world.show(run_id)["pins"]
    assert sent[sent.index("--model_revision") + 1] == pins["model_revision"]
    assert sent[sent.index("--exclude-newer") + 1] == pins["exclude_newer"]
    assert sent[sent.index("-c") + 2] == pins["dataset_revision"]
    told = {one["check"]: one["message"] for one in world.show(run_id)["preflight"]["checks"]}
    for kind in ("model", "dataset"):
        assert f"at main, which is {pins[f'{kind}_revision'][:12]}" in told[kind]


def test_a_part_of_a_split_is_taken_of_the_commit_that_was_checked(world: World) -> None:
    model(world)
    dataset(world, train__jsonl=3 * (json.dumps(CHAT) + "\n"))
    run_id = run(world, dataset_train_split="train[:2]")
    admit.run_once(world.gate)
    submit.run_once(world.gate)
    assert world.show(run_id)["pins"]["dataset_revision"] in command(world)


def test_an_image_by_digest_is_a_pin(world: World) -> None:
    digest = "sha256:" + "a1" * 32
    named = world.enqueue(image=f"ghcr.io/astral-sh/uv:python3.12-bookworm@{digest}")
    assert world.show(named)["pins"]["image_digest"] == digest
    assert "image_digest" not in world.show(world.enqueue())["pins"]


@pytest.mark.parametrize("minutes", [1, 11])
def test_a_job_trains_on_the_commits_that_were_checked_wherever_their_branch_has_gone(
    world: World, minutes: int
) -> None:
    model(world)
    dataset(world)
    run_id = run(world)
    pins = world.show(run_id)["pins"]
    admit.run_once(world.gate)
    dataset(world, train__jsonl=2 * (json.dumps(CHAT) + "\n"))
    world.clock.turn(minutes=minutes)
    asked = len(world.wire.seen)
    submit.run_once(world.gate)
    assert world.show(run_id)["state"] == "starting"
    assert pins["dataset_revision"] in command(world)
    assert not any("/datasets/" in path for _, path in world.wire.seen[asked:]), "nothing was left to ask"


def test_what_had_no_commit_at_the_check_is_checked_once_it_has_one(world: World) -> None:
    model(world)
    dataset(world)
    is_down = [True]
    world.wire.cut_before = lambda request: (
        httpx2.ConnectError("down") if is_down[0] and "/api/datasets/" in request.url.path else None
    )
    run_id = run(world)
    for _ in range(41):
        world.clock.turn(seconds=15)
        preflight.run_once(world.gate)
    assert set(world.show(run_id)["pins"]) == {"exclude_newer", "model_revision"}
    assert admit.run_once(world.gate) == 1
    is_down[0] = False
    world.clock.turn(seconds=15)
    submit.run_once(world.gate)
    assert (world.show(run_id)["state"], world.window().reserved_micro_usd) == ("queued", 0)
    preflight.run_once(world.gate)
    assert "dataset_revision" in world.show(run_id)["pins"]
    admit.run_once(world.gate)
    submit.run_once(world.gate)
    assert world.show(run_id)["state"] == "starting"


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_what_is_mounted_is_mounted_at_the_commit_that_was_checked(world: World, kind: str) -> None:
    world.core.hub.publish(kind, "acme/files", {"a.txt": b"a"}, world.clock.now)
    world.core.hub.buckets.add("acme/ckpt", world.clock.now)
    bucket = {"type": "bucket", "source": "acme/ckpt", "mount_path": "/out"}
    mounts = [{"type": kind, "source": "acme/files", "mount_path": "/in", "revision": "main"}, bucket]
    run_id = world.enqueue(volumes=mounts)
    shown = world.show(run_id)
    sha = shown["pins"]["volume:/in"]
    assert (shown["volumes"][0]["revision"], len(sha)) == ("main", 40), "both are shown"
    assert "volume:/out" not in shown["pins"]
    world.core.hub.publish(kind, "acme/files", {"a.txt": b"b"}, world.clock.now)
    world.clock.turn(minutes=11)
    admit.run_once(world.gate)
    submit.run_once(world.gate)
    sent = created(world)["volumes"]
    assert [one.get("revision") for one in sent] == [sha, None]
    named = {**mounts[0], "revision": sha}
    assert world.show(world.enqueue(volumes=[named, bucket]))["fingerprint"] == shown["fingerprint"], "the same commit"
    assert world.show(world.enqueue(volumes=mounts))["fingerprint"] != shown["fingerprint"]
