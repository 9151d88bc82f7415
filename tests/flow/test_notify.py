"""Webhooks: signed, in order per run, at least once, retried; a bad endpoint is its own trouble."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook

from service.flow import notify, prices
from service.store import deliveries as delivery_store
from service.store import webhooks
from service.store.vault import Vault
from tests.flow.conftest import World
from tests.flow.endpoints import SECRET, deliveries, send_all, subscribe
from tests.receiver import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def test_the_story_of_a_run_arrives_in_order_with_signatures_that_verify(world: World, receiver: Receiver) -> None:
    subscribe(world, receiver.url)
    world.clock.now = datetime.now(UTC)  # signatures are checked against the real time
    prices.run_once(world.gate)
    run_id = world.enqueue(seconds=1)
    world.until_end(run_id)
    send_all(world)
    assert [letter.json["type"] for letter in receiver.letters] == world.told(run_id)
    assert [letter.json["data"]["sequence"] for letter in receiver.letters] == [1, 2, 3, 4]
    for letter in receiver.letters:
        assert Webhook(SECRET).verify(letter.body, letter.headers)
        assert letter.json["data"]["id"] == run_id
        assert "recipe" not in letter.json["data"]
    ids = [letter.headers["webhook-id"] for letter in receiver.letters]
    assert len(set(ids)) == 4
    assert receiver.letters[-1].json["data"]["cost"]["metered_usd"] == 167 / 1e6
    assert receiver.letters[-1].json["data"]["cost"]["reserved_usd"] == 0


def test_a_failing_head_holds_its_run_back_then_is_passed_and_retried_beside(world: World, receiver: Receiver) -> None:
    subscribe(world, receiver.url)
    first, second = world.enqueue(), world.enqueue()
    world.cancel(first)
    world.pass_all()
    receiver.answer = lambda letter: (500 if letter.json["data"]["id"] == first else 204, {})
    send_all(world)
    told = [(letter.json["data"]["id"], letter.json["type"]) for letter in receiver.letters]
    assert (first, "run.cancelled") not in told
    assert (second, "run.submitted") in told  # another run's letters go on
    tries = 1
    while world.clock.now < deliveries(world)[0].first_failed_at + delivery_store.HEAD_PATIENCE:  # type: ignore[operator]
        world.clock.turn(seconds=30)
        send_all(world)
        tries += 1
    assert (first, "run.cancelled") in [(one.json["data"]["id"], one.json["type"]) for one in receiver.letters]
    ids = {one.headers["webhook-id"] for one in receiver.letters if one.json["type"] == "run.queued"}
    assert len(ids) == 2  # every try of one event has the same id
    receiver.answer = lambda _letter: (204, {})
    world.clock.turn(hours=1)
    send_all(world)
    assert {one.state for one in deliveries(world)} == {"delivered"}
    world.cancel(second)
    world.until_end(second)


def test_a_letter_is_tried_for_three_days_then_given_up(world: World, receiver: Receiver) -> None:
    subscribe(world, receiver.url, events=("run.queued",))
    receiver.answer = lambda _letter: (503, {})
    began = world.clock.now
    world.cancel(world.enqueue())
    for _ in range(400):
        send_all(world)
        if deliveries(world)[0].state == "failed":
            break
        world.clock.turn(hours=1)
    assert deliveries(world)[0].state == "failed"
    assert (world.clock.now - began).total_seconds() > 72 * 3600
    assert deliveries(world)[0].last_status == 503


def test_410_disables_the_endpoint_at_once(world: World, receiver: Receiver) -> None:
    endpoint_id = subscribe(world, receiver.url)
    receiver.answer = lambda _letter: (410, {})
    world.cancel(world.enqueue())
    send_all(world)
    told_at = world.clock.now
    world.cancel(world.enqueue())
    send_all(world)
    assert len(receiver.letters) == 1
    with world.db.read() as session:
        endpoint = webhooks.get(session, endpoint_id)
    assert endpoint is not None
    assert endpoint.disabled_at == told_at


def test_a_redirect_is_not_followed_and_does_not_count(world: World, receiver: Receiver) -> None:
    subscribe(world, receiver.url, events=("run.queued",))
    receiver.answer = lambda _letter: (307, {"location": receiver.url})
    world.enqueue()
    send_all(world)
    assert len(receiver.letters) == 1
    assert deliveries(world)[0].state == "pending"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:1/", "ConnectError"),
        ("https://nowhere.invalid/", "gaierror"),
        ("http://example.com/", "plain http"),
        ("https://10.0.0.1/", "not a public address"),
    ],
)
def test_an_endpoint_that_cannot_be_reached_is_noted_and_tried_again(world: World, url: str, says: str) -> None:
    subscribe(world, url, events=("run.queued",))
    world.enqueue()
    send_all(world)
    [delivery] = deliveries(world)
    assert delivery.state == "pending"
    assert says in (delivery.last_error or "")


def test_only_what_was_asked_for_and_only_ones_own(world: World, receiver: Receiver) -> None:
    from tests.factories import make_run, make_team

    world.db.write(lambda session: make_team(session, world.clock.now, name="other"))
    subscribe(world, receiver.url, team="other")
    subscribe(world, receiver.url, events=("run.cancelled",))
    world.cancel(world.enqueue())
    world.pass_all()
    send_all(world)
    assert [letter.json["type"] for letter in receiver.letters] == ["run.cancelled"]
    world.db.write(lambda session: make_run(session, world.clock.now, team="other"))
    send_all(world)
    assert [letter.json["data"]["team"] for letter in receiver.letters] == ["research", "other"]


def test_an_endpoint_that_hangs_delays_no_other(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "DUE_BY_TIME_SECONDS", 600)  # what happens is heard of, not looked for
    with Receiver() as slow:
        hanging = threading.Event()
        slow.answer = lambda _letter: (204, {}) if hanging.wait(20) else (500, {})
        subscribe(world, slow.url)
        subscribe(world, receiver.url)
        run_id = world.enqueue(seconds=1)
        sending = threading.Thread(target=send_all, args=(world,))
        sending.start()
        until(lambda: slow.letters and receiver.letters)
        world.until_end(run_id)  # four events, while the first letter to the slow endpoint is still under way
        until(lambda: len(receiver.letters) == 4)
        assert len(slow.letters) == 1
        hanging.set()
        sending.join(30)
        assert [letter.json["type"] for letter in slow.letters] == world.told(run_id)


def until(what: Callable[[], object]) -> None:
    stops_at = time.monotonic() + 10
    while not what():
        assert time.monotonic() < stops_at
        time.sleep(0.01)


def test_an_event_that_was_told_before_a_crash_is_told_again_with_the_same_id(world: World, receiver: Receiver) -> None:
    subscribe(world, receiver.url, events=("run.queued",))
    world.enqueue()
    real = notify.record
    notify.record = lambda *_args, **_kwargs: (_ for _ in ()).throw(KeyboardInterrupt)  # type: ignore[assignment]
    try:
        with pytest.raises(KeyboardInterrupt):
            notify.run_once(world.gate)
    finally:
        notify.record = real
    send_all(world)
    ids = [letter.headers["webhook-id"] for letter in receiver.letters]
    assert len(ids) == 2
    assert len(set(ids)) == 1


def test_an_endpoint_whose_secret_cannot_be_opened_shows_it(world: World, receiver: Receiver) -> None:
    endpoint_id = subscribe(world, receiver.url)
    world.gate = replace(world.gate, vault=Vault("another key"))
    world.cancel(world.enqueue())
    world.pass_all()
    send_all(world)
    first, second = deliveries(world)
    assert (first.state, first.tries) == ("pending", 1)
    assert "sealed under another key" in (first.last_error or "")
    with world.db.read() as session:
        log = delivery_store.page(session, endpoint_id, None, None, 10, world.clock.now)
    assert [(delivery.id, is_held) for delivery, _, is_held in log] == [(second.id, True), (first.id, False)]
    assert not receiver.letters


def test_what_fails_again_is_left_alone_for_a_second_and_what_gets_through_again_is_not(
    world: World, receiver: Receiver
) -> None:
    subscribe(world, receiver.url, events=("run.queued",))
    receiver.answer = lambda _letter: (500, {})
    for _ in range(8):
        world.enqueue()
    send_all(world)  # five side by side, as it was thought well; the next ones one by one
    tried = len(receiver.letters)
    assert tried == 5
    world.clock.turn(seconds=1)
    send_all(world)
    assert len(receiver.letters) == tried + 1
    receiver.answer = lambda _letter: (204, {})
    world.clock.turn(seconds=1)
    send_all(world)
    assert len(receiver.letters) == tried + 3  # the other two at once; those that failed have their own times


def test_a_pass_with_nothing_to_do_writes_nothing(world: World, receiver: Receiver) -> None:
    subscribe(world, receiver.url)
    world.enqueue()
    send_all(world)
    writes: list[object] = []
    real = world.gate.db.write

    def write(work: Any) -> Any:
        writes.append(work)
        return real(work)

    world.gate.db.write = write  # type: ignore[method-assign]
    assert notify.run_once(world.gate) == 0
    assert not writes
    world.enqueue(checked=False)
    writes.clear()
    assert notify.run_once(world.gate) == 1
    assert len(writes) == 2  # stamped and made; what came of it, whatever the number of letters
