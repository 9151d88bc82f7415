"""Both clients against a service and a sandbox over HTTP."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest

from service.client import (
    AsyncRun,
    AsyncTunegate,
    Conflict,
    NotFound,
    Refused,
    Run,
    StillRunning,
    Tunegate,
    Unauthorised,
    run_calls,
)
from tests.cutting_proxy import CuttingProxy
from tests.processes import ADMIN_KEY, Service
from tests.served import script

LINES = 400
CHATTY = f"import time\nfor n in range({LINES}):\n    print(f'line {{n}}', flush=True)\n    time.sleep(0.002)\n"


def test_a_run_from_its_submission_to_its_ledger(client: Tunegate) -> None:
    run = client.runs.submit(**script("print('hello')"), labels={"of": "ledger"})
    assert run.state == "queued"
    assert run.cost.metered_usd is None
    assert run.wait(60) is run
    assert (run.state, run.is_terminal, run.failure) == ("succeeded", True, None)
    assert run.cost.metered_usd == run.attempts[0].cost_usd == run.raw["cost"]["metered_usd"]
    assert [event.type for event in run.events()] == [
        "run.queued", "run.submitted", "run.started", "run.succeeded",
    ]  # fmt: skip
    assert [event.sequence for event in run.follow_events()] == [1, 2, 3, 4]
    assert [entry.kind for entry in run.ledger()] == ["reserve", "charge", "release"]
    assert [line.line for line in run.logs(tail=1).data] == ["hello"]
    assert run.explain().message == run.message
    assert run.metrics().data == []
    [found] = client.runs.list(label="of=ledger")
    assert found.id == run.id
    again = found.retry()
    assert again.retry_of == run.id
    again.cancel()
    assert again.cancel_requested_at is not None
    assert again.wait(60).state in ("cancelled", "succeeded")
    with pytest.raises(Conflict):
        again.pause()


def test_lists_follow_their_pages_as_far_as_they_are_wanted(client: Tunegate) -> None:
    ids = [client.runs.submit(**script(f"print({n})"), labels={"of": "pages"}).id for n in range(3)]
    call = {"label": "of=pages"}
    assert [run.id for run in client.runs.list(**call)] == ids[::-1]
    assert [run.id for run in client.runs.list(**call, limit=2)] == ids[:0:-1]
    by_ones = replace(run_calls.every(**call, limit=1), most=None)
    assert [run.id for run in client.items(by_ones)] == ids[::-1], "one to a page"
    for run in client.runs.list(**call):
        run.wait(60)


def test_a_log_is_followed_through_cuts_without_loss_and_without_doubling(client: Tunegate, served: Service) -> None:
    with (
        CuttingProxy(served.url, most_bytes=3000) as proxy,
        Tunegate(proxy.url, ADMIN_KEY, sleep=lambda _: None) as cut_off,
    ):
        run = Run.bound(cut_off, client.runs.submit(**script(CHATTY)))
        assert [line.line for line in run.follow_logs()] == [f"line {n}" for n in range(LINES)]
        assert proxy.cuts == 2
        run.refresh().wait(60)
        assert [line.line for line in run.follow_logs(contains="99")] == [f"line {n}" for n in (99, 199, 299, 399)]


def test_a_lost_answer_makes_one_run(served: Service) -> None:
    with LosingProxy(served.url, lose=2) as proxy, Tunegate(proxy.url, ADMIN_KEY, sleep=lambda _: None) as client:
        run = client.runs.submit(**script("import time; time.sleep(60)"), labels={"of": "lost"})
        assert proxy.lost == 2
        assert [found.id for found in client.runs.list(label="of=lost")] == [run.id]
        run.cancel()


def test_waiting_ends_when_its_time_is_over(client: Tunegate) -> None:
    run = client.runs.submit(**script("import time; time.sleep(60)"))
    with pytest.raises(StillRunning, match=f"{run.id} is still") as found:
        run.wait(0.3)
    assert isinstance(found.value, TimeoutError)
    run.cancel()
    assert run.wait(60).state == "cancelled"


def test_waiting_does_without_streams(served: Service) -> None:
    """As behind a proxy that lets none through: the run is asked for, less and less often."""
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        threading.Event().wait(min(seconds, 0.2))

    with (
        LosingProxy(served.url, lose=0, streams=False) as proxy,
        Tunegate(proxy.url, ADMIN_KEY, sleep=sleep, dice=lambda: 1.0) as client,
    ):
        run = client.runs.submit(**script("import time; time.sleep(1)"))
        assert run.wait(60).state == "succeeded"
    assert pauses[:3] == [0.5, 1.0, 2.0]


def test_what_is_refused_says_what_to_do(client: Tunegate, served: Service) -> None:
    with pytest.raises(Refused, match="cpu-basic") as found:
        client.runs.submit(**{**script("print(1)"), "flavor": "cpu-bsic"})
    assert (found.value.field, found.value.code) == ("flavor", "unknown_flavor")
    with pytest.raises(NotFound):
        client.runs.get("run_none")
    with Tunegate(served.url, "tg_wrong") as stranger, pytest.raises(Unauthorised):
        stranger.me()


def test_teams_money_keys_and_webhooks(client: Tunegate) -> None:
    client.teams.create("parts")
    assert client.teams.pause("parts").paused is True
    assert client.teams.resume("parts").paused is False
    assert client.teams.set_limits("parts", max_concurrent_runs=2).max_concurrent_runs == 2
    assert client.budgets.set("parts", limit_usd=3.0).remaining_usd == 3.0
    assert client.budgets.grant("parts", amount_usd=1.5, comment="more").granted_usd == 1.5
    assert "parts/month" in [budget.name for budget in client.budgets.list()]
    key = client.keys.create("parts", name="ci", role="member")
    assert key.key.startswith("tg_")
    assert key.key not in repr(key)
    with Tunegate(client.url, key.key) as member:
        assert member.me().team == "parts"
    newer = client.keys.rotate(key.id, "parts", overlap_hours=0)
    client.keys.revoke(newer.id, "parts")
    assert all(one.revoked_at or one.expires_at for one in client.keys.list("parts"))
    hook = client.webhooks.create(url="http://127.0.0.1:9/hook", events=["run.*"], team="parts")
    assert hook.secret is not None
    assert client.webhooks.test(hook.id).state == "failed"
    assert len(list(client.webhooks.deliveries(hook.id))) == 1
    client.webhooks.remove(hook.id)
    client.budgets.remove("parts")
    assert client.usage.get(group_by=["team"]).total.runs >= 0
    assert client.usage.csv(group_by="day").startswith("day,")
    assert "cpu-basic" in [flavor.name for flavor in client.flavors.list()]
    assert client.queue.pause().paused is True
    assert client.queue.resume().paused is False
    assert client.request("GET", "/organisation")["paused"] is False


def test_an_estimate_is_made_and_nothing_stored(client: Tunegate) -> None:
    before = [run.id for run in client.runs.list()]
    recipe = {
        "kind": "trl_sft",
        "model_name_or_path": "HuggingFaceTB/SmolLM3-3B",
        "dataset_name": "HuggingFaceTB/smoltalk2_everyday_convs_think",
        "args": {"max_steps": 100},
    }
    found = client.runs.estimate(
        recipe=recipe, flavor="a100-large", timeout="2h", output_repo="acme/x", team="research"
    )
    [one] = [one for one in found.flavors if one.flavor == "a100-large"]
    assert one.verdict == "fits"
    assert one.cost_usd is not None
    assert one.cost_usd["p50"] <= one.cost_usd["p90"] <= one.cost_usd["ceiling"]
    assert [run.id for run in client.runs.list()] == before


def test_the_asynchronous_client_does_the_same(client: Tunegate, served: Service) -> None:
    async def main() -> None:
        with CuttingProxy(served.url, most_bytes=3000) as proxy:
            async with AsyncTunegate(proxy.url, ADMIN_KEY, sleep=lambda _: asyncio.sleep(0)) as cut_off:
                run = AsyncRun.bound(cut_off, client.runs.submit(**script(CHATTY), labels={"of": "async"}))
                followed = [line.line async for line in run.follow_logs()]
                assert followed == [f"line {n}" for n in range(LINES)]
                assert proxy.cuts == 2
        async with AsyncTunegate(served.url, ADMIN_KEY) as direct:
            assert (await direct.me()).role == "admin"
            [run] = [found async for found in direct.runs.list(label="of=async")]
            assert (await run.wait(60)).state == "succeeded"
            assert [event.sequence async for event in run.events()] == [1, 2, 3, 4]
            async for event in direct.events.follow(types=["run.succeeded"]):
                if event.data["id"] == run.id:
                    break
            slow = await direct.runs.submit(**script("import time; time.sleep(60)"))
            with pytest.raises(StillRunning):
                await slow.wait(0.05)
            await slow.cancel()
            with pytest.raises(NotFound):
                await direct.runs.get("run_none")

    asyncio.run(main())


def test_the_client_is_light() -> None:
    heavy = ["fastapi", "starlette", "sqlalchemy", "typer", "huggingface_hub"]
    code = f"import sys, service.client; print([n for n in {heavy} if n in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


class LosingProxy:
    """Passes every request on, and loses the answers of the first POSTs. Without `streams`, those get 503."""

    def __init__(self, upstream: str, lose: int, streams: bool = True) -> None:
        self.lost = 0
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if not streams and "event-stream" in self.headers["accept"]:
                    self.send_error(503)
                    return
                self.pass_on(None)

            def do_POST(self) -> None:
                answer = self.pass_on(self.rfile.read(int(self.headers["content-length"] or 0)), proxy.lost < lose)
                proxy.lost += answer is None

            def pass_on(self, body: bytes | None, is_lost: bool = False) -> httpx2.Response | None:
                headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                with httpx2.Client(trust_env=False) as http:
                    answer = http.request(self.command, upstream + self.path, content=body, headers=headers)
                if is_lost:
                    self.close_connection = True
                    return None
                self.send_response(answer.status_code)
                self.send_header("content-type", answer.headers["content-type"])
                self.send_header("content-length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)
                return answer

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> LosingProxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
