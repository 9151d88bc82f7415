"""The calls about teams, keys, money, hardware and webhooks, each described once for both clients.

Where `team` may be None, the organisation is meant: its keys (of admins), its budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from service.client.call import Call, given, nothing, path
from service.client.records import (
    Budget,
    Delivery,
    Endpoint,
    Flavor,
    Key,
    Limits,
    Me,
    NewEndpoint,
    NewKey,
    Pause,
    Readiness,
    Redelivered,
    Stopped,
    Team,
    Usage,
)
from service.client.run_calls import LARGEST_PAGE, page_size


def me() -> Call[Me]:
    """GET /me: whom the key stands for."""
    return Call("GET", "/me", Me.of)


def ready() -> Call[Readiness]:
    """GET /readyz."""
    return Call("GET", "/readyz", Readiness.of)


def flavors() -> Call[Flavor]:
    """GET /flavors: hardware with its price."""
    return Call("GET", "/flavors", Flavor.of)


def teams() -> Call[Team]:
    """GET /teams."""
    return Call("GET", "/teams", Team.of)


def team(name: str) -> Call[Team]:
    """GET /teams/{team}."""
    return Call("GET", path("teams", name), Team.of)


def create_team(name: str) -> Call[Team]:
    """POST /teams."""
    return Call("POST", "/teams", Team.of, body={"name": name}, repeats=False)


def change_team(name: str, **fields: Any) -> Call[Team]:
    """PATCH /teams/{team}: `weight`, `time_zone`."""
    return Call("PATCH", path("teams", name), Team.of, body=fields)


def pause_team(name: str) -> Call[Pause]:
    """POST /teams/{team}/pause: none of its runs starts."""
    return Call("POST", path("teams", name, "pause"), Pause.of)


def resume_team(name: str) -> Call[Pause]:
    """POST /teams/{team}/resume."""
    return Call("POST", path("teams", name, "resume"), Pause.of)


def stop_team(name: str, *, pause: bool = False) -> Call[Stopped]:
    """POST /teams/{team}/cancel-runs: the kill switch."""
    return Call("POST", path("teams", name, "cancel-runs"), Stopped.of, body={"pause": pause}, repeats=False)


def archive_team(name: str, *, runs: str = "drain") -> Call[Team]:
    """POST /teams/{team}/archive: no more runs; those under way `drain` or are `cancel`led."""
    return Call("POST", path("teams", name, "archive"), Team.of, body={"runs": runs})


def unarchive_team(name: str) -> Call[Team]:
    """POST /teams/{team}/unarchive."""
    return Call("POST", path("teams", name, "unarchive"), Team.of)


def limits(name: str) -> Call[Limits]:
    """GET /teams/{team}/limits."""
    return Call("GET", path("teams", name, "limits"), Limits.of)


def set_limits(name: str, **fields: int | None) -> Call[Limits]:
    """PUT /teams/{team}/limits: `max_concurrent_runs`, `max_concurrent_runs_per_user`; None lifts one."""
    return Call("PUT", path("teams", name, "limits"), Limits.of, body=fields)


def pause_queue() -> Call[Pause]:
    """POST /queue/pause: nothing starts."""
    return Call("POST", "/queue/pause", Pause.of)


def resume_queue() -> Call[Pause]:
    """POST /queue/resume."""
    return Call("POST", "/queue/resume", Pause.of)


def keys(team: str | None = None) -> Call[Key]:
    """GET /teams/{team}/keys, page after page."""
    return Call("GET", path(*_owner(team), "keys"), Key.of, query={"limit": LARGEST_PAGE})


def create_key(
    team: str | None = None,
    *,
    name: str,
    role: str | None = None,
    user: str | None = None,
    scopes: Sequence[str] | None = None,
    expires_at: datetime | str | None = None,
) -> Call[NewKey]:
    """POST /teams/{team}/keys; `role` is lead, member or viewer, and the organisation's keys have none."""
    body = given(name=name, role=role, user=user, scopes=scopes, expires_at=expires_at)
    return Call("POST", path(*_owner(team), "keys"), NewKey.of, body=body, repeats=False)


def rotate_key(key_id: str, team: str | None = None, *, overlap_hours: float | None = None) -> Call[NewKey]:
    """POST /teams/{team}/keys/{id}/rotate: a new key in its place, which it outlives by the overlap."""
    body = given(overlap_hours=overlap_hours)
    return Call("POST", path(*_owner(team), "keys", key_id, "rotate"), NewKey.of, body=body, repeats=False)


def revoke_key(key_id: str, team: str | None = None) -> Call[None]:
    """DELETE /teams/{team}/keys/{id}."""
    return Call("DELETE", path(*_owner(team), "keys", key_id), nothing)


def budgets() -> Call[Budget]:
    """GET /budgets, page after page: those that the caller may see."""
    return Call("GET", "/budgets", Budget.of, query={"limit": LARGEST_PAGE})


def budget(team: str | None = None, *, user: str | None = None, period: str | None = None) -> Call[Budget]:
    """GET /teams/{team}/budget; `period` is month if left out."""
    return Call("GET", path(*_owner(team), "budget"), Budget.of, query={"user": user, "period": period})


def set_budget(team: str | None = None, *, limit_usd: float, user: str | None = None, **fields: Any) -> Call[Budget]:
    """PUT /teams/{team}/budget; `fields`: `period`, `hard`, `carry_over`, `thresholds`."""
    body = {"limit_usd": limit_usd, **fields}
    return Call("PUT", path(*_owner(team), "budget"), Budget.of, query={"user": user}, body=body)


def remove_budget(team: str | None = None, *, user: str | None = None, period: str | None = None) -> Call[None]:
    """DELETE /teams/{team}/budget."""
    return Call("DELETE", path(*_owner(team), "budget"), nothing, query={"user": user, "period": period})


def grant(
    team: str | None = None,
    *,
    amount_usd: float,
    comment: str | None = None,
    user: str | None = None,
    period: str | None = None,
) -> Call[Budget]:
    """POST /teams/{team}/budget/grants: money for the present window alone."""
    query, body = {"user": user, "period": period}, given(amount_usd=amount_usd, comment=comment)
    return Call("POST", path(*_owner(team), "budget", "grants"), Budget.of, query=query, body=body, repeats=False)


def usage(
    *,
    group_by: str | Sequence[str] | None = None,
    team: str | None = None,
    start: datetime | str | None = None,
    end: datetime | str | None = None,
    time_zone: str | None = None,
) -> Call[Usage]:
    """GET /usage: by `team`, `user`, `flavor`, `outcome`, `day` or `label:NAME`."""
    return Call("GET", "/usage", Usage.of, query=_spent(group_by, team, start, end, time_zone))


def usage_csv(
    *,
    group_by: str | Sequence[str] | None = None,
    team: str | None = None,
    start: datetime | str | None = None,
    end: datetime | str | None = None,
    time_zone: str | None = None,
) -> Call[str]:
    """The same as CSV."""
    query = _spent(group_by, team, start, end, time_zone) | {"format": "csv"}
    return Call("GET", "/usage", str, query=query, accept="text/csv")


def webhooks(*, run_id: str | None = None) -> Call[Endpoint]:
    """GET /webhooks, page after page."""
    return Call("GET", "/webhooks", Endpoint.of, query={"run_id": run_id, "limit": LARGEST_PAGE})


def webhook(endpoint_id: str) -> Call[Endpoint]:
    """GET /webhooks/{id}."""
    return Call("GET", path("webhooks", endpoint_id), Endpoint.of)


def create_webhook(*, url: str, events: Sequence[str] | None = None, **fields: Any) -> Call[NewEndpoint]:
    """POST /webhooks; `fields`: `kind`, `description`, `run_id`, `secret`, `team`."""
    return Call("POST", "/webhooks", NewEndpoint.of, body=given(url=url, events=events, **fields), repeats=False)


def change_webhook(endpoint_id: str, **fields: Any) -> Call[Endpoint]:
    """PATCH /webhooks/{id}: `url`, `events`, `description`, `enabled`."""
    return Call("PATCH", path("webhooks", endpoint_id), Endpoint.of, body=fields)


def remove_webhook(endpoint_id: str) -> Call[None]:
    """DELETE /webhooks/{id}."""
    return Call("DELETE", path("webhooks", endpoint_id), nothing)


def rotate_webhook_secret(endpoint_id: str, *, overlap_hours: int | None = None) -> Call[NewEndpoint]:
    """POST /webhooks/{id}/rotate-secret: both secrets sign until the overlap is over."""
    body = given(overlap_hours=overlap_hours)
    return Call("POST", path("webhooks", endpoint_id, "rotate-secret"), NewEndpoint.of, body=body, repeats=False)


def test_webhook(endpoint_id: str) -> Call[Delivery]:
    """POST /webhooks/{id}/test: a letter now, and what came of it."""
    return Call("POST", path("webhooks", endpoint_id, "test"), Delivery.of, repeats=False)


def deliveries(endpoint_id: str, *, state: str | None = None, limit: int | None = None) -> Call[Delivery]:
    """GET /webhooks/{id}/deliveries, page after page."""
    query = {"state": state, "limit": page_size(limit)}
    return Call("GET", path("webhooks", endpoint_id, "deliveries"), Delivery.of, query=query, most=limit)


def redeliver(endpoint_id: str, delivery_id: str) -> Call[Delivery]:
    """POST /webhooks/{id}/deliveries/{id}/redeliver."""
    address = path("webhooks", endpoint_id, "deliveries", delivery_id, "redeliver")
    return Call("POST", address, Delivery.of, repeats=False)


def redeliver_since(endpoint_id: str, since: datetime | str, *, include_delivered: bool = False) -> Call[Redelivered]:
    """POST /webhooks/{id}/redeliver: what did not arrive since then."""
    body = {"since": since, "include_delivered": include_delivered}
    return Call("POST", path("webhooks", endpoint_id, "redeliver"), Redelivered.of, body=body, repeats=False)


def anything(method: str, address: str, body: Any = None, **query: Any) -> Call[Any]:
    """Any call of the API by its address, answered as plain JSON."""
    return Call(method, address, lambda raw: raw, query=query, body=body, repeats=method in ("GET", "PUT", "DELETE"))


def _owner(team: str | None) -> tuple[str, ...]:
    return ("organisation",) if team is None else ("teams", team)


def _spent(
    group_by: str | Sequence[str] | None,
    team: str | None,
    start: datetime | str | None,
    end: datetime | str | None,
    time_zone: str | None,
) -> dict[str, Any]:
    return {"group_by": group_by, "team": team, "from": start, "to": end, "time_zone": time_zone}
