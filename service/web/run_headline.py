"""The one sentence that a run's page opens with: where it is and what comes next, or how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup

from service.domain.moment import iso
from service.web.run_course import Course
from service.web.run_words import linked, place_in_line
from service.web.wording import duration, moment, number, usd, words


def headline(
    run: Mapping[str, Any], why: Mapping[str, Any] | None, course: Course | None, now: datetime
) -> str | Markup:
    """`why` is what explain says of a run that waits."""
    state = run["state"]
    if state == "queued":
        return _waits(run, why or {})
    if state == "running" and run["cancel_requested_at"] is None and run["paused_at"] is None:
        return _trains(run, course, now)
    if state == "succeeded":
        return _succeeded(run)
    if state == "failed":
        return _failed(run)
    if state == "cancelled":
        return _sentence(f"cancelled: {run['message']}" if run["message"] else "cancelled") + " " + _paid(run)
    return _sentence(run["message"] or "it is on its way")


def _waits(run: Mapping[str, Any], why: Mapping[str, Any]) -> Markup:
    told = why.get("message") or run["message"] or "it waits"
    position, start = why.get("position"), why.get("earliest_start")
    place = "" if position is None else f"{place_in_line(position)}: "
    if start is None:
        return _sentence(place + told)
    at = Markup(" It starts at {} at the latest, if nothing else is submitted.").format(moment(start, "clock"))
    return _sentence(place + told) + at


def _trains(run: Mapping[str, Any], course: Course | None, now: datetime) -> Markup:
    told = run["progress"] or {}
    if course is None:
        return _sentence(run["message"] or "training")
    cut = moment(iso(course.cut_at), "clock")
    if told.get("step") is None:
        phase = {"setup": "it is being set up", "data": "its data is being prepared"}.get(told.get("phase") or "")
        began = Markup("Running since {}").format(moment(iso(course.began_at), "clock"))
        return began + Markup("; {}. Its timeout is at {}.").format(phase or "its log tells of no step yet", cut)
    steps = f"Step {number(told['step'])}"
    if told.get("total_steps") is not None:
        steps += f" of {number(told['total_steps'])}"
    if course.ends_at is None:
        return Markup("{}; when it ends is not known yet. Its timeout is at {}.").format(steps, cut)
    end = moment(iso(course.ends_at), "clock")
    assert course.seen_at is not None
    assert course.spare is not None
    if told.get("train_seconds") is not None or told.get("phase") in ("save", "push"):
        return Markup("{}: trained, and being saved. Its timeout is at {}.").format(steps, cut)
    if course.ends_at < now - timedelta(minutes=1):
        old = duration((now - course.seen_at).total_seconds())
        return Markup("{}, told {} ago: by that it would have ended at about {}. Its timeout is at {}.").format(
            steps, old, end, cut
        )
    if course.spare < timedelta():
        late = duration(-course.spare.total_seconds())
        return Markup("{}, would end at about {}, but its timeout is at {}: {} too early.").format(
            steps, end, cut, late
        )
    return Markup("{}, ends at about {}, {} before its timeout.").format(
        steps, end, duration(course.spare.total_seconds())
    )


def _succeeded(run: Mapping[str, Any]) -> Markup:
    if run["reused_from"] is not None:
        return _sentence(f"nothing had to run: the same inputs gave a model before, in {run['reused_from']}")
    output = run["output"]
    if output is not None and output["verified"]:
        what = Markup("{} is on the Hub and was checked.").format(output["repo"])
    else:
        what = Markup("It publishes no model.") if output is None else Markup("Its model could not be seen on the Hub.")
    return Markup("Done{}. {} {}").format(_took(run), what, _paid(run))


def _failed(run: Mapping[str, Any]) -> Markup:
    cause = words((run["failure"] or {}).get("cause") or run["reason"])
    tries = "" if run["attempt"] < 2 else f", in {run['attempt']} attempts"
    return Markup("Failed{}{}: {}. {}").format(_took(run), tries, cause, _paid(run))


def _took(run: Mapping[str, Any]) -> str:
    ran = [one["running_seconds"] for one in run["attempts"] if one["running_seconds"] is not None]
    return f" after {duration(sum(ran))}" if ran else ""


def _paid(run: Mapping[str, Any]) -> Markup:
    paid = run["cost"]["metered_usd"]
    return Markup("It cost {}.").format(usd(paid)) if paid else Markup("It cost nothing.")


def _sentence(text: str) -> Markup:
    """With a capital letter and a full stop."""
    return linked(text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else "."))
