"""A bucket: files without history in a folder of this machine, so that a job's own processes can write there."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from service.sandbox.wire import Refusal


@dataclass(frozen=True)
class BucketFile:
    """A file of a bucket as it lies there now: `path` within the bucket, `place` on this machine, size in bytes."""

    path: str
    place: Path
    size: int
    changed_at: datetime
    xet_hash: str

    def read(self, part: range) -> bytes:
        """Some of its bytes; raises Refusal 404 where a job has deleted or cut it meanwhile."""
        try:
            with self.place.open("rb") as content:
                content.seek(part.start)
                data = content.read(len(part))
        except OSError:
            data = b""
        if len(data) != len(part):
            raise Refusal(404, "Entry not found", "EntryNotFound")
        return data


@dataclass
class Bucket:
    """One bucket. `folder` is its own, of no bucket before it; `received` holds what Xet brought, by its Xet hash."""

    id: str
    folder: Path
    created_at: datetime
    private: bool = False
    received: dict[str, bytes] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        """The user or organisation that owns the bucket."""
        return self.id.partition("/")[0]

    @property
    def path(self) -> str:
        """The path of its page below the Hub's address."""
        return f"buckets/{self.id}"

    def files(self) -> list[BucketFile]:
        """Its files by path. Links and other special files are none: the real service does not take them either."""
        return sorted(self._walk(), key=lambda file: file.path)

    def find(self, path: str) -> BucketFile | None:
        """The file at a path, or None."""
        try:
            place = self.folder / valid_path(path)
            is_inside = place.parent.resolve().is_relative_to(self.folder)
            return self._file(place) if is_inside else None
        except (OSError, ValueError, Refusal):
            return None

    def receive(self, xet_hash: str, data: bytes) -> None:
        """Keep a file that Xet brought until a batch says where it belongs."""
        self.received[xet_hash] = data

    def stored(self, xet_hash: str) -> BucketFile | None:
        """The file with this Xet hash, or None."""
        return next((file for file in self.files() if file.xet_hash == xet_hash), None)

    def write(self, path: str, data: bytes, changed_ms: object) -> None:
        """Put a file, in place of what was there, of a moment in milliseconds, if that is one.

        Raises Refusal 400 for a path that leads out of the bucket, OSError or ValueError for one that no file can have.
        """
        place = self.folder / valid_path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.parent.resolve().is_relative_to(self.folder):
            raise Refusal(400, f"Invalid path: {path}")
        place.unlink(missing_ok=True)  # a job that reads the old one keeps it; a link is replaced, not followed
        place.write_bytes(data)
        if isinstance(changed_ms, int) and 0 <= changed_ms < 10**13:
            os.utime(place, (changed_ms / 1000, changed_ms / 1000))

    def remove(self, file: BucketFile) -> None:
        """Delete a file. Its folder stays, for a running job may have mounted it; without files it is shown nowhere."""
        file.place.unlink(missing_ok=True)

    def _walk(self) -> Iterator[BucketFile]:
        for folder, _, names in os.walk(self.folder):
            for name in names:
                try:
                    file = self._file(Path(folder, name))
                except OSError:  # a job has deleted it meanwhile
                    continue
                if file:
                    yield file

    def _file(self, place: Path) -> BucketFile | None:
        found = place.lstat()
        if not stat.S_ISREG(found.st_mode):
            return None
        path = place.relative_to(self.folder).as_posix()
        # It stands for the content without being made of it: to read large checkpoints for every list would keep all
        # other requests waiting. It changes when the file does.
        known_by = f"{self.folder}\0{path}\0{found.st_size}\0{found.st_mtime_ns}\0{found.st_ino}"
        name = hashlib.sha256(known_by.encode("utf-8", "surrogateescape")).hexdigest()
        return BucketFile(path, place, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC), name)


def valid_path(path: str) -> str:
    """A path in a bucket, as it is; raises Refusal 400 for one that leads out of it or that no file can have."""
    if "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise Refusal(400, f"Invalid path: {path}")
    return path
