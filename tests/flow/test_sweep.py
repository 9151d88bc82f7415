"""The sweep: live jobs that no run accounts for, and jobs that a restored backup forgot."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlmodel import Session
from structlog.testing import capture_logs

from service.domain.budget import Period
from service.domain.errors import Conflict
from service.domain.stray import Policy
from service.flow import admit, cancel, recover, submit, sweep, watch
from service.flow.clone import body_of
from service.flow.gate import Start
from service.store import budgets, organisation, standings, strays, windows
from service.store.budgets import Owner
from service.store.tables import BudgetWindow, Stray
from tests.conftest import open_quickly
from tests.factories import make_budget
from tests.flow.conftest import World

PRICE = 167
CEILING = PRICE * 11
OUTSIDE_JOB = {
    "dockerImage": "python:3.12",
    "command": ["true"],
    "arguments": [],
    "environment": {"SANDBOX_RUN_SECONDS": "300"},
    "flavor": "cpu-basic",
    "timeoutSeconds": 600,
}


def call(world: World, path: str, **kwargs: Any) -> dict[str, Any]:
    """A call of somebody else, in the same namespace."""
    client = httpx2.Client(transport=world.wire, headers={"authorization": "Bearer hf_sandbox"})
    answer = client.post(f"http://hub.test/api/jobs/acme{path}", **kwargs)
    answer.raise_for_status()
    made: dict[str, Any] = answer.json()
    return made


def started(world: World, **fields: Any) -> str:
    """A run whose job runs."""
    run_id = world.enqueue(**{"seconds": 300, **fields})
    for step in (admit, submit, watch):
        step.run_once(world.gate)
    assert world.run(run_id).state == "running"
    return run_id


def found(world: World) -> dict[str, Stray]:
    with world.db.read() as session:
        return {stray.hub_job_id: stray for stray in strays.page(session, None, None, None, 100)}


def the_one(world: World) -> Stray:
    [stray] = found(world).values()
    return stray


def budget_of_all(world: World, *, counts_outside: bool, micro_usd: int = 100_000) -> Callable[[], BudgetWindow]:
    """A budget of the organisation; its window, read anew at each call."""

    def set_up(session: Session) -> Any:
        row = organisation.lock(session)
        row.counts_outside = counts_outside
        session.add(row)
        return make_budget(session, world.clock.now, micro_usd, team=None)

    budget = world.db.write(set_up)

    def read() -> BudgetWindow:
        with world.db.read() as session:
            return windows.find_or_new(session, budget, world.clock.now)

    return read


def test_all_is_well_where_every_live_job_has_its_run(world: World) -> None:
    run_id = started(world)
    assert sweep.run_once(world.gate) == 0
    assert found(world) == {}
    world.until_end(run_id, minutes=1)


def test_no_job_is_made_before_the_sweep_at_start(world: World) -> None:
    world.gate = replace(world.gate, start=Start())
    run_id = world.enqueue(seconds=10)
    admit.run_once(world.gate)
    assert submit.run_once(world.gate) == 0
    assert "first looks for jobs" in (world.run(run_id).message or "")
    world.wire.cut_before = lambda _request: httpx2.ConnectError("refused")
    sweep.run_once(world.gate)
    world.wire.cut_before = lambda _request: None
    assert submit.run_once(world.gate) == 0, "a list that failed says nothing"
    assert world.jobs_of(run_id) == []
    assert sweep.run_once(world.gate) == 1
    assert submit.run_once(world.gate) == 1
    world.until_end(run_id)


def test_an_installation_without_a_namespace_has_nothing_to_look_for(world: World) -> None:
    world.gate = replace(world.gate, start=Start(), namespace=None)
    sweep.run_once(world.gate)
    run_id = world.enqueue(seconds=10)
    world.until_end(run_id)


def test_a_second_job_is_stopped_and_charged_once_as_stray(world: World) -> None:
    window = budget_of_all(world, counts_outside=False)
    run_id = started(world)
    own = world.attempt(run_id).hub_job_id
    labels = world.jobs_of(run_id)[0].labels
    second = call(world, "", json={**OUTSIDE_JOB, "labels": labels})
    world.clock.turn(seconds=61)
    assert sweep.run_once(world.gate) == 1
    assert (the_one(world).kind, the_one(world).action, the_one(world).hub_job_id) == (
        "second_job",
        "cancelled",
        second["id"],
    )
    sweep.run_once(world.gate)
    stray = the_one(world)
    assert (stray.minutes, stray.cost_micro_usd, stray.stopped_micro_usd) == (2, 2 * PRICE, 8 * PRICE)
    sweep.run_once(world.gate)
    assert ("stray", 2 * PRICE) in world.entries(run_id)
    world.until_end(run_id, minutes=1)
    assert world.attempt(run_id).hub_job_id == own
    assert world.show(run_id)["cost"]["metered_usd"] == 5 * PRICE / 1e6, "a stray is no cost of the run"
    assert [kind for kind, _ in world.entries(run_id)].count("stray") == 1
    assert window().charged_micro_usd == 7 * PRICE
    assert world.window().charged_micro_usd == 7 * PRICE
    with world.db.read() as session:
        for owner in (Owner(), Owner("research")):
            budget = budgets.find(session, owner, Period.MONTH)
            assert budget is not None
            lately = standings.charged_lately(session, [budget.id], timedelta(days=7), world.clock.now)
            assert lately == {budget.id: 7 * PRICE}


def test_of_two_jobs_that_wait_for_hardware_the_oldest_stays(world: World) -> None:
    world.faults(scheduling_seconds=600)
    run_id = world.enqueue(seconds=60)
    admit.run_once(world.gate)
    attempt = world.attempt(run_id)
    labels = {
        "tunegate-run": run_id,
        "tunegate-submission": attempt.submission,
        "tunegate-installation": "ins_test",
    }
    older = call(world, "", json={**OUTSIDE_JOB, "labels": labels})["id"]
    world.clock.turn(seconds=1)
    submit.run_once(world.gate)
    younger = world.attempt(run_id).hub_job_id
    assert younger != older
    sweep.run_once(world.gate)
    assert world.attempt(run_id).hub_job_id == older
    assert found(world).keys() == {younger}
    assert [job.stage for job in world.jobs_of(run_id) if job.id == younger] == ["CANCELED"]
    world.until_end(run_id, minutes=1)
    sweep.run_once(world.gate)
    assert found(world)[younger or ""].cost_micro_usd == 0


def test_a_cancel_that_is_lost_is_asked_for_again(world: World) -> None:
    run_id = started(world)
    call(world, "", json={**OUTSIDE_JOB, "labels": world.jobs_of(run_id)[0].labels})
    world.wire.cut_before = lambda request: (
        httpx2.ConnectError("refused") if request.url.path.endswith("/cancel") else None
    )
    sweep.run_once(world.gate)
    assert the_one(world).ended_at is None
    world.wire.cut_before = lambda _request: None
    sweep.run_once(world.gate)
    sweep.run_once(world.gate)
    assert the_one(world).ended_at is not None
    world.until_end(run_id, minutes=1)


def test_a_job_that_shows_up_after_its_absence_was_proven_is_stopped(world: World) -> None:
    run_id = world.enqueue(seconds=3600, timeout="2h")
    admit.run_once(world.gate)
    world.faults(create_500_after_accept=1, listing_lag_seconds=300)
    submit.run_once(world.gate)
    [late] = world.jobs_of(run_id)
    for _ in range(5):
        recover.run_once(world.gate)
        world.clock.turn(seconds=50)
    recover.run_once(world.gate)
    assert world.run(run_id).state == "queued"
    world.faults()
    world.clock.turn(seconds=60)
    assert sweep.run_once(world.gate) == 1
    assert (the_one(world).kind, the_one(world).hub_job_id) == ("late_job", late.id)
    sweep.run_once(world.gate)
    assert world.entries(run_id)[-1] == ("stray", 6 * PRICE)
    world.until_end(run_id, minutes=10)
    assert len(world.jobs_of(run_id)) == 2


def test_the_live_job_of_an_ended_run_is_stopped(world: World) -> None:
    run_id = world.enqueue(seconds=300)
    admit.run_once(world.gate)
    world.faults(create_500_after_accept=1, listing_lag_seconds=300)
    submit.run_once(world.gate)
    world.cancel(run_id)
    for _ in range(6):
        world.clock.turn(seconds=40)
        recover.run_once(world.gate)
        cancel.run_once(world.gate)
    assert world.run(run_id).state == "cancelled"
    world.faults()
    [job] = world.jobs_of(run_id)
    job.visible_at = world.clock.now
    sweep.run_once(world.gate)
    sweep.run_once(world.gate)
    assert (the_one(world).kind, the_one(world).action) == ("ended_run", "cancelled")
    assert job.stage == "CANCELED"
    assert world.run(run_id).state == "cancelled"
    assert world.entries(run_id)[-1] == ("stray", 4 * PRICE)


@pytest.mark.parametrize("keeps_labels", [True, False])
def test_a_copy_of_a_job_of_ours_is_found_by_its_initiator(world: World, keeps_labels: bool) -> None:
    run_id = started(world)
    copy = call(world, f"/{world.attempt(run_id).hub_job_id}/duplicate")["id"]
    if not keeps_labels:
        job = world.core.jobs.find(copy)
        assert job is not None
        job.labels = {}
    sweep.run_once(world.gate)
    stray = the_one(world)
    assert (stray.kind, stray.run_id, stray.team) == ("started_by_job", run_id, "research")
    assert stray.action == ("cancelled" if keeps_labels else "reported")
    assert stray.initiator == f"duplicated-job/{world.attempt(run_id).hub_job_id}"
    world.until_end(run_id, minutes=1)
    world.clock.turn(minutes=5)
    sweep.run_once(world.gate)
    assert world.entries(run_id)[-1] == ("stray", PRICE * (1 if keeps_labels else 5))


def test_a_stray_that_cannot_be_asked_for_is_a_warning_and_is_looked_at_again(world: World) -> None:
    run_id = started(world, seconds=300)
    copy_id = call(world, f"/{world.attempt(run_id).hub_job_id}/duplicate")["id"]
    world.clock.turn(seconds=1)

    def lose(request: httpx2.Request) -> Exception | None:
        return httpx2.ReadTimeout("no answer") if request.url.path.endswith(copy_id) else None

    world.wire.cut_after = lose
    with capture_logs() as logged:
        sweep.run_once(world.gate)
    assert {(line["event"], line["log_level"]) for line in logged if line["log_level"] != "info"} == {
        ("stray_not_seen", "warning")
    }
    assert found(world) == {}
    world.wire.cut_after = lambda _request: None
    sweep.run_once(world.gate)
    assert found(world)[copy_id].kind == "started_by_job"


@pytest.mark.parametrize("counts", [False, True])
def test_jobs_outside_the_gate_are_shown_and_count_where_the_organisation_says_so(world: World, counts: bool) -> None:
    window = budget_of_all(world, counts_outside=counts, micro_usd=CEILING + 100)
    outside = call(world, "", json={**OUTSIDE_JOB, "labels": {"tunegate-installation": "ins_of_another"}})
    world.clock.turn(seconds=30)
    assert sweep.run_once(world.gate) == 2
    assert window().outside_micro_usd == PRICE
    world.clock.turn(seconds=60)
    sweep.run_once(world.gate)
    assert window().outside_micro_usd == 2 * PRICE
    run_id = world.enqueue(seconds=30)
    admit.run_once(world.gate)
    assert world.run(run_id).state == ("queued" if counts else "submitting")
    world.clock.turn(minutes=10)
    sweep.run_once(world.gate)
    assert (the_one(world).kind, the_one(world).action, the_one(world).run_id) == ("outside", "reported", None)
    assert the_one(world).hub_job_id == outside["id"]
    assert window().outside_micro_usd == 5 * PRICE
    assert the_one(world).ended_at is not None
    if not counts:
        world.until_end(run_id)


def unknown_job(world: World, **labels: str) -> str:
    """A job of a run that was made after the backup, and that the restored database does not have."""
    ours = {
        "tunegate-run": "run_01KAXXXXXXXXXXXXXXXXXXXXXX",
        "tunegate-attempt": "1",
        "tunegate-submission": "sub_01KAXXXXXXXXXXXXXXXXXXXXXX",
        "tunegate-installation": "ins_test",
        "tunegate-team": "research",
        **labels,
    }
    job_id: str = call(world, "", json={**OUTSIDE_JOB, "labels": ours})["id"]
    return job_id


@pytest.mark.parametrize("policy", list(Policy))
def test_what_becomes_of_a_job_whose_run_is_unknown(world: World, policy: Policy) -> None:
    window = budget_of_all(world, counts_outside=False)
    world.limit(stray_policy=policy)
    job_id = unknown_job(world)
    sweep.run_once(world.gate)
    world.clock.turn(minutes=6)
    world.pass_all()
    sweep.run_once(world.gate)
    stray = the_one(world)
    assert (stray.kind, stray.team, stray.hub_job_id) == ("unknown_run", "research", job_id)
    assert stray.ended_at is not None
    job = world.core.jobs.find(job_id)
    assert job is not None
    if policy is Policy.ADOPT:
        assert stray.action == "adopted"
        run_id = stray.run_id or ""
        assert world.run(run_id).state == "succeeded"
        assert world.show(run_id)["recipe"] == {"kind": "adopted"}
        assert world.entries(run_id) == [("reserve", CEILING), ("charge", 5 * PRICE), ("release", 6 * PRICE)]
        assert world.told(run_id) == ["run.queued", "run.submitted", "run.started", "run.succeeded"]
        assert window().outside_micro_usd == 0
        return
    assert stray.action == {"report": "reported", "cancel": "cancelled"}[policy.value]
    assert job.stage == ("CANCELED" if policy is Policy.CANCEL else "COMPLETED")
    assert stray.stopped_micro_usd == (9 * PRICE if policy is Policy.CANCEL else 0)
    assert window().outside_micro_usd == stray.cost_micro_usd


def test_an_adopted_job_that_fails_ends_its_run_and_nobody_tries_again_what_nobody_knows(world: World) -> None:
    world.limit(stray_policy=Policy.ADOPT)
    unknown_job(world)
    sweep.run_once(world.gate)
    run_id = the_one(world).run_id or ""
    world.force(run_id, stage="ERROR", message="Job failed with exit code: 1. Reason: Evicted")
    world.pass_all()
    shown = world.show(run_id)
    assert (shown["state"], shown["failure"]["repair"]) == ("failed", None)
    with pytest.raises(Conflict, match="not known here"):
        body_of(world.run(run_id), {}, {})


def test_what_cannot_be_adopted_is_reported_and_a_new_policy_counts_for_old_strays(world: World) -> None:
    world.limit(stray_policy=Policy.ADOPT)
    job_id = unknown_job(world, **{"tunegate-team": "nobody"})
    sweep.run_once(world.gate)
    sweep.run_once(world.gate)
    assert (the_one(world).action, the_one(world).team) == ("reported", None)
    world.limit(stray_policy=Policy.CANCEL)
    sweep.run_once(world.gate)
    job = world.core.jobs.find(job_id)
    assert job is not None
    assert job.stage == "CANCELED"
    assert the_one(world).action == "cancelled"


def test_a_stray_that_vanishes_costs_what_was_seen_of_it(world: World) -> None:
    run_id = started(world)
    second = call(world, "", json={**OUTSIDE_JOB, "labels": world.jobs_of(run_id)[0].labels})["id"]
    world.wire.cut_before = lambda request: (
        httpx2.ConnectError("refused") if request.url.path.endswith("/cancel") else None
    )
    sweep.run_once(world.gate)
    client = httpx2.Client(transport=world.wire)
    client.post(f"http://hub.test/sandbox/jobs/{second}", json={"delete": True}).raise_for_status()
    world.clock.turn(seconds=61)
    sweep.run_once(world.gate)
    assert world.entries(run_id)[-1] == ("stray", 2 * PRICE)
    world.until_end(run_id, minutes=1)


class Backup:
    """A database that can be put back to how it was; SQLite's file is copied, so only there."""

    def __init__(self, world: World, url: str, aside: Path) -> None:
        self.world = world
        self.path = Path(url.removeprefix("sqlite:///"))
        self.url = url
        self.aside = aside

    def make(self) -> None:
        self.world.db.close()
        shutil.copy(self.path, self.aside)
        self._open()

    def restore(self) -> None:
        self.world.db.close()
        for ending in ("-wal", "-shm"):
            self.path.with_name(self.path.name + ending).unlink(missing_ok=True)
        shutil.copy(self.aside, self.path)
        self._open()
        self.world.gate = replace(self.world.gate, boot="restored", start=Start())

    def _open(self) -> None:
        self.world.db = open_quickly(self.url)
        self.world.gate = replace(self.world.gate, db=self.world.db)


@pytest.fixture
def backup(world: World, database_url: str, tmp_path: Path) -> Iterator[Backup]:
    if not database_url.startswith("sqlite"):
        pytest.skip("a file is copied")
    yield Backup(world, database_url, tmp_path / "aside.db")
    world.check_money()
    world.db.close()


@contextmanager
def no_create(world: World) -> Iterator[None]:
    before = world.wire.count("POST", "/api/jobs/acme")
    yield
    assert world.wire.count("POST", "/api/jobs/acme") == before, "submitted again"


@pytest.mark.parametrize("backed_up", ["queued", "uncalled", "submitting", "open"])
@pytest.mark.parametrize(("progress", "exit_code"), [("live", 0), ("ended", 0), ("ended", 1)])
def test_a_restored_backup_submits_nothing_twice(
    world: World, backup: Backup, backed_up: str, progress: str, exit_code: int
) -> None:
    run_id = world.enqueue(seconds=90, exit_code=exit_code)
    if backed_up != "queued":
        admit.run_once(world.gate)
    if backed_up == "open":  # its call's outcome is open in the backup; later it was proven that it made no job
        world.faults(create_500_before_accept=1)
        submit.run_once(world.gate)
    backup.make()
    if backed_up == "submitting":  # the price rose for a moment: it was admitted again, under another submission
        attempt = world.attempt(run_id)
        world.db.write(lambda session: submit.go_back(session, attempt, None, world.clock.now))
    for _ in range(6 if backed_up == "open" else 1):
        recover.run_once(world.gate)
        world.clock.turn(seconds=40)
    world.pass_all()
    assert world.run(run_id).state == "running"
    if progress == "ended":
        world.until_end(run_id)
    backup.restore()
    with no_create(world):
        for _ in range(5):
            world.pass_all()
        assert sweep.run_once(world.gate) >= 2, "the run's job, and the namespace"
        world.until_end(run_id)
        sweep.run_once(world.gate)
    assert world.run(run_id).state == ("failed" if exit_code else "succeeded")
    assert len(world.jobs_of(run_id)) == 1
    assert [kind for kind, _ in world.entries(run_id)][-2:] == ["charge", "release"]
    assert world.window().charged_micro_usd == 2 * PRICE
    assert found(world) == {}
    world.told(run_id)


def test_a_run_cancelled_in_the_backup_stops_its_later_job(world: World, backup: Backup) -> None:
    run_id = world.enqueue(seconds=300)
    world.cancel(run_id)
    backup.make()

    def forget(session: Session) -> None:
        from service.store import runs

        run = runs.get(session, run_id)
        assert run is not None
        run.cancel_requested_at = None
        session.add(run)

    world.db.write(forget)
    world.pass_all()
    assert world.run(run_id).state == "running"
    backup.restore()
    with no_create(world):
        sweep.run_once(world.gate)
        world.until_end(run_id)
    assert world.run(run_id).state == "cancelled"
    assert world.jobs_of(run_id)[0].stage == "CANCELED"


@pytest.mark.parametrize("progress", ["live", "ended"])
def test_a_run_cancelled_before_the_sweep_is_not_taken_for_never_called(
    world: World, backup: Backup, progress: str
) -> None:
    run_id = world.enqueue(seconds=90)
    admit.run_once(world.gate)
    backup.make()  # between the admission and the create call
    world.pass_all()
    assert world.run(run_id).state == "running"
    if progress == "ended":
        world.until_end(run_id)
    backup.restore()
    world.cancel(run_id)
    with no_create(world):
        world.pass_all()
        assert world.run(run_id).state == "submitting", "it may have been called, and was"
        sweep.run_once(world.gate)
        world.until_end(run_id)
    assert world.run(run_id).state == ("succeeded" if progress == "ended" else "cancelled")
    assert world.jobs_of(run_id)[0].stage == ("COMPLETED" if progress == "ended" else "CANCELED")
    assert [kind for kind, _ in world.entries(run_id)] == ["reserve", "charge", "release"]


@pytest.mark.parametrize("progress", ["live", "ended"])
def test_a_run_that_had_a_later_attempt_after_the_backup_goes_on_with_that(
    world: World, backup: Backup, progress: str
) -> None:
    world.faults(scheduling_seconds=10**6)
    run_id = world.enqueue(seconds=90)
    world.pass_all()
    assert world.run(run_id).state == "starting"
    backup.make()
    world.clock.turn(hours=6, seconds=1)
    world.faults()
    for _ in range(3):
        world.pass_all()
    assert (world.run(run_id).attempt, world.run(run_id).state) == (2, "running")
    if progress == "ended":
        world.until_end(run_id)
    backup.restore()
    with no_create(world):
        world.pass_all()
        sweep.run_once(world.gate)
        world.until_end(run_id)
    assert (world.run(run_id).attempt, world.run(run_id).state) == (2, "succeeded")
    assert [job.stage for job in world.jobs_of(run_id)] == ["COMPLETED", "CANCELED"]
    assert [kind for kind, _ in world.entries(run_id)] == ["reserve", "release", "reserve", "charge", "release"]
    assert world.window().charged_micro_usd == 2 * PRICE
    assert found(world) == {}


def test_a_job_that_the_backup_knows_is_left_to_recovery(world: World, backup: Backup) -> None:
    run_id = world.enqueue(seconds=30)
    admit.run_once(world.gate)
    world.faults(create_500_after_accept=1)
    submit.run_once(world.gate)
    backup.make()
    world.until_end(run_id)
    backup.restore()
    with no_create(world):
        sweep.run_once(world.gate)
        assert world.run(run_id).state == "submitting"
        world.until_end(run_id)
    assert world.run(run_id).state == "succeeded"
    assert world.window().charged_micro_usd == PRICE
