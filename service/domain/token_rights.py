"""What a token of Hugging Face may do, beside what it has to: a token that leaks, or is misused, can do no more."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

# A control token starts and watches jobs, mounts what they mount, and reads what was billed.
REPOSITORIES = frozenset({"repo.content.read", "repo.access.read", "repo.write"})
OF_CONTROL = REPOSITORIES | {"job.read", "job.write", "user.billing.read", "resourceGroup.read", "org.read"}
# A job reads and writes repositories and buckets.
OF_JOB = REPOSITORIES | {"org.read"}
WRITING_ROLES = ("admin", "write", "contributor")
# What rights are called on the Hub's page of tokens, by their beginnings.
CALLED = (
    ("job.", "jobs"),
    ("inference.", "inference"),
    ("user.billing", "billing"),
    ("org.billing", "billing"),
    ("user.webhooks", "webhooks"),
    ("org.", "settings of the organisation"),
    ("collection.", "collections"),
    ("discussion.", "discussions"),
    ("post.", "posts"),
)


@dataclass(frozen=True)
class Scope:
    """Rights on one thing: a `user`, an `org`, or a repository, by its name."""

    kind: str
    name: str
    permissions: frozenset[str]

    @property
    def namespace(self) -> str:
        """The user or organisation that it is, or belongs to."""
        return self.name.partition("/")[0]


@dataclass(frozen=True)
class TokenRights:
    """A token as `whoami` tells of it. `role` is `fineGrained`, `write` or `read`; the scopes are those of a
    fine-grained one, `everywhere` its rights that belong to no scope. `orgs`: those in which its user may write."""

    account: str
    role: str
    orgs: tuple[str, ...] = ()
    scopes: tuple[Scope, ...] = ()
    everywhere: frozenset[str] = frozenset()

    @property
    def is_fine_grained(self) -> bool:
        """Whether its rights are listed."""
        return self.role == "fineGrained"

    @property
    def writable(self) -> frozenset[str]:
        """The namespaces in which it may write repositories."""
        if self.is_fine_grained:
            return frozenset(scope.name for scope in self.scopes if "repo.write" in scope.permissions)
        return frozenset() if self.role == "read" else frozenset({self.account, *self.orgs})

    @property
    def namespaces(self) -> tuple[str, ...]:
        """All that its user may belong to."""
        return tuple(dict.fromkeys((self.account, *self.orgs, *(scope.namespace for scope in self.scopes))))


def too_broad(rights: TokenRights, needed: frozenset[str], namespaces: Collection[str]) -> list[str]:
    """Sentences that name what a token may do beyond what it needs in these namespaces; none where it is just right.
    Without namespaces, any is taken for one of those meant."""
    if not rights.is_fine_grained:
        classic = (
            f"it is a classic token of role '{rights.role}', which may do all that {rights.account} may"
            f"{_everywhere(rights)}: a fine-grained one with {', '.join(sorted(needed & KNOWN_NEEDS))} is enough"
        )
        return [] if rights.role == "read" else [classic]
    return [*_not_needed(rights, needed), *_elsewhere(rights, needed, namespaces)]


KNOWN_NEEDS = frozenset({"job.write", "repo.content.read", "repo.write"})


def _everywhere(rights: TokenRights) -> str:
    return f", in {', '.join(rights.orgs)} as well" if rights.orgs else ""


def _not_needed(rights: TokenRights, needed: frozenset[str]) -> Iterator[str]:
    by_name: dict[str, set[str]] = {}
    for scope in rights.scopes:
        for permission in scope.permissions - needed:
            by_name.setdefault(permission, set()).add(scope.name)
    for permission in rights.everywhere - needed:
        by_name.setdefault(permission, set()).add("everything")
    for permission, names in sorted(by_name.items()):
        called = next((f" ({word})" for beginning, word in CALLED if permission.startswith(beginning)), "")
        yield f"it holds {permission}{called} on {', '.join(sorted(names))}, which it does not need"


def _elsewhere(rights: TokenRights, needed: frozenset[str], namespaces: Collection[str]) -> Iterator[str]:
    for scope in rights.scopes if namespaces else ():
        # what is billed is its user's, and reading elsewhere is how private models and datasets are begun from
        spare = sorted(one for one in scope.permissions & needed if one.endswith(".write"))
        if spare and scope.namespace not in namespaces:
            yield f"it holds {', '.join(spare)} on {scope.name}, another namespace than {', '.join(namespaces)}"
