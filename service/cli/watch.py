"""`tunegate watch`: bars of many runs, driven by the feed of events; where there is no terminal, a line per change."""

from __future__ import annotations

import queue
import shutil
import sys
import threading
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import exits
from service.cli.named_run import ENDING, run_of
from service.cli.runs import line_of
from service.cli.service_call import JsonOption, TeamOption, connect, long_wait
from service.cli.show import dollars, duration, plain, print_line, state

if TYPE_CHECKING:
    from rich.table import Table

    from service.client import Run, Tunegate

LIVE = ["queued", "submitting", "starting", "running"]
MOST = 200
LOOK_SECONDS = 2.0
BAR = 20
WIDE = 120  # columns, from which on a whole id fits
LONGEST_REASON = 40
NUMBERS = ("step", "loss", "left", "$ so far")


def watch(
    run_ids: Annotated[list[str] | None, typer.Argument(metavar="[RUN]...", help="All live ones if left out.")] = None,
    team: TeamOption = None,
    as_json: JsonOption = False,
) -> None:
    """Watch runs to their ends: exit code 1 unless all succeeded. --json prints the feed's events, one to a line."""
    with connect() as client:
        watched = Watched(client, run_ids or [], team)
    with long_wait("The runs go on: `tunegate watch` looks again.") as patient:
        watched.begin(patient)
        if as_json or not sys.stdout.isatty():
            _lines(watched, as_json)
        else:
            _bars(watched)
    if watched.failed:
        raise typer.Exit(exits.RUN_FAILED)


class Watched:
    """The runs that are looked at, and the events that tell of them."""

    def __init__(self, client: Tunegate, run_ids: list[str], team: str | None) -> None:
        self._client, self._team, self._named = client, team, run_ids
        self.runs: dict[str, Run] = {}
        self._news: queue.SimpleQueue[Any] = queue.SimpleQueue()
        since = client.events.newest()  # before the runs are read, so that nothing falls between
        self._threads = threading.Thread(target=self._listen, args=(since,), name="feed", daemon=True)
        for run in [run_of(client, one) for one in run_ids] if run_ids else self._live():
            self.runs[run.id] = run

    def begin(self, patient: Tunegate) -> None:
        """Listen, by a client that outlives a restart of the service."""
        self._client = patient
        self._threads.start()

    @property
    def is_over(self) -> bool:
        """Whether all have ended."""
        return all(run.is_terminal for run in self.runs.values())

    @property
    def failed(self) -> list[Run]:
        """Those that have ended otherwise than well."""
        return [run for run in self.runs.values() if run.is_terminal and run.state != "succeeded"]

    def next_event(self, seconds: float | None) -> Any:
        """The next event about one of the runs, None after so many seconds. Raises what ended the feed."""
        try:
            event = self._news.get(timeout=seconds)
        except queue.Empty:
            return None
        if isinstance(event, BaseException):
            raise event
        run_id = event.data.get("id")
        is_ours = run_id in self.runs or (not self._named and event.type == "run.queued")
        if not event.type.startswith("run.") or not is_ours:
            return None
        self.runs[run_id] = self._client.runs.get(run_id)
        return event

    def look(self) -> None:
        """Bring those that run up to date: how far a training has got is in no event."""
        for run in self._live():
            if run.id in self.runs:
                self.runs[run.id] = run

    def _live(self) -> list[Run]:
        return list(self._client.runs.list(state=LIVE, team=self._team, limit=MOST))

    def _listen(self, since: str | None) -> None:
        try:
            for event in self._client.events.follow(team=self._team, after=since):
                self._news.put(event)
        except Exception as error:
            self._news.put(error)


def _lines(watched: Watched, as_json: bool) -> None:
    """Where nothing can be drawn anew."""
    if not as_json:
        for run in watched.runs.values():
            print(line_of(run), flush=True)  # noqa: T201 - not kept back in a pipe
    while not watched.is_over:
        if (event := watched.next_event(None)) is None:
            continue
        if as_json:
            print_line(event.raw)
        else:
            print(line_of(watched.runs[event.data["id"]]), flush=True)  # noqa: T201 - not kept back in a pipe


def _bars(watched: Watched) -> None:
    from rich.live import Live

    if not watched.runs:
        typer.echo("No run is under way.")
        return
    with Live(_table(watched), refresh_per_second=4) as live:
        while not watched.is_over:
            if watched.next_event(LOOK_SECONDS) is None:
                watched.look()
            live.update(_table(watched))


def _table(watched: Watched) -> Table:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("run", "state", "", "step", "loss", "left", "$ so far"):
        table.add_column(
            name, justify="right" if name in ("step", "loss", "left", "$ so far") else "left", no_wrap=True
        )
    is_wide = shutil.get_terminal_size().columns >= WIDE
    room = BAR if not is_wide else LONGEST_REASON
    for run in watched.runs.values():
        progress = run.progress
        step, total = (progress.step, progress.total_steps) if progress else (None, None)
        bar: Any = ""
        if run.state == "running" or run.state == "succeeded":
            done = total if run.state == "succeeded" and total else step
            bar = ProgressBar(total=total, completed=done or 0, width=BAR, pulse=total is None and not run.is_terminal)
        else:
            bar = plain(_short(run.message or "", room))
        table.add_row(
            run.id if is_wide else run.id[-ENDING:],
            state(run.state),
            bar,
            "" if step is None else f"{step}/{total or '?'}",
            "" if progress is None or progress.loss is None else f"{progress.loss:.4g}",
            "" if progress is None or run.is_terminal else duration(progress.eta_seconds),
            dollars(run.cost.metered_usd),
        )
    return table


def _short(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 1]}…"
