"""The forms of the admin pages, by what they change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from service.web.action import Action, counts, lines, number, ticked, utc, whole

Fields = Mapping[str, Callable[[str], Any]]
NEW_KEY: Fields = {"name": str, "user": str, "expires_at": utc}
SHOWN_KEY, SHOWN_SECRET = "shown/key.html", "shown/secret.html"
REVOKED = "The key is revoked: it is refused from now on."
ROTATION: Fields = {"overlap_hours": number, "expires_at": utc}

TEAMS = {
    "create-team": Action(
        "POST",
        "/teams",
        "The team is there. It has no money until a budget is granted.",
        {"name": str},
        leads_to="/ui/admin/teams/{name}",
    ),
    "change-team": Action("PATCH", "/teams/{team}", "Saved.", {"weight": number, "time_zone": str}),
    "set-limits": Action(
        "PUT",
        "/teams/{team}/limits",
        "The limits count for what starts from now on.",
        {"max_concurrent_runs": whole, "max_concurrent_runs_per_user": whole},
    ),
    "set-rules": Action(
        "PUT",
        "/teams/{team}/approval-rules",
        "The rules hold for runs submitted or changed from now on.",
        {"cost_over_usd": number, "flavors": lines, "first_run_of_user": ticked, "expires_after": str},
    ),
    "stop-team": Action(
        "POST",
        "/teams/{team}/cancel-runs",
        "Runs that are asked to end: {runs}.",
        {"pause": ticked},
    ),
    "archive-team": Action("POST", "/teams/{team}/archive", "The team takes no more runs.", {"runs": str}),
    "unarchive-team": Action("POST", "/teams/{team}/unarchive", "The team takes runs again."),
}
KEYS = {
    "create-key": Action(
        "POST", "/teams/{team}/keys", "", {**NEW_KEY, "role": str}, shows=SHOWN_KEY, every=("scopes",)
    ),
    "rotate-key": Action("POST", "/teams/{team}/keys/{key_id}/rotate", "", ROTATION, shows=SHOWN_KEY),
    "revoke-key": Action("DELETE", "/teams/{team}/keys/{key_id}", REVOKED),
    "create-admin-key": Action("POST", "/organisation/keys", "", NEW_KEY, shows=SHOWN_KEY, every=("scopes",)),
    "rotate-admin-key": Action("POST", "/organisation/keys/{key_id}/rotate", "", ROTATION, shows=SHOWN_KEY),
    "revoke-admin-key": Action("DELETE", "/organisation/keys/{key_id}", REVOKED),
    "shut-out": Action(
        "PUT", "/teams/{team}/users/{user}", "Saved: whether anything of theirs is taken.", {"shut_out": ticked}
    ),
}
SECRETS = {
    "set-secret": Action(
        "PUT",
        "/teams/{team}/secrets/{name}",
        "Kept. The next attempt of each run that names it gets it.",
        {"value": str},
    ),
    "delete-secret": Action("DELETE", "/teams/{team}/secrets/{name}", "The secret is wiped."),
    "set-credentials": Action(
        "PUT",
        "/teams/{team}/hf-credentials",
        "Checked and sealed: runs submitted from now on use them.",
        {"control_token": str, "job_token": str, "namespaces": lines, "allow_broad_job_token": ticked},
    ),
    "check-credentials": Action("POST", "/teams/{team}/hf-credentials/check", "Hugging Face was asked again."),
    "delete-credentials": Action(
        "DELETE", "/teams/{team}/hf-credentials", "The team's next runs use the service's tokens."
    ),
}
ORGANISATION = {
    "change-organisation": Action(
        "PATCH",
        "/organisation",
        "Saved.",
        {
            "time_zone": str,
            "max_concurrent_runs": whole,
            "max_concurrent_runs_by_flavor": counts,
            "max_concurrent_runs_by_namespace": counts,
            "counts_outside": ticked,
        },
        when_empty={
            "max_concurrent_runs": None,
            "max_concurrent_runs_by_flavor": {},
            "max_concurrent_runs_by_namespace": {},
        },
    ),
}
ENDPOINTS = {
    "create-endpoint": Action(
        "POST",
        "/webhooks",
        "",
        {"kind": str, "url": str, "description": str, "team": str, "run_id": str, "secret": str},
        shows=SHOWN_SECRET,
        every=("events",),
    ),
    "change-endpoint": Action(
        "PATCH",
        "/webhooks/{endpoint_id}",
        "Saved.",
        {"url": str, "description": str},
        every=("events",),
        when_empty={"description": None},
    ),
    "switch-endpoint": Action("PATCH", "/webhooks/{endpoint_id}", "Saved.", {"enabled": ticked}),
    "rotate-secret": Action(
        "POST", "/webhooks/{endpoint_id}/rotate-secret", "", {"overlap_hours": whole}, shows=SHOWN_SECRET
    ),
    "remove-endpoint": Action(
        "DELETE", "/webhooks/{endpoint_id}", "Removed, with its deliveries.", leads_to="/ui/admin/endpoints"
    ),
    "test-endpoint": Action(
        "POST",
        "/webhooks/{endpoint_id}/test",
        "The test was sent, and is {state}: its line says what came back.",
        failed={"state": "failed"},
    ),
    "redeliver": Action(
        "POST", "/webhooks/{endpoint_id}/deliveries/{delivery_id}/redeliver", "It is sent again, as it was."
    ),
    "redeliver-since": Action(
        "POST",
        "/webhooks/{endpoint_id}/redeliver",
        "Sent again: {deliveries}.",
        {"since": utc, "include_delivered": ticked},
    ),
}
ACTIONS = {**TEAMS, **KEYS, **SECRETS, **ORGANISATION, **ENDPOINTS}
