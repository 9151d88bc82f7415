"""What is said of reasons that have no diagnosis: why a run waits, and why a rule cancelled it."""

from __future__ import annotations

from dataclasses import dataclass

from service.domain.run import Reason


@dataclass(frozen=True)
class Told:
    """`message` is the run's own, with `…` for what differs; a test finds its parts in the code."""

    meaning: str
    message: str
    remedy: str
    by_itself: str


WAITING: dict[Reason, Told] = {
    Reason.CHECKING: Told(
        "What the run names is being looked up ([preflight](runs.md#preflight)), or its script fetched; or the gates "
        "come next.",
        "… is not known yet (…): asked again every … s",
        "Nothing, as a rule: seconds. `preflight` on the run shows what is open; if Hugging Face is down, so does "
        "`/readyz`.",
        "Asks again for up to ten minutes, then goes on with what is known. Nothing is reserved meanwhile.",
    ),
    Reason.WAITING_FOR_BUDGET: Told(
        "A hard budget above the run (its user's, its team's, the organisation's) has less left than the most that its "
        "attempt can cost.",
        "needs …, … of … is free in … (… reserved, … spent…): … is missing; …",
        "Wait for the window or for a run's end (`explain` says which and when), shorten the `timeout`, take a cheaper "
        "flavor (`PATCH /runs/{id}`), or ask for a [grant](budgets.md#grants).",
        "Starts the run once the money is there: released by an ended run, granted, or a new window's.",
    ),
    Reason.WAITING_FOR_SLOT: Told(
        "As many runs are active as a limit allows: of the organisation, the namespace, the flavor, the team or the "
        "user.",
        "… of … … are active",
        "Wait for one to end, or have the [limit](budgets.md#limits-of-active-runs) raised. `explain` names the gate.",
        "Starts the run in its turn; a small one that delays nobody may go before.",
    ),
    Reason.WAITING_FOR_DEPENDENCY: Told(
        "It starts after others: its pilot, the runs in `after`, or the one whose model it goes on from.",
        "starts once … succeeded (of those in `after`)",
        "Look at the run that it waits for: `explain` names it.",
        "Starts it once they have succeeded, and cancels it (`dependency_failed`) once one cannot any more.",
    ),
    Reason.WAITING_FOR_OUTPUT: Told(
        "Another run writes to the same `output_repo`.",
        "… is being written by …; that goes first",
        "Wait, or submit it with another `output_repo`.",
        "Starts it when the other one has ended.",
    ),
    Reason.AWAITING_APPROVAL: Told(
        "A rule of the team wants that somebody looks at it: its cost, its flavor, a user's first run, or the numbers "
        "of its pilot.",
        "…: a lead or an admin approves or refuses it before …",
        "A lead sends `POST /runs/{id}/approve` or `/refuse`.",
        "Cancels it (`approval_expired`) when nobody has said anything in time. No money is held meanwhile.",
    ),
    Reason.PAUSED: Told(
        "A person holds it: the run, its team, or the whole queue.",
        "paused by …: it starts in its turn once it is resumed",
        "Whoever may pause it resumes it: `POST …/resume` of the run, the team (lead) or the queue (admin).",
        "Nothing: a pause has no end of its own. What runs already goes on, unless the run itself was paused.",
    ),
    Reason.BACKING_OFF: Told(
        "Hugging Face did not take the job, or it could not be prepared, and it is certain that none was made; or a "
        "failed attempt is tried again after a pause.",
        "Hugging Face did not take the job: …; the next try is at …",
        "Read what Hugging Face said. If it is about the token that jobs get, an admin puts that right.",
        "Tries a create call again after 5 s, then ever later, at most five minutes apart; a failed attempt as its "
        "[retries](repair.md#retries) say. The money is free meanwhile.",
    ),
    Reason.NO_CAPACITY: Told(
        "The hardware was not free for hours; the job was stopped before it cost anything, and the run is queued "
        "again.",
        "Hugging Face had no such hardware free within … h: queued again; another flavor may be free sooner",
        "Take another flavor (`PATCH /runs/{id}`), or wait.",
        "Submits it again in its turn. `TUNEGATE_MAX_SCHEDULING_SECONDS` is the patience.",
    ),
    Reason.PRICE_UNKNOWN: Told(
        "Nobody knows what the flavor costs now, so nothing can be reserved.",
        "Hugging Face has not told the price of … for a day: it is asked for again every 30 s",
        "See whether `GET /flavors` still has the flavor; if it has none at all, the control token or the network is "
        "at fault (`/readyz`).",
        "Asks again, and starts the run once the price is there.",
    ),
    Reason.CANCEL_REQUESTED: Told(
        "Somebody asked for its end, which is on its way.",
        "being stopped: …",
        "Nothing. `message` says who asked.",
        "Repeats the cancel until Hugging Face confirms that the job has ended, then charges its minutes.",
    ),
}

CANCELLED: dict[Reason, Told] = {
    Reason.DEPENDENCY_FAILED: Told(
        "A run in `after`, or the one that it follows, has not succeeded, or its pilot was cancelled.",
        "…",
        "Mend the other run, then `POST /runs/{id}/retry` of this one with the new one in `after`.",
        "Cancels all that come after it, one by one.",
    ),
    Reason.PARENT_ENDED: Told(
        "It was a pilot, and its run ended without it.",
        "…",
        "Look at the run that it belonged to.",
        "Nothing more.",
    ),
    Reason.APPROVAL_REFUSED: Told(
        "A lead or an admin said no.", "…", "Read `approval.comment` on the run.", "Nothing more."
    ),
    Reason.APPROVAL_EXPIRED: Told(
        "Nobody said anything within the team's `expires_after`.",
        "nobody approved it in time",
        "Submit it again (`POST /runs/{id}/retry`), and tell a lead: the event `run.awaiting_approval` can go to a "
        "chat.",
        "Nothing more.",
    ),
    Reason.START_BEFORE_PASSED: Told(
        "It had not started by its `start_before`.",
        "it had not started by its start_before",
        "Submit it again with a later time, or without one.",
        "Stops it also while it waits for hardware; one that is found running is left alone.",
    ),
    Reason.STOPPED_EARLY: Told(
        "It is a point of a sweep with `early_stopping`, and enough others had a lower loss after as many evaluations.",
        "… evaluations… its loss … is in place …, and … on",
        "Nothing: `GET /sweeps/{id}` shows who went on. `POST /runs/{id}/retry` trains it to its end all the same.",
        "Charges its minutes; the rest of its money is the sweep's again.",
    ),
    Reason.SWEEP_SPENT: Told(
        "It is a point of a sweep, and of the sweep's `max_cost_usd` less is left than it may cost.",
        "… it may cost …, and of the sweep's … are spent",
        "`POST /runs/{id}/retry` trains it beside the sweep; or make another sweep of the points that are left. While "
        "a sweep goes on, `PATCH /sweeps/{id}` raises its cap.",
        "Ends what would wait for ever, so that the sweep has an end.",
    ),
    Reason.TEAM_STOPPED: Told(
        "Somebody used the team's kill switch.",
        "…",
        "Ask the lead; then `POST /runs/{id}/retry`.",
        "Ends each job, charges its minutes, releases the rest.",
    ),
}
