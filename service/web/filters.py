"""The words of all pages, as templates take them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.web.origin_words import trains
from service.web.record_words import changed, entered, outcome, outcome_means, period
from service.web.run_words import (
    about,
    confidence,
    gate,
    linked,
    name_of,
    place_in_line,
    setting,
    short,
    state_word,
)
from service.web.wording import address, data, duration, moment, number, sentence, share, signed, size, span, usd, words

FILTERS: dict[str, Callable[..., Any]] = {
    "usd": usd,
    "number": number,
    "duration": duration,
    "moment": moment,
    "words": words,
    "state_word": state_word,
    "name_of": name_of,
    "about": about,
    "short": short,
    "trains": trains,
    "linked": linked,
    "place_in_line": place_in_line,
    "data": data,
    "address": address,
    "size": size,
    "gate": gate,
    "setting": setting,
    "confidence": confidence,
    "outcome": outcome,
    "outcome_means": outcome_means,
    "period": period,
    "share": share,
    "signed": signed,
    "changed": changed,
    "sentence": sentence,
    "entered": entered,
    "span": span,
}
