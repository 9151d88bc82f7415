"""`/ui/admin`: what awaits somebody, and whether the service is well, with what to do where it is not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from service.web.pages import Looking, Visit
from service.web.wording import duration

router = APIRouter(include_in_schema=False)
PATH = "/ui/admin"
MOST = 200
# An inbox looks through so many pages of waiting runs: a queue may be longer than anybody reads.
PAGES = 5
# A step that has not run for so long is told of; these two come round rarely.
OVERDUE_SECONDS, RARE = 300, {"sweep": 7200, "retain": 7200}


@router.get(PATH)
async def overview(visit: Looking) -> Response:
    """The inbox for who may decide, health for all."""
    waiting, ready, endpoints, teams, organisation = await asyncio.gather(
        _awaiting(visit),
        visit.api.get("/readyz"),
        visit.api.get_or_none("/webhooks", limit=MOST),
        visit.api.get("/teams"),
        visit.api.get_or_none("/organisation"),
    )
    troubled = [one for one in (endpoints or {"data": []})["data"] if one["disabled_at"] or one["failing_since"]]
    lines = health(ready["checks"])
    return visit.show(
        "admin/overview.html",
        waiting=waiting,
        lines=lines,
        steps=sorted(ready["checks"]["step_ages_seconds"].items(), key=lambda one: -one[1]),
        unwell=[one for one in lines if one["remedy"]],
        troubled=troubled,
        endpoints=None if endpoints is None else endpoints["data"],
        teams=teams["data"],
        organisation=organisation,
    )


async def _awaiting(visit: Visit) -> list[Mapping[str, Any]]:
    """Runs that await approval, the longest waiting first; none for who may not decide."""
    found: list[Mapping[str, Any]] = []
    after = None
    for _ in range(PAGES if visit.reaches("lead") else 0):
        page = await visit.api.get("/runs", state="queued", limit=MOST, after=after)
        found += [run for run in page["data"] if run["approval"] and run["approval"]["state"] == "needed"]
        after = page["next"]
        if after is None:
            break
    return found[::-1]


def health(checks: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What GET /readyz tells, a sentence each: `remedy` is what to do, None where nothing is."""
    return [
        _line("Database", "It answers: runs can be accepted."),
        _hub(checks),
        _steps(checks["leads"], checks["step_ages_seconds"]),
        _queue(checks),
    ]


def _line(name: str, told: str, remedy: str | None = None) -> dict[str, Any]:
    return {"name": name, "told": told, "remedy": remedy}


def _hub(checks: Mapping[str, Any]) -> dict[str, Any]:
    age, hub = checks["prices_age_seconds"], checks["hub"]
    if hub == "ok":
        return _line("Hugging Face", f"It answers. Its prices were read {duration(age)} ago.")
    if hub == "stale":
        return _line(
            "Hugging Face",
            f"Its prices were last read {duration(age)} ago, and count as not known: no run starts.",
            "Look whether huggingface.co can be reached from here, and whether the control token still holds.",
        )
    if hub == "unknown":
        return _line("Hugging Face", "Its prices were never read: no run starts.", "Wait a minute, then read the log.")
    return _line(
        "Hugging Face", f"{hub}.", "Runs wait meanwhile and lose nothing. Look at the tokens of the organisation."
    )


def _steps(leads: bool, ages: Mapping[str, float]) -> dict[str, Any]:
    if not leads:
        return _line("Steps", "Another process runs them: this one answers requests.")
    late = {name: age for name, age in ages.items() if age > RARE.get(name, OVERDUE_SECONDS)}
    if late:
        name = max(late, key=lambda one: late[one])
        return _line(
            "Steps",
            f"'{name}' last ran {duration(late[name])} ago{_others(list(late), name)}.",
            "The log says what keeps it. A restart loses nothing.",
        )
    return _line("Steps", "This process runs them, and none is late.")


def _others(late: Sequence[str], name: str) -> str:
    others = [one for one in late if one != name]
    return f"; late as well: {', '.join(others)}" if others else ""


def _queue(checks: Mapping[str, Any]) -> dict[str, Any]:
    count, oldest = checks["queued_runs"], checks["oldest_queued_seconds"]
    if not count:
        return _line("Queue", "Nothing waits.")
    are = "1 run waits" if count == 1 else f"{count} runs wait"
    return _line("Queue", f"{are}, {'' if count == 1 else 'the longest '}for {duration(oldest)}.")
