"""What a token may do beyond what it needs, in words that name it."""

from __future__ import annotations

from service.domain.token_rights import OF_CONTROL, OF_JOB, Scope, TokenRights, too_broad


def rights(*permissions: str, on: str = "acme", kind: str = "org", everywhere: tuple[str, ...] = ()) -> TokenRights:
    scope = Scope(kind, on, frozenset(permissions))
    return TokenRights("ann", "fineGrained", ("acme",), (scope,), frozenset(everywhere))


def test_what_is_just_right_is_not_warned_of() -> None:
    assert too_broad(rights("job.write", "repo.content.read", "repo.write"), OF_CONTROL, ["acme"]) == []
    assert too_broad(rights("repo.content.read", "repo.write"), OF_JOB, ["acme"]) == []
    assert too_broad(TokenRights("ann", "read"), OF_JOB, ["acme"]) == []


def test_each_right_that_is_not_needed_is_named_with_its_place() -> None:
    broad = rights("repo.write", "job.write", "inference.serverless.write", "user.webhooks.write", "user.billing.read")
    assert too_broad(broad, OF_JOB, ["acme"]) == [
        "it holds inference.serverless.write (inference) on acme, which it does not need",
        "it holds job.write (jobs) on acme, which it does not need",
        "it holds user.billing.read (billing) on acme, which it does not need",
        "it holds user.webhooks.write (webhooks) on acme, which it does not need",
    ]
    [one] = too_broad(rights("job.write", everywhere=("discussion.write",)), OF_CONTROL, ["acme"])
    assert one == "it holds discussion.write (discussions) on everything, which it does not need"


def test_another_namespace_is_named() -> None:
    [one] = too_broad(rights("job.write", "repo.write", on="else/model", kind="model"), OF_CONTROL, ["acme", "labs"])
    assert one == "it holds job.write, repo.write on else/model, another namespace than acme, labs"
    assert too_broad(rights("repo.content.read", on="else"), OF_JOB, ["acme"]) == [], "private models are begun from"
    assert too_broad(rights("repo.write", on="else"), OF_JOB, []) == [], "runs name their own namespaces"


def test_a_classic_token_is_told_of_with_what_would_do() -> None:
    [control] = too_broad(TokenRights("ann", "write", ("acme", "labs")), OF_CONTROL, ["acme"])
    assert control.startswith("it is a classic token of role 'write', which may do all that ann may, in acme, labs")
    assert control.endswith("a fine-grained one with job.write, repo.content.read, repo.write is enough")
    [job] = too_broad(TokenRights("ann", "write"), OF_JOB, ["acme"])
    assert job.endswith("a fine-grained one with repo.content.read, repo.write is enough")


def test_where_it_may_write_and_whom_it_may_reach() -> None:
    assert rights("repo.write").writable == {"acme"}
    assert TokenRights("ann", "write", ("acme",)).writable == {"ann", "acme"}
    assert TokenRights("ann", "read", ("acme",)).writable == frozenset()
    assert rights("repo.write", on="else/model").namespaces == ("ann", "acme", "else")
