"""Whatever a caller writes, its readers understand it or say so in our own words; what they understand comes back."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.utils import canonicalize_name
from pydantic import TypeAdapter, ValidationError

from service.api import events, logs
from service.api.pages import MAX_DIGITS, decode, decode_number, encode, page_of
from service.domain.body import AwareMoment
from service.domain.duration import MAX_SECONDS, UNITS, Seconds, parse_duration
from service.domain.errors import BrokenRule, Invalid, MalformedBody, ServiceError
from service.domain.header import Header, parse
from service.domain.image import DEFAULT_ALLOWED, ImageName, image_refusal
from service.domain.json_text import read_json
from service.domain.rate import Rate, parse_rate
from service.domain.request import check_labels
from service.domain.requirement import check_together, read_requirement
from service.domain.target import address_refusal, url_refusal

OURS = (BrokenRule, ServiceError, ValidationError)
MOMENT: TypeAdapter[datetime] = TypeAdapter(AwareMoment)
IMAGE: TypeAdapter[str] = TypeAdapter(ImageName)
DURATION: TypeAdapter[int] = TypeAdapter(Seconds)
# Each reader, with what it is nearly given.
READERS: dict[str, tuple[Callable[[Any], object], str]] = {
    "header": (parse, '# /// script\n# dependencies = ["a>=1"]\n# requires-python = ">=3.11"\n# [tool.uv]\n# ///\n'),
    "cursor": (decode, "cnVuXzAxTTg"),
    "number in a cursor": (decode_number, "MTIz"),
    "Last-Event-ID of events": (lambda text: events._start(None, text), "123"),
    "Last-Event-ID of logs": (logs._place_after, "12:345"),
    "duration": (parse_duration, "1.5h"),
    "moment": (MOMENT.validate_python, "2026-12-01T00:00:00+01:00"),
    "image": (IMAGE.validate_python, "ghcr.io/astral-sh/uv:python3.12-bookworm@sha256:" + "0" * 64),
    "requirement": (read_requirement, "trl[peft]>=1.0,<2; python_version < '3.13'"),
    "requirement by address": (read_requirement, "a @ git+https://user@host.example:8443/a.whl#sha256=0"),
    "label": (lambda text: check_labels({text: text}), "project.name-1"),
    "target": (lambda text: url_refusal(text, ("10.0.0.0/8", "host")), "https://[::ffff:10.0.0.1%25eth0]:8443/x?y#z"),
}


ODD = ["\0", "\n", "\r", "%", "[", "'", "@", "\\", "\ud800", "٣", "é"]


@st.composite
def nearly(draw: st.DrawFn, text: str) -> str:
    """A good text with a few signs changed, doubled or gone, or any text at all."""
    if draw(st.integers(0, 4)) == 0:
        return draw(st.text(max_size=60))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        new = draw(
            st.text(max_size=2) | st.sampled_from(["\0", "\n", "\r", "%", "[", "'", "@", "\\", "\ud800", "٣", "é"])
        )
        text = text[:at] + new + text[at + draw(st.integers(0, 2)) :]
    return text


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=60)
@given(data=st.data())
def test_nothing_comes_out_but_our_own_errors(name: str, data: st.DataObject) -> None:
    read, good = READERS[name]
    text = data.draw(nearly(good))
    with contextlib.suppress(*OURS):
        read(text)


def test_the_good_ones_are_read() -> None:
    for name, (read, good) in READERS.items():
        if name != "requirement by address":
            read(good)


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=60))
def test_a_cursor_leads_back_to_its_key(key: str) -> None:
    assert decode(encode(key)) == key
    assert encode(key).isascii()


@given(st.integers(0, 10**MAX_DIGITS - 1))
def test_a_cursor_leads_back_to_its_number(number: int) -> None:
    assert decode_number(encode(number)) == number
    assert events._start(None, str(number)) == number


@given(st.integers(0, 30), st.integers(1, 10))
def test_pages_cut_a_list_and_lose_nothing(length: int, limit: int) -> None:
    found: list[int] = []
    following: str | None = encode(-1)
    while following is not None:
        start = int(decode(following) or "")
        rows = [number for number in range(length) if number > start][: limit + 1]
        shown, has_more, following = page_of(rows, limit, lambda number: number)
        assert has_more == (following is not None)
        found += shown
    assert found == list(range(length))


@given(st.integers(60, MAX_SECONDS), st.sampled_from(sorted(UNITS)), st.sampled_from(["", " "]))
def test_a_duration_that_is_written_out_is_itself(seconds: int, unit: str, gap: str) -> None:
    whole = seconds // UNITS[unit] * UNITS[unit]
    if whole >= 60:
        assert DURATION.validate_python(f"{whole // UNITS[unit]}{gap}{unit}") == whole
    assert DURATION.validate_python(seconds) == seconds


@given(st.floats() | st.booleans() | st.integers() | st.none() | st.lists(st.integers()) | st.binary())
def test_a_duration_is_whole_seconds_within_bounds_or_none(value: object) -> None:
    try:
        seconds = DURATION.validate_python(value)
    except OURS:
        return
    assert type(seconds) is int
    assert 60 <= seconds <= MAX_SECONDS


@settings(max_examples=40)
# an hour that a zone leaves out in spring is equal to no other moment (PEP 495)
@given(st.datetimes(timezones=st.timezones(), allow_imaginary=False) | st.datetimes(timezones=st.just(UTC)))
def test_a_moment_is_itself_in_any_zone(moment: datetime) -> None:
    try:
        read = MOMENT.validate_python(moment.isoformat())
    except OURS:
        assert moment.year in (1, 9999) or moment.utcoffset() is not None
        return
    # of a time that a change of the clocks brings twice, or skips, Python says that it equals none of another zone
    assert (read, read.tzinfo) == (moment.astimezone(UTC), UTC)


NAME = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,20}[A-Za-z0-9])?", fullmatch=True)
VERSION = st.builds(lambda parts: ".".join(map(str, parts)), st.lists(st.integers(0, 50), min_size=1, max_size=3))


@settings(max_examples=40)
@given(NAME, VERSION, st.lists(NAME, max_size=2, unique=True))
def test_a_requirement_is_itself(name: str, version: str, extras: list[str]) -> None:
    wanted = f"{name}[{','.join(extras)}]>={version}" if extras else f"{name}>={version}"
    read = read_requirement(wanted)
    assert (canonicalize_name(read.name), str(read.specifier)) == (canonicalize_name(name), f">={version}")
    assert read_requirement(str(read)) == read
    check_together([read, read])


@settings(max_examples=40)
@given(st.lists(st.tuples(NAME, VERSION), max_size=5), st.text(st.characters(codec="utf-8"), max_size=60))
def test_a_headers_requirements_are_themselves(wanted: list[tuple[str, str]], rest: str) -> None:
    listed = [f"{name}=={version}" for name, version in wanted]
    lines = [f"dependencies = {json.dumps(listed)}", 'requires-python = ">=3.11"']
    source = "# /// script\n" + "".join(f"# {line}\n" for line in lines) + "# ///\n"
    assert parse(source) == Header(requires_python=">=3.11", dependencies=tuple(listed))
    if "///" not in rest:
        assert parse(source + "x = 1\n" + rest) == parse(source)


@given(nearly("ghcr.io/astral-sh/uv:python3.12-bookworm"))
def test_no_image_is_run_that_is_none(image: str) -> None:
    if image_refusal(image, DEFAULT_ALLOWED) is None:
        assert image.startswith("ghcr.io/astral-sh/uv:")
        assert not set(image) & set(" \n\r\t\0'\"$;&|`%\\")
        assert "spaces" not in image.partition("/")[0]


@given(st.ip_addresses().filter(lambda one: not one.is_global))
def test_no_private_address_is_called(address: Any) -> None:
    assert address_refusal("name.example", [str(address)], ()) is not None
    host = f"[{address}]" if address.version == 6 else str(address)
    assert url_refusal(f"https://{host}/x", ()) is not None
    assert url_refusal(f"https://user:x@{host}/x", (str(address),)) is not None


@given(st.integers(1, 10**9 - 1), st.sampled_from(["second", "minute", "hour", "day"]))
def test_a_rate_is_itself(quota: int, unit: str) -> None:
    rate = parse_rate(f"{quota}/{unit}")
    assert rate == Rate(quota, {"second": 1, "minute": 60, "hour": 3600, "day": 86400}[unit])


LEAVES = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=10)
VALUES = st.recursive(
    LEAVES | TEXTS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)
)


@settings(max_examples=40)
@given(st.dictionaries(TEXTS, VALUES, max_size=4), st.booleans())
def test_a_body_is_itself(body: dict[str, Any], is_ascii: bool) -> None:
    assert read_json(json.dumps(body, ensure_ascii=is_ascii).encode()) == body


NEARLY_JSON = nearly('{"a": [1, {"b": "\\u00e9"}], "a": 1e5}').map(lambda text: text.encode(errors="replace"))


@given(st.binary(max_size=80) | NEARLY_JSON)
def test_a_body_is_an_object_or_a_problem(body: bytes) -> None:
    with contextlib.suppress(MalformedBody, Invalid):
        value = read_json(body)
        assert value == json.loads(body)
        assert all(math.isfinite(one) for one in value.values() if isinstance(one, float))
