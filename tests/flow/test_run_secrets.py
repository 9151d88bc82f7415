"""A run's secrets: its own, wiped at its end whatever that is, and its team's, which live on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from service.domain.errors import Invalid, SecretInText
from service.flow import admit, cancel, logs, preflight, recover, submit, sweep, watch
from service.flow.masking import secret_values
from service.store import logs as kept_logs
from service.store import runs
from service.store.tables import Run
from tests.factories import make_credentials, make_secret, make_team
from tests.flow.conftest import World
from tests.flow.test_repair import sft

VALUE = "wandb-value-that-nobody-sees"
OTHER = "another-value-that-nobody-sees"
PLAIN = "plain-value-that-nobody-sees"


@pytest.fixture
def keeping(world: World) -> World:
    """The team keeps a secret `wandb`."""
    keep(world, VALUE)
    return world


def keep(world: World, value: str) -> None:
    world.db.write(lambda session: make_secret(session, world.gate.vault, world.clock.now, "research", "wandb", value))


def given(world: World, run_id: str) -> dict[str, str]:
    """What its newest job got."""
    found: dict[str, str] = dict(world.jobs_of(run_id)[0].spec.secrets)
    return found


def test_a_named_secret_is_what_the_job_gets(keeping: World) -> None:
    run_id = keeping.enqueue(seconds=5, secrets={"WANDB_API_KEY": {"ref": "wandb"}, "OTHER": PLAIN})
    shown = keeping.show(run_id)
    assert (shown["secrets"], shown["secret_refs"]) == (["OTHER", "WANDB_API_KEY"], {"WANDB_API_KEY": "wandb"})
    keeping.until_end(run_id)
    assert given(keeping, run_id) == {"WANDB_API_KEY": VALUE, "OTHER": PLAIN, "HF_TOKEN": "hf_sandbox_job"}


def test_a_replaced_value_is_what_the_next_attempt_gets(keeping: World) -> None:
    run_id = keeping.enqueue(
        seconds=5, secrets={"WANDB_API_KEY": {"ref": "wandb"}}, retry={"max_attempts": 2}, max_cost_usd=0.05
    )
    keeping.pass_all()
    keep(keeping, OTHER)
    assert given(keeping, run_id)["WANDB_API_KEY"] == VALUE
    keeping.force(run_id, stage="ERROR", message="Internal infrastructure error: the node was lost")
    keeping.until_end(run_id)
    assert [job.spec.secrets["WANDB_API_KEY"] for job in keeping.jobs_of(run_id)] == [OTHER, VALUE]


def test_what_the_job_was_given_is_masked_though_it_was_replaced(keeping: World) -> None:
    keeping.db.write(
        lambda session: make_credentials(
            session, keeping.gate.vault, keeping.clock.now, "research", ("hf_mira", "hf_mira_job"), "acme"
        )
    )
    run_id = keeping.enqueue(seconds=20, secrets={"WANDB_API_KEY": {"ref": "wandb"}})

    def will_print(session: Any) -> None:
        run = session.get(Run, run_id)
        run.env = {**run.env, "SANDBOX_LOG": f"key is {VALUE} and hf_mira_job"}
        session.add(run)

    keeping.db.write(will_print)
    admit.run_once(keeping.gate)
    submit.run_once(keeping.gate)
    keep(keeping, OTHER)
    keeping.clock.turn(milliseconds=1)
    keeping.db.write(
        lambda session: make_credentials(
            session, keeping.gate.vault, keeping.clock.now, "research", ("hf_mira", "hf_labs_job"), "acme"
        )
    )
    keeping.until_end(run_id)
    with keeping.db.read() as session:
        found = kept_logs.read(session, run_id, 1, kept_logs.Wanted())
    assert [line.text for _, line in found] == ["key is [secret] and [secret]"]


def test_names_that_the_team_has_not_and_values_in_clear_are_refused(keeping: World) -> None:
    with pytest.raises(Invalid, match="keeps no secret 'wandbb'") as refused:
        keeping.enqueue(secrets={"WANDB_API_KEY": {"ref": "wandbb"}})
    assert refused.value.field == "secrets.WANDB_API_KEY.ref"
    assert "It keeps wandb;" in (refused.value.remedy or "")
    with pytest.raises(SecretInText) as in_clear:
        keeping.enqueue(secrets={"KEY": {"ref": "wandb"}}, recipe={"kind": "script", "source": f"print('{VALUE}')"})
    assert in_clear.value.field == "recipe.source"
    assert VALUE not in str(in_clear.value)
    make_other = lambda session: make_team(session, keeping.clock.now, "other", 100_000)  # noqa: E731
    keeping.db.write(make_other)
    with pytest.raises(Invalid, match="team other keeps no secret"):
        keeping.enqueue(team="other", secrets={"KEY": {"ref": "wandb"}})


def test_a_pilot_takes_its_runs_secrets(keeping: World) -> None:
    run_id = sft(keeping, pilot={"max_steps": 5}, secrets={"KEY": {"ref": "wandb"}, "OTHER": PLAIN})
    with keeping.db.read() as session:
        [child] = runs.children(session, run_id)
    assert child.secret_refs == {"KEY": "wandb"}
    keeping.cancel(run_id)
    keeping.until_end(run_id, child.id)


# Every way in which a run ends.


def succeeds(world: World, run_id: str) -> None:
    world.until_end(run_id)


def fails(world: World, run_id: str) -> None:
    world.pass_all()
    world.force(run_id, stage="ERROR")
    world.until_end(run_id)


def vanishes(world: World, run_id: str) -> None:
    world.pass_all()
    world.force(run_id, stage="DELETED")
    world.until_end(run_id)


def is_cancelled_in_the_queue(world: World, run_id: str) -> None:
    world.cancel(run_id)
    cancel.run_once(world.gate)


def is_cancelled_before_its_call(world: World, run_id: str) -> None:
    admit.run_once(world.gate)
    world.cancel(run_id)
    submit.run_once(world.gate)
    cancel.run_once(world.gate)


def is_cancelled_while_it_runs(world: World, run_id: str) -> None:
    world.pass_all()
    world.cancel(run_id)
    world.until_end(run_id)


def is_refused(world: World, run_id: str) -> None:
    world.gate = replace(world.gate, hub=world.hub.with_tokens("hf_sandbox_read", "hf_sandbox_job"))
    admit.run_once(world.gate)
    submit.run_once(world.gate)


def is_found_after_a_lost_answer(world: World, run_id: str) -> None:
    world.faults(create_lost_reply=1)
    admit.run_once(world.gate)
    submit.run_once(world.gate)
    world.until_end(run_id)


def loses_its_secrets(world: World, run_id: str) -> None:
    vault = world.gate.vault
    world.db.write(
        lambda session: session.execute(text("UPDATE run SET sealed_secrets = :none"), {"none": b"shut"}) and None
    )
    admit.run_once(world.gate)
    submit.run_once(world.gate)
    assert world.gate.vault is vault


ENDS: list[Callable[[World, str], None]] = [
    succeeds,
    fails,
    vanishes,
    is_cancelled_in_the_queue,
    is_cancelled_before_its_call,
    is_cancelled_while_it_runs,
    is_refused,
    is_found_after_a_lost_answer,
    loses_its_secrets,
]


@pytest.mark.parametrize("ends", ENDS)
def test_whatever_its_end_is_its_secrets_are_wiped(
    keeping: World, database_url: str, ends: Callable[[World, str], None]
) -> None:
    run_id = keeping.enqueue(seconds=3, secrets={"KEY": PLAIN, "WANDB_API_KEY": {"ref": "wandb"}})
    assert keeping.run(run_id).sealed_secrets is not None
    ends(keeping, run_id)
    run = keeping.run(run_id)
    assert run.finished_at is not None
    assert (run.sealed_secrets, run.sealed_given) == (None, None)
    assert PLAIN not in secret_values(keeping.gate, run)
    assert all(PLAIN.encode() not in one.read_bytes() for one in files_of(database_url))


def files_of(url: str) -> Iterator[Path]:
    """The database's files, with what is written and not yet in its place; none on PostgreSQL."""
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        yield from path.parent.glob(f"{path.name}*")


def test_preflight_that_fails_wipes_them(keeping: World) -> None:
    run_id = sft(keeping, secrets={"KEY": PLAIN}, model="labs/nowhere", checked=False)
    preflight.run_once(keeping.gate)
    assert (keeping.run(run_id).state, keeping.run(run_id).sealed_secrets) == ("failed", None)


def test_retries_need_them_until_the_run_is_over(keeping: World) -> None:
    run_id = keeping.enqueue(seconds=5, secrets={"KEY": PLAIN}, retry={"max_attempts": 2}, max_cost_usd=0.05)
    keeping.pass_all()
    keeping.force(run_id, stage="ERROR", message="Internal infrastructure error: the node was lost")
    for step in (watch, logs, recover, sweep):
        step.run_once(keeping.gate)
    assert keeping.run(run_id).state == "queued"
    assert keeping.run(run_id).sealed_secrets is not None
    keeping.until_end(run_id)
    assert [job.spec.secrets["KEY"] for job in keeping.jobs_of(run_id)] == [PLAIN, PLAIN]
