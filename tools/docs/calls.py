"""The examples of `docs/api.md`: what fills an address, and what is sent. Tests make each of these calls."""

from __future__ import annotations

import json
from typing import Any

from service.domain.access import Role

# By role, the header that the pages name so.
HEADERS = {Role.VIEWER: "$AUTH", Role.MEMBER: "$AUTH", Role.LEAD: "$LEAD", Role.ADMIN: "$ADMIN"}
FILLED = {
    "run_id": "$RUN",
    "other_id": "$RUN",
    "team": "research",
    "key_id": "$KEY_ID",
    "endpoint_id": "$HOOK",
    "schedule_id": "$SCHEDULE",
    "trigger_id": "$TRIGGER",
    "sweep_id": "$SWEEP",
    "delivery_id": "$DELIVERY",
    "user": "bob@acme.com",
    "name": "wandb",
    "attempt": "1",
    "token": "$TOKEN",
}
# Calls that would end what the other examples need are about another team.
ELSEWHERE = {"archive", "unarchive", "cancel-runs"}
# A member's own key alone; the example is about another's.
FOR_LEADS = {"/teams/{team}/keys/{key_id}", "/teams/{team}/keys/{key_id}/rotate"}
QUERIES = {
    ("get", "/runs"): "?state=succeeded&label=project=first-steps&limit=10",
    ("get", "/runs/{run_id}/logs"): "?tail=20",
    ("get", "/events"): "?type=run.*",
    ("get", "/teams/{team}/budget"): "?period=month",
    ("delete", "/teams/{team}/budget"): "?period=week&user=alice@acme.com",
    ("delete", "/organisation/budget"): "?period=week",
    ("get", "/usage"): "?group_by=team,day",
    ("get", "/audit"): "?actor=mira@acme.com",
    ("get", "/webhooks/{endpoint_id}/deliveries"): "?state=failed",
}
SCRIPT = {"recipe": {"kind": "script", "source": "print(1)"}, "flavor": "cpu-basic", "timeout": "10m"}
BODIES: dict[tuple[str, str], Any] = {
    ("post", "/runs"): {**SCRIPT, "labels": {"project": "first-steps"}},
    ("patch", "/runs/{run_id}"): {"priority": 90},
    ("post", "/runs/{run_id}/retry"): {"overrides": {"timeout": "20m", "max_cost_usd": 0.02}},
    ("post", "/runs/{run_id}/rescue"): {"output_repo": "acme/tiny-chat-rescued"},
    ("post", "/runs/{run_id}/then"): {
        "then": [{"kind": "smoke_test", "prompts": ["Who are you?"], "flavor": "cpu-basic", "timeout": "5m"}]
    },
    ("post", "/callbacks/{run_id}/{attempt}/{token}"): {"step": 20, "total_steps": 100, "loss": 1.83},
    ("post", "/estimates"): {
        "recipe": {
            "kind": "trl_sft",
            "model_name_or_path": "HuggingFaceTB/SmolLM3-3B-Base",
            "dataset_name": "HuggingFaceTB/smoltalk2_everyday_convs_think",
            "args": {"max_steps": 1000},
        },
        "flavor": "a10g-large",
    },
    ("post", "/runs/{run_id}/approve"): {"comment": "go"},
    ("post", "/runs/{run_id}/refuse"): {"comment": "after the demo"},
    ("post", "/teams/{team}/cancel-runs"): {"pause": True},
    ("put", "/teams/{team}/approval-rules"): {"cost_over_usd": 5, "flavors": ["h200"], "expires_after": "3d"},
    ("post", "/teams"): {"name": "interns"},
    ("patch", "/teams/{team}"): {"weight": 2, "time_zone": "Europe/Berlin"},
    ("post", "/teams/{team}/archive"): {"runs": "drain"},
    ("post", "/teams/{team}/keys"): {"name": "ci", "role": "member", "scopes": ["runs:write"]},
    ("post", "/teams/{team}/keys/{key_id}/rotate"): {"overlap_hours": 24},
    ("post", "/organisation/keys"): {"name": "prometheus", "scopes": ["service:read"]},
    ("post", "/organisation/keys/{key_id}/rotate"): {"overlap_hours": 24},
    ("put", "/teams/{team}/users/{user}"): {"shut_out": True},
    ("put", "/teams/{team}/hf-credentials"): {
        "control_token": "hf_labs",
        "job_token": "hf_labs_job",
        "namespaces": ["labs"],
    },
    ("put", "/teams/{team}/secrets/{name}"): {"value": "correct-horse-battery"},
    ("put", "/teams/{team}/limits"): {"max_concurrent_runs": 2},
    ("patch", "/organisation"): {"max_concurrent_runs": 20},
    ("put", "/teams/{team}/budget"): {"period": "month", "limit_usd": 5, "hard": True},
    ("post", "/teams/{team}/budget/grants"): {"amount_usd": 2, "comment": "the demo on Friday"},
    ("put", "/organisation/budget"): {"period": "month", "limit_usd": 500},
    ("post", "/organisation/budget/grants"): {"amount_usd": 50},
    ("post", "/schedules"): {"name": "weekly", "cron": "0 6 * * 1", "time_zone": "Europe/Berlin", "run": SCRIPT},
    ("patch", "/schedules/{schedule_id}"): {"paused": True},
    ("post", "/triggers"): {"name": "new-chats", "repo_type": "dataset", "repo": "acme/tiny-chat-data", "run": SCRIPT},
    ("patch", "/triggers/{trigger_id}"): {"debounce": "10m"},
    ("post", "/hooks/hub/{trigger_id}"): {
        "event": {"action": "update", "scope": "repo.content"},
        "repo": {"type": "dataset", "name": "acme/tiny-chat-data"},
    },
    ("post", "/sweeps"): {
        "name": "seeds",
        "run": {**SCRIPT, "labels": {"seed": "{{seed}}"}},
        "grid": {"seed": [1, 2]},
        "max_cost_usd": 1,
        "max_parallel": 1,
    },
    ("patch", "/sweeps/{sweep_id}"): {"max_parallel": 2},
    ("post", "/webhooks"): {"url": "https://hooks.acme.com/tunegate", "events": ["run.*"]},
    ("patch", "/webhooks/{endpoint_id}"): {"enabled": True},
    ("post", "/webhooks/{endpoint_id}/rotate-secret"): {"overlap_hours": 24},
    ("post", "/webhooks/{endpoint_id}/redeliver"): {"since": "2026-11-01T00:00:00Z"},
}


def call(method: str, path: str, role: Role | None, content: str | None) -> str:
    """One call as people type it. Raises KeyError for a body that nobody has written here."""
    address = path
    for name, value in FILLED.items():
        is_elsewhere = name == "team" and path.rpartition("/")[2] in ELSEWHERE
        address = address.replace("{" + name + "}", "interns" if is_elsewhere else value)
    parts = ["curl -sS"]
    if method != ("get" if content is None else "post"):
        parts.append(f"-X {method.upper()}")
    if role is not None:
        parts.append(f'-H "{"$LEAD" if path in FOR_LEADS else HEADERS[role]}"')
    if content == "application/json":
        parts.append('-H "$JSON"')
    elif content is not None:
        parts.append(f'-H "Content-Type: {content}"')
    parts.append(f'"$TUNEGATE{address}{QUERIES.get((method, path), "")}"')
    line = " ".join(parts)
    if content == "application/json":
        return f"{line} \\\n  -d '{json.dumps(BODIES[method, path])}'"
    return line if content is None else f"{line} --data-binary @data/bills.csv"
