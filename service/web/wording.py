"""How pages write what the API says: dollars, durations, states. No number is made here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from markupsafe import Markup, escape

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
CAUSES = {"cuda_oom": "out of GPU memory", "host_oom": "out of memory", "job_timeout": "timed out"}
UNKNOWN = "not known yet"
RUN_ID = re.compile(r"run_[0-9A-HJKMNP-TV-Z]{26}")


def usd(amount: float | None, digits: int = 2) -> str:
    """Dollars: two digits in tables, more where two would say nothing; an unknown amount is said to be one."""
    if amount is None:
        return UNKNOWN
    if not amount:
        digits = 2
    elif abs(amount) < 0.01 and digits == 2:
        digits = 4 if abs(amount) >= 0.0001 else 6
    elif abs(amount) < 0.001 and digits == 4:
        digits = 6
    return f"{'−' if amount < 0 else ''}${abs(amount):,.{digits}f}"


def number(value: float | None) -> str:
    """A figure: whole ones with thousands apart, others as short as they are exact enough to be read."""
    if value is None:
        return UNKNOWN
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"


def duration(seconds: float | None) -> str:
    """`45 s`, `12 min`, `3 h 20 min`, `2 days 4 h`."""
    if seconds is None:
        return UNKNOWN
    whole = round(seconds)
    days, hours, minutes = whole // 86_400, whole % 86_400 // 3_600, whole % 3_600 // 60
    if days:
        return f"{days} day{'s' if days > 1 else ''}" + (f" {hours} h" if hours else "")
    if hours:
        return f"{hours} h" + (f" {minutes} min" if minutes else "")
    return f"{minutes} min" if whole >= 120 else f"{whole} s" if whole < 60 else f"1 min {whole - 60} s"


def moment(value: str | None, show: str = "moment") -> Markup:
    """A time of the wire as an element: written in UTC, shown by static/live.js in the reader's zone. `show`: `moment`
    (a day and a minute), `day`, `clock` (the minute, with the day where it is another), `ago`, `left`."""
    if value is None:
        return escape(UNKNOWN)
    plain = f"{value[:10]} {value[11:16]} UTC"
    return Markup('<time datetime="{}" data-show="{}">{}</time>').format(value, show, plain)


def words(code: str | None) -> str:
    """A snake_case code as words: a cause, an event, a kind."""
    return "" if code is None else CAUSES.get(code, code.replace("_", " "))


def state_word(run: Mapping[str, Any]) -> str:
    """What a run's pill says."""
    if run["state"] == "queued":
        return WAITS.get(run["reason"], words(run["reason"]) or "queued")
    return WAITS["cancel_requested"] if run["reason"] == "cancel_requested" else str(run["state"])


ORDINALS = ("First", "Second", "Third", "Fourth", "Fifth", "Sixth", "Seventh", "Eighth", "Ninth", "Tenth")


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
    """A sentence of the API, in which the ids of runs lead to them."""
    whole = str(text or "")
    pieces, at = [], 0
    for found in RUN_ID.finditer(whole):
        link = Markup('<a class="run" href="/ui/runs/{0}" title="{0}">{1}</a>').format(found[0], short(found[0]))
        pieces += [escape(whole[at : found.start()]), link]
        at = found.end()
    return Markup("").join([*pieces, escape(whole[at:])])


def address(url: str | None) -> str | None:
    """An address that a link may lead to: a web page's. What a job's log calls one may be anything."""
    return url if url and url.startswith(("https://", "http://")) else None


GATES = {
    "preflight": "Checked",
    "queue_open": "Queue",
    "team_open": "Team",
    "not_paused": "Run",
    "approval": "Approval",
    "dependencies": "Other runs",
    "script": "Script",
    "next_try": "Next try",
    "job_token": "Token",
    "output": "Repository",
    "price": "Price",
    "own_cap": "Its own cap",
    "budget": "Money",
    "turn": "Turn",
}


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


def size(count: float | None) -> str:
    """Bytes: `3 KB`, `1.2 GB`."""
    if count is None:
        return UNKNOWN
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "KB")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count:.0f} bytes"


def percent(part: float | None, whole: float | None) -> float:
    """How much of a whole, from 0 to 100, for bars."""
    return 0.0 if not part or not whole else round(min(100.0, max(0.0, 100 * part / whole)), 2)


def data(value: Any) -> Markup:
    """JSON for a data block of a page: what it holds cannot end the block."""
    return Markup(json.dumps(value).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))  # noqa: S704


# What money went to that made no run succeed, in words.
WASTED = {
    "timed_out": ("timed out", "its timeout ended the job before it was done"),
    "cancelled": ("cancelled", "somebody stopped it when it had cost something already"),
    "output_missing": ("no model came of it", "the job ended well, and its model is not on the Hub"),
    "stray": ("a second job of a run", "it was started outside the gate, under a run's name"),
}
PERIODS = {"day": "today", "week": "this week", "month": "this month", "total": "in all"}


def outcome(code: str) -> str:
    """What a run's money came to: `useful`, `open`, or why it was wasted."""
    if code in WASTED:
        return WASTED[code][0]
    return f"failed: {words(code.removeprefix('failed:'))}" if code.startswith("failed:") else words(code)


def outcome_means(code: str) -> str:
    """The same in a sentence's half; empty where the word says it all."""
    return WASTED[code][1] if code in WASTED else ""


def period(code: str) -> str:
    """A budget's period as a time: `this month`."""
    return PERIODS.get(code, words(code))


def share(part: float | None) -> str:
    """A part of a whole, from 0 to 1, in percent."""
    return UNKNOWN if part is None else f"{100 * part:.0f} %" if part >= 0.01 or not part else "under 1 %"


def signed(amount: float | None) -> str:
    """Dollars more or less than expected."""
    return usd(amount) if not amount or amount < 0 else f"+{usd(amount)}"


def sentence(text: str) -> str:
    """What the API says in half a sentence, as a whole one."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def span(seconds: int) -> str:
    """A duration as people would type it: `7d`, `36h`, `90s`."""
    unit = next(one for one in ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")) if seconds % one[0] == 0)
    return f"{seconds // unit[0]}{unit[1]}"


def entered(value: Any) -> str:
    """A value as people would type it into its field."""
    return "" if value is None else f"{value:.10g}" if isinstance(value, float) else str(value)


def changed(change: Mapping[str, Any]) -> list[str]:
    """What an entry of the audit log says of a change: each member that is another one afterwards, or all it tells."""
    before, after = change.get("before") or {}, change.get("after")
    if "after" not in change or not isinstance(before, Mapping):
        return [_member(name, value) for name, value in change.items() if name not in ("event", "subject")]
    if after is None:
        return ["ended"]
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return [
        f"{_member(name, before[name])} → {_value(name, after.get(name))}"
        if name in before
        else _member(name, after[name])
        for name in names
    ]


def _member(name: str, value: Any) -> str:
    return f"{words(name.removesuffix('_usd'))}: {_value(name, value)}"


def _value(name: str, value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return usd(value) if name.endswith("_usd") and isinstance(value, int | float) else str(value)


FILTERS: dict[str, Callable[..., Any]] = {
    "usd": usd,
    "number": number,
    "duration": duration,
    "moment": moment,
    "words": words,
    "state_word": state_word,
    "name_of": name_of,
    "about": about,
    "short": short,
    "linked": linked,
    "place_in_line": place_in_line,
    "data": data,
    "address": address,
    "size": size,
    "gate": gate,
    "setting": setting,
    "confidence": confidence,
    "outcome": outcome,
    "outcome_means": outcome_means,
    "period": period,
    "share": share,
    "signed": signed,
    "changed": changed,
    "sentence": sentence,
    "entered": entered,
    "span": span,
}
