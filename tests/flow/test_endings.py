"""The job's stage decides; a refusal has its cause; a cancel is one only once it is."""

from __future__ import annotations

from dataclasses import replace

import httpx2
import pytest
from sqlmodel import Session

from service.flow import admit, cancel, submit, watch
from service.hub.client import HubClient
from service.store import runs
from service.store.vault import Vault
from tests.flow.conftest import ENDPOINT, World


def running(world: World, **fields: object) -> str:
    run_id = world.enqueue(**{"seconds": 600, **fields})
    world.pass_all()
    world.pass_all()
    assert world.run(run_id).state == "running"
    return run_id


def test_a_queued_run_is_cancelled_at_once_and_costs_nothing(world: World) -> None:
    run_id = world.enqueue()
    world.cancel(run_id)
    assert cancel.run_once(world.gate) == 1
    assert world.run(run_id).state == "cancelled"
    assert world.entries(run_id) == []
    assert world.told(run_id) == ["run.queued", "run.cancelled"]


def test_an_admitted_run_is_cancelled_before_its_call(world: World) -> None:
    run_id = world.enqueue()
    admit.run_once(world.gate)
    world.cancel(run_id)
    assert cancel.run_once(world.gate) == 1
    assert world.run(run_id).state == "cancelled"
    assert world.jobs_of(run_id) == []


def test_a_cancel_that_comes_between_load_and_claim_is_seen(world: World) -> None:
    run_id = world.enqueue()
    admit.run_once(world.gate)
    world.cancel(run_id)
    submit.run_once(world.gate)
    assert world.run(run_id).state == "cancelled"
    assert world.jobs_of(run_id) == []


def test_a_running_job_is_cancelled_when_hugging_face_says_so(world: World) -> None:
    run_id = running(world)
    world.clock.turn(seconds=70)
    world.cancel(run_id)
    assert world.show(run_id)["cancel_requested_at"] is not None
    cancel.run_once(world.gate)
    assert world.run(run_id).state == "running"  # asked for, not yet seen
    watch.run_once(world.gate)
    run = world.show(run_id)
    assert run["state"] == "cancelled"
    assert run["failure"] is None
    assert run["attempts"][0]["minutes"] == 2
    assert world.told(run_id)[-1] == "run.cancelled"


def test_a_lost_cancel_is_asked_for_again(world: World) -> None:
    run_id = running(world)
    world.cancel(run_id)
    world.faults(next_429=1)
    assert cancel.run_once(world.gate) == 0
    assert cancel.run_once(world.gate) == 0  # not yet again
    world.clock.turn(seconds=4)
    assert cancel.run_once(world.gate) == 1
    watch.run_once(world.gate)
    assert world.run(run_id).state == "cancelled"


def test_a_cancel_while_the_create_call_is_open_stops_the_job_once_it_is_found(world: World) -> None:
    run_id = world.enqueue(seconds=600)
    admit.run_once(world.gate)
    world.faults(create_lost_reply=1)
    submit.run_once(world.gate)
    world.cancel(run_id)
    world.until_end(run_id)
    assert world.run(run_id).state == "cancelled"
    assert [job.stage for job in world.jobs_of(run_id)] == ["CANCELED"]


def test_a_cancel_while_the_create_call_is_open_ends_the_run_once_absence_is_proven(world: World) -> None:
    run_id = world.enqueue(seconds=600)
    admit.run_once(world.gate)
    world.faults(create_500_before_accept=1)
    submit.run_once(world.gate)
    world.cancel(run_id)
    world.until_end(run_id)
    assert world.run(run_id).state == "cancelled"
    assert world.jobs_of(run_id) == []


def test_completed_wins_over_a_cancel_that_came_too_late(world: World) -> None:
    run_id = running(world, seconds=30)
    world.cancel(run_id)
    world.clock.turn(seconds=40)
    world.until_end(run_id)
    assert world.run(run_id).state == "succeeded"


@pytest.mark.parametrize(
    ("ending", "cause"),
    [
        ({"stage": "CANCELED"}, "cancelled_outside"),
        ({"stage": "CANCELED", "message": "stopped in the browser"}, "cancelled_outside"),
        ({"stage": "CANCELED", "cancelReason": "NO_CREDITS"}, "no_credits"),
        ({"stage": "CANCELED", "cancelReason": "RESOURCE_GROUP_LIMIT"}, "spend_limit"),
        ({"stage": "ERROR", "message": "Job timeout"}, "job_timeout"),
        ({"stage": "ERROR", "message": "Job failed with exit code: 137. Reason: OOMKilled"}, "host_oom"),
        ({"stage": "DELETED"}, "job_vanished"),
        ({"delete": True}, "job_vanished"),
    ],
)
def test_what_hugging_face_ended_has_its_cause_and_its_cost(
    world: World, ending: dict[str, object], cause: str
) -> None:
    run_id = running(world)
    world.clock.turn(seconds=61)
    world.force(run_id, **ending)
    watch.run_once(world.gate)
    run = world.show(run_id)
    assert (run["state"], run["failure"]["cause"]) == ("failed", cause)
    known = ("message", "cancelReason", "stage") if "delete" not in ending else ()
    said = next((str(ending[name]) for name in known if name in ending), "404")
    assert said in run["failure"]["evidence"]
    assert run["attempts"][0]["minutes"] == 2
    assert run["attempts"][0]["metered_source"] == ("observed" if "delete" in ending else "hub")


def test_a_job_that_vanishes_before_it_started_costs_nothing(world: World) -> None:
    world.faults(scheduling_seconds=1000)
    run_id = world.enqueue()
    world.pass_all()
    assert world.run(run_id).state == "starting"
    world.force(run_id, delete=True)
    watch.run_once(world.gate)
    assert world.show(run_id)["failure"]["cause"] == "job_vanished"
    assert world.window().charged_micro_usd == 0


def test_a_fresh_job_that_is_nowhere_to_be_seen_is_waited_for(world: World) -> None:
    run_id = world.enqueue(seconds=600)
    admit.run_once(world.gate)
    submit.run_once(world.gate)
    job = world.core.jobs.find(world.attempt(run_id).hub_job_id or "")
    assert job is not None
    world.core.jobs.drop(job)  # lists and GET say 404
    watch.run_once(world.gate)
    assert world.run(run_id).state == "starting"
    world.clock.turn(seconds=119)
    watch.run_once(world.gate)
    assert world.run(run_id).state == "starting"
    world.core.jobs.add(job)
    world.force(run_id, stage="COMPLETED")
    watch.run_once(world.gate)
    assert world.run(run_id).state == "succeeded"


def test_a_wall_clock_set_forward_does_not_make_a_fresh_job_vanish(world: World) -> None:
    run_id = world.enqueue(seconds=600)
    admit.run_once(world.gate)
    submit.run_once(world.gate)
    job = world.core.jobs.find(world.attempt(run_id).hub_job_id or "")
    assert job is not None
    world.core.jobs.drop(job)
    ticks = iter([1.0, 60.0, 120.0, 121.0])
    world.gate = replace(world.gate, monotonic=lambda: next(ticks))
    world.clock.turn(hours=1)
    for _ in range(3):
        watch.run_once(world.gate)
        assert world.run(run_id).state == "starting"
        assert world.window().reserved_micro_usd > 0
    watch.run_once(world.gate)
    assert world.run(run_id).reason == "job_vanished"


def test_what_nobody_watched_is_charged_to_the_timeout_at_most(world: World) -> None:
    run_id = running(world)
    world.force(run_id, delete=True)
    world.clock.turn(hours=30)
    watch.run_once(world.gate)
    assert world.show(run_id)["failure"]["cause"] == "job_vanished"
    assert [kind for kind, _ in world.entries(run_id)] == ["reserve", "charge"]


def test_a_cancel_reason_that_nobody_knows_is_still_our_cancel(world: World) -> None:
    run_id = running(world)
    world.cancel(run_id)
    world.force(run_id, stage="CANCELED", cancelReason="USER")
    watch.run_once(world.gate)
    assert world.run(run_id).state == "cancelled"


def test_an_output_that_may_not_be_read_ends_the_run(world: World) -> None:
    run_id = world.enqueue(seconds=5, output_repo="acme/model")
    world.pass_all()
    world.clock.turn(seconds=10)
    world.hub.job_token = "hf_revoked"
    watch.run_once(world.gate)
    run = world.show(run_id)
    assert (run["state"], run["failure"]["cause"]) == ("failed", "hub_auth")
    assert run["cost"]["metered_usd"] == 167 / 1e6


def test_odd_log_lines_and_odd_json_keep_no_run_from_its_end(world: World) -> None:
    odd = "{'a', [1]}\n" + "9" * 5000 + "/" + "9" * 5000 + " [0:00<0:01\n{'loss': '--1'}\n\ud800 half"
    first = world.enqueue(seconds=5, env={"SANDBOX_LOG": odd.replace("\ud800", "")})
    second = world.enqueue(seconds=5)
    world.until_end(first, second)
    assert {world.run(first).state, world.run(second).state} == {"succeeded"}


def test_a_job_that_ended_well_with_a_broken_loss_is_a_failed_run(world: World) -> None:
    log = "{'loss': '2.1', 'grad_norm': '1.0'}\n{'loss': '0', 'grad_norm': 'nan'}\n{'train_runtime': '1.0'}"
    run_id = world.enqueue(seconds=5, log=log)
    world.until_end(run_id)
    run = world.show(run_id)
    assert (run["state"], run["reason"], run["attempts"][0]["cause"]) == ("failed", "nan_loss", "nan_loss")
    assert run["failure"]["retry"] == "changed"
    assert run["failure"]["retryable"] is False
    assert "nan" in run["failure"]["evidence"]


def test_an_exit_code_in_the_status_is_read(world: World) -> None:
    run_id = world.enqueue(seconds=5, exit_code=143, log="Loading weights")
    world.until_end(run_id)
    failure = world.show(run_id)["failure"]
    assert (failure["cause"], failure["retry"]) == ("job_timeout", "changed")
    assert failure["confidence"] < 0.7


def test_one_run_that_cannot_be_prepared_holds_up_no_other(world: World) -> None:
    bad, good = world.enqueue(seconds=5), world.enqueue(seconds=5)

    def spoil(session: Session) -> None:
        run = runs.get(session, bad)
        assert run is not None
        run.recipe = {"kind": "a kind of another release"}

    world.db.write(spoil)
    world.until_end(good)
    run = world.run(bad)
    assert (run.state, run.reason) == ("queued", "backing_off")
    assert run.message is not None
    assert run.message.startswith("the service could not prepare the job: its log says why; the next try is at ")
    world.cancel(bad)
    world.until_end(bad)


def test_no_hardware_for_too_long_queues_the_run_again_as_the_next_attempt(world: World) -> None:
    world.faults(scheduling_seconds=7 * 3600)
    run_id = world.enqueue(seconds=10)
    world.pass_all()
    world.clock.turn(hours=6, seconds=1)
    cancel.run_once(world.gate)
    watch.run_once(world.gate)
    run = world.run(run_id)
    assert (run.state, run.reason) == ("queued", "no_capacity")
    assert (run.message or "").endswith("free within 6 h: queued again; another flavor may be free sooner")
    assert world.window().reserved_micro_usd == 0
    world.faults()
    world.until_end(run_id)
    assert world.show(run_id)["attempt"] == 2
    assert [job.stage for job in world.jobs_of(run_id)] == ["COMPLETED", "CANCELED"]


def test_our_own_cancel_is_never_one_from_outside_though_hardware_came_before_it_did(world: World) -> None:
    """The cancel for want of hardware is accepted, the job is seen running, and only then the cancel takes effect."""
    world.faults(scheduling_seconds=6 * 3600 + 10)
    run_id = world.enqueue(seconds=3600, timeout="2h")
    world.pass_all()
    world.clock.turn(hours=6, seconds=1)
    world.wire.cut_before = lambda request: httpx2.ReadTimeout("") if request.url.path.endswith("/cancel") else None
    cancel.run_once(world.gate)
    world.wire.cut_before = lambda _request: None
    world.clock.turn(seconds=20)
    watch.run_once(world.gate)
    assert world.run(run_id).state == "running"
    world.force(run_id, stage="CANCELED")
    watch.run_once(world.gate)
    assert (world.run(run_id).state, world.run(run_id).reason) == ("queued", "no_capacity")
    assert world.window().charged_micro_usd == 167, "what it ran is charged"


@pytest.mark.parametrize(
    ("token", "fields", "cause"),
    [
        ("hf_sandbox_broke", {}, "hub_forbidden"),
        ("hf_sandbox_read", {}, "hub_forbidden"),
        ("hf_nobody", {}, "hub_auth"),
        ("hf_sandbox", {"env": {"NAME": "x" * 10}, "flavor": "cpu-basic"}, None),
    ],
)
def test_a_refused_create_fails_the_run_and_frees_its_money(
    world: World, token: str, fields: dict[str, object], cause: str | None
) -> None:
    run_id = world.enqueue(**{"seconds": 10, **fields})
    admit.run_once(world.gate)
    hub = HubClient(ENDPOINT, token, "hf_sandbox_job", clock=world.clock, transport=world.wire)
    submit.run_once(replace(world.gate, hub=hub))
    run = world.show(run_id)
    if cause is None:
        assert run["state"] == "starting"
        world.until_end(run_id)
        return
    assert (run["state"], run["failure"]["cause"]) == ("failed", cause)
    assert world.window().reserved_micro_usd == 0
    assert run["cost"]["metered_usd"] is None
    assert run["attempts"][0]["cause"] == cause


def test_a_namespace_without_credit_says_so(world: World) -> None:
    run_id = world.enqueue(seconds=10)
    admit.run_once(world.gate)
    world.db.write(lambda session: _move_to(session, run_id, "broke"))
    hub = HubClient(ENDPOINT, "hf_sandbox_broke", "hf_sandbox_job", clock=world.clock, transport=world.wire)
    submit.run_once(replace(world.gate, hub=hub))
    failure = world.show(run_id)["failure"]
    assert failure["cause"] == "no_credits"
    assert "Pre-paid credit balance is insufficient" in failure["evidence"]


def test_a_poll_costs_one_list_call_however_many_jobs_are_active(world: World) -> None:
    run_ids = [world.enqueue(seconds=500) for _ in range(10)]
    world.pass_all()
    world.wire.seen.clear()
    watch.run_once(world.gate)
    assert world.wire.seen == [("GET", "/api/jobs/acme")]
    world.until_end(*run_ids, minutes=2)


def test_polling_leaves_the_rest_of_a_rate_limit_to_submissions_and_cancels(world: World) -> None:
    world.faults(rate_limit=20)
    run_id = running(world)
    for _ in range(40):
        watch.run_once(world.gate)
    polled = world.wire.count("GET", "/api/jobs/acme")
    assert polled < 20
    world.cancel(run_id)
    assert cancel.run_once(world.gate) == 1
    world.clock.turn(minutes=6)
    watch.run_once(world.gate)
    assert world.run(run_id).state == "cancelled"


def _move_to(session: object, run_id: str, namespace: str) -> None:
    from sqlmodel import update

    from service.store.tables import Run

    session.exec(update(Run).where(Run.id == run_id).values(namespace=namespace))  # type: ignore[attr-defined,arg-type]


def test_a_run_whose_secrets_cannot_be_opened_fails_before_any_call(world: World) -> None:
    run_id = world.enqueue(secrets={"WANDB_API_KEY": "very secret"})
    world.gate = replace(world.gate, vault=Vault("another key"))
    world.pass_all()
    shown = world.show(run_id)
    assert (shown["state"], shown["reason"]) == ("failed", "secrets_lost")
    assert shown["failure"]["remedy"] == "Submit again, with the secrets."
    assert world.wire.count("POST", "/api/jobs/acme") == 0
    assert world.entries(run_id) == [("reserve", 1837), ("release", 1837)]
