"""`tunegate backup, restore`: a whole copy of an installation, taken while it runs: its database, and the files that
say whose it is and open its secrets."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.serve import misconfigured, read_settings, refuse_missing
from service.cli.service_call import refused_file

if TYPE_CHECKING:
    from service.cli.archive import Manifest
    from service.settings import Settings

# Beside the database, where no setting stands in for them.
KEPT = {"installation": "installation", "secret.key": "secret_key", "admin.key": "admin_key"}

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The archive, such as tunegate-2026-12-01.tar.")]


def backup(file: FileArgument) -> None:
    """Copy the installation into one file, beside the running service. Whoever holds the file holds the secrets."""
    from service.cli import archive, snapshot
    from service.cli.rotate import LOCK
    from service.cli.snapshot import NoBackup
    from service.leader import AlreadyRunning, FileLeader

    settings = read_settings()
    refuse_missing(settings)
    if file.exists():
        raise misconfigured(f"{file} is there already: choose another name")
    rotation = FileLeader(settings.home, LOCK)
    try:
        rotation.start()  # database and key have to belong together
    except AlreadyRunning as error:
        raise misconfigured(f"{error}: the secret key is being changed; try again when that is done") from None
    except OSError as error:
        raise misconfigured(f"{settings.home} cannot be used: {error.strerror or error}") from None
    try:
        copy = snapshot.copy_sqlite if settings.is_sqlite else snapshot.copy_postgres
        files = {name: settings.home / name for name, setting in KEPT.items() if getattr(settings, setting) is None}
        there = {name: path for name, path in files.items() if path.exists()}
        with copy(settings.database_url, file.absolute().parent) as database:
            manifest = archive.write(file, database, there, datetime.now(UTC))
    except NoBackup as error:
        raise misconfigured(str(error)) from None
    except OSError as error:
        raise misconfigured(f"{file} cannot be written: {error.strerror or error}") from None
    finally:
        rotation.stop()
    typer.echo(f"{file}: {_told(manifest)}")
    _tell_of_settings(settings)


def restore(file: FileArgument) -> None:
    """Put a backup's installation where the settings say; nothing that is there is overwritten."""
    from sqlalchemy.exc import SQLAlchemyError

    from service.cli import archive
    from service.cli.snapshot import SQLITE, NoBackup
    from service.leader import AlreadyRunning, FileLeader

    try:
        file.open("rb").close()
    except OSError as error:
        raise refused_file(file, error) from None
    settings = read_settings()
    lock = FileLeader(settings.home)
    try:
        lock.start()
    except AlreadyRunning as error:
        raise misconfigured(f"{error}: stop it first") from None
    except OSError as error:
        raise misconfigured(f"{settings.home} cannot be used: {error.strerror}") from None
    try:
        manifest = archive.read_manifest(file)
        if settings.is_sqlite != (manifest.database == SQLITE):
            raise NoBackup(f"{file} is of another kind of database than TUNEGATE_DATABASE_URL")
        if settings.is_sqlite:
            target = Path(settings.database_url.removeprefix("sqlite:///"))
            _refuse_overwriting(settings, manifest, target, *(Path(f"{target}{end}") for end in ("-wal", "-shm")))
            archive.unpack(file, manifest, {SQLITE: target, **{name: settings.home / name for name in KEPT}})
        else:
            _restore_postgres(file, manifest, settings)
    except NoBackup as error:
        raise misconfigured(str(error)) from None
    except SQLAlchemyError as error:
        raise misconfigured(f"the database cannot be used: {str(error).splitlines()[0]}") from None
    except OSError as error:
        raise misconfigured(f"{file}: {error.strerror or error}") from None
    finally:
        lock.stop()
    typer.echo(f"Restored into {settings.home.absolute()}: {_told(manifest)}")
    typer.echo(
        f"Next: make sure that no other service goes on as {manifest.installation or 'this installation'}, for two "
        "would take each other's jobs for their own; then `tunegate doctor`, and `tunegate serve`. Before it makes any "
        "job it looks for those that were made since the backup: jobs of runs that the backup has are given to them, "
        "others are told of as strays (`GET /strays`)."
    )
    _tell_of_settings(settings)


def _restore_postgres(file: Path, manifest: Manifest, settings: Settings) -> None:
    """The database by pg_restore, and the files beside it; neither without the other."""
    import shutil
    import tempfile

    from service.cli import archive, snapshot
    from service.cli.snapshot import POSTGRES, NoBackup
    from service.migrate import standing

    if shutil.which("pg_restore") is None:
        raise NoBackup(archive.by_hand(file, manifest, settings))
    if standing(settings.database_url)[0] is not None:
        shown, _ = snapshot.without_password(settings.database_url)
        raise NoBackup(f"nothing is overwritten, and {shown} has tables: make an empty database, and restore there")
    _refuse_overwriting(settings, manifest)
    beside = {name: settings.home / name for name in KEPT}
    with tempfile.TemporaryDirectory(dir=settings.home, prefix=".tunegate-restore-") as place:
        dump = Path(place) / POSTGRES
        archive.unpack(file, manifest, {POSTGRES: dump, **beside})
        try:
            snapshot.restore_postgres(settings.database_url, dump)
        except NoBackup:
            for name in beside.keys() & manifest.files.keys():
                beside[name].unlink()
            raise


def _refuse_overwriting(settings: Settings, manifest: Manifest, *database: Path) -> None:
    from service.cli.snapshot import NoBackup

    there = [*database, *(settings.home / name for name in manifest.files if name in KEPT)]
    if found := [str(path) for path in there if path.exists()]:
        raise NoBackup(f"nothing is overwritten, and there is {', '.join(found)}: move it away, or restore elsewhere")


def _tell_of_settings(settings: Settings) -> None:
    """What is in the environment and not in the archive."""
    given = [f"TUNEGATE_{setting.upper()}" for setting in KEPT.values() if getattr(settings, setting) is not None]
    if given:
        typer.echo(f"Not in the file, but set by the environment, and needed as well: {', '.join(given)}.", err=True)


def _told(manifest: Manifest) -> str:
    whose = manifest.installation or "an installation that was never started"
    return f"{whose} of {manifest.made_at[:16].replace('T', ' ')} UTC, {', '.join(manifest.files)}"
