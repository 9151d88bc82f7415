"""Triggers: a commit on the Hub makes one run, whatever was told of it and how often; a run's own commit makes none."""

from __future__ import annotations

from typing import Any

import pytest
from sqlmodel import Session, col, select

from service.domain.hub_hook import tells_of
from service.domain.overlap import Overlap
from service.flow import trigger as step
from service.store import events, origins, triggers
from service.store.tables import Origin, Run, Trigger
from tests.flow.conftest import World

ID = "trg_1"
DATA = "acme/chats"
RUN = {
    "recipe": {"kind": "script", "source": "print(1)\n", "args": ["{{revision}}"]},
    "flavor": "cpu-basic",
    "timeout": "10m",
}
TRL = {
    "recipe": {
        "kind": "trl_sft",
        "model_name_or_path": "HuggingFaceTB/SmolLM2-135M-Instruct",
        "dataset_name": DATA,
        "args": {"max_steps": 10, "use_cpu": True},
    },
    "flavor": "cpu-basic",
    "timeout": "10m",
    "output_repo": "acme/tuned",
}


def make(world: World, template: dict[str, Any] = RUN, repo_type: str = "dataset", repo: str = DATA) -> None:
    def work(session: Session) -> None:
        session.add(
            Origin(
                id=ID, kind="trigger", team="research", name="chats", owner="ana", template=template,
                max_concurrent_runs=1, created_at=world.clock.now,
            )
        )  # fmt: skip
        session.flush()
        session.add(Trigger(id=ID, repo_type=repo_type, repo=repo, debounce_seconds=60, overlap=Overlap.QUEUE.value))

    world.db.write(work)


def push(world: World, content: bytes, repo_type: str = "dataset", repo: str = DATA) -> str:
    """A commit on the Hub."""
    return str(world.core.hub.publish(repo_type, repo, {"train.jsonl": content}, world.clock.now))


def hint(world: World) -> None:
    def work(session: Session) -> None:
        found = origins.lock(session, Trigger, ID)
        assert found is not None
        triggers.hint(session, found[1], world.clock.now)

    world.db.write(work)


def trigger(world: World) -> Trigger:
    with world.db.read() as session:
        found = origins.get(session, Trigger, ID)
    assert found is not None
    return found[1]


def made(world: World) -> list[Run]:
    with world.db.read() as session:
        return list(session.exec(select(Run).where(col(Run.origin) == ID).order_by(col(Run.id))))


def told(world: World) -> list[tuple[str, str]]:
    with world.db.read() as session:
        return [(event.type, event.data["message"]) for event in events.of(session, ID, 0, 100)]


def look(world: World) -> int:
    world.clock.turn(seconds=61)
    return step.run_once(world.gate)


def test_a_new_commit_makes_one_run_with_the_commit_pinned(world: World) -> None:
    make(world)
    assert step.run_once(world.gate) == 0
    revision = push(world, b"{}")
    hint(world)
    assert step.run_once(world.gate) == 0, "it is debounced"
    assert look(world) == 1
    [run] = made(world)
    assert run.recipe["args"] == [revision]
    assert (run.requested_by, run.origin) == ("ana", ID)
    assert trigger(world).last_outcome == "started"
    hint(world)
    look(world)
    assert len(made(world)) == 1, "the same commit makes no other"
    assert told(world)[-1] == ("trigger.skipped", f"{DATA} is at {revision[:12]} still")
    second = push(world, b"{}\n{}")
    hint(world)
    look(world)
    assert [run.recipe["args"] for run in made(world)] == [[revision], [second]]


def test_a_trl_recipe_that_names_the_repository_is_pinned_to_it(world: World) -> None:
    make(world, TRL)
    revision = push(world, b'{"messages": []}')
    hint(world)
    look(world)
    assert trigger(world).last_message == ""
    [run] = made(world)
    assert run.recipe["dataset_revision"] == revision


def test_many_hints_are_one_look_and_none_is_put_off_for_ever(world: World) -> None:
    make(world)
    push(world, b"{}")
    looks = 0
    for _ in range(40):  # twenty minutes, every thirty seconds
        hint(world)
        world.clock.turn(seconds=30)
        looks += step.run_once(world.gate)
    assert 1 <= looks <= 3
    assert len(made(world)) == 1


def test_a_hub_that_does_not_answer_is_asked_again_and_given_up(world: World) -> None:
    make(world, repo="acme/nowhere")
    hint(world)
    world.clock.turn(hours=1)
    step.run_once(world.gate)
    assert "acme/nowhere could not be read" in (trigger(world).trouble or "")
    assert trigger(world).last_outcome is None
    for _ in range(20):
        world.clock.turn(hours=1)
        step.run_once(world.gate)
    assert made(world) == []
    [(event, message)] = told(world)
    assert event == "trigger.refused"
    assert "acme/nowhere could not be read" in message
    assert trigger(world).trouble is None


def test_a_runs_own_commit_starts_none(world: World) -> None:
    repo = "acme/grows"
    template = {**RUN, "output_repo": "{{repo}}", "env": {"SANDBOX_RUN_SECONDS": "120"}}
    make(world, template, "model", repo)
    push(world, b"a", "model", repo)
    hint(world)
    look(world)
    [run] = made(world)
    world.pass_all()
    world.pass_all()
    assert world.run(run.id).state == "running"
    published = push(world, b"b", "model", repo)  # by the job
    hint(world)
    assert look(world) == 0, "as long as it publishes, it is waited for"
    assert run.id in (trigger(world).trouble or "")
    world.until_end(run.id)

    def note(session: Session) -> None:  # what `settle` finds on the Hub
        row = session.get_one(Run, run.id)
        row.output = {**(row.output or {}), "revision": published}
        session.add(row)

    world.db.write(note)
    assert look(world) == 1
    assert told(world)[-1][0] == "trigger.skipped"
    assert f"was published by {run.id}" in told(world)[-1][1]
    assert len(made(world)) == 1


def test_what_is_refused_is_told(world: World) -> None:
    make(world, {**RUN, "timeout": "30d"})
    world.budget(1000)
    push(world, b"{}")
    hint(world)
    look(world)
    assert made(world) == []
    assert told(world)[0][0] == "trigger.refused"


def content(name: str = DATA, kind: str = "dataset", action: str = "update", scope: str = "repo.content") -> Any:
    return {"event": {"action": action, "scope": scope}, "repo": {"type": kind, "name": name}}


@pytest.mark.parametrize(
    ("payload", "is_news"),
    [
        (content(), True),
        (content("Acme/Chats", action="create"), True),
        (content(scope="repo.config"), False),
        (content(action="delete"), False),
        (content(kind="model"), False),
        (content("acme/other"), False),
        (content(scope="discussion.comment"), False),
        ({**content(), "event": "update"}, False),
        ({"event": {"action": ["update"], "scope": 1}, "repo": {"type": "dataset", "name": 1}}, False),
        ({}, False),
    ],
)
def test_what_of_the_hubs_payloads_is_news_of_files(payload: dict[str, Any], is_news: bool) -> None:
    assert tells_of(payload, "dataset", DATA) is is_news
