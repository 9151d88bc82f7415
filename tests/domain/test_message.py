"""Messages for people: short, with state, cost and link, and with nothing in them that a channel would act on."""

from __future__ import annotations

import json
import re
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.channel import APART, MOST_DISCORD, discord, mail_text, slack, teams
from service.domain.event_pattern import EventPattern
from service.domain.message import LONGEST, Message, message_of

RUN: dict[str, Any] = {
    "id": "run_01ABC",
    "team": "research",
    "kind": None,
    "state": "failed",
    "message": "the job failed",
    "failure": {"cause": "cuda_oom", "message": "CUDA out of memory", "remedy": "Halve the batch."},
    "output": {"repo": "acme/model", "url": "https://huggingface.co/acme/model"},
    "cost": {"estimated_usd": 1.0, "ceiling_usd": 3.05, "reserved_usd": 0.0, "metered_usd": 1.5},
    "hub_job": {"id": "1", "url": "https://huggingface.co/jobs/acme/1"},
}
# What a log, a comment or a repository's owner might say.
WICKED = [
    "<!channel> look",
    "<@U123> <#C1> <!here>",
    "<https://evil.example|your bank>",
    "[your bank](https://evil.example)",
    "see https://evil.example/login",
    "@everyone @here <@&1> <@1>",
    "**bold** __x__ ~~y~~ `code` ||spoiler|| > quote\n# head\n- item",
    "&lt;!channel&gt;",
    "a\\*b",
    '<at>everyone</at> <img src="https://evil.example/x">',
]


def test_a_failure_says_what_happened_why_what_it_cost_and_where_to_look() -> None:
    message = message_of("run.failed", RUN, None)
    assert message.headline == "Run run_01ABC failed"
    assert message.lines == (
        "Team research · acme/model",
        "cuda_oom: CUDA out of memory",
        "What to do: Halve the batch.",
        "Cost: $1.50",
    )
    assert dict(message.links)["Job"] == "https://huggingface.co/jobs/acme/1"
    here = dict(message_of("run.failed", RUN, "https://gate.acme.com").links)
    assert here["Run"] == "https://gate.acme.com/ui/runs/run_01ABC"
    assert "Job" not in here


def test_other_events_in_words() -> None:
    approval = message_of("run.awaiting_approval", {**RUN, "approval": {"why": "costs more than $3.00"}}, None)
    assert "costs more than $3.00" in approval.lines
    assert "Cost: estimated at $1.00, at most $3.05" in approval.lines
    assert message_of("run.succeeded", {**RUN, "kind": "pilot"}, None).headline == "The pilot run_01ABC succeeded"
    budget = {"budget": "research/month", "percent": 80, "charged_usd": 4, "reserved_usd": 0, "limit_usd": 5}
    refused = message_of("schedule.refused", {"name": "nightly", "message": "bob is shut out"}, None)
    assert (refused.headline, refused.lines) == ("The schedule nightly made no run", ("bob is shut out",))
    best = {"number": 4, "eval_loss": 1.25, "parameters": {"learning_rate": 1e-5}, "output_repo": "acme/swept-4"}
    swept = {"name": "rates", "states": {"succeeded": 3, "cancelled": 1}, "charged_usd": 1.5, "best": best}
    ended = message_of("sweep.ended", swept, None)
    assert ended.headline == "The sweep rates has ended"
    assert ended.lines == (
        "The best, with a loss of 1.25: point 4 (learning_rate 1e-05)",
        "acme/swept-4",
        "Points: 3 succeeded, 1 cancelled",
        "Cost: $1.50",
    )
    told = message_of("budget.threshold_reached", {**budget, "remaining_usd": 1, "window_end": "2026-12-01"}, None)
    assert told.headline == "The budget research/month has reached 80 %"
    assert told.lines[0] == "$4.00 charged, $0.00 reserved, $1.00 left of $5.00"
    gone = message_of("endpoint.disabled", {"endpoint_id": "ep_1", "because": "410", "url": "https://a.b/c"}, None)
    assert gone.headline == "The webhook endpoint ep_1 was disabled"


@pytest.mark.parametrize("event_type", [one for one in get_args(EventPattern) if "*" not in one] + ["webhook.test"])
@pytest.mark.parametrize("data", [{}, RUN, {"team": None, "by": "key_1", "cost": None, "output": None}])
def test_whatever_an_event_holds_there_is_a_message(event_type: str, data: dict[str, Any]) -> None:
    message = message_of(event_type, data, None)
    assert message.headline
    for form in (slack, discord, teams):
        json.dumps(form(message))
    assert mail_text(message)


def saying(text: str) -> Message:
    return message_of("run.failed", {**RUN, "failure": {"cause": "x", "message": text, "remedy": text}}, None)


@pytest.mark.parametrize("text", WICKED)
def test_slack_takes_nothing_for_a_command(text: str) -> None:
    body = slack(saying(text))
    own = re.sub(r"<https://huggingface\.co/[^|>]*\|(Model|Job)>", "", body["text"])
    assert "<" not in own
    assert ">" not in own
    assert "://" not in own
    assert not re.search(r"@\w", own)
    assert body["unfurl_links"] is body["unfurl_media"] is False


@pytest.mark.parametrize("text", WICKED)
def test_discord_mentions_nobody_and_shows_signs_as_they_are(text: str) -> None:
    body = discord(saying(text))
    assert body["allowed_mentions"] == {"parse": []}
    own = re.sub(r"\[(Model|Job)\]\(https://huggingface\.co/[^)]*\)", "", body["content"])
    head, lines = own.split("\n", 1)
    for line in (head.replace("**", ""), lines):
        assert not re.search(r"(?<!\\)(?:\\\\)*[*_~`|>\[\]()<#]", line)
        assert "://" not in line
    assert not re.search(r"@\w", own)


@pytest.mark.parametrize("text", WICKED)
def test_teams_reads_no_markdown(text: str) -> None:
    [attachment] = teams(saying(text))["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    for block in attachment["content"]["body"]:
        assert block["type"] == "RichTextBlock"
    assert {one["url"].partition("/jobs")[0] for one in attachment["content"]["actions"]} <= {
        "https://huggingface.co",
        "https://huggingface.co/acme/model",
    }


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://x.y/>|<!channel>", "https://x.y/) @here", "file:///x"])
def test_what_is_no_plain_address_is_no_link(url: str) -> None:
    assert message_of("run.succeeded", {**RUN, "output": {"url": url}, "hub_job": {"url": url}}, None).links == ()


@given(st.text(max_size=5000), st.text(max_size=5000))
def test_messages_are_short_whatever_was_written(cause: str, text: str) -> None:
    message = message_of("run.failed", {**RUN, "failure": {"cause": cause, "message": text, "remedy": text}}, None)
    for line in (message.headline, *message.lines):
        assert len(line) <= LONGEST
        assert len(line.splitlines()) <= 1
    assert len(discord(message)["content"]) <= MOST_DISCORD
    assert len(slack(message)["text"]) < 10_000
    assert APART not in mail_text(saying("plain"))
