"""The forms of the queue and of a run's page."""

from __future__ import annotations

from service.web.action import Action, as_json, follow_ups, pairs, ticked, whole

STEERING = {
    "cancel": Action("POST", "/runs/{run_id}/cancel", "The run is being cancelled."),
    "pause": Action("POST", "/runs/{run_id}/pause", "The run is paused."),
    "resume": Action("POST", "/runs/{run_id}/resume", "The run goes on."),
    "approve": Action("POST", "/runs/{run_id}/approve", "Approved.", {"comment": str}),
    "refuse": Action("POST", "/runs/{run_id}/refuse", "Refused.", {"comment": str}),
    "pause-queue": Action("POST", "/queue/pause", "Nothing starts now. What runs, runs on."),
    "resume-queue": Action("POST", "/queue/resume", "Runs start again."),
    "pause-team": Action("POST", "/teams/{team}/pause", "Nothing of the team starts now. What runs, runs on."),
    "resume-team": Action("POST", "/teams/{team}/resume", "The team's runs start again."),
}
OF_A_RUN = {
    "change-run": Action(
        "PATCH", "/runs/{run_id}", "The run was changed.", {"flavor": str, "priority": whole, "timeout": str}
    ),
    "retry": Action(
        "POST",
        "/runs/{run_id}/retry",
        "Submitted anew: this is the new run.",
        {"with_remedy": ticked, "overrides": as_json, "secrets": pairs},
        leads_to="/ui/runs/{id}",
    ),
    "rescue": Action(
        "POST",
        "/runs/{run_id}/rescue",
        "This run publishes what was trained.",
        {"output_repo": str},
        leads_to="/ui/runs/{id}",
    ),
    "follow": Action("POST", "/runs/{run_id}/then", "It will follow.", {"then": follow_ups}),
    "forget-checkpoints": Action("DELETE", "/runs/{run_id}/checkpoints", "Its checkpoints are being deleted."),
}
ACTIONS = {**STEERING, **OF_A_RUN}
