"""`tunegate serve`, `migrate` and `step`: the service's own process, and its parts run by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from service.settings import Settings

SHORT_KEY = 16
EXIT_MISCONFIGURED = 78  # EX_CONFIG of sysexits.h


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8080,
) -> None:
    """Run the service. Settings are TUNEGATE_… variables; docs/configuration.md lists them."""
    import gc
    import sys

    # What start-up makes lives as long as the process: the collector need not look at it, now or later. Little of it is
    # garbage; to look for that would take as long as the slowest import.
    gc.disable()

    from sqlalchemy.exc import SQLAlchemyError

    from service import log, server
    from service.assembly import Misconfigured, assemble
    from service.leader import AlreadyRunning
    from service.store.home import ForeignDatabase

    settings = read_settings()
    log.configure(settings.log_level, secrets=settings.secrets)
    try:
        assembly = assemble(settings)
    except (Misconfigured, ForeignDatabase, AlreadyRunning, ValueError, OSError) as error:
        raise misconfigured(str(error)) from None
    except SQLAlchemyError as error:
        raise misconfigured(f"the database cannot be used: {str(error).splitlines()[0]}") from None
    if settings.admin_key is not None and len(settings.admin_key.get_secret_value()) < SHORT_KEY:
        typer.echo(f"TUNEGATE_ADMIN_KEY is short: {SHORT_KEY} random characters or more are hard to guess.", err=True)
    if settings.admin_key is None:
        typer.echo(f"The admin's key is in {settings.home / 'admin.key'}.", err=True)
    gc.freeze()
    gc.enable()
    # A request makes thousands of objects, few of them in circles; after each 700, the default, most are in use still.
    gc.set_threshold(10_000, 20, 50)
    # A thread that waits for the interpreter lock gets it this soon; by default another one that computes keeps it for
    # 5 ms, at each of the many statements of a transaction.
    sys.setswitchinterval(0.0005)
    connections = server.connections_for(settings.max_streams)
    config = server.config(assembly.app, host, port, settings.trusted_proxies, connections)
    try:
        listener = config.bind_socket()
    except SystemExit:
        raise misconfigured(f"cannot listen on {host}:{port}; use --port for another") from None
    typer.echo(
        f"Tunegate listens on http://{host}:{port} (API: /docs); Hugging Face is {settings.hf_endpoint}, "
        f"the database {settings.database_url.rpartition('@')[2]}. Ctrl-C stops it.",
        err=True,
    )
    server.run(config, listener, assembly.stop_steps)


def migrate(
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="sqlite:///PATH", help="Move this installation into the settings' PostgreSQL."),
    ] = None,
) -> None:
    """Bring the database to this release's schema. `serve` does so by itself. With --from, move an installation."""
    from sqlalchemy.exc import SQLAlchemyError

    from service.migrate import migrate as upgrade

    settings = read_settings()
    if source is not None:
        from service.cli.move import move

        move(source, settings)
        return
    try:
        upgrade(settings.database_url)
    except SQLAlchemyError as error:
        raise misconfigured(f"the database cannot be brought there: {str(error).splitlines()[0]}") from None
    typer.echo("The database is at this release's schema.")


def step(
    name: Annotated[
        str,
        typer.Argument(
            help="prices, recover, sweep, cancel, hold, files, prepare, preflight, admit, submit, watch, ended, card, "
            "logs, guard, measure, saving, schedule, trigger, compare, tidy, retain, tokens, billing, archive or notify"
        ),
    ],
) -> None:
    """Run one pass of one step by hand; refused while a service works on the same database."""
    from dataclasses import replace

    from service import log
    from service.assembly import Misconfigured, leader_for, open_gate
    from service.leader import AlreadyRunning
    from service.store.home import ForeignDatabase
    from service.worker import steps

    settings = read_settings()
    log.configure(settings.log_level, secrets=settings.secrets)
    known = {one.name: one for one in steps(settings.poll_seconds, settings.sweep_seconds)}
    if name not in known:
        raise typer.BadParameter(f"the steps are {', '.join(known)}")
    try:
        gate = open_gate(settings)
        leader = leader_for(settings, gate)
        gate = replace(gate, verify_lead=leader.verify)
        leader.start()
    except (Misconfigured, AlreadyRunning, ForeignDatabase, ValueError) as error:
        raise misconfigured(str(error)) from None
    try:
        if not leader.is_leading():
            raise misconfigured("another process holds the lease")
        if name == "submit":
            known["sweep"].run_once(gate)  # no job is made before what the database may have forgotten was looked for
        typer.echo(f"{name}: {known[name].run_once(gate)} moved")
    finally:
        leader.stop()
        gate.db.close()
        gate.hub.close()


def read_settings() -> Settings:
    """The settings, or the end of the program with the name of the wrong one."""
    from pydantic import ValidationError

    from service.settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        wrong = [
            f"TUNEGATE_{'_'.join(map(str, found['loc'])).upper()}: {found['msg'].removeprefix('Value error, ')}"
            for found in error.errors()
        ]
        raise misconfigured("\n".join(wrong)) from None


def refuse_missing(settings: Settings) -> None:
    """End the program where there is no database to work on: one must not be made by asking."""
    path = Path(settings.database_url.removeprefix("sqlite:///"))
    if settings.is_sqlite and not path.exists():
        raise misconfigured(f"there is no database at {path.absolute()}: TUNEGATE_DATABASE_URL says where it is")


def misconfigured(message: str) -> typer.Exit:
    typer.echo(message, err=True)
    return typer.Exit(EXIT_MISCONFIGURED)
