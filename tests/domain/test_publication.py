"""Whose commit it is: told where it can be, and never guessed where it cannot."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from service.domain.finding import Verdict
from service.domain.output import Check, for_recipe
from service.domain.publication import Commit, Pushes, Work, judge, own_commit, read_pushes

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
END = START + timedelta(hours=1)
SKIPPED = "No files have been modified since last commit. Skipping to prevent empty commit."
BEFORE, OWN, OTHER = "b" * 40, "c" * 40, "d" * 40
WORK = Work(BEFORE, START, END, "bot", Pushes())


def commit(sha: str = OWN, *, by: str = "bot", title: str = "End of training", after_minutes: float = 30) -> Commit:
    return Commit(sha, title, (by,), START + timedelta(minutes=after_minutes))


OLD = commit(BEFORE, by="alice", after_minutes=-600)


def verdict(commits: list[Commit] | None, work: Work = WORK, head: str | None = None, **asked: bool) -> Verdict:
    own = None if commits is None else own_commit(commits, work)
    head = head or (own or (commits or [OLD])[0]).sha
    return judge("acme/model", head, commits, work, asked.get("has_changed")).verdict


def test_a_log_tells_of_its_pushes() -> None:
    told = read_pushes(
        ["{'loss': 1}", f"done: https://huggingface.co/acme/model/commit/{OWN}", f"from x/tree/{BEFORE}"]
    )
    assert told == Pushes(shas=frozenset({OWN}))
    assert read_pushes([f"WARNING:huggingface_hub.hf_api:{SKIPPED}"]).nothing_new
    assert read_pushes(["🤗 Model pushed to the Hub in https://huggingface.co/acme/model."]).is_done
    assert read_pushes([]) == Pushes()


@pytest.mark.parametrize(
    ("newest", "why"),
    [
        (commit(by="alice"), "it was made by alice, and the job's token is bot's"),
        (commit(after_minutes=-3), "it was made before the job started"),
        (commit(after_minutes=63), "it was made after the job had ended"),
        (commit(title="Lineage of run_01ABC"), "it is the service's own lineage card"),
        (commit(by="system", title="initial commit"), "the Hub made it together with the repository"),
    ],
)
def test_a_commit_that_shows_to_be_another_ones_is_not_the_attempts(newest: Commit, why: str) -> None:
    said = judge("acme/model", newest.sha, [newest, OLD], WORK, None)
    assert said.verdict is Verdict.FAILED
    assert said.message.endswith(f"is not its own, as {why}")
    assert own_commit([newest, commit(OTHER), OLD], WORK) == commit(OTHER), "the attempt's own lies below it"


def test_clocks_may_differ_a_little_and_what_is_not_known_excludes_nothing() -> None:
    for minutes in (-1.9, 61.9):
        assert verdict([commit(after_minutes=minutes), OLD]) is Verdict.PASSED
    assert verdict([replace(commit(by="alice"), at=None), OLD], replace(WORK, account=None)) is Verdict.PASSED
    assert verdict([replace(commit(), authors=()), OLD]) is Verdict.PASSED
    timeless = replace(WORK, started_at=None, finished_at=None)
    assert verdict([commit(after_minutes=500), OLD], timeless) is Verdict.PASSED


def test_a_log_that_names_a_commit_outranks_its_author() -> None:
    named = replace(WORK, pushes=Pushes(shas=frozenset({OWN})))
    assert verdict([commit(by="alice"), OLD], named) is Verdict.PASSED
    there_before = judge("acme/model", OWN, [commit(by="alice", after_minutes=-30), OLD], named, None)
    assert there_before.message.startswith("nothing has changed: the job pushed the files that acme/model held already")


def test_a_script_that_says_it_has_pushed_is_believed_where_only_the_name_differs() -> None:
    done = replace(WORK, pushes=Pushes(is_done=True))
    assert verdict([commit(by="alice"), OLD], done) is Verdict.PASSED
    assert own_commit([commit(OTHER, by="alice"), commit(), OLD], done) == commit(), "its own name goes before"


@pytest.mark.parametrize(("pushes", "expected"), [(Pushes(), "failed"), (Pushes(nothing_new=True), "passed")])
def test_nothing_new_is_a_success_only_where_the_log_shows_the_push(pushes: Pushes, expected: str) -> None:
    assert verdict([OLD], replace(WORK, pushes=pushes)) == expected
    assert verdict(None, replace(WORK, pushes=pushes), head=BEFORE) == expected
    assert verdict([commit(OTHER, by="alice"), OLD], replace(WORK, pushes=pushes)) == expected


def test_trls_last_line_alone_does_not_make_a_push_of_an_unchanged_head() -> None:
    assert verdict([OLD], replace(WORK, pushes=Pushes(is_done=True))) is Verdict.FAILED
    assert verdict([OLD], replace(WORK, pushes=Pushes(shas=frozenset({BEFORE})))) is Verdict.PASSED


def test_a_commit_of_nothing_but_a_card_is_no_publication() -> None:
    said = judge("acme/model", OWN, [commit(), OLD], WORK, has_changed=False)
    assert said.verdict is Verdict.FAILED
    assert said.message == "commit cccccccc ('End of training') changed nothing in acme/model but README.md"


def test_where_the_hub_lists_no_commits_whose_it_is_stays_unknown() -> None:
    assert verdict(None, head=OWN) is Verdict.UNKNOWN
    assert verdict(None, head=BEFORE) is Verdict.FAILED


def test_a_history_that_was_rewritten_is_judged_by_its_times() -> None:
    assert verdict([commit()]) is Verdict.PASSED
    assert verdict([commit(OTHER, after_minutes=-60)]) is Verdict.FAILED


def test_what_a_sharded_training_leaves_out_is_put_down_to_the_sharding() -> None:
    missing = Check("weights", Verdict.FAILED, "there are no weights", "Publish the whole folder.")
    recipe = {"kind": "trl_sft", "args": {"deepspeed": {"zero_optimization": {"stage": 3}}}}
    assert "without deepspeed, or have it gather" in str(for_recipe(missing, recipe).remedy)
    assert for_recipe(missing, {"kind": "script"}) == missing
    assert for_recipe(replace(missing, verdict=Verdict.PASSED), recipe).remedy == missing.remedy
