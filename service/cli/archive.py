"""A backup's file: a tar archive of the database, of the files that belong to it, and of a manifest with checksums."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from service.cli.snapshot import POSTGRES, NoBackup, without_password
from service.settings import Settings

FORMAT = 1
MANIFEST = "manifest.json"
CHUNK = 2**20


@dataclass(frozen=True)
class Manifest:
    """What is in an archive. `files` have their SHA-256; `installation` is whose it is."""

    format: int
    made_at: str
    database: str
    installation: str | None
    files: dict[str, str]


def write(file: Path, database: tuple[str, Path, str | None], kept: Mapping[str, Path], made_at: datetime) -> Manifest:
    """Make the archive, whole and on disk or not at all, and readable by its owner only."""
    name, copy, installation = database
    parts = {name: copy, **kept}
    sums = {part: _sum(path) for part, path in parts.items()}
    if installation is None and "installation" in kept:
        installation = kept["installation"].read_text().strip()
    manifest = Manifest(FORMAT, made_at.isoformat(), name, installation, sums)
    descriptor, draft = tempfile.mkstemp(dir=file.absolute().parent, prefix=f".{file.name}-")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as out:
            with tarfile.open(fileobj=out, mode="w") as tar:
                _add(tar, MANIFEST, io.BytesIO(json.dumps(asdict(manifest), indent=2).encode()))
                for part, path in parts.items():
                    with path.open("rb") as content:
                        _add(tar, part, content)
            out.flush()
            os.fsync(out.fileno())
        os.link(draft, file)  # never over a file that came meanwhile
    finally:
        os.unlink(draft)
    return manifest


def read_manifest(file: Path) -> Manifest:
    """What an archive holds. Raises NoBackup for a file that is none."""
    try:
        with tarfile.open(file) as tar, _member(tar, MANIFEST) as content:
            manifest = Manifest(**json.load(content))
    except (tarfile.TarError, KeyError, ValueError, TypeError):
        raise NoBackup(f"{file} is no backup of Tunegate's, or not a whole one") from None
    if manifest.format != FORMAT:
        raise NoBackup(f"{file} is of another release (format {manifest.format}): restore it with that one")
    return manifest


def unpack(file: Path, manifest: Manifest, places: Mapping[str, Path]) -> None:
    """Put each part in its place, readable by its owner only. All are checked before any is put there; the database
    comes last, so that what is half restored is no installation. Raises NoBackup."""
    names = [name for name in manifest.files if name in places]
    places[manifest.database].parent.mkdir(parents=True, exist_ok=True)
    drafts: dict[str, Path] = {}
    try:
        with tarfile.open(file) as tar:
            for name in names:
                descriptor, draft = tempfile.mkstemp(dir=places[name].parent, prefix=f".{name}-")
                drafts[name] = Path(draft)
                with os.fdopen(descriptor, "wb") as out, _member(tar, name) as content:
                    shutil.copyfileobj(content, out, CHUNK)
                    out.flush()
                    os.fsync(out.fileno())
                if _sum(drafts[name]) != manifest.files[name]:
                    raise NoBackup(f"{name} in {file} is damaged: it is not what was put there")
        for name in sorted(names, key=lambda name: name == manifest.database):
            os.link(drafts[name], places[name])  # never over a file that is there
    except (tarfile.TarError, KeyError):
        raise NoBackup(f"{file} is not whole") from None
    finally:
        for draft_path in drafts.values():
            draft_path.unlink()


def by_hand(file: Path, manifest: Manifest, settings: Settings) -> str:
    """How a backup of PostgreSQL is restored from another machine."""
    address, _ = without_password(settings.database_url)
    others = " ".join(name for name in manifest.files if name != POSTGRES)
    return (
        f"there is no pg_restore on this machine. Where there is one, into an empty database: "
        f"tar -xf {file} {POSTGRES} && pg_restore --no-owner --dbname={address} {POSTGRES}; "
        f"then tar -xf {file} -C {settings.home} {others}"
    )


def _add(tar: tarfile.TarFile, name: str, content: IO[bytes]) -> None:
    info = tarfile.TarInfo(name)
    info.size = content.seek(0, os.SEEK_END)
    info.mode = 0o600
    content.seek(0)
    tar.addfile(info, content)


@contextmanager
def _member(tar: tarfile.TarFile, name: str) -> Iterator[IO[bytes]]:
    content = tar.extractfile(name)
    if content is None:
        raise KeyError(name)
    with content:
        yield content


def _sum(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
