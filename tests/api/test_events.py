"""What happened, page by page and as streams: a run's own events, and the feed of a team."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from benchmarks.statements import recorded
from service.api.bells import Bells
from service.api.followers import FeedFollower, Interest
from service.api.streams import Found
from service.flow import notify
from service.store.topics import FEED
from tests.api.conftest import Api, server_sent
from tests.flow.conftest import SCRIPT

STREAM = {"accept": "text/event-stream"}
LOG = "{'loss': '2.5', 'step': 10, 'total_steps': 20}\n{'loss': '2.0', 'step': 20, 'total_steps': 20}"
STORY = ["run.queued", "run.submitted", "run.started", "run.succeeded"]


@pytest.fixture
def run_id(api: Api) -> str:
    api("PUT", "/teams/research/budget", as_="admin", json={"limit_usd": 5})
    body = {
        "recipe": SCRIPT,
        "flavor": "cpu-basic",
        "timeout": "5m",
        "env": {"SANDBOX_RUN_SECONDS": "30", "SANDBOX_LOG": LOG},
    }
    found: str = api("POST", "/runs", json=body).json()["id"]
    api.world.until_end(found)
    notify.run_once(api.world.gate)
    return found


def test_a_runs_stream_tells_its_story_and_its_progress_and_ends(api: Api, run_id: str) -> None:
    path = f"/runs/{run_id}/events"
    answer = api("GET", path, headers=STREAM)
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = server_sent(answer.text)
    assert [(event_id, data["type"]) for event_id, _, data in told[:-2]] == [
        (str(sequence), event_type) for sequence, event_type in enumerate(STORY, 1)
    ]
    assert [data for _, _, data in told[:-2]] == api("GET", path).json()["data"]
    assert (told[-2][:2], told[-2][2]["step"]) == ((None, "progress"), 20)
    assert told[-1] == (None, "end", {"state": "succeeded"})
    assert server_sent(api("GET", path, headers={**STREAM, "last-event-id": "3"}).text) == told[3:]
    assert api("GET", path, headers={**STREAM, "last-event-id": "1:2"}).json()["field"] == "Last-Event-ID"


def test_the_feed_is_gone_through_page_by_page_and_asked_again_from_its_end(api: Api, run_id: str) -> None:
    seen: list[dict[str, Any]] = []
    path = "/events?type=run.*&limit=3"
    page = api("GET", path).json()
    while page["data"]:
        seen += page["data"]
        page = api("GET", f"{path}&after={page['next']}").json()
    assert [one["type"] for one in seen] == STORY
    positions = [one["position"] for one in seen]
    assert positions == sorted(set(positions))
    assert page["has_more"] is False
    assert page["next"], "from here it goes on"
    api("POST", "/runs", json={"recipe": SCRIPT, "flavor": "cpu-basic", "timeout": "5m"})
    assert api("GET", f"{path}&after={page['next']}").json()["data"] == [], "it has no position yet"
    notify.run_once(api.world.gate)
    assert api("GET", f"{path}&after={page['next']}").json()["data"][0]["type"] == "run.queued"


def test_a_feed_may_begin_after_all_that_has_happened(api: Api, run_id: str) -> None:
    page = api("GET", "/events?latest=true").json()
    assert page["data"] == []
    assert page["next"] is not None
    api("POST", f"/runs/{run_id}/retry")
    notify.run_once(api.world.gate)
    follows = api("GET", f"/events?after={page['next']}").json()["data"]
    assert [event["type"] for event in follows] == ["run.queued"]
    assert len(api("GET", f"/events?latest=true&after={page['next']}").json()["data"]) == 1, "a place goes before it"


def test_a_team_sees_its_own_and_an_admin_all(api: Api, run_id: str) -> None:
    def types(as_: str, query: str = "") -> set[str]:
        return {one["type"] for one in api("GET", f"/events?limit=200{query}", as_=as_).json()["data"]}

    assert {"run.succeeded", "budget.changed"} <= types("member")
    assert types("member", "&type=budget.changed&type=run.started") == {"budget.changed", "run.started"}
    assert types("outsider") <= {"team.changed"}
    assert api("GET", "/events?team=research", as_="outsider").status_code == 404
    assert {"run.succeeded", "budget.changed"} <= types("admin", "&team=research")
    assert "run.succeeded" not in types("admin", "&team=other")
    assert api("GET", "/events?type=run").status_code == 422


def test_a_feeds_stream_goes_on_where_it_was(api: Api, run_id: str) -> None:
    async def follow() -> tuple[Found, Found]:
        bells = Bells()
        follower = FeedFollower(api.world.db, bells, Interest("research", ("run.*",)), 0)
        with bells.waiting(FEED):
            return await follower.look(), await follower.look()

    told, after = asyncio.run(follow())
    found = server_sent("".join(told.frames))
    assert [data["type"] for _, _, data in found] == STORY
    assert after == Found([])
    assert found[-1][0] == str(found[-1][2]["position"])


def test_what_followers_of_the_feed_wait_for_together_is_read_once_and_each_gets_its_own(api: Api, run_id: str) -> None:
    """What was shared before a ring is not what they get after it."""

    async def follow() -> list[list[list[str]]]:
        bells = Bells()
        wanted = [("research", ("run.*",)), ("research", ("budget.*",)), ("other", ("*",)), (None, ("run.queued",))]
        followers = [FeedFollower(api.world.db, bells, Interest(*one), 0) for one in wanted]

        async def looks() -> list[list[str]]:
            found = await asyncio.gather(*(follower.look() for follower in followers))
            return [types_of(one) for one in found]

        with bells.waiting(FEED):
            told = [await looks()]
            for _ in range(2):
                assert await looks() == [[]] * len(wanted)
                api.world.enqueue()
                await asyncio.to_thread(notify.run_once, api.world.gate)
                bells.ring(frozenset({FEED}))
                await asyncio.sleep(0)  # it is heard in the loop's next round
                with recorded(api.world.db.engine) as statements:
                    told.append(await looks())
                assert len([one for one in statements.sent if "FROM event" in one.text]) == 1
        return told

    first, *later = asyncio.run(follow())
    assert (first[0], set(first[1]), first[3]) == (STORY, {"budget.changed"}, ["run.queued"])
    assert set(first[2]) <= {"team.changed"}
    assert later == [[["run.queued"], [], [], ["run.queued"]]] * 2


def types_of(found: Found) -> list[str]:
    return [data["type"] for _, _, data in server_sent("".join(found.frames))] if found.frames else []
