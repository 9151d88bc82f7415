"""`tunegate sandbox`: the local server that speaks the Hugging Face protocol."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.sandbox.defaults import DEFAULT_RUN_SECONDS, MAX_RUNNING, PAGE_SIZE

if TYPE_CHECKING:
    from service.sandbox.faults import Faults


def sandbox(
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8765,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Jobs run with this process's rights: stay local.")
    ] = ("127.0.0.1"),
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(help="A further host name under which clients may call, such as a container's. Repeatable."),
    ] = None,
    url_map: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL=PATH",
            help="Read scripts at this URL (or below this prefix) from a file (or folder). Repeatable.",
        ),
    ] = None,
    python_env: Annotated[
        Path | None,
        typer.Option(
            help="A virtual environment that `uv run` and `python` use in every job; nothing is resolved then.",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="Where jobs and buckets get their folders. Default: the system's temporary folder."),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave each job's folder after its end, and the buckets.")
    ] = False,
    library: Annotated[
        bool, typer.Option(help="Begin with the course's models (their description, no weights) and a few chats.")
    ] = True,
    execute: Annotated[
        bool,
        typer.Option(
            help="Run the commands. Without, jobs end by the clock; their environment may hold SANDBOX_RUN_SECONDS, "
            "SANDBOX_EXIT_CODE, SANDBOX_LOG (lines) and SANDBOX_GPU_GIB."
        ),
    ] = True,
    run_seconds: Annotated[
        float, typer.Option(min=0, help="How long a job runs with --no-execute.")
    ] = DEFAULT_RUN_SECONDS,
    max_running: Annotated[
        int, typer.Option(min=1, help="Commands running at one time; further jobs stay SCHEDULING.")
    ] = MAX_RUNNING,
    page_size: Annotated[int, typer.Option(min=1, help="Jobs in a page of a list.")] = PAGE_SIZE,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Commit a fault: create_500_before_accept, create_500_after_accept, create_lost_reply, next_429 (a "
            "probability below 1, a number of calls from 1 up), reply_delay_seconds, rate_limit, scheduling_seconds, "
            "listing_lag_seconds, log_cut_after_lines, stage_unknown, seed. Repeatable; POST /sandbox/faults changes "
            "them while it runs.",
        ),
    ] = None,
    log_level: Annotated[str, typer.Option(help="error, warning, info (each request) or debug.")] = "warning",
) -> None:
    """Run a local server that speaks the Hugging Face Jobs and Hub protocol and really executes its jobs."""
    from service.sandbox.serve import Options, run  # the server is heavy, and other commands do without

    options = Options(
        host=host,
        port=port,
        hosts=tuple(allowed_host or ()),
        execute=execute,
        run_seconds=run_seconds,
        max_running=max_running,
        page_size=page_size,
        faults=_faults(fault or []),
        folder=folder,
        url_map=tuple(_mapped(pair) for pair in url_map or []),
        python_env=python_env,
        keep=keep,
        library=library,
        log_level=log_level,
    )
    try:
        run(options, typer.echo)
    except OSError as error:
        raise typer.BadParameter(f"cannot listen on {host}:{port}: {error.strerror}") from None


def _faults(pairs: list[str]) -> Faults:
    from service.sandbox.faults import Faults

    try:
        return Faults.parse(dict(_pair(pair) for pair in pairs))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--fault") from None


def _mapped(pair: str) -> tuple[str, str]:
    url, equals, path = pair.rpartition("=")
    if not equals or not Path(path).exists():
        raise typer.BadParameter(f"{pair!r} is not URL=PATH with a path that exists", param_hint="--url-map")
    return url, str(Path(path).resolve())


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value
