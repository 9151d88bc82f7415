"""A sweep for people: its points side by side, then its money and the best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.cli.named_run import ENDING
from service.cli.origins import trains
from service.cli.show import console, dollars, moment, plain, print_facts, print_table, state

if TYPE_CHECKING:
    from service.client.origin_records import Sweep, SweepPoint, SweepTable

WIDE = 120  # columns, from which on whole ids fit


def print_sweep(found: SweepTable) -> None:
    """The table, then what there is to know of the whole."""
    is_wide = console().width >= WIDE
    rows = [_row(point, is_wide) for point in found.points]
    print_table(["# #", "state", "step #", "eval loss #", "cost $", "run", "arguments"], rows, "")
    cost, best = found.cost, found.best
    model = None if best is None or best.output_repo is None else f"{best.output_repo}@{(best.revision or '')[:12]}"
    print_facts([
        ("sweep", f"{found.id}, {plain(found.name)}"),
        ("state", f"{state(found.state)}, {points_of(found)}"),
        ("what", plain(found.message)),
        ("team", f"{plain(found.team)}, runs of {plain(found.owner)}"),
        ("trains", plain(trains(found.run))),
        ("rungs", _rungs(found)),
        ("charged", f"${dollars(cost.charged_usd)} of ${dollars(cost.max_cost_usd)}"),
        ("reserved", f"${dollars(cost.reserved_usd)}"),
        ("best", plain(best_of(found)) if best is not None else None),
        ("model", plain(model) if model is not None else None),
        ("ended", moment(found.ended_at)),
    ])  # fmt: skip


def best_of(found: Sweep) -> str | None:
    """The best point so far, None where none has succeeded with a loss."""
    best = found.best
    return (
        None if best is None else f"point {best.number}, eval loss {loss(best.eval_loss)}: {values_of(best.parameters)}"
    )


def whole_of(found: Sweep) -> str:
    """A sweep in a few words, in colours."""
    best = "" if found.best is None else f"; {plain(best_of(found))}"
    return f"{state(found.state)}, {points_of(found)}{best}"


def points_of(found: Sweep) -> str:
    """How many points there are in each state."""
    return ", ".join(f"{count} {name}" for name, count in found.states.items())


def line_of(point: SweepPoint) -> str:
    """A point in a line, without colours: what it is changes whenever there is something to tell."""
    said = "" if point.eval_loss is None else f"step {point.step}, eval loss {loss(point.eval_loss)}"
    why = point.message if point.state in ("failed", "cancelled") else None
    return f"{point.number:>3}  {point.run_id}  {point.state:<10}  {why or said}".rstrip()


def loss(value: float | None) -> str:
    """A loss; one that is not known is a dash."""
    return "-" if value is None else f"{value:.6g}"


def _row(point: SweepPoint, is_wide: bool) -> list[str]:
    return [
        str(point.number),
        _state(point),
        "-" if point.step is None else str(point.step),
        loss(point.eval_loss),
        dollars(point.charged_usd),
        point.run_id if is_wide else point.run_id[-ENDING:],
        plain(values_of(point.parameters)),
    ]


def _state(point: SweepPoint) -> str:
    more = "best" if point.is_best else (point.reason or "").replace("_", " ")
    return f"{state(point.state)}, {more}" if more else state(point.state)


def _rungs(found: SweepTable) -> str | None:
    told = [
        f"the best {rung.goes_on} of {len(found.points)} after evaluation {rung.evaluations} ({rung.reached} came)"
        for rung in found.rungs
    ]
    return ", ".join(told) or None


def values_of(parameters: dict[str, Any]) -> str:
    """The arguments of a point."""
    return " ".join(f"{name}={value}" for name, value in parameters.items())
