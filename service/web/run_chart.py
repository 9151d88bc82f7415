"""A run's charts: the loss of its attempts, and what its machine is used for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from service.domain.moment import iso
from service.web.chart import Kind, chart, mark, series
from service.web.run_course import Course
from service.web.wording import number

Point = Mapping[str, Any]
GIB = 2**30
FAR = 2.5


def loss_chart(
    attempts: Mapping[int, Sequence[Point]], run: Mapping[str, Any], course: Course | None, by: str
) -> dict[str, Any] | None:
    """Loss by step, the present attempt's in colour and those before it pale; or by time, with where it will end and
    where its timeout cuts. None before the first number."""
    present = max(attempts, default=0)
    shown = attempts if by == "step" else {present: attempts.get(present, ())}
    points = {key: _placed(found, by) for key, found in shown.items()}
    x = sorted({at for found in points.values() for at, _ in found})
    if not x:
        return None
    rows = []
    for key, found in points.items():
        rows += _rows(found, x, "" if len(points) == 1 else f", attempt {key}", is_present=key == present)
    if not rows:
        return None
    marks = _by_time(course, run, x) if by == "time" else _by_step(points[present], run)
    return {**chart(x, rows, x_is="time" if by == "time" else "number", marks=marks), "x_label": by}


def _placed(points: Sequence[Point], by: str) -> list[tuple[float, Point]]:
    name = "step" if by == "step" else "at"
    found = [point for point in points if point[name] is not None and point["kind"] != "summary"]
    return [(point["step"] if by == "step" else _seconds(point["at"]), point) for point in found]


# A row's label, the points that have it and under which name, its colour, and how it is drawn.
ROWS: tuple[tuple[str, str, str, str, Kind, dict[str, str]], ...] = (
    ("loss", "train", "loss", "gate", "line", {}),
    ("evaluation loss", "eval", "eval_loss", "info", "points", {}),
    ("learning rate", "train", "learning_rate", "soft", "dashed", {"scale": "right"}),
)


def _rows(points: Sequence[tuple[float, Point]], x: Sequence[float], whose: str, *, is_present: bool) -> list[Any]:
    rows = []
    for label, kind, name, color, drawn, more in ROWS if is_present else ROWS[:2]:
        mine = [(at, point["numbers"]) for at, point in points if point["kind"] == kind]
        values = {at: numbers[name] for at, numbers in mine if name in numbers}
        if values:
            color = color if is_present else "edge"
            rows.append(series(label + whose, [values.get(at) for at in x], color, drawn, **more))
    return rows


def _by_step(points: Sequence[tuple[float, Point]], run: Mapping[str, Any]) -> list[dict[str, Any]]:
    marks = []
    total = (run["progress"] or {}).get("total_steps")
    if total is not None and total > max((at for at, _ in points), default=0):
        marks.append(mark("last step", "edge", x=total))
    broken = [at for at, point in points if "loss" in point["not_finite"]]
    return [*marks, *([mark("no number any more", "stop", x=broken[0])] if broken else [])]


def _by_time(course: Course | None, run: Mapping[str, Any], x: Sequence[float]) -> list[dict[str, Any]]:
    """The band is wherever the last step may be, the line where the timeout cuts. What is far behind the other one is
    told in words alone, so that the curve keeps its room."""
    marks = [
        mark(warning["guard"], "wait", x=max(x[0], _seconds(warning["since"])))
        for warning in run["warnings"]
        if warning["ended_at"] is None and warning["guard"] not in ("timeout", "cost")
    ]
    if course is None:
        return marks
    cut = course.cut_at.timestamp()
    if course.low_at is None or course.high_at is None:
        return [*marks, *_cut(course, x, x[-1])]
    low, high = course.low_at.timestamp(), max(course.low_at, course.high_at).timestamp()
    if low - x[0] <= FAR * (max(cut, x[-1]) - x[0]):
        marks.append({**mark("ends", "gate", x=low), "to": high})
    return [*marks, *_cut(course, x, max(min(low, cut), x[-1]))]


def _cut(course: Course, x: Sequence[float], end: float) -> list[dict[str, Any]]:
    """The line, unless it is far behind the end of what else is shown."""
    cut = course.cut_at.timestamp()
    is_far = cut - x[0] > FAR * (end - x[0])
    return [] if is_far else [{**mark("timeout", "stop", x=cut), "at": iso(course.cut_at)}]


def in_words(points: Sequence[Point], run: Mapping[str, Any]) -> str:
    """What the loss chart shows, for who does not see it."""
    losses = [(point["step"], point["numbers"]["loss"]) for point in points if "loss" in point["numbers"]]
    evals = [(point["step"], point["numbers"]["eval_loss"]) for point in points if "eval_loss" in point["numbers"]]
    if not losses and not evals:
        return "No loss has been told yet."
    said = []
    if losses:
        first, last, best = losses[0], losses[-1], min(losses, key=lambda one: one[1])
        total = (run["progress"] or {}).get("total_steps")
        of = "" if total is None else f" of {number(total)}"
        said.append(f"Loss {number(first[1])}{_step(first[0])}, {number(last[1])}{_step(last[0])}{of}")
        if best != last:
            said.append(f"lowest {number(best[1])}{_step(best[0])}")
    if evals:
        said.append(f"evaluation loss {number(evals[-1][1])}{_step(evals[-1][0])}")
    rates = [point["numbers"]["learning_rate"] for point in points if "learning_rate" in point["numbers"]]
    if rates:
        said.append(f"learning rate {rates[-1]:.2g} {'by now' if run['state'] == 'running' else 'at the end'}")
    return ", ".join(said) + "."


def _step(step: int | None) -> str:
    return "" if step is None else f" at step {number(step)}"


def machine_chart(points: Sequence[Point]) -> dict[str, Any] | None:
    """GPU memory in GiB (the machine's own where there is no GPU) by time; None before two samples, or where nothing
    was seen."""
    found = [point for point in points if point["at"] is not None]
    name = "gpu_memory_bytes" if any("gpu_memory_bytes" in point["numbers"] for point in found) else "memory_bytes"
    used = [(_seconds(point["at"]), point["numbers"][name] / GIB) for point in found if name in point["numbers"]]
    if len(used) < 2 or not any(gib for _, gib in used):
        return None
    return chart([at for at, _ in used], [series("GiB", [gib for _, gib in used], "info")], x_is="time", from_zero=True)


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
