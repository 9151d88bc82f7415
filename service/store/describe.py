"""The run object: what the API answers and what an event carries, built in one place so that both tell the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from service.domain.checkpoints import nothing_saved
from service.domain.job import IMAGE
from service.domain.moment import iso
from service.domain.money import elapsed_ms, minutes, to_usd
from service.domain.run import RunState
from service.domain.use import use_of
from service.store import waiting, webhooks
from service.store.run_money import RunMoney, money_of
from service.store.tables import Attempt, Dependency, LedgerEntry, Run

LEFT_OUT = frozenset({"recipe", "env", "secrets", "secret_refs", "image", "volumes", "resource_group", "webhooks"})


def describe_run(session: Session, run: Run, now: datetime) -> dict[str, Any]:
    """One run, whole."""
    return describe_runs(session, [run], now)[0]


def describe_runs(session: Session, runs: Sequence[Run], now: datetime) -> list[dict[str, Any]]:
    """Many runs with a few queries, in the order given."""
    pilots, followers = _pilots(session, runs), _followers(session, runs)
    ids = [*(run.id for run in runs), *pilots, *followers]
    attempts: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in session.exec(select(Attempt).where(col(Attempt.run_id).in_(ids)).order_by(col(Attempt.attempt))):
        attempts[attempt.run_id].append(attempt)
    entries: dict[str, list[LedgerEntry]] = defaultdict(list)
    for entry in session.exec(select(LedgerEntry).where(col(LedgerEntry.run_id).in_(ids))):
        entries[entry.run_id].append(entry)
    after: dict[str, list[str]] = defaultdict(list)
    for dependency in session.exec(select(Dependency).where(col(Dependency.run_id).in_(ids))):
        after[dependency.run_id].append(dependency.after_run_id)
    why, letters = waiting.reasons(session, runs), webhooks.of_runs(session, [run.id for run in runs])
    return [
        {
            **run_object(run, attempts[run.id], money_of(entries[run.id]), now, sorted(after[run.id])),
            **said(why.get(run.id)),
            "pilot": pilot(run, pilots, attempts, entries, now),
            "follow_ups": follow_ups(run, followers, attempts, entries, now),
            "webhooks": letters[run.id],
        }
        for run in runs
    ]


def _followers(session: Session, runs: Sequence[Run]) -> dict[str, Run]:
    """What follows these runs, by id."""
    ids = [one["run_id"] for run in runs for one in run.then or ()]
    return {child.id: child for child in session.exec(select(Run).where(col(Run.id).in_(ids)))} if ids else {}


def follow_ups(
    run: Run,
    followers: Mapping[str, Run],
    attempts: Mapping[str, Sequence[Attempt]],
    entries: Mapping[str, Sequence[LedgerEntry]],
    now: datetime,
) -> list[dict[str, Any]]:
    """The runs that follow, in their order, with their own dollars: they are no part of the run's `cost`."""
    listed = []
    for one in run.then or ():
        child = followers.get(one["run_id"])
        if child is None:  # as it is told of the run's own arrival
            queued = {"state": RunState.QUEUED.value, "message": None, "result": None, "cost": None}
            listed.append({"run_id": one["run_id"], "kind": one["kind"], **queued})
            continue
        mine = attempts.get(child.id, ())
        listed.append(
            {
                "run_id": child.id,
                "kind": child.kind,
                "state": child.state,
                "message": child.message,
                "result": child.result,
                "cost": _cost(child, mine, money_of(entries.get(child.id, ())), now),
            }
        )
    return listed


def _pilots(session: Session, runs: Sequence[Run]) -> dict[str, Run]:
    """The pilots that go before these runs, by id."""
    ids = [run.pilot["run_id"] for run in runs if run.pilot is not None]
    return {pilot.id: pilot for pilot in session.exec(select(Run).where(col(Run.id).in_(ids)))} if ids else {}


def pilot(
    run: Run,
    pilots: Mapping[str, Run],
    attempts: Mapping[str, Sequence[Attempt]],
    entries: Mapping[str, Sequence[LedgerEntry]],
    now: datetime,
) -> dict[str, Any] | None:
    """What was asked for and measured, and the pilot's own dollars: they are no part of the run's `cost`."""
    if run.pilot is None:
        return None
    if (pilot := pilots.get(run.pilot["run_id"])) is None:  # as it is told of the run's own arrival
        return {**run.pilot, "state": RunState.QUEUED.value, "cost": None}
    mine = attempts.get(pilot.id, ())
    return {**run.pilot, "state": pilot.state, "cost": _cost(pilot, mine, money_of(entries.get(pilot.id, ())), now)}


def said(why: waiting.Why | None) -> dict[str, Any]:
    """The reason that stands in place of the row's own, where there is one."""
    return {} if why is None else {"reason": why[0], "message": why[1]}


def told(described: Mapping[str, Any]) -> dict[str, Any]:
    """What an event tells of a run that was described: all that a receiver acts on; the request itself stays with the
    API."""
    return {name: value for name, value in described.items() if name not in LEFT_OUT}


def run_object(
    run: Run, attempts: Sequence[Attempt], money: RunMoney, now: datetime, after: Sequence[str]
) -> dict[str, Any]:
    """The object of the contract. `metered_usd` ticks while a job runs, by the same minute rule as the charge."""
    state = RunState(run.state)
    latest = attempts[-1] if attempts else None
    return {
        "id": run.id,
        "object": "run",
        "state": run.state,
        "reason": run.reason,
        "message": run.message,
        "is_terminal": state.is_terminal,
        "team": run.team,
        "requested_by": run.requested_by,
        "submitted_by": run.submitted_by or run.requested_by,
        "recipe": run.recipe,
        "flavor": run.flavor,
        "timeout_seconds": run.timeout_seconds,
        "max_cost_usd": _usd(run.max_cost_micro_usd),
        "priority": run.priority,
        "labels": run.labels,
        "after": list(after),
        "start_before": _iso(run.start_before),
        "paused_at": _iso(run.paused_at),
        "approval": _approval(run),
        **_surroundings(run),
        "attempt": run.attempt,
        "attempts": [attempt_object(attempt) for attempt in attempts],
        "cost": _cost(run, attempts, money, now),
        "hub_job": None if latest is None else _hub_job(latest),
        "output": _output(run),
        "result": run.result,
        "failure": run.failure,
        "progress": run.progress,
        "retry": run.retry,
        "checkpoints": {"asked": run.checkpoints, **(run.saved or nothing_saved())},
        "guards": run.guards,
        "warnings": [] if latest is None else latest.warnings,
        **_looked_up(run),
        **_family(run),
        "created_at": _iso(run.created_at),
        "admitted_at": _iso(run.admitted_at),
        "started_at": _iso(run.started_at),
        "finished_at": _iso(run.finished_at),
        "cancel_requested_at": _iso(run.cancel_requested_at),
    }


def _cost(run: Run, attempts: Sequence[Attempt], money: RunMoney, now: datetime) -> dict[str, Any]:
    latest, metered = attempts[-1] if attempts else None, money.charged
    if latest is not None and run.state == RunState.RUNNING and latest.started_at is not None:
        metered = (metered or 0) + cost_so_far(latest, now)
    return {
        "estimated_usd": _estimated(run),
        "ceiling_usd": _usd(run.ceiling_micro_usd),
        "reserved_usd": to_usd(money.reserved),
        "metered_usd": _usd(metered),
        "billed_usd": _usd(_billed(attempts)),
    }


def _surroundings(run: Run) -> dict[str, Any]:
    """What a run's job is given, beside the recipe."""
    return {
        "env": run.env,
        "secrets": run.secret_names,
        "secret_refs": run.secret_refs,
        "hf_credentials": run.credentials,
        "namespace": run.namespace,
        "image": run.image or IMAGE,
        "volumes": run.volumes,
        "resource_group": run.resource_group,
    }


def attempt_object(attempt: Attempt) -> dict[str, Any]:
    """One item of `attempts[]`."""
    return {
        "attempt": attempt.attempt,
        "hub_job": _hub_job(attempt),
        "flavor": attempt.flavor,
        "price_per_minute_usd": to_usd(attempt.price_per_minute_micro_usd),
        "timeout_seconds": attempt.timeout_seconds,
        "admitted_at": iso(attempt.admitted_at),
        "started_at": _iso(attempt.started_at),
        "finished_at": _iso(attempt.finished_at),
        "running_seconds": None if attempt.running_ms is None else attempt.running_ms / 1000,
        "minutes": attempt.minutes,
        "cost_usd": _usd(attempt.cost_micro_usd),
        "billed_usd": _usd(attempt.billed_micro_usd),
        "metered_source": attempt.metered_source,
        "cause": attempt.cause,
        "from_step": attempt.from_step,
        "failure": attempt.failure,
        "change": attempt.change,
        "repair": attempt.repair,
        "machine": attempt.machine,
        "warnings": attempt.warnings,
    }


def _billed(attempts: Sequence[Attempt]) -> int | None:
    """What all attempts were billed; None while the bill of one that ran, or may yet be charged, is not known."""
    bills = [
        attempt.billed_micro_usd
        for attempt in attempts
        if attempt.started_at is not None or attempt.billed_micro_usd is not None
    ]
    known = [bill for bill in bills if bill is not None]
    return sum(known) if bills and len(known) == len(bills) else None


def cost_so_far(attempt: Attempt, now: datetime) -> int:
    """What a started attempt costs by now, in micro-dollars, by the same minute rule as its charge."""
    assert attempt.started_at is not None
    return minutes(elapsed_ms(attempt.started_at, now)) * attempt.price_per_minute_micro_usd


def _hub_job(attempt: Attempt) -> dict[str, Any] | None:
    return None if attempt.hub_job_id is None else {"id": attempt.hub_job_id, "url": attempt.hub_job_url}


def _estimated(run: Run) -> float | None:
    cost = (run.estimate or {}).get("cost_usd")
    return None if cost is None else float(cost["p50"])


def _family(run: Run) -> dict[str, Any]:
    return {"parent": run.parent, "kind": run.kind, "retry_of": run.retry_of, "origin": run.origin}


def _looked_up(run: Run) -> dict[str, Any]:
    return {
        "preflight": run.preflight,
        "estimate": run.estimate,
        "pins": run.pins or {},
        "fingerprint": run.fingerprint,
        "reused_from": run.reused_from,
        "lineage_card": run.card,
    }


def _approval(run: Run) -> dict[str, Any] | None:
    if run.approval is None:
        return None
    return {
        "state": run.approval,
        "why": run.approval_why,
        "expires_at": _iso(run.approval_expires_at),
        "by": run.approval_by,
        "comment": run.approval_comment,
    }


def _output(run: Run) -> dict[str, Any] | None:
    if run.output_repo is None and run.output is None:
        return None
    unseen: dict[str, Any] = {"repo": run.output_repo, "revision": None, "url": None, "verified": False, "files": []}
    unseen["checks"] = []
    shown = {**unseen, **(run.output or {})}
    return {**shown, "use": use_of(shown, run.recipe, run.pins or {}) if shown["verified"] else None}


def _usd(micro_usd: int | None) -> float | None:
    return None if micro_usd is None else to_usd(micro_usd)


def _iso(value: datetime | None) -> str | None:
    return None if value is None else iso(value)
