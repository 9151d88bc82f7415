"""What pages call runs and their states, gates and settings."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

from service.web.origin_words import path_of
from service.web.wording import moment, words

# A waiting run says what for (the pill), each other run its state.
WAITS = {
    "checking": "being checked",
    "waiting_for_budget": "waiting for money",
    "waiting_for_slot": "waiting for a slot",
    "waiting_for_dependency": "waiting for another run",
    "waiting_for_output": "waiting for its repository",
    "awaiting_approval": "awaiting approval",
    "paused": "paused",
    "backing_off": "trying again soon",
    "no_capacity": "waiting for hardware",
    "price_unknown": "waiting for a price",
    "cancel_requested": "being cancelled",
}

# what sentences of the API name: the id of a run or of what made it, a time as domain/moment.py writes it
TOLD = re.compile(
    r"(?P<id>(?P<kind>run|sch|trg|swp)_[0-9A-HJKMNP-TV-Z]{26})"
    r"|(?P<day>\d{4}-\d\d-\d\d) (?P<time>\d\d:\d\d(?::\d\d)?) UTC"
)

ORDINALS = ("First", "Second", "Third", "Fourth", "Fifth", "Sixth", "Seventh", "Eighth", "Ninth", "Tenth")

GATES = {
    "preflight": "Checked",
    "queue_open": "Queue",
    "team_open": "Team",
    "not_paused": "Run",
    "approval": "Approval",
    "dependencies": "Other runs",
    "script": "Script",
    "file": "Training file",
    "next_try": "Next try",
    "job_token": "Token",
    "output": "Repository",
    "price": "Price",
    "own_cap": "Its own cap",
    "budget": "Money",
    "turn": "Turn",
}


def state_word(run: Mapping[str, Any]) -> str:
    """What a run's pill says."""
    if run["state"] == "queued":
        return WAITS.get(run["reason"], words(run["reason"]) or "queued")
    return WAITS["cancel_requested"] if run["reason"] == "cancel_requested" else str(run["state"])


def place_in_line(position: int) -> str:
    """`First in line`, from the eleventh on by number."""
    return f"{ORDINALS[position - 1]} in line" if position <= len(ORDINALS) else f"Number {position} in line"


def name_of(run: Mapping[str, Any]) -> str:
    """What people call a run: the repository that it makes, else what it trains or runs, else its id."""
    if run.get("output"):
        return str(run["output"]["repo"]).rpartition("/")[2] or str(run["id"])
    kind = run.get("kind")
    return f"{words(kind)} of {short(run['parent'])}" if kind and run.get("parent") else short(run["id"])


def about(run: Mapping[str, Any]) -> str:
    """A line below the name: model, method, flavor, for whom."""
    recipe = run["recipe"]
    model = str(recipe.get("model_name_or_path") or "").rpartition("/")[2]
    method = ("QLoRA" if recipe.get("quantization") else "LoRA") if recipe.get("lora") is not None else ""
    rank = (recipe.get("lora") or {}).get("r")
    parts = [
        words(run["kind"]) if run.get("kind") else "",
        model or ("script" if recipe.get("kind") == "script" else ""),
        f"{method} r {rank}" if method and rank else method,
        run["flavor"],
        run["requested_by"],
    ]
    return " · ".join(part for part in parts if part)


def short(run_id: str) -> str:
    """The end of an id, by which people tell runs apart."""
    return f"…{run_id[-6:]}"


def linked(text: str | None) -> Markup:
    """A sentence of the API, in which ids lead to what has them and times are told in the reader's zone, as all
    others of a page."""
    whole = str(text or "")
    pieces, at = [], 0
    for found in TOLD.finditer(whole):
        pieces += [escape(whole[at : found.start()]), _link(found) if found["id"] else _time(found)]
        at = found.end()
    return Markup("").join([*pieces, escape(whole[at:])])


def _link(found: re.Match[str]) -> Markup:
    path = f"/ui/runs/{found['id']}" if found["kind"] == "run" else path_of(found["id"])
    return Markup('<a class="run" href="{}" title="{}">{}</a>').format(path, found["id"], short(found["id"]))


def _time(found: re.Match[str]) -> Markup:
    return moment(f"{found['day']}T{found['time']}{'' if found['time'].count(':') == 2 else ':00'}Z", "clock")


def gate(name: str) -> str:
    """A gate of explain."""
    for start, told in (("slots_of_", "Slots of its "), ("budget_", "Money of ")):
        if name.startswith(start):
            return told + words(name.removeprefix(start))
    return GATES.get(name, words(name))


def setting(value: Any) -> str:
    """A setting's value, in a change or a list."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def confidence(share: float) -> str:
    """How sure a diagnosis is."""
    if share >= 0.9:
        return "This is quite certain."
    return "This is likely." if share >= 0.6 else "This is a guess: look at the log."
