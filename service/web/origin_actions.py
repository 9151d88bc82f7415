"""The forms of the automation pages."""

from __future__ import annotations

from service.web.action import Action, ticked

NO_RUNS, RUNS = "It makes no runs until it is resumed.", "It makes runs again."

ACTIONS = {
    "pause-schedule": Action("PATCH", "/schedules/{origin_id}", NO_RUNS, {"paused": ticked}),
    "resume-schedule": Action("PATCH", "/schedules/{origin_id}", RUNS, {"paused": ticked}),
    "run-schedule": Action("POST", "/schedules/{origin_id}/run", "This run was made now.", leads_to="/ui/runs/{id}"),
    "pause-trigger": Action("PATCH", "/triggers/{origin_id}", NO_RUNS, {"paused": ticked}),
    "resume-trigger": Action("PATCH", "/triggers/{origin_id}", RUNS, {"paused": ticked}),
    "run-trigger": Action("POST", "/triggers/{origin_id}/run", "{repo} is looked at now."),
    "cancel-sweep": Action("POST", "/sweeps/{origin_id}/cancel", "Its runs are asked to end."),
}
