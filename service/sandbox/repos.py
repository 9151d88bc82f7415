"""A repository of the sandbox's Hub: commits that never change, and the refs that point at them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from service.sandbox.blobs import Tree
from service.sandbox.wire import Refusal

PREFIXES = {"model": "", "dataset": "datasets/", "space": "spaces/"}
MAIN = "refs/heads/main"
FULL_SHA = re.compile(r"[0-9a-f]{40}")
PULL_REF = re.compile(r"refs/pr/\d+")


@dataclass(frozen=True, eq=False)
class Commit:
    """One state of all files of a repository. `sha` follows from content, parent and date; nothing here changes."""

    sha: str
    parent: Commit | None
    tree: Tree
    title: str
    message: str
    author: str
    date: datetime

    def history(self) -> Iterator[Commit]:
        """This commit and all before it, newest first."""
        commit: Commit | None = self
        while commit is not None:
            yield commit
            commit = commit.parent


@dataclass
class CommitFault:
    """A fault that was switched on: after `after` more commits each one is refused with `status`."""

    status: int
    after: int


@dataclass
class Repo:
    """One repository: its settings, and the commits reachable by name or sha.

    `lfs` holds large files by sha256; `announced` the sizes of those that a batch request has promised.
    """

    kind: str
    id: str
    created_at: datetime
    private: bool = False
    gated: str | None = None  # None, "auto" or "manual"
    sdk: str | None = None
    refs: dict[str, Commit] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    lfs: dict[str, bytes] = field(default_factory=dict)
    announced: dict[str, int] = field(default_factory=dict)
    asks_for_lfs: bool = False
    commit_fault: CommitFault | None = None

    @property
    def namespace(self) -> str:
        """The user or organisation that owns the repository."""
        return self.id.partition("/")[0]

    @property
    def path(self) -> str:
        """The path of its page below the Hub's address, e.g. `datasets/acme/chats`."""
        return PREFIXES[self.kind] + self.id

    @property
    def head(self) -> Commit:
        """The newest commit of `main`."""
        return self.refs[MAIN]

    def receive(self, _xet_hash: str, data: bytes) -> None:
        """Keep a file that Xet brought; commits and downloads know it by its sha256."""
        self.lfs[hashlib.sha256(data).hexdigest()] = data

    def stored(self, _xet_hash: str) -> None:
        """Nothing: a repository's files are downloaded over plain http."""
        return

    def find(self, revision: str) -> Commit | None:
        """The commit that a branch, tag, pull request ref or full sha names, or None."""
        for ref in (revision, f"refs/heads/{revision}", f"refs/tags/{revision}"):
            if ref in self.refs:
                return self.refs[ref]
        return self.commits.get(revision) if FULL_SHA.fullmatch(revision) else None

    def at(self, revision: str) -> Commit:
        """The commit that a revision names; raises Refusal 404 RevisionNotFound."""
        if (commit := self.find(revision)) is None:
            raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return commit

    def split(self, rest: str) -> tuple[Commit, str]:
        """A decoded `{revision}/{path}`: its commit and path; raises Refusal 404 RevisionNotFound.

        Both may hold slashes (`refs/pr/1`, `data/train.jsonl`). git allows no branch below another branch's name,
        so the shortest known revision is the only one.
        """
        parts = rest.split("/")
        for length in range(1, len(parts) + 1):
            if commit := self.find("/".join(parts[:length])):
                return commit, "/".join(parts[length:]).strip("/")
        raise Refusal(404, f"Invalid rev id: {parts[0]}", "RevisionNotFound")

    def writable_ref(self, revision: str) -> str:
        """The full name of the branch or pull request to commit to; raises Refusal 404 RevisionNotFound.

        Committing to a sha or a tag is refused so too (huggingface_hub 2.4.0 hf_api.py, `create_commit`).
        """
        for ref in (revision, f"refs/heads/{revision}"):
            if ref in self.refs and not ref.startswith("refs/tags/"):
                return ref
        raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def commit(self, ref: str, tree: Tree, title: str, message: str, author: str, now: datetime) -> Commit:
        """Record a new state of the files and move a ref to it."""
        parent = self.refs.get(ref)
        lines = [self.kind, self.id, parent.sha if parent else "", stamp(now), author, title, message]
        lines += [f"{path} {blob.oid}" for path, blob in sorted(tree.items())]
        sha = hashlib.sha1("\n".join(lines).encode(), usedforsecurity=False).hexdigest()
        commit = Commit(sha, parent, tree, title, message, author, now)
        self.commits[sha] = self.refs[ref] = commit
        return commit


def stamp(moment: datetime) -> str:
    """A moment as the Hub writes it: UTC, milliseconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
