"""Letters that the service has signed, and others."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from service.client import UntrustedWebhook, verify_webhook

SECRET, OTHER = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
BODY = json.dumps(
    {"type": "run.succeeded", "timestamp": "2026-11-29T20:00:00Z", "data": {"id": "run_1", "sequence": 4}}
)


def headers(body: str = BODY, secret: str = SECRET, age: timedelta = timedelta()) -> dict[str, str]:
    at = datetime.now(UTC) - age
    signature = Webhook(secret).sign("evt_1", at, body)
    return {"Webhook-Id": "evt_1", "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}


def test_a_signed_letter_is_an_event() -> None:
    event = verify_webhook(BODY.encode(), headers(), SECRET)
    assert (event.id, event.type, event.data["sequence"]) == ("evt_1", "run.succeeded", 4)


def test_while_a_secret_is_rotated_either_is_right() -> None:
    assert verify_webhook(BODY, headers(secret=OTHER), [SECRET, OTHER]).id == "evt_1"
    both = headers()
    both["webhook-signature"] += " " + headers(secret=OTHER)["webhook-signature"]
    assert verify_webhook(BODY, both, OTHER).id == "evt_1"


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (BODY.replace("run_1", "run_2"), headers()),
        (BODY, headers(secret=OTHER)),
        (BODY, headers(age=timedelta(minutes=30))),
        (BODY, headers(age=-timedelta(minutes=30))),
        (BODY, {}),
        (BODY, {**headers(), "webhook-signature": "nonsense"}),
        (BODY, {**headers(), "webhook-timestamp": "soon"}),
        (b"\xff", headers()),
        ("not json", headers("not json")),
        ("[]", headers("[]")),
    ],
)
def test_any_other_letter_is_not_trusted(body: str | bytes, sent: dict[str, str]) -> None:
    with pytest.raises(UntrustedWebhook):
        verify_webhook(body, sent, SECRET)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_ä", [], "whsec_a"])
def test_a_secret_that_is_none_is_the_receivers_mistake(secret: str | list[str]) -> None:
    with pytest.raises(ValueError, match="secret"):
        verify_webhook(BODY, headers(), secret)
