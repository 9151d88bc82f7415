"""`/ui/runs/{id}`: a run as it stands, live: where it is, what it does, what it costs, why it waits or failed."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse, Response

from service.web.automation import origin_of
from service.web.pages import Looking, Visit
from service.web.run_chart import in_words, loss_chart, machine_chart
from service.web.run_course import course_of
from service.web.run_headline import headline
from service.web.run_money import money_of
from service.web.run_way import way_of

router = APIRouter(include_in_schema=False)
PATH = "/ui/runs/{run_id}"
MOST_EVENTS = 200
LINES = 300
# The attempts whose loss is drawn, and how finely: a chart is about so many pixels wide.
ATTEMPTS, POINTS = 4, 600
FOLLOW_UPS = ("merge_lora", "smoke_test", "evaluate")


@router.get(PATH)
async def run_page(
    run_id: str,
    visit: Looking,
    attempt: Annotated[int | None, Query(ge=1)] = None,
    by: Literal["step", "time"] | None = None,
) -> Response:
    """One run. `attempt` chooses whose log is shown, `by` what its loss is drawn over: time while it trains, else
    steps."""
    path = f"/runs/{quote(run_id, safe='')}"
    run = await visit.api.get(path)
    events, ledger, sent, log, series, machine, why, origin = await asyncio.gather(
        visit.api.get(f"{path}/events", limit=MOST_EVENTS),
        visit.api.get(f"{path}/ledger"),
        visit.api.get_or_none(f"{path}/deliveries", limit=20),
        visit.api.get(f"{path}/logs", tail=LINES, attempt=attempt),
        _series(visit, path, run["attempt"]),
        visit.api.get(f"{path}/metrics", kind="machine", points=200),
        _why(visit, path, run),
        origin_of(visit, run),
    )
    now, points = visit.app.now(), series.get(run["attempt"], ())
    course = course_of(run, points)
    over = by or ("time" if course is not None and course.ends_at is not None else "step")
    return visit.show(
        "run.html",
        run=run,
        why=why,
        origin=origin,
        headline=headline(run, why, course, now),
        course=course,
        by=over,
        chart=loss_chart(series, run, course, over),
        chart_words=in_words(points, run),
        machine=machine_chart(machine["data"]),
        money=money_of(run, ledger["data"]),
        way=way_of(events["data"], now, run["is_terminal"]),
        ledger=ledger["data"],
        sent=[] if sent is None else sent["data"],
        log=log,
        most_lines=LINES,
        is_latest=attempt is None or attempt == run["attempt"],
        may=_may(visit, run),
        follow_ups=_can_follow(run),
        once=secrets.token_hex(16),
    )


@router.get(PATH + "/log.txt")
async def whole_log(run_id: str, visit: Looking, attempt: Annotated[int | None, Query(ge=1)] = None) -> Response:
    """All that is kept of an attempt's log, as text."""
    log = await visit.api.get(f"/runs/{quote(run_id, safe='')}/logs", attempt=attempt)
    return PlainTextResponse("".join(f"{one['timestamp']} {one['line']}\n" for one in log["data"]))


async def _series(visit: Visit, path: str, latest: int) -> dict[int, list[Mapping[str, Any]]]:
    """The numbers of the last attempts that have any."""
    shown = range(max(1, latest - ATTEMPTS + 1), latest + 1)
    answers = await asyncio.gather(
        *(visit.api.get(f"{path}/metrics", attempt=number, points=POINTS) for number in shown)
    )
    return {number: answer["data"] for number, answer in zip(shown, answers, strict=True) if answer["data"]}


async def _why(visit: Visit, path: str, run: Mapping[str, Any]) -> Any:
    """What explain says of a run that waits; None of any other."""
    return await visit.api.get(f"{path}/explain") if run["state"] == "queued" else None


def _may(visit: Visit, run: Mapping[str, Any]) -> dict[str, bool]:
    """What there are buttons for: what the run's state allows, and the role of whoever looks. The API decides again."""
    is_own = visit.reaches("lead") or visit.who.user in (run["requested_by"], run["submitted_by"])
    steers = visit.reaches("member") and is_own
    is_over, is_ending = run["is_terminal"], run["cancel_requested_at"] is not None
    is_paused = run["paused_at"] is not None
    can_stop = run["state"] in ("queued", "starting") or (
        run["state"] == "running" and run["checkpoints"]["newest"] is not None
    )
    output, failure = run["output"], run["failure"] or {}
    has_model = output is not None and output["verified"]
    return {
        "cancel": steers and not is_over and not is_ending,
        "pause": steers and can_stop and not is_paused and not is_ending,
        "resume": steers and is_paused and not is_over and not is_ending,
        "decide": visit.reaches("lead") and run["reason"] == "awaiting_approval",
        "change": steers and run["state"] == "queued" and not is_ending,
        "retry": steers and is_over and run["kind"] is None,
        "repair": steers and is_over and run["kind"] is None and failure.get("repair") is not None,
        "rescue": steers and failure.get("rescue") is not None and failure.get("rescued_by") is None,
        "follow": steers and run["kind"] is None and output is not None and (has_model if is_over else not is_ending),
        "forget": steers and is_over and run["checkpoints"]["bucket"] is not None
        and run["checkpoints"]["deleted_at"] is None,
    }  # fmt: skip


def _can_follow(run: Mapping[str, Any]) -> list[str]:
    """The follow-ups that make sense: an adapter can be merged, a dataset that was named be measured on."""
    recipe = run["recipe"]
    is_named = recipe["kind"] == "trl_sft"
    has_adapter = not is_named or recipe.get("lora") is not None
    return [kind for kind in FOLLOW_UPS if (kind != "merge_lora" or has_adapter) and (kind != "evaluate" or is_named)]
