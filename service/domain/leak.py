"""Secrets in text: what looks like a token, and what gives a run's own secret values away. The only list of patterns.

The forms are the vendors' own as gitleaks has them (github.com/gitleaks/gitleaks, config/gitleaks.toml), kept to those
with a prefix of their own: hex of some length is as often a commit. A finding says which kind, never the value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, quote_plus, unquote

OWN_KEY = "a key of this service"
# Anything shorter is found in innocent words.
SHORTEST_SECRET = 6

# `hf_xxxxxxxx`, `sk-your-key-here`, AWS's own AKIA…EXAMPLE: few different characters, or words that say so.
FEWEST_CHARACTERS = 8
PLACEHOLDER = re.compile(r"(?i)(.)\1{5}|x{4}|example|placeholder|your[-_]|replace[-_]?me|changeme|dummy")


@dataclass(frozen=True)
class Kind:
    """One sort of token."""

    name: str
    pattern: re.Pattern[str]


def _kind(name: str, pattern: str, not_after: str = "A-Za-z0-9") -> Kind:
    return Kind(name, re.compile(rf"(?<![{not_after}])(?:{pattern})"))


# A text of nothing but beginnings (`sk-sk-sk-…`) is read in one go, if no token begins after a part of another.
PART = "A-Za-z0-9_-"
KINDS = (
    # huggingface.co/docs/hub/security-tokens: hf_ and 34 letters; OAuth and JWTs of the Hub after a word of their own
    _kind("a Hugging Face token", r"(?:hf_(?:oauth_|jwt_)?|api_org_)[A-Za-z0-9]{30,}"),
    _kind("an Anthropic key", r"sk-ant-[A-Za-z0-9_-]{24,}"),
    # OpenAI and those who took over its form (OpenRouter, DeepSeek …): a digit, and a long run without a separator
    _kind(
        "an API key (sk-…)",
        r"sk-(?=[A-Za-z_-]*\d)(?=[0-9_-]*[A-Za-z])(?:[a-z0-9]+-)*[A-Za-z0-9_]{20}[A-Za-z0-9_-]*",
        PART,
    ),
    _kind("a GitHub token", r"gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,}"),
    _kind("a GitLab token", r"gl(?:pat|ptt|dt|rt)-[A-Za-z0-9_-]{20,}"),
    _kind("an AWS access key", r"(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    _kind(
        "an AWS secret key",
        r"(?i:aws_?(?:secret|session)_?[a-z_]{0,20}(?:key|token))[\"']?\s{0,3}[=:]\s{0,3}[\"']?[A-Za-z0-9/+]{40,}",
    ),
    _kind("a Google API key", r"AIza[A-Za-z0-9_-]{35}"),
    _kind("a Slack token", r"xox[abeoprs]-[A-Za-z0-9-]{10,}"),
    _kind("an npm token", r"npm_[A-Za-z0-9]{36}"),
    _kind("a PyPI token", r"pypi-AgE[A-Za-z0-9_-]{50,}"),
    _kind("a Stripe key", r"[rs]k_(?:live|prod)_[A-Za-z0-9]{10,}"),
    # ours (store/teams.py), and Standard Webhooks' signing secrets
    _kind(OWN_KEY, r"tg_[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])"),
    _kind("a webhook's signing secret", r"whsec_[A-Za-z0-9+/]{32,}"),
    # trackio/server.py: token_urlsafe(32), or what TRACKIO_WRITE_TOKEN says
    _kind("a trackio write token", r"write_token=[A-Za-z0-9_.~%-]{16,}"),
    Kind("a private key", re.compile(r"-----BEGIN[ A-Z0-9_-]{0,100}PRIVATE KEY(?: BLOCK)?-----")),
)


# `https://user:PASSWORD@host/?token=TOKEN`, by names that say so
IN_ADDRESS = re.compile(
    r"(?:://[^\s/?#:@]*:(?=[^\s/?#@]*@)|(?<=[?&])(?i:[\w-]*(?:token|secret|password|key|signature|sig))=)([^\s/?#@&]+)"
)

# In a log, what stands where a secret does: it may be of any form. Not in a request, which may quote a manual.
CREDENTIALS = re.compile(
    r"(?i:\b(?:bearer|basic)\s+)(?P<token>(?=\S*\d)[A-Za-z0-9._~+/=-]{16,})|://[^\s/:@]{0,100}:(?P<password>[^\s/@]{4,300})@"
)

# What at least one of them begins with: most lines of a log hold none, and are read once instead of for each kind.
BEGINNINGS = re.compile(
    r"hf_|api_org_|sk-|gh[pousr]_|github_pat_|gl(?:pat|ptt|dt|rt)-|A3T|AKIA|ASIA|ABIA|ACCA|AIza|xox[abeoprs]-|npm_|"
    r"pypi-AgE|[rs]k_(?:live|prod)_|tg_|whsec_|write_token=|-----BEGIN|(?i:aws_?(?:secret|session))"
)


def may_hold(text: str) -> bool:
    """Whether a token may begin somewhere in a text; where this is False, none does."""
    return BEGINNINGS.search(text) is not None


def find(text: str) -> str | None:
    """The kind of the first token in a text, or None. Placeholders are no tokens."""
    return next((kind.name for kind, _ in tokens(text)), None)


def holds(text: str, parts: Iterable[str]) -> bool:
    """Whether one of `secret_parts` stands in a text."""
    return any(part in text for part in parts)


def secret_parts(values: Iterable[str]) -> list[str]:
    """What gives a secret away, longest first, so that no part of a longer one is left standing: each value and, as a
    secret of several lines shows up line by line, each of its lines; of an address, also the password and the tokens
    in it, which are printed without it; and all of these as they stand in an address and in JSON. Those under 6
    characters are left out."""
    plain = {part.strip() for value in values for part in (value, *value.splitlines(), *_in_address(value))}
    parts = {form for part in plain if len(part) >= SHORTEST_SECRET for form in (part, *_written(part))}
    return sorted(parts, key=len, reverse=True)


def _written(part: str) -> Iterator[str]:
    """How addresses, JSON and Python write it."""
    yield from (quote(part), quote(part, safe=""), quote_plus(part))
    yield from (json.dumps(part)[1:-1], json.dumps(part, ensure_ascii=False)[1:-1], repr(part)[1:-1])


def _in_address(value: str) -> Iterator[str]:
    """The password and the tokens of an address, as they stand there and as they are meant."""
    for found in IN_ADDRESS.finditer(value):
        yield from {found[1], unquote(found[1])}


def tokens(text: str) -> Iterator[tuple[Kind, re.Match[str]]]:
    """Everything that looks like a token."""
    for kind in KINDS if BEGINNINGS.search(text) is not None else ():
        for found in kind.pattern.finditer(text):
            value = found.group()
            if len(set(value)) >= FEWEST_CHARACTERS and PLACEHOLDER.search(value) is None:
                yield kind, found


def credentials(text: str) -> Iterator[tuple[int, int]]:
    """Where an authorization's token, or an address's password, stands in a line of a log."""
    for found in CREDENTIALS.finditer(text):
        yield found.span("token" if found["token"] is not None else "password")
