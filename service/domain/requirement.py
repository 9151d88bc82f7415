"""Packages that a script wants: requirements by PEP 508 that a job can install, and that do not rule each other out."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import Specifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from service.domain.errors import BrokenRule, SecretInText
from service.domain.target import url_refusal

EXAMPLE = "Write it as 'torch>=2.5', 'trl[peft]' or 'name @ https://host/name.whl'."
PUBLIC = "Name a release, or a public https:// or git+https:// address."
NEAR = (
    (re.compile(r"(pip|uv pip|uv add)\s+install\b.*|uv\s+add\b.*"), "Name the packages alone, one in each item."),
    (re.compile(r"-.*|.*\s--?[a-z].*"), "Leave pip's options out: each item is one package."),
    (re.compile(r"[\w.-]+=[^=].*"), "A version is pinned with two equals signs: torch==2.1."),
    (re.compile(r"[\w.-]+\s+\d.*"), "A version stands behind a sign: torch==2.1, torch>=2.1."),
    (re.compile(r"(?s)[^@]+[,\n][^=<>!~]+"), "Send each package as an item of its own."),
    (re.compile(r"[a-z+]+://.*"), "An address stands behind the package's name: name @ https://…"),
)


def read_requirement(text: str) -> Requirement:
    """One requirement. Raises BrokenRule for a text that is none, or one that a job could not install."""
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        remedy = next((told for form, told in NEAR if form.fullmatch(text.strip())), EXAMPLE)
        raise BrokenRule(
            f"'{text[:200]}' is not a requirement (PEP 508): {str(error).splitlines()[0]}", remedy
        ) from None
    if requirement.url is not None:
        _check_address(requirement.name, requirement.url)
    return requirement


def check_together(requirements: Iterable[Requirement]) -> None:
    """Raise BrokenRule where no version of a package meets all that is asked of it."""
    asked: dict[tuple[str, str], list[Requirement]] = defaultdict(list)
    for one in requirements:
        asked[canonicalize_name(one.name), str(one.marker or "")].append(one)
    for (name, marker), same in asked.items():
        if marker:  # what holds under some condition, and always, counts together
            same = [*same, *asked.get((name, ""), [])]
        if len({one.url for one in same if one.url is not None}) > 1:
            raise BrokenRule(f"'{name}' is asked for from two addresses", "Name one of them.")
        wanted = SpecifierSet(",".join(filter(None, (str(one.specifier) for one in same))))
        if not _can_be_met(wanted):
            told = " and ".join(dict.fromkeys(str(one) for one in same))
            raise BrokenRule(f"no version of '{name}' meets {told}", "Ask for one range of versions, in one place.")


def _check_address(name: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        user, password = parts.username, parts.password
    except ValueError as error:
        raise BrokenRule(f"the address of '{name}' cannot be read: {error}", PUBLIC) from None
    if password or (user and parts.scheme.endswith("https")):
        raise BrokenRule(
            f"the address of '{name}' holds a user's name or password, which everybody could read",
            "Take it out; what is private is installed by the script itself, with a token out of 'secrets'.",
            kind=SecretInText,
        )
    if parts.scheme not in ("https", "git+https"):
        what = f"is {parts.scheme}:" if parts.scheme else "is a path of your own machine"
        raise BrokenRule(f"the address of '{name}' {what}, and a job cannot reach it", PUBLIC)
    if (refusal := url_refusal(url.removeprefix("git+"), (), f"the address of '{name}'")) is not None:
        raise BrokenRule(refusal, PUBLIC)


def _can_be_met(wanted: SpecifierSet) -> bool:
    """Whether any version is within. Ranges begin and end at the versions that they name, so these and what lies right
    above them are all that needs to be tried."""
    if any(one.operator == "===" for one in wanted):
        return True
    return any(wanted.contains(version, prereleases=True) for version in _tried(tuple(wanted)))


def _tried(specifiers: Sequence[Specifier]) -> Iterator[Version]:
    yield from (Version("0.0.1"), Version("99999"))
    for one in specifiers:
        try:
            version = Version(one.version.removesuffix(".*"))
        except InvalidVersion:
            continue
        yield version
        release = version.release
        for at in range(len(release)):  # where a family of versions (`2.1.*`, `~=2.1`) ends
            yield Version(".".join(map(str, (*release[:at], release[at] + 1))))
        for above in range(1, 1 + len(specifiers)):  # as many, as each may exclude one
            yield Version(".".join(map(str, (*release, 0, 0, above))))
