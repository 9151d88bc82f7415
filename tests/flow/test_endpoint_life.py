"""An endpoint's life: how its receiver may ask for rest, when it is disabled and who hears of that, how it comes back,
how its secret is changed, and how one of a single run goes with it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from sqlalchemy import event as listening
from sqlmodel import Session, col, select
from standardwebhooks import Webhook

from service.flow import cancel, notify, prices, retain
from service.store import deliveries as delivery_store
from service.store import webhooks
from service.store.sealed_address import seal, unseal
from service.store.tables import Delivery, Endpoint, Event
from tests.flow.conftest import World
from tests.flow.endpoints import SECRET, change, deliveries, endpoint_of, send_all, subscribe
from tests.receiver import Letter, Receiver

NEXT = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def answering(receiver: Receiver, status: int, **headers: str) -> None:
    receiver.answer = lambda _letter: (status, {name.replace("_", "-"): value for name, value in headers.items()})


def fail_for_days(world: World, hours: int = 80) -> None:
    for _ in range(hours):
        world.clock.turn(hours=1)
        send_all(world)


def told(world: World, event_type: str) -> list[dict[str, Any]]:
    with world.db.read() as session:
        return [event.data for event in session.exec(select(Event).where(Event.type == event_type))]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("as_date", [False, True])
def test_a_receiver_that_asks_for_rest_gets_it(world: World, receiver: Receiver, status: int, as_date: bool) -> None:
    until = world.clock.now.replace(microsecond=0) + timedelta(minutes=20)
    answering(receiver, status, retry_after=format_datetime(until, usegmt=True) if as_date else "1200")
    subscribe(world, receiver.url, events=("run.queued",))
    world.enqueue()
    send_all(world)
    world.enqueue()  # another run's letter does not knock either
    world.clock.turn(minutes=19)
    send_all(world)
    assert len(receiver.letters) == 1
    answering(receiver, 204)
    world.clock.turn(minutes=6)
    send_all(world)
    assert [letter.json["type"] for letter in receiver.letters] == ["run.queued"] * 3
    assert {one.state for one in deliveries(world)} == {"delivered"}


def test_what_other_answers_say_of_later_is_not_listened_to(world: World, receiver: Receiver) -> None:
    answering(receiver, 500, retry_after="7200")
    subscribe(world, receiver.url, events=("run.queued",))
    world.enqueue()
    send_all(world)
    world.clock.turn(seconds=6)
    send_all(world)
    assert len(receiver.letters) == 2


def test_nothing_got_through_for_three_days_disables_and_the_others_hear_of_it(
    world: World, receiver: Receiver
) -> None:
    with Receiver() as other, Receiver() as elsewhere:
        endpoint_id = subscribe(world, receiver.url + "?token=hidden", events=("*",))
        subscribe(world, other.url, events=("endpoint.*",))
        subscribe(world, elsewhere.url, team=None, events=("endpoint.disabled",))
        answering(receiver, 503)
        world.cancel(world.enqueue())
        began = world.clock.now
        send_all(world)
        assert endpoint_of(world, endpoint_id).failing_since == began
        fail_for_days(world, 71)
        assert endpoint_of(world, endpoint_id).disabled_at is None
        fail_for_days(world, 2)
        disabled = endpoint_of(world, endpoint_id)
        assert disabled.disabled_at == began + timedelta(hours=72)
        assert disabled.disabled_because == "nothing has got through for 72 hours"
        assert len(other.letters) == len(elsewhere.letters) == 1
        data = other.letters[0].json["data"]
        assert data["endpoint_id"] == endpoint_id
        assert (data["url"], data["last_status"]) == (receiver.url, 503)
        assert data["failing_since"].startswith(began.isoformat(timespec="seconds")[:19])
        assert "hidden" not in str(data)
        tried = len(receiver.letters)
        fail_for_days(world, 5)
        assert len(receiver.letters) == tried


def test_one_letter_that_is_never_taken_is_given_up_alone(world: World, receiver: Receiver) -> None:
    first = world.enqueue()
    endpoint_id = subscribe(world, receiver.url, events=("run.queued",))

    def answer(letter: Letter) -> tuple[int, dict[str, str]]:
        return (400 if letter.json["data"]["id"] == first else 204), {}

    receiver.answer = answer
    for _ in range(80):
        send_all(world)
        world.clock.turn(hours=1)
        world.cancel(world.enqueue(checked=False))
    states = {one.subject: one.state for one in deliveries(world)}
    assert states.pop(first) == "failed"
    assert set(states.values()) <= {"delivered", "pending"}
    assert endpoint_of(world, endpoint_id).disabled_at is None
    assert not told(world, "endpoint.disabled")


def test_410_is_told_too(world: World, receiver: Receiver) -> None:
    with Receiver() as other:
        endpoint_id = subscribe(world, receiver.url)
        subscribe(world, other.url, events=("endpoint.disabled",))
        answering(receiver, 410)
        world.cancel(world.enqueue())
        send_all(world)
        send_all(world)
        assert other.letters[0].json["data"]["because"] == "the receiver answered 410 Gone"
    assert endpoint_of(world, endpoint_id).disabled_because == "the receiver answered 410 Gone"
    assert [one["sequence"] for one in told(world, "endpoint.disabled")] == [1]


def test_enabled_again_it_gets_what_waited_and_redelivered_what_it_missed(world: World, receiver: Receiver) -> None:
    endpoint_id = subscribe(world, receiver.url, events=("run.*",))
    began = world.clock.now
    answering(receiver, 503)
    waiting = world.enqueue()
    send_all(world)
    change(world, endpoint_id, lambda session, endpoint: webhooks.disable(session, endpoint, "x", 503, world.clock.now))
    missed = world.enqueue()
    send_all(world)
    answering(receiver, 204)
    receiver.letters.clear()
    change(world, endpoint_id, lambda session, endpoint: webhooks.enable(session, endpoint, world.clock.now))
    send_all(world)
    assert [letter.json["data"]["id"] for letter in receiver.letters] == [waiting]
    made = change(
        world,
        endpoint_id,
        lambda session, endpoint: delivery_store.make_missed(session, endpoint, began, world.clock.now),
    )
    assert made == (1, False)
    send_all(world)
    assert [letter.json["data"]["id"] for letter in receiver.letters] == [waiting, missed]
    assert change(
        world,
        endpoint_id,
        lambda session, endpoint: delivery_store.make_missed(session, endpoint, began, world.clock.now),
    ) == (0, False)


def test_redelivered_letters_keep_their_ids_and_their_order(world: World, receiver: Receiver) -> None:
    world.clock.now = datetime.now(UTC)
    prices.run_once(world.gate)
    endpoint_id = subscribe(world, receiver.url)
    run_id = world.enqueue(seconds=1)
    world.until_end(run_id)
    send_all(world)
    first = [(letter.headers["webhook-id"], letter.body) for letter in receiver.letters]
    receiver.letters.clear()

    def everything(session: Session, endpoint: Endpoint) -> int:
        since = world.clock.now - timedelta(days=1)
        return delivery_store.again_since(session, endpoint, since, world.clock.now, delivered=True)

    assert change(world, endpoint_id, everything) == 4
    send_all(world)
    assert [(letter.headers["webhook-id"], letter.body) for letter in receiver.letters] == first
    assert (
        change(
            world,
            endpoint_id,
            lambda session, endpoint: delivery_store.again_since(
                session, endpoint, world.clock.now - timedelta(days=1), world.clock.now, delivered=False
            ),
        )
        == 0
    )  # none has failed


def test_during_a_rotation_both_secrets_sign(world: World, receiver: Receiver) -> None:
    world.clock.now = datetime.now(UTC)
    endpoint_id = subscribe(world, receiver.url, events=("run.queued",))

    def rotate(_session: Session, endpoint: Endpoint) -> None:
        now = world.clock.now
        address = unseal(world.gate.vault, endpoint.sealed_address).rotated(NEXT, now + timedelta(hours=1), now)
        endpoint.sealed_address = seal(world.gate.vault, address)

    change(world, endpoint_id, rotate)
    world.enqueue()
    send_all(world)
    letter = receiver.letters[-1]
    newest, oldest = letter.headers["webhook-signature"].split(" ")
    for secret in (SECRET, NEXT):
        assert Webhook(secret).verify(letter.body, letter.headers)
    assert Webhook(NEXT).verify(letter.body, {**letter.headers, "webhook-signature": newest})
    assert Webhook(SECRET).verify(letter.body, {**letter.headers, "webhook-signature": oldest})
    world.clock.turn(hours=2)
    world.enqueue()
    send_all(world)
    assert receiver.letters[-1].headers["webhook-signature"].count("v1,") == 1


def test_a_runs_own_endpoint_is_told_of_that_run_alone_and_goes_when_it_is_long_over(
    world: World, receiver: Receiver
) -> None:
    with Receiver() as teams:
        subscribe(world, teams.url)
        webhook = {"url": receiver.url, "events": ["run.*"], "secret": SECRET}
        run_id, other = world.enqueue(webhooks=[webhook]), world.enqueue()
        world.cancel(run_id)
        world.cancel(other)
        world.pass_all()
        send_all(world)
        assert [letter.json["type"] for letter in receiver.letters] == world.told(run_id)
        assert {letter.json["data"]["id"] for letter in receiver.letters} == {run_id}
        assert {letter.json["data"]["id"] for letter in teams.letters} == {run_id, other}
    [shown] = world.show(run_id)["webhooks"]
    assert (shown["url"], shown["events"], "secret" in shown) == (receiver.url, ["run.*"], False)
    assert world.show(other)["webhooks"] == []
    world.clock.turn(days=6)
    retain.run_once(world.gate)
    assert world.show(run_id)["webhooks"]
    world.clock.turn(days=2)
    retain.run_once(world.gate)
    assert world.show(run_id)["webhooks"] == []
    with world.db.read() as session:
        assert not session.exec(select(Delivery).where(col(Delivery.endpoint_id) == shown["id"])).all()


def test_a_runs_own_endpoint_stays_while_something_is_to_come(world: World, receiver: Receiver) -> None:
    answering(receiver, 503)
    run_id = world.enqueue(webhooks=[{"url": receiver.url, "secret": SECRET}])
    world.cancel(run_id)
    world.pass_all()
    send_all(world)
    world.clock.turn(days=8)
    retain.run_once(world.gate)
    assert world.show(run_id)["webhooks"]
    answering(receiver, 204)
    send_all(world)
    retain.run_once(world.gate)
    assert world.show(run_id)["webhooks"] == []


def test_events_find_a_runs_own_endpoints_among_many(world: World, receiver: Receiver) -> None:
    """As many runs have endpoints as like: a pass reads those of its own events' runs."""
    ids = [world.enqueue(checked=False, webhooks=[{"url": receiver.url, "secret": SECRET}]) for _ in range(20)]
    send_all(world)
    world.cancel(ids[0])
    cancel.run_once(world.gate)
    read: list[str] = []

    def note(endpoint: Endpoint, _context: object) -> None:
        read.append(str(endpoint.run_id))

    listening.listen(Endpoint, "load", note)
    try:
        world.gate.write(lambda session: notify._apply(session, [], world.gate))
    finally:
        listening.remove(Endpoint, "load", note)
    assert read == [ids[0]]


def test_old_deliveries_leave_the_log(world: World, receiver: Receiver) -> None:
    subscribe(world, receiver.url, events=("run.queued",))
    world.enqueue()
    send_all(world)
    world.clock.turn(days=29)
    answering(receiver, 500)
    world.enqueue(checked=False)
    send_all(world)
    retain.run_once(world.gate)
    assert len(deliveries(world)) == 2
    world.clock.turn(days=2)
    retain.run_once(world.gate)
    assert [one.state for one in deliveries(world)] == ["pending"]
