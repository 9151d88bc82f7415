"""One letter by e-mail, over the operator's mail server."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
import time
from email.message import EmailMessage

from service.domain.endpoint import mailbox
from service.domain.mail_server import MailServer
from service.flow.apart import apart
from service.flow.deliver import MAX_RESPONSE_BYTES, TIMEOUT_SECONDS, Outcome, told
from service.flow.letter import Letter

ACCEPTED = 250


class NoTls(Exception):
    """The mail server takes a password over nothing but plain text."""


async def post(letter: Letter, server: MailServer) -> Outcome:
    """Hand a letter to the mail server. Never raises for what that does."""
    started = time.monotonic()
    status, error, response = None, None, None
    try:
        message = mail_of(letter, server.sender)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await asyncio.wrap_future(apart(lambda: _send(server, message), "mail"))
        status = ACCEPTED
    except smtplib.SMTPRecipientsRefused as refused:
        status, text = next(iter(refused.recipients.values()))
        response = _text(text)
    except smtplib.SMTPResponseException as refused:
        status, response = refused.smtp_code, _text(refused.smtp_error)
    except Exception as fault:  # the mail server's trouble: it is tried again
        error = told(fault)
    return Outcome(status, error, response, round((time.monotonic() - started) * 1000))


def mail_of(letter: Letter, sender: str) -> EmailMessage:
    """The e-mail. Its id is the event's, so that a second copy can be told from a second event; the headers' text has
    no line end in it, which `EmailMessage` would refuse."""
    to = mailbox(letter.url)
    mail = EmailMessage()
    mail["From"], mail["To"] = sender, to
    mail["Subject"] = f"[tunegate] {letter.subject}"
    mail["Date"] = letter.sent_at
    mail["Message-ID"] = f"<{letter.event_id}.{to.partition('@')[0][:32].encode().hex()}@{_domain(sender)}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(letter.body.decode())
    return mail


def _send(server: MailServer, mail: EmailMessage) -> None:
    tls = ssl.create_default_context()
    name = _domain(server.sender)  # the system's own lookup of this machine's name may hang
    smtp: smtplib.SMTP
    if server.is_tls:
        smtp = smtplib.SMTP_SSL(server.host, server.port, name, timeout=TIMEOUT_SECONDS, context=tls)
    else:
        smtp = smtplib.SMTP(server.host, server.port, name, timeout=TIMEOUT_SECONDS)
    with smtp:
        if not server.is_tls:
            smtp.ehlo()
            if smtp.has_extn("starttls"):
                smtp.starttls(context=tls)
            elif server.password is not None:
                raise NoTls("the mail server offers no STARTTLS, and a password is not sent in clear")
        if server.user is not None and server.password is not None:
            smtp.login(server.user, server.password)
        smtp.send_message(mail)


def _domain(sender: str) -> str:
    return sender.rpartition("@")[2].strip("> ") or "localhost"


def _text(said: bytes | str) -> str:
    text = said if isinstance(said, str) else said.decode("utf-8", "replace")
    return text[:MAX_RESPONSE_BYTES].replace("\0", "")
