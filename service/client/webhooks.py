"""Receiving webhooks: whether the service sent a letter, and what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from service.client.errors import UntrustedWebhook
from service.client.records import WebhookEvent


def verify_webhook(body: bytes | str, headers: Mapping[str, str], secret: str | Sequence[str]) -> WebhookEvent:
    """The event in a letter whose signature (Standard Webhooks) is right and at most five minutes old.

    `body` is what arrived, byte for byte: parsed and written anew, it has another signature. Of several secrets one has
    to be right, as while a secret is rotated. Letters may come twice and out of order: `event.id` is the same for each
    repeat, `event.data["sequence"]` orders those of a run. Raises UntrustedWebhook, and ValueError for a secret
    that is none.
    """
    from standardwebhooks import Webhook, WebhookVerificationError
    from standardwebhooks.webhooks import EmptyWebhookSecretError

    lowered = {name.lower(): value for name, value in headers.items()}
    secrets = [secret] if isinstance(secret, str) else list(secret)
    try:
        webhooks = [Webhook(one) for one in secrets]
    except (EmptyWebhookSecretError, ValueError):
        raise ValueError("a webhook's secret is what POST /webhooks answered: whsec_ and base64") from None
    if not webhooks:
        raise ValueError("no secret was given")
    why = ""
    for webhook in webhooks:
        try:
            event = webhook.verify(body, lowered)
        except (WebhookVerificationError, ValueError) as error:  # ValueError: a header or a body of another form
            why = str(error)
            continue
        if not isinstance(event, dict):
            raise UntrustedWebhook("the letter is signed and is no event")
        return WebhookEvent.of({"id": lowered["webhook-id"], **event})
    raise UntrustedWebhook(f"the letter is not to be trusted: {why}")
