"""Whether an attempt published: which of a repository's commits its job may have made, by what Hub and log tell.

A commit names its author, its title and its time, but not the job. So it is *not* the attempt's where one of these says
so; else it may be. What cannot be told from the job's work is a commit that the same account made by other means while
the job ran.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.domain.card import TITLE
from service.domain.finding import Verdict
from service.domain.output import Check

# huggingface_hub 2.4.0, hf_api.py (create_commit) and _upload_pipeline.py: all files are on the Hub already
NOTHING_NEW = "No files have been modified since last commit"
PUSH = "Push to the repo named in TUNEGATE_OUTPUT_REPO before the script ends, and let the script fail where that does."
# TRL 1.16, scripts/sft.py, after the last push
PUSHED = "Model pushed to the Hub"
NAMED = re.compile(r"/commit/([0-9a-f]{40})\b")  # CommitInfo.commit_url, which is the head's where nothing was new
SYSTEM = "system"  # the author of a repository's first commit (hf_api.py, list_repo_commits)
# How far the clocks of Jobs and of the Hub may be apart.
SLACK = timedelta(minutes=2)


@dataclass(frozen=True)
class Commit:
    """A commit as the Hub lists it. `authors` are account names; `at` None where it is not told."""

    sha: str
    title: str
    authors: tuple[str, ...]
    at: datetime | None

    def __str__(self) -> str:
        return f"commit {self.sha[:8]} ('{self.title[:60]}')"


@dataclass(frozen=True)
class Pushes:
    """What a job's log tells of its pushes. `nothing_new`: one found all its files there; `is_done`: TRL's script says
    that it has published; `shas`: the commits that it names by their address."""

    nothing_new: bool = False
    is_done: bool = False
    shas: frozenset[str] = frozenset()

    def tell_of(self, sha: str) -> bool:
        """Whether a push went through, as far as a log can say: of this commit, or one that names none."""
        return self.nothing_new or self.is_done or sha in self.shas


@dataclass(frozen=True)
class Work:
    """The job that was to publish. `head_before`: the commit that the repository was at before the create call, None
    where there was none (or nobody looked). `account`: whose token the job was given, None where that is not known or
    where the job has other tokens, too."""

    head_before: str | None
    started_at: datetime | None
    finished_at: datetime | None
    account: str | None
    pushes: Pushes


def read_pushes(lines: Iterable[str]) -> Pushes:
    """What a log tells of pushes."""
    nothing_new = is_done = False
    shas: set[str] = set()
    for line in lines:
        nothing_new = nothing_new or NOTHING_NEW in line
        is_done = is_done or PUSHED in line
        shas.update(NAMED.findall(line))
    return Pushes(nothing_new, is_done, frozenset(shas))


def new_commits(commits: Sequence[Commit], work: Work) -> Iterator[Commit]:
    """Those after the head of before, newest first."""
    for commit in commits:
        if commit.sha == work.head_before:
            return
        yield commit


def own_commit(commits: Sequence[Commit], work: Work) -> Commit | None:
    """The newest commit that the job may have made."""
    timely = [commit for commit in new_commits(commits, work) if _untimely(commit, work) is None]
    own = next((commit for commit in timely if _other_author(commit, work) is None), None)
    if own is None and work.pushes.is_done and not work.pushes.nothing_new:
        # The log outranks the name: the token may have been replaced since by another account's.
        return next(iter(timely), None)
    return own


def why_not(commit: Commit, work: Work) -> str | None:
    """What shows that the job did not make a commit; None where it may have."""
    return _untimely(commit, work) or _other_author(commit, work)


def _untimely(commit: Commit, work: Work) -> str | None:
    if commit.title.startswith(f"{TITLE}run_"):
        return "it is the service's own lineage card"
    if commit.authors == (SYSTEM,):
        return "the Hub made it together with the repository"
    if commit.at is not None and work.started_at is not None and commit.at < work.started_at - SLACK:
        return "it was made before the job started"
    if commit.at is not None and work.finished_at is not None and commit.at > work.finished_at + SLACK:
        return "it was made after the job had ended"
    return None


def _other_author(commit: Commit, work: Work) -> str | None:
    if work.account is None or not commit.authors or work.account in commit.authors:
        return None
    if commit.sha in work.pushes.shas:
        return None
    return f"it was made by {', '.join(commit.authors)}, and the job's token is {work.account}'s"


def judge(repo: str, head: str, commits: Sequence[Commit] | None, work: Work, has_changed: bool | None) -> Check:
    """Whether the job published the files at a commit: `head`, the newest that may be its own, else the newest of all.
    `commits` None: the Hub does not list them. `has_changed`: whether a file beside the card is another one than before
    the job, None where that was not asked."""
    own = None if commits is None else own_commit(commits, work)
    if own is None and (commits is not None or head == work.head_before):
        if work.pushes.nothing_new or head in work.pushes.shas:
            return _passed(f"nothing has changed: the job pushed the files that {repo} held already at {head[:8]}")
        return _failed(_nothing_of_its_own(repo, head, commits or (), work))
    if has_changed is False:
        return _failed(f"{own or f'commit {head[:8]}'} changed nothing in {repo} but README.md")
    if own is None:
        return Check("commit", Verdict.UNKNOWN, f"commit {head[:8]} is new; the Hub does not tell whose it is")
    return _passed(f"{own} is new")


def _nothing_of_its_own(repo: str, head: str, commits: Sequence[Commit], work: Work) -> str:
    newest = next(new_commits(commits, work), None)
    if newest is None:
        return f"{repo} holds no new files: it is at commit {head[:8]}, as before the job"
    return f"{repo} holds nothing of this attempt: {newest} is not its own, as {why_not(newest, work)}"


def _passed(message: str) -> Check:
    return Check("commit", Verdict.PASSED, message)


def _failed(message: str) -> Check:
    return Check("commit", Verdict.FAILED, message, PUSH)
