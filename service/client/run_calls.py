"""The calls about runs, each described once for both clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from service.client.answers import Estimate, Event, Explanation, LedgerEntry, Log, QueueItem, Series
from service.client.call import EVENT_STREAM, Call, given, path
from service.client.run_records import RunRecord

LARGEST_PAGE = 200


def submit(
    *,
    recipe: Mapping[str, Any],
    flavor: str,
    timeout: int | str | None = None,
    max_cost_usd: float | None = None,
    output_repo: str | None = None,
    team: str | None = None,
    idempotency_key: str | None = None,
    **fields: Any,
) -> Call[RunRecord]:
    """POST /runs: a new run; the same run for the same key and body. `fields` are the other fields of POST /runs. A key
    is made where none is given, so that a lost answer makes no second run."""
    body = given(
        recipe=recipe,
        flavor=flavor,
        timeout=timeout,
        max_cost_usd=max_cost_usd,
        output_repo=output_repo,
        team=team,
    )
    return _keyed("/runs", body | fields, idempotency_key)


def estimate(
    *, recipe: Mapping[str, Any], flavor: str | None = None, team: str | None = None, **fields: Any
) -> Call[Estimate]:
    """POST /estimates: what a run would need and cost on each flavor. Nothing is stored."""
    body = given(recipe=recipe, flavor=flavor) | fields
    return Call("POST", "/estimates", Estimate.of, query={"team": team}, body=body)


def get(run_id: str) -> Call[RunRecord]:
    """GET /runs/{id}."""
    return Call("GET", path("runs", run_id), RunRecord.of)


def every(
    *,
    state: str | Sequence[str] | None = None,
    team: str | None = None,
    label: str | Sequence[str] | None = None,
    created_after: datetime | str | None = None,
    created_before: datetime | str | None = None,
    limit: int | None = None,
) -> Call[RunRecord]:
    """GET /runs, page after page: the newest first, `limit` of them at most. `label` is NAME=VALUE."""
    query = {
        "state": state,
        "team": team,
        "label": label,
        "created_after": created_after,
        "created_before": created_before,
        "limit": page_size(limit),
    }
    return Call("GET", "/runs", RunRecord.of, query=query, most=limit)


def change(run_id: str, /, **fields: Any) -> Call[RunRecord]:
    """PATCH /runs/{id}: flavor, priority, timeout or labels of a queued run."""
    return Call("PATCH", path("runs", run_id), RunRecord.of, body=fields)


def cancel(run_id: str) -> Call[RunRecord]:
    """POST /runs/{id}/cancel: it is asked to end; it has ended once `is_terminal`."""
    return _asked(run_id, "cancel")


def pause(run_id: str) -> Call[RunRecord]:
    """POST /runs/{id}/pause: it does not start, or stops after its newest checkpoint."""
    return _asked(run_id, "pause")


def resume(run_id: str) -> Call[RunRecord]:
    """POST /runs/{id}/resume."""
    return _asked(run_id, "resume")


def approve(run_id: str, *, comment: str | None = None) -> Call[RunRecord]:
    """POST /runs/{id}/approve."""
    return _asked(run_id, "approve", given(comment=comment), repeats=False)


def refuse(run_id: str, *, comment: str | None = None) -> Call[RunRecord]:
    """POST /runs/{id}/refuse: the opposite of approving it."""
    return _asked(run_id, "refuse", given(comment=comment), repeats=False)


def retry(
    run_id: str,
    *,
    with_remedy: bool = False,
    overrides: Mapping[str, Any] | None = None,
    secrets: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
) -> Call[RunRecord]:
    """POST /runs/{id}/retry: a new run of what one that has ended was asked for; `with_remedy` with the change that its
    `failure.repair` offers, `overrides` with other fields of POST /runs. Secrets were wiped and are given again."""
    body = {"with_remedy": with_remedy, **given(overrides=overrides, secrets=secrets)}
    return _keyed(path("runs", run_id, "retry"), body, idempotency_key)


def then(
    run_id: str, follow_ups: Sequence[Mapping[str, Any]], *, idempotency_key: str | None = None
) -> Call[RunRecord]:
    """POST /runs/{id}/then: what is to follow it, in this order."""
    return _keyed(path("runs", run_id, "then"), {"then": list(follow_ups)}, idempotency_key)


def rescue(run_id: str, *, output_repo: str | None = None) -> Call[RunRecord]:
    """POST /runs/{id}/rescue: the child run that publishes what was trained and not published."""
    return _asked(run_id, "rescue", given(output_repo=output_repo), repeats=False)


def explain(run_id: str) -> Call[Explanation]:
    """GET /runs/{id}/explain: every gate, and what would help."""
    return Call("GET", path("runs", run_id, "explain"), Explanation.of)


def events(run_id: str) -> Call[Event]:
    """GET /runs/{id}/events, page after page: all so far, in order."""
    return Call("GET", path("runs", run_id, "events"), Event.of, query={"limit": LARGEST_PAGE})


def event_stream(run_id: str, after: int | None = None) -> Call[Any]:
    """The same as a stream, which ends with the run; `after` is a sequence."""
    return stream(path("runs", run_id, "events"), after=after)


def ledger(run_id: str) -> Call[LedgerEntry]:
    """GET /runs/{id}/ledger: each reservation, charge and release."""
    return Call("GET", path("runs", run_id, "ledger"), LedgerEntry.of)


def logs(
    run_id: str,
    *,
    attempt: int | None = None,
    tail: int | None = None,
    since: datetime | str | None = None,
    contains: str | None = None,
) -> Call[Log]:
    """GET /runs/{id}/logs: what is kept of an attempt's log, of the last one if none is named."""
    return Call("GET", path("runs", run_id, "logs"), Log.of, query=_wanted(attempt, tail, since, contains))


def log_stream(
    run_id: str,
    *,
    attempt: int | None = None,
    tail: int | None = None,
    since: datetime | str | None = None,
    contains: str | None = None,
) -> Call[Any]:
    """The same as a stream, which ends with the run, or with the attempt that is named."""
    return stream(path("runs", run_id, "logs"), {"follow": True, **_wanted(attempt, tail, since, contains)})


def metrics(
    run_id: str, *, attempt: int | None = None, kind: Sequence[str] | None = None, points: int | None = None
) -> Call[Series]:
    """GET /runs/{id}/metrics: loss, learning rate and so on, as the training printed them."""
    query = {"attempt": attempt, "kind": kind, "points": points}
    return Call("GET", path("runs", run_id, "metrics"), Series.of, query=query)


def queue(*, limit: int | None = None) -> Call[QueueItem]:
    """GET /queue, page after page: the order in which runs would start now."""
    return Call("GET", "/queue", QueueItem.of, query={"limit": page_size(limit)}, most=limit)


def feed(
    *,
    types: str | Sequence[str] | None = None,
    team: str | None = None,
    after: str | None = None,
) -> Call[Event]:
    """GET /events, page after page: what happened to the team (for admins: to all), after a page's `next`."""
    query = {"type": types, "team": team, "after": after, "limit": LARGEST_PAGE}
    return Call("GET", "/events", Event.of, query=query)


def feed_stream(
    *,
    types: str | Sequence[str] | None = None,
    team: str | None = None,
    after: int | str | None = None,
) -> Call[Any]:
    """The same as a stream without an end: after a position or a page's `next`, or else from its start."""
    if isinstance(after, str):
        return stream("/events", {"type": types, "team": team, "after": after})
    return stream("/events", {"type": types, "team": team}, after=after)


def newest() -> Call[str | None]:
    """GET /events with `latest`: the `next` after which all comes that has not happened yet."""
    return Call("GET", "/events", lambda page: page["next"], query={"latest": True, "limit": 1})


def stream(address: str, query: Mapping[str, Any] | None = None, after: int | None = None) -> Call[Any]:
    """A stream of server-sent events, begun after one of them."""
    headers = {} if after is None else {"last-event-id": str(after)}
    return Call("GET", address, lambda frame: frame, query=query or {}, headers=headers, accept=EVENT_STREAM)


def page_size(limit: int | None) -> int:
    """The size of a page for a list of which `limit` are wanted."""
    return LARGEST_PAGE if limit is None else max(1, min(limit, LARGEST_PAGE))


def _keyed(address: str, body: Any, key: str | None) -> Call[RunRecord]:
    return Call("POST", address, RunRecord.of, body=body, headers={"idempotency-key": key or str(uuid4())})


def _asked(run_id: str, what: str, body: Any = None, *, repeats: bool = True) -> Call[RunRecord]:
    return Call("POST", path("runs", run_id, what), RunRecord.of, body=body or None, repeats=repeats)


def _wanted(
    attempt: int | None, tail: int | None, since: datetime | str | None, contains: str | None
) -> dict[str, Any]:
    return {"attempt": attempt, "tail": tail, "since": since, "contains": contains}
