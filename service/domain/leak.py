"""Secrets in text: what looks like a token, and where a run's own secret values stand. The only list of patterns.

The forms are the vendors' own as gitleaks has them (github.com/gitleaks/gitleaks, config/gitleaks.toml), kept to those
with a prefix of their own: hex of some length is as often a commit. A finding says which kind, never the value.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from urllib.parse import unquote

MASK = "[secret]"
# Anything shorter is found in innocent words.
SHORTEST_SECRET = 6
# Of a secret that is cut by a line's end, less than this is found at the end of too many lines.
SHORTEST_BEGINNING = 3

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
    _kind("a key of this service", r"tg_[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])"),
    _kind("a webhook's signing secret", r"whsec_[A-Za-z0-9+/]{32,}"),
    # trackio/server.py: token_urlsafe(32), or what TRACKIO_WRITE_TOKEN says
    _kind("a trackio write token", r"write_token=[A-Za-z0-9_.~%-]{16,}"),
    Kind("a private key", re.compile(r"-----BEGIN[ A-Z0-9_-]{0,100}PRIVATE KEY(?: BLOCK)?-----")),
)


# `https://user:PASSWORD@host/?token=TOKEN`, by names that say so
IN_ADDRESS = re.compile(
    r"(?:://[^\s/?#:@]*:(?=[^\s/?#@]*@)|(?<=[?&])(?i:[\w-]*(?:token|secret|password|key|signature|sig))=)([^\s/?#@&]+)"
)

# What at least one of them begins with: most lines of a log hold none, and are read once instead of for each kind.
BEGINNINGS = re.compile(
    r"hf_|api_org_|sk-|gh[pousr]_|github_pat_|gl(?:pat|ptt|dt|rt)-|A3T|AKIA|ASIA|ABIA|ACCA|AIza|xox[abeoprs]-|npm_|"
    r"pypi-AgE|[rs]k_(?:live|prod)_|tg_|whsec_|write_token=|-----BEGIN|(?i:aws_?(?:secret|session))"
)


def find(text: str) -> str | None:
    """The kind of the first token in a text, or None. Placeholders are no tokens."""
    return next((kind.name for kind, _ in _tokens(text)), None)


def holds(text: str, parts: Iterable[str]) -> bool:
    """Whether one of `secret_parts` stands in a text."""
    return any(part in text for part in parts)


def secret_parts(values: Iterable[str]) -> list[str]:
    """What gives a secret away, longest first, so that no part of a longer one is left standing: each value and, as a
    secret of several lines shows up line by line, each of its lines; of an address, also the password and the tokens
    in it, which are printed without it. Those under 6 characters are left out."""
    parts = {part.strip() for value in values for part in (value, *value.splitlines(), *_in_address(value))}
    return sorted((part for part in parts if len(part) >= SHORTEST_SECRET), key=len, reverse=True)


def _in_address(value: str) -> Iterator[str]:
    """The password and the tokens of an address, as they stand there and as they are meant."""
    for found in IN_ADDRESS.finditer(value):
        yield from {found[1], unquote(found[1])}


def mask(text: str, parts: Iterable[str]) -> str:
    """A text with every one of `secret_parts` taken out."""
    for part in parts:
        text = text.replace(part, MASK)
    return text


def mask_lines(lines: Sequence[str], parts: Sequence[str]) -> list[str]:
    """Lines of a log with every one of `secret_parts` taken out, also where one goes on from a line to the next (a long
    line may come in pieces), and everything that looks like a token."""
    across = _across(lines, parts)
    return [mask_tokens(mask(_cut(line, across.get(index, ())), parts)) for index, line in enumerate(lines)]


def may_go_on(line: str, parts: Iterable[str]) -> bool:
    """Whether a secret may have begun at the end of a line, to go on in the next one."""
    return any(line.endswith(part[:length]) for part in parts for length in range(SHORTEST_BEGINNING, len(part)))


def _across(lines: Sequence[str], parts: Sequence[str]) -> dict[int, list[tuple[int, int]]]:
    """Where secrets stand that cross the border of two lines or more: by the line's index, from and to."""
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    if len(lines) < 2 or not parts:
        return found
    starts = list(accumulate(map(len, lines), initial=0))
    whole = "".join(lines)
    for part in parts:
        at = whole.find(part)
        while at >= 0:
            first, last = bisect_right(starts, at) - 1, bisect_left(starts, at + len(part)) - 1
            if first != last:
                for index in range(first, last + 1):
                    begin = max(0, at - starts[index])
                    found[index].append((begin, min(len(lines[index]), at + len(part) - starts[index])))
            at = whole.find(part, at + 1)
    return found


def mask_tokens(text: str) -> str:
    """A text with everything that looks like a token taken out."""
    return _cut(text, [found.span() for _, found in _tokens(text)])


def _cut(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """A text with these parts masked; those that touch become one."""
    pieces, done = [], 0
    for begin, end in sorted(spans):
        if end <= done:
            continue
        if begin >= done:
            pieces += [text[done:begin], MASK] if begin < end else [text[done:begin]]
        done = end
    return "".join([*pieces, text[done:]])


def _tokens(text: str) -> Iterator[tuple[Kind, re.Match[str]]]:
    for kind in KINDS if BEGINNINGS.search(text) is not None else ():
        for found in kind.pattern.finditer(text):
            value = found.group()
            if len(set(value)) >= FEWEST_CHARACTERS and PLACEHOLDER.search(value) is None:
                yield kind, found
