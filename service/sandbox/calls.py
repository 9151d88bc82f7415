"""One request about one repository, and whether its caller may make it.

Texts and codes are the real Hub's as far as its users have published them. A code decides which exception
huggingface_hub 2.4.0 raises (utils/_http.py), so every refusal about a repository carries the right one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.sandbox.accounts import Token
from service.sandbox.repos import Repo
from service.sandbox.wire import Refusal, Request


@dataclass(frozen=True)
class Call:
    """A request about a repository that its caller may see. `rest` is the decoded path after the verb."""

    request: Request
    now: datetime
    repo: Repo
    caller: Token | None
    rest: str = ""

    def flag(self, name: str) -> bool:
        """Whether a query parameter is on, in any spelling of the clients."""
        return is_on(self.request.query(name)[-1:])

    def fields(self) -> dict[str, Any]:
        """The JSON object in the body; raises Refusal 400 for anything else."""
        return json_fields(self.request)

    def writer(self) -> Token:
        """The caller, who may change the repository; raises Refusal 401 or 403."""
        caller = self.signed_in()
        if caller.may("repo.write", self.repo.namespace):
            return caller
        if self.repo.namespace in caller.user.namespaces:
            raise Refusal(403, "Forbidden: you must use a write token to upload to a repository.")
        raise Refusal(403, "Forbidden: pass `create_pr=1` as a query parameter to create a Pull Request")

    def signed_in(self) -> Token:
        """The caller; raises Refusal 401 for an anonymous one.

        The client turns a bare 401 on a repository into RepositoryNotFoundError on https only: the code does it here.
        """
        if self.caller is None:
            raise Refusal(401, "Invalid username or password.", "RepoNotFound")
        return self.caller

    def require_contents(self) -> None:
        """Let pass who may read the files: all but strangers to a gated repository; raises Refusal 401 or 403."""
        if self.repo.gated is None or sees_private(self.caller, self.repo):
            return
        what = f"Access to {self.repo.kind} {self.repo.id} is restricted"
        if self.caller is None:
            raise Refusal(
                401,
                f"{what}. You must have access to it and be authenticated to access it. Please log in.",
                "GatedRepo",
            )
        page = f"{self.request.base_url}/{self.repo.path}"
        raise Refusal(
            403, f"{what} and you are not in the authorized list. Visit {page} to ask for access.", "GatedRepo"
        )


def sees_private(caller: Token | None, repo: Repo) -> bool:
    """Whether a caller may read a private repository, which for all others does not exist."""
    return caller is not None and caller.may("repo.content.read", repo.namespace)


def json_fields(request: Request) -> dict[str, Any]:
    """The JSON object in a request's body; raises Refusal 400 for anything else."""
    try:
        value = request.json()
    except ValueError as error:
        raise Refusal(400, f"The body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Refusal(400, "The body must be a JSON object")
    return value


def text_field(fields: dict[str, Any], name: str) -> str:
    """A text that must be there; raises Refusal 400."""
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise Refusal(400, f"`{name}` must be a non-empty string")
    return value


def is_on(values: list[str]) -> bool:
    """Whether the last of some parameter's values means yes: httpx2 writes `true`, the command line's code `1`."""
    return values[-1:] in (["true"], ["True"], ["1"])
