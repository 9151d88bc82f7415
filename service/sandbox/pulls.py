"""Pull requests, as far as uploads with `create_pr` open them: a ref beside the branches, without events or merging."""

from __future__ import annotations

from typing import Any

from service.sandbox.calls import Call
from service.sandbox.repos import MAIN, PULL_REF, Commit, Repo, stamp
from service.sandbox.wire import Refusal, Response, json_response


def open_pull(repo: Repo, base: str = MAIN) -> str:
    """Open a pull request at the head of a branch: the name of its ref."""
    ref = f"refs/pr/{len(_pulls(repo)) + 1}"
    repo.refs[ref] = repo.refs[base]
    return ref


def create_discussion(call: Call) -> Response:
    """POST discussions: a pull request (`hf upload --create-pr` with Xet on); raises Refusal 400 for a discussion."""
    call.signed_in()
    if call.fields().get("pullRequest") is not True:
        raise Refusal(400, "The sandbox has pull requests but no discussions")
    return json_response({"num": int(open_pull(call.repo).rpartition("/")[2])})


def show_discussions(call: Call) -> Response:
    """GET discussions[/{num}]: one pull request in detail or all; raises Refusal 404."""
    pulls = _pulls(call.repo)
    if not call.rest:
        items = [_details(call.repo, ref, commit) for ref, commit in pulls.items()]
        return json_response({"discussions": items, "count": len(items), "start": 0})
    ref = f"refs/pr/{call.rest}"
    if ref not in pulls:
        raise Refusal(404, f"No pull request {call.rest}")
    return json_response(_details(call.repo, ref, pulls[ref]))


def _pulls(repo: Repo) -> dict[str, Commit]:
    return {ref: commit for ref, commit in repo.refs.items() if PULL_REF.fullmatch(ref)}


def _details(repo: Repo, ref: str, commit: Commit) -> dict[str, Any]:
    return {
        "num": int(ref.rpartition("/")[2]),
        "title": commit.title,
        "author": {"name": commit.author},
        "createdAt": stamp(commit.date),
        "status": "open",
        "isPullRequest": True,
        "repo": {"name": repo.id, "type": repo.kind},
        "changes": {"base": MAIN},
        "filesWithConflicts": [],
        "events": [],
    }
