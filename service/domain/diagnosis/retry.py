"""Whether to try again."""

from __future__ import annotations

from enum import StrEnum


class Retry(StrEnum):
    """`same`: an unchanged automatic retry is sensible, the fault was not the run's. `changed`: settings, inputs, a
    secret, the image or dependencies must change first. `never`: a person must act (own code, money, a licence, an own
    cancel)."""

    SAME = "same"
    CHANGED = "changed"
    NEVER = "never"
