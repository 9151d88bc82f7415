"""A message in the form that each channel takes, with nothing in it that a channel would act on.

Slack: docs.slack.dev/messaging/formatting-message-text (three signs are escaped, mentions and links stand in `<…>`).
Discord: docs.discord.com/developers/resources/webhook (`allowed_mentions`, at most 2000 characters, flag 4 shows no
previews). Teams: a workflow's "When a Teams webhook request is received" takes a message with an Adaptive Card; text
runs of a RichTextBlock are shown as they are, a TextBlock would read them as Markdown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from service.domain.endpoint import Kind
from service.domain.message import Message

# Shows nothing, and keeps what stands on its two sides from being read together.
APART = "\u200b"
SUPPRESS_EMBEDS = 4
MOST_DISCORD = 2000
# Slack's signs for bold, struck and code; `_` alone within a word is none
SLACK_MARKS = re.compile(r"[*~`]|(?<!\w)_|_(?!\w)")
DISCORD_MARKS = re.compile(r"[\\*_~`|>#\[\]()<@-]")


def slack(message: Message) -> dict[str, Any]:
    """For an incoming webhook of Slack, or of those that take the same form."""
    head = f"{message.sign} *{_slack(message.headline)}*"
    links = " · ".join(f"<{_slack_signs(url)}|{name}>" for name, url in message.links)
    text = "\n".join([head, *(_slack(line) for line in message.lines), *([links] if links else [])])
    return {"text": text, "unfurl_links": False, "unfurl_media": False}


def discord(message: Message) -> dict[str, Any]:
    """For a webhook of a Discord channel; nobody is mentioned, whatever the text says."""
    head = f"{message.sign} **{_discord(message.headline)}**"
    links = " · ".join(f"[{name}]({url})" for name, url in message.links)
    lines = [_discord(line) for line in message.lines]
    while len(content := "\n".join([head, *lines, *([links] if links else [])])) > MOST_DISCORD and lines:
        lines.pop()
    return {"content": content, "allowed_mentions": {"parse": []}, "flags": SUPPRESS_EMBEDS}


def teams(message: Message) -> dict[str, Any]:
    """For a workflow of Teams."""
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            _rich(f"{message.sign} {message.headline}", weight="Bolder", size="Medium"),
            *(_rich(line) for line in message.lines),
        ],
    }
    if message.links:
        card["actions"] = [{"type": "Action.OpenUrl", "title": name, "url": url} for name, url in message.links]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def mail_text(message: Message) -> str:
    """The text of an e-mail; its subject is the headline."""
    links = [f"{name}: {url}" for name, url in message.links]
    return "\n".join([message.headline, "", *message.lines, "", *links]).rstrip() + "\n"


FORMS: Mapping[Kind, Callable[[Message], dict[str, Any]]] = {
    Kind.SLACK: slack,
    Kind.DISCORD: discord,
    Kind.TEAMS: teams,
}


def _rich(text: str, **font: str) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **font}]}


def _unlinked(text: str) -> str:
    """An address as text: nobody is led by what a stranger's log says."""
    return text.replace("://", f":{APART}//")


def _slack_signs(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _slack(text: str) -> str:
    return SLACK_MARKS.sub(lambda found: f"{APART}{found[0]}{APART}", _slack_signs(_unlinked(text))).replace(
        "@", f"@{APART}"
    )


def _discord(text: str) -> str:
    return DISCORD_MARKS.sub(lambda found: "\\" + found[0], _unlinked(text)).replace("\\@", f"@{APART}")
