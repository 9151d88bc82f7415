"""What a process measures of itself, as Prometheus reads it."""

from __future__ import annotations

import httpx2
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from service.hub.client import HubClient
from service.hub.faults import HubUnavailable
from service.meters import HubCalls, Meters
from service.sandbox.core import Sandbox
from service.sandbox.transport import SandboxTransport
from tests.conftest import Clock

ENDPOINT = "http://hub.test"


def samples(meters: Meters) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(generate_latest(meters.registry).decode())
        for sample in family.samples
    }


def test_calls_are_counted_by_what_they_were_for_and_what_came_of_them(clock: Clock) -> None:
    class Cut(SandboxTransport):
        is_cut = False

        def before(self, request: httpx2.Request) -> None:
            if self.is_cut:
                raise httpx2.ConnectError("cut", request=request)

    wire = Cut(Sandbox(execute=False), clock)
    hub = HubClient(ENDPOINT, "hf_sandbox", "hf_sandbox_job", clock=clock, transport=wire)
    meters = Meters(HubCalls(lambda: hub.calls, lambda: {"": hub.governor}, clock))
    assert ("tunegate_hub_calls_left", "") not in samples(meters), "what is not known has no sample"
    hub.list_jobs("acme", {}, only_active=True)
    assert hub.get_job("acme", "0" * 24) is None
    hub.with_tokens("hf_sandbox_read", "hf_sandbox_job").hardware()
    wire.is_cut = True
    with pytest.raises(HubUnavailable):
        hub.hardware()
    told = samples(meters)
    hub.close()
    assert told["tunegate_hub_calls_total", "list", "2xx"] == 1
    assert told["tunegate_hub_calls_total", "job", "4xx"] == 1
    assert told["tunegate_hub_calls_total", "hardware", "2xx"] == 1
    assert told["tunegate_hub_calls_total", "hardware", "none"] == 1
    assert told["tunegate_hub_calls_left", ""] == told["tunegate_hub_calls_limit", ""] - 2
    assert told["tunegate_hub_list_seconds", ""] == 0
    hub.governor.observe(
        {"ratelimit": '"api";r=500;t=100', "ratelimit-policy": '"fixed window";"api";q=2500;w=300'}, clock.now
    )
    assert samples(meters)["tunegate_hub_list_seconds", ""] == 100
    clock.turn(seconds=101)
    assert samples(meters)["tunegate_hub_calls_left", ""] == 2500, "a new window"


def test_passes_and_create_calls_are_told_as_histograms(clock: Clock) -> None:
    meters = Meters(HubCalls(dict, dict, clock))
    meters.passed("watch", 0.3)
    meters.ears.submitted(0.15)
    told = samples(meters)
    assert told["tunegate_step_seconds_bucket", "0.1", "watch"] == 0
    assert told["tunegate_step_seconds_bucket", "0.5", "watch"] == 1
    assert told["tunegate_submit_seconds_bucket", "0.2"] == 1
    assert told[("tunegate_submit_seconds_sum",)] == 0.15
