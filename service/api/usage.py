"""What was spent: by team, user, flavor, outcome, day or label, as JSON or CSV, with what of it was wasted."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import Depends, Query, Request
from fastapi.responses import JSONResponse, Response
from sqlmodel import Session

from service.api.auth import Caller, Viewer
from service.api.contract import Routes
from service.api.limits import checked_zone
from service.api.problems import responses
from service.api.state import App
from service.api.teams import visible_team
from service.api.usage_schemas import UsageObject
from service.domain.body import AwareMoment
from service.domain.errors import Invalid
from service.domain.moment import iso
from service.domain.money import to_usd
from service.domain.usage import Spending, Sum, dimensions, grouped, total, waste
from service.store import organisation, usage
from service.store.tables import Team

router = Routes("usage")
CSV = "text/csv"

# Every charge of the period is read: a service that has run for years has more than one answer should hold.
LONGEST = timedelta(days=400)


@dataclass(frozen=True)
class Period:
    """From `since` up to but not at `until`."""

    since: datetime
    until: datetime


def _period(
    app: App,
    since: Annotated[AwareMoment | None, Query(alias="from", description="The month's start (UTC) if left out")] = None,
    until: Annotated[AwareMoment | None, Query(alias="to", description="The next month's start if left out")] = None,
) -> Period:
    month = app.now().astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (month + timedelta(days=32)).replace(day=1)
    period = Period(since or month, until or following)
    if period.since >= period.until:
        raise Invalid("'from' must be before 'to'", field="from")
    if period.until - period.since > LONGEST:
        raise Invalid(
            f"'from' and 'to' are more than {LONGEST.days} days apart", field="from", remedy="Ask for a year at a time."
        )
    return period


@router.get(
    "/usage",
    response_model=UsageObject,
    summary="What was spent",
    responses={**responses(404, 422), 200: {"model": UsageObject, "content": {CSV: {}}}},
)
def read_usage(
    request: Request,
    caller: Viewer,
    app: App,
    period: Annotated[Period, Depends(_period)],
    group_by: Annotated[
        list[str] | None,
        Query(description="`team`, `user`, `flavor`, `outcome`, `day`, `label:NAME`; repeat, or separate by commas"),
    ] = None,
    team: Annotated[str | None, Query(description="For admins; without it all teams")] = None,
    time_zone: Annotated[
        str | None, Query(description="In which days begin; the team's, or the organisation's, if left out")
    ] = None,
    form: Annotated[
        Literal["json", "csv"] | None, Query(alias="format", description="Or say `Accept: text/csv`")
    ] = None,
) -> Response:
    """A charge belongs to the day on which the ledger booked it, when its job was found to have ended. Members see
    their own team, admins all."""
    by = dimensions(group_by or ())
    with app.gate.db.read() as session:
        owner = _team(session, caller, team)
        name = None if owner is None else owner.name
        zone = checked_zone(time_zone or (owner or organisation.read(session)).time_zone)
        spendings = usage.charges(session, period.since, period.until, name)
        if period.since <= app.now() < period.until:
            spendings += usage.held(session, name, app.now())
    groups = grouped(spendings, by, ZoneInfo(zone))
    if form == "csv" or (form is None and request.headers.get("accept", "").startswith(CSV)):
        return Response(_csv(by, groups), media_type=CSV)
    return JSONResponse(
        {
            "from": iso(period.since),
            "to": iso(period.until),
            "time_zone": zone,
            "data": [{**dict(zip(by, key, strict=True)), **_sum_json(added)} for key, added in groups],
            "total": _sum_json(total(spendings)),
            "waste": _waste_json(spendings),
        }
    )


def _team(session: Session, caller: Caller, named: str | None) -> Team | None:
    if caller.team is None and named is None:
        return None
    return visible_team(session, caller, caller.team_or(named))


def _sum_json(added: Sum) -> dict[str, Any]:
    return {
        "runs": len(added.run_ids),
        "attempts": added.attempts,
        "minutes": added.minutes,
        "metered_usd": to_usd(added.metered),
        "billed_usd": _usd(added.billed),
        "drift_usd": _usd(added.drift),
        "unbilled_attempts": added.unbilled,
        "reserved_usd": to_usd(added.held),
    }


def _waste_json(spendings: Sequence[Spending]) -> dict[str, Any]:
    found = waste(spendings)
    return {
        "wasted_usd": to_usd(found.wasted),
        "wasted_share": found.share(found.wasted),
        "outcomes": [
            {
                "outcome": outcome,
                "metered_usd": to_usd(added.metered),
                "share": found.share(added.metered),
                "runs": len(added.run_ids),
            }
            for outcome, added in found.outcomes
        ],
    }


def _csv(by: Sequence[str], groups: Sequence[tuple[tuple[str | None, ...], Sum]]) -> str:
    """A row a group; what is unknown is empty. Amounts have six digits after the point."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*by, *_sum_json(Sum())])
    for key, added in groups:
        values = _sum_json(added)
        writer.writerow([*key, *(_cell(name, value) for name, value in values.items())])
    return text.getvalue()


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.6f}" if name.endswith("_usd") else str(value)


def _usd(micro_usd: int | None) -> float | None:
    return None if micro_usd is None else to_usd(micro_usd)
