"""Fine-tuning jobs by the real package: each is a run, under the team's budget, and told in OpenAI's words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx2
import openai
import pytest
from sqlalchemy import text
from sqlmodel import select

from service.api.rates import Rates
from service.domain.rate import Rate
from service.flow import preflight, prepare
from service.store.tables import AuditEntry
from tests import published
from tests.doors.openai.conftest import DATASET, LOG, MODEL, Door, chats, jsonl, make, options
from tests.doors.openai.test_files import upload


def create(door: Door, as_: str = "member", **fields: Any) -> Any:
    body = {"model": MODEL, "training_file": DATASET, "extra_body": options(), **fields}
    return door.client(as_).fine_tuning.jobs.create(**body)


def test_a_job_on_a_dataset_of_the_hub_runs_to_its_end(door: Door) -> None:
    client = door.client()
    job = create(
        door,
        method={
            "type": "supervised",
            "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 8, "learning_rate_multiplier": 0.5}},
        },
        suffix="support bot",
        seed=7,
        metadata={"project": "support, 2nd try"},
    )
    assert (job.object, job.model, job.training_file, job.seed) == ("fine_tuning.job", MODEL, DATASET, 7)
    assert job.status == "validating_files"
    assert (job.organization_id, job.metadata) == ("research", {"project": "support, 2nd try"})
    assert (job.fine_tuned_model, job.finished_at, job.trained_tokens, job.error) == (None, None, None, None)
    assert job.result_files == []
    assert job.hyperparameters.to_dict() == {"n_epochs": 2, "batch_size": 8, "learning_rate_multiplier": 0.5}
    assert job.method.supervised.hyperparameters.to_dict() == job.hyperparameters.to_dict()
    run = door.api("GET", f"/runs/{job.tunegate['run_id']}").json()
    assert run["output"]["repo"].startswith("acme/SmolLM2-135M-Instruct-support-bot-")
    assert run["recipe"]["args"]["num_train_epochs"] == 2
    assert run["recipe"]["args"]["learning_rate"] == pytest.approx(job.tunegate["learning_rate"])
    assert job.tunegate["explain"] == f"/runs/{run['id']}/explain"
    preflight.run_once(door.world.gate)
    assert client.fine_tuning.jobs.retrieve(job.id).status == "queued"
    door.world.pass_all()
    door.world.clock.turn(seconds=30)
    door.world.pass_all()
    job = client.fine_tuning.jobs.retrieve(job.id)
    assert (job.status, job.tunegate["state"]) == ("running", "running")
    door.world.publish(run["output"]["repo"], **published.adapter())
    door.until_end(job)
    job = client.fine_tuning.jobs.retrieve(job.id)
    assert (job.status, job.fine_tuned_model) == ("succeeded", run["output"]["repo"])
    assert job.tunegate["cost"]["metered_usd"] > 0
    assert job.finished_at > job.created_at


def test_what_is_auto_is_filled_by_the_preset_and_the_legacy_place_is_taken(door: Door) -> None:
    job = create(door, hyperparameters={"n_epochs": "auto", "batch_size": "auto"})
    assert job.hyperparameters.to_dict() == {"n_epochs": 3, "batch_size": 8, "learning_rate_multiplier": 1.0}
    smol = create(door, model="HuggingFaceTB/SmolLM3-3B")
    run = door.api("GET", f"/runs/{smol.tunegate['run_id']}").json()
    assert run["recipe"]["filled"]["preset"] == "smollm3-lora"
    assert smol.hyperparameters.batch_size == 16
    assert smol.tunegate["learning_rate"] == 2e-4
    half = create(
        door,
        model="HuggingFaceTB/SmolLM3-3B",
        method={"type": "supervised", "supervised": {"hyperparameters": {"learning_rate_multiplier": 0.5}}},
    )
    assert half.tunegate["learning_rate"] == pytest.approx(1e-4)


def test_what_openai_has_no_word_for_goes_into_the_run_as_it_is(door: Door) -> None:
    recipe = {"lora": None, "args": {"max_length": 512, "gradient_checkpointing": True}}
    more = options(recipe=recipe, output_repo="acme/bot", priority=70, labels={"project": "bots"}, secrets={"A": "b"})
    job = create(door, extra_body=more, hyperparameters={"batch_size": 16})
    run = door.api("GET", job.tunegate["run"]).json()
    assert (run["output"]["repo"], run["priority"], run["labels"]) == ("acme/bot", 70, {"project": "bots"})
    assert (run["recipe"]["lora"], run["recipe"]["args"]["max_length"], run["secrets"]) == (None, 512, ["A"])
    assert job.hyperparameters.batch_size == 16
    two = create(door, extra_body=options(flavor="a10g-largex2"), hyperparameters={"batch_size": 16})
    args = door.api("GET", two.tunegate["run"]).json()["recipe"]["args"]
    assert args["per_device_train_batch_size"] * args["gradient_accumulation_steps"] == 8
    assert two.hyperparameters.batch_size == 16


def test_the_split_of_a_dataset_and_its_revision_are_named_in_the_reference(door: Door) -> None:
    job = create(door, training_file=f"{DATASET}@main:train", validation_file=f"{DATASET}:test")
    recipe = door.api("GET", f"/runs/{job.tunegate['run_id']}").json()["recipe"]
    assert (recipe["dataset_revision"], recipe["dataset_train_split"]) == ("main", "train")
    assert recipe["eval"]["split"] == "test"
    assert job.validation_file == f"{DATASET}:test"


def test_a_job_waits_for_its_files_and_trains_on_the_pair(door: Door) -> None:
    client = door.client()
    training, validation = upload(client, chats(20)), upload(client, chats(4), name="test.jsonl")
    job = create(door, training_file=training.id, validation_file=validation.id)
    assert job.status == "validating_files"
    assert "stored on the Hub first" in job.tunegate["message"]
    door.world.pass_all()
    assert client.fine_tuning.jobs.retrieve(job.id).status == "validating_files"
    gates = door.api("GET", job.tunegate["explain"]).json()["gates"]
    assert [one["gate"] for one in gates if one["gate"] == "file" and not one["passed"]] == ["file"]
    door.store(passes=3)
    assert prepare.run_once(door.world.gate) == 0
    repo = door.repo(training.tunegate["dataset"])
    assert sorted(repo.head.tree) == [".gitattributes", "README.md", f"{validation.id}.jsonl", "train.jsonl"]
    door.world.pass_all()
    run = door.api("GET", f"/runs/{job.tunegate['run_id']}").json()
    assert run["recipe"]["dataset_name"] == training.tunegate["dataset"]
    assert (run["recipe"]["dataset_config"], run["recipe"]["eval"]["split"]) == (validation.id, "validation")
    assert (run["state"], run["preflight"]["outcome"]) == ("running", "passed")
    with pytest.raises(openai.ConflictError, match="has not ended, and needs this file"):
        client.files.delete(training.id)
    again = create(door, training_file=training.id, validation_file=validation.id)  # both are there by now
    assert "stored on the Hub" not in again.tunegate["message"]
    for one in (job, again):
        client.fine_tuning.jobs.cancel(one.id)
        door.until_end(one)
    assert client.files.delete(validation.id).deleted
    door.store(passes=2)
    assert sorted(door.repo(training.tunegate["dataset"]).head.tree) == [".gitattributes", "README.md", "train.jsonl"]
    assert client.files.delete(training.id).deleted


def test_a_job_that_is_cancelled_or_paused_while_its_file_is_under_way_stays_so(door: Door) -> None:
    client = door.client()
    file = upload(client, chats())
    cancelled, paused = create(door, training_file=file.id), create(door, training_file=file.id)
    client.fine_tuning.jobs.cancel(cancelled.id)
    assert client.fine_tuning.jobs.pause(paused.id).status == "paused"
    door.world.pass_all()
    before = client.fine_tuning.jobs.retrieve(cancelled.id)
    assert before.status == "cancelled"
    door.store(passes=2)
    door.world.pass_all()
    after = client.fine_tuning.jobs.retrieve(cancelled.id)
    assert (after.status, after.tunegate["message"]) == ("cancelled", before.tunegate["message"])
    assert client.fine_tuning.jobs.retrieve(paused.id).status == "paused"
    client.fine_tuning.jobs.resume(paused.id)
    door.world.pass_all()
    assert client.fine_tuning.jobs.retrieve(paused.id).status == "running"


def test_a_file_that_the_hub_does_not_take_fails_the_job_that_waits_for_it(door: Door) -> None:
    client = door.client()
    file = upload(client, chats())
    job = create(door, training_file=file.id)
    door.world.wire.cut_before = lambda request: (
        httpx2.ConnectError("the Hub is away") if request.url.path == "/api/repos/create" else None
    )
    for _ in range(30):
        door.store()
        door.world.clock.turn(hours=1)
    file = client.files.retrieve(file.id)
    assert (file.status, file.status_details) == (
        "error", "Hugging Face did not take it: ConnectError: the Hub is away",
    )  # fmt: skip
    job = client.fine_tuning.jobs.retrieve(job.id)
    assert (job.status, job.error.code, job.error.param) == ("failed", "dataset_not_found", "training_file")
    with pytest.raises(openai.BadRequestError) as told:
        create(door, training_file=file.id)
    assert told.value.param == "training_file"
    assert client.files.delete(file.id).deleted


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"training_file": "file-0"}, "training_file", "team has no file"),
    ({"training_file": "not a dataset"}, "training_file", "neither the id of a file nor of a dataset"),
    ({"validation_file": "acme/other:test"}, "validation_file", "another split of the dataset"),
    ({"validation_file": DATASET}, "validation_file", "another split of the dataset"),
    ({"validation_file": "file-0"}, "validation_file", "file goes with a file"),
    ({"model": "not a model"}, "model", "no name on the Hub"),
    ({"method": {"type": "dpo", "dpo": {}}}, "method.type", "only 'supervised'"),
    ({"method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 0}}}},
     "method.supervised.hyperparameters.n_epochs", "whole number from 1"),
    ({"hyperparameters": {"learning_rate_multiplier": -1}}, "hyperparameters.learning_rate_multiplier", "above 0"),
    ({"hyperparameters": {"batch_size": 100_001}}, "hyperparameters.batch_size", "whole number from 1"),
    ({"hyperparameters": {}, "method": {"type": "supervised", "supervised": {}}}, "hyperparameters", "two places"),
    ({"seed": -1}, "seed", ""),
    ({"suffix": "x" * 65}, "suffix", ""),
    ({"metadata": {"a" * 65: "b"}}, "metadata." + "a" * 64, "1 to 64 characters"),
    ({"integrations": [{"type": "wandb", "wandb": {"project": "p"}}]}, "integrations", "needs a key"),
    ({"extra_body": {"colour": "red"}}, "colour", "no field 'colour'"),
    ({"extra_body": {"tunegate": {"flavour": "a10g-large"}}}, "tunegate.flavour", "no option 'flavour'"),
    ({"extra_body": {"tunegate": {"flavor": "h1000"}}}, "tunegate.flavor", "h1000"),
    ({"extra_body": {"tunegate": {"recipe": {"dataset_name": "a/b"}}}}, "tunegate.recipe.dataset_name",
     "is given as 'training_file'"),
    ({"extra_body": {"tunegate": {"recipe": {"args": {"lerning_rate": 1}}}}},
     "tunegate.recipe.args.lerning_rate", "lerning_rate"),
    ({"metadata": {"tunegate.flavor": "t4-small"}}, "metadata.tunegate.flavor", "in 'metadata' and in 'tunegate'"),
    ({"metadata": {"tunegate.colour": "red"}}, "metadata.tunegate.colour", "no option"),
]  # fmt: skip


def test_a_request_that_is_wrong_names_the_field_in_its_own_words(door: Door) -> None:
    for fields, param, said in WRONG:
        with pytest.raises(openai.BadRequestError) as told:
            create(door, **fields)
        error = told.value
        assert error.param == param, (fields, error.message)
        assert said in error.message
        assert (error.type, error.request_id is not None) == ("invalid_request_error", True)
        assert error.response.headers["x-should-retry"] == "false"
    assert door.client().fine_tuning.jobs.list().data == []
    assert door.api("GET", "/runs").json()["data"] == []


def test_money_is_the_teams_and_refusals_have_their_numbers(door: Door) -> None:
    with pytest.raises(openai.BadRequestError) as told:
        create(door, extra_body=options(flavor="h200x8", timeout="100h"))
    assert told.value.code == "exceeds_budget"
    assert isinstance(told.value.body, dict)
    assert told.value.body["need_usd"] > 50


def test_without_any_bound_the_installations_timeout_holds(door: Door) -> None:
    job = create(door, extra_body={"tunegate": {"flavor": "a10g-large"}})
    assert door.api("GET", job.tunegate["run"]).json()["timeout_seconds"] == 7200
    capped = create(door, extra_body={}, metadata={"tunegate.flavor": "a10g-large", "tunegate.max_cost_usd": "0.5"})
    assert door.api("GET", capped.tunegate["run"]).json()["max_cost_usd"] == 0.5
    assert capped.metadata["tunegate.max_cost_usd"] == "0.5"


def test_wandb_takes_the_teams_key(door: Door) -> None:
    assert door.api("PUT", "/teams/research/secrets/wandb", as_="lead", json={"value": "k" * 40}).status_code < 300
    wandb = {"project": "bots", "entity": "acme", "name": "first", "tags": ["a", "b"]}
    job = create(door, integrations=[{"type": "wandb", "wandb": wandb}])
    assert job.integrations[0].to_dict() == {"type": "wandb", "wandb": wandb}
    run = door.api("GET", job.tunegate["run"]).json()
    assert run["recipe"]["report_to"] == "wandb"
    assert run["secret_refs"] == {"WANDB_API_KEY": "wandb"}
    told = {name: value for name, value in run["env"].items() if name.startswith("WANDB")}
    assert told == {
        "WANDB_PROJECT": "bots", "WANDB_ENTITY": "acme", "WANDB_NAME": "first", "WANDB_TAGS": "a,b",
    }  # fmt: skip


def test_a_request_that_is_sent_again_makes_one_job(door: Door) -> None:
    def sent(key: str | None = None, tries: int = 0, **fields: Any) -> Any:
        headers = {"x-stainless-retry-count": str(tries)} | ({} if key is None else {"Idempotency-Key": key})
        return create(door, extra_headers=headers, **fields)

    first = sent("a")
    assert sent("a").id == first.id
    with pytest.raises(openai.ConflictError) as told:
        sent("a", suffix="other")
    assert (told.value.code, told.value.response.headers["x-should-retry"]) == ("idempotency_key_reused", "false")
    second = sent()
    assert second.id != first.id
    assert sent(tries=1).id == second.id  # the client's own try again, after an answer that it did not get
    assert sent().id not in (first.id, second.id)
    assert sent(tries=1, suffix="new").id not in (first.id, second.id)
    door.world.clock.turn(hours=1)
    assert sent(tries=1).id not in (first.id, second.id)
    assert len(list(door.client().fine_tuning.jobs.list(limit=2))) == 5


def test_lists_page_and_are_narrowed_by_metadata(door: Door) -> None:
    client, made = door.client(), []
    for number in range(5):
        door.world.clock.turn(seconds=1)
        metadata = {} if number == 0 else {"n": str(number % 2), "all": "yes"}
        made.append(create(door, metadata=metadata or openai.omit).id)
    assert [one.id for one in client.fine_tuning.jobs.list(limit=2)] == made[::-1]
    page = client.fine_tuning.jobs.list(limit=2)
    assert [one.id for one in page.get_next_page().data] == made[2:0:-1]
    found = client.fine_tuning.jobs.list(metadata={"n": "1", "all": "yes"}).data
    assert [one.id for one in found] == [made[3], made[1]]
    assert client.fine_tuning.jobs.list(metadata={"n": "7"}).data == []
    assert [one.id for one in client.fine_tuning.jobs.list(extra_query={"metadata": "null"})] == [made[0]]
    with pytest.raises(openai.BadRequestError) as told:
        client.fine_tuning.jobs.list(extra_query={"state": "queued"})
    assert told.value.param == "state"


def test_pause_resume_and_cancel_are_the_runs(door: Door) -> None:
    client = door.client()
    job = create(door)
    assert client.fine_tuning.jobs.pause(job.id).status == "paused"
    door.world.pass_all()
    assert client.fine_tuning.jobs.retrieve(job.id).status == "paused"
    assert client.fine_tuning.jobs.resume(job.id).status in ("queued", "validating_files")
    door.world.pass_all()
    door.world.clock.turn(seconds=30)
    door.world.pass_all()
    with pytest.raises(openai.ConflictError, match="would lose what it has trained"):
        client.fine_tuning.jobs.pause(job.id)
    assert client.fine_tuning.jobs.cancel(job.id).tunegate["cancel_requested_at"] is not None
    door.until_end(job)
    assert client.fine_tuning.jobs.retrieve(job.id).status == "cancelled"
    with pytest.raises(openai.ConflictError) as told:
        client.fine_tuning.jobs.cancel(job.id)
    assert told.value.response.headers["x-should-retry"] == "false"
    with door.world.db.read() as session:
        entries = [one.action for one in session.exec(select(AuditEntry)) if one.object == f"/runs/{door.run(job)}"]
    assert entries == [
        "POST /v1/fine_tuning/jobs",
        *(f"POST /v1/fine_tuning/jobs/{{fine_tuning_job_id}}/{verb}" for verb in ("pause", "resume", "cancel")),
    ]


def ended(door: Door) -> Any:
    job = create(door, extra_body=options(env={"SANDBOX_RUN_SECONDS": "300", "SANDBOX_LOG": LOG}))
    door.world.pass_all()
    repo = job.tunegate["output"]["repo"]
    for _ in range(10):
        door.world.clock.turn(seconds=20)
        door.world.pass_all()
    door.world.publish(repo, **published.adapter())
    door.until_end(job)
    return door.client().fine_tuning.jobs.retrieve(job.id)


def test_events_tell_the_story_and_the_numbers_newest_first(door: Door) -> None:
    job, client = ended(door), door.client()
    events = client.fine_tuning.jobs.list_events(job.id, limit=100).data
    assert [one.object for one in events] == ["fine_tuning.job.event"] * len(events)
    stamps = [one.created_at for one in events]
    assert stamps == sorted(stamps, reverse=True)
    assert events[-1].message.startswith("The job waits in the queue")
    numbers = [one for one in events if one.type == "metrics"]
    assert [one.data["train_loss"] for one in numbers if "train_loss" in one.data] == [1.5, 2.5]
    assert [one.data["valid_loss"] for one in numbers if "valid_loss" in one.data] == [2.25]
    assert {one.level for one in events if one.type == "message"} <= {"info", "warn", "error"}
    assert [one.id for one in client.fine_tuning.jobs.list_events(job.id, limit=1)] == [one.id for one in events]
    assert [one.id for one in client.fine_tuning.jobs.list_events(job.id, limit=3)] == [one.id for one in events]
    with pytest.raises(openai.BadRequestError):
        client.fine_tuning.jobs.list_events(job.id, after="ftevent-x")


def test_results_checkpoints_and_tokens_are_what_the_run_recorded(door: Door) -> None:
    job, client = ended(door), door.client()
    assert job.status == "succeeded", job
    assert job.trained_tokens == 2000
    assert job.fine_tuned_model == job.tunegate["output"]["repo"]
    [result] = job.result_files
    assert client.files.content(result).text == (
        "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n10,2.5,0.5,2.25,0.55\n20,1.5,0.75,,\n"
    )
    assert client.files.retrieve(result).purpose == "fine-tune-results"
    assert [one.id for one in client.files.list(purpose="fine-tune-results")] == [result]
    [last] = client.fine_tuning.jobs.checkpoints.list(job.id).data
    assert (last.step_number, last.fine_tuning_job_id) == (20, job.id)
    assert last.fine_tuned_model_checkpoint.startswith(f"{job.fine_tuned_model}@")
    assert (last.metrics.train_loss, last.metrics.full_valid_loss, last.metrics.step) == (1.5, 2.25, 20)
    assert next(iter(client.fine_tuning.jobs.checkpoints.list(job.id, limit=1))).id == last.id
    with pytest.raises(openai.NotFoundError):
        door.client("outsider").files.content(result)


def test_a_job_that_failed_says_why(door: Door) -> None:
    failing = {"SANDBOX_RUN_SECONDS": "60", "SANDBOX_EXIT_CODE": "1", "SANDBOX_LOG": "ValueError: no column 'messages'"}
    job = create(door, extra_body=options(env=failing))
    door.until_end(job)
    job = door.client().fine_tuning.jobs.retrieve(job.id)
    assert job.status == "failed"
    assert job.error.code == job.tunegate["failure"]["cause"]
    assert job.error.message == job.tunegate["failure"]["message"]
    event = door.client().fine_tuning.jobs.list_events(job.id, limit=1).data[0]
    assert (event.level, event.data["event"]) == ("error", "run.failed")


CALLS: list[tuple[str, Callable[[Any, str], Any], bool]] = [
    ("retrieve", lambda client, job: client.fine_tuning.jobs.retrieve(job), False),
    ("list_events", lambda client, job: client.fine_tuning.jobs.list_events(job), False),
    ("checkpoints", lambda client, job: client.fine_tuning.jobs.checkpoints.list(job), False),
    ("cancel", lambda client, job: client.fine_tuning.jobs.cancel(job), True),
    ("pause", lambda client, job: client.fine_tuning.jobs.pause(job), True),
    ("resume", lambda client, job: client.fine_tuning.jobs.resume(job), True),
    ("create", lambda client, _job: client.fine_tuning.jobs.create(model=MODEL, training_file=DATASET), True),
    ("list", lambda client, _job: client.fine_tuning.jobs.list(), False),
]


def test_each_call_asks_who_it_is(door: Door) -> None:
    key = {"name": "reader", "role": "member", "scopes": ["runs:read"]}
    door.api.keys["reader"] = door.api("POST", "/teams/research/keys", as_="lead", json=key).json()["key"]
    job = create(door).id
    for name, call, writes in CALLS:
        for nobody in ("stranger", "nobody"):
            with pytest.raises(openai.AuthenticationError):
                call(door.client(nobody), job)
        if name not in ("create", "list"):
            with pytest.raises(openai.NotFoundError) as told:
                call(door.client("outsider"), job)
            assert told.value.param == "fine_tuning_job_id"
            with pytest.raises(openai.NotFoundError):
                call(door.client("lead"), "ftjob-0")
        if writes:
            with pytest.raises(openai.PermissionDeniedError):
                call(door.client("viewer"), job)
            with pytest.raises(openai.PermissionDeniedError, match="runs:write"):
                call(door.client("reader"), job)
        else:
            for reader in ("viewer", "reader", "admin"):
                call(door.client(reader), job)
    assert door.client("outsider").fine_tuning.jobs.list().data == []


def test_members_steer_their_own_jobs_and_an_admin_names_the_team_as_project(door: Door) -> None:
    job = create(door, as_="lead")
    with pytest.raises(openai.PermissionDeniedError):
        door.client("member").fine_tuning.jobs.cancel(job.id)
    admin = door.client("admin", project="other")
    made = admin.fine_tuning.jobs.create(**make(training_file=DATASET, extra_body={"tunegate": {"force": True}}))
    assert made.organization_id == "other"
    assert [one.id for one in admin.fine_tuning.jobs.list()] == [made.id]
    assert {one.id for one in door.client("admin").fine_tuning.jobs.list()} == {made.id, job.id}
    with pytest.raises(openai.NotFoundError):
        door.client("member", project="other").fine_tuning.jobs.list()


def test_the_asynchronous_client_pages_and_polls_as_well(door: Door) -> None:
    async def story() -> list[str]:
        client = door.async_client()
        file = await client.files.create(file=("chats.jsonl", chats()), purpose="fine-tune")
        await asyncio.to_thread(door.store)
        assert (await client.files.wait_for_processing(file.id)).status == "processed"
        assert (await client.files.content(file.id)).read() == chats()
        jobs = [
            await client.fine_tuning.jobs.create(model=MODEL, training_file=file.id, extra_body=options())
            for _ in range(3)
        ]
        assert (await client.fine_tuning.jobs.pause(jobs[0].id)).status == "paused"
        await client.fine_tuning.jobs.resume(jobs[0].id)
        await client.fine_tuning.jobs.cancel(jobs[1].id)
        events = [one async for one in client.fine_tuning.jobs.list_events(jobs[0].id, limit=1)]
        assert len(events) == 3
        assert [one.id async for one in client.files.list(limit=1)] == [file.id]
        assert [one async for one in client.fine_tuning.jobs.checkpoints.list(jobs[0].id)] == []
        listed = [one.id async for one in client.fine_tuning.jobs.list(limit=1)]
        await client.close()
        return listed if {one.id for one in jobs} == set(listed) else []

    assert len(asyncio.run(story())) == 3


def test_who_asks_too_often_is_told_when_to_come_again(door: Door) -> None:
    state = door.api.app.state
    client = door.client()
    client.files.list()
    state.tunegate = replace(state.tunegate, rates=Rates(Rate(2, 3600)))
    for _ in range(3):  # the first one shows the key: counted are the others
        client.files.list()
    with pytest.raises(openai.RateLimitError) as told:
        client.files.list()
    headers = told.value.response.headers
    assert (told.value.code, told.value.type) == ("rate_limit_exceeded", "requests")
    assert headers["x-should-retry"] == "true"
    assert int(headers["retry-after-ms"]) == int(headers["retry-after"]) * 1000


def test_a_fault_of_ours_is_an_error_of_openais_and_tells_nothing(door: Door) -> None:
    door.world.db.write(lambda session: session.execute(text("DROP TABLE file_pair")) and None)
    door.world.db.write(lambda session: session.execute(text("DROP TABLE fine_tuning_job")) and None)
    with pytest.raises(openai.InternalServerError) as told:
        door.client().fine_tuning.jobs.list()
    assert (told.value.code, told.value.type, told.value.param) == ("internal_error", "server_error", None)
    assert "fine_tuning_job" not in told.value.message
    assert told.value.response.headers["cache-control"] == "no-store"


def test_other_addresses_and_faults_are_told_in_openais_form(door: Door) -> None:
    client = door.client()
    with pytest.raises(openai.NotFoundError) as told:
        client.models.list()
    assert told.value.code == "unknown_url"
    bad = door.api("POST", "/v1/fine_tuning/jobs", content=b"{", headers={"content-type": "application/json"})
    assert (bad.status_code, bad.json()["error"]["code"]) == (400, "malformed_body")
    assert bad.headers["content-type"] == "application/json"
    with pytest.raises(openai.BadRequestError):
        client.files.create(file=("prompts.jsonl", jsonl([{"prompt": "a", "completion": 3}])), purpose="fine-tune")
