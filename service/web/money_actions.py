"""The forms of the money page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from service.web.action import Action, number, ticked, wholes

Fields = Mapping[str, Callable[[str], Any]]
TERMS: Fields = {"period": str, "limit_usd": number, "hard": ticked, "carry_over": ticked, "thresholds": wholes}
GRANT: Fields = {"amount_usd": number, "comment": str}
SET = "The budget is set."
GRANTED = "Granted, for this window alone: {remaining_usd} dollars are left in it."
ENDED = "The budget has ended. What was spent under it stays on record."
NO_THRESHOLDS: Mapping[str, Any] = {"thresholds": []}

ACTIONS = {
    "set-team-budget": Action("PUT", "/teams/{team}/budget", SET, TERMS, query=("user",), when_empty=NO_THRESHOLDS),
    "grant-team-budget": Action("POST", "/teams/{team}/budget/grants", GRANTED, GRANT, query=("user", "period")),
    "end-team-budget": Action("DELETE", "/teams/{team}/budget", ENDED, query=("user", "period")),
    "set-organisation-budget": Action("PUT", "/organisation/budget", SET, TERMS, when_empty=NO_THRESHOLDS),
    "grant-organisation-budget": Action("POST", "/organisation/budget/grants", GRANTED, GRANT, query=("period",)),
    "end-organisation-budget": Action("DELETE", "/organisation/budget", ENDED, query=("period",)),
    "import-bills": Action(
        "POST",
        "/billing/import",
        "{rows} rows: {matched} are jobs of this service, of which {changed} have news; {unknown} are others, "
        "{unsettled} have not been charged yet, {drifted} are billed otherwise than metered.",
        content="statement",
    ),
}
