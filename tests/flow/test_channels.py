"""Messages for people, over real HTTP and real SMTP: by the same way, log, retries and order as any letter."""

from __future__ import annotations

import socket
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.domain.endpoint import Kind
from service.domain.mail_server import mail_server
from service.flow import deliver, post
from tests.flow.conftest import World
from tests.flow.endpoints import deliveries, send_all, subscribe
from tests.hostile import Hostile, certificate
from tests.mail import mail_server_with
from tests.receiver import Receiver

ALICE = "mailto:alice@acme.com"


def test_the_same_event_in_the_form_of_each_channel(world: World) -> None:
    with Receiver() as slack, Receiver() as discord, Receiver() as teams:
        subscribe(world, slack.url, events=("run.cancelled",), kind=Kind.SLACK)
        subscribe(world, discord.url, events=("run.cancelled",), kind=Kind.DISCORD)
        subscribe(world, teams.url, events=("run.cancelled",), kind=Kind.TEAMS)
        run_id = world.enqueue()
        world.cancel(run_id)
        world.pass_all()
        send_all(world)
        [to_slack], [to_discord], [to_teams] = slack.letters, discord.letters, teams.letters
    assert f"Run {run_id} was cancelled" in to_slack.json["text"]
    assert to_discord.json["allowed_mentions"] == {"parse": []}
    assert to_teams.json["attachments"][0]["content"]["type"] == "AdaptiveCard"
    for letter in (to_slack, to_discord, to_teams):
        assert not {"webhook-id", "webhook-signature"} & letter.headers.keys()
    assert {one.state for one in deliveries(world)} == {"delivered"}


def test_a_channels_address_is_in_no_log_not_even_where_its_server_repeats_it(world: World) -> None:
    body = b"no such hook: /services/T0AAAAAA/B0AAAAAA/s3cr3tp4th at s3cr3tp4th"

    def answer(connection: socket.socket, _over: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 404 No\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))

    with Hostile(answer) as server:
        url = server.url.replace("/hook", "/services/T0AAAAAA/B0AAAAAA/s3cr3tp4th")
        subscribe(world, url, events=("run.queued",), kind=Kind.SLACK)
        world.enqueue()
        send_all(world)
        assert b"POST /services/T0AAAAAA/B0AAAAAA/s3cr3tp4th " in server.requests[0]
    [delivery] = deliveries(world)
    assert delivery.last_response == "no such hook: [secret] at [secret]"


def test_an_e_mail_says_it_in_plain_text_and_retried_is_the_same_mail(world: World) -> None:
    with mail_server_with() as mailbox:
        world.limit(mail=mail_server(f"smtp://127.0.0.1:{mailbox.port}", "tunegate@acme.com"))
        subscribe(world, ALICE, events=("run.cancelled",), kind=Kind.EMAIL)
        run_id = world.enqueue()
        world.cancel(run_id)
        world.pass_all()
        mailbox.answer = "451 later"
        send_all(world)
        [delivery] = deliveries(world)
        assert (delivery.state, delivery.last_status, delivery.last_response) == ("pending", 451, "later")
        mailbox.answer = "250 OK"
        world.clock.turn(seconds=10)
        send_all(world)
    [mail] = mailbox.mails
    assert mailbox.recipients == ["alice@acme.com"]
    assert (mail["to"], mail["from"]) == ("alice@acme.com", "tunegate@acme.com")
    assert mail["subject"] == f"[tunegate] Run {run_id} was cancelled"
    assert mail["message-id"].startswith(f"<{delivery.event_id}.")
    assert mail["auto-submitted"] == "auto-generated"
    assert f"Run {run_id} was cancelled" in mail.get_content()
    assert deliveries(world)[0].state == "delivered"
    assert deliveries(world)[0].last_status == 250


def test_a_mailbox_that_is_none_is_told_in_the_log(world: World) -> None:
    with mail_server_with() as mailbox:
        mailbox.answer = "550 no such user"
        world.limit(mail=mail_server(f"smtp://127.0.0.1:{mailbox.port}", "tunegate@acme.com"))
        subscribe(world, ALICE, events=("run.queued",), kind=Kind.EMAIL)
        world.enqueue()
        send_all(world)
    [delivery] = deliveries(world)
    assert (delivery.state, delivery.last_status, delivery.last_response) == ("pending", 550, "no such user")


def test_a_password_goes_over_tls_only(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    public, server_tls, _ = certificate(tmp_path, "127.0.0.1", datetime.now(UTC))
    subscribe(world, ALICE, events=("run.queued",), kind=Kind.EMAIL)
    world.enqueue()
    with mail_server_with(takes_passwords=True) as plain:
        world.limit(mail=mail_server(f"smtp://post:p%2Fw%40x@127.0.0.1:{plain.port}", "t@acme.com"))
        send_all(world)
        assert not plain.logins
    assert "a password is not sent in clear" in (deliveries(world)[0].last_error or "")
    with mail_server_with(tls_context=server_tls) as safe:
        world.limit(mail=mail_server(f"smtp://post:p%2Fw%40x@127.0.0.1:{safe.port}", "t@acme.com"))
        world.clock.turn(seconds=10)
        send_all(world)
        assert "certificate" in (deliveries(world)[0].last_error or "").lower()  # nobody vouches for it
        assert not safe.logins
        monkeypatch.setenv("SSL_CERT_FILE", str(public))
        world.clock.turn(minutes=1)
        send_all(world)
        assert safe.logins == [(b"post", b"p/w@x")]
        assert safe.was_tls == [True]
    assert deliveries(world)[0].state == "delivered"


def test_tls_from_the_first_byte(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    public, server_tls, _ = certificate(tmp_path, "127.0.0.1", datetime.now(UTC))
    monkeypatch.setenv("SSL_CERT_FILE", str(public))
    with mail_server_with(ssl_context=server_tls) as safe:
        world.limit(mail=mail_server(f"smtps://127.0.0.1:{safe.port}", "t@acme.com"))
        subscribe(world, ALICE, events=("run.queued",), kind=Kind.EMAIL)
        world.enqueue()
        send_all(world)
        assert len(safe.mails) == 1  # in clear nothing is understood at this port


def test_a_mail_server_that_hangs_is_given_up_and_delays_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(post, "TIMEOUT_SECONDS", 2)
    monkeypatch.setattr(deliver, "TIMEOUT_SECONDS", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent, Receiver() as healthy:
        world.limit(mail=mail_server(f"smtp://127.0.0.1:{silent.getsockname()[1]}", "t@acme.com"))
        mail = subscribe(world, ALICE, events=("run.queued",), kind=Kind.EMAIL)
        subscribe(world, healthy.url, events=("run.queued",))
        world.enqueue()
        send_all(world)
        assert len(healthy.letters) == 1
    assert "Timeout" in (deliveries(world, mail)[0].last_error or "")


def test_where_the_mail_server_was_taken_away_it_says_so(world: World) -> None:
    subscribe(world, ALICE, events=("run.queued",), kind=Kind.EMAIL)
    world.enqueue()
    send_all(world)
    assert "TUNEGATE_SMTP_URL" in (deliveries(world)[0].last_error or "")
