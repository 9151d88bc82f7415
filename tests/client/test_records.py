"""The client's objects and calls are those of the OpenAPI document: a field that either side has is one of both."""

from __future__ import annotations

import re
from typing import Any, get_args, get_type_hints

import pytest

from service.client import (
    AsyncRun,
    Run,
    UnexpectedAnswer,
    answers,
    async_resources,
    origin_calls,
    origin_records,
    records,
    resources,
    run_calls,
    run_records,
    team_calls,
)
from service.client.record import Record
from tests.api.conftest import application

# What each object is called there.
NAMES = {
    "RunRecord": "RunObject",
    "Progress": "ProgressObject",
    "Setting": "RepairSetting",
    "Repair": "RepairObject",
    "Failure": "FailureObject",
    "Attempt": "AttemptObject",
    "Approval": "ApprovalObject",
    "Event": "EventObject",
    "LedgerEntry": "LedgerEntryObject",
    "Log": "LogObject",
    "Point": "PointObject",
    "Series": "SeriesObject",
    "Gate": "GateObject",
    "Help": "HelpObject",
    "Explanation": "ExplanationObject",
    "FlavorEstimate": "FlavorEstimateObject",
    "Estimate": "EstimateObject",
    "Team": "TeamObject",
    "Limits": "LimitsObject",
    "Pause": "PauseObject",
    "Stopped": "StopObject",
    "Key": "KeyObject",
    "NewKey": "NewKeyObject",
    "Forecast": "ForecastObject",
    "Budget": "BudgetObject",
    "Usage": "UsageObject",
    "Flavor": "FlavorObject",
    "Endpoint": "EndpointObject",
    "NewEndpoint": "NewEndpointObject",
    "Delivery": "DeliveryObject",
    "Redelivered": "RedeliveredObject",
    "Schedule": "ScheduleObject",
    "Trigger": "TriggerObject",
    "NewTrigger": "NewTriggerObject",
    "Rung": "RungObject",
    "SweepPoint": "SweepPointObject",
    "Sweep": "SweepObject",
}
# A letter's id is in its header, a line of a stream names its attempt: neither has an object in the document.
ELSEWHERE = {"WebhookEvent", "LogLine"}

ALL = [
    kind
    for module in (run_records, answers, records, origin_records)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Record) and kind.__module__ == module.__name__
]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_each_object_has_the_fields_of_the_document(kind: type[Record]) -> None:
    if kind.__name__ in ELSEWHERE:
        return
    schema = application().openapi()["components"]["schemas"][NAMES.get(kind.__name__, kind.__name__)]
    mine = {field.alias or name: field for name, field in kind.model_fields.items()}
    assert set(mine) == set(schema["properties"])
    for name, field in mine.items():
        told = schema["properties"][name]
        may_be_null = told == {} or any(one.get("type") == "null" for one in told.get("anyOf", ()))
        hint = get_type_hints(kind)[next(own for own, one in kind.model_fields.items() if one is field)]
        assert (type(None) in get_args(hint) or hint is Any) == (may_be_null or ("title" in told and len(told) == 1)), (
            f"{kind.__name__}.{name}: {told}"
        )


def test_an_unknown_field_is_kept_and_a_wrong_one_is_told_of() -> None:
    pause = records.Pause.of({"paused": True, "paused_by": None, "since": "yesterday"})
    assert pause.paused is True
    assert pause.raw["since"] == "yesterday"
    with pytest.raises(UnexpectedAnswer, match="paused of Pause is wrong"):
        records.Pause.of({"paused_by": None})


def test_each_call_is_one_of_the_documents() -> None:
    """By the sentence that begins each description: `POST /runs/{id}/cancel: …`."""
    routes = {
        (method.upper(), re.sub(r"\{\w+\}", "{}", path))
        for path, methods in application().openapi()["paths"].items()
        for method in methods
    }
    named = 0
    for module in (run_calls, team_calls, origin_calls):
        for call in vars(module).values():
            if found := re.match(r"(GET|POST|PUT|PATCH|DELETE) (/\S*?)[,.:;]?\s", (getattr(call, "__doc__", "") or "")):
                named += 1
                assert (found[1], re.sub(r"\{\w+\}", "{}", found[2].rstrip(".:,;"))) in routes, call.__name__
    assert named >= 60


def test_both_clients_have_the_same_parts_and_methods() -> None:
    def methods(kind: type) -> set[str]:
        return {name for one in kind.__mro__ for name in vars(one) if not name.startswith("_")}

    assert methods(Run) == methods(AsyncRun)
    for name, part in vars(resources).items():
        if isinstance(part, type) and issubclass(part, resources.Resource) and part is not resources.Resource:
            assert methods(part) == methods(getattr(async_resources, f"Async{name}")), name
