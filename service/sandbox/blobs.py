"""The content of files and the names that git, large file storage and downloads know it by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Blob:
    """The bytes of one file; `in_lfs` files are stored in git as a pointer to their sha256."""

    data: bytes
    in_lfs: bool = False

    @cached_property
    def sha256(self) -> str:
        """The name of the content in large file storage."""
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def content_oid(self) -> str:
        """git's name for the content itself, what a client compares a local file with."""
        return git_oid(self.data)

    @cached_property
    def pointer(self) -> bytes:
        """The text that git stores in place of a large file (git-lfs specification v1)."""
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(self.data)}\n".encode()

    @cached_property
    def oid(self) -> str:
        """git's name for what git stores: the content, or the pointer to it."""
        return git_oid(self.pointer) if self.in_lfs else self.content_oid

    @property
    def etag(self) -> str:
        """What `resolve` names the content by; clients store downloads under it."""
        return self.sha256 if self.in_lfs else self.oid


Tree = Mapping[str, Blob]


def git_oid(data: bytes) -> str:
    """The name that git gives to a file with this content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
