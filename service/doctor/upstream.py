"""Hugging Face: whether it answers, what the tokens may do in which namespace, and what time it is there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from service.assembly import Misconfigured, hub_client
from service.doctor.finding import Finding
from service.flow.tokens import Look, look
from service.hub.faults import HubFault
from service.settings import Settings

SKEW_SECONDS = 10
BAD_SKEW_SECONDS = 120
TIMEOUT_SECONDS = 10
SECOND_TOKEN = "Make a second token, with rights on repositories only, and set TUNEGATE_JOB_HF_TOKEN to it."


def findings(settings: Settings, now: datetime) -> Iterator[Finding]:
    """What can be asked with the tokens of the settings; nothing is changed by it."""
    try:
        hub = hub_client(settings)
    except Misconfigured as error:
        remedy = "Set both." if settings.hf_token is None or settings.job_hf_token is None else SECOND_TOKEN
        yield Finding("tokens", "fault", str(error), remedy)
        return
    try:
        namespaces = [settings.hf_namespace] if settings.hf_namespace else []
        looked = look(hub, namespaces, may_be_broad=settings.allow_broad_job_token)
        yield _answers([] if looked.problems else hub.hardware(), bool(looked.problems))
    except HubFault as error:
        yield Finding(
            "Hugging Face",
            "fault",
            f"{settings.hf_endpoint}: {error.message}",
            "Check TUNEGATE_HF_ENDPOINT, and the network.",
        )
        return
    finally:
        hub.close()
    yield _skew(settings, now)
    for problem in looked.problems:
        yield Finding("tokens", "fault", problem.detail, problem.remedy)
    if not looked.problems:
        yield from _token("control token", looked.control)
        yield from _token("job token", looked.job)
    yield _namespace(settings, bool(looked.problems))


def _answers(listed: list[dict[str, Any]], has_problems: bool) -> Finding:
    if has_problems:
        return Finding("Hugging Face", "ok", "it answers, and does not take the tokens as they are")
    if not listed:
        return Finding("Hugging Face", "fault", "its list of hardware is empty", "Check TUNEGATE_HF_ENDPOINT.")
    return Finding("Hugging Face", "ok", f"it answers, with the prices of {len(listed)} flavors")


def _token(name: str, found: Look) -> Iterator[Finding]:
    yield Finding(name, "ok", f"{found.account}'s, {found.role}: it may do what it has to")
    for warning in found.warnings:
        yield Finding(name, "warning", warning, "A fine-grained token with only what it needs can do less harm.")


def _namespace(settings: Settings, has_problems: bool) -> Finding:
    if settings.hf_namespace is None:
        return Finding(
            "namespace",
            "warning",
            "none is set: every run has to name its own",
            "TUNEGATE_HF_NAMESPACE names one.",
        )
    if has_problems:
        return Finding("namespace", "warning", f"{settings.hf_namespace}: see the tokens", "Mend the tokens first.")
    return Finding("namespace", "ok", f"jobs run in {settings.hf_namespace}, and are paid there")


def _skew(settings: Settings, now: datetime) -> Finding:
    """This machine's clock beside Hugging Face's: signatures, budgets' windows and prices' ages go by it."""
    try:
        with httpx2.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False) as http:
            there = parsedate_to_datetime(http.get(f"{settings.hf_endpoint}/api/jobs/hardware").headers["date"])
    except (httpx2.HTTPError, KeyError, ValueError, TypeError):
        return Finding("clock", "warning", "Hugging Face did not say what time it is", "Check this machine's clock.")
    apart = abs((there - now).total_seconds())
    if apart > SKEW_SECONDS:
        return Finding(
            "clock",
            "fault" if apart > BAD_SKEW_SECONDS else "warning",
            f"this machine's clock and Hugging Face's are {apart:.0f} s apart",
            "Set the clock by NTP: webhook signatures and budgets' windows go by it.",
        )
    return Finding("clock", "ok", f"within {SKEW_SECONDS} s of Hugging Face's")
