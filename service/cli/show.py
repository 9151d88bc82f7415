"""What commands print: the API's JSON, tables that are readable at 80 columns, dollars, times."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

WIDE = 160  # where there is no terminal, lines are for programs: nothing is cut short
COLOURS = {
    "succeeded": "green",
    "failed": "red",
    "cancelled": "magenta",
    "running": "cyan",
    "starting": "cyan",
    "submitting": "cyan",
    "queued": "yellow",
}


def print_json(raw: Any) -> None:
    """One JSON document."""
    typer.echo(json.dumps(raw, ensure_ascii=False, indent=2))


def print_line(raw: Any) -> None:
    """One document of a stream, on a line, at once."""
    print(json.dumps(raw, ensure_ascii=False), flush=True)  # noqa: T201 - typer.echo does not flush a pipe


def print_list(raws: Iterable[Any]) -> None:
    """A list of the API's over all its pages."""
    print_json({"data": list(raws)})


def console() -> Console:
    """Standard output, in colours on a terminal only."""
    from rich.console import Console as Plain

    class Console(Plain):
        """One whose closed pipe ends the program as it does everywhere."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=WIDE)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], empty: str) -> None:
    """Rows under their columns; those whose name ends with $ hold money, those with # numbers: to the right. The last
    column takes the room that is left."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for index, name in enumerate(columns):
        is_last = index == len(columns) - 1
        is_number = name.endswith(("$", "#"))
        table.add_column(
            name.removesuffix("#").strip(),
            justify="right" if is_number else "left",
            no_wrap=not is_last,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*row)
    if table.row_count == 0:
        typer.echo(empty)
        return
    console().print(table)


def print_facts(facts: Iterable[tuple[str, str | None]]) -> None:
    """Names and values, one to a line; what is None is left out."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for name, value in facts:
        if value is not None:
            table.add_row(name, value)
    console().print(table)


def plain(text: object) -> str:
    """A text of somebody's, in which brackets are no markup."""
    from rich.markup import escape

    return escape("" if text is None else str(text))


def dollars(usd: float | None) -> str:
    """Money: cents, and below a cent as many digits as there are. What is unknown is a dash."""
    if usd is None:
        return "-"
    return f"{usd:.2f}" if usd == 0 or abs(usd) >= 0.1 else f"{usd:.6f}".rstrip("0")


def ceiling(usd: float | None) -> str:
    """Money that is spent at the most: never told below what it is, so rounded up where `dollars` rounds."""
    if usd is None:
        return "-"
    step = Decimal(1).scaleb(-2 if usd >= 0.1 else -6)
    return dollars(float(Decimal(str(usd)).quantize(step, ROUND_CEILING)))


def state(name: str) -> str:
    """A run's state in its colour."""
    return f"[{COLOURS.get(name, 'white')}]{name}[/]"


def moment(at: datetime | str | None) -> str | None:
    """A time as people write it, in UTC."""
    if at is None:
        return None
    when = datetime.fromisoformat(at) if isinstance(at, str) else at
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def duration(seconds: float | None) -> str:
    """`1 h 20 min`, `45 s`."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (rest if hours == 0 and minutes < 10 else 0, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"
