"""The way of a run so far: its events in order, and how long each part took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from service.web.run_words import WAITS
from service.web.wording import words

# What the time until the next event was spent with.
SPENT = {"run.queued": "waited", "run.submitted": "until hardware was there", "run.started": "ran"}
SPENT |= {"run.retrying": "waited", "run.paused": "paused", "run.awaiting_approval": "until somebody decided"}
SHAPES = {"run.failed": "bad", "run.retrying": "bad", "run.refused": "bad", "run.warning": "warn"}
SHAPES |= {"run.succeeded": "good", "run.started": "good", "run.rescued": "good"}


def way_of(events: Sequence[Mapping[str, Any]], now: datetime, is_over: bool) -> list[dict[str, Any]]:
    """Each event with what it says, and the seconds until the next one (until now, for the last of a run that goes
    on)."""
    steps = []
    for place, event in enumerate(events):
        # a warning ends nothing
        later = (one for one in events[place + 1 :] if one["type"] != "run.warning")
        following = next((one["timestamp"] for one in later), None)
        until = now if following is None else datetime.fromisoformat(following)
        spent = SPENT.get(event["type"])
        lasts = spent is not None and (following is not None or not is_over)
        steps.append(
            {
                "at": event["timestamp"],
                "what": _what(event, is_first=place == 0),
                "more": _more(event),
                "shape": SHAPES.get(event["type"], ""),
                "spent": spent,
                "seconds": (until - datetime.fromisoformat(event["timestamp"])).total_seconds() if lasts else None,
                "is_on": following is None and not is_over,
            }
        )
    return steps


def _what(event: Mapping[str, Any], *, is_first: bool) -> str:
    data = event["data"]
    attempt = f"attempt {data['attempt']}"
    told = {
        "run.queued": f"submitted by {data['submitted_by']}" if is_first else "queued again",
        "run.submitted": f"{attempt}: a job on {data['flavor']}",
        "run.started": f"{attempt} started",
        "run.retrying": f"{attempt} failed",
        "run.warning": f"warning: {words((data.get('warning') or {}).get('guard'))}",
        "run.awaiting_approval": "needs approval",
        "run.rescued": "its model was rescued",
    }
    if event["type"] in told:
        return told[event["type"]]
    by = f" by {data['by']}" if data.get("by") else ""
    return words(event["type"].removeprefix("run.")) + by


def _more(event: Mapping[str, Any]) -> str | None:
    """A line below: why, or what it says itself."""
    data, kind = event["data"], event["type"]
    if kind == "run.warning":
        return str((data.get("warning") or {}).get("message") or "") or None
    if kind == "run.failed":
        return words((data.get("failure") or {}).get("cause") or data.get("reason"))
    if kind == "run.retrying":
        return words(data["attempts"][-1]["cause"]) if data.get("attempts") else None
    if kind in ("run.approved", "run.refused"):
        return (data.get("after") or {}).get("comment")
    if kind == "run.awaiting_approval":
        return (data.get("approval") or {}).get("why")
    if kind == "run.queued" and event["sequence"] > 1:
        return WAITS.get(data.get("reason") or "")
    return data.get("message") if kind == "run.cancelled" else None
