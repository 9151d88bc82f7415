"""The sandbox's users, organisations and tokens, and what each token may do.

Rights follow the Hub's own: a classic `write` token may do everything its user may; a fine-grained token carries
permissions per namespace (`job.write`, `repo.write`, `repo.content.read`); a `read` token may only read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from service.sandbox.wire import Refusal, Request

REPO_RIGHTS = ("repo.content.read", "repo.access.read", "repo.write")
CONTROL_RIGHTS = ("job.write", *REPO_RIGHTS)
CREATED = "2026-01-01T00:00:00.000Z"


@dataclass(frozen=True)
class User:
    """A Hub user and the organisations it may write to. `has_credit` False: every create answers 402."""

    name: str
    id: str
    orgs: tuple[str, ...] = ()
    has_credit: bool = True

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Every namespace this user may write to."""
        return (self.name, *self.orgs)


@dataclass(frozen=True)
class Token:
    """A token's value, owner and rights: `role` is `write`, `read` or `fineGrained`. Then `permissions` count, on the
    namespaces in `scopes` (all of its user's where there are none), and `own` beside them on the user itself."""

    value: str
    user: User
    role: str
    name: str
    permissions: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    own: tuple[str, ...] = ()

    def may(self, permission: str, namespace: str) -> bool:
        """Whether this token carries a permission on a namespace."""
        if namespace not in self.user.namespaces:
            return False
        if self.role == "fineGrained":
            return permission in self.scoped().get(namespace, ())
        return self.role == "write" or permission.endswith(".read")

    def scoped(self) -> dict[str, tuple[str, ...]]:
        """A fine-grained token's permissions by namespace."""
        found = dict.fromkeys(self.scopes or self.user.namespaces, self.permissions)
        if self.own:
            found[self.user.name] = (*found.get(self.user.name, ()), *self.own)
        return found


SANDBOX = User("sandbox", "5f0000000000000000000001", ("acme",))
BROKE = User("broke", "5f0000000000000000000002", has_credit=False)
MIRA = User("mira", "5f0000000000000000000003", ("labs", "acme"))
ORG_IDS = {"acme": "5f00000000000000000000a1", "labs": "5f00000000000000000000a2"}

TOKENS = (
    Token("hf_sandbox", SANDBOX, "fineGrained", "control", ("job.write", "user.billing.read", *REPO_RIGHTS)),
    Token("hf_sandbox_job", SANDBOX, "fineGrained", "job", REPO_RIGHTS),
    Token("hf_sandbox_read", SANDBOX, "read", "read"),
    Token("hf_sandbox_broke", BROKE, "write", "broke"),
    # what a team of its own brings: an organisation that `sandbox` is no member of, and one that both are
    Token("hf_labs", MIRA, "fineGrained", "labs control", CONTROL_RIGHTS, ("labs",), ("user.billing.read",)),
    Token("hf_labs_job", MIRA, "fineGrained", "labs job", REPO_RIGHTS, ("labs",)),
    Token("hf_mira", MIRA, "fineGrained", "mira control", CONTROL_RIGHTS, ("acme",)),
    Token("hf_mira_job", MIRA, "fineGrained", "mira job", REPO_RIGHTS, ("acme",)),
    Token(
        "hf_labs_broad",
        MIRA,
        "fineGrained",
        "labs with too much",
        ("job.write", "inference.serverless.write", *REPO_RIGHTS),
        ("labs", "acme"),
        ("user.billing.read", "user.webhooks.write"),
    ),
    Token("hf_labs_write", MIRA, "write", "labs classic"),
)


class Accounts:
    """Looks tokens up and says who may do what."""

    def __init__(self, tokens: Iterable[Token] = TOKENS) -> None:
        self._tokens = {token.value: token for token in tokens}

    def token(self, request: Request) -> Token:
        """The caller's token; raises Refusal 401 where there is none or it is unknown."""
        token = self.optional_token(request)
        if token is None:
            raise Refusal(401, "Invalid username or password.")
        return token

    def optional_token(self, request: Request) -> Token | None:
        """The caller's token, None for an anonymous caller; raises Refusal 401 for an unknown token."""
        if request.bearer is None:
            return None
        if (token := self._tokens.get(request.bearer)) is None:
            raise Refusal(401, "Invalid credentials in Authorization header")
        return token

    def known(self, value: str) -> Token | None:
        """The token with this value, as the Hub recognises a token among a job's secrets."""
        return self._tokens.get(value)

    def id_of(self, namespace: str) -> str:
        """The id of a user or organisation; raises Refusal 404 for an unknown name."""
        for token in self._tokens.values():
            if token.user.name == namespace:
                return token.user.id
            if namespace in token.user.orgs:
                return ORG_IDS.get(namespace, "5f00000000000000000000ff")
        raise Refusal(404, f"Namespace {namespace} not found")

    def is_org(self, namespace: str) -> bool:
        """Whether a namespace is an organisation."""
        return any(namespace in token.user.orgs for token in self._tokens.values())


def whoami(token: Token) -> dict[str, Any]:
    """The answer of GET /api/whoami-v2 for this token."""
    access: dict[str, Any] = {"displayName": token.name, "role": token.role, "createdAt": CREATED}
    if token.role == "fineGrained":
        access["fineGrained"] = {
            "canReadGatedRepos": True,
            "global": [],
            "scoped": [
                {
                    "entity": {
                        "_id": token.user.id if name == token.user.name else ORG_IDS.get(name, ""),
                        "type": "user" if name == token.user.name else "org",
                        "name": name,
                    },
                    "permissions": list(permissions),
                }
                for name, permissions in token.scoped().items()
            ],
        }
    return {
        "type": "user",
        "id": token.user.id,
        "name": token.user.name,
        "fullname": token.user.name.title(),
        "canPay": token.user.has_credit,
        "billingMode": "prepaid",
        "periodEnd": None,
        "isPro": True,
        "avatarUrl": "",
        "orgs": [
            {
                "type": "org",
                "id": ORG_IDS.get(org, ""),
                "name": org,
                "fullname": org.title(),
                "canPay": True,
                "billingMode": "prepaid",
                "avatarUrl": "",
                "periodEnd": None,
                "roleInOrg": "admin",
            }
            for org in token.user.orgs
        ],
        "auth": {"type": "access_token", "accessToken": access},
    }
