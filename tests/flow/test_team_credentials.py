"""Teams with tokens of their own: each run is done with its owner's tokens, to its end, and with no others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import httpx2
import pytest
from sqlmodel import Session, col, select

from service.domain.errors import Conflict, Invalid
from service.domain.place import Place
from service.domain.subject import Kind, Subject
from service.domain.wanted import Wanted
from service.flow import admit, billing, card, preflight, saving, submit, sweep, tidy, tokens, watch
from service.flow.child import refuse_gone
from service.flow.enqueue import place_of
from service.flow.facts import gather
from service.flow.gate import Start, TeamHubs
from service.flow.preflight import subjects_of
from service.hub.faults import HubUnavailable
from service.hub.follower import Followers
from service.store import billing as bills
from service.store import credentials, runs
from service.store.tables import HubFact, Stray
from tests.factories import make_credentials, make_run, make_team
from tests.flow.conftest import World

LABS = ("hf_labs", "hf_labs_job")
MIRA = ("hf_mira", "hf_mira_job")
SERVICE = ("hf_sandbox", "hf_sandbox_job")
TRL = {
    "kind": "trl_sft",
    "model_name_or_path": "labs/secret",
    "dataset_name": "trl-lib/Capybara",
    "args": {"max_steps": 10},
}


@pytest.fixture
def two(world: World) -> World:
    """Beside `research` on the service's tokens: `labs` on its own, in its own namespace."""

    def make(session: Session) -> None:
        make_team(session, world.clock.now, "labs", budget_micro_usd=100_000)
        make_credentials(session, world.gate.vault, world.clock.now, "labs", LABS, "labs", "mira")

    world.db.write(make)
    return world


def bring(world: World, team: str, pair: tuple[str, str], *namespaces: str) -> None:
    world.clock.turn(milliseconds=1)
    world.db.write(
        lambda session: make_credentials(session, world.gate.vault, world.clock.now, team, pair, *namespaces)
    )


def sent(world: World, since: int = 0) -> Iterator[tuple[str, str, bytes]]:
    """Path, token and body of each request."""
    for (_, path), token, body in zip(
        world.wire.seen[since:], world.wire.tokens[since:], world.wire.bodies[since:], strict=True
    ):
        yield path, token.removeprefix("Bearer "), body


def whole_run(world: World, team: str, namespace: str) -> str:
    repo = f"{namespace}/model"
    run_id = world.enqueue(team=team, seconds=30, output_repo=repo, lineage_card=True, checkpoints="on")
    admit.run_once(world.gate)
    submit.run_once(world.gate)
    world.publish(repo, by="mira" if namespace == "labs" else "sandbox", model__safetensors=b"x", config__json=b"{}")
    for _ in range(12):
        world.clock.turn(seconds=5)
        world.pass_all()
        for step in (sweep, saving, billing, card, tidy, tokens):
            step.run_once(world.gate)
    assert world.run(run_id).finished_at is not None
    return run_id


def test_nothing_of_one_owner_is_ever_sent_for_another(two: World) -> None:
    whose = {"acme": SERVICE, "labs": LABS, "mira": LABS}
    labs, ours = whole_run(two, "labs", "labs"), whole_run(two, "research", "acme")
    shown = two.show(labs)
    assert (shown["namespace"], shown["hf_credentials"]) == ("labs", "labs")
    assert (two.show(ours)["namespace"], two.show(ours)["hf_credentials"]) == ("acme", None)
    asked: dict[str, set[str]] = {}
    for path, token, body in sent(two):
        for namespace, pair in whose.items():
            if f"/{namespace}" in path:
                assert token in pair, (path, token)
                asked.setdefault(namespace, set()).add(token)
        for pair in (SERVICE, LABS):
            held = [one for one in pair if f'"{one}"'.encode() in body]
            assert not held or (held == [pair[1]] and token == pair[0]), "a job gets its owner's job token alone"
    assert asked["labs"] == {*LABS}
    assert asked["acme"] == {*SERVICE}
    given = [
        json.loads(body)["secrets"]["HF_TOKEN"]
        for path, _, body in sent(two)
        if path in ("/api/jobs/labs", "/api/jobs/acme") and body
    ]
    assert given == ["hf_labs_job", "hf_sandbox_job"]
    assert two.run(labs).bucket is None or two.run(labs).bucket.startswith("labs/")


def test_two_owners_of_one_namespace_are_no_strays_to_each_other(two: World) -> None:
    bring(two, "labs", MIRA, "acme")
    mine, theirs = two.enqueue(seconds=40), two.enqueue(team="labs", seconds=40)
    two.pass_all()
    assert two.run(theirs).place == Place("labs", "acme")
    # a second job of the other owner's run: it is stopped, by its own owner
    labels = two.jobs_of(theirs)[0].labels
    body: dict[str, Any] = {"dockerImage": "python:3.12", "command": ["true"], "flavor": "cpu-basic", "labels": labels}
    body |= {"timeoutSeconds": 600, "environment": {"SANDBOX_RUN_SECONDS": "300"}}
    client = httpx2.Client(transport=two.wire, headers={"authorization": "Bearer hf_mira"})
    second = client.post("http://hub.test/api/jobs/acme", json=body).json()["id"]
    since = len(two.wire.seen)
    for _ in range(4):
        two.clock.turn(seconds=20)
        sweep.run_once(two.gate)
        two.pass_all()
    with two.db.read() as session:
        [stray] = session.exec(select(Stray)).all()
    assert (stray.hub_job_id, stray.kind, stray.credentials) == (second, "second_job", "labs")
    ids = {two.attempt(mine).hub_job_id: SERVICE, two.attempt(theirs).hub_job_id: MIRA, second: MIRA}
    for path, token, _ in sent(two, since):
        for job_id, pair in ids.items():
            assert str(job_id) not in path or token in pair, (path, token)
    two.until_end(mine, theirs)
    assert {two.show(one)["state"] for one in (mine, theirs)} == {"succeeded"}


def test_what_one_owners_token_may_read_is_no_fact_for_another(two: World) -> None:
    config = json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}).encode()
    two.publish("labs/secret", config__json=config, model__safetensors=b"x", tokenizer__json=b"{}")
    two.core.hub.repo("model", "labs/secret").private = True
    model = Subject(Kind.MODEL, "labs/secret", "main")
    assert (gather(two.gate, "labs", [model]) or {})[model].is_found
    assert not (gather(two.gate, None, [model]) or {})[model].is_found
    two.budget(10_000_000)
    theirs = two.enqueue(recipe=TRL, force=True, output_repo="acme/x", flavor="a10g-small", checked=False)
    preflight.run_once(two.gate)
    assert two.show(theirs)["reason"] == "model_not_found"
    assert (gather(two.gate, "labs", [model]) or {})[model].is_found
    # tokens that replace others know nothing of what those could read
    bring(two, "labs", MIRA, "acme")
    since = len(two.wire.seen)
    assert not (gather(two.gate, "labs", [model]) or {})[model].is_found
    assert {token for _, token, _ in sent(two, since)} == {"hf_mira_job"}
    with two.db.read() as session:
        assert len(session.exec(select(HubFact).where(col(HubFact.subject) == model.name)).all()) == 3


def test_tokens_that_replace_others_hold_at_once_on_every_replica(two: World) -> None:
    other = replace(two.gate, team_hubs=TeamHubs(), boot="boot-2")
    run_id = two.enqueue(team="labs", seconds=300)
    two.pass_all()
    assert two.run(run_id).state == "running"
    watch.run_once(other)
    bring(two, "labs", ("hf_labs_write", "hf_labs_job"), "labs")
    since = len(two.wire.seen)
    for gate in (two.gate, other):
        watch.run_once(gate)
    assert [token for path, token, _ in sent(two, since) if path == "/api/jobs/labs"] == ["hf_labs_write"] * 2
    two.cancel(run_id)
    two.until_end(run_id)
    assert two.show(run_id)["state"] == "cancelled"


def test_a_followed_log_is_read_with_its_owners_token(two: World) -> None:
    followers = Followers(lambda job: two.gate.hub_of(job.credentials).streams, 5)
    two.gate = replace(two.gate, followers=followers)
    run_id = two.enqueue(team="labs", seconds=20, log="hello")
    two.until_end(run_id)
    followers.stop()
    assert {token for path, token, _ in sent(two) if path.endswith("/logs")} == {"hf_labs"}


def test_a_run_stays_with_the_tokens_that_it_began_with(two: World) -> None:
    early = two.enqueue(seconds=5)
    bring(two, "research", MIRA, "acme")
    late = two.enqueue(seconds=5)
    assert (two.run(early).credentials, two.run(late).credentials) == (None, "research")
    two.until_end(early, late)
    used = {two.jobs_of(run_id)[0].spec.secrets["HF_TOKEN"] for run_id in (early, late)}
    assert used == {"hf_sandbox_job", "hf_mira_job"}


def test_the_namespace_is_one_of_the_teams(two: World) -> None:
    def place(named: str | None, team: str) -> Place:
        with two.db.read() as session:
            return place_of(session, named, team, "acme", credentials.get)

    assert place(None, "labs") == Place("labs", "labs")
    assert place("mira", "labs") == Place("labs", "mira")
    assert place(None, "research") == Place(None, "acme")
    with pytest.raises(Invalid, match="labs, mira"):
        place("acme", "labs")
    with pytest.raises(Invalid, match="'acme' only"):
        place("labs", "research")


def test_tokens_that_are_gone_send_nothing_and_lose_nothing(two: World) -> None:
    """The API refuses this; a restored backup may bring it about."""
    run_id = two.enqueue(team="labs", seconds=300)
    two.pass_all()
    two.db.write(lambda session: session.delete(credentials.get(session, "labs")))
    since = len(two.wire.seen)
    queued = two.db.write(partial(_make, world=two))
    two.clock.turn(seconds=30)
    two.pass_all()
    sweep.run_once(two.gate)
    assert two.run(run_id).state == "running"
    assert two.run(queued).state == "queued"
    assert not [path for path, _, _ in sent(two, since) if "/labs" in path]
    with pytest.raises(HubUnavailable, match="no tokens of its own"):
        two.gate.hub_of("labs")
    bring(two, "labs", LABS, "labs")
    two.until_end(run_id, queued, minutes=1)


def _make(session: Session, world: World) -> str:
    run = make_run(session, world.clock.now, team="labs", namespace="labs", credentials="labs", checked_at=None)
    return run.id


def test_a_backup_that_forgot_a_job_finds_it_with_its_owners_tokens(two: World) -> None:
    run_id = two.enqueue(team="labs", seconds=60)
    two.pass_all()
    two.gate = replace(two.gate, start=Start(), boot="boot-2")
    assert submit.run_once(two.gate) == 0
    since = len(two.wire.seen)
    sweep.run_once(two.gate)
    listed = {(path, token) for path, token, _ in sent(two, since) if path.startswith("/api/jobs/")}
    assert listed == {("/api/jobs/acme", "hf_sandbox"), ("/api/jobs/labs", "hf_labs"), ("/api/jobs/mira", "hf_labs")}
    two.until_end(run_id)


def test_each_owners_bills_are_read_with_its_own_token(two: World) -> None:
    assert billing.run_once(two.gate) == 0
    asked = [token for path, token, _ in sent(two) if "/billing/" in path]
    assert asked == ["hf_sandbox", "hf_labs"]
    with two.db.read() as session:
        assert bills.next_reading(session, None) == bills.next_reading(session, "labs") is not None


def test_a_team_whose_job_token_could_start_jobs_waits_and_no_other(two: World) -> None:
    bring(two, "labs", ("hf_labs", "hf_labs_broad"), "labs")
    theirs, ours = two.enqueue(team="labs", seconds=5), two.enqueue(seconds=5)
    two.pass_all()
    assert (two.run(theirs).reason, two.run(ours).state) == ("backing_off", "running")
    assert "PUT /teams/labs/hf-credentials" in (two.run(theirs).message or "")

    def allow(session: Session) -> None:
        row = credentials.get(session, "labs")
        assert row is not None
        row.allow_broad_job_token = True
        session.add(row)

    two.db.write(allow)
    two.until_end(theirs, ours)


def test_what_waits_for_its_tokens_rate_limit_holds_up_nobody_else(two: World) -> None:
    theirs, ours = two.enqueue(team="labs", seconds=5), two.enqueue(seconds=5)
    two.pass_all()
    governor = two.gate.hub_of("labs").governor
    assert governor is not two.hub.governor
    two.clock.turn(seconds=6)
    governor.remaining, governor.limit, governor.resets_at = 0, 1000, two.clock.now.replace(year=2027)
    watch.run_once(two.gate)
    assert (two.run(ours).state, two.run(theirs).state) == ("succeeded", "running")
    governor.remaining = None
    two.until_end(theirs)


def test_children_go_with_their_run(two: World) -> None:
    run_id = two.enqueue(team="labs", seconds=5, output_repo="labs/m", then=[{"kind": "smoke_test", "timeout": "5m"}])
    with two.db.read() as session:
        [child] = runs.children(session, run_id)
    assert child.place == two.run(run_id).place == Place("labs", "labs")
    assert Subject(Kind.JOBS, "labs") in subjects_of(child, Wanted())
    two.cancel(run_id)
    two.until_end(run_id, child.id)


def test_what_follows_an_ended_run_needs_its_tokens(two: World) -> None:
    run_id = two.enqueue(team="labs", seconds=5)
    two.until_end(run_id)
    two.db.write(lambda session: refuse_gone(session, two.run(run_id)))
    two.db.write(lambda session: session.delete(credentials.get(session, "labs")))
    with pytest.raises(Conflict, match="taken away"):
        two.db.write(lambda session: refuse_gone(session, two.run(run_id)))
