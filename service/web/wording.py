"""How pages write figures, times and codes: dollars, durations, sizes. No number is made here."""

from __future__ import annotations

import json
from typing import Any

from markupsafe import Markup, escape

UNKNOWN = "not known yet"

CAUSES = {"cuda_oom": "out of GPU memory", "host_oom": "out of memory", "job_timeout": "timed out"}


def usd(amount: float | None, digits: int = 2) -> str:
    """Dollars: two digits in tables, more where two would say nothing; an unknown amount is said to be one."""
    if amount is None:
        return UNKNOWN
    if not amount:
        digits = 2
    elif abs(amount) < 0.01 and digits == 2:
        digits = 4 if abs(amount) >= 0.0001 else 6
    elif abs(amount) < 0.001 and digits == 4:
        digits = 6
    return f"{'−' if amount < 0 else ''}${abs(amount):,.{digits}f}"


def number(value: float | None) -> str:
    """A figure: whole ones with thousands apart, others as short as they are exact enough to be read."""
    if value is None:
        return UNKNOWN
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"


def size(count: float | None) -> str:
    """Bytes: `3 KB`, `1.2 GB`."""
    if count is None:
        return UNKNOWN
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "KB")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count:.0f} bytes"


def duration(seconds: float | None) -> str:
    """`45 s`, `12 min`, `3 h 20 min`, `2 days 4 h`."""
    if seconds is None:
        return UNKNOWN
    whole = round(seconds)
    days, hours, minutes = whole // 86_400, whole % 86_400 // 3_600, whole % 3_600 // 60
    if days:
        return f"{days} day{'s' if days > 1 else ''}" + (f" {hours} h" if hours else "")
    if hours:
        return f"{hours} h" + (f" {minutes} min" if minutes else "")
    return f"{minutes} min" if whole >= 120 else f"{whole} s" if whole < 60 else f"1 min {whole - 60} s"


def span(seconds: int) -> str:
    """A duration as people would type it: `7d`, `36h`, `90s`."""
    unit = next(one for one in ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")) if seconds % one[0] == 0)
    return f"{seconds // unit[0]}{unit[1]}"


def moment(value: str | None, show: str = "moment") -> Markup:
    """A time of the wire as an element: written in UTC, shown by static/live.js in the reader's zone. `show`: `moment`
    (a day and a minute), `day`, `clock` (the minute, with the day where it is another), `ago`, `left`."""
    if value is None:
        return escape(UNKNOWN)
    plain = f"{value[:10]} {value[11:16]} UTC"
    return Markup('<time datetime="{}" data-show="{}">{}</time>').format(value, show, plain)


def words(code: str | None) -> str:
    """A snake_case code as words: a cause, an event, a kind."""
    return "" if code is None else CAUSES.get(code, code.replace("_", " "))


def sentence(text: str) -> str:
    """What the API says in half a sentence, as a whole one."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def address(url: str | None) -> str | None:
    """An address that a link may lead to: a web page's. What a job's log calls one may be anything."""
    return url if url and url.startswith(("https://", "http://")) else None


def share(part: float | None) -> str:
    """A part of a whole, from 0 to 1, in percent."""
    return UNKNOWN if part is None else f"{100 * part:.0f} %" if part >= 0.01 or not part else "under 1 %"


def signed(amount: float | None) -> str:
    """Dollars more or less than expected."""
    return usd(amount) if not amount or amount < 0 else f"+{usd(amount)}"


def percent(part: float | None, whole: float | None) -> float:
    """How much of a whole, from 0 to 100, for bars."""
    return 0.0 if not part or not whole else round(min(100.0, max(0.0, 100 * part / whole)), 2)


def data(value: Any) -> Markup:
    """JSON for a data block of a page: what it holds cannot end the block."""
    return Markup(json.dumps(value).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))  # noqa: S704
