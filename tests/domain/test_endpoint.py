"""What may be an endpoint, what is shown of one, and when a delivery is tried again."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.backoff import DELIVERY_PATIENCE, delivery_backoff
from service.domain.endpoint import Kind, check_secret, endpoint_refusal, mailbox, shown, without_query
from service.domain.errors import BrokenRule
from service.domain.mail_server import MailServer, mail_server
from service.domain.retry_after import LONGEST, retry_after

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SLACK = "https://hooks.slack.com/services/T000/B000/abcdefgh"


@pytest.mark.parametrize("size", [24, 32, 64])
def test_a_secret_of_ones_own_is_taken(size: int) -> None:
    secret = "whsec_" + base64.b64encode(bytes(range(size))).decode()
    assert check_secret(secret) == secret


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec_c2hvcnQ=",
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        base64.b64encode(bytes(32)).decode(),
        "whsec_not base64 at all, but long enough to be one",
        "whsec_" + base64.b64encode(bytes(32)).decode().rstrip("="),
        "whsec_" + base64.urlsafe_b64encode(b"\xff" * 32).decode(),
    ],
)
def test_what_is_no_secret_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(BrokenRule) as refused:
        check_secret(secret)
    assert "openssl" in refused.value.remedy
    assert not secret or secret not in str(refused.value).removeprefix("a signing secret is 'whsec_'")


@pytest.mark.parametrize(
    ("kind", "url", "says"),
    [
        (Kind.STANDARD, "https://acme.com/hook", None),
        (Kind.STANDARD, "https://acme.com:8443/hook", None),
        (Kind.STANDARD, "https://acme.com:9000/hook", "443 or 8443"),
        (Kind.STANDARD, "https://acme.com:22/hook", "443 or 8443"),
        (Kind.STANDARD, SLACK, 'Send "kind": "slack"'),
        (Kind.STANDARD, "https://ptb.discord.com/api/webhooks/1/x", 'Send "kind": "discord"'),
        (Kind.STANDARD, "mailto:alice@acme.com", 'Send "kind": "email"'),
        (Kind.SLACK, SLACK, None),
        (Kind.SLACK, "https://mattermost.acme.com/hooks/x", None),  # takes Slack's form
        (Kind.DISCORD, SLACK, 'Send "kind": "slack"'),
        (Kind.SLACK, "https://10.0.0.1/hooks/x", "public"),
        (Kind.EMAIL, "mailto:alice@acme.com", None),
        (Kind.EMAIL, "https://acme.com/", "mailto:alice@acme.com"),
        (Kind.EMAIL, "mailto:alice@acme.com,bob@acme.com", "one mailbox"),
        (Kind.EMAIL, "mailto:alice@acme.com?cc=bob@acme.com", "one mailbox"),
        (Kind.EMAIL, "mailto:alice@acme.com\nBcc: bob@acme.com", "one mailbox"),
        (Kind.EMAIL, "mailto:alice@acme.com%0aBcc:bob@acme.com", "one mailbox"),
        (Kind.EMAIL, "mailto:alice@localhost", "one mailbox"),
    ],
)
def test_what_may_be_an_endpoint(kind: Kind, url: str, says: str | None) -> None:
    found = endpoint_refusal(kind, url, (), has_mail=True)
    assert (found is None) == (says is None), found
    assert found is None or (says or "") in " ".join(found)


def test_without_a_mail_server_there_is_no_mail() -> None:
    found = endpoint_refusal(Kind.EMAIL, "mailto:alice@acme.com", (), has_mail=False)
    assert found is not None
    assert "TUNEGATE_SMTP_URL" in found[1]


def test_an_operator_may_open_ports_with_their_target() -> None:
    assert endpoint_refusal(Kind.STANDARD, "http://hooks.acme.internal:9000/", ("hooks.acme.internal",), True) is None


def test_what_is_shown_of_an_address() -> None:
    assert shown(Kind.SLACK, SLACK) == "https://hooks.slack.com/…"
    assert shown(Kind.TEAMS, "https://prod-1.westeurope.logic.azure.com:443/workflows/1?sig=abc").endswith("443/…")
    assert shown(Kind.STANDARD, "https://acme.com/hook?token=x") == "https://acme.com/hook?token=x"
    assert without_query("https://acme.com/hook?token=x#y") == "https://acme.com/hook"
    assert mailbox("mailto:alice+runs@acme.com") == "alice+runs@acme.com"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120),
        ("0", 0),
        ("0.4", 1),
        (" 7 ", 7),
        ("99999999999", LONGEST.total_seconds()),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("1e9", None),
        ("٣", None),
        ("Tue, 24 Nov 2026 12:02:00 GMT", 120),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0),
        ("Tue, 24 Nov 2099 11:00:00 GMT", LONGEST.total_seconds()),
        ("Tue, 24 Nov 2026 14:02:00 +0200", 120),
        ("Tue, 99 Nov 2026 12:02:00 GMT", None),
    ],
)
def test_how_long_a_receiver_wants_to_be_left_alone(header: str | None, seconds: float | None) -> None:
    found = retry_after(header, NOW)
    assert (None if found is None else found.total_seconds()) == seconds


@given(st.text(max_size=60))
def test_nothing_that_a_receiver_says_of_later_breaks(header: str) -> None:
    found = retry_after(header, NOW)
    assert found is None or timedelta(0) <= found <= LONGEST


@given(st.floats(0, 1), st.one_of(st.none(), st.integers(0, 6 * 3600)))
def test_a_delivery_is_tried_for_72_hours_and_no_longer(jitter: float, asked: int | None) -> None:
    passed, tries = timedelta(0), 1
    rest = None if asked is None else timedelta(seconds=asked)
    while (pause := delivery_backoff(tries, passed, jitter, rest)) is not None:
        passed += pause
        tries += 1
        assert rest is None or pause >= min(rest, DELIVERY_PATIENCE - passed + pause)
    assert passed == DELIVERY_PATIENCE
    assert 9 <= tries <= 20


def test_a_mail_server_is_read_from_its_address() -> None:
    found = mail_server("smtps://post:p%2Fw%40x@mail.acme.com", "tunegate@acme.com")
    assert found == MailServer("mail.acme.com", 465, True, "tunegate@acme.com", "post", "p/w@x")
    assert "p/w@x" not in repr(found)
    assert mail_server("smtp://localhost:2525", "a@b.c") == MailServer("localhost", 2525, False, "a@b.c")


@pytest.mark.parametrize(
    "url", ["", "mail.acme.com", "https://mail.acme.com", "smtp://", "smtp://u:s3cr3t/x@host:25", "smtp://h/?tls=1"]
)
def test_what_is_no_mail_server_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match=r"must|written|number") as refused:
        mail_server(url, "a@b.c")
    assert "s3cr3t" not in str(refused.value)
