"""Every setting, read once from `TUNEGATE_…` variables. Nothing below `app`, `worker` and `cli` knows of them."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.domain.grants import read_grant
from service.domain.image import DEFAULT_ALLOWED
from service.domain.mail_server import MailServer, mail_server
from service.domain.rate import Rate, parse_rate

ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?")
# Public endpoints and the dataset viewers that go with them.
VIEWERS = {"https://huggingface.co": "https://datasets-server.huggingface.co"}
LOOPBACK = re.compile(r"http://(127\.[0-9.]+|localhost|\[::1\])([:/]|$)")


class Settings(BaseSettings):
    """Values are checked at start; a wrong one ends the program with its name and the rule it broke."""

    model_config = SettingsConfigDict(env_prefix="TUNEGATE_", frozen=True, env_ignore_empty=True)

    database_url: str = Field(
        "sqlite:///data/tunegate.db", description="SQLite file or PostgreSQL (`postgresql://user:password@host/name`)."
    )
    data_dir: Path = Field(
        Path("data"), description="Where keys and the installation's id are kept when the database is not a file."
    )
    hf_endpoint: str = Field("https://huggingface.co", description="Base address of Hugging Face.")
    datasets_server: str | None = Field(
        None,
        description="Base address of the dataset viewer, which knows rows and columns; if unset Hugging Face's own, "
        "where that is the endpoint.",
    )
    hf_token: SecretStr | None = Field(None, description="Control token: starts and stops jobs; never enters a job.")
    job_hf_token: SecretStr | None = Field(
        None, description="What a job gets as its `HF_TOKEN` secret: rights on repositories only."
    )
    allow_broad_job_token: bool = Field(
        False, description="Accept a job token that could itself start jobs (and so spend past every budget)."
    )
    hf_namespace: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$",
        description="User or organisation that runs and pays the jobs; where unset, every run names its own.",
    )
    admin_key: SecretStr | None = Field(
        None, description="The first admin's API key; if unset, one is made, in `admin.key` beside the database."
    )
    secret_key: SecretStr | None = Field(
        None,
        description="Encrypts secrets at rest: keep it with your backups. If unset, one is made, in `secret.key` "
        "beside the database. Several, apart by commas (in the file: by lines), while one follows another: the "
        "first seals, each opens.",
    )
    installation: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$",
        description="The installation's id, in place of the file `installation` that is made beside the database: "
        "where replicas share no folder.",
    )
    listing_lag_seconds: float = Field(
        120, ge=0, description="How long after a create call's deadline a job may be missing from Hugging Face's lists."
    )
    hub_timeout_seconds: float = Field(30, gt=0, description="Longest wait for one answer of Hugging Face.")
    max_scheduling_seconds: float = Field(
        6 * 3600, gt=0, description="How long a job may wait for hardware before it is cancelled and queued again."
    )
    stray_policy: Literal["report", "adopt", "cancel"] = Field(
        "report", description="What is done about a job that carries this installation's label and has no run."
    )
    sweep_seconds: float = Field(
        180, gt=0, description="How often the namespace's live jobs are compared with the runs, beside at start."
    )
    poll_seconds: float = Field(
        5,
        gt=0,
        description="How often the states of active jobs are read. The end of a followed log tells of its job at once.",
    )
    max_concurrent_runs: int = Field(20, ge=0, description="Active runs of the whole service.")
    webhook_allowed_targets: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Hosts, addresses or CIDRs that webhooks may reach although private, and over plain http."
    )
    smtp_url: SecretStr | None = Field(
        None,
        description="Mail server for e-mails: `smtps://user:password@host:465`, or `smtp://…:587` with STARTTLS, which "
        "a password needs.",
    )
    smtp_from: str | None = Field(
        None,
        pattern=r"^[^@\s<>]+@[^@\s<>]+$",
        description="Whom e-mails are from, such as `tunegate@acme.com`; needed with a mail server.",
    )
    script_allowed_targets: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Hosts, addresses or CIDRs that scripts may be fetched from although private, and over http."
    )
    log_followers: int = Field(
        200, ge=0, description="Logs of running jobs that are followed over a connection each; further ones are polled."
    )
    log_mib: float = Field(
        64, gt=0, description="What is kept of one attempt's log, unpacked: its beginning and its end."
    )
    logs_gib: float = Field(20, gt=0, description="What all logs together may take, unpacked; then the oldest go.")
    log_days: float = Field(90, gt=0, description="How long logs and series of ended jobs are kept.")
    checkpoint_days: float = Field(
        7, ge=0, description="How long checkpoints of failed or cancelled runs are kept; those of a success go at once."
    )
    file_mib: float = Field(100, gt=0, le=2048, description="What one uploaded training file may have (`/v1/files`).")
    job_timeout_seconds: int = Field(
        7200,
        ge=300,
        le=30 * 86400,
        description="Timeout of a fine-tuning job (`/v1/fine_tuning/jobs`) whose caller names neither one nor a cost.",
    )
    image_allowlist: Annotated[tuple[str, ...], NoDecode] = Field(
        DEFAULT_ALLOWED, description="Images that runs may name, comma-separated; `*` stands for any text."
    )
    public_url: str | None = Field(
        None,
        description="Address under which jobs reach this service: scripts may then report their progress to it, and "
        "messages link to it.",
    )
    oidc_issuer: str | None = Field(
        None, description="An OpenID Connect issuer whose tokens are taken beside keys, and by which people sign in."
    )
    oidc_client_id: str | None = Field(None, description="What this service is called at the issuer.")
    oidc_client_secret: SecretStr | None = Field(None, description="Its secret there; a public client has none.")
    oidc_audiences: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="For whom a bearer token may be made, comma-separated; the client id if unset."
    )
    oidc_user_claim: str = Field("email", description="The claim that names a user.")
    oidc_claim: str = Field("groups", description="The claim whose values `TUNEGATE_OIDC_GRANTS` names.")
    oidc_scope: str = Field("openid email profile", description="What a sign-in asks the issuer for.")
    oidc_grants: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="What each group may do: `GROUP=TEAM:ROLE` or `GROUP=admin`, comma-separated."
    )
    session_hours: float = Field(12, gt=0, description="How long a sign-in in a browser lasts.")
    rate_limit: Annotated[Rate | None, NoDecode] = Field(
        Rate(1200, 60),
        description="Requests of one key, or of one address without a valid key: `off`, or a number per `second`, "
        "`minute`, `hour` or `day`, such as `600/minute`.",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Addresses or CIDRs of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed."
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins (`https://host`) whose pages may call this service from a browser."
    )
    role: Literal["all", "api", "worker"] = Field(
        "all",
        description="With `api` a process answers requests and never runs the steps; with `worker` it runs them and "
        "answers only `/healthz`, `/readyz` and `/metrics`; with `all` it does both.",
    )
    max_streams: int = Field(
        1000,
        ge=1,
        description="Streams of events and logs that are open at one process; further ones are refused. One user may "
        "hold a quarter of them.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least level that is logged, as JSON lines."
    )

    @field_validator("hf_token", "job_hf_token", "admin_key", "secret_key", "oidc_client_secret", "smtp_url")
    @classmethod
    def _without_line_end(cls, value: SecretStr | None) -> SecretStr | None:
        # a secret that comes from a file brings the file's last newline with it; nothing but blanks is none
        bare = "" if value is None else value.get_secret_value().strip()
        return SecretStr(bare) if bare else None

    @field_validator("database_url")
    @classmethod
    def _is_a_known_database(cls, value: str) -> str:
        if not value.startswith(("sqlite:///", "postgresql://")):
            raise ValueError("must begin with sqlite:/// or postgresql://")
        return value

    @field_validator("hf_endpoint", "datasets_server", "public_url")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("https://", "http://")):
            raise ValueError("must begin with https:// (http:// for the sandbox)")
        return None if value is None else value.rstrip("/")

    @field_validator("rate_limit", mode="before")
    @classmethod
    def _is_a_rate(cls, value: object) -> object:
        return parse_rate(value.strip()) if isinstance(value, str) else value

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not ORIGIN.fullmatch(origin):
                raise ValueError(f"'{origin}' is no origin such as https://host or https://host:8443")
        return origins

    @field_validator(
        "webhook_allowed_targets",
        "script_allowed_targets",
        "image_allowlist",
        "oidc_audiences",
        "oidc_grants",
        "trusted_proxies",
        "cors_origins",
        mode="before",
    )
    @classmethod
    def _comma_separated(cls, value: object) -> object:
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list | tuple):
            raise ValueError("a comma-separated list")
        return tuple(str(part).strip() for part in parts if str(part).strip())

    @field_validator("trusted_proxies")
    @classmethod
    def _are_addresses(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            ip_network(proxy)  # a name could come to mean another host
        return proxies

    @field_validator("webhook_allowed_targets", "script_allowed_targets")
    @classmethod
    def _are_networks(cls, targets: tuple[str, ...]) -> tuple[str, ...]:
        for target in targets:
            if "/" in target:
                ip_network(target)  # raises ValueError with the reason
        return targets

    @field_validator("oidc_grants")
    @classmethod
    def _are_grants(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            read_grant(text)  # raises ValueError with the rule
        return texts

    @field_validator("oidc_issuer")
    @classmethod
    def _is_an_issuer(cls, value: str | None) -> str | None:
        if value is not None and not (value.startswith("https://") or LOOPBACK.match(value)):
            raise ValueError("must begin with https:// (http:// only on this machine)")
        return value

    @model_validator(mode="after")
    def _is_whole(self) -> Settings:
        if self.oidc_issuer is not None and (self.oidc_client_id is None or not self.oidc_grants):
            raise ValueError("TUNEGATE_OIDC_ISSUER needs TUNEGATE_OIDC_CLIENT_ID and TUNEGATE_OIDC_GRANTS beside it")
        return self

    @model_validator(mode="after")
    def _can_send_mail(self) -> Settings:
        _ = self.mail  # raises ValueError with the reason
        if self.smtp_url is not None and self.smtp_from is None:
            raise ValueError("TUNEGATE_SMTP_URL needs TUNEGATE_SMTP_FROM: whom e-mails are from")
        return self

    @property
    def mail(self) -> MailServer | None:
        """The mail server; None where there is none."""
        if self.smtp_url is None or self.smtp_from is None:
            return None
        return mail_server(self.smtp_url.get_secret_value(), self.smtp_from)

    @property
    def secrets(self) -> list[str]:
        """The values that are in no log."""
        kept = (
            self.hf_token,
            self.job_hf_token,
            self.admin_key,
            self.secret_key,
            self.oidc_client_secret,
            self.smtp_url,
        )
        return [one.get_secret_value() for one in kept if one is not None]

    @property
    def viewer(self) -> str | None:
        """Where the dataset viewer is asked; None where nobody has one."""
        return self.datasets_server or VIEWERS.get(self.hf_endpoint)

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a file of ours."""
        return self.database_url.startswith("sqlite")

    @property
    def home(self) -> Path:
        """The folder for what lives beside the database."""
        if self.is_sqlite:
            return Path(self.database_url.removeprefix("sqlite:///")).parent
        return self.data_dir
