"""All repositories of the sandbox: found, created, renamed, deleted and listed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from service.sandbox.accounts import Accounts, Token
from service.sandbox.blobs import Blob
from service.sandbox.calls import Call, json_fields, sees_private, text_field
from service.sandbox.descriptions import LEFT_OUT_OF_LISTS, describe, hub_id
from service.sandbox.repos import MAIN, PREFIXES, Repo
from service.sandbox.wire import Refusal, Request, Response, json_response

NAME = re.compile(r"(?!.*(?:--|\.\.|\.git$|\.ipynb$))[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")
GITATTRIBUTES = b"*.bin filter=lfs diff=lfs merge=lfs -text\n*.safetensors filter=lfs diff=lfs merge=lfs -text\n"


class Catalog:
    """The repositories by kind and id. They live in memory, as long as the sandbox does."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._repos: dict[tuple[str, str], Repo] = {}

    def __iter__(self) -> Iterator[Repo]:
        return iter(self._repos.values())

    def find(self, kind: str, repo_id: str) -> Repo | None:
        """The repository, whoever may see it, or None."""
        return self._repos.get((kind, repo_id))

    def visible(self, kind: str, repo_id: str, caller: Token | None) -> Repo:
        """The repository; raises Refusal 404 RepoNotFound, also for a private one that the caller may not read."""
        repo = self.find(kind, repo_id)
        if repo is None or (repo.private and not sees_private(caller, repo)):
            raise Refusal(404, "Repository not found", "RepoNotFound")
        return repo

    def add(self, repo: Repo) -> Repo:
        """Add a repository with the first commit, which the Hub makes by itself as `system`."""
        tree = {".gitattributes": Blob(GITATTRIBUTES)}
        repo.commit(MAIN, tree, "initial commit", "", "system", repo.created_at)
        self._repos[repo.kind, repo.id] = repo
        return repo

    def create(self, request: Request, now: datetime) -> Response:
        """POST /api/repos/create; raises Refusal 400, 401, 403, or 409 whose body has the `url` of the existing one."""
        caller = self._accounts.token(request)
        fields = json_fields(request)
        kind, repo_id = _named(fields, caller)
        self._require_rights(caller, kind, repo_id)
        if not NAME.fullmatch(repo_id.partition("/")[2]):
            raise Refusal(400, f"Invalid repo name: {repo_id}")
        url = f"{request.base_url}/{PREFIXES[kind]}{repo_id}"
        if self.find(kind, repo_id):
            raise Refusal(409, f"You already created this {kind} repo: {repo_id}", extra={"url": url})
        sdk = text_field(fields, "sdk") if kind == "space" else None
        private = fields.get("visibility") == "private" or fields.get("private") is True
        repo = self.add(Repo(kind, repo_id, now, private=private, sdk=sdk))
        return json_response({"url": url, "name": repo_id, "id": hub_id(repo)})

    def delete(self, request: Request) -> Response:
        """DELETE /api/repos/delete; raises Refusal 401, 403 or 404."""
        caller = self._accounts.token(request)
        kind, repo_id = _named(json_fields(request), caller)
        self.visible(kind, repo_id, caller)
        self._require_rights(caller, kind, repo_id)
        del self._repos[kind, repo_id]
        return json_response({})

    def move(self, request: Request) -> Response:
        """POST /api/repos/move; raises Refusal 401, 403, 404 or 409. The old name is free: it does not redirect."""
        caller = self._accounts.token(request)
        fields = json_fields(request)
        kind, old, new = _kind(fields), text_field(fields, "fromRepo"), text_field(fields, "toRepo")
        repo = self.visible(kind, old, caller)
        for repo_id in (old, new):
            self._require_rights(caller, kind, repo_id)
        if not NAME.fullmatch(new.partition("/")[2]):
            raise Refusal(400, f"Invalid repo name: {new}")
        if self.find(kind, new):
            raise Refusal(409, f"You already created this {kind} repo: {new}")
        del self._repos[kind, old]
        repo.id = new
        self._repos[kind, new] = repo
        return json_response({})

    def listing(self, kind: str, request: Request) -> Response:
        """GET /api/models and the like: what the caller may see, newest first, by `author`, `search` and `limit`."""
        caller = self._accounts.optional_token(request)
        author, search, limit = ((request.query(name) or [""])[-1] for name in ("author", "search", "limit"))
        repos = [
            repo
            for repo in self._repos.values()
            if repo.kind == kind
            and (not repo.private or sees_private(caller, repo))
            and (not author or repo.namespace == author)
            and search.lower() in repo.id.lower()
        ]
        repos.sort(key=lambda repo: repo.head.date, reverse=True)
        left_out = set() if request.query("full") else LEFT_OUT_OF_LISTS
        items = [
            {key: value for key, value in describe(repo, repo.head).items() if key not in left_out}
            for repo in (repos[: int(limit)] if limit.isdecimal() else repos)
        ]
        return json_response(items)

    def _require_rights(self, caller: Token, kind: str, repo_id: str) -> None:
        namespace = repo_id.partition("/")[0]
        if not caller.may("repo.write", namespace):
            raise Refusal(403, f'You don\'t have the rights to create a {kind} under the namespace "{namespace}"')


def change_settings(call: Call) -> Response:
    """PUT settings: `visibility` (or `private`) and `gated`; raises Refusal 400, 401 or 403."""
    call.writer()
    fields = call.fields()
    if "visibility" in fields:
        call.repo.private = fields["visibility"] == "private"
    if "private" in fields:
        call.repo.private = fields["private"] is True
    if "gated" in fields:
        if fields["gated"] not in ("auto", "manual", False):
            raise Refusal(400, "`gated` must be auto, manual or false")
        call.repo.gated = fields["gated"] or None
    return json_response({"private": call.repo.private, "gated": call.repo.gated or False})


def check_access(call: Call) -> Response:
    """GET auth-check[/write]: 200 where the caller may read the files, or write; raises Refusal as those would."""
    if call.rest == "write":
        call.writer()
    call.require_contents()
    return json_response({})


def _kind(fields: dict[str, Any]) -> str:
    kind = fields.get("type") or "model"
    if kind not in PREFIXES:
        raise Refusal(400, f"Invalid repo type: {kind}")
    return str(kind)


def _named(fields: dict[str, Any], caller: Token) -> tuple[str, str]:
    namespace = fields.get("organization") or caller.user.name
    return _kind(fields), f"{namespace}/{text_field(fields, 'name')}"
