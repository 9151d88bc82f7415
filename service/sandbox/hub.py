"""The Hub half of the sandbox: which request goes where.

In memory but for the files of buckets, which jobs write to: every answer follows from the requests before it, the `now`
that comes with it, and what lies in a bucket's folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from service.sandbox import (
    cards,
    catalog,
    commits,
    descriptions,
    downloads,
    pulls,
    references,
    switches,
    trees,
    uploads,
)
from service.sandbox.accounts import Accounts, Token
from service.sandbox.blobs import Blob
from service.sandbox.bucket_shelf import BucketShelf
from service.sandbox.buckets_api import BucketsApi
from service.sandbox.calls import Call
from service.sandbox.catalog import Catalog
from service.sandbox.repos import MAIN, Repo
from service.sandbox.wire import Refusal, Request, Response
from service.sandbox.xet import XetStorage

KINDS = {"models": "model", "datasets": "dataset", "spaces": "space"}

VERBS: dict[tuple[str, str], Callable[[Call], Response]] = {
    ("GET", ""): descriptions.show_info,
    ("GET", "revision"): descriptions.show_info,
    ("GET", "tree"): trees.list_tree,
    ("POST", "paths-info"): trees.paths_info,
    ("GET", "commits"): trees.list_commits,
    ("GET", "refs"): references.list_refs,
    ("POST", "branch"): references.create_branch,
    ("DELETE", "branch"): references.delete_branch,
    ("POST", "tag"): references.create_tag,
    ("DELETE", "tag"): references.delete_tag,
    ("POST", "preupload"): uploads.preupload,
    ("POST", "commit"): commits.create_commit,
    ("POST", "discussions"): pulls.create_discussion,
    ("GET", "discussions"): pulls.show_discussions,
    ("PUT", "settings"): catalog.change_settings,
    ("GET", "auth-check"): catalog.check_access,
}
LFS_VERBS = {"batch": uploads.lfs_batch, "verify": uploads.lfs_verify}


class Hub:
    """Repositories of models, datasets and spaces, and buckets, served as huggingface_hub 2.4.0 and the libraries on it
    ask. `folder` and `keep` are the shelf's of buckets."""

    def __init__(self, accounts: Accounts, folder: Path | None = None, keep: bool = False) -> None:
        self._accounts = accounts
        self._catalog = Catalog(accounts)
        self._xet = XetStorage()
        self.buckets = BucketShelf(accounts, folder, keep)
        self._buckets_api = BucketsApi(accounts, self.buckets, self._xet)

    def handle(self, request: Request, now: datetime) -> Response | None:
        """The answer, None for a path that is not the Hub's; raises Refusal for an error that the caller renders."""
        match request.path.strip("/").split("/"):
            case ["api", "repos", "create"] if request.method == "POST":
                return self._catalog.create(request, now)
            case ["api", "repos", "delete"] if request.method == "DELETE":
                return self._catalog.delete(request)
            case ["api", "repos", "move"] if request.method == "POST":
                return self._catalog.move(request)
            case ["api", "validate-yaml"] if request.method == "POST":
                return cards.validate(request)
            case ["api", "buckets", *parts]:
                return self._buckets_api.handle(request, parts, now)
            case ["buckets", namespace, name, "resolve", *path] if request.method in ("GET", "HEAD"):
                return self._buckets_api.download(request, namespace, name, path)
            case ["api", kind] if kind in KINDS and request.method == "GET":
                return self._catalog.listing(KINDS[kind], request)
            case ["api", kind, *rest] if kind in KINDS:
                return self._about_repo(KINDS[kind], rest, request, now)
            case ["sandbox", "repos", kind, namespace, name] if kind in KINDS and request.method == "POST":
                return switches.set_switches(self.repo(KINDS[kind], f"{namespace}/{name}"), request)
            case ["sandbox", "lfs", kind, namespace, name, oid] if kind in KINDS and request.method == "PUT":
                return uploads.lfs_put(self.repo(KINDS[kind], f"{namespace}/{name}"), oid, request)
            case ["sandbox", "xet", born, "v1", *rest]:
                return self._xet.handle(request, born, rest)
            case ["datasets" | "spaces" as kind, *rest]:
                return self._files_of(KINDS[kind], rest, request, now)
            case parts:
                return self._files_of("model", parts, request, now)

    def visible(self, kind: str, repo_id: str, caller: Token) -> Repo:
        """A repository that a caller may see; raises Refusal 404."""
        return self._catalog.visible(kind, repo_id, caller)

    def repo(self, kind: str, repo_id: str) -> Repo:
        """A repository by kind (`model`, `dataset`, `space`) and id; raises Refusal 404."""
        if (repo := self._catalog.find(kind, repo_id)) is None:
            raise Refusal(404, "Repository not found", "RepoNotFound")
        return repo

    def publish(
        self,
        kind: str,
        repo_id: str,
        files: Mapping[str, bytes],
        now: datetime,
        title: str = "Upload",
        author: str | None = None,
    ) -> str:
        """Commit files without a request, into a repository made if needed: the commit's sha.

        For base models and data sets that must be there, and for jobs that end by the clock without executing.
        `author` is an account; by default the repository's own namespace.
        """
        author = author or repo_id.partition("/")[0]
        repo = self._catalog.find(kind, repo_id) or self._catalog.add(Repo(kind, repo_id, now))
        tree = {**repo.head.tree, **{commits.valid_path(path): Blob(data) for path, data in files.items()}}
        return repo.commit(MAIN, tree, title, "", author, now).sha

    def gate(self, repo_id: str, kind: str = "model") -> None:
        """Gate a repository: its files answer 401 or 403 GatedRepo to all but its namespace; raises Refusal 404."""
        self.repo(kind, repo_id).gated = "manual"

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """What there is, as JSON values: the path of each repository with its head, files and settings."""
        return {
            repo.path: {
                "sha": repo.head.sha,
                "commits": sum(1 for _ in repo.head.history()),
                "files": sorted(repo.head.tree),
                "private": repo.private,
                "gated": repo.gated or False,
            }
            for repo in self._catalog
        }

    def _about_repo(self, kind: str, parts: list[str], request: Request, now: datetime) -> Response | None:
        """/api/{kind}s/{namespace}/{name}[/{verb}[/{rest}]]; an id without a namespace is never found."""
        caller = self._accounts.optional_token(request)
        repo = self._catalog.visible(kind, "/".join(parts[:2]), caller)
        verb, rest = "".join(parts[2:3]), "/".join(parts[3:])
        call = Call(request, now, repo, caller, rest)
        if (request.method, verb) == ("GET", "xet-write-token"):
            return self._xet.write_token(call)
        handler = VERBS.get((request.method, verb))
        return handler(call) if handler else None

    def _files_of(self, kind: str, parts: list[str], request: Request, now: datetime) -> Response | None:
        """Paths outside the API: {id}/resolve/{revision}/{path} and {id}.git/info/lfs/objects/{verb}."""
        match parts:
            case [namespace, name, "resolve", *rest] if request.method in ("GET", "HEAD"):
                handler, repo_id = downloads.resolve, f"{namespace}/{name}"
            case [name, "resolve", *rest] if request.method in ("GET", "HEAD"):
                handler, repo_id = downloads.resolve, name
            case [namespace, name, "info", "lfs", "objects", verb] if verb in LFS_VERBS and request.method == "POST":
                handler, repo_id, rest = LFS_VERBS[verb], f"{namespace}/{name.removesuffix('.git')}", []
            case _:
                return None
        caller = self._accounts.optional_token(request)
        return handler(Call(request, now, self._catalog.visible(kind, repo_id, caller), caller, "/".join(rest)))
