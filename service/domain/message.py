"""What people are told of an event: a headline, a few lines, a link. Short, and the same in every channel."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from service.domain.money import dollars

LONGEST = 300
# no sign in it that ends a link in any channel's form
ADDRESS = re.compile(r"https?://[^\s<>|()\[\]\"\\\\]{1,500}")
HEADLINES = {
    "run.queued": "is queued",
    "run.submitted": "was submitted",
    "run.started": "has started",
    "run.retrying": "is tried again",
    "run.succeeded": "succeeded",
    "run.failed": "failed",
    "run.cancelled": "was cancelled",
    "run.rescued": "was rescued: another run has published its model",
    "run.warning": "has a warning",
    "run.awaiting_approval": "awaits approval",
    "run.approved": "was approved",
    "run.refused": "was refused",
    "run.paused": "was paused",
    "run.resumed": "was resumed",
}
SIGNS = {
    "run.succeeded": "✅",
    "run.failed": "❌",
    "run.cancelled": "⏹️",
    "run.awaiting_approval": "✋",
    "run.warning": "⚠️",
    "budget.threshold_reached": "⚠️",
    "budget.exhausted": "⛔",
    "budget.overrun": "⚠️",
    "schedule.refused": "⚠️",
    "trigger.refused": "⚠️",
    "sweep.ended": "🏁",
    "endpoint.disabled": "⚠️",
}


@dataclass(frozen=True)
class Message:
    """`lines` hold what users and jobs wrote: each channel takes the signs out that mean something to it. `links` are
    names with their addresses, which this service or the Hub has made."""

    sign: str
    headline: str
    lines: tuple[str, ...]
    links: tuple[tuple[str, str], ...] = ()


def message_of(event_type: str, data: Mapping[str, Any], public_url: str | None) -> Message:
    """The message for an event's data as webhooks carry it. Its links lead to the model, once there is one, and to the
    run here where `public_url` is known, else to its job on the Hub."""
    match event_type.partition(".")[0]:
        case "run":
            headline, lines = _run(event_type, data)
        case "budget":
            headline, lines = _budget(event_type, data)
        case "endpoint":
            headline, lines = _endpoint(data)
        case "schedule" | "trigger" as kind:
            headline, lines = f"The {kind} {data.get('name')} made no run", [str(data.get("message") or "")]
        case "sweep":
            headline, lines = _sweep(data)
        case "webhook":
            headline, lines = "A test message of tunegate", ["Events of this endpoint arrive here."]
        case _:
            headline, lines = _other(event_type, data), []
    links = tuple(_links(data, public_url)) if event_type.startswith("run.") else ()
    return Message(SIGNS.get(event_type, "🔔"), _short(headline), tuple(_short(line) for line in lines if line), links)


def _run(event_type: str, data: Mapping[str, Any]) -> tuple[str, list[str]]:
    what = {"pilot": "The pilot", None: "Run"}.get(data.get("kind"), f"The {data.get('kind')} run")
    headline = f"{what} {data.get('id')} {HEADLINES.get(event_type, event_type)}"
    lines = [f"Team {data.get('team')}" + (f" · {repo}" if (repo := (data.get("output") or {}).get("repo")) else "")]
    match event_type:
        case "run.failed":
            failure = data.get("failure") or {}
            lines += [f"{failure.get('cause') or data.get('reason')}: {failure.get('message') or data.get('message')}"]
            lines += [f"What to do: {failure['remedy']}"] if failure.get("remedy") else []
        case "run.awaiting_approval":
            lines += [str((data.get("approval") or {}).get("why") or data.get("message") or "")]
        case "run.warning":
            lines += [str((data.get("warning") or {}).get("message") or "")]
        case _:
            lines += [str(data.get("message") or "")]
    return headline, [*lines, _cost(event_type, data.get("cost") or {})]


def _cost(event_type: str, cost: Mapping[str, Any]) -> str:
    if event_type == "run.awaiting_approval":
        told = {"estimated at": cost.get("estimated_usd"), "at most": cost.get("ceiling_usd")}
    else:
        told = {"": cost.get("metered_usd"), "reserved": cost.get("reserved_usd") or None}
    parts = [f"{name} {_usd(amount)}".strip() for name, amount in told.items() if amount is not None]
    return f"Cost: {', '.join(parts)}" if parts else ""


def _budget(event_type: str, data: Mapping[str, Any]) -> tuple[str, list[str]]:
    whose = f"The budget {data.get('budget')}"
    spent = "{} charged, {} reserved, {} left of {}".format(
        *(_usd(data.get(f"{name}_usd")) for name in ("charged", "reserved", "remaining", "limit"))
    )
    until = f"Its window ends {data['window_end']}" if data.get("window_end") else ""
    match event_type:
        case "budget.threshold_reached":
            return f"{whose} has reached {data.get('percent')} %", [spent, until]
        case "budget.exhausted":
            return f"{whose} is used up", [spent, until]
        case "budget.overrun":
            return f"{whose} was overrun", [spent, until]
        case "budget.reset":
            return f"{whose} begins anew", [spent, until]
        case "budget.granted":
            by = f"{_usd(data.get('amount_usd'))} by {data.get('by')}"
            return f"{whose} got more for once", [by, str(data.get("comment") or "")]
    return f"{whose} was changed", [f"By {data.get('by')}"]


def _endpoint(data: Mapping[str, Any]) -> tuple[str, list[str]]:
    since = f"Failing since {data['failing_since']}" if data.get("failing_since") else ""
    return f"The webhook endpoint {data.get('endpoint_id')} was disabled", [
        str(data.get("url") or ""),
        str(data.get("because") or ""),
        since,
    ]


def _sweep(data: Mapping[str, Any]) -> tuple[str, list[str]]:
    points = ", ".join(f"{count} {state}" for state, count in (data.get("states") or {}).items())
    lines = [f"Points: {points}", f"Cost: {_usd(data.get('charged_usd'))}"]
    if (best := data.get("best")) is not None:
        values = ", ".join(f"{name} {value}" for name, value in (best.get("parameters") or {}).items())
        lines.insert(0, f"The best, with a loss of {best.get('eval_loss')}: point {best.get('number')} ({values})")
        lines.insert(1, str(best.get("output_repo") or ""))
    how = "was cancelled" if data.get("state") == "cancelled" else "has ended"
    return f"The sweep {data.get('name')} {how}", lines


def _other(event_type: str, data: Mapping[str, Any]) -> str:
    whose = f" of {data['team']}" if data.get("team") else ""
    by = f" by {data['by']}" if data.get("by") else ""
    return f"{event_type}{whose}{by}"


def _links(data: Mapping[str, Any], public_url: str | None) -> Iterator[tuple[str, str]]:
    job = (data.get("hub_job") or {}).get("url")
    model = (data.get("output") or {}).get("url")
    found = {
        "Model": model,
        "Run": None if public_url is None else f"{public_url}/ui/runs/{data.get('id')}",
        "Job": job if public_url is None else None,
    }
    yield from ((name, url) for name, url in found.items() if url is not None and ADDRESS.fullmatch(url))


def _usd(amount: object) -> str:
    return dollars(round(amount * 1_000_000)) if isinstance(amount, int | float) else "–"


def _short(text: str) -> str:
    """One line, of a length that people read."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
