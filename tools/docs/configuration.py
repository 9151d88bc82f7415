"""`docs/configuration.md`: every setting, from `service/settings.py`."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from service.domain.rate import UNITS, Rate
from service.settings import Settings

HEAD = """\
# Configuration

<!-- Written by `make docs` from service/settings.py: change it there. -->

Every setting is a variable of the environment, read once at start. A value that cannot be meant ends the program with
the variable's name and the rule (exit code 78); an empty variable counts as unset. What must be set are the two tokens;
[Install](install.md) has the way from there.

Lists are comma-separated. Files lie beside the database: in the folder of the SQLite file, or in `TUNEGATE_DATA_DIR`.
"""

# Which settings belong together, in the order in which somebody meets them.
GROUPS = {
    "Hugging Face": (
        "hf_token job_hf_token hf_namespace allow_broad_job_token hf_endpoint datasets_server hub_timeout_seconds"
    ),
    "Database and files": "database_url data_dir admin_key secret_key installation",
    "Runs": (
        "max_concurrent_runs image_allowlist script_allowed_targets checkpoint_days job_timeout_seconds file_mib "
        "public_url max_scheduling_seconds poll_seconds listing_lag_seconds sweep_seconds stray_policy"
    ),
    "Logs of jobs": "log_followers log_mib logs_gib log_days",
    "Webhooks and e-mail": "webhook_allowed_targets smtp_url smtp_from",
    "Signing in": (
        "oidc_issuer oidc_client_id oidc_client_secret oidc_grants oidc_claim oidc_user_claim oidc_scope "
        "oidc_audiences session_hours"
    ),
    "The process and its port": "rate_limit max_streams trusted_proxies cors_origins role log_level",
}


def page() -> str:
    """The page as it should be. Raises ValueError where a setting is in no group, or in several."""
    grouped = [name for names in GROUPS.values() for name in names.split()]
    if sorted(grouped) != sorted(Settings.model_fields):
        raise ValueError(f"not in just one group: {set(grouped) ^ set(Settings.model_fields)}")
    return HEAD + "".join(
        f"\n## {title}\n\n| variable | takes | if unset | meaning |\n|---|---|---|---|\n"
        + "".join(map(_row, names.split()))
        for title, names in GROUPS.items()
    )


def _row(name: str) -> str:
    field = Settings.model_fields[name]
    cells = (f"`TUNEGATE_{name.upper()}`", _takes(field), _default(field.default), field.description or "")
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _takes(field: FieldInfo) -> str:
    kind: Any = field.annotation
    if get_origin(kind) is types.UnionType:
        kind = next(one for one in get_args(kind) if one is not type(None))
    if get_origin(kind) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if get_origin(kind) is tuple:
        return "list"
    names = {str: "text", SecretStr: "secret", bool: "`true`, `false`", int: "whole number", float: "number"}
    return (names | {Path: "folder", Rate: "rate"})[kind] + _bounds(field)


def _bounds(field: FieldInfo) -> str:
    signs = {"ge": "from", "gt": "above"}
    found = [f"{signs[sign]} {getattr(rule, sign)}" for rule in field.metadata for sign in signs if hasattr(rule, sign)]
    return f" {found[0]}" if found else ""


def _default(value: object) -> str:
    if value is None or value == ():
        return "–"
    if isinstance(value, Rate):
        return next(f"`{value.quota}/{unit}`" for unit, seconds in UNITS.items() if seconds == value.seconds)
    if isinstance(value, tuple):
        return f"`{','.join(value)}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
